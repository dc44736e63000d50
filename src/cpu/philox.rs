//! Philox4x32, as in shaders/mask/philox.wgsl.

use multiversion::multiversion;

use super::error::CpuError;
use super::tasks::for_each_task;
use crate::contract::counter::advance_counter;
use crate::contract::philox::philox4x32;

/// Blocks of one task of the pool.
const TASK_BLOCKS: usize = 1 << 12;

/// Fills `blocks` with the Philox4x32 blocks of `key` for consecutive counters, the first of which
/// is `counter`, as [`PhiloxBlocks`](crate::PhiloxBlocks) does.
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
