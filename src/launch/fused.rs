//! Launches of the fused operations, for hosts that can bind uniforms and more than two ranges:
//! Dawn, wgpu-native, WebGPU from JavaScript or Python.

use core::ops::Range;

use bytemuck::Pod;

use super::{LaunchError, LaunchLimits};
use crate::contract::activation::Activation;
use crate::contract::call::DropoutCall;
use crate::contract::effect::Direction;
use crate::contract::element::ElementType;
use crate::contract::layout::MaskLayout;
use crate::contract::norm::{MaskPlace, Norm};
use crate::contract::softmax::{AttentionMask, Softmax};
use crate::kernel::activated::Form;
use crate::kernel::axes::{
    BlockAccess, Buffer, BufferLayout, F16Conversion, Kernel, Multiply, Neighbours, ParamsSource,
    Role, Way,
};
use crate::kernel::normed::NormForm;
use crate::kernel::wgsl::Variant;
use crate::plan::activated::{ActivatedPlan, ActivatedTensor};
use crate::plan::cut::{Geometry, Segment};
use crate::plan::dispatch::{cut, unit};
use crate::plan::fused::{FusedPlan, FusedTensor, VectorShape, check_repeats, geometry};
use crate::plan::index_map::IndexMap;
use crate::plan::normed::{HAS_RESIDUAL, NormPlan, NormRows, NormTensor};
use crate::plan::params::{DimensionParams, MAX_DIMENSIONS};
use crate::plan::rows::Rows;
use crate::plan::softmaxed::{SoftmaxPlan, SoftmaxTensor, form_and_flags};

/// A fused operation, and the shapes of its operands. Ranges may lie in one buffer, but must not
/// overlap. The names of ranges, such as `output`, are those of [`Role`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum FusedOperation {
    /// `output = residual + dropout((input + bias) * scale)` \[M23\]. In the backward, `input` is
    /// the gradient of the forward's output, and `output` receives the gradient of the forward's
    /// input. `vectors` has the bias, and the scale behind it.
    Add {
        /// True if the residual and the sum are `f32` for every type of the branch.
        residual_is_f32: bool,
        /// Numbers of the bias; 0 without one.
        bias_len: u32,
        /// Numbers of the scale; 0 without one.
        scale_len: u32,
    },
    /// `output = dropout(activation(input + bias))` \[M24\], or the same with a gate. The backward
    /// reads `gradient` and the forward's `input`.
    Act {
        /// The activation.
        activation: Activation,
        /// The ranges of the input.
        input: ActOperand,
        /// Numbers of the bias; 0 without one. With a gate there are two biases of this length.
        bias_len: u32,
    },
    /// `sum = residual + dropout(input + bias)`, `output = norm(sum)` \[M25\]. The backward reads
    /// `gradient` and `sum`. Its `output` is the gradient of the sum, and `masked` is the masked
    /// gradient of [`DropoutAddNorm`](crate::DropoutAddNorm). `vectors` has the bias, γ and, for a
    /// layer norm, β.
    AddNorm {
        /// The norm.
        norm: Norm,
        /// The tensor to which dropout is applied.
        place: MaskPlace,
        /// Elements of a row.
        columns: u32,
        /// Numbers of the bias; 0 without one.
        bias_len: u32,
    },
    /// `output = dropout(softmax(factor * input + mask))` \[M26\]. The backward reads `gradient`
    /// and, as `input`, the scores. `vectors` has an additive mask.
    Softmax {
        /// Rows and factor.
        softmax: Softmax,
        /// The mask before the softmax. An additive mask is given by its length.
        mask: AttentionMask<u32>,
        /// True if the forward stores `probabilities`, which the backward then takes as `input`.
        probabilities: bool,
    },
}

/// The input of [`FusedOperation::Act`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActOperand {
    /// One range.
    One,
    /// A gate in `input`, and its other factor in `up`. In the backward, `output` holds the other
    /// factor instead. The gate's gradient overwrites `input`, and the other factor's gradient
    /// overwrites `output`.
    Gated,
    /// Rows that hold `columns` elements of the gate and behind them as many of the other factor.
    Halves {
        /// Elements of half a row.
        columns: u32,
    },
}

