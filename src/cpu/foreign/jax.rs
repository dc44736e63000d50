//! JAX's default generator: Threefry2x32 with 20 rounds (Salmon et al., SC'11).

use core::ops::Range;

use super::pack;
use crate::contract::rate::DropoutRate;
use crate::cpu::CpuError;

/// Random123's threefry.h.
const PARITY: u32 = 0x1BD1_1BDA;
const ROTATIONS: [[u32; 4]; 2] = [[13, 15, 26, 6], [17, 29, 16, 24]];

/// The mask of JAX's `bernoulli(key, 1 - rate, shape)`, which Flax and Keras on JAX use for
/// dropout: element i is kept if its uniform is less than f32(1 - rate).
///
/// `key` is `jax.random.key_data` of the key that the layer uses. JAX or Flax splits it from the
/// program's key. For Keras it is the state of the seed generator, (seed, counter).
///
/// The mask is right for JAX's defaults: threefry2x32, `jax_threefry_partitionable` on (since 0.5),
/// `jax_enable_x64` off, `mode="low"`, and a rate that is a Python number. JAX does
/// not promise to keep the masks of the generator `rbg`.
///
/// # Errors
///
/// [`SourceError::MaskLength`](crate::SourceError::MaskLength) unless `mask` has a bit for each of
/// `elements`, in whole words.
pub fn jax(
    key: [u32; 2],
    rate: DropoutRate,
    elements: Range<u64>,
    mask: &mut [u32],
) -> Result<(), CpuError> {
    let keep_probability = (1.0 - rate.p()) as f32;
    pack(elements, mask, |element| {
        let [x0, x1] = threefry2x32(key, [(element >> 32) as u32, element as u32]);
        // 23 bits are the mantissa of a number from 1 to 2.
        f32::from_bits((x0 ^ x1) >> 9 | 1f32.to_bits()) - 1.0 < keep_probability
    })
}

fn threefry2x32(key: [u32; 2], counter: [u32; 2]) -> [u32; 2] {
    let key = [key[0], key[1], PARITY ^ key[0] ^ key[1]];
    let mut x0 = counter[0].wrapping_add(key[0]);
    let mut x1 = counter[1].wrapping_add(key[1]);
    for group in 0..5 {
        for rotation in ROTATIONS[group % 2] {
            x0 = x0.wrapping_add(x1);
            x1 = x1.rotate_left(rotation) ^ x0;
        }
        let added = key[(group + 2) % 3].wrapping_add(group as u32 + 1);
        x0 = x0.wrapping_add(key[(group + 1) % 3]);
        x1 = x1.wrapping_add(added);
    }
    [x0, x1]
}
