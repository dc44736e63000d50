//! A residual plus a branch with dropout, in one pass.

use crate::column_sums::{BoundSum, ColumnSums, SumBuffers};
use crate::contract::call::DropoutCall;
use crate::contract::element::ElementType;
use crate::contract::error::CallError;
use crate::host::bound::BoundSegment;
use crate::host::device::{KernelDescriptor, KernelHost, cut_limits};
use crate::host::elements::{Described, Elements};
use crate::host::error::BindError;
use crate::host::params::ParameterPath;
use crate::host::range::CheckedRange;
use crate::host::vectors::Vectors;
use crate::kernel::axes::{BufferLayout, Neighbours, Role};
use crate::plan::columns::{ColumnTensor, Matrix, SummedTerms};
use crate::plan::cut::Geometry;
use crate::plan::dispatch::cut;
use crate::plan::error::CreateError;
use crate::plan::fused::{FusedPlan, FusedTensor, geometry};
use crate::plan::params::VectorParams;

/// `output = residual + dropout((input + bias) * scale)` in one pass over memory, and its gradient.
/// A transformer's block ends its attention and its feed-forward network with it. With the layout
/// of [drop path](crate::MaskLayout::drop_path) it drops whole branches.
///
/// Bias and scale are [`Vectors`], each optional. The sum is computed in f32 with the roundings of
/// \[M23\], and is rounded once to the type. Where the branch is dropped, the output has the
/// residual's bits. Masks are those of [`Dropout`](crate::Dropout) for the same call and elements.
///
/// For each element of `f32` it reads 8 bytes and writes 4; a bias, a dropout and an addition in
/// passes of their own move 28. Types of 16 bits take half of that.
///
/// The gradient of the residual is `grad_output` itself. The gradient of the input comes from the
/// backward of [`Dropout`](crate::Dropout) if there is no scale, else from
/// [`bind_backward`](Self::bind_backward). The gradient of the bias is the [sum of the
/// columns](ColumnSums) of the input's gradient. The gradient of the scale comes from
/// [`bind_scale_gradient`](Self::bind_scale_gradient).
///
/// ```no_run
/// # fn record(device: &wgpu_dropout::wgpu::Device, pass: &mut wgpu_dropout::wgpu::ComputePass<'_>, branch: &wgpu_dropout::wgpu::Buffer, bias: &wgpu_dropout::wgpu::Buffer, stream: &wgpu_dropout::wgpu::Buffer) -> Result<(), Box<dyn std::error::Error>> {
/// use wgpu_dropout::{DropoutAdd, DropoutCall, DropoutRate, KernelDescriptor, MaskKey, Vectors};
///
/// let add = DropoutAdd::new(device, &KernelDescriptor::default())?;
/// let bias = Vectors::bias(bias.as_entire_buffer_binding(), 768);
/// let (branch, stream) = (branch.as_entire_buffer_binding(), stream.as_entire_buffer_binding());
/// let binding = add.bind_in_place(branch, stream, Some(bias), 64 * 768)?;
/// let call = DropoutCall::new(DropoutRate::new(0.1)?, MaskKey::layer_step(42, 3, 7));
/// add.encode_forward(pass, &binding, &call)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct DropoutAdd {
    pub(crate) host: KernelHost,
    sums: ColumnSums,
    residual_is_f32: bool,
    /// Geometries for branches of 4 bytes and of 2 bytes, in this order.
    geometry: [Geometry; 2],
}

/// Checked buffers of one sum, ready for any number of calls; made by [`DropoutAdd::bind`] and
/// [`DropoutAdd::bind_in_place`]. Its lifetime and its device are as for a
/// [`DropoutBinding`](crate::DropoutBinding).
#[derive(Debug)]
pub struct DropoutAddBinding(Bound);

/// Checked buffers of the gradient of one sum, ready for any number of calls; made by
/// [`DropoutAdd::bind_backward`] and [`DropoutAdd::bind_backward_in_place`]. Its lifetime and its
/// device are as for a [`DropoutBinding`](crate::DropoutBinding).
#[derive(Debug)]
pub struct DropoutAddGradient(Bound);

/// Checked buffers of the gradient of a scale, ready for any number of calls; made by
/// [`DropoutAdd::bind_scale_gradient`]. Its lifetime and its device are as for a
/// [`DropoutBinding`](crate::DropoutBinding).
#[derive(Debug)]
pub struct ScaleGradient(BoundSum);

#[derive(Debug)]
struct Bound {
    tensor: FusedTensor,
    segments: Vec<BoundSegment>,
}

