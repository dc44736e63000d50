//! Dropout for runtimes that own their buffers and launch kernels themselves, as CubeCL does below
//! Burn: which kernels to launch on what, with the bits of [`Dropout`](crate::Dropout).

use core::ops::Range;

use crate::call::DropoutCall;
use crate::choice::{Choice, Map, backward, cut, forward, unit};
use crate::element::ElementType;
use crate::error::{BindError, CreateError, IndexOverflow};
use crate::geometry::{Geometry, Segment};
use crate::layout::MaskLayout;
use crate::params::MaskParams;
use crate::source::{BufferLayout, Multiply, ParamsSource};
use crate::wgsl::Variant;

/// Which way a tensor passes the layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// `output = dropout(input)`.
    Forward,
    /// `grad_input = dropout'(grad_output)`.
    Backward,
}

/// The device's side of a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaunchLimits {
    /// The longest range that it binds.
    pub max_binding_bytes: u64,
    /// What the ranges' offsets are multiples of.
    pub offset_alignment_bytes: u32,
    /// Workgroups in the first dimension of a dispatch.
    pub max_workgroups: u32,
    /// Whether shaders may use `u64`; the bits are the same, the speed is not.
    pub int64: bool,
}

/// One dispatch.
///
/// Its module has one bind group: binding 0 is the input's `elements` and binding 1 the output's,
/// both `storage, read_write`, so that they may be ranges of one buffer; binding 2 is a buffer that
/// holds `params`, `storage, read`.
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    /// The module.
    pub kernel: Variant,
    /// What to bind of input and output, and behind an odd number of 16-bit elements the other half
    /// of their last `u32`, which stays as it is. It begins at a multiple of the offset alignment if
    /// the tensor does.
    pub elements: Range<u64>,
    /// How many, in the first dimension.
    pub workgroups: u32,
    /// The parameters: 8 bytes each, the lower 32 bits first.
    pub params: Vec<u64>,
}

/// A tensor that cannot be launched on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// The device is too small.
    #[error(transparent)]
    Limits(#[from] CreateError),
    /// The layout's dimensions are too long.
    #[error(transparent)]
    Layout(#[from] BindError),
    /// The call's mask indices pass the largest one.
    #[error(transparent)]
    IndexOverflow(#[from] IndexOverflow),
}

/// What to launch for `call` on a tensor of `layout`, in any order. None for an empty tensor. Each
/// launch is made when it is asked for: a tensor of any length takes no memory here.
///
/// # Errors
///
/// See [`LaunchError`]; all of them come before the first launch.
///
/// ```
/// use wgpu_dropout::launch::{Direction, LaunchLimits, launches};
/// use wgpu_dropout::{DropoutCall, DropoutRate, ElementType, MaskKey, MaskLayout};
///
/// let call = DropoutCall::new(DropoutRate::new(0.1)?, MaskKey::layer_step(42, 3, 7));
/// let limits = LaunchLimits {
///     max_binding_bytes: 128 << 20,
///     offset_alignment_bytes: 256,
///     max_workgroups: 65_535,
///     int64: false,
/// };
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
    let geometry = Geometry::new(&limits.wgpu(), unit(element))?;
    let map = Map::of_layout(layout, false)?;
    let kind = call.rate.kind();
    let value = match direction {
        Direction::Forward => forward(kind),
        Direction::Backward => backward(kind),
    };
    let choice = Choice::new(
        element,
        BufferLayout::Pooled,
        &map,
        layout.len(),
        call,
        value,
    )?;
    let call = *call;
    let launch = move |segment: Segment| {
        let kernel = choice.kernel(segment);
        let multiply = if limits.int64 && kernel.draws() {
            Multiply::U64
        } else {
            Multiply::Halves
        };
        let params = MaskParams::new(&call, choice.position(segment), segment.len);
        let mut words = bytemuck::cast::<_, [u64; 7]>(params).to_vec();
        if let Map::Strided { layout, .. } = &map {
            words.extend(bytemuck::cast::<_, [u64; 16]>(layout.params(segment.start)));
        }
        Launch {
            kernel: Variant {
                kernel,
                multiply,
                params: ParamsSource::Bound,
            },
            elements: segment.start..segment.start + u64::from(segment.len),
            workgroups: segment.len.div_ceil(kernel.per_workgroup()),
            params: words,
        }
    };
    Ok(cut(&geometry, layout.len()).map(launch))
}

impl LaunchLimits {
    fn wgpu(self) -> wgpu::Limits {
        wgpu::Limits {
            max_storage_buffer_binding_size: self.max_binding_bytes,
            min_storage_buffer_offset_alignment: self.offset_alignment_bytes,
            max_compute_workgroups_per_dimension: self.max_workgroups,
            ..wgpu::Limits::downlevel_defaults()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::MaskKey;
    use crate::rate::DropoutRate;

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
        // All invocations but one, for what begins within a block.
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
            (short, 100_000, Some(255 * 32)),
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
            // 32 elements for each of 256 invocations.
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
                assert_eq!(launch.kernel.multiply, multiply);
                assert!(Variant::all().any(|listed| listed == launch.kernel));
            }
        }
    }
}
