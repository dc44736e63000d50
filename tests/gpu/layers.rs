//! Each layer that people know, compared with its own definition in tests/common/layers.rs, not
//! with strides.

use crate::case::{Case, must_differ};
use crate::common::inputs::call;
use crate::common::kinds;
use crate::common::layers::layers;
use crate::gpu::Gpu;
use crate::run::{self, Item, MODES};

pub const CASES: &[Case] = &[
    Case::new("definitions", definitions),
    Case::new("masks", masks),
    Case::new("the_next_draw_differs", next_draw_differs),
];

fn definitions(gpu: &Gpu) -> Result<(), String> {
    let layers = layers();
    let calls = [0, 3].map(|origin| call(0.3, origin));
    let each = || {
        layers
            .iter()
            .flat_map(|layer| calls.map(|call| (layer, call)))
    };
    for mode in MODES {
        let items: Vec<Item> = each()
            .map(|(layer, call)| Item::of_layout(call, layer.layout.clone()))
            .collect();
        let results = run::dropout(gpu, mode, &items)?;
        for (((layer, call), item), got) in each().zip(&items).zip(results) {
            kinds::check(&call, mode.direction, &layer.kept(&call), &item.x, &got)
                .map_err(|difference| format!("{}, {mode:?}: {difference}", layer.name))?;
        }
    }
    Ok(())
}

fn masks(gpu: &Gpu) -> Result<(), String> {
    let layers = layers();
    let call = call(0.3, 3);
    let items: Vec<_> = layers
        .iter()
        .map(|layer| (call, layer.layout.clone()))
        .collect();
    for (layer, got) in layers.iter().zip(run::layout_masks(gpu, &items)?) {
        let bit = |element: usize| got[element / 32] >> (element % 32) & 1 == 1;
        let kept = layer.kept(&call);
        if (0..kept.len()).any(|element| bit(element) != kept[element]) {
            return Err(format!("{}: another mask", layer.name));
        }
    }
    Ok(())
}

/// Negative control: the comparison notices decisions that are drawn one index later.
fn next_draw_differs(gpu: &Gpu) -> Result<(), String> {
    let right = call(0.3, 0);
    for layer in layers() {
        let item = Item::of_layout(right, layer.layout.clone());
        let got = &run::dropout(gpu, MODES[0], std::slice::from_ref(&item))?[0];
        let kept = layer.kept(&right.with_origin(1));
        let next = kinds::check(&right, MODES[0].direction, &kept, &item.x, got);
        must_differ(format!("{}: the next draw", layer.name), next)?;
    }
    Ok(())
}