impl DropoutAdd {
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
        // Four storage buffers: input, residual, output and vectors. Two bindings more: a strided
        // layout, and a mask or sample ids.
        let host = KernelHost::new(device, descriptor, 4, 6, size_of::<VectorParams>())?;
        let limits = cut_limits(device);
        let (long, short) = (ElementType::F32, ElementType::F16);
        Ok(Self {
            residual_is_f32: false,
            geometry: [
                geometry(limits, long, long)?,
                geometry(limits, short, short)?,
            ],
            sums: ColumnSums::new(device, descriptor)?,
            host,
        })
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

    /// Takes the residual, the sum and the sum's gradient as `f32` even if the branch and its
    /// gradient have 16 bits. This is for networks that keep their residual stream in `f32`.
    ///
    /// # Errors
    ///
    /// [`CreateError::Limit`] if the device's limits are lower than the kernels need.
    pub fn with_f32_residual(self) -> Result<Self, CreateError> {
        let [long, _] = self.geometry;
        let limits = cut_limits(&self.host.device);
        let short = geometry(limits, ElementType::F16, ElementType::F32)?;
        Ok(Self {
            residual_is_f32: true,
            geometry: [long, short],
            ..self
        })
    }

    /// Returns true if residuals are wider than a branch of `element`.
    fn is_wide(&self, element: ElementType) -> bool {
        self.residual_is_f32 && element.bytes() == 2
    }

    /// For an audit: the same pipelines as on a device whose dispatches take at most `granules`,
    /// with bindings that show `room_bytes` behind their elements.
    #[cfg(feature = "cpu")]
    pub(crate) fn lowered(&self, granules: u64, room_bytes: u64) -> Self {
        Self {
            residual_is_f32: self.residual_is_f32,
            host: self.host.with_room(room_bytes),
            sums: self.sums.lowered(granules, room_bytes),
            geometry: self.geometry.map(|geometry| geometry.lowered(granules)),
        }
    }

