//! An activation before a dropout, in one pass.

use crate::contract::activation::Activation;
use crate::contract::call::DropoutCall;
use crate::contract::element::ElementType;
use crate::contract::error::CallError;
use crate::host::bound::BoundSegment;
use crate::host::device::{KernelDescriptor, KernelHost, cut_limits};
use crate::host::elements::{Described, Elements};
use crate::host::error::BindError;
use crate::host::params::ParameterPath;
use crate::host::range::CheckedRange;
use crate::kernel::activated::Form;
use crate::kernel::axes::{BufferLayout, Role};
use crate::plan::activated::{ActivatedPlan, ActivatedTensor};
use crate::plan::cut::Geometry;
use crate::plan::dispatch::{cut, unit};
use crate::plan::error::CreateError;
use crate::plan::params::ActivatedParams;

/// `output = dropout(activation(input + bias))` in one pass over memory, and its gradient. This is
/// the part between the two linear layers of a feed-forward network. With a gate it computes
/// `dropout(activation(gate + bias_gate) * (up + bias_up))`, as in GEGLU and SwiGLU.
///
/// Values are computed in f32 with the roundings and bounds of \[M24\], and are rounded once to the
/// type. Masks are those of [`Dropout`](crate::Dropout) for the same call and elements; a dropped
/// element is +0. A kept NaN stays a NaN under every [`Activation`], and relu turns -0 into +0.
///
/// For each element of `f32` the forward reads 4 bytes and writes 4; a bias, an activation and a
/// dropout in passes of their own move 24. The backward moves 12, or 20 with a gate. Types of 16
/// bits take half of that.
///
/// The backward starts from the input, or from gate and up, so that nothing else has to be kept.
/// The gradient of a bias is the sum of the input's gradient over the rows:
/// [`ColumnSums`](crate::ColumnSums) computes it.
///
/// ```no_run
/// # fn record(device: &wgpu_dropout::wgpu::Device, pass: &mut wgpu_dropout::wgpu::ComputePass<'_>, [x, b, y, g, dx]: &[wgpu_dropout::wgpu::Buffer; 5]) -> Result<(), Box<dyn std::error::Error>> {
/// use wgpu_dropout::{ActDropout, Activation, Bias, DropoutCall, DropoutRate, KernelDescriptor, MaskKey};
///
/// let gelu = ActDropout::new(device, &KernelDescriptor::default(), Activation::Gelu)?;
/// let (x, y) = (x.as_entire_buffer_binding(), y.as_entire_buffer_binding());
/// let (g, dx) = (g.as_entire_buffer_binding(), dx.as_entire_buffer_binding());
/// let bias = Bias::new(b.as_entire_buffer_binding(), 3072);
/// let forward = gelu.bind(x.clone(), y, Some(bias.clone()), 64 * 3072)?;
/// let backward = gelu.bind_backward(g, x, dx, Some(bias), 64 * 3072)?;
/// let call = DropoutCall::new(DropoutRate::new(0.1)?, MaskKey::layer_step(42, 3, 7));
/// gelu.encode_forward(pass, &forward, &call)?;
/// gelu.encode_backward(pass, &backward, &call)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ActDropout {
    host: KernelHost,
    activation: Activation,
    /// Geometries for elements of 4 bytes and of 2 bytes, in this order.
    geometry: [Geometry; 2],
}

/// The input of an activation. A buffer's range converts into it.
#[derive(Clone, Debug)]
pub enum ActInput<'a> {
    /// The elements.
    One(wgpu::BufferBinding<'a>),
    /// A gate, which goes through the activation, and its other factor (up), each in a range of its
    /// own.
    Gated {
        /// The gate's elements.
        gate: wgpu::BufferBinding<'a>,
        /// The other factor's elements.
        up: wgpu::BufferBinding<'a>,
    },
    /// Rows that hold `columns` elements of the gate and behind them as many of the other factor,
    /// as one linear layer for both writes them. For types of 16 bits `columns` is even.
    Halves {
        /// All rows: twice as many elements as the output has.
        rows: wgpu::BufferBinding<'a>,
        /// Elements of half a row.
        columns: u32,
    },
}

impl<'a> From<wgpu::BufferBinding<'a>> for ActInput<'a> {
    fn from(input: wgpu::BufferBinding<'a>) -> Self {
        Self::One(input)
    }
}

