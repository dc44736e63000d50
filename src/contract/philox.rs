//! The generator \[M2\], and the blocks that belong to a key \[M5\].

use super::mask::split;

const PHILOX_M4X32_0: u32 = 0xD251_1F53;
const PHILOX_M4X32_1: u32 = 0xCD9E_8D57;
const PHILOX_W32_0: u32 = 0x9E37_79B9;
const PHILOX_W32_1: u32 = 0xBB67_AE85;

/// Rounds of the masks' generator \[M2\].
const MASK_ROUNDS: u32 = 10;

/// The block of a counter. Each u32 word is the low half of a u64 whose high half is arbitrary, so
/// that products of 32 by 32 bits need no shuffle between rounds. In a loop over counters the
/// compiler makes vector code if `rounds` is a constant: it unrolls the rounds, and takes as many
/// counters at once as a vector has lanes.
#[inline(always)]
pub(crate) fn philox4x32(counter: [u64; 4], key: [u32; 2], rounds: u32) -> [u64; 4] {
    let multiply = |factor: u32, word: u64| u64::from(factor) * u64::from(word as u32);
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    let [mut key_0, mut key_1] = key;
    for _ in 0..rounds {
        let p0 = multiply(PHILOX_M4X32_0, c0);
        let p1 = multiply(PHILOX_M4X32_1, c2);
        c0 = p1 >> 32 ^ c1 ^ u64::from(key_0);
        c1 = p1;
        c2 = p0 >> 32 ^ c3 ^ u64::from(key_1);
        c3 = p0;
        key_0 = key_0.wrapping_add(PHILOX_W32_0);
        key_1 = key_1.wrapping_add(PHILOX_W32_1);
    }
    [c0, c1, c2, c3]
}

/// One block of a mask \[M5\], whose number is `high * 2^32` and the lower half of `low`. Each u64
/// holds two words, the first in its lower half.
#[inline(always)]
pub(crate) fn mask_block(seed: u64, stream: u64, [low, high]: [u64; 2], domain: u32) -> [u64; 2] {
    let counter = [low, high | u64::from(domain) << 29, stream, stream >> 32];
    let [w0, w1, w2, w3] = philox4x32(counter, split(seed), MASK_ROUNDS);
    let pair = |low: u64, high: u64| u64::from(low as u32) | high << 32;
    [pair(w0, w1), pair(w2, w3)]
}
