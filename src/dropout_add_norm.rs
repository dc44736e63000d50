//! A residual plus a branch with dropout, and the norm of the sum, in one pass.

use crate::column_sums::{BoundSum, ColumnSums, SumBuffers};
use crate::contract::call::DropoutCall;
use crate::contract::element::ElementType;
use crate::contract::error::CallError;
use crate::contract::norm::{MaskPlace, Norm};
use crate::host::bound::BoundSegment;
use crate::host::device::{KernelDescriptor, KernelHost, cut_limits};
use crate::host::elements::{Described, Elements};
use crate::host::error::BindError;
use crate::host::params::ParameterPath;
use crate::host::range::CheckedRange;
use crate::kernel::axes::{BufferLayout, Kernel, Role, WORKGROUP_SIZE};
use crate::kernel::normed::NormForm;
use crate::plan::columns::{ColumnTensor, Matrix, SummedTerms};
use crate::plan::cut::CutLimits;
use crate::plan::error::{CreateError, ShapeError};
use crate::plan::normed::{HAS_RESIDUAL, NormPlan, NormRows, NormTensor, SUM_IN_OUTPUT};
use crate::plan::params::NormParams;
use crate::plan::rows::Rows;

/// `sum = residual + dropout(input + bias)` and `output = norm(sum)` in one dispatch, and their
/// gradients. A transformer's block ends its attention and its feed-forward network with such a
/// sum, and a norm comes next. With [`MaskPlace::Output`] the dropout is applied to the norm,
/// `output = dropout(norm(residual + input + bias))`, as for BERT's embeddings.
///
/// A sum has the bits of \[M23\], and an output is within the bound of \[M25\]. Mean and deviation
/// are taken from the sum as it is stored. The deviation is computed in a second pass over the row,
/// so that a row keeps its digits even if its mean is 1e5 times its deviation. Masks are those of
/// [`Dropout`](crate::Dropout) for the same call and elements. On one device, a row's result has
/// the same bits in every batch and in every run.
///
/// For each element of `f32` the forward reads 8 bytes and writes 8; a bias, a dropout, an addition
/// and a norm in passes of their own move 36. The backward moves 16, or 20 if its result is added
/// to a gradient. Types of 16 bits take half of that. These figures count each tensor once. A
/// workgroup reads its rows more than once. They are one row, or take at most 32 KiB in all, so
/// that a cache may still have them at the next reading.
///
/// The backward starts from the sum, so that nothing else has to be kept. It gives two gradients.
/// The first is the gradient of the sum, which is the residual's gradient too. The second is the
/// masked gradient. It is the input's gradient with [`MaskPlace::Branch`], and the gradient of the
/// norm's output with [`MaskPlace::Output`]. The gradient of γ comes from
/// [`bind_gamma_gradient`](Self::bind_gamma_gradient). Two gradients are [sums of
/// columns](ColumnSums): for β, sum the columns of the gradient of the norm's output; for a bias,
/// sum those of the input's gradient.
///
/// ```no_run
/// # fn record(device: &wgpu_dropout::wgpu::Device, pass: &mut wgpu_dropout::wgpu::ComputePass<'_>, [x, stream, y, numbers, dy, dstream]: &[wgpu_dropout::wgpu::Buffer; 6]) -> Result<(), Box<dyn std::error::Error>> {
/// use wgpu_dropout::{DropoutAddNorm, DropoutCall, DropoutRate, KernelDescriptor, MaskKey, MaskPlace, Norm, NormVectors};
///
/// let norm = Norm::layer(1e-5)?;
/// let add_norm = DropoutAddNorm::new(device, &KernelDescriptor::default(), norm, MaskPlace::Branch)?;
/// let [x, stream, y, dy, dstream] = [x, stream, y, dy, dstream].map(|buffer| buffer.as_entire_buffer_binding());
/// // 768 numbers of a bias, of γ and of β.
/// let numbers = NormVectors::with_bias(numbers.as_entire_buffer_binding(), 768, 768);
/// let elements = 64 * 768;
/// let forward = add_norm.bind_in_place(x, stream.clone(), y, numbers.clone(), elements)?;
/// let backward = add_norm.bind_backward_in_place(dy, stream, dstream, numbers, elements)?;
/// let call = DropoutCall::new(DropoutRate::new(0.1)?, MaskKey::layer_step(42, 3, 7));
/// add_norm.encode_forward(pass, &forward, &call)?;
/// add_norm.encode_backward(pass, &backward, &call, false)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct DropoutAddNorm {
    host: KernelHost,
    sums: ColumnSums,
    limits: CutLimits,
    norm: Norm,
    place: MaskPlace,
}

