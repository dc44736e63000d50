//! Philox4x32. Twin of shaders/philox.wgsl.

use multiversion::multiversion;

use super::tasks::for_each_task;
use crate::error::CpuError;
use crate::philox_blocks::advance_counter;

const PHILOX_M4X32_0: u32 = 0xD251_1F53;
const PHILOX_M4X32_1: u32 = 0xCD9E_8D57;
const PHILOX_W32_0: u32 = 0x9E37_79B9;
const PHILOX_W32_1: u32 = 0xBB67_AE85;

/// Rounds of the masks' generator \[M2\].
pub(crate) const MASK_ROUNDS: u32 = 10;

/// Blocks that one task of the pool makes.
const TASK_BLOCKS: usize = 1 << 12;

/// The block of a counter. Words are the lower halves of numbers as wide as a product, whose upper
/// halves are arbitrary: between rounds no lane moves. A loop over counters becomes vector code if
/// `rounds` is a constant: the compiler unrolls them, and takes as many counters as a vector has lanes.
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
    let fill = match rounds {
        7 => fill::<7>,
        10 => fill::<10>,
        _ => return Err(CpuError::Rounds { rounds }),
    };
    for_each_task(blocks, TASK_BLOCKS, |task, blocks| {
        let first = advance_counter(counter, (task * TASK_BLOCKS) as u64);
        fill(blocks, first, key);
    });
    Ok(())
}

#[multiversion(targets("x86_64+avx+avx2"))]
fn fill<const ROUNDS: u32>(blocks: &mut [[u32; 4]], first: [u32; 4], key: [u32; 2]) {
    for (block, i) in blocks.iter_mut().zip(0..) {
        let counter = advance_counter(first, i).map(u64::from);
        *block = philox4x32(counter, key, ROUNDS).map(|word| word as u32);
    }
}
