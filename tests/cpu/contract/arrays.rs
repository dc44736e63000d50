//! Dropout of arrays: an element's coordinates choose its decision, whatever the order in memory.

use ndarray::{
    Array, Array2, ArrayD, ArrayView, ArrayViewMut, Axis, Dimension, Ix2, IxDyn, ShapeBuilder, s,
};
use wgpu_dropout::cpu::{ArrayError, Arrays, apply, apply_to_arrays};
use wgpu_dropout::half::{bf16, f16};
use wgpu_dropout::{CpuError, DropoutCall, DropoutKind, Element, LayoutError, MaskPattern};

use super::ways::CANARY;
use crate::common::inputs::{call, kind_call, past_last, values};
use crate::common::kinds::Direction;

const KINDS: [DropoutKind; 4] = [
    DropoutKind::Inverted,
    DropoutKind::Classic,
    DropoutKind::Alpha,
    DropoutKind::Gaussian,
];

fn patterns() -> [MaskPattern; 4] {
    [
        MaskPattern::Elementwise,
        MaskPattern::DropPath,
        MaskPattern::FeatureChannelsLast,
        MaskPattern::NoiseShape(vec![Some(1), None]),
    ]
}

fn array<T: Element>(shape: &[usize]) -> ArrayD<T> {
    let len = shape.iter().product::<usize>() as u64;
    let elements = values(len)
        .into_iter()
        .map(|x| T::from_f32(x % 100.0))
        .collect();
    ArrayD::from_shape_vec(shape, elements).unwrap()
}

/// The result of the function on slices, for the elements in row-major order.
fn expected<T: Element, D: Dimension>(
    direction: Direction,
    pattern: &MaskPattern,
    x: ArrayView<'_, T, D>,
    call: &DropoutCall,
) -> Vec<T> {
    let shape: Vec<u64> = x.shape().iter().map(|&size| size as u64).collect();
    let layout = pattern.layout(&shape).unwrap();
    let mut elements: Vec<T> = x.iter().copied().collect();
    apply(direction, &layout, &mut elements, call).unwrap();
    elements
}

/// Compares bits in row-major order.
#[track_caller]
fn same<T: Element, D: Dimension>(expected: &[T], got: ArrayView<'_, T, D>, what: &str) {
    let got: Vec<T> = got.iter().copied().collect();
    let bytes = bytemuck::cast_slice::<T, u8>;
    assert!(bytes(expected) == bytes(&got), "{what}");
}

/// Checks both directions with each kind and pattern, from `x` to `y` and in place in `y`.
fn check<T: Element, D: Dimension>(
    what: &str,
    x: ArrayView<'_, T, D>,
    mut y: ArrayViewMut<'_, T, D>,
) {
    for pattern in patterns() {
        for kind in KINDS {
            for &direction in Direction::ALL {
                let what = format!("{what}, {pattern}, {kind}, {direction:?}, {}", T::TYPE);
                let call = kind_call(0.4, 5, kind);
                let expected = expected(direction, &pattern, x.view(), &call);
                y.fill(T::from_f32(CANARY));
                apply_to_arrays(direction, &pattern, (x.view(), y.view_mut()), &call).unwrap();
                same(&expected, y.view(), &what);

                y.assign(&x);
                apply_to_arrays(direction, &pattern, y.view_mut(), &call).unwrap();
                same(&expected, y.view(), &format!("{what}, in place"));
            }
        }
    }
}

fn orders<T: Element>() {
    let x = array::<T>(&[3, 5, 7]);
    let zeros = |shape: &[usize]| ArrayD::from_elem(shape, T::zeroed());
    let fortran = || Array::from_shape_simple_fn(IxDyn(&[3, 5, 7]).f(), || T::zeroed());
    check("standard", x.view(), zeros(&[3, 5, 7]).view_mut());
    let mut transposed = zeros(&[7, 5, 3]).reversed_axes();
    check("to transposed", x.view(), transposed.view_mut());
    check("to Fortran's order", x.view(), fortran().view_mut());
    let permuted = x.view().permuted_axes(IxDyn(&[2, 0, 1]));
    check("from permuted", permuted, zeros(&[7, 3, 5]).view_mut());
    let mut column_major = fortran();
    column_major.assign(&x);
    let from_fortran = column_major.view();
    check(
        "from Fortran's order",
        from_fortran,
        zeros(&[3, 5, 7]).view_mut(),
    );
    check(
        "from and to Fortran's order",
        column_major.view(),
        fortran().view_mut(),
    );
    let (mut from, mut to) = (x.view(), zeros(&[3, 5, 7]));
    from.invert_axis(Axis(1));
    let mut to = to.view_mut();
    to.invert_axis(Axis(2));
    check("mirrored", from, to);
}

#[test]
fn arrays_in_any_order_have_the_masks_of_their_coordinates() {
    orders::<f32>();
    orders::<f16>();
    orders::<bf16>();
}