/// A bias of `f32`, repeated over the elements. A bias with as many numbers as the last dimension
/// has elements is added to every row. For a gated input the buffer has two biases, the gate's
/// first.
///
/// The buffer needs [`STORAGE`](wgpu::BufferUsages::STORAGE), an offset aligned to the device's
/// `min_storage_buffer_offset_alignment`, and 4 bytes a number. The operation must not write to it.
/// The kernel loads 16 bytes at a time if the length of a bias is at least 32 and a multiple of 4,
/// or of 8 for types of 16 bits.
#[derive(Clone, Debug)]
pub struct Bias<'a> {
    buffer: wgpu::BufferBinding<'a>,
    len: u32,
}

impl<'a> Bias<'a> {
    /// A bias of `len` numbers, or for a gated input two of `len` numbers each.
    pub const fn new(buffer: wgpu::BufferBinding<'a>, len: u32) -> Self {
        Self { buffer, len }
    }
}

/// Checked buffers of one output, ready for any number of calls; made by [`ActDropout::bind`] and
/// [`ActDropout::bind_in_place`]. Its lifetime and its device are as for a
/// [`DropoutBinding`](crate::DropoutBinding).
#[derive(Debug)]
pub struct ActBinding(Bound);

/// Checked buffers of the gradient of one input, ready for any number of calls; made by
/// [`ActDropout::bind_backward`] and [`ActDropout::bind_backward_in_place`]. Its lifetime and its
/// device are as for a [`DropoutBinding`](crate::DropoutBinding).
#[derive(Debug)]
pub struct ActGradient(Bound);

#[derive(Debug)]
struct Bound {
    tensor: ActivatedTensor,
    segments: Vec<BoundSegment>,
}

/// The caller's ranges for one form.
struct Ranges<'a> {
    form: Form,
    in_place: bool,
    columns: Option<u32>,
    /// Each range with its role and the elements that it has for each element of the gate.
    ranges: Vec<(Role, wgpu::BufferBinding<'a>, u64)>,
    /// A role of the kernel for which this form has no range.
    unused: Option<Role>,
}

impl ActDropout {
    /// Prepares the kernels of `activation` for `device`, which needs no feature and no limit above
    /// [`wgpu::Limits::downlevel_defaults`].
    ///
    /// # Errors
    ///
    /// [`CreateError::Limit`] if the device's limits are lower than the kernels need.
    pub fn new(
        device: &wgpu::Device,
        descriptor: &KernelDescriptor<'_>,
        activation: Activation,
    ) -> Result<Self, CreateError> {
        // Four storage buffers: three ranges and a bias. Two bindings more: a layout, and a mask or
        // sample ids.
        let host = KernelHost::new(device, descriptor, 4, 6, size_of::<ActivatedParams>())?;
        Ok(Self {
            geometry: [
                Geometry::new(cut_limits(device), unit(ElementType::F32))?,
                Geometry::new(cut_limits(device), unit(ElementType::F16))?,
            ],
            activation,
            host,
        })
    }

    /// The device the kernels are for.
    pub fn device(&self) -> &wgpu::Device {
        &self.host.device
    }

    /// The activation.
    pub fn activation(&self) -> Activation {
        self.activation
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
        Self {
            host: self.host.with_room(room_bytes),
            geometry: self.geometry.map(|geometry| geometry.lowered(granules)),
            activation: self.activation,
        }
    }

