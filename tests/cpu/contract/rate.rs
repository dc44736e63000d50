//! DropoutRate: p as threshold and scale [M8], [M10].

use proptest::prelude::*;
use wgpu_dropout::{DropoutRate, RateError};

use crate::common::reference::{drop_threshold, keep_scale};
use crate::common::vectors;

const ULP: f64 = 1.0 / 4_294_967_296.0;

#[test]
fn what_is_no_probability_is_refused() {
    for p in [
        -f64::from_bits(1),
        -1.0,
        1.0_f64.next_up(),
        2.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ] {
        assert_eq!(DropoutRate::new(p), Err(RateError::OutOfRange { p }));
    }
    // A NaN is not equal to itself.
    let error = DropoutRate::new(f64::NAN).unwrap_err();
    assert!(matches!(error, RateError::OutOfRange { p } if p.is_nan()));
    assert_eq!(
        error.to_string(),
        "the probability of dropping is NaN; give a number from 0 to 1"
    );
}

#[test]
fn the_ends_and_the_ties() {
    for (p, threshold, scale) in [
        (0.0, 0, 1.0),
        (-0.0, 0, 1.0),
        (f64::from_bits(1), 0, 1.0),
        // Ties go to the even neighbour.
        (0.5 * ULP, 0, 1.0),
        ((0.5 * ULP).next_up(), 1, 1.0),
        (1.5 * ULP, 2, 1.0),
        (2.5 * ULP, 2, 1.0),
        (0.5, 1 << 31, 2.0),
        (1.0 - ULP, (1 << 32) - 1, 4_294_967_296.0),
        (
            (1.0 - 0.5 * ULP).next_down(),
            (1 << 32) - 1,
            4_294_967_296.0,
        ),
        (1.0 - 0.5 * ULP, 1 << 32, 0.0),
        (1.0_f64.next_down(), 1 << 32, 0.0),
        (1.0, 1 << 32, 0.0),
    ] {
        let rate = DropoutRate::new(p).unwrap();
        assert_eq!(
            (rate.drop_threshold(), rate.keep_scale()),
            (threshold, scale),
            "p {p:e}"
        );
        assert_eq!(rate.p().to_bits(), p.to_bits());
        assert_eq!(rate.realized(), threshold as f64 * ULP);
        assert_eq!(rate.drops_nothing(), threshold == 0);
        assert_eq!(rate.drops_all(), threshold == 1 << 32);
    }
    assert_eq!(DropoutRate::ZERO, DropoutRate::new(0.0).unwrap());
}

/// The scale of the realised probability, not of p: near 1 they are different numbers.
#[test]
fn the_scale_is_the_realised_one() {
    for p in [0.999, 0.9999, 0.99999, 0.999_999_9, 1.0 - 1.2 * ULP] {
        let scale = DropoutRate::new(p).unwrap().keep_scale();
        assert_eq!(scale.to_bits(), keep_scale(p).to_bits());
    }
    let p = 0.99999;
    assert_ne!(
        DropoutRate::new(p).unwrap().keep_scale(),
        (1.0 / (1.0 - p)) as f32
    );
}

#[test]
fn the_vectors() {
    for vector in vectors::masks() {
        let rate = DropoutRate::new(vector.p).unwrap();
        assert_eq!(rate.drop_threshold(), vector.drop_threshold, "{vector:?}");
        assert_eq!(
            rate.keep_scale().to_bits(),
            vector.keep_scale_bits,
            "{vector:?}"
        );
    }
}

/// Any p, and what lies within a few roundings of a threshold or half of one.
fn p() -> impl Strategy<Value = f64> {
    let near = (0_u64..=1 << 33, -2_i64..=2).prop_map(|(halves, steps)| {
        let p = halves as f64 * 0.5 * ULP;
        f64::from_bits(p.to_bits().saturating_add_signed(steps)).min(1.0)
    });
    prop_oneof![0.0..=1.0, near]
}

proptest! {
    #[test]
    fn as_the_twin(p in p()) {
        let rate = DropoutRate::new(p).unwrap();
        prop_assert_eq!(rate.drop_threshold(), drop_threshold(p));
        prop_assert_eq!(rate.keep_scale().to_bits(), keep_scale(p).to_bits());
        prop_assert!((rate.realized() - p).abs() <= 0.5 * ULP);
    }

    #[test]
    fn a_larger_p_has_no_smaller_threshold(p in p(), q in p()) {
        let threshold = |p| DropoutRate::new(p).unwrap().drop_threshold();
        prop_assert!(threshold(p.min(q)) <= threshold(p.max(q)));
    }
}