/// An array may be a window of a larger one. Elements outside the window are not written.
#[test]
fn memory_between_rows_stays_as_it_was() {
    fn check_type<T: Element>() {
        let canary = T::from_f32(CANARY);
        let wide = array::<T>(&[9, 20]);
        let window = wide.slice(s![2..8;2, 3..14]).into_dyn();
        for step in [1, 2] {
            let mut memory = Array2::from_elem((3 * step, 20), canary);
            check(
                "pitched",
                window.view(),
                memory.slice_mut(s![..;step, 5..16]).into_dyn(),
            );
            for ((row, column), &element) in memory.indexed_iter() {
                let outside = row % step != 0 || !(5..16).contains(&column);
                if outside {
                    let bytes = |element| bytemuck::bytes_of(element).to_vec();
                    assert_eq!(bytes(&element), bytes(&canary), "{row}, {column}");
                }
            }
        }
    }
    check_type::<f32>();
    check_type::<f16>();
    check_type::<bf16>();
}

#[test]
fn an_input_may_broadcast() {
    let row = array::<f32>(&[1, 7]);
    let rows = row.broadcast(IxDyn(&[5, 7])).unwrap();
    check(
        "broadcast",
        rows,
        ArrayD::from_elem(&[5, 7][..], 0.0).view_mut(),
    );
}

#[test]
fn arrays_of_no_dimension_and_of_no_element() {
    let call = call(0.5, 0);
    for (pattern, shape) in [
        (MaskPattern::Elementwise, &[][..]),
        (MaskPattern::NoiseShape(vec![]), &[]),
        (MaskPattern::Elementwise, &[0]),
        (MaskPattern::DropPath, &[3, 0, 2]),
    ] {
        let (x, mut y) = (array::<f32>(shape), ArrayD::from_elem(shape, CANARY));
        for &direction in Direction::ALL {
            let expected = expected(direction, &pattern, x.view(), &call);
            apply_to_arrays(direction, &pattern, (x.view(), y.view_mut()), &call).unwrap();
            same(&expected, y.view(), &pattern.to_string());
            let mut data = x.clone();
            apply_to_arrays(direction, &pattern, data.view_mut(), &call).unwrap();
            same(&expected, data.view(), &pattern.to_string());
        }
    }
}

/// Expects `error` for 3 x 3 arrays, row-major and transposed, with an output and in place.
#[track_caller]
fn refuses(pattern: &MaskPattern, call: &DropoutCall, error: &ArrayError) {
    let (x, mut y) = (
        Array2::from_elem((3, 3), 1.0),
        Array2::from_elem((3, 3), CANARY),
    );
    for &direction in Direction::ALL {
        let apply = |arrays: Arrays<'_, f32, Ix2>| {
            let got = apply_to_arrays(direction, pattern, arrays, call);
            assert_eq!(got.as_ref(), Err(error));
        };
        apply((x.view(), y.view_mut()).into());
        apply((x.t(), y.view_mut().reversed_axes()).into());
        apply(y.view_mut().into());
        apply(y.view_mut().reversed_axes().into());
    }
    assert!(y.iter().all(|&y| y == CANARY));
}

#[test]
fn shapes_that_differ_write_nothing() {
    for [input, output] in [
        [&[3, 4][..], &[4, 3][..]],
        [&[3, 4], &[12]],
        [&[3, 4], &[3, 4, 1]],
        [&[3, 3], &[3, 1]],
        [&[2, 2], &[2, 3]],
    ] {
        let error = ArrayError::ShapeMismatch {
            input: input.to_vec(),
            output: output.to_vec(),
        };
        assert_eq!(
            error.to_string(),
            format!("the input has shape {input:?}, the output {output:?}: make them equal")
        );
        let (x, mut y) = (array::<f32>(input), ArrayD::from_elem(output, CANARY));
        for &direction in Direction::ALL {
            let arrays = (x.view(), y.view_mut());
            let got = apply_to_arrays(direction, &MaskPattern::Elementwise, arrays, &call(0.5, 0));
            assert_eq!(got.as_ref(), Err(&error));
        }
        assert!(y.iter().all(|&y| y == CANARY));
    }
}

#[test]
fn what_the_pattern_or_the_call_refuses_writes_nothing() {
    let noise = MaskPattern::NoiseShape(vec![Some(2), None]);
    let does_not_broadcast = ArrayError::Layout(LayoutError::NoiseShape {
        dimension: 0,
        noise: 2,
        size: 3,
    });
    refuses(&noise, &call(0.5, 0), &does_not_broadcast);
    let overflow = past_last(u64::MAX, 9, u64::MAX);
    let past_last = ArrayError::Cpu(CpuError::Call(overflow.into()));
    refuses(&MaskPattern::Elementwise, &call(0.5, u64::MAX), &past_last);
}
