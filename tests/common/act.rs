//! The definition of an activation before a dropout, alone or with a gate [M24]: in f64, as plainly
//! as possible.

use wgpu_dropout::{Activation, DropoutCall, DropoutKind, ElementType};

use super::add::{Source, numbers, repeated};
use super::elements::{self, nearest, number, random_elements};
use super::reference::keep_scale;

const EPSILON: f64 = 1.0 / 8_388_608.0;
/// The smallest normal f32. A device may flush smaller numbers to 0.
const NORMAL: f64 = f32::MIN_POSITIVE as f64;

/// The activation's value.
pub fn value(activation: Activation, x: f64) -> f64 {
    let at_zero = |y: f64| if x == f64::NEG_INFINITY { -0.0 } else { y };
    match activation {
        Activation::Identity => x,
        Activation::Relu => {
            if x <= 0.0 {
                0.0
            } else {
                x
            }
        }
        Activation::Gelu => at_zero(x * normal(x)),
        Activation::GeluTanh => at_zero(x * logistic(tanh_argument(x))),
        Activation::Silu => at_zero(x * logistic(x)),
        Activation::QuickGelu => at_zero(x * logistic(QUICK * x)),
        Activation::SquaredRelu => value(Activation::Relu, x).powi(2),
        _ => panic!("no definition of {activation}"),
    }
}

/// The activation's derivative.
pub fn slope(activation: Activation, x: f64) -> f64 {
    // The slope of x σ(z(x)).
    let weighted = |z: f64, z_slope: f64| {
        let rest = x * z_slope * logistic(z) * logistic(-z);
        logistic(z) + if rest.is_nan() { 0.0 } else { rest }
    };
    if x.is_nan() {
        return x;
    }
    match activation {
        Activation::Identity => 1.0,
        Activation::Relu => f64::from(u8::from(x > 0.0)),
        Activation::Gelu => {
            let density = (-0.5 * x * x).exp() / (2.0 * core::f64::consts::PI).sqrt();
            normal(x) + if density == 0.0 { 0.0 } else { x * density }
        }
        Activation::GeluTanh => {
            let z_slope = TANH_FACTOR * (1.0 + 3.0 * CUBE * x * x);
            weighted(tanh_argument(x), z_slope)
        }
        Activation::Silu => weighted(x, 1.0),
        Activation::QuickGelu => weighted(QUICK * x, QUICK),
        Activation::SquaredRelu => 2.0 * x.max(0.0),
        _ => panic!("no definition of {activation}"),
    }
}

/// The largest error of an f32 value, against [`value`], that WGSL's accuracy rules allow.
pub fn value_bound(activation: Activation, x: f64) -> f64 {
    let f = value(activation, x).abs();
    match activation {
        Activation::Identity | Activation::Relu => 0.0,
        Activation::Gelu => {
            let tail = 0.5 * EPSILON * x.abs() * (-0.5 * x * x).exp() * (6.0 + 3.0 * x * x);
            8.0 * EPSILON * f + if tail.is_nan() { 0.0 } else { tail } + 1e-37
        }
        Activation::GeluTanh => {
            // At f = 0 the relative error can be infinite: `clamp` keeps 0 * infinity from making a
            // NaN.
            let relative = EPSILON * (8.0 + 5.0 * (-tanh_argument(x)).clamp(0.0, 1e30));
            relative * f + 1e-30
        }
        Activation::Silu => (6.0 + 3.0 * (-x).clamp(0.0, 1e30)) * EPSILON * f + 1e-35,
        Activation::QuickGelu => (6.0 + 3.0 * (-QUICK * x).clamp(0.0, 1e30)) * EPSILON * f + 1e-35,
        Activation::SquaredRelu => EPSILON * f,
        _ => panic!("no bound of {activation}"),
    }
}

/// The largest error of an f32 derivative against [`slope`].
pub fn slope_bound(activation: Activation) -> f64 {
    match activation {
        Activation::Identity | Activation::Relu | Activation::SquaredRelu => 0.0,
        _ => 8.0 * EPSILON,
    }
}

const QUICK: f64 = 1.702;
const CUBE: f64 = 0.044_715;
/// 2 sqrt(2 / π).
const TANH_FACTOR: f64 = 1.595_769_121_605_731;

