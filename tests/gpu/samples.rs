//! Sample ids [M16]: a sample's mask follows its id, wherever the sample is in the batch.

use wgpu_dropout::{DropoutCall, LayoutError, MaskLayout};

use crate::adapters::Variant;
use crate::case::{Case, must_differ, text};
use crate::common::inputs::{self, call, values};
use crate::common::kinds;
use crate::common::layers::BATCHES;
use crate::gpu::Gpu;
use crate::run::{self, Item, MODES, Source};

pub const CASES: &[Case] = &[
    Case::new("any_ids", any_ids),
    Case::new("masks", masks),
    Case::new("a_batch_of_one_has_the_masks_of_many", batch_of_one),
    Case::new("a_batch_in_order_of_ids", batch_in_order),
    Case::new("place_padding_and_size_play_no_role", place_plays_no_role),
    Case::new("few_workgroups", long_batches).on(Variant::FewWorkgroups),
    Case::new("small_bindings", long_batches).on(Variant::SmallBindings),
    Case::new("no_features", long_batches).on(Variant::Bare),
    Case::new("wide_products", wide_products),
    Case::new("wide_products_no_features", wide_products).on(Variant::Bare),
    Case::new("another_id_differs", another_id_differs),
];

const IDS: [u32; 5] = [0, 3, u32::MAX, 1 << 20, 3];

/// A layer: its layout for a number of samples, how many decisions it draws for a sample, and which
/// of them an element uses.
type Layer = (
    fn(u64) -> Result<MaskLayout, LayoutError>,
    usize,
    fn(usize) -> usize,
);

/// Layers of rows, runs and scattered elements, aligned to blocks and not.
const LAYERS: [Layer; 8] = [
    (|n| MaskLayout::elementwise(&[n, 24]), 24, |e| e),
    (|n| MaskLayout::elementwise(&[n, 11]), 11, |e| e),
    (|n| MaskLayout::drop_path(&[n, 33]), 1, |_| 0),
    (|n| MaskLayout::drop_path(&[n, 64]), 1, |_| 0),
    (|n| MaskLayout::elementwise(&[n]), 1, |_| 0),
    (
        |n| MaskLayout::feature_channels_first(&[n, 3, 7]),
        3,
        |e| e / 7,
    ),
    (
        |n| MaskLayout::feature_channels_first(&[n, 3, 8]),
        3,
        |e| e / 8,
    ),
    (
        |n| MaskLayout::time_locked_batch_first(&[n, 4, 6]),
        6,
        |e| e % 6,
    ),
];

fn layouts(samples: u64) -> Result<Vec<MaskLayout>, String> {
    LAYERS
        .iter()
        .map(|(layout, ..)| layout(samples).map_err(text))
        .collect()
}

/// Calls; the last one copies, since its rate is 0.
fn calls() -> [DropoutCall; 3] {
    [(0.3, 0), (0.3, 3), (0.0, 0)].map(|(p, origin)| call(p, origin))
}

/// The first layouts run in every mode. The others run in one, since compiling takes most of the
/// time.
fn any_ids(gpu: &Gpu) -> Result<(), String> {
    let mut layouts = layouts(IDS.len() as u64)?;
    let items = |layouts: &[MaskLayout]| -> Vec<Item> {
        let item = |layout: &MaskLayout| {
            let ids = IDS[..layout.shape().first().map_or(1, |_| IDS.len())].to_vec();
            calls().map(|call| Item::of_samples(call, layout.clone(), ids.clone()))
        };
        layouts.iter().flat_map(item).collect()
    };
    for mode in MODES {
        run::check_dropout(gpu, mode, &items(&layouts[..3]))?;
    }
    let scalar = MaskLayout::elementwise(&[]).map_err(text)?;
    layouts.push(scalar);
    run::check_dropout(gpu, MODES[0], &items(&layouts[3..]))
}

/// `KeepMask` gives a sample the mask of its id, as dropout does, and another id gives another
/// mask.
fn masks(gpu: &Gpu) -> Result<(), String> {
    let mut items = Vec::new();
    for layout in layouts(IDS.len() as u64)? {
        items.extend(calls().map(|call| (call, layout.clone(), IDS.to_vec())));
    }
    // More words than a workgroup has invocations, and a batch without samples.
    for layout in [
        MaskLayout::elementwise(&[70, 299]),
        MaskLayout::elementwise(&[0, 3]),
    ] {
        let layout = layout.map_err(text)?;
        let ids = (0..layout.shape()[0] as u32).rev().collect();
        items.push((calls()[1], layout, ids));
    }
    for ((call, layout, ids), got) in items.iter().zip(run::sample_masks(gpu, &items)?) {
        let check = |ids: &[u32]| {
            let indices = inputs::sample_indices(call, layout, ids);
            inputs::check_mask_of(call, indices, &got)
        };
        check(ids).map_err(|difference| format!("{difference}, {layout:?}"))?;
        let others: Vec<u32> = ids.iter().map(|id| id ^ 1).collect();
        let drops = !call.rate.drops_nothing() && !layout.is_empty();
        if drops && check(&others).is_ok() {
            return Err(format!("other ids look the same, {layout:?}"));
        }
    }
    Ok(())
}

