//! The result of each kind for values whose decision is known [M11], [M17].

pub use wgpu_dropout::Direction;
use wgpu_dropout::{DropoutCall, DropoutKind, Element, ElementType};

use super::compare;
use super::reference::{BF16, F16, Format, drop_threshold, keep_scale, keeps};

/// `-alpha'` of Klambauer et al. (2017), the constant of PyTorch's Dropout.cpp.
const ALPHA: f64 = 1.758_099_340_847_376_6;

/// Roundings of `f32(a) * x + f32(b)`: of the constants, of the product and of the sum. One more
/// covers the products of these errors.
const ALPHA_ROUNDINGS: f64 = 4.0;

/// The factor `a` and the shift `b` of PyTorch's `nn.AlphaDropout`, for the realised p.
pub struct Alpha {
    pub a: f64,
    pub b: f64,
    pub dropped: f64,
}

impl Alpha {
    pub fn new(p: f64) -> Self {
        if drop_threshold(p) == 0x1_0000_0000 {
            return Self {
                a: 0.0,
                b: 0.0,
                dropped: 0.0,
            };
        }
        let p = drop_threshold(p) as f64 / 4_294_967_296.0;
        let a = 1.0 / ((ALPHA * ALPHA * p + 1.0) * (1.0 - p)).sqrt();
        Self {
            a,
            b: ALPHA * a * p,
            dropped: -ALPHA * a * (1.0 - p),
        }
    }
}

/// The decision of each of these mask indices, by the reference: true keeps the element.
pub fn kept(call: &DropoutCall, indices: impl IntoIterator<Item = u64>) -> Vec<bool> {
    let decide = |index| keeps(call.rate.p(), call.key.seed, call.key.stream, index);
    indices.into_iter().map(decide).collect()
}

/// The decisions of a packed mask.
pub fn unpacked(words: &[u32], len: usize) -> Vec<bool> {
    let bit = |element: usize| words[element / 32] >> (element % 32) & 1 == 1;
    (0..len).map(bit).collect()
}

/// `scaled(x)` for kept elements, +0 for the others.
fn select(kept: &[bool], x: &[f32], scaled: impl Fn(f32) -> f32) -> Vec<f32> {
    let one = |(&kept, &x): (&bool, &f32)| if kept { scaled(x) } else { 0.0 };
    kept.iter().zip(x).map(one).collect()
}

/// Compares `got` with what the call's kind makes of `x`. All bits must agree, except for values
/// that alpha dropout keeps: these may be off by [`ALPHA_ROUNDINGS`] half units in the last place
/// of both summands.
pub fn check(
    call: &DropoutCall,
    direction: Direction,
    kept: &[bool],
    x: &[f32],
    got: &[f32],
) -> Result<(), String> {
    let p = call.rate.p();
    let compared = match (drop_threshold(p), call.kind, direction) {
        // At rate 0 a packed mask may still drop elements.
        (0, _, _) => compare::f32_copies(&select(kept, x, |x| x), got),
        // At rate 1 a packed mask may still keep elements: those take another arm.
        (0x1_0000_0000, _, _) if !kept.contains(&true) => {
            compare::f32_copies(&vec![0.0; x.len()], got)
        }
        (_, DropoutKind::Inverted, _) => {
            compare::f32_bits(&select(kept, x, |x| x * keep_scale(p)), got)
        }
        (_, DropoutKind::Classic, _) => compare::f32_copies(&select(kept, x, |x| x), got),
        (_, DropoutKind::Alpha, Direction::Backward) => {
            let a = Alpha::new(p).a as f32;
            compare::f32_bits_or_flushed(x, &select(kept, x, |x| x * a), got)
        }
        (_, DropoutKind::Alpha, Direction::Forward) => {
            let Alpha { a, b, dropped } = Alpha::new(p);
            let expected = |(&kept, &x): (&bool, &f32)| match (kept, a * f64::from(x)) {
                (true, ax) => (
                    ax + b,
                    (ax.abs() + b.abs()) * ALPHA_ROUNDINGS / 16_777_216.0,
                ),
                // The library computes this constant, not the adapter: it is exact.
                (false, _) => ((dropped as f32).into(), 0.0),
            };
            let expected: Vec<_> = kept.iter().zip(x).map(expected).collect();
            compare::f32_within(&expected, got)
        }
        (_, kind, _) => Err(format!("no definition of {kind}")),
    };
    compared.map_err(|difference| format!("{difference}; {direction:?}, {call}"))
}

