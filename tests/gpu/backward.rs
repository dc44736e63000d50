//! Backward is the same map of the gradient [M14], in every layout.

use crate::battery;
use crate::case::Case;
use crate::common::inputs::call;
use crate::gpu::Gpu;
use crate::run::{self, Direction, Item, Layout, WAYS, Way};

const WAY: Way = Way::new(Layout::Separate, Direction::Backward);

pub const CASES: &[Case] = &[
    Case::new("lengths", |gpu| battery::lengths(gpu, WAY)),
    Case::new("rates", |gpu| battery::rates(gpu, WAY)),
    Case::new("long", |gpu| battery::long(gpu, WAY)),
    Case::new("pooled_and_in_place", |gpu| {
        for layout in [Layout::Pooled, Layout::InPlace] {
            battery::lengths(gpu, Way::new(layout, Direction::Backward))?;
        }
        Ok(())
    }),
    Case::new("drops_what_forward_drops", drops_what_forward_drops),
];

/// No value of a forward's input shows in its backward, so the zeros must be the call's.
fn drops_what_forward_drops(gpu: &Gpu) -> Result<(), String> {
    for p in [0.1, 0.5, 0.999] {
        let item = || [Item::of(call(p, 77), vec![1.0; 5003])];
        let zeros = |way| -> Result<Vec<bool>, String> {
            Ok(run::dropout(gpu, way, &item())?[0]
                .iter()
                .map(|&y| y == 0.0)
                .collect())
        };
        let forward = zeros(WAYS[0])?;
        for way in WAYS {
            if zeros(way)? != forward {
                return Err(format!("{way:?} drops other elements at p {p}"));
            }
        }
    }
    Ok(())
}