    /// Binds `elements` of `input`, of `residual` and of `output`. Requirements and panics as for
    /// [`Dropout::bind`](crate::Dropout::bind). The kernel takes a storage buffer for each of the
    /// three, one for `vectors`, and one for sample ids or a packed mask; WebGPU allows 8, wgpu's
    /// downlevel limits 4.
    ///
    /// # Errors
    ///
    /// See [`BindError`]; nothing was created then.
    pub fn bind<'a>(
        &self,
        input: wgpu::BufferBinding<'_>,
        residual: wgpu::BufferBinding<'_>,
        output: wgpu::BufferBinding<'_>,
        vectors: Option<Vectors<'_>>,
        elements: impl Into<Elements<'a>>,
    ) -> Result<DropoutAddBinding, BindError> {
        let buffers = [
            (Role::Input, input),
            (Role::Residual, residual),
            (Role::Output, output),
        ];
        let bound = self.bind_sum(BufferLayout::Pooled, &buffers, vectors, elements.into())?;
        Ok(DropoutAddBinding(bound))
    }

    /// Binds `elements` of `input` and of `residual`, which is overwritten by the sum.
    /// Requirements, errors and panics as for [`bind`](Self::bind).
    ///
    /// # Errors
    ///
    /// See [`BindError`]; nothing was created then.
    pub fn bind_in_place<'a>(
        &self,
        input: wgpu::BufferBinding<'_>,
        residual: wgpu::BufferBinding<'_>,
        vectors: Option<Vectors<'_>>,
        elements: impl Into<Elements<'a>>,
    ) -> Result<DropoutAddBinding, BindError> {
        let buffers = [(Role::Input, input), (Role::Output, residual)];
        let bound = self.bind_sum(BufferLayout::InPlace, &buffers, vectors, elements.into())?;
        Ok(DropoutAddBinding(bound))
    }

    /// Binds `elements` of `grad_output` and of `grad_input`. `vectors` are the forward's; the
    /// backward reads their scale. Requirements, errors and panics as for [`bind`](Self::bind).
    ///
    /// # Errors
    ///
    /// See [`BindError`]; nothing was created then.
    pub fn bind_backward<'a>(
        &self,
        grad_output: wgpu::BufferBinding<'_>,
        grad_input: wgpu::BufferBinding<'_>,
        vectors: Vectors<'_>,
        elements: impl Into<Elements<'a>>,
    ) -> Result<DropoutAddGradient, BindError> {
        let buffers = [(Role::Input, grad_output), (Role::Output, grad_input)];
        let layout = BufferLayout::Pooled;
        let bound = self.bind_gradient(layout, &buffers, vectors, elements.into())?;
        Ok(DropoutAddGradient(bound))
    }

    /// Binds `elements` of `grad`, which is overwritten by the input's gradient. Requirements,
    /// errors and panics as for [`bind_backward`](Self::bind_backward).
    ///
    /// # Errors
    ///
    /// See [`BindError`]; nothing was created then. [`BindError::TwoTypes`] if the branch has 16
    /// bits and its residuals are [`f32`](Self::with_f32_residual).
    pub fn bind_backward_in_place<'a>(
        &self,
        grad: wgpu::BufferBinding<'_>,
        vectors: Vectors<'_>,
        elements: impl Into<Elements<'a>>,
    ) -> Result<DropoutAddGradient, BindError> {
        let buffers = [(Role::Data, grad)];
        let layout = BufferLayout::InPlace;
        let bound = self.bind_gradient(layout, &buffers, vectors, elements.into())?;
        Ok(DropoutAddGradient(bound))
    }

    fn bind_sum(
        &self,
        layout: BufferLayout,
        buffers: &[(Role, wgpu::BufferBinding<'_>)],
        vectors: Option<Vectors<'_>>,
        elements: Elements<'_>,
    ) -> Result<Bound, BindError> {
        let add = Neighbours::Add {
            vectors: vectors.is_some(),
            wide: self.is_wide(elements.element()),
        };
        self.bind_all(add, layout, buffers, vectors, elements)
    }

    fn bind_gradient(
        &self,
        layout: BufferLayout,
        buffers: &[(Role, wgpu::BufferBinding<'_>)],
        vectors: Vectors<'_>,
        elements: Elements<'_>,
    ) -> Result<Bound, BindError> {
        let element = elements.element();
        let wide = self.is_wide(element);
        if wide && layout == BufferLayout::InPlace {
            return Err(BindError::TwoTypes {
                types: [ElementType::F32, element],
            });
        }
        let scale = Neighbours::Scale { wide };
        self.bind_all(scale, layout, buffers, Some(vectors), elements)
    }

    fn bind_all(
        &self,
        neighbours: Neighbours,
        layout: BufferLayout,
        buffers: &[(Role, wgpu::BufferBinding<'_>)],
        vectors: Option<Vectors<'_>>,
        elements: Elements<'_>,
    ) -> Result<Bound, BindError> {
        let Described {
            element,
            map,
            len,
            side,
        } = elements.describe(&self.host)?;
        let stream = neighbours.stream(element);
        let type_of = |role| match (neighbours, role) {
            (Neighbours::Add { .. }, Role::Input) | (Neighbours::Scale { .. }, Role::Output) => {
                element
            }
            _ => stream,
        };
        let ranges = buffers
            .iter()
            .map(|(role, buffer)| {
                self.host
                    .checked(*role, buffer, len, type_of(*role).bytes())
            })
            .collect::<Result<Vec<_>, _>>()?;
        BufferLayout::of(&ranges)?;
        let vectors = vectors.map(|vectors| vectors.checked(&self.host, len));
        let (vectors, numbers) = vectors.transpose()?.unzip();
        let sides: Vec<_> = side.into_iter().chain(numbers).collect();
        CheckedRange::check_unwritten(&sides, &ranges)?;
        let tensor = FusedTensor {
            element,
            buffers: layout,
            neighbours,
            vectors: vectors.unwrap_or_default(),
            map,
        };
        let geometry = &self.geometry[usize::from(element.bytes() == 2)];
        let segments = self.host.bind(
            tensor.any_kernel(),
            cut(geometry, len),
            &ranges,
            &sides,
            |segment| tensor.map.params(segment.start),
        )?;
        Ok(Bound { tensor, segments })
    }

    /// Compiles the pipeline of [`encode_forward`](Self::encode_forward) with this `binding` and
    /// `call`, as [`Dropout::compile`](crate::Dropout::compile) does.
    ///
    /// # Errors
    ///
    /// See [`CallError`]; nothing was compiled then.
    pub fn compile(
        &self,
        binding: &DropoutAddBinding,
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
        gradient: &DropoutAddGradient,
        call: &DropoutCall,
    ) -> Result<(), CallError> {
        self.compile_all(&gradient.0, call)
    }

    /// Compiles the pipelines of [`encode_scale_gradient`](Self::encode_scale_gradient), as
    /// [`compile`](Self::compile) does for the forward.
    ///
    /// # Errors
    ///
    /// See [`CallError`]; nothing was compiled then.
    pub fn compile_scale_gradient(
        &self,
        gradient: &ScaleGradient,
        call: &DropoutCall,
    ) -> Result<(), CallError> {
        self.sums.compile_call(&gradient.0, call)
    }

    fn compile_all(&self, bound: &Bound, call: &DropoutCall) -> Result<(), CallError> {
        let plan = FusedPlan::new(&bound.tensor, call)?;
        for bound in &bound.segments {
            self.host.compile(plan.kernel(bound.segment));
        }
        Ok(())
    }

    /// Records `output = residual + dropout((input + bias) * scale)`. It sets the same state of the
    /// pass as [`Dropout::encode_forward`](crate::Dropout::encode_forward). A rate of 0 makes no
    /// mask.
    ///
    /// # Errors
    ///
    /// [`CallError::Kind`] for alpha and Gaussian dropout, [`CallError::IndexOverflow`] if a mask
    /// index passes 2^64 - 1. Nothing was recorded then.
    pub fn encode_forward(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        binding: &DropoutAddBinding,
        call: &DropoutCall,
    ) -> Result<(), CallError> {
        self.encode(pass, &binding.0, call)
    }

    /// Binds the buffers of a scale's gradient: `elements` of the forward's `input` and of
    /// `grad_output`, which the backward must not have overwritten. `vectors` are the forward's;
    /// their bias is read. `scratch` has the size of [`ColumnSums::scratch_bytes`]: its columns are
    /// the scale's numbers, and its rows are the repetitions of the scale. `grad_scale` has 4 bytes
    /// for each number of the scale. Both lie in buffers of their own. Requirements and panics as
    /// for [`bind`](Self::bind).
    ///
    /// # Errors
    ///
    /// See [`BindError`]; nothing was created then. [`BindError::NoScale`] if `vectors` has no
    /// scale.
    pub fn bind_scale_gradient<'a>(
        &self,
        input: wgpu::BufferBinding<'_>,
        grad_output: wgpu::BufferBinding<'_>,
        vectors: Vectors<'_>,
        scratch: wgpu::BufferBinding<'_>,
        grad_scale: wgpu::BufferBinding<'_>,
        elements: impl Into<Elements<'a>>,
    ) -> Result<ScaleGradient, BindError> {
        let host = &self.sums.host;
        let Described {
            element,
            map,
            len,
            side,
        } = elements.into().describe(host)?;
        let wide = self.is_wide(element);
        let inputs = [(Role::Input, &input), (Role::Gradient, &grad_output)]
            .into_iter()
            .map(|(role, buffer)| {
                let element = match role {
                    Role::Gradient if wide => ElementType::F32,
                    _ => element,
                };
                host.checked(role, buffer, len, element.bytes())
            })
            .collect::<Result<Vec<_>, _>>()?;
        let (shape, numbers) = vectors.checked(host, len)?;
        let columns = shape.scale_len;
        let rows = len.checked_div(columns.into()).ok_or(BindError::NoScale)?;
        let bias = (shape.bias_len > 0).then_some(numbers);
        let tensor = ColumnTensor {
            element,
            matrix: Matrix { rows, columns },
            terms: SummedTerms::Scale {
                map: map.clone(),
                bias_len: shape.bias_len,
                wide,
            },
        };
        let buffers = SumBuffers {
            inputs,
            sides: side.into_iter().chain(bias).collect(),
            scratch,
            sums: grad_scale,
        };
        let bound = self
            .sums
            .bind_terms(tensor, buffers, |segment| map.params(segment.start))?;
        Ok(ScaleGradient(bound))
    }

    /// Records the scale's gradient. The gradient of a scale's number is the sum of
    /// `dropout'(grad_output) * (input + bias)` over the elements that were multiplied by it
    /// \[M23\], in f32 and in the order of [`ColumnSums`]. It replaces the content of `grad_scale`,
    /// or with `accumulate` is added to it. The mask is computed again. It affects the pass as
    /// [`encode_forward`](Self::encode_forward) does.
    ///
    /// # Errors
    ///
    /// See [`encode_forward`](Self::encode_forward).
    pub fn encode_scale_gradient(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        gradient: &ScaleGradient,
        call: &DropoutCall,
        accumulate: bool,
    ) -> Result<(), CallError> {
        self.sums.encode_call(pass, &gradient.0, call, accumulate)
    }

    /// Records `grad_input = dropout'(grad_output) * scale` \[M23\]. It affects the pass as
    /// [`encode_forward`](Self::encode_forward) does.
    ///
    /// # Errors
    ///
    /// See [`encode_forward`](Self::encode_forward).
    pub fn encode_backward(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        gradient: &DropoutAddGradient,
        call: &DropoutCall,
    ) -> Result<(), CallError> {
        self.encode(pass, &gradient.0, call)
    }

    fn encode(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        bound: &Bound,
        call: &DropoutCall,
    ) -> Result<(), CallError> {
        let plan = FusedPlan::new(&bound.tensor, call)?;
        for bound in &bound.segments {
            let params = plan.params(bound.segment, bound.first_word);
            self.host.dispatch(
                pass,
                plan.kernel(bound.segment),
                &bound.group,
                bytemuck::bytes_of(&params),
                bound.segment.len,
            );
        }
        Ok(())
    }
}
