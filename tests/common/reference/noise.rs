//! Gaussian noise, as in `shaders/mask/normal.wgsl`.

use core::f64::consts::TAU;

use wgpu_dropout::DropoutCall;

use super::philox::philox4x32;

/// z, the normal number of an index, in f64 [M19].
pub fn normal(call: &DropoutCall, index: u64) -> f64 {
    let halves = |number: u64| [number as u32, (number >> 32) as u32];
    let ([low, high], [stream_low, stream_high]) = (halves(index >> 2), halves(call.key.stream));
    let counter = [low, high | 2 << 29, stream_low, stream_high];
    let words = philox4x32(10, counter, halves(call.key.seed));
    let pair = (index & 2) as usize;
    let unit = |word: u32, shift: f64| (f64::from(word >> 9) + shift) / 8_388_608.0;
    let r = (-2.0 * unit(words[pair], 0.5).ln()).sqrt();
    let t = TAU * (unit(words[pair + 1], 0.0) - 0.5);
    if index & 1 == 0 {
        r * t.cos()
    } else {
        r * t.sin()
    }
}
