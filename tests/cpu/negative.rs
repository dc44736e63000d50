//! Each comparison and each file of known answers fails for every kind of mistake that it must
//! find. `cargo xtask mutants` shows that the answers tell a wrong kernel from a right one, for
//! each constant and operator.

use wgpu_dropout::DropoutKind;

use crate::common::compare;
use crate::common::inputs::{call, kind_call, values};
use crate::common::kinds::{self, Direction};
use crate::common::layers::layers;
use crate::common::reference::{self, dropout, fold_in, indices, packed_mask, philox4x32};
use crate::common::vectors;

const NAN: f32 = f32::NAN;
const OTHER_NAN: f32 = f32::from_bits(0xFFC0_0001);
const SUBNORMAL: f32 = f32::from_bits(0x8000_0001);

#[track_caller]
fn differs(result: Result<(), String>, message: &str) {
    let found = result.expect_err("the comparison let a mistake pass");
    assert_eq!(found, message);
}

#[test]
fn f32_bits() {
    let x = [1.0, 0.0, NAN, SUBNORMAL];
    assert_eq!(compare::f32_bits(&x, &x), Ok(()));
    assert_eq!(compare::f32_bits(&[NAN], &[OTHER_NAN]), Ok(()));
    differs(
        compare::f32_bits(&[1.0, 1.0, 0.0], &[1.0, 1.0_f32.next_up(), -0.0]),
        "element 1: expected 0x3f800000 (1e0), got 0x3f800001 (1.0000001e0); 2 of 3 differ; lengths: expected 3, got 3",
    );
    differs(compare::f32_bits(&x, &x[..3]), "lengths: expected 4, got 3");
    for (expected, got) in [(0.0, -0.0), (NAN, 1.0), (1.0, NAN), (SUBNORMAL, -0.0)] {
        compare::f32_bits(&[expected], &[got]).unwrap_err();
    }
}

#[test]
fn f32_bits_or_flushed() {
    let check = |x, expected, got| compare::f32_bits_or_flushed(&[x], &[expected], &[got]);
    let product = 2.0 * SUBNORMAL;
    for got in [product, 0.0, -0.0] {
        assert_eq!(check(SUBNORMAL, product, got), Ok(()));
    }
    // The largest subnormal doubled is a normal number, yet its factor may have been flushed.
    let largest = f32::MIN_POSITIVE.next_down();
    assert_eq!(check(largest, 2.0 * largest, 0.0), Ok(()));
    // Alpha dropout's factor may be less than 1.
    let smallest = f32::MIN_POSITIVE;
    assert_eq!(check(smallest, 0.9 * smallest, 0.0), Ok(()));
    for (x, expected, got) in [
        (smallest, smallest, 0.0),
        (SUBNORMAL, product, SUBNORMAL),
        // Dropped is +0, whatever x was.
        (SUBNORMAL, 0.0, -0.0),
        (SUBNORMAL, 0.0, product),
        (1.0, 2.0, 0.0),
        (NAN, NAN, 0.0),
    ] {
        check(x, expected, got).unwrap_err();
    }
    let message = "0 inputs for 1 expected elements";
    differs(compare::f32_bits_or_flushed(&[], &[1.0], &[1.0]), message);
}

#[test]
fn f32_copies() {
    let x = [1.0, -0.0, OTHER_NAN, SUBNORMAL];
    assert_eq!(compare::f32_copies(&x, &x), Ok(()));
    for (expected, got) in [(NAN, OTHER_NAN), (0.0, -0.0), (SUBNORMAL, -0.0)] {
        compare::f32_copies(&[expected], &[got]).unwrap_err();
    }
}

#[test]
fn f32_within() {
    let check = |exact, bound, got| compare::f32_within(&[(exact, bound)], &[got]);
    for (exact, bound, got) in [
        (1.0, 0.5, 1.5),
        (0.0, 0.0, -0.0),
        (f64::NAN, 0.0, NAN),
        (1e39, 1.0, f32::INFINITY),
    ] {
        assert_eq!(check(exact, bound, got), Ok(()));
    }
    for (exact, bound, got) in [
        (1.0, 0.5, 1.5_f32.next_up()),
        (1.0, 0.5, NAN),
        (1.0, f64::NAN, 1.0),
        (f64::NAN, 1.0, 1.0),
        (-1e39, 1e39, f32::INFINITY),
    ] {
        check(exact, bound, got).unwrap_err();
    }
}

