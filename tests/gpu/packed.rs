//! Packed masks [M15]: a call's own packed mask gives the call's result, and any other bits select
//! elements.

use wgpu_dropout::{DropoutCall, DropoutKind, MaskLayout};

use crate::adapters::Variant;
use crate::case::{Case, must_differ, text};
use crate::common::inputs::{KINDS, SPECIALS, call, kind_call, random_mask, values};
use crate::common::{compare, kinds};
use crate::gpu::Gpu;
use crate::run::{self, Item, MODES, Mode, Source};

pub const CASES: &[Case] = &[
    Case::new("of_a_call", |gpu| {
        MODES
            .into_iter()
            .try_for_each(|mode| of_a_call(gpu, mode, &LENGTHS))
    }),
    Case::new("long", |gpu| of_a_call(gpu, MODES[0], &LONG)),
    Case::new("few_workgroups", cut).on(Variant::FewWorkgroups),
    Case::new("small_bindings", cut).on(Variant::SmallBindings),
    Case::new("no_features", cut).on(Variant::Bare),
    Case::new("of_a_layout", of_a_layout),
    Case::new("any_bits", any_bits),
    Case::new("a_rate_of_zero_keeps_bits", rate_of_zero),
    Case::new("a_rate_of_one_has_a_factor_of_zero", rate_of_one),
    Case::new("another_mask_differs", another_mask_differs),
];

/// Lengths at the ends of blocks and words, and beyond a binding of the small devices.
const LENGTHS: [u64; 11] = [0, 1, 7, 8, 9, 31, 32, 33, 1000, 4099, 10_248];
/// Long lengths whose last elements have a dispatch of their own.
const LONG: [u64; 4] = [65_535, 65_536, 65_541, 70_001];

fn packed(call: DropoutCall, x: Vec<f32>, mask: Vec<u32>) -> Item {
    let source = Source::Packed(mask, x.len() as u64);
    Item { call, x, source }
}

/// The output of `KeepMask`, bound as a packed mask, gives the same bits as the call alone.
fn of_a_call(gpu: &Gpu, mode: Mode, lengths: &[u64]) -> Result<(), String> {
    let calls = |len| [(0.1, 0), (0.5, 3), (1.0, 5)].map(|(p, origin)| (call(p, origin), len));
    let calls: Vec<_> = lengths.iter().copied().flat_map(calls).collect();
    let masks = run::masks(gpu, &calls)?;
    let own: Vec<Item> = calls
        .iter()
        .map(|&(call, len)| Item::new(call, len))
        .collect();
    let from_outside: Vec<Item> = own
        .iter()
        .zip(masks)
        .map(|(item, mask)| packed(item.call, item.x.clone(), mask))
        .collect();
    let own = run::dropout(gpu, mode, &own)?;
    let from_outside = run::dropout(gpu, mode, &from_outside)?;
    for (((call, _), own), from_outside) in calls.iter().zip(own).zip(from_outside) {
        compare::f32_copies(&own, &from_outside)
            .map_err(|difference| format!("{mode:?}: {difference}; {call}"))?;
    }
    Ok(())
}

fn cut(gpu: &Gpu) -> Result<(), String> {
    of_a_call(gpu, MODES[0], &LENGTHS)?;
    of_a_call(gpu, MODES[5], &LONG)
}

fn of_a_layout(gpu: &Gpu) -> Result<(), String> {
    let layout = MaskLayout::feature_channels_first(&[2, 6, 5, 7]);
    let layout = layout.map_err(text)?;
    let call = call(0.5, 3);
    let mask = run::layout_masks(gpu, &[(call, layout.clone())])?.remove(0);
    let own = Item::of_layout(call, layout);
    let from_outside = packed(call, own.x.clone(), mask);
    let results = run::dropout(gpu, MODES[0], &[own, from_outside])?;
    compare::f32_copies(&results[0], &results[1])
}

/// A packed mask ignores key and origin. Even the last origin is allowed.
fn any_bits(gpu: &Gpu) -> Result<(), String> {
    for mode in MODES {
        let mut items = Vec::new();
        for len in [1, 33, 1000, 2048] {
            for p in [0.3, 0.9] {
                items.push(packed(call(p, u64::MAX), values(len), random_mask(len)));
            }
        }
        run::check_dropout(gpu, mode, &items)?;
    }
    let kinds = [DropoutKind::Classic, DropoutKind::Alpha];
    let items = kinds.map(|kind| {
        let call = kind_call(0.3, 0, kind);
        packed(call, values(1003), random_mask(1003))
    });
    run::check_dropout(gpu, MODES[0], &items)
}

/// At rate 0 the packed mask still drops elements, also in place.
fn rate_of_zero(gpu: &Gpu) -> Result<(), String> {
    let mut x = SPECIALS.repeat(10);
    x.extend((0..31).map(|bit| f32::from_bits(1 << bit)));
    let item = packed(call(0.0, 0), x, random_mask(151));
    let select = |(x, kept): (&f32, bool)| if kept { *x } else { 0.0 };
    let expected: Vec<f32> = item.x.iter().zip(item.kept()).map(select).collect();
    for mode in MODES {
        let got = &run::dropout(gpu, mode, std::slice::from_ref(&item))?[0];
        compare::f32_copies(&expected, got)
            .map_err(|difference| format!("{mode:?}: {difference}"))?;
    }
    Ok(())
}

/// At rate 1 kept elements are multiplied by 0, except in classic dropout, which copies them.
/// `types` tests 16-bit elements.
fn rate_of_one(gpu: &Gpu) -> Result<(), String> {
    let items = KINDS.map(|kind| {
        let call = kind_call(1.0, 0, kind);
        packed(call, SPECIALS.repeat(10), random_mask(120))
    });
    MODES[..2]
        .iter()
        .try_for_each(|&mode| run::check_dropout(gpu, mode, &items))
}

/// Negative control: the comparison notices any one flipped bit of the mask.
fn another_mask_differs(gpu: &Gpu) -> Result<(), String> {
    let mask = random_mask(100);
    let item = packed(call(0.5, 0), values(100), mask.clone());
    let got = &run::dropout(gpu, MODES[0], std::slice::from_ref(&item))?[0];
    for element in 0..100 {
        let mut mask = mask.clone();
        mask[element / 32] ^= 1 << (element % 32);
        let wrong = packed(item.call, item.x.clone(), mask);
        let other = kinds::check(&item.call, MODES[0].direction, &wrong.kept(), &item.x, got);
        must_differ(format!("a flipped bit {element}"), other)?;
    }
    Ok(())
}
