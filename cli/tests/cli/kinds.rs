//! `apply --kind`, on the CPU and on each adapter, against the formulas of [M17] and [M20].

use crate::apply::{folder_with, npy, vector};
use crate::command::{cpu, word};
use crate::compare::assert_same;
use crate::gpu::everywhere;

const LEN: usize = 10_007;
const CALL: &str = "--p 0.3 --seed 42 --stream 7 --origin 0xfffffffd";

fn input() -> Vec<f32> {
    (0..LEN).map(|e| 0.001 * e as f32 - 3.0).collect()
}

/// Standard output of `apply` with these options, on the CPU and on each adapter.
fn apply(options: &str) -> Vec<(String, Vec<u8>)> {
    let (_folder, x, _) = folder_with(&vector(&input()));
    everywhere(&format!(
        "apply --input {} --output - {CALL} {options}",
        word(&x)
    ))
}

/// The elements of a file that `apply` wrote.
fn elements(file: &[u8]) -> Vec<f32> {
    let data = &file[file.len() - 4 * LEN..];
    data.chunks_exact(4)
        .map(|element| f32::from_le_bytes(element.try_into().unwrap()))
        .collect()
}

/// The decision of each element: true keeps it.
fn kept() -> Vec<bool> {
    let mask = cpu(&format!("mask --len {LEN} {CALL} --output -"));
    (0..LEN).map(|e| mask[e / 8] >> (e % 8) & 1 == 1).collect()
}

/// `keep` of the kept inputs, and `dropped` for the others.
fn expected(keep: impl Fn(f32) -> f32, dropped: f32) -> Vec<f32> {
    kept()
        .into_iter()
        .zip(input())
        .map(|(kept, x)| if kept { keep(x) } else { dropped })
        .collect()
}

/// Checks that each element is within `bound` of the expected one. The bound depends on the input.
fn check_near(actual: &[f32], expected: &[f64], bound: impl Fn(f64) -> f64) -> Result<(), String> {
    for (e, x) in input().into_iter().enumerate() {
        let (actual, expected) = (f64::from(actual[e]), expected[e]);
        let off = (actual - expected).abs();
        if off.is_nan() || off > bound(x.into()) {
            return Err(format!("element {e} is {actual}, expected {expected}"));
        }
    }
    Ok(())
}

#[test]
fn inverted_is_what_no_kind_is() {
    for ((place, named), (_, default)) in apply("--kind inverted").iter().zip(apply("")) {
        assert_same(place, named, &default);
    }
}

#[test]
fn classic_keeps_bits() {
    let expected = vector(&expected(|x| x, 0.0));
    for direction in ["", "--backward"] {
        for (place, output) in apply(&format!("--kind classic {direction}")) {
            assert_same(&place, &output, &expected);
        }
    }
}

/// Negative control: inverted dropout, the default, scales.
#[test]
#[should_panic(expected = "byte ")]
fn scaled_elements_are_not_classic() {
    let expected = vector(&expected(|x| x, 0.0));
    let (_, output) = apply("").swap_remove(0);
    assert_same("scaled", &output, &expected);
}

/// Alpha dropout's f32 constants: factor and shift for kept elements, value of dropped ones.
fn alpha() -> (f32, f32, f32) {
    let p = (0.3f64 * 4_294_967_296.0).round() / 4_294_967_296.0;
    let prime = -1.758_099_340_847_376_6_f64;
    let a = ((1.0 - p) * (1.0 + p * prime * prime)).powf(-0.5);
    let (shift, dropped) = (-a * p * prime, a * prime * (1.0 - p));
    (a as f32, shift as f32, dropped as f32)
}

fn check_alpha(output: &[f32]) -> Result<(), String> {
    let (a, b, dropped) = alpha();
    let exact: Vec<_> = kept()
        .into_iter()
        .zip(input())
        .map(|(kept, x)| {
            if kept {
                f64::from(x) * f64::from(a) + f64::from(b)
            } else {
                dropped.into()
            }
        })
        .collect();
    // One rounding of the product, and one of the sum.
    let bound = |x: f64| {
        let product = (x * f64::from(a)).abs();
        (product + product + f64::from(b)) / f64::from(1 << 24)
    };
    check_near(output, &exact, bound)?;
    // Dropped elements must be exact, since users read the mask off them.
    for (e, kept) in kept().into_iter().enumerate() {
        if !kept && output[e].to_bits() != dropped.to_bits() {
            return Err(format!("dropped element {e} is {}", output[e]));
        }
    }
    Ok(())
}

#[test]
fn alpha_is_affine() {
    for (place, output) in apply("--kind alpha") {
        assert_eq!(check_alpha(&elements(&output)), Ok(()), "{place}");
    }
}

