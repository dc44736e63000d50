//! Activations and their derivatives \[M24\], computed in the same steps as in
//! shaders/activation/*.wgsl.

use burn_cubecl::cubecl;
use cubecl::prelude::*;
use wgpu_dropout::Activation;

use super::groups::is_nan;

/// The activation's value at `x`. A NaN stays one.
#[cube]
pub(crate) fn activate<N: Size>(
    x: Vector<f32, N>,
    #[comptime] activation: Activation,
) -> Vector<f32, N> {
    if comptime!(activation == Activation::Identity) {
        x
    } else {
        select_many(is_nan(x), x, value(x, activation))
    }
}

/// The activation's derivative at `x`.
#[cube]
pub(crate) fn differentiate<N: Size>(
    x: Vector<f32, N>,
    #[comptime] activation: Activation,
) -> Vector<f32, N> {
    if comptime!(activation == Activation::Identity) {
        Vector::new(1.0f32)
    } else {
        select_many(is_nan(x), x, slope(x, activation))
    }
}

#[cube]
fn value<N: Size>(x: Vector<f32, N>, #[comptime] activation: Activation) -> Vector<f32, N> {
    if comptime!(activation == Activation::Relu) {
        relu(x)
    } else if comptime!(activation == Activation::SquaredRelu) {
        relu(x) * relu(x)
    } else if comptime!(activation == Activation::Gelu) {
        let magnitude = min(x.abs(), Vector::new(MAX_ERF));
        let density = (Vector::new(-0.5f32) * magnitude * magnitude).exp();
        let tail = upper_tail(magnitude, density);
        let part = select_many(x.less_than(&Vector::new(0.0f32)), tail, one() - tail);
        max(x, Vector::new(comptime!(-MAX_ERF))) * part
    } else if comptime!(activation == Activation::GeluTanh) {
        let c = clamped(x, MAX_TANH);
        let z = Vector::new(TANH_FACTOR) * c * (one() + Vector::new(CUBE) * c * c);
        max(x, Vector::new(comptime!(-MAX_TANH))) / (one() + (-z).exp())
    } else if comptime!(activation == Activation::QuickGelu) {
        weighed(x, Vector::new(QUICK) * x)
    } else {
        weighed(x, x)
    }
}

#[cube]
fn slope<N: Size>(x: Vector<f32, N>, #[comptime] activation: Activation) -> Vector<f32, N> {
    if comptime!(activation == Activation::Relu) {
        select_many(
            x.greater_than(&Vector::new(0.0f32)),
            one(),
            Vector::new(0.0f32),
        )
    } else if comptime!(activation == Activation::SquaredRelu) {
        Vector::new(2.0f32) * relu(x)
    } else if comptime!(activation == Activation::Gelu) {
        let magnitude = min(x.abs(), Vector::new(MAX_ERF));
        let density = (Vector::new(-0.5f32) * magnitude * magnitude).exp();
        let part = magnitude * (density * Vector::new(0.398_942_3f32));
        let lower = upper_tail(magnitude, density) - part;
        select_many(x.less_than(&Vector::new(0.0f32)), lower, one() - lower)
    } else if comptime!(activation == Activation::GeluTanh) {
        let c = clamped(x, MAX_TANH);
        let z = Vector::new(TANH_FACTOR) * c * (one() + Vector::new(CUBE) * c * c);
        let z_slope =
            Vector::new(TANH_FACTOR) * (one() + Vector::new(comptime!(3.0 * CUBE)) * c * c);
        weighed_slope(z, c * z_slope)
    } else if comptime!(activation == Activation::QuickGelu) {
        let z = clamped(Vector::new(QUICK) * x, MAX_EXPONENT);
        weighed_slope(z, z)
    } else {
        let z = clamped(x, MAX_EXPONENT);
        weighed_slope(z, z)
    }
}

/// For larger |x|, e^x or e^-x overflows f32, or has few digits.
const MAX_EXPONENT: f32 = 86.0;
const QUICK: f32 = 1.702;
/// The constants of gelu by tanh: 2 sqrt(2 / π), and the factor of x³.
const TANH_FACTOR: f32 = 1.595_769_2;
const CUBE: f32 = 0.044_715;
/// For larger |x|, gelu by tanh is x, or is within 1e-35 of 0.
const MAX_TANH: f32 = 10.0;
/// For larger |x|, gelu is x, or is within 1e-37 of 0.
const MAX_ERF: f32 = 13.0;

#[cube]
fn one<N: Size>() -> Vector<f32, N> {
    Vector::new(1.0f32)
}

#[cube]
fn relu<N: Size>(x: Vector<f32, N>) -> Vector<f32, N> {
    let zero = Vector::new(0.0f32);
    select_many(x.greater_than(&zero), x, zero)
}

#[cube]
fn clamped<N: Size>(x: Vector<f32, N>, #[comptime] most: f32) -> Vector<f32, N> {
    min(max(x, Vector::new(comptime!(-most))), Vector::new(most))
}

/// x times the logistic function of z.
#[cube]
fn weighed<N: Size>(x: Vector<f32, N>, z: Vector<f32, N>) -> Vector<f32, N> {
    let z = clamped(z, MAX_EXPONENT);
    max(x, Vector::new(comptime!(-MAX_EXPONENT))) / (one() + (-z).exp())
}

/// s (1 + weight (1 - s)), where s is the logistic function at z. Neither s nor 1 - s is computed
/// as a difference, which would lose digits.
#[cube]
fn weighed_slope<N: Size>(z: Vector<f32, N>, weight: Vector<f32, N>) -> Vector<f32, N> {
    let t = (-z.abs()).exp();
    let large = one() / (one() + t);
    let small = t * large;
    let is_negative = z.less_than(&Vector::new(0.0f32));
    let s = select_many(is_negative, small, large);
    let rest = select_many(is_negative, large, small);
    s * (one() + weight * rest)
}

/// Half of erfc(|x| / sqrt(2)), where `density` is e^(-x²/2). The fit has a relative error of
/// 1.2e-7 (Press et al., Numerical Recipes, erfcc).
#[cube]
fn upper_tail<N: Size>(magnitude: Vector<f32, N>, density: Vector<f32, N>) -> Vector<f32, N> {
    let t = one() / (one() + magnitude * Vector::new(0.353_553_4f32));
    let p = t * Vector::new(0.170_872_77f32) - Vector::new(0.822_152_23f32);
    let p = p * t + Vector::new(1.488_515_9f32);
    let p = p * t - Vector::new(1.135_204f32);
    let p = p * t + Vector::new(0.278_868_07f32);
    let p = p * t - Vector::new(0.186_288_06f32);
    let p = p * t + Vector::new(0.096_784_18f32);
    let p = p * t + Vector::new(0.374_091_96f32);
    let p = p * t + Vector::new(1.000_023_7f32);
    let p = p * t - Vector::new(1.265_512_2f32);
    Vector::new(0.5f32) * t * p.exp() * density
}
