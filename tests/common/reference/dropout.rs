//! Effects on values, as in `shaders/value/*.wgsl`.

use super::mask::{drop_threshold, keeps};

/// The factor of kept values, from the realised probability [M10].
pub fn keep_scale(p: f64) -> f32 {
    match drop_threshold(p) {
        0x1_0000_0000 => 0.0,
        drop_threshold => (1.0 / (1.0 - drop_threshold as f64 / 4_294_967_296.0)) as f32,
    }
}

/// Dropout of `x` [M11], and its backward [M14]. `indices` gives the mask index of each element.
///
/// # Panics
/// If there are fewer indices than elements.
pub fn dropout(
    p: f64,
    seed: u64,
    stream: u64,
    indices: impl Iterator<Item = u64>,
    x: &[f32],
) -> Vec<f32> {
    let y: Vec<f32> = x
        .iter()
        .zip(indices)
        .map(|(&x, index)| value(p, keeps(p, seed, stream, index), x))
        .collect();
    assert_eq!(y.len(), x.len(), "an index for every element");
    y
}

/// One element [M11].
fn value(p: f64, kept: bool, x: f32) -> f32 {
    if drop_threshold(p) == 0 {
        x
    } else if kept {
        x * keep_scale(p)
    } else {
        0.0
    }
}