/// One dispatch of [`fused_launches`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FusedLaunch {
    /// The kernel.
    pub kernel: Variant,
    /// The way in which the device runs the kernel, for [`Variant::text`].
    pub way: Way,
    /// Each buffer of the kernel, and the content to bind. Make explicit bind group layouts from
    /// these: `layout: "auto"` would leave out the buffers that the text does not use.
    pub bindings: Vec<(Buffer, Bound)>,
    /// Number of workgroups, in the first dimension.
    pub workgroups: u32,
}

/// The content of a kernel's binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// These bytes of the range that the caller has for the buffer's role. They begin at a multiple
    /// of the offset alignment if the range does.
    Range(Range<u64>),
    /// A uniform with this content.
    Uniform(Vec<u8>),
    /// The kernel has the binding and does not use it. Bind any 16 bytes that no other binding has.
    Unused,
}

/// The launches of `operation` for `call` on a tensor of `layout`, in any order. An empty tensor
/// has none. The iterator makes a launch when it is asked for it.
///
/// # Errors
///
/// See [`LaunchError`]. An error is returned before the first launch is made.
///
/// ```
/// use wgpu_dropout::launch::{Bound, FusedOperation, LaunchLimits, fused_launches};
/// use wgpu_dropout::wgsl::Role;
/// use wgpu_dropout::{Direction, DropoutCall, DropoutRate, ElementType, MaskKey, MaskLayout};
///
/// let call = DropoutCall::new(DropoutRate::new(0.1)?, MaskKey::layer_step(42, 3, 7));
/// let add = FusedOperation::Add { residual_is_f32: false, bias_len: 768, scale_len: 0 };
/// let layout = MaskLayout::elementwise(&[64, 768])?;
/// let limits = LaunchLimits::default();
/// let launches = fused_launches(&add, &layout, ElementType::F32, &call, Direction::Forward, limits)?;
/// for launch in launches {
///     for (buffer, bound) in &launch.bindings {
///         if buffer.role == Role::Residual {
///             assert_eq!(*bound, Bound::Range(0..4 * 64 * 768));
///         }
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn fused_launches(
    operation: &FusedOperation,
    layout: &MaskLayout,
    element: ElementType,
    call: &DropoutCall,
    direction: Direction,
    limits: LaunchLimits,
) -> Result<FusedLaunches, LaunchError> {
    let tensor = Tensor {
        element,
        len: layout.len(),
        map: IndexMap::of_layout(layout, false)?,
    };
    match *operation {
        FusedOperation::Add {
            residual_is_f32,
            bias_len,
            scale_len,
        } => {
            let vectors = VectorShape {
                bias_len,
                scale_len,
            };
            tensor.add(residual_is_f32, vectors, call, direction, limits)
        }
        FusedOperation::Act {
            activation,
            input,
            bias_len,
        } => tensor.act(activation, input, bias_len, call, direction, limits),
        FusedOperation::AddNorm {
            norm,
            place,
            columns,
            bias_len,
        } => {
            let rows = NormRows {
                norm,
                rows: Rows::new(element, columns, tensor.len)?,
            };
            tensor.add_norm(rows, place, bias_len, call, direction, limits)
        }
        FusedOperation::Softmax {
            softmax,
            mask,
            probabilities,
        } => tensor.softmax(softmax, mask, probabilities, call, direction, limits),
    }
}

/// The launches of a call.
pub type FusedLaunches = Box<dyn Iterator<Item = FusedLaunch>>;

/// A layout in the form that is passed to a dispatch.
type Dimensions = [DimensionParams; MAX_DIMENSIONS];

/// A tensor under a layout.
struct Tensor {
    element: ElementType,
    len: u64,
    map: IndexMap,
}

/// The buffers of all launches of a call.
struct Buffers {
    /// The ranges, and the bytes that each has for one element.
    ranges: Vec<(Role, u64)>,
    /// Numbers of the vectors.
    numbers: u64,
    int64: bool,
}

impl Buffers {
    fn new(ranges: &[(Role, u64)], numbers: u64, limits: LaunchLimits) -> Self {
        Self {
            ranges: ranges.to_vec(),
            numbers,
            int64: limits.int64,
        }
    }

    /// The launches of `segments`; `dispatch` gives each one's kernel, parameters, layout and
    /// workgroups.
    fn launches<P: Pod>(
        self,
        segments: impl Iterator<Item = Segment> + 'static,
        dispatch: impl Fn(Segment) -> (Kernel, P, Option<Dimensions>, u32) + 'static,
    ) -> FusedLaunches {
        Box::new(segments.map(move |segment| {
            let (kernel, params, dimensions, workgroups) = dispatch(segment);
            self.launch(segment, kernel, &params, dimensions, workgroups)
        }))
    }