#[test]
fn packed_masks_and_bytes() {
    let expected = packed_mask(0.5, 42, 1, 0..100);
    assert_eq!(compare::packed_masks(&expected, &expected), Ok(()));
    differs(
        compare::packed_masks(&[u32::MAX, 0b0110], &[u32::MAX, 0b1010]),
        "element 34: expected kept (1), got dropped (0); 2 of 64 differ; lengths: expected 64, got 64",
    );
    differs(
        compare::packed_masks(&expected, &expected[..3]),
        "lengths: expected 128, got 96",
    );
    assert_eq!(compare::bytes(b"mask", b"mask"), Ok(()));
    differs(
        compare::bytes(b"mask", b"musk"),
        "element 1: expected 0x61, got 0x75; 1 of 4 differ; lengths: expected 4, got 4",
    );
}

/// The results of each kind for ones and other numbers, and mistakes in them.
#[test]
fn wrong_kinds() {
    let x: Vec<f32> = (0..1000).map(|element| element as f32 - 500.5).collect();
    let make = |p: f64, kind, scale: f32, shift: f32, dropped: f32| {
        let call = kind_call(p, 0, kind);
        let kept = kinds::kept(&call, 0..1000);
        let one = |(&kept, &x): (&bool, &f32)| if kept { x * scale + shift } else { dropped };
        let y: Vec<f32> = kept.iter().zip(&x).map(one).collect();
        (call, kept, y)
    };
    let check = |direction, (call, kept, y): &(_, Vec<bool>, Vec<f32>)| {
        kinds::check(call, direction, kept, &x, y)
    };
    use Direction::{Backward, Forward};
    use DropoutKind::{Alpha, Classic, Inverted};
    let kinds::Alpha { a, b, dropped } = kinds::Alpha::new(0.3);
    let (a, b, dropped) = (a as f32, b as f32, dropped as f32);
    let scale = (1.0 / (1.0 - call(0.3, 0).rate.realized())) as f32;
    for (kind, direction, right) in [
        (Inverted, Forward, (scale, 0.0, 0.0)),
        (Inverted, Backward, (scale, 0.0, 0.0)),
        (Classic, Forward, (1.0, 0.0, 0.0)),
        (Classic, Backward, (1.0, 0.0, 0.0)),
        (Alpha, Forward, (a, b, dropped)),
        (Alpha, Backward, (a, 0.0, 0.0)),
    ] {
        let made = |(scale, shift, dropped)| make(0.3, kind, scale, shift, dropped);
        assert_eq!(
            check(direction, &made(right)),
            Ok(()),
            "{kind}, {direction:?}"
        );
        let (s, t, d) = right;
        for wrong in [
            (s * 1.000_002, t, d),
            (s, t * 1.000_01 + 0.001, d),
            (s, t, d.next_up()),
        ] {
            check(direction, &made(wrong)).unwrap_err();
        }
        let (call, mut kept, y) = made(right);
        kept[500] = !kept[500];
        check(direction, &(call, kept, y)).unwrap_err();
        let (call, kept, mut y) = made(right);
        y.pop();
        check(direction, &(call, kept, y)).unwrap_err();
    }
    // Rates that drop nothing and everything.
    check(Forward, &make(0.0, Alpha, 1.0, 0.0, 0.0)).unwrap();
    check(Forward, &make(0.0, Alpha, 1.0, 0.001, 0.0)).unwrap_err();
    check(Forward, &make(1.0, Alpha, 1.0, 0.0, 0.0)).unwrap();
    check(Forward, &make(1.0, Alpha, 1.0, 0.0, -0.0)).unwrap_err();
}

