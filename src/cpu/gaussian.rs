//! Gaussian noise, as in shaders/mask/normal.wgsl and shaders/noise/*.wgsl.

use super::mask::Mask;
use crate::contract::call::DropoutCall;
use crate::contract::element::Element;
use crate::contract::key::MaskKey;
use crate::contract::mask::split;
use crate::contract::noise;
use crate::contract::philox::mask_block;

/// Multiplies elements by their noise \[M20\] and rounds once to their type \[M22\]. The first is
/// number `start`.
pub(super) fn multiply_by_noise<T: Element>(
    data: &mut [T],
    mask: Mask<'_>,
    call: &DropoutCall,
    start: u64,
) {
    let sigma = call.rate.sigma();
    let (mut drawn, mut noise) = (None, [0.0; 4]);
    for (element, y) in (start..).zip(data) {
        let position = noise::position(call.origin + mask.index(element));
        if drawn != Some(position.block) {
            noise = normals(call.key, position.block).map(|normal| 1.0 + sigma * normal as f32);
            drawn = Some(position.block);
        }
        *y = T::from_f32(y.to_f32() * noise[position.lane as usize]);
    }
}

/// Four normal numbers from a block, by Box and Muller 1958 \[M19\].
fn normals(key: MaskKey, block: u64) -> [f64; 4] {
    let [[w0, w1], [w2, w3]] = mask_block(key.seed, key.stream, [block, block >> 32], 2).map(split);
    let pair = |w0: u32, w1: u32| {
        let uniform_0 = (f64::from(w0 >> 9) + 0.5) / f64::from(1 << 23);
        let uniform_1 = f64::from(w1 >> 9) / f64::from(1 << 23);
        let radius = (-2.0 * uniform_0.ln()).sqrt();
        let (sin, cos) = (core::f64::consts::TAU * (uniform_1 - 0.5)).sin_cos();
        [radius * cos, radius * sin]
    };
    let ([a, b], [c, d]) = (pair(w0, w1), pair(w2, w3));
    [a, b, c, d]
}
