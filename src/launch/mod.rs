//! Dropout for runtimes that own their buffers and launch kernels themselves, as CubeCL does below
//! Burn. [`launches`] returns the kernels to launch, the elements of each and its parameters. The
//! results have the bits of [`Dropout`](crate::Dropout).

mod fused;
mod part;

use core::ops::Range;

pub use fused::{ActOperand, Bound, FusedLaunch, FusedLaunches, FusedOperation, fused_launches};
pub use part::{Decisions, Part, PartDimension, part, parts};

use crate::contract::call::DropoutCall;
use crate::contract::effect::Direction;
use crate::contract::element::ElementType;
use crate::contract::error::CallError;
use crate::contract::layout::MaskLayout;
use crate::contract::softmax::SoftmaxShapeError;
use crate::kernel::axes::{BlockAccess, BufferLayout, F16Conversion, Multiply, ParamsSource, Way};
use crate::kernel::wgsl::Variant;
use crate::plan::cut::{CutLimits, Geometry};
use crate::plan::dispatch::{Plan, Tensor, cut, unit};
use crate::plan::error::{CreateError, PlanError, ShapeError};
use crate::plan::index_map::IndexMap;

/// The limits of a device for a launch. The [default](Self::default) has the limits that WebGPU
/// guarantees on every device. A minor release may add a field, so end a value with
/// `..Default::default()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaunchLimits {
    /// The most bytes that a binding can have.
    pub max_binding_bytes: u64,
    /// The alignment of the ranges' offsets.
    pub offset_alignment_bytes: u32,
    /// The most workgroups in the first dimension of a dispatch.
    pub max_workgroups: u32,
    /// True if shaders may use `u64`. Results have the same bits either way, but the speed differs.
    pub int64: bool,
}

/// One dispatch.
///
/// Its module has one bind group. Binding 0 is the input's `elements` and binding 1 the output's.
/// Both are `storage, read_write`, so that they may be ranges of one buffer. Binding 2 is a buffer
/// that holds `params`, `storage, read`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Launch {
    /// The kernel.
    pub kernel: Variant,
    /// The way in which the device runs the kernel, for [`Variant::text`].
    pub way: Way,
    /// The elements of input and output to bind. After an odd number of 16-bit elements, the
    /// binding includes the other half of their last `u32`, which keeps its content. The range
    /// begins at a multiple of the offset alignment if the tensor does.
    pub elements: Range<u64>,
    /// Number of workgroups to dispatch: `(workgroups, 1, 1)`.
    pub workgroups: u32,
    /// The parameters: 8 bytes each, the lower 32 bits first.
    pub params: Vec<u64>,
}

