//! Strided layouts follow the reference's index map [M13], for every kernel family that the library
//! may choose.

use wgpu_dropout::{DropoutCall, LayoutError, MaskLayout};

use crate::adapters::Variant;
use crate::case::{Case, must_differ, text};
use crate::common::inputs::{self, call};
use crate::common::{compare, vectors};
use crate::gpu::Gpu;
use crate::run::{self, Item, MODES};

pub const CASES: &[Case] = &[
    Case::new("contract_vectors", contract_vectors),
    Case::new("families", families),
    Case::new("ranks", ranks),
    Case::new("masks", masks),
    Case::new("few_workgroups", cut_families).on(Variant::FewWorkgroups),
    Case::new("small_bindings", cut_families).on(Variant::SmallBindings),
    Case::new("no_features", cut_families).on(Variant::Bare),
    Case::new("another_layout_differs", another_layout_differs),
];

/// Layouts of rows, runs and scattered elements: aligned to blocks and not, short and long, with
/// neighbouring dimensions that merge and that do not.
fn layouts() -> Result<Vec<MaskLayout>, LayoutError> {
    let strided = MaskLayout::strided;
    Ok(vec![
        MaskLayout::elementwise(&[3, 5, 7])?,
        MaskLayout::elementwise(&[])?,
        MaskLayout::elementwise(&[4, 0, 3])?,
        // Rows.
        strided(&[6, 64], &[64 * 9, 1])?,
        strided(&[6, 64], &[64 * 9, 1])?.offset(8)?,
        strided(&[6, 64], &[64 * 9, 1])?.offset(5)?,
        strided(&[6, 64], &[67, 1])?,
        strided(&[5, 3, 70], &[1000, 77, 1])?,
        strided(&[50, 3], &[10, 1])?,
        // Rows so short that one mask word takes bits from seven blocks.
        strided(&[64, 34], &[41, 1])?,
        strided(&[64, 42], &[45, 1])?,
        strided(&[3, 1000], &[1 << 40, 1])?,
        strided(&[2, 4, 1, 3, 2, 5, 2, 9], &[1, 2, 3, 1 << 33, 0, 50, 0, 1])?,
        MaskLayout::time_locked_batch_first(&[3, 9, 20])?,
        MaskLayout::time_locked_batch_first(&[3, 9, 24])?,
        MaskLayout::time_locked_time_first(&[7, 100])?,
        // Runs.
        MaskLayout::feature_channels_first(&[2, 6, 5, 7])?,
        MaskLayout::feature_channels_first(&[2, 6, 4, 10])?,
        MaskLayout::feature_channels_first(&[2, 6, 8, 16])?,
        MaskLayout::drop_path(&[16, 3, 11])?,
        MaskLayout::drop_path(&[5, 1024])?,
        MaskLayout::drop_path(&[5, 5000])?,
        MaskLayout::drop_path(&[60, 33])?,
        MaskLayout::drop_path(&[60, 31])?,
        MaskLayout::noise_shape(&[300], &[Some(1)])?,
        strided(&[40, 3], &[1 << 32, 0])?,
        // Scattered.
        MaskLayout::feature_channels_last(&[2, 5, 7, 6])?.permuted(&[0, 3, 1, 2])?,
        MaskLayout::elementwise(&[13, 17])?.permuted(&[1, 0])?,
        strided(&[100], &[3])?,
        strided(&[10, 10], &[(1 << 35) - 7, (1 << 32) - 1])?,
        // Shards.
        MaskLayout::elementwise(&[12, 48])?.shard(&[0, 16], &[12, 12])?,
        MaskLayout::elementwise(&[12, 48])?.shard(&[5, 0], &[4, 48])?,
        MaskLayout::feature_channels_first(&[8, 6, 35])?.shard(&[3, 2, 5], &[2, 3, 30])?,
    ])
}

