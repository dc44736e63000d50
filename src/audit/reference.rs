//! The mask contract, element by element and as simple as possible: the reference for kernels. It
//! shares no code with the kernels or the CPU path, so that it does not repeat their faults.
//! Numbers in brackets are clauses of the contract.

use half::{bf16, f16};

use crate::{Activation, Direction, DropoutKind, ElementType, MaskKey};

/// The Philox block of a counter under a key \[M2\].
pub(super) fn philox(counter: [u32; 4], key: [u32; 2], rounds: u32) -> [u32; 4] {
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    let [mut k0, mut k1] = key;
    for _ in 0..rounds {
        let p0 = 0xD251_1F53 * u64::from(c0);
        let p1 = 0xCD9E_8D57 * u64::from(c2);
        c0 = (p1 >> 32) as u32 ^ c1 ^ k0;
        c1 = p1 as u32;
        c2 = (p0 >> 32) as u32 ^ c3 ^ k1;
        c3 = p0 as u32;
        k0 = k0.wrapping_add(0x9E37_79B9);
        k1 = k1.wrapping_add(0xBB67_AE85);
    }
    [c0, c1, c2, c3]
}

/// A block of a mask \[M3\], \[M5\].
fn block(key: MaskKey, block: u64, domain: u32) -> [u32; 4] {
    let counter = [
        block as u32,
        (block >> 32) as u32 | domain << 29,
        key.stream as u32,
        (key.stream >> 32) as u32,
    ];
    philox(counter, [key.seed as u32, (key.seed >> 32) as u32], 10)
}

/// The uniforms of a key.
pub(super) struct Uniforms {
    key: MaskKey,
    /// The block that was drawn last, since neighbouring indices share it.
    drawn: Option<(u64, [u32; 4])>,
}

impl Uniforms {
    pub fn new(key: MaskKey) -> Self {
        Self { key, drawn: None }
    }

    /// half_d(i) \[M4\], \[M6\].
    fn half(&mut self, domain: u32, index: u64) -> u32 {
        let (number, lane) = (index / 8, index % 8);
        let words = match self.drawn {
            _ if domain == 1 => block(self.key, number, 1),
            Some((drawn, words)) if drawn == number => words,
            _ => block(self.key, number, 0),
        };
        if domain == 0 {
            self.drawn = Some((number, words));
        }
        words[lane as usize / 2] >> (16 * (lane % 2)) & 0xffff
    }

    /// u(i) \[M7\].
    pub fn at(&mut self, index: u64) -> u32 {
        self.half(0, index) << 16 | self.half(1, index)
    }

    /// Returns true if u(i) is at least `drop_threshold` \[M8\]. Draws the lower half only if it
    /// decides \[M9\].
    pub fn keeps(&mut self, index: u64, drop_threshold: u64) -> bool {
        let (upper, bound) = (u64::from(self.half(0, index)), drop_threshold >> 16);
        if upper == bound {
            u64::from(self.half(1, index)) >= drop_threshold & 0xffff
        } else {
            upper > bound
        }
    }
}

/// The map from elements to mask indices \[M13\].
#[derive(Clone, Copy, Debug)]
pub(super) struct Indices<'a> {
    /// The mask index of the element whose coordinates are all 0.
    pub first: u64,
    pub shape: &'a [u64],
    pub strides: &'a [u64],
    /// Sample ids: `ids[i]` replaces the outermost coordinate `i` \[M16\].
    pub ids: Option<&'a [u32]>,
}

impl Indices<'_> {
    /// The mask index of an element in row-major order.
    pub fn of(&self, mut element: u64) -> u64 {
        let mut index = self.first;
        for dimension in (1..self.shape.len()).rev() {
            let size = self.shape[dimension];
            index += element % size * self.strides[dimension];
            element /= size;
        }
        let sample = match self.ids {
            Some(ids) => ids[element as usize].into(),
            None => element,
        };
        if let [stride, ..] = self.strides {
            index += sample * stride;
        }
        index
    }
}

