//! Decisions depend on every bit of u(i): an element is dropped below the threshold and kept at it
//! [M8].

use wgpu_dropout::MaskLayout;

use crate::case::{Case, text};
use crate::common::inputs::{KEY, call};
use crate::common::reference::uniform;
use crate::gpu::Gpu;
use crate::run::{self, Item, MODES};

pub const CASES: &[Case] = &[
    Case::new("values_turn_at_their_uniform", values_turn),
    Case::new("masks_turn_at_their_uniform", masks_turn),
    Case::new("scattered_masks_turn", scattered_masks_turn),
];

const TWO_POW_32: f64 = 4_294_967_296.0;

/// Each entry: the origin of 16 elements, the element to look at, a p whose threshold D is near its
/// u(i), and whether p keeps it. In the first three of five, D has the upper half of u(i), so
/// domain 1 decides. In the others D is a multiple of 2^16, so domain 0 must decide alone [M9].
fn turns() -> Vec<(u64, usize, f64, bool)> {
    let uniform = |index| u64::from(uniform(KEY.seed, KEY.stream, index));
    // An index whose u(i) has a lower half of 0. With u(i) + 1 as threshold, domain 1 decides, by
    // its smallest draw, 0.
    let low_0 = (16..).find(|&index| uniform(index) & 0xffff == 0);
    let low_0 = low_0.expect("one index in 65,536");
    let mut turns = Vec::new();
    for origin in [0, 3, low_0 - 7, (1 << 35) - 8, u64::MAX - 15] {
        for element in 0..16 {
            let u = uniform(origin + element as u64);
            let upper = u >> 16 << 16;
            for (threshold, kept) in [
                (u.saturating_sub(1), true),
                (u, true),
                (u + 1, false),
                (upper, true),
                (upper + (1 << 16), false),
            ] {
                turns.push((origin, element, threshold as f64 / TWO_POW_32, kept));
            }
        }
    }
    turns
}

fn values_turn(gpu: &Gpu) -> Result<(), String> {
    let items: Vec<Item> = turns()
        .iter()
        .map(|&(origin, _, p, _)| Item::new(call(p, origin), 16))
        .collect();
    for mode in MODES {
        run::check_dropout(gpu, mode, &items)?;
        for ((_, element, p, kept), got) in
            turns().into_iter().zip(run::dropout(gpu, mode, &items)?)
        {
            if (got[element] != 0.0) != kept {
                return Err(format!("{mode:?}: element {element} at p {p}: not {kept}"));
            }
        }
    }
    Ok(())
}

fn masks_turn(gpu: &Gpu) -> Result<(), String> {
    let items: Vec<_> = turns()
        .iter()
        .map(|&(origin, _, p, _)| (call(p, origin), 16))
        .collect();
    run::check_masks(gpu, &items)?;
    for ((_, element, p, kept), got) in turns().into_iter().zip(run::masks(gpu, &items)?) {
        if (got[0] >> element & 1 == 1) != kept {
            return Err(format!("element {element} at p {p}: not {kept}"));
        }
    }
    Ok(())
}

/// Decides one index at a time, as kernels for scattered layouts do.
fn scattered_masks_turn(gpu: &Gpu) -> Result<(), String> {
    let layout = MaskLayout::strided(&[2], &[3]).map_err(text)?;
    let turns: Vec<_> = turns()
        .into_iter()
        .map(|(origin, element, p, kept)| (origin + element as u64, p, kept))
        .filter(|(index, ..)| index.checked_add(3).is_some())
        .collect();
    let items: Vec<_> = turns
        .iter()
        .map(|&(index, p, _)| (call(p, index), layout.clone()))
        .collect();
    for ((index, p, kept), got) in turns.into_iter().zip(run::layout_masks(gpu, &items)?) {
        if (got[0] & 1 == 1) != kept {
            return Err(format!("index {index} at p {p}: not {kept}"));
        }
    }
    Ok(())
}
