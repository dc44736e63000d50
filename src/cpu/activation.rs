//! Activations and their derivatives, in the steps of shaders/activation/*.wgsl.

use crate::contract::activation::Activation;

/// Applies a function to each number.
macro_rules! each {
    ($data:ident, $function:expr) => {
        for x in $data.iter_mut() {
            // The functions use `max` and `min`, which return the other number for a NaN.
            *x = if x.is_nan() { *x } else { $function(*x) };
        }
    };
}

/// Replaces each number by the activation's value at it.
#[inline(always)]
pub(super) fn activate(activation: Activation, data: &mut [f32]) {
    match activation {
        Activation::Identity => {}
        Activation::Relu => each!(data, relu),
        Activation::Gelu => each!(data, gelu),
        Activation::GeluTanh => each!(data, gelu_tanh),
        Activation::Silu => each!(data, silu),
        Activation::QuickGelu => each!(data, quick_gelu),
        Activation::SquaredRelu => each!(data, |x| relu(x) * relu(x)),
    }
}

/// Replaces each number by the activation's derivative at it.
#[inline(always)]
pub(super) fn differentiate(activation: Activation, data: &mut [f32]) {
    match activation {
        Activation::Identity => each!(data, |_| 1.0),
        Activation::Relu => each!(data, relu_slope),
        Activation::Gelu => each!(data, gelu_slope),
        Activation::GeluTanh => each!(data, gelu_tanh_slope),
        Activation::Silu => each!(data, silu_slope),
        Activation::QuickGelu => each!(data, quick_gelu_slope),
        Activation::SquaredRelu => each!(data, |x| 2.0 * relu(x)),
    }
}

#[inline(always)]
fn relu(x: f32) -> f32 {
    if x > 0.0 { x } else { 0.0 }
}

#[inline(always)]
fn relu_slope(x: f32) -> f32 {
    if x > 0.0 { 1.0 } else { 0.0 }
}

/// For larger |x|, e^x or e^-x overflows f32 or is a subnormal with few digits.
const MAX_EXPONENT: f32 = 86.0;

#[inline(always)]
fn silu(x: f32) -> f32 {
    x.max(-MAX_EXPONENT) * logistic(x)
}

#[inline(always)]
fn silu_slope(x: f32) -> f32 {
    let z = x.clamp(-MAX_EXPONENT, MAX_EXPONENT);
    let (s, rest) = logistic_pair(z);
    s * (1.0 + z * rest)
}

const QUICK: f32 = 1.702;

#[inline(always)]
fn quick_gelu(x: f32) -> f32 {
    x.max(-MAX_EXPONENT) * logistic(QUICK * x)
}

#[inline(always)]
fn quick_gelu_slope(x: f32) -> f32 {
    silu_slope(QUICK * x)
}

/// 2 sqrt(2 / π). Gelu by tanh is x * logistic(TANH_FACTOR * (x + CUBE * x³)).
const TANH_FACTOR: f32 = 1.595_769_2;
const CUBE: f32 = 0.044_715;
/// For larger |x|, gelu by tanh is x, or is within 1e-35 of 0.
const MAX_TANH: f32 = 10.0;

#[inline(always)]
fn gelu_tanh(x: f32) -> f32 {
    let c = x.clamp(-MAX_TANH, MAX_TANH);
    let z = TANH_FACTOR * c * (1.0 + CUBE * c * c);
    x.max(-MAX_TANH) / (1.0 + exp(-z))
}

#[inline(always)]
fn gelu_tanh_slope(x: f32) -> f32 {
    let c = x.clamp(-MAX_TANH, MAX_TANH);
    let z = TANH_FACTOR * c * (1.0 + CUBE * c * c);
    let z_slope = TANH_FACTOR * (1.0 + 3.0 * CUBE * c * c);
    let (s, rest) = logistic_pair(z);
    s * (1.0 + c * z_slope * rest)
}

/// For larger |x|, gelu is x, or is within 1e-37 of 0.
const MAX_ERF: f32 = 13.0;

/// Half of erfc(|x| / sqrt(2)), by a fit of fractional error 1.2e-7 (Press et al., Numerical
/// Recipes, erfcc) that is multiplied by e^(-x²/2).
#[inline(always)]
fn upper_tail(magnitude: f32, density: f32) -> f32 {
    let t = 1.0 / (1.0 + magnitude * (0.5 * core::f32::consts::FRAC_1_SQRT_2));
    let mut p = 0.170_872_77;
    for coefficient in [
        -0.822_152_23,
        1.488_515_9,
        -1.135_204,
        0.278_868_07,
        -0.186_288_06,
        0.096_784_18,
        0.374_091_96,
        1.000_023_7,
        -1.265_512_2,
    ] {
        p = p * t + coefficient;
    }
    0.5 * t * exp(p) * density
}

#[inline(always)]
fn gelu(x: f32) -> f32 {
    let magnitude = x.abs().min(MAX_ERF);
    let tail = upper_tail(magnitude, exp(-0.5 * magnitude * magnitude));
    x.max(-MAX_ERF) * if x < 0.0 { tail } else { 1.0 - tail }
}

#[inline(always)]
fn gelu_slope(x: f32) -> f32 {
    let magnitude = x.abs().min(MAX_ERF);
    let density = exp(-0.5 * magnitude * magnitude);
    let tail = upper_tail(magnitude, density);
    let part = magnitude * (density * 0.398_942_3);
    if x < 0.0 {
        tail - part
    } else {
        1.0 - tail + part
    }
}

/// 1 / (1 + e^-z), for any z.
#[inline(always)]
fn logistic(z: f32) -> f32 {
    1.0 / (1.0 + exp(-z.clamp(-MAX_EXPONENT, MAX_EXPONENT)))
}

/// The logistic function at z and at -z. Neither is computed as 1 minus the other, which would
/// cancel.
#[inline(always)]
fn logistic_pair(z: f32) -> (f32, f32) {
    let t = exp(-z.abs());
    let large = 1.0 / (1.0 + t);
    let small = t * large;
    if z < 0.0 {
        (small, large)
    } else {
        (large, small)
    }
}

/// e^x for |x| <= 88, to 2 units in the last place: 2^n times a polynomial in the rest (Moshier's
/// Cephes, expf). Unlike `f32::exp` it makes no call, so the compiler can vectorise it.
#[inline(always)]
fn exp(x: f32) -> f32 {
    /// 1.5 * 2^23: adding it rounds a number to an integer, which is left in the sum's low bits.
    const INTEGER: f32 = 12_582_912.0;
    let sum = x * core::f32::consts::LOG2_E + INTEGER;
    let n = sum - INTEGER;
    // ln 2 in two parts: n times the first is exact.
    let rest = x - n * 0.693_359_4 - n * -2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    for coefficient in [
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ] {
        p = p * rest + coefficient;
    }
    let power = f32::from_bits(sum.to_bits().wrapping_add(127) << 23);
    (p * rest * rest + rest + 1.0) * power
}
