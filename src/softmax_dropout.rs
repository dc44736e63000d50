//! A softmax and a dropout in one pass.

use crate::contract::call::DropoutCall;
use crate::contract::error::CallError;
use crate::contract::softmax::{AttentionMask, SavedSoftmax, Softmax};
use crate::host::bound::BoundSegment;
use crate::host::device::{KernelDescriptor, KernelHost, cut_limits};
use crate::host::elements::{Described, Elements};
use crate::host::error::BindError;
use crate::host::params::ParameterPath;
use crate::host::range::CheckedRange;
use crate::kernel::axes::{BufferLayout, Role, WORKGROUP_SIZE};
use crate::kernel::softmaxed::SoftmaxForm;
use crate::plan::cut::CutLimits;
use crate::plan::error::CreateError;
use crate::plan::params::SoftmaxParams;
use crate::plan::rows::Rows;
use crate::plan::softmaxed::{IN_OUTPUT, PROBABILITIES, SoftmaxPlan, SoftmaxTensor};

/// `output = dropout(softmax(factor * scores + mask))` over the last dimension in one dispatch, and its gradient: what
/// stands between the two products of an attention.
///
/// An output has the bound of \[M26\]; arithmetic is of `f32` for each type. Masks are those of
/// [`Dropout`](crate::Dropout) for the same call and elements. A row's result has the same bits in each batch and on
/// each run of a device.
///
/// It reads 4 bytes an element of `f32` and writes 4, where a factor, a mask, a softmax and a dropout apart move 36;
/// the backward moves 12. Types of 16 bits half of that. Rows are read again by the workgroup that has them, up to 32 KiB
/// at once or one row.
///
/// Columns that a causal mask hides are left out: output and gradient are +0 there, and scores may be anything. A row
/// whose scores are all -inf is uniform over those that it sees; a row that sees no column is +0. A NaN makes its row NaN where
/// it is seen and kept. Magnitudes above 1.7e38 count as that.
///
/// Backward computes from the scores, so that nothing else is kept, or from probabilities that the forward stored, by the
/// caller's choice: these take memory of the scores' size, and save the backward one reading and the exponentials. It is the
/// gradient of the scores before the factor. The gradient of an additive mask that is trained, as a bias of relative positions,
/// is the sum of the scores' gradients over all rows that a number was added to, divided by the factor, which is not 0
/// then: [`ColumnSums`](crate::ColumnSums) of the gradient taken as rows of as many columns as the mask has numbers.
///
/// ```no_run
/// # fn record(device: &wgpu_dropout::wgpu::Device, pass: &mut wgpu_dropout::wgpu::ComputePass<'_>, [scores, weights, grad]: &[wgpu_dropout::wgpu::Buffer; 3]) -> Result<(), Box<dyn std::error::Error>> {
/// use wgpu_dropout::{AttentionMask, DropoutCall, DropoutRate, KernelDescriptor, MaskKey, SavedSoftmax, Softmax, SoftmaxDropout};
///
/// let softmax_dropout = SoftmaxDropout::new(device, &KernelDescriptor::default())?;
/// let [scores, weights, grad] = [scores, weights, grad].map(|buffer| buffer.as_entire_buffer_binding());
/// // 8 heads of 64 numbers, 512 queries and keys.
/// let softmax = Softmax::new(512, 1.0 / f32::sqrt(64.0))?;
/// let causal = || AttentionMask::Causal { rows_per_matrix: 512, offset: 0 };
/// let elements = 8 * 512 * 512;
/// let forward = softmax_dropout.bind(softmax, causal(), scores.clone(), weights, None, elements)?;
/// let saved = SavedSoftmax::Scores(scores);
/// let backward = softmax_dropout.bind_backward_in_place(softmax, causal(), saved, grad, elements)?;
/// let call = DropoutCall::new(DropoutRate::new(0.1)?, MaskKey::layer_step(42, 3, 7));
/// softmax_dropout.encode_forward(pass, &forward, &call)?;
/// softmax_dropout.encode_backward(pass, &backward, &call)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SoftmaxDropout {
    host: KernelHost,
    limits: CutLimits,
}

/// The numbers of an additive mask on the device, of `f32`: see [`AttentionMask::Additive`].
///
/// The buffer needs [`STORAGE`](wgpu::BufferUsages::STORAGE), an offset aligned to the device's
/// `min_storage_buffer_offset_alignment`, and 4 bytes a number, all in one binding. It is none that is bound as a tensor.
#[derive(Clone, Debug)]
pub struct AdditiveMask<'a> {
    buffer: wgpu::BufferBinding<'a>,
    len: u32,
}