/// The `f32` numbers beside a norm in one buffer: a bias if there is one, then γ, then β, which an
/// RMS norm does not have. γ and β have a number for each column. A bias is repeated over the
/// elements, so that a table of position embeddings is a bias of as many rows as there are
/// positions.
///
/// The buffer needs [`STORAGE`](wgpu::BufferUsages::STORAGE), an offset aligned to the device's
/// `min_storage_buffer_offset_alignment`, and 4 bytes a number. The operation must not write to it.
/// The kernel loads 16 bytes at a time if mask indices are consecutive, and both `columns` and the
/// length of the bias are multiples of 4, or of 8 for types of 16 bits.
#[derive(Clone, Debug)]
pub struct NormVectors<'a> {
    buffer: wgpu::BufferBinding<'a>,
    columns: u32,
    bias: Option<u32>,
}

impl<'a> NormVectors<'a> {
    /// γ and β for rows of `columns` elements.
    pub const fn new(buffer: wgpu::BufferBinding<'a>, columns: u32) -> Self {
        Self {
            buffer,
            columns,
            bias: None,
        }
    }

    /// A bias of `bias_len` numbers, and γ and β behind it.
    pub const fn with_bias(buffer: wgpu::BufferBinding<'a>, columns: u32, bias_len: u32) -> Self {
        Self {
            buffer,
            columns,
            bias: Some(bias_len),
        }
    }
}

/// Checked buffers of one sum and its norm, ready for any number of calls; made by
/// [`DropoutAddNorm::bind`] and [`DropoutAddNorm::bind_in_place`]. Its lifetime and its device are
/// as for a [`DropoutBinding`](crate::DropoutBinding).
#[derive(Debug)]
pub struct DropoutAddNormBinding(Bound);

/// Checked buffers of the gradients of one sum and its norm, ready for any number of calls; made by
/// [`DropoutAddNorm::bind_backward`] and [`DropoutAddNorm::bind_backward_in_place`]. Its lifetime
/// and its device are as for a [`DropoutBinding`](crate::DropoutBinding).
#[derive(Debug)]
pub struct DropoutAddNormGradient(Bound);

/// Checked buffers of the gradient of γ, made by [`DropoutAddNorm::bind_gamma_gradient`]. Its
/// lifetime and its device are as for a [`DropoutBinding`](crate::DropoutBinding).
#[derive(Debug)]
pub struct GammaGradient {
    rows: NormRows,
    moments: Vec<BoundSegment>,
    sum: BoundSum,
}

/// The buffers that the gradient of γ is computed from, and the one that it is written to.
#[derive(Clone, Debug)]
pub struct GammaBuffers<'a> {
    /// The gradient of the norm's output. With [`MaskPlace::Branch`] this is the gradient of the
    /// forward's output, which the backward must not have overwritten. With [`MaskPlace::Output`]
    /// it is the masked gradient that the backward wrote.
    pub grad_normed: wgpu::BufferBinding<'a>,
    /// The forward's sum.
    pub sum: wgpu::BufferBinding<'a>,
    /// Scratch memory of [`DropoutAddNorm::moments_bytes`].
    pub moments: wgpu::BufferBinding<'a>,
    /// Scratch memory of [`ColumnSums::scratch_bytes`].
    pub scratch: wgpu::BufferBinding<'a>,
    /// The result: 4 bytes for each column.
    pub grad_gamma: wgpu::BufferBinding<'a>,
}

#[derive(Debug)]
struct Bound {
    tensor: NormTensor,
    segments: Vec<BoundSegment>,
}