/// A tensor for which there is no launch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// The device's limits are too low.
    #[error(transparent)]
    Limits(#[from] CreateError),
    /// The kernels cannot use the layout.
    #[error(transparent)]
    Layout(#[from] PlanError),
    /// A bias, a scale or rows do not fit the elements.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// Rows or mask of a softmax do not fit the elements.
    #[error(transparent)]
    Softmax(#[from] SoftmaxShapeError),
    /// The call cannot be applied.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// The launches for `call` on a tensor of `layout`, which may run in any order. An empty tensor has
/// none. The iterator makes a launch when it is asked for it, so that even a long tensor takes no
/// memory here.
///
/// # Errors
///
/// See [`LaunchError`]. An error is returned before the first launch is made.
///
/// ```
/// use wgpu_dropout::launch::{LaunchLimits, launches};
/// use wgpu_dropout::{Direction, DropoutCall, DropoutRate, ElementType, MaskKey, MaskLayout};
///
/// let call = DropoutCall::new(DropoutRate::new(0.1)?, MaskKey::layer_step(42, 3, 7));
/// let limits = LaunchLimits { int64: true, ..Default::default() };
/// let layout = MaskLayout::linear(1 << 26);
/// let launches = launches(&layout, ElementType::F32, &call, Direction::Forward, limits)?;
/// let elements: Vec<_> = launches.map(|launch| launch.elements).collect();
/// assert_eq!(elements, [0..1 << 25, 1 << 25..1 << 26]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn launches(
    layout: &MaskLayout,
    element: ElementType,
    call: &DropoutCall,
    direction: Direction,
    limits: LaunchLimits,
) -> Result<impl Iterator<Item = Launch> + use<>, LaunchError> {
    let geometry = Geometry::new(limits.cut(), unit(element))?;
    let tensor = Tensor {
        element,
        buffers: BufferLayout::Pooled,
        map: IndexMap::of_layout(layout, false)?,
        len: layout.len(),
    };
    // With `Pooled` the plan is always `Some`, since only a copy in place has nothing to do.
    let plan = Plan::new(&tensor, call, direction)?;
    Ok(plan.into_iter().flat_map(move |plan| {
        let map = tensor.map.clone();
        cut(&geometry, tensor.len).map(move |segment| {
            let kernel = plan.kernel(segment);
            let multiply = if limits.int64 && kernel.draws() {
                Multiply::U64
            } else {
                Multiply::Halves
            };
            // A copy makes no decision, and so reads no layout.
            let dimensions = map
                .params(segment.start)
                .filter(|_| kernel.mask().is_some());
            Launch {
                kernel: Variant { kernel },
                way: Way {
                    multiply,
                    params: ParamsSource::Bound,
                    blocks: BlockAccess::Vectors,
                    f16: F16Conversion::Integers,
                },
                elements: segment.start..segment.start + u64::from(segment.len),
                workgroups: segment.len.div_ceil(kernel.per_workgroup()),
                params: plan.params(segment, 0).bound(dimensions.as_ref()),
            }
        })
    }))
}

impl Default for LaunchLimits {
    fn default() -> Self {
        Self {
            max_binding_bytes: 128 << 20,
            offset_alignment_bytes: 256,
            max_workgroups: 65_535,
            int64: false,
        }
    }
}

impl LaunchLimits {
    fn cut(self) -> CutLimits {
        CutLimits {
            max_binding_bytes: self.max_binding_bytes,
            offset_alignment_bytes: self.offset_alignment_bytes,
            max_workgroups: self.max_workgroups,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::key::MaskKey;
    use crate::contract::rate::DropoutRate;

    #[test]
    fn each_limit_cuts() {
        let wide = LaunchLimits {
            max_binding_bytes: 1 << 30,
            offset_alignment_bytes: 32,
            max_workgroups: 65_535,
            int64: false,
        };
        let narrow = LaunchLimits {
            max_binding_bytes: 4096,
            ..wide
        };
        let short = LaunchLimits {
            max_workgroups: 1,
            ..wide
        };
        let coarse = LaunchLimits {
            offset_alignment_bytes: 256,
            ..wide
        };
        for (limits, len, second) in [
            (wide, 100_000, None),
            (narrow, 100_000, Some(1024)),
            (short, 100_000, Some(256 * 32)),
            (wide, 100_001, Some(100_000)),
            (coarse, 100_001, Some(99_968)),
        ] {
            let call = DropoutCall::new(DropoutRate::new(0.5).unwrap(), MaskKey::new(0, 0));
            let layout = MaskLayout::linear(len);
            let element = ElementType::F32;
            let launches = launches(&layout, element, &call, Direction::Forward, limits).unwrap();
            let launches: Vec<_> = launches.collect();
            let starts: Vec<_> = launches
                .iter()
                .map(|launch| launch.elements.start)
                .collect();
            assert_eq!(starts.get(1).copied(), second, "{limits:?}");
            // A workgroup processes 32 elements for each of its 256 invocations.
            let first = second.unwrap_or(len);
            assert_eq!(u64::from(launches[0].workgroups), first.div_ceil(8192));
        }
    }

    #[test]
    fn what_is_launched_is_listed() {
        for (p, int64, multiply) in [
            (0.5, true, Multiply::U64),
            (0.5, false, Multiply::Halves),
            (0.0, true, Multiply::Halves),
        ] {
            let limits = LaunchLimits {
                max_binding_bytes: 4096,
                offset_alignment_bytes: 32,
                max_workgroups: 1,
                int64,
            };
            let call = DropoutCall::new(DropoutRate::new(p).unwrap(), MaskKey::new(0, 0));
            let layout = MaskLayout::linear(1001);
            let element = ElementType::F32;
            for launch in launches(&layout, element, &call, Direction::Forward, limits).unwrap() {
                assert_eq!(launch.way.multiply, multiply);
                assert!(Variant::all().any(|listed| listed == launch.kernel));
            }
        }
    }
}
