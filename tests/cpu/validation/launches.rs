//! What another runtime is told to launch: one launch after the other, however long the tensor is.

use wgpu_dropout::launch::{Direction, LaunchError, LaunchLimits, launches};
use wgpu_dropout::{BindError, DropoutCall, ElementType, IndexOverflow, MaskLayout};

use crate::common::inputs::call;

const LIMITS: LaunchLimits = LaunchLimits {
    max_binding_bytes: 128 << 20,
    offset_alignment_bytes: 256,
    max_workgroups: 65_535,
    int64: false,
};

/// Elements of a launch that the binding limits.
const PIECE: u64 = 1 << 25;

fn first_two(layout: &MaskLayout, call: &DropoutCall) -> Result<Vec<u64>, LaunchError> {
    let launches = launches(layout, ElementType::F32, call, Direction::Forward, LIMITS)?;
    Ok(launches
        .take(2)
        .map(|launch| launch.elements.start)
        .collect())
}

#[test]
fn a_tensor_of_any_length_takes_no_memory() {
    // 2^25 launches, and as many of a layout that is not linear.
    let rows = MaskLayout::strided(&[1 << 25, 1 << 25], &[1 << 26, 1]).unwrap();
    for layout in [MaskLayout::linear(1 << 50), rows] {
        let mut starts = Vec::new();
        let info =
            allocation_counter::measure(|| starts = first_two(&layout, &call(0.1, 0)).unwrap());
        assert_eq!(starts, [0, PIECE]);
        assert!(info.bytes_max < 4096, "{info:?}");
    }
}

#[test]
fn errors_come_before_the_first_launch() {
    let refused = |layout, call, limits| {
        launches(layout, ElementType::F32, call, Direction::Forward, limits)
            .err()
            .expect("an error")
    };
    let long = MaskLayout::linear(1 << 50);
    let (good, last) = (call(0.1, 0), call(0.1, u64::MAX));
    let overflow = IndexOverflow {
        origin: u64::MAX,
        len: 1 << 50,
    };
    assert_eq!(refused(&long, &last, LIMITS), overflow.into());
    let short = LaunchLimits {
        max_workgroups: 0,
        ..LIMITS
    };
    assert!(matches!(
        refused(&long, &good, short),
        LaunchError::Limits(_)
    ));
    let path = MaskLayout::drop_path(&[2, 1 << 31]).unwrap();
    let too_long = BindError::DimensionTooLong {
        size: 1 << 31,
        max: (1 << 31) - 1,
    };
    assert_eq!(refused(&path, &good, LIMITS), too_long.into());
}