impl DropoutAddNorm {
    /// Prepares the kernels for `device`. The device needs no feature, and no limit above
    /// [`wgpu::Limits::downlevel_defaults`].
    ///
    /// # Errors
    ///
    /// [`CreateError::Limit`] if the device's limits are lower than the kernels need.
    pub fn new(
        device: &wgpu::Device,
        descriptor: &KernelDescriptor<'_>,
        norm: Norm,
        place: MaskPlace,
    ) -> Result<Self, CreateError> {
        // Four storage buffers: three ranges and vectors. Three bindings more: a fourth range, a
        // layout, and a mask or sample ids.
        let host = KernelHost::new(device, descriptor, 4, 7, size_of::<NormParams>())?;
        Ok(Self {
            sums: ColumnSums::new(device, descriptor)?,
            limits: cut_limits(device),
            host,
            norm,
            place,
        })
    }

    /// The device the kernels are for.
    pub fn device(&self) -> &wgpu::Device {
        &self.host.device
    }

    /// The norm.
    pub fn norm(&self) -> Norm {
        self.norm
    }

    /// The tensor to which dropout is applied.
    pub fn place(&self) -> MaskPlace {
        self.place
    }

    /// Returns the way in which dispatches receive their parameters, with the reason if it is not
    /// by immediates. Recording takes 7 to 21 times as long without them.
    pub fn parameter_path(&self) -> ParameterPath {
        self.host.parameter_path
    }

    /// Bytes of the scratch memory for the moments of `rows`, or `u64::MAX` if they pass that.
    /// After the gradient of γ its content is of no further use.
    pub const fn moments_bytes(rows: u64) -> u64 {
        rows.saturating_mul(12)
    }

    /// For an audit: the same pipelines as on a device whose dispatches take at most `granules`,
    /// with bindings that show `room_bytes` behind their elements.
    #[cfg(feature = "cpu")]
    pub(crate) fn lowered(&self, granules: u64, room_bytes: u64) -> Self {
        Self {
            host: self.host.with_room(room_bytes),
            sums: self.sums.lowered(granules, room_bytes),
            limits: self.limits.lowered(granules),
            ..*self
        }
    }