    fn launch(
        &self,
        segment: Segment,
        kernel: Kernel,
        params: &impl Pod,
        dimensions: Option<Dimensions>,
        workgroups: u32,
    ) -> FusedLaunch {
        let way = Way {
            multiply: match self.int64 && kernel.draws() {
                true => Multiply::U64,
                false => Multiply::Halves,
            },
            params: ParamsSource::Uniform,
            blocks: BlockAccess::Vectors,
            f16: F16Conversion::Integers,
        };
        let bound = |role| match role {
            Role::Params => Bound::Uniform(bytemuck::bytes_of(params).to_vec()),
            Role::Dimensions => {
                Bound::Uniform(bytemuck::cast_slice(dimensions.as_slice()).to_vec())
            }
            Role::Vectors if self.numbers > 0 => {
                Bound::Range(0..self.numbers * size_of::<f32>() as u64)
            }
            role => match self.ranges.iter().find(|(other, _)| *other == role) {
                Some((_, bytes)) => {
                    let end = (segment.start + u64::from(segment.len)) * bytes;
                    Bound::Range(segment.start * bytes..end.next_multiple_of(4))
                }
                None => Bound::Unused,
            },
        };
        let buffers = kernel.buffers(way.params).into_iter();
        FusedLaunch {
            kernel: Variant { kernel },
            way,
            bindings: buffers.map(|buffer| (buffer, bound(buffer.role))).collect(),
            workgroups,
        }
    }
}

impl Tensor {
    fn add(
        self,
        residual_is_f32: bool,
        vectors: VectorShape,
        call: &DropoutCall,
        direction: Direction,
        limits: LaunchLimits,
    ) -> Result<FusedLaunches, LaunchError> {
        let Self { element, len, map } = self;
        let VectorShape {
            bias_len,
            scale_len,
        } = vectors;
        check_repeats(
            [bias_len, scale_len].into_iter().filter(|len| *len > 0),
            len,
        )?;
        let numbers = u64::from(bias_len) + u64::from(scale_len);
        let wide = residual_is_f32 && element.bytes() == 2;
        let neighbours = match direction {
            Direction::Forward => Neighbours::Add {
                vectors: numbers > 0,
                wide,
            },
            Direction::Backward => Neighbours::Scale { wide },
        };
        let stream = neighbours.stream(element);
        let ranges = match direction {
            Direction::Forward => vec![
                (Role::Input, element.bytes()),
                (Role::Residual, stream.bytes()),
                (Role::Output, stream.bytes()),
            ],
            Direction::Backward => vec![
                (Role::Input, stream.bytes()),
                (Role::Output, element.bytes()),
            ],
        };
        let geometry = geometry(limits.cut(), element, stream)?;
        let buffers = Buffers::new(&ranges, numbers, limits);
        let tensor = FusedTensor {
            element,
            buffers: BufferLayout::Pooled,
            neighbours,
            vectors,
            map: map.clone(),
        };
        let plan = FusedPlan::new(Box::new(tensor), call)?;
        Ok(buffers.launches(cut(&geometry, len), move |segment| {
            let kernel = plan.kernel(segment);
            let workgroups = segment.len.div_ceil(kernel.per_workgroup());
            let dimensions = map.params(segment.start);
            (kernel, plan.params(segment, 0), dimensions, workgroups)
        }))
    }