fn tanh_argument(x: f64) -> f64 {
    TANH_FACTOR * (x + CUBE * x * x * x)
}

fn logistic(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

/// Φ, the distribution function of the normal distribution. It keeps its relative precision, 1e-11,
/// in the lower tail.
fn normal(x: f64) -> f64 {
    let tail = upper_tail(x.abs());
    if x < 0.0 { tail } else { 1.0 - tail }
}

/// 1 - Φ(x), for x of at least 0.
fn upper_tail(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x > 38.6 {
        return 0.0;
    }
    let density = (-0.5 * x * x).exp() / (2.0 * core::f64::consts::PI).sqrt();
    if x < 4.0 {
        // Series: Φ - 1/2 = density * (x + x^3/3 + x^5/15 + x^7/105 + …).
        let (mut term, mut sum, mut odd) = (x, x, 1.0);
        while term > sum * 1e-18 {
            odd += 2.0;
            term *= x * x / odd;
            sum += term;
        }
        0.5 - density * sum
    } else {
        // Laplace's continued fraction.
        density / (1..120).rev().fold(x, |rest, k| x + f64::from(k) / rest)
    }
}

/// One tensor and its gradient. An element is a `u32` with its bits; 16-bit types use the lower
/// half.
#[derive(Clone, Debug)]
pub struct Case {
    pub activation: Activation,
    pub element: ElementType,
    pub call: DropoutCall,
    pub source: Source,
    /// The input; with a gate, the gate.
    pub input: Vec<u32>,
    /// The factor by which the activated gate is multiplied.
    pub up: Option<Vec<u32>>,
    pub grad_output: Vec<u32>,
    /// One number a column. With a gate: the gate's biases, then those of `up`.
    pub bias: Vec<f32>,
}

/// The range in which a result must lie.
struct Near {
    exact: f64,
    bound: f64,
    /// An intermediate result is subnormal: a device may flush it to 0, and it has few digits.
    or_zero: bool,
    /// An intermediate result may overflow f32.
    or_beyond: bool,
}

impl Near {
    /// A product whose factors may be multiplied in any order.
    fn product(factors: &[f64], bound: f64) -> Self {
        let exact: f64 = factors.iter().product();
        let (mut or_zero, mut or_beyond) = (false, false);
        // The intermediate results that some order has: the product of each set of factors.
        for set in 1u32..1 << factors.len() {
            let chosen = factors
                .iter()
                .enumerate()
                .filter(|(i, _)| set >> i & 1 == 1);
            let partial: f64 = chosen.map(|(_, factor)| factor).product();
            or_zero |= partial != 0.0 && partial.abs() < NORMAL;
            or_beyond |= partial.abs() > f64::from(f32::MAX) || partial.is_nan();
        }
        Self {
            exact,
            bound,
            or_zero,
            or_beyond,
        }
    }
}

impl Case {
    /// A case with random elements and one bias for each of `columns` columns. 0 columns: no bias.
    pub fn new(
        activation: Activation,
        element: ElementType,
        call: DropoutCall,
        source: Source,
        columns: usize,
    ) -> Self {
        let len = source.len();
        Self {
            activation,
            element,
            call,
            source,
            input: random_elements(element, len, 6.0, 1),
            up: None,
            grad_output: random_elements(element, len, 6.0, 2),
            bias: numbers(columns, 3),
        }
    }

    /// This case with a gate.
    pub fn gated(mut self) -> Self {
        self.up = Some(random_elements(self.element, self.len() as u64, 6.0, 4));
        self.bias = numbers(2 * self.bias.len(), 3);
        self
    }

    pub fn len(&self) -> usize {
        self.input.len()
    }

    /// Rows that each hold `columns` elements of the gate, then `columns` elements of `up`.
    pub fn halves(&self, columns: usize) -> Vec<u32> {
        let up = self.up.as_ref().expect("a gate");
        let rows = self
            .input
            .chunks(columns.max(1))
            .zip(up.chunks(columns.max(1)));
        rows.flat_map(|(gate, up)| [gate, up].concat()).collect()
    }

    /// Splits the rows that [`Self::halves`] makes into gate and up.
    pub fn apart(rows: &[u32], columns: usize) -> [Vec<u32>; 2] {
        let halves = rows.chunks(columns.max(1));
        let pairs: Vec<_> = halves.collect();
        [0, 1].map(|half| {
            let of_half = pairs.iter().skip(half).step_by(2);
            of_half.flat_map(|row| row.to_vec()).collect()
        })
    }

    pub fn kept(&self) -> Vec<bool> {
        self.source.kept(&self.call)
    }

    fn factor(&self) -> f64 {
        match self.call.kind {
            DropoutKind::Classic if self.call.rate.p() < 1.0 => 1.0,
            _ => keep_scale(self.call.rate.p()).into(),
        }
    }

    /// The argument of the activation, and with a gate the other factor.
    fn arguments(&self, element: usize) -> (f64, Option<f64>) {
        let (gate, up) = match self.up {
            Some(_) => self.bias.split_at(self.bias.len() / 2),
            None => (&self.bias[..], &[][..]),
        };
        let plus = |bits: u32, bias: &[f32]| {
            let x = number(self.element, bits);
            f64::from(repeated(bias, element).map_or(x, |bias| x + bias))
        };
        let factor = self.up.as_ref().map(|bits| plus(bits[element], up));
        (plus(self.input[element], gate), factor)
    }

    /// The error of the roundings: one for each of `products`, and one for the scale unless it is
    /// 1.
    fn rounded(&self, exact: f64, products: f64) -> f64 {
        let scaling = f64::from(u8::from(self.factor() != 1.0));
        EPSILON * exact.abs() * (scaling + products)
    }

    /// Compares an output with its definition. Returns the largest error, as a fraction of its
    /// bound.
    pub fn check_output(&self, got: &[u32]) -> Result<f64, String> {
        self.check("output", got, |element| {
            let (x, up) = self.arguments(element);
            let factors = [value(self.activation, x), up.unwrap_or(1.0), self.factor()];
            let [f, up, factor] = factors;
            let bound = value_bound(self.activation, x) * (up * factor).abs();
            let products = f64::from(u8::from(self.up.is_some()));
            Near::product(&factors, bound + self.rounded(f * up * factor, products))
        })
    }

    /// Like [`Self::check_output`], for the gradient of the input, or of the gate.
    pub fn check_gradient(&self, got: &[u32]) -> Result<f64, String> {
        self.check("gradient", got, |element| {
            let (x, up) = self.arguments(element);
            let grad: f64 = number(self.element, self.grad_output[element]).into();
            let slope = slope(self.activation, x);
            let rest = grad * self.factor() * up.unwrap_or(1.0);
            let bound = rest.abs() * slope_bound(self.activation);
            let factors = [slope, grad, self.factor(), up.unwrap_or(1.0)];
            // A product with a slope of 0 or 1 is exact.
            let inexact = f64::from(u8::from(slope != 0.0 && slope != 1.0));
            let products = inexact + f64::from(u8::from(self.up.is_some()));
            Near::product(&factors, bound + self.rounded(rest * slope, products))
        })
    }

    /// Like [`Self::check_output`], for the gradient of the gate's other factor (up).
    pub fn check_up_gradient(&self, got: &[u32]) -> Result<f64, String> {
        self.check("gradient of up", got, |element| {
            let (x, _) = self.arguments(element);
            let grad: f64 = number(self.element, self.grad_output[element]).into();
            let f = value(self.activation, x);
            let bound = (grad * self.factor()).abs() * value_bound(self.activation, x);
            let exact = f * grad * self.factor();
            Near::product(&[f, grad, self.factor()], bound + self.rounded(exact, 1.0))
        })
    }

    fn check(&self, what: &str, got: &[u32], of: impl Fn(usize) -> Near) -> Result<f64, String> {
        let kept = self.kept();
        if got.len() != kept.len() {
            return Err(format!("{} elements of {}", got.len(), kept.len()));
        }
        let mut worst = 0.0f64;
        for (element, (&got, kept)) in got.iter().zip(kept).enumerate() {
            let near = of(element);
            let ratio = if kept {
                self.ratio(got, &near)
            } else {
                (got == 0).then_some(0.0)
            };
            let Some(ratio) = ratio else {
                return Err(format!(
                    "{what}: element {element} of {}, {} {}: {:e} ({got:#x}), not {:e} within {:e} (kept: {kept}); \
                     input {:e}, {:?}, {}, {:?}, bias of {}",
                    self.len(),
                    self.element,
                    self.activation,
                    number(self.element, got),
                    near.exact,
                    near.bound,
                    number(self.element, self.input[element]),
                    self.arguments(element),
                    self.call,
                    self.source,
                    self.bias.len(),
                ));
            };
            worst = worst.max(ratio);
        }
        Ok(worst)
    }

    /// The error of `got` as a fraction of the bound, or `None` above 1. A 16-bit number may also
    /// be one that a number within the bound rounds to.
    fn ratio(&self, got: u32, near: &Near) -> Option<f64> {
        let &Near {
            exact,
            bound,
            or_zero,
            or_beyond,
        } = near;
        // Subnormals are 2^-149 apart, so a rounding among them may be off by that much.
        let bound = bound + if exact.abs() < NORMAL { 1.5e-45 } else { 0.0 };
        let number = f64::from(number(self.element, got));
        let beyond = or_beyond && !number.is_finite();
        let flushed = or_zero && number.abs() <= 2.0 * exact.abs() + bound;
        if exact.is_nan() || beyond || flushed {
            return (beyond || flushed || number.is_nan()).then_some(0.0);
        }
        if nearest(self.element, exact) == got || number == exact {
            return Some(0.0);
        }
        elements::ratio(self.element, got, exact, bound).ok()
    }

    /// One faulty copy of this case for each fault that a kernel could have. A check must notice
    /// every one.
    pub fn faults(&self) -> Vec<(String, Self)> {
        let mut faults = Vec::new();
        let mut fault = |name: &str, change: &dyn Fn(&mut Self)| {
            let mut faulty = self.clone();
            change(&mut faulty);
            faults.push((name.to_owned(), faulty));
        };
        fault("another stream", &|case| case.call.key.stream ^= 1);
        fault("another rate", &|case| {
            case.call.rate = wgpu_dropout::DropoutRate::new(0.45).expect("a rate");
        });
        fault("a neighbour's bias", &|case| case.bias.rotate_left(1));
        for &other in Activation::ALL {
            if other != self.activation {
                fault(&other.to_string(), &|case| case.activation = other);
            }
        }
        faults
    }
}

/// Tensors of up to 2^18 elements that together hold every input of a 16-bit type, or every 512th
/// input of f32. The rate is 0, and the gradients are 1.
pub fn every_input(activation: Activation, element: ElementType) -> impl Iterator<Item = Case> {
    let (patterns, step) = match element {
        ElementType::F32 => (1u64 << 32, 512),
        _ => (1 << 16, 1),
    };
    let bits: Vec<u64> = (0..patterns).step_by(step << 18).collect();
    bits.into_iter().map(move |first| {
        let end = patterns.min(first + ((step as u64) << 18));
        let input: Vec<u32> = (first..end).step_by(step).map(|bits| bits as u32).collect();
        let len = input.len() as u64;
        let mut case = Case {
            activation,
            element,
            call: DropoutCall::new(wgpu_dropout::DropoutRate::ZERO, super::inputs::KEY),
            source: Source::Len(len),
            grad_output: Vec::new(),
            input,
            up: None,
            bias: Vec::new(),
        };
        case.grad_output = vec![nearest(case.element, 1.0); case.len()];
        case
    })
}

/// Elements near a bound or a kink of an activation, and special numbers (zeros, infinities, NaNs).
pub fn traps(element: ElementType) -> Vec<u32> {
    const INF: f32 = f32::INFINITY;
    const NAN: f32 = f32::NAN;
    match element {
        ElementType::F32 => [
            -3e38, 3e38, INF, -INF, NAN, -NAN, 0.0, -0.0, 1e-40, -87.0, 88.0, -104.0, 13.0, -13.0,
        ]
        .map(f32::to_bits)
        .to_vec(),
        // The largest numbers, infinities, NaNs and zeros of f16 and of bf16.
        _ => vec![
            0xfbff, 0x7bff, 0xff7f, 0x7f7f, 0x7c00, 0xfc00, 0x7f80, 0xff80, 0x7fff, 0xffff, 0,
            0x8000, 1,
        ],
    }
}