    /// Binds `elements` of `input`, of `residual`, of `sum` and of `output`. Without `residual`, +0
    /// is added. Without `sum`, the sum is not stored, and no backward is possible. Requirements
    /// and panics as for [`Dropout::bind`](crate::Dropout::bind). The kernel takes four storage
    /// buffers, a fifth if there are both a residual and a sum, and one more for sample ids or a
    /// packed mask. WebGPU allows 8, wgpu's downlevel limits 4.
    ///
    /// # Errors
    ///
    /// See [`BindError`]; nothing was created then.
    pub fn bind<'a>(
        &self,
        input: wgpu::BufferBinding<'a>,
        residual: Option<wgpu::BufferBinding<'a>>,
        sum: Option<wgpu::BufferBinding<'a>>,
        output: wgpu::BufferBinding<'a>,
        vectors: NormVectors<'_>,
        elements: impl Into<Elements<'a>>,
    ) -> Result<DropoutAddNormBinding, BindError> {
        let is_apart = residual.is_some() && sum.is_some();
        let form = match is_apart {
            true => NormForm::ForwardApart,
            false => NormForm::Forward,
        };
        let residual_flag = if residual.is_some() { HAS_RESIDUAL } else { 0 };
        let sum_flag = if sum.is_some() { 0 } else { SUM_IN_OUTPUT };
        let residual = residual.map(|residual| (Role::Residual, residual));
        let sum = sum.map(|sum| (Role::Sum, sum));
        let ranges: Vec<_> = [(Role::Input, input)]
            .into_iter()
            .chain(residual)
            .chain(sum)
            .chain([(Role::Output, output)])
            .collect();
        let flags = residual_flag | sum_flag;
        let bound = self.bind_all(form, flags, &ranges, vectors, elements.into())?;
        Ok(DropoutAddNormBinding(bound))
    }

    /// Binds `elements` of `input`, of `residual`, which is overwritten by the sum, and of
    /// `output`. The kernel takes four storage buffers, and one more for sample ids or a packed
    /// mask. Requirements, errors and panics as for [`bind`](Self::bind).
    ///
    /// # Errors
    ///
    /// See [`BindError`]; nothing was created then.
    pub fn bind_in_place<'a>(
        &self,
        input: wgpu::BufferBinding<'a>,
        residual: wgpu::BufferBinding<'a>,
        output: wgpu::BufferBinding<'a>,
        vectors: NormVectors<'_>,
        elements: impl Into<Elements<'a>>,
    ) -> Result<DropoutAddNormBinding, BindError> {
        let ranges = [
            (Role::Input, input),
            (Role::Sum, residual),
            (Role::Output, output),
        ];
        let form = NormForm::Forward;
        let bound = self.bind_all(form, HAS_RESIDUAL, &ranges, vectors, elements.into())?;
        Ok(DropoutAddNormBinding(bound))
    }

    /// Binds `elements` of `grad_output`, of the forward's `sum`, of `grad_sum` and of `masked`,
    /// which receives the masked gradient. This is the input's gradient with [`MaskPlace::Branch`],
    /// and the gradient of the norm's output with [`MaskPlace::Output`]. `vectors` are the
    /// forward's. The kernel takes five storage buffers, and one more for sample ids or a packed
    /// mask. Requirements, errors and panics as for [`bind`](Self::bind).
    ///
    /// # Errors
    ///
    /// See [`BindError`]; nothing was created then.
    pub fn bind_backward<'a>(
        &self,
        grad_output: wgpu::BufferBinding<'a>,
        sum: wgpu::BufferBinding<'a>,
        grad_sum: wgpu::BufferBinding<'a>,
        masked: wgpu::BufferBinding<'a>,
        vectors: NormVectors<'_>,
        elements: impl Into<Elements<'a>>,
    ) -> Result<DropoutAddNormGradient, BindError> {
        let ranges = [
            (Role::Gradient, grad_output),
            (Role::Sum, sum),
            (Role::Output, grad_sum),
            (Role::Masked, masked),
        ];
        let form = NormForm::GradientApart;
        let bound = self.bind_all(form, 0, &ranges, vectors, elements.into())?;
        Ok(DropoutAddNormGradient(bound))
    }

    /// Binds `elements` of `grad`, of the forward's `sum` and of `grad_sum`. `grad` is the gradient
    /// of the output and is overwritten by the masked gradient. The kernel takes four storage
    /// buffers, and one more for sample ids or a packed mask. With [`MaskPlace::Branch`], record
    /// the gradient of γ before this backward overwrites `grad`, since the gradient of γ is
    /// computed from it too. Requirements, errors and panics as for
    /// [`bind_backward`](Self::bind_backward).
    ///
    /// # Errors
    ///
    /// See [`BindError`]; nothing was created then.
    pub fn bind_backward_in_place<'a>(
        &self,
        grad: wgpu::BufferBinding<'a>,
        sum: wgpu::BufferBinding<'a>,
        grad_sum: wgpu::BufferBinding<'a>,
        vectors: NormVectors<'_>,
        elements: impl Into<Elements<'a>>,
    ) -> Result<DropoutAddNormGradient, BindError> {
        let ranges = [
            (Role::Gradient, grad),
            (Role::Sum, sum),
            (Role::Output, grad_sum),
        ];
        let form = NormForm::Gradient;
        let bound = self.bind_all(form, 0, &ranges, vectors, elements.into())?;
        Ok(DropoutAddNormGradient(bound))
    }

    fn bind_all(
        &self,
        form: NormForm,
        flags: u32,
        ranges: &[(Role, wgpu::BufferBinding<'_>)],
        vectors: NormVectors<'_>,
        elements: Elements<'_>,
    ) -> Result<Bound, BindError> {
        let Described {
            element,
            map,
            len,
            side,
        } = elements.describe(&self.host)?;
        let rows = self.rows(len, vectors.columns, element)?;
        let ranges = ranges
            .iter()
            .map(|(role, buffer)| self.host.checked(*role, buffer, len, element.bytes()))
            .collect::<Result<Vec<_>, _>>()?;
        BufferLayout::of(&ranges)?;
        let bias_len = vectors.bias.unwrap_or(0);
        let of_norm = if self.norm.is_rms() { 1 } else { 2 };
        let count = u64::from(bias_len) + of_norm * u64::from(vectors.columns);
        let numbers = self
            .host
            .checked_numbers(&vectors.buffer, count, vectors.bias, len)?;
        let mut sides: Vec<_> = side.into_iter().chain([numbers]).collect();
        CheckedRange::check_unwritten(&sides, &ranges)?;
        // This kernel has one binding for residual and sum. If there is only a residual, it is
        // bound as the sum.
        let ranges: Vec<_> = ranges
            .into_iter()
            .map(|range| match (form, range.role) {
                (NormForm::Forward, Role::Residual) => range.with_role(Role::Sum),
                _ => range,
            })
            .collect();
        let unused = self.host.unused_buffer();
        let unused = unused.as_entire_buffer_binding();
        if ranges.iter().all(|range| range.role != Role::Sum) {
            sides.push(self.host.checked(Role::Sum, &unused, 4, 4)?);
        }
        let tensor = NormTensor {
            rows,
            form,
            place: self.place,
            bias_len,
            flags,
            map,
        };
        let segments = rows.rows.segments(self.limits, len)?;
        let segments =
            self.host
                .bind(tensor.any_kernel(), segments, &ranges, &sides, |segment| {
                    Some(tensor.map.params_of_any(segment.start))
                })?;
        Ok(Bound { tensor, segments })
    }

    /// The rows of `columns` numbers that make up `elements`.
    fn rows(
        &self,
        elements: u64,
        columns: u32,
        element: ElementType,
    ) -> Result<NormRows, ShapeError> {
        Ok(NormRows {
            norm: self.norm,
            rows: Rows::new(element, columns, elements)?,
        })
    }

    /// Binds the buffers of the gradient of γ for tensors of (rows, columns). Moments, scratch and
    /// the result each lie in a buffer of their own. Requirements and panics as for
    /// [`bind`](Self::bind). The kernels take four storage buffers.
    ///
    /// # Errors
    ///
    /// See [`BindError`]; nothing was created then.
    pub fn bind_gamma_gradient(
        &self,
        buffers: GammaBuffers<'_>,
        (rows, columns): (u64, u32),
        element: ElementType,
    ) -> Result<GammaGradient, BindError> {
        let host = &self.host;
        let matrix = Matrix { rows, columns };
        let len = matrix.elements();
        let rows = self.rows(len, columns, element)?;
        let sum = host.checked(Role::Sum, &buffers.sum, len, element.bytes())?;
        let grad = host.checked(Role::Gradient, &buffers.grad_normed, len, element.bytes())?;
        let numbers = Self::moments_bytes(matrix.rows) / 4;
        let moments = host.checked(Role::Moments, &buffers.moments, numbers, 4)?;
        host.check_whole(&moments)?;
        if moments.same_buffer(&sum) || moments.same_buffer(&grad) {
            return Err(BindError::WrittenBuffer { role: moments.role });
        }
        let segments = rows.rows.segments(self.limits, len)?;
        let bound = host.bind(
            Kernel::NormMoments(element),
            segments,
            core::slice::from_ref(&sum),
            core::slice::from_ref(&moments),
            |_| None,
        )?;
        let tensor = ColumnTensor {
            element,
            matrix,
            terms: SummedTerms::Norm,
        };
        let buffers = SumBuffers {
            inputs: vec![sum.with_role(Role::Input), grad],
            sides: vec![moments],
            scratch: buffers.scratch,
            sums: buffers.grad_gamma,
        };
        Ok(GammaGradient {
            rows,
            moments: bound,
            sum: self.sums.bind_terms(tensor, buffers, |_| None)?,
        })
    }

    /// Records the sum and the output. It sets the same state of the pass as
    /// [`Dropout::encode_forward`](crate::Dropout::encode_forward). A rate of 0 makes no mask: call
    /// this with [`DropoutRate::ZERO`](crate::DropoutRate::ZERO) for inference.
    ///
    /// # Errors
    ///
    /// [`CallError::Kind`] for alpha and Gaussian dropout, [`CallError::IndexOverflow`] if a mask
    /// index passes 2^64 - 1. Nothing was recorded then.
    pub fn encode_forward(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        binding: &DropoutAddNormBinding,
        call: &DropoutCall,
    ) -> Result<(), CallError> {
        self.encode(pass, &binding.0, call, false)
    }

    /// Records the gradient of the sum and the masked gradient \[M25\]. With `accumulate` the
    /// gradient of the sum is added to the content of its buffer. A block that begins with its norm
    /// needs this: the buffer then has the gradient that came along the residual. It affects the
    /// pass as [`encode_forward`](Self::encode_forward) does.
    ///
    /// # Errors
    ///
    /// See [`encode_forward`](Self::encode_forward).
    pub fn encode_backward(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        gradient: &DropoutAddNormGradient,
        call: &DropoutCall,
        accumulate: bool,
    ) -> Result<(), CallError> {
        self.encode(pass, &gradient.0, call, accumulate)
    }

    /// Records the gradient of γ \[M25\]. For each column it multiplies the gradient of the norm's
    /// output by the normalised number, and adds these products over the rows, in f32 and in the
    /// order of [`ColumnSums`]. The result replaces the content of `grad_gamma`, or with
    /// `accumulate` is added to it. The forward's sum is read twice, for its moments and for these
    /// products. The backward does not store its moments for this, since its kernel would need one
    /// more buffer. It affects the pass as [`encode_forward`](Self::encode_forward) does.
    pub fn encode_gamma_gradient(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        gradient: &GammaGradient,
        accumulate: bool,
    ) {
        let rows = gradient.rows;
        for bound in &gradient.moments {
            let params = rows.moments_params(bound.segment);
            self.host.dispatch(
                pass,
                Kernel::NormMoments(rows.rows.element),
                &bound.group,
                bytemuck::bytes_of(&params),
                rows.rows.workgroups(bound.segment) * WORKGROUP_SIZE,
            );
        }
        self.sums.encode_sum(pass, &gradient.sum, accumulate);
    }

    /// Compiles the pipeline of [`encode_forward`](Self::encode_forward) with this `binding` and
    /// `call`, as [`Dropout::compile`](crate::Dropout::compile) does.
    ///
    /// # Errors
    ///
    /// See [`CallError`]; nothing was compiled then.
    pub fn compile(
        &self,
        binding: &DropoutAddNormBinding,
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
        gradient: &DropoutAddNormGradient,
        call: &DropoutCall,
    ) -> Result<(), CallError> {
        self.compile_all(&gradient.0, call)
    }

    /// Compiles the pipelines of [`encode_gamma_gradient`](Self::encode_gamma_gradient), as
    /// [`compile`](Self::compile) does for the forward.
    pub fn compile_gamma_gradient(&self, gradient: &GammaGradient) {
        self.host
            .compile(Kernel::NormMoments(gradient.rows.rows.element));
        self.sums.compile_sum(&gradient.sum);
    }

    fn compile_all(&self, bound: &Bound, call: &DropoutCall) -> Result<(), CallError> {
        let plan = NormPlan::new(&bound.tensor, call, false)?;
        self.host.compile(plan.kernel());
        Ok(())
    }

    fn encode(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        bound: &Bound,
        call: &DropoutCall,
        accumulate: bool,
    ) -> Result<(), CallError> {
        let Bound { tensor, segments } = bound;
        let plan = NormPlan::new(tensor, call, accumulate)?;
        for bound in segments {
            let params = plan.params(bound.segment, bound.first_word);
            self.host.dispatch(
                pass,
                plan.kernel(),
                &bound.group,
                bytemuck::bytes_of(&params),
                tensor.rows.rows.workgroups(bound.segment) * WORKGROUP_SIZE,
            );
        }
        Ok(())
    }
}