/// The rule for the values of kept and of dropped elements.
#[derive(Clone, Copy, Debug)]
pub(super) enum Effect {
    /// Every element is copied.
    Copy,
    /// A kept element stays; a dropped one becomes +0.
    Keep,
    /// A kept element is multiplied; a dropped one becomes +0.
    Scale(f32),
    /// A kept element is multiplied and shifted; a dropped one becomes a constant.
    Affine {
        scale: f32,
        shift: f32,
        dropped: f32,
    },
    /// Every element becomes +0.
    Zero,
}

impl Effect {
    /// The effect of a call \[M10\], \[M11\], \[M17\]. A `given` mask decides even if the rate is 0
    /// or 1. `None` for noise.
    pub fn new(
        kind: DropoutKind,
        direction: Direction,
        drop_threshold: u64,
        given: bool,
    ) -> Option<Self> {
        const ALL: u64 = 1 << 32;
        match drop_threshold {
            0 if given => return Some(Self::Keep),
            0 => return Some(Self::Copy),
            ALL if !given => return Some(Self::Zero),
            _ => {}
        }
        let p = drop_threshold as f64 / ALL as f64;
        let least = -1.758_099_340_847_376_6;
        let a = 1.0 / ((1.0 - p) * (1.0 + p * least * least)).sqrt();
        Some(match (kind, direction) {
            (DropoutKind::Gaussian, _) => return None,
            (DropoutKind::Classic, _) => Self::Keep,
            (DropoutKind::Alpha, Direction::Forward) if drop_threshold == ALL => Self::Affine {
                scale: 0.0,
                shift: 0.0,
                dropped: 0.0,
            },
            _ if drop_threshold == ALL => Self::Scale(0.0),
            (DropoutKind::Inverted, _) => Self::Scale((1.0 / (1.0 - p)) as f32),
            (DropoutKind::Alpha, Direction::Backward) => Self::Scale(a as f32),
            (DropoutKind::Alpha, Direction::Forward) => Self::Affine {
                scale: a as f32,
                shift: (-a * p * least) as f32,
                dropped: (a * least * (1.0 - p)) as f32,
            },
        })
    }

    /// Returns true if the result depends on the mask.
    pub fn asks_the_mask(self) -> bool {
        !matches!(self, Self::Copy | Self::Zero)
    }

    /// The expected element for one of these bits.
    pub fn of(self, element: ElementType, bits: u32, kept: bool) -> Expected {
        let x = decode(element, bits);
        let (y, may_flush) = match self {
            Self::Affine { dropped, .. } if !kept => {
                return Expected::Bits(encode(element, dropped));
            }
            Self::Zero => return Expected::Bits(0),
            Self::Keep | Self::Scale(_) if !kept => return Expected::Bits(0),
            Self::Copy | Self::Keep => return Expected::Bits(bits),
            Self::Scale(scale) => ([x * scale; 2], x.is_subnormal()),
            Self::Affine { scale, shift, .. } => {
                ([x * scale + shift, x.mul_add(scale, shift)], false)
            }
        };
        if y[0].is_nan() {
            return Expected::Nan;
        }
        let [twice, once] = y.map(|y| encode(element, y));
        if twice != once {
            Expected::Either([twice, once])
        } else if may_flush || y[0].is_subnormal() {
            // An adapter may flush a number that is subnormal as an f32.
            Expected::BitsOrZero(twice)
        } else {
            Expected::Bits(twice)
        }
    }
}

/// The factor of inverted and classic dropout, under a mask that keeps something \[M10\].
pub(super) fn factor(kind: DropoutKind, drop_threshold: u64) -> f32 {
    let all = f64::from(2).powi(32);
    match kind {
        DropoutKind::Classic => 1.0,
        _ if drop_threshold as f64 == all => 0.0,
        _ => (1.0 / (1.0 - drop_threshold as f64 / all)) as f32,
    }
}

