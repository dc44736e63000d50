//! `PhiloxBlocks` gives Random123's blocks, for every counter.

use crate::case::Case;
use crate::common::{reference, vectors};
use crate::gpu::Gpu;
use crate::run::{self, Blocks};

pub const CASES: &[Case] = &[
    Case::new("known_answers", known_answers),
    Case::new("lengths", lengths),
    Case::new("carries_and_wraps", carries_and_wraps),
];

const KEY: [u32; 2] = [0xA409_3822, 0x299F_31D0];

fn known_answers(gpu: &Gpu) -> Result<(), String> {
    for rounds in [7, 10] {
        let mut vectors = vectors::philox();
        vectors.retain(|vector| vector.rounds == rounds);
        let items: Vec<Blocks> = vectors
            .iter()
            .map(|vector| (vector.counter, vector.key, 1))
            .collect();
        for (vector, got) in vectors.iter().zip(run::blocks(gpu, rounds, &items)?) {
            if got != [vector.words] {
                return Err(format!("got {got:08x?} for {vector:08x?}"));
            }
        }
    }
    Ok(())
}

fn lengths(gpu: &Gpu) -> Result<(), String> {
    let items: Vec<Blocks> = [0, 1, 2, 255, 256, 257, 1000]
        .map(|len| ([len as u32, 2, 3, 4], KEY, len))
        .to_vec();
    check(gpu, &items)
}

fn carries_and_wraps(gpu: &Gpu) -> Result<(), String> {
    const ONES: u32 = u32::MAX;
    // The first counters are chosen so that each carry happens inside the dispatch.
    let first = ONES - 299;
    let items: Vec<Blocks> = [
        [first, 5, 5, 5],
        [first, ONES, 5, 5],
        [first, ONES, ONES, 5],
        [first, ONES, ONES, ONES],
        [first, 5, ONES, 5],
        [first, ONES, 5, ONES],
        [0, ONES, ONES, ONES],
    ]
    .map(|counter| (counter, KEY, 600))
    .to_vec();
    check(gpu, &items)
}

/// Makes all blocks, with 7 and with 10 rounds, and compares each with the reference.
pub fn check(gpu: &Gpu, items: &[Blocks]) -> Result<(), String> {
    for rounds in [7, 10] {
        for (&item, got) in items.iter().zip(run::blocks(gpu, rounds, items)?) {
            compare(rounds, item, &got)?;
        }
    }
    Ok(())
}

/// Compares with the reference's blocks.
pub fn compare(rounds: u32, (counter, key, len): Blocks, got: &[[u32; 4]]) -> Result<(), String> {
    let expected = reference::philox_blocks(rounds, counter, key, len);
    let from = format!("from {counter:08x?}, key {key:08x?}, {rounds} rounds");
    if expected.len() != got.len() {
        return Err(format!("{} blocks, not {len}, {from}", got.len()));
    }
    match expected
        .iter()
        .zip(got)
        .position(|(expected, got)| expected != got)
    {
        Some(block) => Err(format!(
            "block {block} {from}: expected {:08x?}, got {:08x?}",
            expected[block], got[block]
        )),
        None => Ok(()),
    }
}
