//! Triton's generator: Philox4x32-10, using one word of a block.

use core::ops::Range;

use super::pack;
use crate::contract::mask::split;
use crate::contract::philox::philox4x32;
use crate::contract::rate::DropoutRate;
use crate::cpu::CpuError;

/// Scales a 31-bit integer to a number from 0 to 1: random.py.
const SCALE: f32 = 4.656_612_7e-10;

/// The mask of Triton's `tl.rand(seed, offset + i) > rate` for element i, as in its tutorial on
/// low-memory dropout.
///
/// Offsets have 64 bits. If a kernel's offsets are `int32` and negative, add 2^32, because Triton
/// sets the upper word to 0. As in Triton, a rate of 0 still drops an element whose word is 0 or
/// 2^32 - 1: both give the uniform 0, which is not above 0.
///
/// The mask is right for 10 rounds, the default, in Triton 2.1 and newer.
///
/// # Errors
///
/// [`SourceError::MaskLength`](crate::SourceError::MaskLength) unless `mask` has a bit for each of
/// `elements`, in whole words.
pub fn triton(
    seed: i64,
    offset: i64,
    rate: DropoutRate,
    elements: Range<u64>,
    mask: &mut [u32],
) -> Result<(), CpuError> {
    let (key, rate) = (split(seed as u64), rate.p() as f32);
    pack(elements, mask, |element| {
        let counter = element.wrapping_add(offset as u64);
        let [word, ..] = philox4x32([counter, counter >> 32, 0, 0], key, 10);
        // The complement of a negative number is -x - 1.
        let word = word as u32 as i32;
        (word ^ word >> 31) as f32 * SCALE > rate
    })
}