impl<'a> AdditiveMask<'a> {
    /// So many numbers.
    pub const fn new(buffer: wgpu::BufferBinding<'a>, len: u32) -> Self {
        Self { buffer, len }
    }
}

/// Checked buffers of one softmax, ready for any number of calls; made by [`SoftmaxDropout::bind`] and
/// [`SoftmaxDropout::bind_in_place`]. It is kept and used as a [`DropoutBinding`](crate::DropoutBinding).
#[derive(Debug)]
pub struct SoftmaxDropoutBinding(Bound);

/// Checked buffers of its gradient, ready for any number of calls; made by [`SoftmaxDropout::bind_backward`] and
/// [`SoftmaxDropout::bind_backward_in_place`]. It is kept and used as a [`DropoutBinding`](crate::DropoutBinding).
#[derive(Debug)]
pub struct SoftmaxDropoutGradient(Bound);

#[derive(Debug)]
struct Bound {
    tensor: SoftmaxTensor,
    segments: Vec<BoundSegment>,
}

impl SoftmaxDropout {
    /// Prepares the kernels for `device`, which needs no feature and no limit above
    /// [`wgpu::Limits::downlevel_defaults`].
    ///
    /// # Errors
    ///
    /// [`CreateError::Limit`] if the device's limits are lower than the kernels need.
    pub fn new(
        device: &wgpu::Device,
        descriptor: &KernelDescriptor<'_>,
    ) -> Result<Self, CreateError> {
        // Three ranges and an additive mask; besides a layout and a packed mask or sample ids.
        let host = KernelHost::new(device, descriptor, 4, 6, size_of::<SoftmaxParams>())?;
        let limits = cut_limits(device);
        Ok(Self { host, limits })
    }

    /// The device the kernels are for.
    pub fn device(&self) -> &wgpu::Device {
        &self.host.device
    }

    /// How each dispatch is told its parameters, and why: recording takes 7 to 21 times as long without
    /// immediates.
    pub fn parameter_path(&self) -> ParameterPath {
        self.host.parameter_path
    }

    /// With lowered limits and with room behind bindings, and the same pipelines.
    #[cfg(feature = "cpu")]
    pub(crate) fn lowered(&self, granules: u64, room_bytes: u64) -> Self {
        let alignment_bytes = u64::from(self.limits.offset_alignment_bytes);
        let mut limits = self.limits;
        let lowered = granules.saturating_mul(alignment_bytes);
        limits.max_binding_bytes = limits.max_binding_bytes.min(lowered);
        let host = self.host.with_room(room_bytes);
        Self { host, limits }
    }