fn batch_of_one(gpu: &Gpu) -> Result<(), String> {
    let ids = [5, u32::MAX];
    for (name, batch) in BATCHES {
        let item = |ids: &[u32]| {
            let layout = batch(ids.len() as u64).map_err(text)?;
            Ok::<_, String>((call(0.5, 3), layout, ids.to_vec()))
        };
        let items = [item(&ids)?, item(&ids[..1])?, item(&ids[1..])?];
        let len = items[1].1.len() as usize;
        let bits = |mask: &Vec<u32>, samples: usize| -> Vec<u32> {
            let bit = |element: usize| mask[element / 32] >> (element % 32) & 1;
            (0..samples * len).map(bit).collect()
        };
        let masks = run::sample_masks(gpu, &items)?;
        let alone = [bits(&masks[1], 1), bits(&masks[2], 1)].concat();
        if bits(&masks[0], 2) != alone {
            return Err(format!("{name}: two batches of one differ from one of two"));
        }
    }
    Ok(())
}

/// Compares with the layers' own definitions, which draw the decisions of a whole batch in order.
fn batch_in_order(gpu: &Gpu) -> Result<(), String> {
    let ids = [4_u32, 0, 9, 8, 1];
    for (layout, (_, draws, draw_of)) in layouts(5)?.into_iter().zip(LAYERS) {
        for call in calls() {
            let batch = kinds::kept(&call, call.origin..call.origin + 10 * draws as u64);
            let features = (layout.len() / 5) as usize;
            let kept: Vec<bool> = ids
                .iter()
                .flat_map(|&id| (0..features).map(move |e| id as usize * draws + draw_of(e)))
                .map(|draw| batch[draw])
                .collect();
            let item = Item::of_samples(call, layout.clone(), ids.to_vec());
            let got = &run::dropout(gpu, MODES[0], std::slice::from_ref(&item))?[0];
            kinds::check(&call, MODES[0].direction, &kept, &item.x, got)
                .map_err(|difference| format!("{difference}; {layout:?}"))?;
        }
    }
    Ok(())
}

fn place_plays_no_role(gpu: &Gpu) -> Result<(), String> {
    let batches = [&[7, 3, 9][..], &[9, 7, 3], &[3], &[9, 0, 7, 12, 0, 3, 7]];
    for (layout, ..) in LAYERS {
        for call in calls() {
            let item = |ids: &&[u32]| {
                let layout = layout(ids.len() as u64).map_err(text)?;
                let features = layout.len() as usize / ids.len();
                // A sample's values depend on its id too, so its results can be compared between
                // batches.
                let of_id = |id: u32| values((id as u64 + 1) * 64).split_off(64 * id as usize);
                let x = ids
                    .iter()
                    .flat_map(|&id| of_id(id).into_iter().take(features));
                let x: Vec<f32> = x.collect();
                let source = Source::Samples(layout, ids.to_vec());
                Ok(Item { call, x, source })
            };
            let items: Vec<Item> = batches.iter().map(item).collect::<Result<_, String>>()?;
            let results = run::dropout(gpu, MODES[0], &items)?;
            let mut seen: Vec<(u32, Vec<u32>)> = Vec::new();
            for (ids, got) in batches.iter().zip(results) {
                for (&id, sample) in ids.iter().zip(got.chunks(got.len() / ids.len())) {
                    let bits: Vec<u32> = sample.iter().map(|y| y.to_bits()).collect();
                    match seen.iter().find(|(other, _)| *other == id) {
                        Some((_, first)) if *first != bits => {
                            return Err(format!("sample {id} differs in {ids:?}"));
                        }
                        Some(_) => {}
                        None => seen.push((id, bits)),
                    }
                }
            }
        }
    }
    Ok(())
}

/// Long tensors, which are split within rows, within runs and between samples.
fn long_batches(gpu: &Gpu) -> Result<(), String> {
    let mut items = Vec::new();
    for layout in [
        MaskLayout::elementwise(&[70, 296]),
        MaskLayout::elementwise(&[70, 299]),
        MaskLayout::drop_path(&[1000, 7]),
        MaskLayout::drop_path(&[6, 3200]),
        MaskLayout::elementwise(&[1000]),
    ] {
        let layout = layout.map_err(text)?;
        let ids: Vec<u32> = (0..layout.shape()[0] as u32)
            .map(|place| place.wrapping_mul(0x9E37_79B9))
            .collect();
        for call in calls() {
            items.push(Item::of_samples(call, layout.clone(), ids.clone()));
        }
    }
    run::check_dropout(gpu, MODES[0], &items)
}

/// Ids and strides with all halves nonzero, so that each partial product counts.
fn wide_products(gpu: &Gpu) -> Result<(), String> {
    let ids = [u32::MAX, 0xfffe_0001, 0x0001_ffff, 0x1234_5678];
    let layout = MaskLayout::strided(&[ids.len() as u64, 30], &[0xfedc_ba98, 1]).map_err(text)?;
    let item = Item::of_samples(call(0.5, 0), layout, ids.to_vec());
    run::check_dropout(gpu, MODES[0], &[item])
}

/// Negative control: the comparison notices another id.
fn another_id_differs(gpu: &Gpu) -> Result<(), String> {
    let call = call(0.5, 0);
    let layout = MaskLayout::elementwise(&[5, 24]).map_err(text)?;
    let item = Item::of_samples(call, layout.clone(), IDS.to_vec());
    let got = &run::dropout(gpu, MODES[0], std::slice::from_ref(&item))?[0];
    for place in 0..IDS.len() {
        let mut ids = IDS.to_vec();
        ids[place] = ids[place].wrapping_add(1);
        let wrong = Item::of_samples(call, layout.clone(), ids);
        let other = kinds::check(&call, MODES[0].direction, &wrong.kept(), &item.x, got);
        must_differ(format!("another id at place {place}"), other)?;
    }
    Ok(())
}