/// The expected element of a branch with a bias and a scale, with or without a residual \[M23\].
pub(super) fn branch(
    [input, output]: [ElementType; 2],
    bits: u32,
    [bias, scale]: [Option<f32>; 2],
    factor: f32,
    residual: Option<u32>,
    kept: bool,
) -> Expected {
    if !kept {
        return Expected::Bits(residual.unwrap_or(0));
    }
    let x = decode(input, bits) + bias.unwrap_or(0.0);
    let r = residual.map_or(0.0, |bits| decode(output, bits));
    let branch = f64::from(x) * f64::from(factor) * f64::from(scale.unwrap_or(1.0));
    // A product beyond f32's range becomes infinite before the residual is added.
    let branch = match branch as f32 {
        wide if wide.is_infinite() => wide.into(),
        _ => branch,
    };
    // An adapter may flush an operand or the product to a zero.
    let is_tiny = |number: f64| number != 0.0 && number.abs() < 1e-30;
    let flushes = is_tiny(x.into()) || is_tiny(branch) || is_tiny(r.into());
    if scale.is_none() && !flushes {
        let y = [r + x * factor, x.mul_add(factor, r)];
        let [twice, once] = y.map(|y| encode(output, y));
        return match y[0] {
            nan if nan.is_nan() => Expected::Nan,
            // WGSL leaves a zero's sign open where terms cancel.
            zero if decode(output, twice) == 0.0 && zero.abs() < 1.0 && twice == once => {
                Expected::BitsOrZero(twice)
            }
            _ => Expected::Either([twice, once]),
        };
    }
    let epsilon = f64::from(f32::EPSILON);
    // The error of a flushed operand is multiplied by both factors.
    let products = f64::from(factor) * (1.0 + f64::from(scale.unwrap_or(1.0)).abs());
    let tiny = f64::from(f32::MIN_POSITIVE) * (4.0 + products);
    Expected::Near {
        number: f64::from(r) + branch,
        bound: if branch.is_finite() {
            3.0 * epsilon * branch.abs() + tiny
        } else {
            0.0
        },
        flushed: false,
    }
}

const EPSILON: f64 = f32::EPSILON as f64;

/// An activation and its derivative at a number, with the bounds of an f32 result's errors \[M24\].
pub(super) struct Function {
    pub value: f64,
    pub bound: f64,
    pub slope: f64,
    pub slope_bound: f64,
}

impl Function {
    pub fn new(activation: Activation, x: f64) -> Self {
        // Beyond these ends the results no longer change. The clamps avoid products of infinity and
        // 0.
        let (c, from) = (x.clamp(-1e3, 1e3), x.max(-1e3));
        let or_nan = |y: f64| if x.is_nan() { x } else { y };
        let (positive, step) = (or_nan(x.max(0.0)), or_nan(f64::from(u8::from(x > 0.0))));
        let exact = |value, slope| Self {
            value,
            bound: 0.0,
            slope,
            slope_bound: 0.0,
        };
        // The function x * logistic(z).
        let weighted = |z: f64, z_slope: f64, [constant, factor]: [f64; 2], least: f64| {
            let [s, rest] = [-z, z].map(|z| 1.0 / (1.0 + z.exp()));
            let value = from * s;
            Self {
                value,
                bound: (constant + factor * (-z).max(0.0)) * EPSILON * value.abs() + least,
                slope: s + c * z_slope * s * rest,
                slope_bound: 8.0 * EPSILON,
            }
        };
        match activation {
            Activation::Identity => exact(x, or_nan(1.0)),
            Activation::Relu => exact(positive, step),
            Activation::SquaredRelu => Self {
                bound: EPSILON * positive * positive,
                ..exact(positive * positive, 2.0 * positive)
            },
            Activation::Silu => weighted(c, 1.0, [6.0, 3.0], 1e-35),
            Activation::QuickGelu => weighted(1.702 * c, 1.702, [6.0, 3.0], 1e-35),
            Activation::GeluTanh => {
                let factor = (8.0 / core::f64::consts::PI).sqrt();
                let slope = factor * (1.0 + 3.0 * 0.044_715 * c * c);
                let z = factor * c * (1.0 + 0.044_715 * c * c);
                weighted(z, slope, [8.0, 5.0], 1e-30)
            }
            Activation::Gelu => {
                let [lower, density] = normal(c);
                let value = from * lower;
                let tail = (-0.5 * c * c).exp() * (3.0 + 1.5 * c * c);
                Self {
                    value,
                    bound: EPSILON * (8.0 * value.abs() + c.abs() * tail) + 1e-37,
                    slope: lower + c * density,
                    slope_bound: 8.0 * EPSILON,
                }
            }
        }
    }
}

