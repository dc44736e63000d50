//! Tensors longer than one dispatch or one binding are split, and keep their bits.

use crate::adapters::Variant;
use crate::case::Case;
use crate::common::inputs::{call, origins};
use crate::gpu::Gpu;
use crate::philox;
use crate::run::{self, Item, MODES};

pub const CASES: &[Case] = &[
    Case::new("few_workgroups", dropout).on(Variant::FewWorkgroups),
    Case::new("few_workgroups_masks", masks).on(Variant::FewWorkgroups),
    Case::new("few_workgroups_blocks", blocks).on(Variant::FewWorkgroups),
    Case::new("small_bindings", dropout).on(Variant::SmallBindings),
    Case::new("small_bindings_masks", masks).on(Variant::SmallBindings),
    Case::new("small_bindings_blocks", blocks).on(Variant::SmallBindings),
];

/// Lengths around the splits of both devices: 4096 bytes hold 1024 elements, and two workgroups
/// take 4032.
const LENGTHS: [u64; 10] = [
    1023, 1024, 1025, 2048, 2051, 4031, 4032, 4033, 20_000, 70_001,
];

fn dropout(gpu: &Gpu) -> Result<(), String> {
    let buffer = gpu.upload(&[0; 70_001]);
    let long = gpu.bind_in_place(&buffer, 70_001)?;
    if long.dispatches() < 5 {
        return Err(format!("only {} dispatches", long.dispatches()));
    }
    for mode in MODES {
        let items: Vec<Item> = LENGTHS
            .iter()
            .flat_map(|&len| origins(len).into_iter().map(move |origin| (len, origin)))
            .map(|(len, origin)| Item::new(call(0.3, origin), len))
            .chain([0.0, 1.0].map(|p| Item::new(call(p, 3), 20_003)))
            .collect();
        run::check_dropout(gpu, mode, &items)?;
    }
    Ok(())
}

/// At origin 2^35 - 5 the first segment has the carry from c0 to c1. The other origins have it in
/// later segments.
fn masks(gpu: &Gpu) -> Result<(), String> {
    let carry = 1_u64 << 35;
    let items: Vec<_> = origins(100_003)
        .into_iter()
        .chain([carry - 40_000, carry - 40_005])
        .map(|origin| (call(0.3, origin), 100_003))
        .collect();
    run::check_masks(gpu, &items)
}

fn blocks(gpu: &Gpu) -> Result<(), String> {
    const ONES: u32 = u32::MAX;
    let items = [
        ([0; 4], [1, 2], 3001),
        ([ONES - 1500, ONES, ONES, ONES], [1, 2], 3001),
        ([ONES - 255, ONES, 7, 7], [1, 2], 1000),
    ];
    philox::check(gpu, &items)
}
