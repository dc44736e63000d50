//! `DropoutRate`: the threshold and the scale of p [M8], [M10].

use std::collections::HashSet;

use proptest::prelude::*;
use wgpu_dropout::{DropoutCall, DropoutRate, MaskKey, RateError};

use crate::common::reference::{drop_threshold, keep_scale};
use crate::common::vectors;

const ULP: f64 = 1.0 / 4_294_967_296.0;

/// The keep scale of inverted dropout.
fn scale(rate: DropoutRate) -> f32 {
    DropoutCall::new(rate, MaskKey::new(0, 0)).keep_scale()
}

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
        let error = Err(RateError::OutOfRange { p });
        assert_eq!(DropoutRate::new(p), error);
        assert_eq!(DropoutRate::try_from(p), error);
        assert_eq!(p.to_string().parse::<DropoutRate>(), error);
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
    for (p, threshold, keep_scale) in [
        (0.0, 0, 1.0),
        (-0.0, 0, 1.0),
        (f64::from_bits(1), 0, 1.0),
        // Ties go to even thresholds.
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
            (rate.drop_threshold(), scale(rate)),
            (threshold, keep_scale),
            "p {p:e}"
        );
        // -0.0 becomes 0.0.
        assert_eq!(rate.p().to_bits(), (p + 0.0).to_bits());
        assert_eq!(rate.realized(), threshold as f64 * ULP);
        assert_eq!(rate.drops_nothing(), threshold == 0);
        assert_eq!(rate.drops_all(), threshold == 1 << 32);
    }
    assert_eq!(DropoutRate::ZERO, DropoutRate::new(0.0).unwrap());
}

#[test]
fn equal_rates_are_one_key_of_a_map() {
    let rates = [0.0, -0.0, 0.5, 0.5, 0.5_f64.next_up(), 1.0];
    let rates: HashSet<_> = rates.map(|p| DropoutRate::new(p).unwrap()).into();
    assert_eq!(rates.len(), 4);
}

#[test]
fn a_rate_is_read_as_a_number() {
    for (text, p) in [
        ("0.1", 0.1),
        ("1", 1.0),
        ("25e-2", 0.25),
        (".5", 0.5),
        ("-0", 0.0),
    ] {
        assert_eq!(text.parse(), DropoutRate::new(p), "{text}");
    }
    for text in ["", "half", "0,5", "0.5 ", "50%", "0x1"] {
        let error = RateError::NotANumber {
            text: text.to_owned(),
        };
        assert_eq!(
            error.to_string(),
            format!("`{text}` is no number; give a number from 0 to 1")
        );
        assert_eq!(text.parse::<DropoutRate>(), Err(error));
    }
    let nan = "NaN".parse::<DropoutRate>().unwrap_err();
    assert!(matches!(nan, RateError::OutOfRange { p } if p.is_nan()));
}

/// The standard deviation of the noise follows the realised probability [M20].
#[test]
fn sigma_is_the_realised_one() {
    for (p, sigma) in [
        (0.0, 0.0),
        (0.5, 1.0),
        (0.2, 0.5),
        (0.9, 3.0),
        (1.0, f32::INFINITY),
    ] {
        assert_eq!(DropoutRate::new(p).unwrap().sigma(), sigma, "p {p}");
    }
    let p = 0.999_999_999;
    let rate = DropoutRate::new(p).unwrap();
    let sigma = |p: f64| (p / (1.0 - p)).sqrt() as f32;
    assert_eq!(rate.sigma(), sigma(rate.realized()));
    assert_ne!(rate.sigma(), sigma(p));
}

/// The scale follows the realised probability, not p. Near 1 these differ.
#[test]
fn the_scale_is_the_realised_one() {
    for p in [0.999, 0.9999, 0.99999, 0.999_999_9, 1.0 - 1.2 * ULP] {
        let scale = scale(DropoutRate::new(p).unwrap());
        assert_eq!(scale.to_bits(), keep_scale(p).to_bits());
    }
    let p = 0.99999;
    let realized = scale(DropoutRate::new(p).unwrap());
    assert_ne!(realized, (1.0 / (1.0 - p)) as f32);
}

#[test]
fn the_vectors() {
    for vector in vectors::masks() {
        let rate = DropoutRate::new(vector.p).unwrap();
        assert_eq!(rate.drop_threshold(), vector.drop_threshold, "{vector:?}");
        assert_eq!(scale(rate).to_bits(), vector.keep_scale_bits, "{vector:?}");
    }
}

/// Any p, and p within two floating-point steps of a threshold or of the middle between two.
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
        prop_assert_eq!(scale(rate).to_bits(), keep_scale(p).to_bits());
        prop_assert!((rate.realized() - p).abs() <= 0.5 * ULP);
    }

    #[test]
    fn text_and_number_read_back(p in p()) {
        let rate = DropoutRate::new(p).unwrap();
        prop_assert_eq!(rate.to_string().parse(), Ok(rate));
        prop_assert_eq!(f64::from(rate).try_into(), Ok(rate));
        prop_assert_eq!(rate.p(), p);
    }

    #[test]
    fn a_larger_p_has_no_smaller_threshold(p in p(), q in p()) {
        let threshold = |p| DropoutRate::new(p).unwrap().drop_threshold();
        prop_assert!(threshold(p.min(q)) <= threshold(p.max(q)));
    }
}