/// The normal distribution's function, with a relative error of 1e-11, and its density.
fn normal(x: f64) -> [f64; 2] {
    let (z, density) = (
        x.abs(),
        (-0.5 * x * x).exp() / core::f64::consts::TAU.sqrt(),
    );
    let upper = if z < 4.0 {
        // The density times (x + x^3/3 + x^5/15 + x^7/105 + …) is the part between 0 and x.
        let (mut sum, mut term) = (0.0, z);
        for odd in (3..200).step_by(2) {
            sum += term;
            term *= z * z / f64::from(odd);
        }
        0.5 - density * sum
    } else {
        // Laplace's continued fraction.
        density / (1..120).rev().fold(z, |rest, k| z + f64::from(k) / rest)
    };
    [if x < 0.0 { upper } else { 1.0 - upper }, density]
}

/// A product whose factors WGSL may multiply in any order, and whose first factor has an error
/// within a bound \[M24\]. For a dropped element the result is +0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Product {
    number: f64,
    bound: f64,
    is_nan: bool,
    kept: bool,
    /// The product of some factors is subnormal: it has few digits or is flushed to a zero.
    or_small: bool,
    /// The product of some factors may overflow f32.
    or_beyond: bool,
}

impl Product {
    pub fn new(factors: &[f64], bound: f64, kept: bool) -> Self {
        let number: f64 = factors.iter().product();
        let others: f64 = factors[1..].iter().product();
        // Each product is rounded. [`Expected::Near`] accounts for the last rounding.
        let roundings = factors.len().saturating_sub(2) as f64;
        let bound = bound * others.abs() + roundings * EPSILON * number.abs();
        let (mut or_small, mut or_beyond) = (false, false);
        for set in 1u32..1 << factors.len() {
            let chosen = (0..).zip(factors).filter(|(i, _)| set >> i & 1 == 1);
            let step: f64 = chosen.map(|(_, factor)| factor).product();
            or_small |= step != 0.0 && step.abs() < f32::MIN_POSITIVE.into();
            or_beyond |= step.is_nan() || step.is_finite() && step.abs() > f32::MAX.into();
        }
        Self {
            number,
            bound: if bound.is_nan() { 0.0 } else { bound },
            is_nan: factors.iter().any(|factor| factor.is_nan()),
            kept,
            or_small,
            or_beyond: or_beyond || or_small && !number.is_finite(),
        }
    }

    pub fn admits(self, element: ElementType, bits: u32) -> bool {
        let got = decode(element, bits);
        if !self.kept {
            return bits == 0;
        }
        if self.is_nan {
            return got.is_nan();
        }
        let Self { number, bound, .. } = self;
        let is_small = f64::from(got.abs()) <= 2.0 * number.abs() + bound;
        let near = Expected::Near {
            number,
            bound,
            flushed: self.or_small,
        };
        self.or_beyond && !got.is_finite()
            || self.or_small && is_small
            || near.admits(element, bits)
    }
}

impl core::fmt::Display for Product {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self { kept: false, .. } => f.write_str("+0"),
            Self { is_nan: true, .. } => f.write_str("a NaN"),
            Self { number, bound, .. } => write!(f, "{number:e} within {bound:e}"),
        }
    }
}

