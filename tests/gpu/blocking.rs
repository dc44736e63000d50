//! The one-call convenience on slices gives what the three steps give.

use wgpu_dropout::{IndexOverflow, RunError};

use crate::adapters::Variant;
use crate::case::Case;
use crate::common::inputs::{RATES, call, check_dropout, check_mask, values};
use crate::common::reference;
use crate::gpu::Gpu;

pub const CASES: &[Case] = &[
    Case::new("dropout", dropout),
    Case::new("masks", masks),
    Case::new("blocks", blocks),
    Case::new("indices_past_the_last", indices_past_the_last),
    Case::new("dropout_on_small_bindings", dropout).on(Variant::SmallBindings),
];

fn dropout(gpu: &Gpu) -> Result<(), String> {
    for len in [0, 1, 8, 1001, 70_000] {
        let x = values(len);
        for call in RATES.map(|p| call(p, 5)) {
            let got = gpu
                .dropout
                .apply_blocking(&gpu.queue, &x, &call)
                .map_err(|error| error.to_string())?;
            check_dropout(&call, &x, &got)?;
        }
    }
    Ok(())
}

fn masks(gpu: &Gpu) -> Result<(), String> {
    for len in [0, 1, 32, 1001, 70_000] {
        let call = call(0.3, 5);
        let got = gpu
            .keep_mask
            .generate_blocking(&gpu.queue, len, &call)
            .map_err(|error| error.to_string())?;
        check_mask(&call, len, &got)?;
    }
    Ok(())
}

fn blocks(gpu: &Gpu) -> Result<(), String> {
    let (counter, key) = ([u32::MAX - 2, u32::MAX, u32::MAX, u32::MAX], [1, 2]);
    for rounds in [7, 10] {
        for len in [0, 1, 1000] {
            let got = gpu
                .philox(rounds)
                .generate_blocking(&gpu.queue, counter, key, len)
                .map_err(|error| error.to_string())?;
            if got != reference::philox_blocks(rounds, counter, key, len) {
                return Err(format!("{len} blocks of {rounds} rounds differ"));
            }
        }
    }
    Ok(())
}

fn indices_past_the_last(gpu: &Gpu) -> Result<(), String> {
    let call = call(0.5, u64::MAX - 8);
    let x = values(9);
    let got = gpu.dropout.apply_blocking(&gpu.queue, &x, &call);
    check_dropout(&call, &x, &got.map_err(|error| error.to_string())?)?;

    let call = call.with_origin(u64::MAX - 7);
    let overflow = RunError::IndexOverflow(IndexOverflow {
        origin: u64::MAX - 7,
        len: 9,
    });
    let dropout = gpu.dropout.apply_blocking(&gpu.queue, &x, &call);
    let mask = gpu.keep_mask.generate_blocking(&gpu.queue, 9, &call);
    if dropout.as_ref() != Err(&overflow) || mask.as_ref() != Err(&overflow) {
        return Err(format!("{dropout:?}, {mask:?}"));
    }
    Ok(())
}