fn calls(layout: &MaskLayout) -> Vec<DropoutCall> {
    let last = u64::MAX - layout.last_index().unwrap_or(u64::MAX);
    [0, 8, 3, (1 << 35) - 5, last]
        .into_iter()
        .filter(|&origin| origin <= last)
        .flat_map(|origin| [0.1, 0.5].map(|p| call(p, origin)))
        // Rate 0, a copy.
        .chain([call(0.0, 0)])
        .collect()
}

fn items() -> Result<Vec<(DropoutCall, MaskLayout)>, String> {
    let layouts = layouts().map_err(text)?;
    let calls = |layout: MaskLayout| {
        calls(&layout)
            .into_iter()
            .map(move |call| (call, layout.clone()))
            .collect::<Vec<_>>()
    };
    Ok(layouts.into_iter().flat_map(calls).collect())
}

fn layout_items() -> Result<Vec<Item>, String> {
    let item = |(call, layout)| Item::of_layout(call, layout);
    Ok(items()?.into_iter().map(item).collect())
}

fn families(gpu: &Gpu) -> Result<(), String> {
    let items = layout_items()?;
    MODES
        .into_iter()
        .try_for_each(|mode| run::check_dropout(gpu, mode, &items))
}

/// Every rank in each family, with dimensions that do not merge. One mode is enough, since
/// compiling takes most of the time.
fn ranks(gpu: &Gpu) -> Result<(), String> {
    let mut items = Vec::new();
    for inner in [0, 1, 3] {
        let (shape, strides) = (
            [3, 2, 2, 3, 2, 2, 3, 33],
            [1 << 40, 5 << 33, 9000, 800, 97, 50, 29, inner],
        );
        for outer in 0..8 {
            let layout = MaskLayout::strided(&shape[outer..], &strides[outer..]);
            let layout = layout.map_err(text)?;
            items.push(Item::of_layout(call(0.5, 3), layout));
        }
    }
    run::check_dropout(gpu, MODES[0], &items)
}

/// One mode is enough, since compiling the kernels takes most of the time.
fn cut_families(gpu: &Gpu) -> Result<(), String> {
    run::check_dropout(gpu, MODES[0], &layout_items()?)
}

fn masks(gpu: &Gpu) -> Result<(), String> {
    let items = items()?;
    for ((call, layout), got) in items.iter().zip(run::layout_masks(gpu, &items)?) {
        inputs::check_layout_mask(call, layout, &got)?;
    }
    Ok(())
}

fn contract_vectors(gpu: &Gpu) -> Result<(), String> {
    let vectors = vectors::masks();
    let items: Vec<_> = vectors
        .iter()
        .map(|vector| {
            let layout = MaskLayout::strided(&vector.shape, &vector.strides);
            let key = wgpu_dropout::MaskKey::new(vector.seed, vector.stream);
            let call = DropoutCall {
                key,
                ..call(vector.p, vector.origin)
            };
            layout.map(|layout| (call, layout)).map_err(text)
        })
        .collect::<Result<_, _>>()?;
    for (vector, got) in vectors.iter().zip(run::layout_masks(gpu, &items)?) {
        compare::packed_masks(&vector.mask, &got)
            .map_err(|difference| format!("{difference}; {}", vector.what))?;
    }
    Ok(())
}

/// Negative control: the comparison notices a wrong stride and a wrong first index.
fn another_layout_differs(gpu: &Gpu) -> Result<(), String> {
    let new = |strides: &[u64]| MaskLayout::strided(&[20, 50], strides);
    let right = new(&[61, 1]).map_err(text)?;
    let call = call(0.5, 0);
    let item = Item::of_layout(call, right.clone());
    let got = &run::dropout(gpu, MODES[0], &[Item::of_layout(call, right.clone())])?[0];
    inputs::check_layout(&call, &right, &item.x, got)?;
    for wrong in [
        new(&[60, 1]),
        new(&[61, 2]),
        new(&[61, 0]),
        new(&[0, 1]),
        right.offset(1),
    ] {
        let wrong = wrong.map_err(text)?;
        let what = format!("{wrong:?}");
        must_differ(what, inputs::check_layout(&call, &wrong, &item.x, got))?;
    }
    Ok(())
}
