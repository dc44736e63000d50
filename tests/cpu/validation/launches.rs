//! Launches for another runtime: one after the other, however long the tensor is.

use wgpu_dropout::launch::{LaunchError, LaunchLimits, launches};
use wgpu_dropout::{
    CallError, Direction, DropoutCall, DropoutKind, ElementType, IndexOverflow, MaskLayout,
    PlanError,
};

use crate::common::inputs::{call, kind_call};

/// Elements of a launch that the default limits allow.
const PIECE: u64 = 1 << 25;

fn first_two(layout: &MaskLayout, call: &DropoutCall) -> Result<Vec<u64>, LaunchError> {
    let launches = launches(
        layout,
        ElementType::F32,
        call,
        Direction::Forward,
        LaunchLimits::default(),
    )?;
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
    let overflow = IndexOverflow::Call {
        origin: u64::MAX,
        len: 1 << 50,
        max: u64::MAX,
    };
    let overflow = CallError::IndexOverflow(overflow);
    assert_eq!(
        refused(&long, &last, LaunchLimits::default()),
        overflow.into()
    );
    let [late, certain] =
        [(0.1, 1 << 63), (1.0, 0)].map(|(p, origin)| kind_call(p, origin, DropoutKind::Gaussian));
    let overflow = CallError::IndexOverflow(IndexOverflow::Call {
        origin: 1 << 63,
        len: 1 << 50,
        max: (1 << 63) - 1,
    });
    assert_eq!(
        refused(&long, &late, LaunchLimits::default()),
        overflow.into()
    );
    let no_variance = CallError::Rate { rate: certain.rate };
    assert_eq!(
        refused(&long, &certain, LaunchLimits::default()),
        no_variance.into()
    );
    let short = LaunchLimits {
        max_workgroups: 0,
        ..Default::default()
    };
    assert!(matches!(
        refused(&long, &good, short),
        LaunchError::Limits(_)
    ));
    let path = MaskLayout::drop_path(&[2, 1 << 31]).unwrap();
    let too_long = PlanError::DimensionTooLong {
        size: 1 << 31,
        max: (1 << 31) - 1,
    };
    assert_eq!(
        refused(&path, &good, LaunchLimits::default()),
        too_long.into()
    );
}
