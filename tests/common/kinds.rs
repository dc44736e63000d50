//! What each kind of dropout makes of values whose fate is known [M11], [M17].

use wgpu_dropout::{DropoutCall, DropoutKind};

use super::compare;
use super::reference::{drop_threshold, keep_scale, keeps};

/// Which of the two methods is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Forward,
    Backward,
}

/// `-alpha'` of Klambauer et al. (2017), the constant of PyTorch's Dropout.cpp.
const ALPHA: f64 = 1.758_099_340_847_376_6;

/// Roundings of `f32(a) * x + f32(b)`: of the constants, the product and the sum, and one to spare
/// for products of such errors.
const ALPHA_ROUNDINGS: f64 = 4.0;

/// What PyTorch's `nn.AlphaDropout` multiplies by and adds, for the realised p.
pub struct Alpha {
    pub a: f64,
    pub b: f64,
    pub dropped: f64,
}

impl Alpha {
    pub fn new(p: f64) -> Self {
        let p = drop_threshold(p) as f64 / 4_294_967_296.0;
        let a = 1.0 / ((ALPHA * ALPHA * p + 1.0) * (1.0 - p)).sqrt();
        Self {
            a,
            b: ALPHA * a * p,
            dropped: -ALPHA * a * (1.0 - p),
        }
    }
}

/// Whether each of these mask indices is kept, by the twin.
pub fn kept(call: &DropoutCall, indices: impl IntoIterator<Item = u64>) -> Vec<bool> {
    let decide = |index| keeps(call.rate.p(), call.key.seed, call.key.stream, index);
    indices.into_iter().map(decide).collect()
}

/// Kept elements of `x` as `scaled` makes them, the others +0.
fn select(kept: &[bool], x: &[f32], scaled: impl Fn(f32) -> f32) -> Vec<f32> {
    let one = |(&kept, &x): (&bool, &f32)| if kept { scaled(x) } else { 0.0 };
    kept.iter().zip(x).map(one).collect()
}

/// Compares with what the call's kind makes of `x`: to the bit, but alpha dropout's kept values to
/// [`ALPHA_ROUNDINGS`] halves of a unit in the last place of both summands.
pub fn check(
    call: &DropoutCall,
    direction: Direction,
    kept: &[bool],
    x: &[f32],
    got: &[f32],
) -> Result<(), String> {
    let p = call.rate.p();
    let compared = match (drop_threshold(p), call.rate.kind(), direction) {
        (0, _, _) => compare::f32_copies(x, got),
        (0x1_0000_0000, _, _) => compare::f32_copies(&vec![0.0; x.len()], got),
        (_, DropoutKind::Inverted, _) => {
            compare::f32_bits(&select(kept, x, |x| x * keep_scale(p)), got)
        }
        (_, DropoutKind::Classic, _) => compare::f32_copies(&select(kept, x, |x| x), got),
        (_, DropoutKind::Alpha, Direction::Backward) => {
            let a = Alpha::new(p).a as f32;
            compare::f32_bits(&select(kept, x, |x| x * a), got)
        }
        (_, DropoutKind::Alpha, Direction::Forward) => {
            let Alpha { a, b, dropped } = Alpha::new(p);
            let expected = |(&kept, &x): (&bool, &f32)| match (kept, a * f64::from(x)) {
                (true, ax) => (
                    ax + b,
                    (ax.abs() + b.abs()) * ALPHA_ROUNDINGS / 16_777_216.0,
                ),
                // No step is the adapter's: exact.
                (false, _) => ((dropped as f32).into(), 0.0),
            };
            let expected: Vec<_> = kept.iter().zip(x).map(expected).collect();
            compare::f32_within(&expected, got)
        }
        (_, kind, _) => Err(format!("no definition of {kind}")),
    };
    compared.map_err(|difference| format!("{difference}; {direction:?}, {call}"))
}