    /// Binds `elements` of `scores`, of `output` and, where the softmax before dropout is kept, of `probabilities`.
    /// Requirements and panics as for [`Dropout::bind`](crate::Dropout::bind). The kernel takes four storage buffers, and
    /// one more for sample ids or a packed mask; WebGPU allows 8, wgpu's downlevel limits 4.
    ///
    /// # Errors
    ///
    /// See [`BindError`]; nothing was created then.
    pub fn bind<'a>(
        &self,
        softmax: Softmax,
        mask: AttentionMask<AdditiveMask<'_>>,
        scores: wgpu::BufferBinding<'a>,
        output: wgpu::BufferBinding<'a>,
        probabilities: Option<wgpu::BufferBinding<'a>>,
        elements: impl Into<Elements<'a>>,
    ) -> Result<SoftmaxDropoutBinding, BindError> {
        let ranges = [Some((Role::Input, scores)), Some((Role::Output, output))];
        let kept = probabilities.map(|range| (Role::Probabilities, range));
        let ranges = ranges.into_iter().chain([kept]).flatten().collect();
        self.bind_all(SoftmaxForm::Forward, softmax, mask, ranges, elements.into())
            .map(SoftmaxDropoutBinding)
    }

    /// Binds `elements` of `data`, scores that the output overwrites, and of `probabilities` as [`bind`](Self::bind).
    /// Storage buffers, requirements and panics as there.
    ///
    /// # Errors
    ///
    /// See [`BindError`]; nothing was created then.
    pub fn bind_in_place<'a>(
        &self,
        softmax: Softmax,
        mask: AttentionMask<AdditiveMask<'_>>,
        data: wgpu::BufferBinding<'a>,
        probabilities: Option<wgpu::BufferBinding<'a>>,
        elements: impl Into<Elements<'a>>,
    ) -> Result<SoftmaxDropoutBinding, BindError> {
        let kept = probabilities.map(|range| (Role::Probabilities, range));
        let ranges = [(Role::Output, data)].into_iter().chain(kept).collect();
        self.bind_all(SoftmaxForm::Forward, softmax, mask, ranges, elements.into())
            .map(SoftmaxDropoutBinding)
    }

    /// Binds `elements` of what the forward left, of `grad_output` and of `grad_scores`. `softmax` and `mask` are the
    /// forward's. Storage buffers, requirements and panics as for [`bind`](Self::bind).
    ///
    /// # Errors
    ///
    /// See [`BindError`]; nothing was created then.
    pub fn bind_backward<'a>(
        &self,
        softmax: Softmax,
        mask: AttentionMask<AdditiveMask<'_>>,
        saved: SavedSoftmax<wgpu::BufferBinding<'a>>,
        grad_output: wgpu::BufferBinding<'a>,
        grad_scores: wgpu::BufferBinding<'a>,
        elements: impl Into<Elements<'a>>,
    ) -> Result<SoftmaxDropoutGradient, BindError> {
        let ranges = vec![
            (Role::Gradient, grad_output),
            (saved_role(&saved), saved.into_inner()),
            (Role::Output, grad_scores),
        ];
        self.bind_all(
            SoftmaxForm::Gradient,
            softmax,
            mask,
            ranges,
            elements.into(),
        )
        .map(SoftmaxDropoutGradient)
    }

    /// Binds `elements` of what the forward left and of `grad`, the gradient of the output, which that of the scores
    /// overwrites. The rest as for [`bind_backward`](Self::bind_backward).
    ///
    /// # Errors
    ///
    /// See [`BindError`]; nothing was created then.
    pub fn bind_backward_in_place<'a>(
        &self,
        softmax: Softmax,
        mask: AttentionMask<AdditiveMask<'_>>,
        saved: SavedSoftmax<wgpu::BufferBinding<'a>>,
        grad: wgpu::BufferBinding<'a>,
        elements: impl Into<Elements<'a>>,
    ) -> Result<SoftmaxDropoutGradient, BindError> {
        let ranges = vec![
            (saved_role(&saved), saved.into_inner()),
            (Role::Output, grad),
        ];
        self.bind_all(
            SoftmaxForm::Gradient,
            softmax,
            mask,
            ranges,
            elements.into(),
        )
        .map(SoftmaxDropoutGradient)
    }

    fn bind_all<'a>(
        &self,
        form: SoftmaxForm,
        softmax: Softmax,
        mask: AttentionMask<AdditiveMask<'_>>,
        ranges: Vec<(Role, wgpu::BufferBinding<'a>)>,
        elements: Elements<'a>,
    ) -> Result<Bound, BindError> {
        let Described {
            element,
            map,
            len,
            side,
        } = elements.describe(&self.host)?;
        let numbers = mask.clone().map(|mask| mask.len);
        softmax.check(len, numbers.map(u64::from))?;
        let ranges = ranges
            .iter()
            .map(|(role, buffer)| self.host.checked(*role, buffer, len, element.bytes()))
            .collect::<Result<Vec<_>, _>>()?;
        BufferLayout::of(&ranges)?;
        let has = |role| ranges.iter().any(|range| range.role == role);
        let first = match form {
            SoftmaxForm::Forward => Role::Input,
            SoftmaxForm::Gradient => Role::Gradient,
        };
        let in_output = if has(first) { 0 } else { IN_OUTPUT };
        let probabilities = if has(Role::Probabilities) {
            PROBABILITIES
        } else {
            0
        };
        let mut sides: Vec<_> = side.into_iter().collect();
        if let AttentionMask::Additive(mask) = &mask {
            let bytes = size_of::<f32>() as u64;
            let range = self
                .host
                .checked(Role::Vectors, &mask.buffer, mask.len.into(), bytes)?;
            self.host.check_whole(&range)?;
            sides.push(range);
        }
        CheckedRange::check_unwritten(&sides, &ranges)?;
        // The backward reads either as its input.
        let ranges: Vec<_> = ranges
            .into_iter()
            .map(|range| match (form, range.role) {
                (SoftmaxForm::Gradient, Role::Probabilities) => range.with_role(Role::Input),
                _ => range,
            })
            .collect();
        let tensor = SoftmaxTensor {
            softmax,
            rows: Rows {
                element,
                columns: softmax.columns(),
            },
            mask: numbers,
            form,
            flags: in_output | probabilities,
            map,
        };
        let kernel = tensor.any_kernel();
        let is_bound = |role| ranges.iter().chain(&sides).any(|range| range.role == role);
        let roles = [first, Role::Probabilities, Role::Vectors];
        let unused: Vec<_> = roles
            .into_iter()
            .filter(|role| !is_bound(*role))
            // One each, since some are bound as written.
            .map(|role| (role, self.host.unused_buffer()))
            .collect();
        let unused: Vec<_> = unused
            .iter()
            .map(|(role, buffer)| (*role, buffer.as_entire_buffer_binding()))
            .collect();
        for (role, buffer) in &unused {
            sides.push(self.host.checked(*role, buffer, 4, 4)?);
        }
        let segments = tensor.rows.segments(self.limits, len)?;
        let segments = self
            .host
            .bind(kernel, segments, &ranges, &sides, |segment| {
                Some(tensor.map.params_of_any(segment.start))
            })?;
        Ok(Bound { tensor, segments })
    }

    /// Records outputs, and probabilities if they are bound. Sets the same state of the pass as
    /// [`Dropout::encode_forward`](crate::Dropout::encode_forward). A rate of 0 draws nothing: inference is this with
    /// [`DropoutRate::ZERO`](crate::DropoutRate::ZERO).
    ///
    /// # Errors
    ///
    /// [`CallError::Kind`] for alpha and Gaussian dropout, [`CallError::IndexOverflow`] if a mask index passes
    /// 2^64 - 1. Nothing was recorded then.
    pub fn encode_forward(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        binding: &SoftmaxDropoutBinding,
        call: &DropoutCall,
    ) -> Result<(), CallError> {
        self.encode(pass, &binding.0, call)
    }

    /// Records the gradient of the scores \[M26\]. Effects as for [`encode_forward`](Self::encode_forward).
    ///
    /// # Errors
    ///
    /// As [`encode_forward`](Self::encode_forward).
    pub fn encode_backward(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        gradient: &SoftmaxDropoutGradient,
        call: &DropoutCall,
    ) -> Result<(), CallError> {
        self.encode(pass, &gradient.0, call)
    }

    /// Compiles the pipeline of [`encode_forward`](Self::encode_forward) with this `binding` and `call`, as
    /// [`Dropout::compile`](crate::Dropout::compile) does.
    ///
    /// # Errors
    ///
    /// See [`CallError`]; nothing was compiled then.
    pub fn compile(
        &self,
        binding: &SoftmaxDropoutBinding,
        call: &DropoutCall,
    ) -> Result<(), CallError> {
        self.compile_all(&binding.0, call)
    }

    /// Compiles the pipeline of [`encode_backward`](Self::encode_backward) likewise.
    ///
    /// # Errors
    ///
    /// See [`CallError`]; nothing was compiled then.
    pub fn compile_backward(
        &self,
        gradient: &SoftmaxDropoutGradient,
        call: &DropoutCall,
    ) -> Result<(), CallError> {
        self.compile_all(&gradient.0, call)
    }

    fn compile_all(&self, bound: &Bound, call: &DropoutCall) -> Result<(), CallError> {
        self.host
            .compile(SoftmaxPlan::new(&bound.tensor, call)?.kernel());
        Ok(())
    }

    fn encode(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        bound: &Bound,
        call: &DropoutCall,
    ) -> Result<(), CallError> {
        let Bound { tensor, segments } = bound;
        let plan = SoftmaxPlan::new(tensor, call)?;
        for bound in segments {
            let params = plan.params(bound.segment, bound.first_word);
            self.host.dispatch(
                pass,
                plan.kernel(),
                &bound.group,
                bytemuck::bytes_of(&params),
                tensor.rows.workgroups(bound.segment) * WORKGROUP_SIZE,
            );
        }
        Ok(())
    }
}

/// The role in which the backward reads the saved tensor.
fn saved_role<B>(saved: &SavedSoftmax<B>) -> Role {
    match saved {
        SavedSoftmax::Scores(_) => Role::Input,
        SavedSoftmax::Probabilities(_) => Role::Probabilities,
    }
}
