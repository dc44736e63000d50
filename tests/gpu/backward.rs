//! Backward applies the same mask and scale to the gradient [M14], in every layout.

use crate::case::Case;
use crate::common::inputs::call;
use crate::gpu::Gpu;
use crate::run::{self, Direction, Item, Layout, MODES, Mode};
use crate::sweeps;

const MODE: Mode = Mode::new(Layout::Separate, Direction::Backward);

pub const CASES: &[Case] = &[
    Case::new("lengths", |gpu| sweeps::lengths(gpu, MODE)),
    Case::new("rates", |gpu| sweeps::rates(gpu, MODE)),
    Case::new("long", |gpu| sweeps::long(gpu, MODE)),
    Case::new("pooled_and_in_place", |gpu| {
        for layout in [Layout::Pooled, Layout::InPlace] {
            sweeps::lengths(gpu, Mode::new(layout, Direction::Backward))?;
        }
        Ok(())
    }),
    Case::new("drops_what_forward_drops", drops_what_forward_drops),
];

/// Backward reads no value of forward's input, so its zeros can only come from the call.
fn drops_what_forward_drops(gpu: &Gpu) -> Result<(), String> {
    for p in [0.1, 0.5, 0.999] {
        let item = || [Item::of(call(p, 77), vec![1.0; 5003])];
        let zeros = |mode| -> Result<Vec<bool>, String> {
            Ok(run::dropout(gpu, mode, &item())?[0]
                .iter()
                .map(|&y| y == 0.0)
                .collect())
        };
        let forward = zeros(MODES[0])?;
        for mode in MODES {
            if zeros(mode)? != forward {
                return Err(format!("{mode:?} drops other elements at p {p}"));
            }
        }
    }
    Ok(())
}
