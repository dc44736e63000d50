//! A softmax and a dropout in one pass.

use crate::contract::call::DropoutCall;
use crate::contract::effect::Direction;
use crate::contract::error::CallError;
use crate::contract::softmax::{AttentionMask, SavedSoftmax, Softmax};
use crate::host::bound::BoundSegment;
use crate::host::device::{KernelDescriptor, KernelHost, cut_limits};
use crate::host::elements::{Described, Elements};
use crate::host::error::BindError;
use crate::host::params::ParameterPath;
use crate::host::range::CheckedRange;
use crate::kernel::axes::{BufferLayout, Role, WORKGROUP_SIZE};
use crate::plan::cut::CutLimits;
use crate::plan::error::CreateError;
use crate::plan::params::SoftmaxParams;
use crate::plan::rows::Rows;
use crate::plan::softmaxed::{IN_OUTPUT, SoftmaxPlan, SoftmaxTensor, form_and_flags};

/// `output = dropout(softmax(factor * scores + mask))` over the last dimension in one dispatch, and
/// its gradient. This is the part of attention between its two matrix products.
///
/// An output is within the bound of \[M26\]. Arithmetic is in `f32` for every type. Masks are those
/// of [`Dropout`](crate::Dropout) for the same call and elements. On one device, a row's result has
/// the same bits in every batch and in every run.
///
/// For each element of `f32` the forward reads 4 bytes and writes 4; a factor, a mask, a softmax
/// and a dropout in passes of their own move 36. The backward moves 12. Types of 16 bits take half
/// of that. These figures count each tensor once. A workgroup reads its rows more than once. They
/// are one row, or take at most 32 KiB in all, so that a cache may still have them at the next
/// reading.
///
/// Columns that a causal mask hides are left out: output and gradient are +0 there, whatever the
/// scores. A row whose visible scores are all -inf is uniform over its visible columns, and a row
/// without a visible column is +0. A visible NaN makes the visible, kept elements of its row NaN.
/// Magnitudes above 1.7e38 count as 1.7e38.
///
/// The backward gives the gradient of the scores before the factor. The caller chooses what it
/// starts from. If it starts from the scores, nothing else has to be kept. If it starts from
/// probabilities that the forward stored, it saves one reading of the row and the exponentials, but
/// the probabilities take as much memory as the scores.
///
/// An additive mask may be trained, as a bias by relative position is. To get the gradient of one
/// of its numbers, add the scores' gradients over all rows to which the number was added, and
/// divide by the factor. The factor must not be 0 then. [`ColumnSums`](crate::ColumnSums) computes
/// the sum: give it the scores' gradient as a matrix with as many columns as the mask has numbers.
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
/// `min_storage_buffer_offset_alignment`, and 4 bytes a number, all in one binding. No tensor of
/// the operation may lie in this buffer.
#[derive(Clone, Debug)]
pub struct AdditiveMask<'a> {
    buffer: wgpu::BufferBinding<'a>,
    len: u32,
}

impl<'a> AdditiveMask<'a> {
    /// An additive mask of `len` numbers.
    pub const fn new(buffer: wgpu::BufferBinding<'a>, len: u32) -> Self {
        Self { buffer, len }
    }
}

/// Checked buffers of one softmax, ready for any number of calls; made by [`SoftmaxDropout::bind`]
/// and [`SoftmaxDropout::bind_in_place`]. Its lifetime and its device are as for a
/// [`DropoutBinding`](crate::DropoutBinding).
#[derive(Debug)]
pub struct SoftmaxDropoutBinding(Bound);

/// Checked buffers of the gradient of one softmax, ready for any number of calls; made by
/// [`SoftmaxDropout::bind_backward`] and [`SoftmaxDropout::bind_backward_in_place`]. Its lifetime
/// and its device are as for a [`DropoutBinding`](crate::DropoutBinding).
#[derive(Debug)]
pub struct SoftmaxDropoutGradient(Bound);

#[derive(Debug)]
struct Bound {
    tensor: SoftmaxTensor,
    segments: Vec<BoundSegment>,
}

impl SoftmaxDropout {
    /// Prepares the kernels for `device`. The device needs no feature, and no limit above
    /// [`wgpu::Limits::downlevel_defaults`].
    ///
    /// # Errors
    ///
    /// [`CreateError::Limit`] if the device's limits are lower than the kernels need.
    pub fn new(
        device: &wgpu::Device,
        descriptor: &KernelDescriptor<'_>,
    ) -> Result<Self, CreateError> {
        // Four storage buffers: three ranges and an additive mask. Two bindings more: a layout, and
        // a packed mask or sample ids.
        let host = KernelHost::new(device, descriptor, 4, 6, size_of::<SoftmaxParams>())?;
        let limits = cut_limits(device);
        Ok(Self { host, limits })
    }

    /// The device the kernels are for.
    pub fn device(&self) -> &wgpu::Device {
        &self.host.device
    }

    /// Returns the way in which dispatches receive their parameters, with the reason if it is not
    /// by immediates. Recording takes 7 to 21 times as long without them.
    pub fn parameter_path(&self) -> ParameterPath {
        self.host.parameter_path
    }

