//! Classic and alpha dropout [M17]: their constants, values and statistics.

use wgpu_dropout::cpu::apply;
use wgpu_dropout::{DropoutCall, DropoutKind};

use super::ways::both_ways;
use crate::common::inputs::{KINDS, RATES, SPECIALS, call, indices, kind_call, values};
use crate::common::kinds::{self, Alpha, Direction};
use crate::common::reference::{philox4x32, uniform};

/// More elements than one task of the thread pool takes.
const LONG: u64 = 100_003;

/// Checks both directions, with an output and in place.
fn check(call: &DropoutCall, x: &[f32]) {
    let kept = kinds::kept(call, indices(call, x.len() as u64));
    for &direction in Direction::ALL {
        for y in both_ways(direction, x.len(), x, call).unwrap() {
            kinds::check(call, direction, &kept, x, &y).unwrap();
        }
    }
}

#[test]
fn values_of_every_rate() {
    for kind in [DropoutKind::Classic, DropoutKind::Alpha] {
        for p in RATES {
            for origin in [0, 5] {
                check(&kind_call(p, origin, kind), &values(LONG));
                check(&kind_call(p, origin, kind), &SPECIALS.repeat(100));
            }
        }
    }
}

#[test]
fn constants_of_classic() {
    let half_ulp = 0.5 / 4_294_967_296.0;
    for (p, inference) in [
        (0.0, 1.0),
        (half_ulp, 1.0),
        (0.25, 0.75),
        (0.1, (1.0 - 429_496_730.0 / 4_294_967_296.0) as f32),
        (1.0 - half_ulp, 0.0),
        (1.0, 0.0),
    ] {
        let classic = kind_call(p, 0, DropoutKind::Classic);
        assert_eq!(classic.inference_scale(), inference, "p {p}");
        let keep_scale = if classic.rate.drops_all() { 0.0 } else { 1.0 };
        assert_eq!(classic.keep_scale(), keep_scale);
        assert_eq!((classic.keep_shift(), classic.dropped_value()), (0.0, 0.0));
        for kind in [
            DropoutKind::Inverted,
            DropoutKind::Alpha,
            DropoutKind::Gaussian,
        ] {
            assert_eq!(kind_call(p, 0, kind).inference_scale(), 1.0);
        }
    }
}

#[test]
fn constants_of_alpha() {
    for p in RATES.into_iter().filter(|&p| p < 1.0) {
        let Alpha { a, b, dropped } = Alpha::new(p);
        let alpha = kind_call(p, 0, DropoutKind::Alpha);
        assert_eq!(alpha.keep_scale(), a as f32, "p {p}");
        assert_eq!(alpha.keep_shift(), b as f32, "p {p}");
        assert_eq!(alpha.dropped_value(), dropped as f32, "p {p}");
    }
    let all = kind_call(1.0, 0, DropoutKind::Alpha);
    let constants = (all.keep_scale(), all.keep_shift(), all.dropped_value());
    assert_eq!(constants, (0.0, 0.0, 0.0));
}

/// The constants follow the realised p. Near 1 the requested p would give others.
#[test]
fn constants_are_of_the_realised_probability() {
    let p = 0.999_999_999;
    let a = |p: f64| 1.0 / ((1.758_099_340_847_376_6_f64.powi(2) * p + 1.0) * (1.0 - p)).sqrt();
    let alpha = kind_call(p, 0, DropoutKind::Alpha);
    assert_eq!(alpha.keep_scale(), a(alpha.rate.realized()) as f32);
    assert_ne!(alpha.keep_scale(), a(p) as f32);
}

/// Normal numbers by Box and Muller, from a generator that no mask draws from.
fn normals(pairs: u32) -> Vec<f32> {
    let unit = |word: u32| (f64::from(word) + 0.5) / 4_294_967_296.0;
    (0..pairs)
        .flat_map(|pair| {
            let [u, v, ..] = philox4x32(10, [pair, 0, 0, 0], [1, 2]);
            let (r, t) = (
                (-2.0 * unit(u).ln()).sqrt(),
                std::f64::consts::TAU * unit(v),
            );
            [r * t.cos(), r * t.sin()]
        })
        .map(|x| x as f32)
        .collect()
}

/// The errors of the mean of `y` against 0 and of its variance against 1, in standard errors. `mu`
/// is its fourth moment.
fn misses(y: &[f32], mu: f64) -> [f64; 2] {
    let n = y.len() as f64;
    let moment = |power| y.iter().map(|&y| f64::from(y).powi(power)).sum::<f64>() / n;
    [
        moment(1).abs() * n.sqrt(),
        (moment(2) - 1.0).abs() * (n / (mu - 1.0)).sqrt(),
    ]
}

/// Inputs with mean 0 and variance 1 keep both, within 5.2 standard errors over 2^18 numbers. Over
/// the choice of keys, a false alarm has probability 4e-7. Negative control: without the affine map
/// the mean is off.
#[test]
fn alpha_keeps_mean_and_variance() {
    let x = normals(1 << 17);
    for p in [0.05, 0.1, 0.5, 0.9] {
        let call = kind_call(p, 0, DropoutKind::Alpha);
        let Alpha { a, b, dropped } = Alpha::new(p);
        let kept_moment = b.powi(4) + 6.0 * (a * b).powi(2) + 3.0 * a.powi(4);
        let mu = p * dropped.powi(4) + (1.0 - p) * kept_moment;
        let mut y = vec![0.0; x.len()];
        apply(Direction::Forward, x.len(), (&x, &mut y), &call).unwrap();
        let [mean, variance] = misses(&y, mu);
        assert!(mean < 5.2 && variance < 5.2, "p {p}: {mean}, {variance}");

        for (y, x) in y.iter_mut().zip(&x) {
            *y = if *y == dropped as f32 {
                -1.758_099_4
            } else {
                *x
            };
        }
        let [mean, _] = misses(&y, mu);
        assert!(mean > 5.2, "p {p}: the plain saturation looks the same");
    }
}

/// All kinds drop the same elements.
#[test]
fn one_mask_for_all_kinds() {
    let decisions = |kind| {
        let call = kind_call(0.3, 9, kind);
        let mut y = vec![1.0; 1000];
        apply(Direction::Backward, y.len(), &mut y, &call).unwrap();
        y.iter().map(|&y| y != 0.0).collect::<Vec<_>>()
    };
    let key = call(0.3, 9).key;
    let threshold = call(0.3, 9).rate.drop_threshold();
    let kept = |index| u64::from(uniform(key.seed, key.stream, index)) >= threshold;
    let expected: Vec<bool> = (9..1009).map(kept).collect();
    for kind in KINDS {
        assert_eq!(decisions(kind), expected, "{kind}");
    }
}

/// Where no number is computed, every bit stays [M11], [M17].
#[test]
fn classic_keeps_payloads() {
    let x: Vec<f32> = (0..4096_u32)
        .map(|i| f32::from_bits((0x7F80_0001 + 0x801 * i) ^ (i << 31)))
        .collect();
    check(&kind_call(0.5, 0, DropoutKind::Classic), &x);
}