    fn act(
        self,
        activation: Activation,
        input: ActOperand,
        bias_len: u32,
        call: &DropoutCall,
        direction: Direction,
        limits: LaunchLimits,
    ) -> Result<FusedLaunches, LaunchError> {
        let Self { element, len, map } = self;
        check_repeats(Some(bias_len).filter(|len| *len > 0), len)?;
        let columns = match input {
            ActOperand::Halves { columns } => {
                ActivatedTensor::check_columns(columns, element, len)?;
                columns
            }
            ActOperand::One | ActOperand::Gated => 0,
        };
        let is_gated = input != ActOperand::One;
        let form = match (direction, is_gated) {
            (Direction::Forward, false) => Form::Forward,
            (Direction::Forward, true) => Form::Gated,
            (Direction::Backward, false) => Form::Gradient,
            (Direction::Backward, true) => Form::GatedGradient,
        };
        let one = element.bytes();
        let input_bytes = if columns > 0 { 2 * one } else { one };
        let mut ranges = vec![(Role::Input, input_bytes)];
        match direction {
            Direction::Forward => ranges.push((Role::Output, one)),
            Direction::Backward => {
                ranges.extend([(Role::Gradient, one), (Role::Output, input_bytes)]);
            }
        }
        if input == ActOperand::Gated && direction == Direction::Forward {
            ranges.push((Role::Up, one));
        }
        let vectors = if is_gated { 2 } else { 1 };
        let buffers = Buffers::new(&ranges, vectors * u64::from(bias_len), limits);
        let tensor = ActivatedTensor {
            activation,
            element,
            form,
            in_place: false,
            bias_len,
            columns,
            map: map.clone(),
        };
        let geometry = tensor.geometry(&Geometry::new(limits.cut(), unit(element))?, len)?;
        let plan = ActivatedPlan::new(Box::new(tensor), call)?;
        Ok(buffers.launches(cut(&geometry, len), move |segment| {
            let kernel = plan.kernel(segment);
            let workgroups = segment.len.div_ceil(kernel.per_workgroup());
            let dimensions = Some(map.params_of_any(segment.start));
            (kernel, plan.params(segment, 0), dimensions, workgroups)
        }))
    }

    fn add_norm(
        self,
        rows: NormRows,
        place: MaskPlace,
        bias_len: u32,
        call: &DropoutCall,
        direction: Direction,
        limits: LaunchLimits,
    ) -> Result<FusedLaunches, LaunchError> {
        let Self { element, len, map } = self;
        check_repeats(Some(bias_len).filter(|len| *len > 0), len)?;
        let (form, flags, roles) = match direction {
            Direction::Forward => (
                NormForm::ForwardApart,
                HAS_RESIDUAL,
                [Role::Input, Role::Residual, Role::Sum, Role::Output],
            ),
            Direction::Backward => (
                NormForm::GradientApart,
                0,
                [Role::Gradient, Role::Sum, Role::Output, Role::Masked],
            ),
        };
        let of_norm = if rows.norm.is_rms() { 1 } else { 2 };
        let numbers = u64::from(bias_len) + of_norm * u64::from(rows.rows.columns);
        let ranges = roles.map(|role| (role, element.bytes()));
        let buffers = Buffers::new(&ranges, numbers, limits);
        let segments = rows.rows.segments(limits.cut(), len)?;
        let tensor = NormTensor {
            rows,
            form,
            place,
            bias_len,
            flags,
            map: map.clone(),
        };
        let plan = NormPlan::new(Box::new(tensor), call, false)?;
        Ok(buffers.launches(segments, move |segment| {
            let workgroups = rows.rows.workgroups(segment);
            let dimensions = Some(map.params_of_any(segment.start));
            (
                plan.kernel(),
                plan.params(segment, 0),
                dimensions,
                workgroups,
            )
        }))
    }

    fn softmax(
        self,
        softmax: Softmax,
        mask: AttentionMask<u32>,
        probabilities: bool,
        call: &DropoutCall,
        direction: Direction,
        limits: LaunchLimits,
    ) -> Result<FusedLaunches, LaunchError> {
        let Self { element, len, map } = self;
        softmax.check(len, mask.map(u64::from))?;
        let numbers = match mask {
            AttentionMask::Additive(len) => len.into(),
            AttentionMask::None | AttentionMask::Causal { .. } => 0,
        };
        let mut roles = vec![Role::Input, Role::Output];
        let (form, flags) = form_and_flags(direction, probabilities);
        roles.extend(match direction {
            Direction::Forward => Some(Role::Probabilities).filter(|_| probabilities),
            Direction::Backward => Some(Role::Gradient),
        });
        let ranges: Vec<_> = roles.iter().map(|role| (*role, element.bytes())).collect();
        let buffers = Buffers::new(&ranges, numbers, limits);
        let rows = Rows {
            element,
            columns: softmax.columns(),
        };
        let segments = rows.segments(limits.cut(), len)?;
        let tensor = SoftmaxTensor {
            softmax,
            rows,
            mask,
            form,
            flags,
            map: map.clone(),
        };
        let plan = SoftmaxPlan::new(Box::new(tensor), call)?;
        Ok(buffers.launches(segments, move |segment| {
            let workgroups = rows.workgroups(segment);
            let dimensions = Some(map.params_of_any(segment.start));
            (
                plan.kernel(),
                plan.params(segment, 0),
                dimensions,
                workgroups,
            )
        }))
    }
}