    /// For an audit: the same pipelines as on a device whose dispatches take at most `granules`,
    /// with bindings that show `room_bytes` behind their elements.
    #[cfg(feature = "cpu")]
    pub(crate) fn lowered(&self, granules: u64, room_bytes: u64) -> Self {
        let alignment_bytes = u64::from(self.limits.offset_alignment_bytes);
        let mut limits = self.limits;
        let lowered = granules.saturating_mul(alignment_bytes);
        limits.max_binding_bytes = limits.max_binding_bytes.min(lowered);
        let host = self.host.with_room(room_bytes);
        Self { host, limits }
    }

    /// Binds `elements` of `scores`, of `output` and of `probabilities`. The forward stores the
    /// softmax before dropout in `probabilities`, if it is given. Requirements and panics as for
    /// [`Dropout::bind`](crate::Dropout::bind). The kernel takes four storage buffers, and one more
    /// for sample ids or a packed mask; WebGPU allows 8, wgpu's downlevel limits 4.
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
        self.bind_all(Direction::Forward, softmax, mask, ranges, elements.into())
            .map(SoftmaxDropoutBinding)
    }

    /// Binds `elements` of `data`, whose scores the output overwrites, and of `probabilities` as in
    /// [`bind`](Self::bind). Storage buffers, requirements and panics are those of
    /// [`bind`](Self::bind).
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
        self.bind_all(Direction::Forward, softmax, mask, ranges, elements.into())
            .map(SoftmaxDropoutBinding)
    }

    /// Binds `elements` of `saved`, which the forward left, of `grad_output` and of `grad_scores`.
    /// `softmax` and `mask` are the forward's. Storage buffers, requirements and panics as for
    /// [`bind`](Self::bind).
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
        self.bind_all(Direction::Backward, softmax, mask, ranges, elements.into())
            .map(SoftmaxDropoutGradient)
    }

    /// Binds `elements` of `saved`, which the forward left, and of `grad`. `grad` is the gradient
    /// of the output and is overwritten by the gradient of the scores. All else is as in
    /// [`bind_backward`](Self::bind_backward).
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
        self.bind_all(Direction::Backward, softmax, mask, ranges, elements.into())
            .map(SoftmaxDropoutGradient)
    }

    fn bind_all<'a>(
        &self,
        direction: Direction,
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
        let first = match direction {
            Direction::Forward => Role::Input,
            Direction::Backward => Role::Gradient,
        };
        let in_output = if has(first) { 0 } else { IN_OUTPUT };
        let (form, flags) = form_and_flags(direction, has(Role::Probabilities));
        let mut sides: Vec<_> = side.into_iter().collect();
        if let AttentionMask::Additive(mask) = &mask {
            let bytes = size_of::<f32>() as u64;
            let range = self
                .host
                .checked(Role::Vectors, &mask.buffer, mask.len.into(), bytes)?;
            self.host.check_whole(&range)?;
            sides.push(range);
        }
        // All ranges are bound as written, so that they may lie in one buffer.
        CheckedRange::check_unwritten(&sides, &ranges)?;
        // The backward's kernel has one input, which is either the scores or the probabilities.
        let ranges: Vec<_> = ranges
            .into_iter()
            .map(|range| match (direction, range.role) {
                (Direction::Backward, Role::Probabilities) => range.with_role(Role::Input),
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
            flags: in_output | flags,
            map,
        };
        let kernel = tensor.any_kernel();
        let is_bound = |role| ranges.iter().chain(&sides).any(|range| range.role == role);
        let roles = [first, Role::Probabilities, Role::Vectors];
        let unused: Vec<_> = roles
            .into_iter()
            .filter(|role| !is_bound(*role))
            // Each role gets a buffer of its own, since some are bound as written.
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

    /// Records the outputs, and the probabilities if a range for them is bound. It sets the same
    /// state of the pass as [`Dropout::encode_forward`](crate::Dropout::encode_forward). A rate of
    /// 0 makes no mask: call this with [`DropoutRate::ZERO`](crate::DropoutRate::ZERO) for
    /// inference.
    ///
    /// # Errors
    ///
    /// [`CallError::Kind`] for alpha and Gaussian dropout, [`CallError::IndexOverflow`] if a mask
    /// index passes 2^64 - 1. Nothing was recorded then.
    pub fn encode_forward(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        binding: &SoftmaxDropoutBinding,
        call: &DropoutCall,
    ) -> Result<(), CallError> {
        self.encode(pass, &binding.0, call)
    }

    /// Records the gradient of the scores \[M26\]. It affects the pass as
    /// [`encode_forward`](Self::encode_forward) does.
    ///
    /// # Errors
    ///
    /// See [`encode_forward`](Self::encode_forward).
    pub fn encode_backward(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        gradient: &SoftmaxDropoutGradient,
        call: &DropoutCall,
    ) -> Result<(), CallError> {
        self.encode(pass, &gradient.0, call)
    }

    /// Compiles the pipeline of [`encode_forward`](Self::encode_forward) with this `binding` and
    /// `call`, as [`Dropout::compile`](crate::Dropout::compile) does.
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

    /// Compiles the pipeline of [`encode_backward`](Self::encode_backward), as
    /// [`compile`](Self::compile) does for the forward.
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
