//! Triton's generator: Philox4x32-10, one word of a block in use.

use core::ops::Range;

use super::pack;
use crate::contract::mask::split;
use crate::contract::philox::philox4x32;
use crate::contract::rate::DropoutRate;
use crate::cpu::CpuError;

/// From a 32-bit integer without its sign to a number from 0 to 1: random.py.
const SCALE: f32 = 4.656_612_7e-10;

/// The mask of Triton's `tl.rand(seed, offset + i) > rate`, as its tutorial on low-memory dropout has it
/// for element i.
///
/// Offsets are numbers of 64 bits. Where all of a kernel's are `int32` and below 0, add 2^32: Triton
/// sets the upper word to 0. A rate of 0 drops two of 2^32 words, as it does in Triton.
///
/// It holds for 10 rounds, the default, of Triton 2.1 and newer.
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