/// The expected element of Gaussian dropout \[M18\]-\[M20\], \[M22\].
pub(super) fn gaussian(
    element: ElementType,
    key: MaskKey,
    index: u64,
    drop_threshold: u64,
    bits: u32,
) -> Expected {
    let words = block(key, index / 4, 2);
    let pair = 2 * (index as usize % 4 / 2);
    let uniform = |word: u32, half: f64| (f64::from(word >> 9) + half) / f64::from(1 << 23);
    let radius = (-2.0 * uniform(words[pair], 0.5).ln()).sqrt();
    let angle = core::f64::consts::TAU * (uniform(words[pair + 1], 0.0) - 0.5);
    let z = radius * [angle.cos(), angle.sin()][index as usize % 2];
    let p = drop_threshold as f64 / f64::from(2).powi(32);
    let sigma = f64::from((p / (1.0 - p)).sqrt() as f32);
    let x = decode(element, bits);
    let (factor, error) = (1.0 + sigma * z, sigma / 256.0);
    let bound = match x.is_infinite() {
        false => f64::from(x.abs()) * error,
        true if factor.abs() > error => 0.0,
        // The factor may have either sign, and so may the infinity.
        true => f64::INFINITY,
    };
    Expected::Near {
        number: f64::from(x) * factor,
        bound,
        flushed: x.is_subnormal(),
    }
}

/// The results that the contract allows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Expected {
    Bits(u32),
    /// These bits, or a zero of either sign.
    BitsOrZero(u32),
    /// The result rounded twice, or rounded once.
    Either([u32; 2]),
    /// A NaN of any payload.
    Nan,
    /// A number within the bound plus a unit in an f32's last place, rounded to the type.
    Near {
        number: f64,
        bound: f64,
        /// The input may have been flushed to a zero.
        flushed: bool,
    },
}

impl Expected {
    pub fn near(number: f64, bound: f64) -> Self {
        Self::Near {
            number,
            bound,
            flushed: false,
        }
    }

    pub fn admits(self, element: ElementType, bits: u32) -> bool {
        let sign = 1 << (8 * element.bytes() - 1);
        match self {
            Self::Bits(expected) => bits == expected,
            Self::BitsOrZero(expected) => bits == expected || bits & !sign == 0,
            Self::Either(expected) => expected.contains(&bits),
            Self::Nan => decode(element, bits).is_nan(),
            Self::Near {
                number,
                bound,
                flushed,
            } => {
                let y = f64::from(decode(element, bits));
                if number.is_nan() {
                    return y.is_nan();
                }
                if number.is_infinite() {
                    return y == number || bound.is_infinite() && y.is_infinite();
                }
                let last_place = (number.abs() + bound) / f64::from(1 << 23);
                let bound = bound + last_place.max(f64::from(f32::from_bits(1)));
                if y == 0.0 && (flushed || number.abs() - bound < f64::from(f32::MIN_POSITIVE)) {
                    return true;
                }
                let round = |y: f64| f64::from(decode(element, encode(element, y as f32)));
                (round(number - bound)..=round(number + bound)).contains(&y)
            }
        }
    }

    /// The bits, if only one result is allowed.
    pub fn bits(self) -> Option<u32> {
        match self {
            Self::Bits(bits) => Some(bits),
            _ => None,
        }
    }
}

impl core::fmt::Display for Expected {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Bits(bits) => write!(f, "{bits:#x}"),
            Self::BitsOrZero(bits) => write!(f, "{bits:#x} or a zero"),
            Self::Either([twice, once]) => write!(f, "{twice:#x} or {once:#x}"),
            Self::Nan => f.write_str("a NaN"),
            Self::Near { number, bound, .. } => write!(f, "{number:e} within {bound:e}"),
        }
    }
}

/// Element number `place` of packed words.
pub(super) fn bits(element: ElementType, words: &[u32], place: u64) -> u32 {
    match element {
        ElementType::F32 => words[place as usize],
        _ => words[place as usize / 2] >> (16 * (place % 2)) & 0xffff,
    }
}

pub(super) fn decode(element: ElementType, bits: u32) -> f32 {
    match element {
        ElementType::F32 => f32::from_bits(bits),
        ElementType::F16 => f16::from_bits(bits as u16).to_f32(),
        ElementType::Bf16 => bf16::from_bits(bits as u16).to_f32(),
    }
}

pub(super) fn encode(element: ElementType, number: f32) -> u32 {
    match element {
        ElementType::F32 => number.to_bits(),
        ElementType::F16 => f16::from_f32(number).to_bits().into(),
        ElementType::Bf16 => bf16::from_f32(number).to_bits().into(),
    }
}
