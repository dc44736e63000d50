//! TensorFlow's stateless generator: Philox4x32-10, using all four words of a block.

use core::ops::Range;

use super::pack;
use crate::contract::mask::split;
use crate::contract::philox::philox4x32;
use crate::contract::rate::DropoutRate;
use crate::cpu::CpuError;

/// The key that mixes the seeds into the generator's key and counter: stateless_random_ops.cc.
const MIX_KEY: [u32; 2] = [0x3EC8_F720, 0x0246_1E29];

/// The mask of TensorFlow's `tf.nn.experimental.stateless_dropout(x, rate, seed)` on f32, which
/// Keras on TensorFlow uses: element i is kept if its uniform is not less than f32(rate).
///
/// `seeds` are the two numbers of `seed`, of 32 or 64 bits. For Keras they are (seed, counter).
///
/// The mask is right for the algorithms `philox` and `auto_select` on the CPU and on GPUs. Code
/// that XLA compiles draws other numbers, and so do tensors of f16 and bf16.
///
/// # Errors
///
/// [`SourceError::MaskLength`](crate::SourceError::MaskLength) unless `mask` has a bit for each of
/// `elements`, in whole words.
pub fn tensorflow(
    seeds: [i64; 2],
    rate: DropoutRate,
    elements: Range<u64>,
    mask: &mut [u32],
) -> Result<(), CpuError> {
    let [seed_0, seed_1] = seeds.map(|seed| split(seed as u64).map(u64::from));
    let counter = [seed_0[0], seed_0[1], seed_1[0], seed_1[1]];
    let mixed = philox4x32(counter, MIX_KEY, 10).map(|word| word as u32);
    let (key, high) = ([mixed[0], mixed[1]], [mixed[2], mixed[3]].map(u64::from));
    let rate = rate.p() as f32;
    pack(elements, mask, |element| {
        let block = element >> 2;
        let words = philox4x32([block, block >> 32, high[0], high[1]], key, 10);
        // 23 bits are the mantissa of a number from 1 to 2.
        let mantissa = words[(element & 3) as usize] as u32 & 0x007F_FFFF;
        f32::from_bits(mantissa | 1f32.to_bits()) - 1.0 >= rate
    })
}