/// Negative control: each kind of fault is noticed.
#[test]
fn alpha_is_judged() {
    let (_, good) = apply("--kind alpha").swap_remove(0);
    let good = elements(&good);
    for e in [0, LEN / 2, LEN - 1] {
        for wrong in [good[e] * 1.000_001, f32::NAN, 0.0] {
            let mut output = good.clone();
            output[e] = wrong;
            assert!(check_alpha(&output).is_err(), "{e}: {wrong}");
        }
    }
    let (_, inverted) = apply("").swap_remove(0);
    assert!(check_alpha(&elements(&inverted)).is_err());
}

#[test]
fn alpha_backward_is_its_slope() {
    let (a, ..) = alpha();
    let expected = vector(&expected(|grad| grad * a, 0.0));
    for (place, output) in apply("--kind alpha --backward") {
        assert_same(&place, &output, &expected);
    }
}

fn sigma() -> f64 {
    (0.3f64 / 0.7).sqrt()
}

fn check_gaussian(output: &[f32], of_cpu: &[f32]) -> Result<(), String> {
    let of_cpu: Vec<_> = of_cpu.iter().copied().map(f64::from).collect();
    check_near(output, &of_cpu, |x| x.abs() * sigma() / 256.0)
}

#[test]
fn gaussian_is_that_of_the_cpu() {
    for direction in ["", "--backward"] {
        let outputs = apply(&format!("--kind gaussian {direction}"));
        let of_cpu = elements(&outputs[0].1);
        for (place, output) in &outputs {
            let output = elements(output);
            assert_eq!(check_gaussian(&output, &of_cpu), Ok(()), "{place}");
        }
    }
}

/// Elements that share a decision share their noise. Gradients of f16 files have noise too.
#[test]
fn gaussian_takes_layouts_and_halves() {
    let (_folder, x, _) = folder_with(&vector(&[2.0; 8]));
    let outputs = everywhere(&format!(
        "apply --input {} --output - {CALL} --kind gaussian --noise-shape 1",
        word(&x)
    ));
    for (place, file) in outputs {
        let data: Vec<_> = file[file.len() - 32..].chunks_exact(4).collect();
        assert!(data.iter().all(|element| element == &data[0]), "{place}");
    }
    let halves = npy("'<f2'", "False", "(2,)", &[0, 0x40, 0, 0x40]);
    let (_folder, x, _) = folder_with(&halves);
    for (place, file) in everywhere(&format!(
        "apply --backward --input {} --output - {CALL} --kind gaussian",
        word(&x)
    )) {
        assert_eq!(file.len(), halves.len(), "{place}");
        assert_ne!(file, halves, "{place}");
    }
}

/// Negative control: other noise, and input without noise, are noticed.
#[test]
fn gaussian_is_judged() {
    let (_, good) = apply("--kind gaussian").swap_remove(0);
    let good = elements(&good);
    assert!(check_gaussian(&input(), &good).is_err());
    let mut output = good.clone();
    output[7] += (input()[7].abs() as f64 * sigma() / 128.0) as f32;
    assert!(check_gaussian(&output, &good).is_err());
}

#[test]
fn gaussian_noise_has_its_mean_and_variance() {
    let (_, output) = apply("--kind gaussian").swap_remove(0);
    let ratios: Vec<_> = elements(&output)
        .into_iter()
        .zip(input())
        .filter(|(_, x)| x.abs() > 0.01)
        .map(|(y, x)| f64::from(y / x))
        .collect();
    let count = ratios.len() as f64;
    let mean = ratios.iter().sum::<f64>() / count;
    let variance = ratios.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / count;
    // Within five standard errors.
    assert!((mean - 1.0).abs() < 5.0 * sigma() / count.sqrt(), "{mean}");
    let expected = sigma().powi(2);
    let error = 5.0 * expected * (2.0 / count).sqrt();
    assert!((variance - expected).abs() < error, "{variance}");
}

#[test]
fn a_calls_own_kind_counts_where_none_is_given() {
    let (_folder, x, _) = folder_with(&vector(&input()));
    let of = |kind: &[&str]| {
        let call = "p=0.3 seed=42 stream=7 origin=0xfffffffd kind=classic";
        let mut command = crate::command::binary();
        command.args([
            "apply",
            "--engine",
            "cpu",
            "--output",
            "-",
            "--input",
            word(&x),
        ]);
        command.args(["--call", call]).args(kind);
        command.output().unwrap().stdout
    };
    let classic = vector(&expected(|x| x, 0.0));
    assert_same("classic", &of(&[]), &classic);
    let (_, scaled) = apply("").swap_remove(0);
    assert_same("inverted", &of(&["--kind", "inverted"]), &scaled);
}
