//! Philox4x32, many blocks at a time. Twin of shaders/philox.wgsl.

use rayon::prelude::*;

use crate::error::CpuError;
use crate::philox_blocks::advance_counter;

const PHILOX_M4X32_0: u32 = 0xD251_1F53;
const PHILOX_M4X32_1: u32 = 0xCD9E_8D57;
const PHILOX_W32_0: u32 = 0x9E37_79B9;
const PHILOX_W32_1: u32 = 0xBB67_AE85;

/// Rounds of the masks' generator \[M2\].
pub(crate) const MASK_ROUNDS: u32 = 10;

/// Replaces `N` counters by their blocks; word w of all of them lies in `words[w]`, so that the
/// compiler computes as many at once as the processor has lanes.
#[inline(always)]
pub(crate) fn philox4x32<const N: usize>(words: &mut [[u32; N]; 4], key: [u32; 2], rounds: u32) {
    let [mut key_0, mut key_1] = key;
    let [c0, c1, c2, c3] = words;
    for _ in 0..rounds {
        for i in 0..N {
            let p0 = u64::from(PHILOX_M4X32_0) * u64::from(c0[i]);
            let p1 = u64::from(PHILOX_M4X32_1) * u64::from(c2[i]);
            c0[i] = (p1 >> 32) as u32 ^ c1[i] ^ key_0;
            c1[i] = p1 as u32;
            c2[i] = (p0 >> 32) as u32 ^ c3[i] ^ key_1;
            c3[i] = p0 as u32;
        }
        key_0 = key_0.wrapping_add(PHILOX_W32_0);
        key_1 = key_1.wrapping_add(PHILOX_W32_1);
    }
}

/// Fills `blocks` with the Philox4x32 blocks of `key` whose counters begin at `counter`, as
/// [`PhiloxBlocks`](crate::PhiloxBlocks) does.
///
/// # Errors
///
/// [`CpuError::Rounds`] if `rounds` is neither 7 nor 10.
pub fn philox_blocks(
    blocks: &mut [[u32; 4]],
    counter: [u32; 4],
    key: [u32; 2],
    rounds: u32,
) -> Result<(), CpuError> {
    const N: usize = 64;
    if !matches!(rounds, 7 | 10) {
        return Err(CpuError::Rounds { rounds });
    }
    blocks
        .par_chunks_mut(N)
        .enumerate()
        .for_each(|(chunk, blocks)| {
            let first = advance_counter(counter, (chunk * N) as u64);
            let mut words = [[0; N]; 4];
            for i in 0..N {
                let counter = advance_counter(first, i as u64);
                for (word, c) in words.iter_mut().zip(counter) {
                    word[i] = c;
                }
            }
            philox4x32(&mut words, key, rounds);
            for (i, block) in blocks.iter_mut().enumerate() {
                *block = words.map(|word| word[i]);
            }
        });
    Ok(())
}