    /// Binds `elements` of `input` and of `output`. Requirements and panics as for
    /// [`Dropout::bind`](crate::Dropout::bind). The kernel takes four storage buffers at most, and
    /// one more for sample ids or a packed mask; WebGPU allows 8, wgpu's downlevel limits 4.
    ///
    /// # Errors
    ///
    /// See [`BindError`]; nothing was created then.
    pub fn bind<'a>(
        &self,
        input: impl Into<ActInput<'a>>,
        output: wgpu::BufferBinding<'a>,
        bias: Option<Bias<'_>>,
        elements: impl Into<Elements<'a>>,
    ) -> Result<ActBinding, BindError> {
        let output = (Role::Output, output, 1);
        let gated = |columns, ranges, unused| Ranges {
            form: Form::Gated,
            in_place: false,
            columns,
            ranges,
            unused,
        };
        let ranges = match input.into() {
            ActInput::One(input) => Ranges {
                form: Form::Forward,
                in_place: false,
                columns: None,
                ranges: vec![(Role::Input, input, 1), output],
                unused: None,
            },
            ActInput::Gated { gate, up } => {
                let ranges = vec![(Role::Input, gate, 1), (Role::Up, up, 1), output];
                gated(None, ranges, None)
            }
            ActInput::Halves { rows, columns } => {
                let ranges = vec![(Role::Input, rows, 2), output];
                gated(Some(columns), ranges, Some(Role::Up))
            }
        };
        Ok(ActBinding(self.bind_all(ranges, bias, elements.into())?))
    }

    /// Binds `elements` of `data`, which are overwritten by the output. This is for inference,
    /// since the gradient needs the input. Requirements, errors and panics as for
    /// [`bind`](Self::bind).
    ///
    /// # Errors
    ///
    /// See [`BindError`]; nothing was created then.
    pub fn bind_in_place<'a>(
        &self,
        data: wgpu::BufferBinding<'a>,
        bias: Option<Bias<'_>>,
        elements: impl Into<Elements<'a>>,
    ) -> Result<ActBinding, BindError> {
        let ranges = Ranges {
            form: Form::Forward,
            in_place: true,
            columns: None,
            ranges: vec![(Role::Output, data, 1)],
            unused: Some(Role::Input),
        };
        Ok(ActBinding(self.bind_all(ranges, bias, elements.into())?))
    }

    /// Binds `elements` of `grad_output`, the forward's `input` and `bias`, and `grad_input`, which
    /// has the input's form. Requirements, errors and panics as for [`bind`](Self::bind).
    ///
    /// # Errors
    ///
    /// [`BindError::GradientsOfTwo`] if gate and up are two ranges, which would take six storage
    /// buffers. For others see [`BindError`]. Nothing was created then.
    pub fn bind_backward<'a>(
        &self,
        grad_output: wgpu::BufferBinding<'a>,
        input: impl Into<ActInput<'a>>,
        grad_input: wgpu::BufferBinding<'a>,
        bias: Option<Bias<'_>>,
        elements: impl Into<Elements<'a>>,
    ) -> Result<ActGradient, BindError> {
        let (form, columns, input, halves) = match input.into() {
            ActInput::One(input) => (Form::Gradient, None, input, 1),
            ActInput::Halves { rows, columns } => (Form::GatedGradient, Some(columns), rows, 2),
            ActInput::Gated { .. } => return Err(BindError::GradientsOfTwo),
        };
        let ranges = Ranges {
            form,
            in_place: false,
            columns,
            ranges: vec![
                (Role::Gradient, grad_output, 1),
                (Role::Input, input, halves),
                (Role::Output, grad_input, halves),
            ],
            unused: None,
        };
        Ok(ActGradient(self.bind_all(ranges, bias, elements.into())?))
    }

    /// Binds `elements` of `grad_output`, and the forward's `input` and `bias`. The input is
    /// overwritten by its gradient, and a gate and up by theirs. Requirements, errors and panics as
    /// for [`bind`](Self::bind).
    ///
    /// # Errors
    ///
    /// See [`BindError`]; nothing was created then.
    pub fn bind_backward_in_place<'a>(
        &self,
        grad_output: wgpu::BufferBinding<'a>,
        input: impl Into<ActInput<'a>>,
        bias: Option<Bias<'_>>,
        elements: impl Into<Elements<'a>>,
    ) -> Result<ActGradient, BindError> {
        let mut ranges = vec![(Role::Gradient, grad_output, 1)];
        let (form, in_place, columns, unused) = match input.into() {
            ActInput::One(input) => {
                ranges.push((Role::Output, input, 1));
                (Form::Gradient, true, None, Some(Role::Input))
            }
            ActInput::Gated { gate, up } => {
                ranges.extend([(Role::Input, gate, 1), (Role::Output, up, 1)]);
                (Form::GatedGradient, false, None, None)
            }
            ActInput::Halves { rows, columns } => {
                ranges.push((Role::Output, rows, 2));
                (Form::GatedGradient, true, Some(columns), Some(Role::Input))
            }
        };
        let ranges = Ranges {
            form,
            in_place,
            columns,
            ranges,
            unused,
        };
        Ok(ActGradient(self.bind_all(ranges, bias, elements.into())?))
    }

    fn bind_all(
        &self,
        ranges: Ranges<'_>,
        bias: Option<Bias<'_>>,
        elements: Elements<'_>,
    ) -> Result<Bound, BindError> {
        let Described {
            element,
            map,
            len,
            side,
        } = elements.describe(&self.host)?;
        let Ranges {
            form,
            in_place,
            columns,
            ranges,
            unused,
        } = ranges;
        if let Some(columns) = columns {
            ActivatedTensor::check_columns(columns, element, len)?;
        }
        let ranges = ranges
            .iter()
            .map(|(role, buffer, halves)| {
                self.host
                    .checked(*role, buffer, len, halves * element.bytes())
            })
            .collect::<Result<Vec<_>, _>>()?;
        BufferLayout::of(&ranges)?;
        let bias_len = bias.as_ref().map_or(0, |bias| bias.len);
        let is_gated = matches!(form, Form::Gated | Form::GatedGradient);
        let bias = bias.as_ref().map(|bias| {
            let count = u64::from(bias.len) * if is_gated { 2 } else { 1 };
            self.host
                .checked_numbers(&bias.buffer, count, [bias.len], len)
        });
        let mut sides: Vec<_> = side.into_iter().chain(bias.transpose()?).collect();
        CheckedRange::check_unwritten(&sides, &ranges)?;
        let tensor = ActivatedTensor {
            activation: self.activation,
            element,
            form,
            in_place,
            bias_len,
            columns: columns.unwrap_or(0),
            map,
        };
        let geometry = &self.geometry[usize::from(element.bytes() == 2)];
        let geometry = tensor.geometry(geometry, len)?;
        // A kernel has the same bindings for every form: those that this form does not use get
        // buffers of zeros.
        let no_bias = (bias_len == 0).then_some(Role::Vectors);
        let unused: Vec<_> = unused
            .into_iter()
            .chain(no_bias)
            .map(|role| (role, self.host.unused_buffer()))
            .collect();
        for (role, buffer) in &unused {
            let binding = buffer.as_entire_buffer_binding();
            sides.push(self.host.checked(*role, &binding, buffer.size(), 1)?);
        }
        let segments = self.host.bind(
            tensor.any_kernel(),
            cut(&geometry, len),
            &ranges,
            &sides,
            |segment| Some(tensor.map.params_of_any(segment.start)),
        );
        let segments = segments.map_err(|error| match error {
            // Only a mask or sample ids can exceed the four storage buffers that every device has.
            BindError::TooManyBuffers {
                required,
                available,
            } => BindError::NoSideBuffer {
                required,
                available,
            },
            error => error,
        })?;
        Ok(Bound { tensor, segments })
    }

    /// Records `output = dropout(activation(input + bias))`, or the gated form. It sets the same
    /// state of the pass as [`Dropout::encode_forward`](crate::Dropout::encode_forward). A rate of
    /// 0 makes no mask: for inference after inverted dropout, call this with
    /// [`DropoutRate::ZERO`](crate::DropoutRate::ZERO).
    ///
    /// # Errors
    ///
    /// [`CallError::Kind`] for alpha and Gaussian dropout, [`CallError::IndexOverflow`] if a mask
    /// index passes 2^64 - 1. Nothing was recorded then.
    pub fn encode_forward(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        binding: &ActBinding,
        call: &DropoutCall,
    ) -> Result<(), CallError> {
        self.encode(pass, &binding.0, call)
    }

    /// Compiles the pipeline of [`encode_forward`](Self::encode_forward) with this `binding` and
    /// `call`, as [`Dropout::compile`](crate::Dropout::compile) does.
    ///
    /// # Errors
    ///
    /// See [`CallError`]; nothing was compiled then.
    pub fn compile(&self, binding: &ActBinding, call: &DropoutCall) -> Result<(), CallError> {
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
        gradient: &ActGradient,
        call: &DropoutCall,
    ) -> Result<(), CallError> {
        self.compile_all(&gradient.0, call)
    }

    fn compile_all(&self, bound: &Bound, call: &DropoutCall) -> Result<(), CallError> {
        let plan = ActivatedPlan::new(&bound.tensor, call)?;
        for bound in &bound.segments {
            self.host.compile(plan.kernel(bound.segment));
        }
        Ok(())
    }

    /// Records `grad_input = dropout'(grad_output) * activation'(input + bias)`, or the gradients
    /// of the gate and of up \[M24\]. It affects the pass as
    /// [`encode_forward`](Self::encode_forward) does.
    ///
    /// # Errors
    ///
    /// See [`encode_forward`](Self::encode_forward).
    pub fn encode_backward(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        gradient: &ActGradient,
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
        let plan = ActivatedPlan::new(&bound.tensor, call)?;
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
