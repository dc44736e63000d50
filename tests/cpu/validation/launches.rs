//! Launches for another runtime are made one at a time, however long the tensor is.

use wgpu_dropout::launch::{
    ActOperand, FusedOperation, LaunchError, LaunchLimits, fused_launches, launches,
};
use wgpu_dropout::{
    Activation, AttentionMask, CallError, Direction, DropoutCall, DropoutKind, ElementType,
    MaskLayout, MaskPlace, Norm, PlanError, ShapeError, Softmax, SoftmaxShapeError,
};

use crate::common::inputs::{call, kind_call, past_last};

/// Elements of one launch under the default limits.
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
    // Both layouts need 2^25 launches.
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
    let limits = LaunchLimits::default;
    let long = MaskLayout::linear(1 << 50);
    let (good, last) = (call(0.1, 0), call(0.1, u64::MAX));
    let overflow = past_last(u64::MAX, 1 << 50, u64::MAX);
    let overflow = CallError::IndexOverflow(overflow);
    assert_eq!(refused(&long, &last, limits()), overflow.into());
    let [late, certain] =
        [(0.1, 1 << 63), (1.0, 0)].map(|(p, origin)| kind_call(p, origin, DropoutKind::Gaussian));
    let overflow = CallError::IndexOverflow(past_last(1 << 63, 1 << 50, (1 << 63) - 1));
    assert_eq!(refused(&long, &late, limits()), overflow.into());
    let no_variance = CallError::Rate { rate: certain.rate };
    assert_eq!(refused(&long, &certain, limits()), no_variance.into());
    let short = LaunchLimits {
        max_workgroups: 0,
        ..Default::default()
    };
    let got = refused(&long, &good, short);
    assert!(matches!(got, LaunchError::Limits(_)));
    let path = MaskLayout::drop_path(&[2, 1 << 31]).unwrap();
    let too_long = PlanError::DimensionTooLong {
        size: 1 << 31,
        max: (1 << 31) - 1,
    };
    assert_eq!(refused(&path, &good, limits()), too_long.into());
}

#[test]
fn fused_shapes_that_do_not_fit_are_refused() {
    let layout = MaskLayout::linear(60);
    let refused = |operation, element| {
        let (call, limits) = (call(0.1, 0), LaunchLimits::default());
        let direction = Direction::Forward;
        fused_launches(&operation, &layout, element, &call, direction, limits)
            .err()
            .expect("an error")
    };
    let (elements, len) = (60, 7);
    let vector_length = LaunchError::from(ShapeError::VectorLength { elements, len });
    for (bias_len, scale_len) in [(7, 0), (0, 7), (60, 7)] {
        let add = FusedOperation::Add {
            residual_is_f32: false,
            bias_len,
            scale_len,
        };
        assert_eq!(refused(add, ElementType::F32), vector_length);
    }
    let act = |columns, bias_len| FusedOperation::Act {
        activation: Activation::Relu,
        input: ActOperand::Halves { columns },
        bias_len,
    };
    assert_eq!(refused(act(6, 7), ElementType::F32), vector_length);
    for columns in [0, 7] {
        let expected = ShapeError::Columns { elements, columns };
        assert_eq!(refused(act(columns, 0), ElementType::F32), expected.into());
    }
    let expected = ShapeError::OddHalves { columns: 15 };
    assert_eq!(refused(act(15, 0), ElementType::Bf16), expected.into());
    let norm = |columns, bias_len| FusedOperation::AddNorm {
        norm: Norm::rms(0.0).unwrap(),
        place: MaskPlace::Branch,
        columns,
        bias_len,
    };
    assert_eq!(refused(norm(6, 7), ElementType::F32), vector_length);
    let (columns, max) = (7, Norm::MAX_COLUMNS);
    let expected = ShapeError::NormColumns {
        elements,
        columns,
        max,
    };
    assert_eq!(refused(norm(columns, 0), ElementType::F32), expected.into());
    let softmax = FusedOperation::Softmax {
        softmax: Softmax::new(columns, 1.0).unwrap(),
        mask: AttentionMask::None,
        probabilities: false,
    };
    let expected = SoftmaxShapeError::Rows { elements, columns };
    assert_eq!(refused(softmax, ElementType::F32), expected.into());
}
