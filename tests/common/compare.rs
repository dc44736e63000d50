//! Comparisons to the bit. `tests/cpu/negative.rs` shows that each one can fail.

use approx::abs_diff_eq;

/// Products of dropout: the same bits, but a NaN may have any payload [M11].
pub fn f32_bits(expected: &[f32], got: &[f32]) -> Result<(), String> {
    elements(
        expected,
        got,
        |_, expected, got| same_product(expected, got),
        show_f32,
    )
}

/// Like [`f32_bits`] for adapters that flush subnormals: if a kept `x` or its product is subnormal,
/// a zero of either sign passes too [M11].
pub fn f32_bits_or_flushed(x: &[f32], expected: &[f32], got: &[f32]) -> Result<(), String> {
    if x.len() != expected.len() {
        return Err(format!(
            "{} inputs for {} expected elements",
            x.len(),
            expected.len()
        ));
    }
    let same = |element: usize, expected: f32, got: f32| {
        // `expected` tells the decision: every factor is above 1/2, so no product rounds to zero.
        let kept = expected != 0.0;
        let may_flush = kept && (x[element].is_subnormal() || expected.is_subnormal());
        same_product(expected, got) || may_flush && got == 0.0
    };
    elements(expected, got, same, show_f32)
}

/// Copies: every bit, payloads of NaNs included. This is the comparison for D = 0 [M11].
pub fn f32_copies(expected: &[f32], got: &[f32]) -> Result<(), String> {
    elements(
        expected,
        got,
        |_, expected, got| expected.to_bits() == got.to_bits(),
        show_f32,
    )
}

/// Compares with pairs of a number and its bound. Where the number is NaN or overflows f32, `got`
/// must be that NaN or infinity.
pub fn f32_within(expected: &[(f64, f64)], got: &[f32]) -> Result<(), String> {
    if expected.len() != got.len() {
        return Err(format!(
            "lengths: expected {}, got {}",
            expected.len(),
            got.len()
        ));
    }
    let same = |&(&(exact, bound), &got): &(&(f64, f64), &f32)| match exact as f32 {
        nearest if nearest.is_finite() => abs_diff_eq!(f64::from(got), exact, epsilon = bound),
        nearest => same_product(nearest, got),
    };
    let mut differing = expected
        .iter()
        .zip(got)
        .enumerate()
        .filter(|(_, pair)| !same(pair));
    match differing.next() {
        Some((first, (&(exact, bound), &got))) => Err(format!(
            "element {first}: expected {exact:e} within {bound:e}, got {}; {} of {} differ",
            show_f32(got),
            1 + differing.count(),
            expected.len()
        )),
        None => Ok(()),
    }
}

/// Packed masks, spare bits included [M15].
pub fn packed_masks(expected: &[u32], got: &[u32]) -> Result<(), String> {
    let unpacked = |words: &[u32]| -> Vec<bool> {
        words
            .iter()
            .flat_map(|word| (0..32).map(move |bit| word >> bit & 1 == 1))
            .collect()
    };
    let show = |kept| if kept { "kept (1)" } else { "dropped (0)" }.to_owned();
    elements(
        &unpacked(expected),
        &unpacked(got),
        |_, expected, got| expected == got,
        show,
    )
}

pub fn bytes(expected: &[u8], got: &[u8]) -> Result<(), String> {
    elements(
        expected,
        got,
        |_, expected, got| expected == got,
        |byte| format!("{byte:#04x}"),
    )
}

fn same_product(expected: f32, got: f32) -> bool {
    expected.to_bits() == got.to_bits() || expected.is_nan() && got.is_nan()
}

fn show_f32(x: f32) -> String {
    format!("{:#010x} ({x:e})", x.to_bits())
}

fn elements<T: Copy>(
    expected: &[T],
    got: &[T],
    same: impl Fn(usize, T, T) -> bool,
    show: impl Fn(T) -> String,
) -> Result<(), String> {
    let lengths = format!("lengths: expected {}, got {}", expected.len(), got.len());
    let common = expected.len().min(got.len());
    let mut differing =
        (0..common).filter(|&element| !same(element, expected[element], got[element]));
    match differing.next() {
        Some(first) => {
            let (expected, got) = (show(expected[first]), show(got[first]));
            let count = 1 + differing.count();
            Err(format!(
                "element {first}: expected {expected}, got {got}; {count} of {common} differ; {lengths}"
            ))
        }
        None if expected.len() != got.len() => Err(lengths),
        None => Ok(()),
    }
}