/// Mistakes in the results of 16-bit elements, all of which are kept. The check finds each mistake
/// at a rate of 0.4.
#[test]
fn wrong_pairs() {
    use reference::{BF16, F16};
    let call = call(0.4, 0);
    let scale = call.keep_scale();
    let x: Vec<u16> = (0..=u16::MAX).collect();
    let check = |format, y: Vec<u16>| {
        let kept = vec![true; x.len()];
        kinds::check_pairs(format, &call, Direction::Forward, &kept, &x, &y)
    };
    for (format, differing_once) in [(F16, 3944), (BF16, 4048)] {
        let map = |map: &dyn Fn(u16) -> u16| x.iter().map(|&bits| map(bits)).collect::<Vec<_>>();
        let product = |bits| format.number(bits) * scale;
        let right = |bits| format.nearest(product(bits).into());
        let once = |bits| format.nearest(f64::from(format.number(bits)) * f64::from(scale));
        let toward_zero = |bits| {
            let nearest = right(bits);
            let too_far = format.number(nearest).abs() > product(bits).abs();
            nearest - u16::from(too_far)
        };
        let away_on_ties = |bits| format.nearest(f64::from(product(bits)) * (1.0 + 1e-12));
        let saturating = |bits| {
            let nearest = right(bits);
            let overflows = format.number(nearest).is_infinite();
            nearest - u16::from(overflows && format.number(bits).is_finite())
        };
        let dropping = |bits| if bits == 0x3456 { 0 } else { right(bits) };
        check(format, map(&right)).unwrap();
        let differing = x.iter().filter(|&&bits| once(bits) != right(bits));
        assert_eq!(differing.count(), differing_once, "{format:?}");
        for wrong in
            [&once, &toward_zero, &away_on_ties, &saturating, &dropping] as [&dyn Fn(u16) -> u16; 5]
        {
            check(format, map(wrong)).unwrap_err();
        }
    }
}

/// A layer's definition differs from every other one of its shape, and from its own that begins at
/// the next index.
#[test]
fn wrong_layers() {
    let right = call(0.3, 0);
    let layers = layers();
    let mut others = 0;
    for layer in &layers {
        let x = values(layer.layout.len());
        let kept = layer.kept(&right);
        let y = dropout_of(&kept, &x);
        kinds::check(&right, Direction::Forward, &kept, &x, &y).unwrap();
        let next = layer.kept(&right.with_origin(1));
        kinds::check(&right, Direction::Forward, &next, &x, &y).unwrap_err();
        for other in &layers {
            let same_shape = other.layout.shape() == layer.layout.shape();
            if same_shape && other.layout != layer.layout {
                others += 1;
                let kept = other.kept(&right);
                kinds::check(&right, Direction::Forward, &kept, &x, &y).unwrap_err();
            }
        }
    }
    assert_eq!(others, 6);
}

/// Inverted dropout at 0.3.
fn dropout_of(kept: &[bool], x: &[f32]) -> Vec<f32> {
    let scale = call(0.3, 0).keep_scale();
    let one = |(&kept, &x): (&bool, &f32)| if kept { x * scale } else { 0.0 };
    kept.iter().zip(x).map(one).collect()
}

/// Only a rate near 1 tells the two scales apart: at 0.3 they are the same f32.
#[test]
fn a_scale_from_p_in_place_of_the_realised_probability() {
    const P: f64 = 0.9999;
    let x = vec![1.0; 100_000];
    let expected = dropout(P, 42, 1, 0..100_000, &x);
    let wrong: Vec<f32> = expected
        .iter()
        .map(|&y| {
            if y == 0.0 {
                y
            } else {
                (1.0 / (1.0 - P)) as f32
            }
        })
        .collect();
    compare::f32_bits(&expected, &wrong).unwrap_err();
}

#[test]
fn known_answers_of_philox() {
    vectors::check_philox(philox4x32).unwrap();
    vectors::check_philox(|rounds, counter, key| philox4x32(rounds - 1, counter, key)).unwrap_err();
    vectors::check_philox(|_, counter, key| philox4x32(10, counter, key)).unwrap_err();
    vectors::check_philox(|rounds, counter, [k0, k1]| philox4x32(rounds, counter, [k1, k0]))
        .unwrap_err();
}

#[test]
fn known_answers_of_masks() {
    let check = |origin: u64, stream: u64| {
        vectors::check_masks(|vector| {
            let indices = indices(&vector.shape, &vector.strides, vector.origin + origin);
            packed_mask(
                vector.p,
                vector.seed,
                vector.stream ^ stream,
                indices.into_iter(),
            )
        })
    };
    check(0, 0).unwrap();
    check(1, 0).unwrap_err();
    check(0, 1 << 32).unwrap_err();
}

#[test]
fn known_answers_of_folds() {
    vectors::check_folds(fold_in).unwrap();
    vectors::check_folds(|seed, stream, n| fold_in(seed, stream, n & 0xFFFF_FFFF)).unwrap_err();
    vectors::check_folds(|seed, stream, n| fold_in(stream, seed, n)).unwrap_err();
}