/// [`check`] or [`check_pairs`], by the element type.
pub fn check_elements<T: Element>(
    call: &DropoutCall,
    direction: Direction,
    kept: &[bool],
    x: &[T],
    got: &[T],
) -> Result<(), String> {
    use bytemuck::cast_slice;
    let pairs = |f| check_pairs(f, call, direction, kept, cast_slice(x), cast_slice(got));
    match T::TYPE {
        ElementType::F16 => pairs(F16),
        ElementType::Bf16 => pairs(BF16),
        _ => check(call, direction, kept, cast_slice(x), cast_slice(got)),
    }
}

/// Like [`check`] for 16-bit elements, whose result is rounded once more [M11].
pub fn check_pairs(
    format: Format,
    call: &DropoutCall,
    direction: Direction,
    kept: &[bool],
    x: &[u16],
    got: &[u16],
) -> Result<(), String> {
    let p = call.rate.p();
    let exactly = |bits| (f64::from(format.number(bits)), 0.0);
    // `Ok`: the f32 before it is rounded to the type, and its bound. `Err`: the exact bits.
    let expected = |kept: bool, x: u16| match (drop_threshold(p), call.kind, direction) {
        (0, _, _) => Err(if kept { x } else { 0 }),
        (0x1_0000_0000, _, _) if !kept => Err(0),
        (_, DropoutKind::Alpha, Direction::Forward) => {
            let Alpha { a, b, dropped } = Alpha::new(p);
            let ax = a * exactly(x).0;
            let bound = (ax.abs() + b.abs()) * ALPHA_ROUNDINGS / 16_777_216.0;
            Ok(if kept {
                (ax + b, bound)
            } else {
                ((dropped as f32).into(), 0.0)
            })
        }
        _ if !kept => Err(0),
        (_, DropoutKind::Classic, _) => Err(x),
        (_, DropoutKind::Alpha, Direction::Backward) => {
            Ok(((format.number(x) * Alpha::new(p).a as f32).into(), 0.0))
        }
        _ => Ok(((format.number(x) * keep_scale(p)).into(), 0.0)),
    };
    let same = |kept, x, got: u16| match expected(kept, x) {
        Err(bits) => got == bits,
        Ok((number, _)) if number.is_nan() => format.number(got).is_nan(),
        Ok((number, bound)) => {
            let between = [number - bound, number + bound].map(|end| format.nearest(end));
            let is_subnormal = format.number(x).is_subnormal() || (number as f32).is_subnormal();
            let flushed = format == BF16 && is_subnormal && got & 0x7FFF == 0;
            between.contains(&got) || flushed || {
                let [low, high] = between.map(|bits| format.number(bits));
                bound > 0.0 && (low..=high).contains(&format.number(got))
            }
        }
    };
    if x.len() != got.len() || x.len() != kept.len() {
        return Err(format!("lengths: {} and {}", x.len(), got.len()));
    }
    let differs = |&element: &usize| !same(kept[element], x[element], got[element]);
    let mut differing = (0..x.len()).filter(differs);
    match differing.next() {
        None => Ok(()),
        Some(first) => Err(format!(
            "element {first}: {:#06x} became {:#06x}, not {:x?}; {} of {} differ; {}, {direction:?}, {call}",
            x[first],
            got[first],
            expected(kept[first], x[first]),
            1 + differing.count(),
            x.len(),
            format.name,
        )),
    }
}
