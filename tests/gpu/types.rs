//! 16-bit elements: the masks of f32, and products that are rounded twice to nearest even [M11].

use wgpu_dropout::half::{bf16, f16};
use wgpu_dropout::mask::mask_words;
use wgpu_dropout::{Direction, DropoutCall, Element, MaskLayout, MaskSource};

use crate::adapters::Variant;
use crate::case::{Case, must_differ, text};
use crate::common::inputs::{KINDS, call, kind_call};
use crate::common::kinds;
use crate::common::reference::{BF16, F16, Format};
use crate::gpu::Gpu;
use crate::run::{self, Item, MODES, Source};

pub const CASES: &[Case] = &[
    Case::new("every_f16", every_value::<f16>),
    Case::new("every_bf16", every_value::<bf16>),
    Case::new("f16_kinds", every_kind::<f16>),
    Case::new("bf16_kinds", every_kind::<bf16>),
    Case::new("f16_lengths", lengths::<f16>),
    Case::new("bf16_lengths", lengths::<bf16>),
    Case::new("f16_sources", sources::<f16>),
    Case::new("bf16_sources", sources::<bf16>),
    Case::new("f16_packed_masks", packed_masks::<f16>),
    Case::new("bf16_packed_masks", packed_masks::<bf16>),
    Case::new("f16_small_bindings", lengths::<f16>).on(Variant::SmallBindings),
    Case::new("bf16_few_workgroups", lengths::<bf16>).on(Variant::FewWorkgroups),
    Case::new("f16_no_features", every_kind::<f16>).on(Variant::Bare),
    Case::new("blocking", blocking),
    Case::new("one_rounding_differs", one_rounding_differs),
];

/// A 16-bit element type and its format in the reference.
trait Element16: Element {
    const FORMAT: Format;
    /// The smallest `f32` above the middle between 1 and the type's next number.
    const ABOVE_MIDDLE: f32;
}

impl Element16 for f16 {
    const FORMAT: Format = F16;
    const ABOVE_MIDDLE: f32 = f32::from_bits(0x3F80_1001);
}

impl Element16 for bf16 {
    const FORMAT: Format = BF16;
    const ABOVE_MIDDLE: f32 = f32::from_bits(0x3F80_8001);
}

fn of_bits<T: Element16>(bits: impl Iterator<Item = u16>) -> Vec<T> {
    bits.map(|bits| bytemuck::cast(bits)).collect()
}

/// Rates: at 0.4, rounding the exact product once differs from rounding twice. At 0.2, products are
/// ties. The last scale moves 1 just past a tie.
fn every_value<T: Element16>(gpu: &Gpu) -> Result<(), String> {
    let all = of_bits::<T>(0..=u16::MAX);
    let above_middle = 1.0 - 1.0 / f64::from(T::ABOVE_MIDDLE);
    if call(above_middle, 0).keep_scale() != T::ABOVE_MIDDLE {
        return Err(format!("p {above_middle} has another scale"));
    }
    let items: Vec<_> = [0.4, 0.1, 0.5, 0.9, 0.2, above_middle]
        .into_iter()
        .flat_map(|p| [0, 5].map(|origin| Item::of(call(p, origin), all.clone())))
        .collect();
    run::check_dropout(gpu, MODES[0], &items)
}

/// Every layout and direction with several rates. Alpha dropout has scales below 1, which the
/// largest numbers and infinity must be tested with.
fn every_kind<T: Element16>(gpu: &Gpu) -> Result<(), String> {
    let infinity = T::FORMAT.infinity();
    let largest = (infinity - 1..=infinity).cycle().take(20);
    let some: Vec<T> = of_bits((0..=u16::MAX).step_by(13).chain(largest));
    for mode in MODES {
        let mut items = Vec::new();
        for kind in KINDS {
            for p in [0.0, 0.4, 1.0] {
                for origin in [0, 3] {
                    let call = kind_call(p, origin, kind);
                    items.push(Item::of(call, some.clone()));
                }
            }
        }
        run::check_dropout(gpu, mode, &items)?;
    }
    Ok(())
}

/// An odd length leaves half a word unused. Long lengths have a dispatch of their own for their
/// last elements.
fn lengths<T: Element16>(gpu: &Gpu) -> Result<(), String> {
    let lens = (1..70).chain([1000, 2047, 4096, 8191, 65_537, 65_544, 70_001]);
    let items: Vec<_> = lens
        .flat_map(|len| {
            let x: Vec<T> = of_bits((1..=len).map(|element: u32| ((element * 40_503) >> 3) as u16));
            [0, 8, 5].map(|origin| Item::of(call(0.4, origin), x.clone()))
        })
        .collect();
    [MODES[0], MODES[3], MODES[4]]
        .into_iter()
        .try_for_each(|mode| run::check_dropout(gpu, mode, &items))
}

/// A layout of each kernel family, sample ids and a packed mask.
fn sources<T: Element16>(gpu: &Gpu) -> Result<(), String> {
    let layouts = [
        MaskLayout::time_locked_batch_first(&[3, 9, 64]),
        MaskLayout::strided(&[7, 64], &[67, 1]),
        MaskLayout::strided(&[7, 45], &[67, 1]),
        MaskLayout::drop_path(&[5, 64]),
        MaskLayout::drop_path(&[5, 45]),
        MaskLayout::elementwise(&[13, 17]).and_then(|layout| layout.permuted(&[1, 0])),
    ];
    let mut items = Vec::new();
    for layout in layouts {
        let layout = layout.map_err(text)?;
        let ids = (0..layout.shape()[0] as u32).map(|id| 7 * id + 3).collect();
        let mask = (0..mask_words(layout.len()) as u32).map(|word| word.wrapping_mul(0x9E37_79B9));
        for source in [
            Source::Layout(layout.clone()),
            Source::Samples(layout.clone(), ids),
            Source::Packed(mask.collect(), layout.len()),
        ] {
            let x = of_bits((0..layout.len()).map(|element| (element * 1237) as u16));
            items.push(Item {
                source,
                ..Item::<T>::of(call(0.4, 3), x)
            });
        }
    }
    [MODES[0], MODES[5]]
        .into_iter()
        .try_for_each(|mode| run::check_dropout(gpu, mode, &items))
}

/// At rate 1 a packed mask may still keep elements. Their factor is 0, so infinities become NaN.
fn packed_masks<T: Element16>(gpu: &Gpu) -> Result<(), String> {
    let all = of_bits::<T>(0..=u16::MAX);
    let mut items = Vec::new();
    for kind in KINDS {
        for p in [0.4, 1.0] {
            let mut item = Item::of(kind_call(p, 0, kind), all.clone());
            item.source = Source::Packed(vec![0x7FFF_FFFF; all.len() / 32], all.len() as u64);
            items.push(item);
        }
    }
    MODES[..2]
        .iter()
        .try_for_each(|&mode| run::check_dropout(gpu, mode, &items))
}

/// Odd and even lengths in both directions, with a length and with a layout as source.
fn blocking(gpu: &Gpu) -> Result<(), String> {
    for len in [0, 1, 1000, 2001] {
        let item = Item::<f16>::of(call(0.4, 5), of_bits(0..len));
        let layout = MaskLayout::linear(len.into());
        let (x, call) = (&item.x, &item.call);
        for source in [MaskSource::Len(len.into()), MaskSource::Layout(&layout)] {
            for &direction in Direction::ALL {
                let got = gpu.run(direction, source, x, call).map_err(text)?;
                kinds::check_elements(call, direction, &item.kept(), x, &got)?;
            }
        }
    }
    Ok(())
}

/// Negative control: the comparison notices a product rounded once, another type, another rate and
/// one wrong element.
fn one_rounding_differs(gpu: &Gpu) -> Result<(), String> {
    let item = Item::of(call(0.4, 0), of_bits::<f16>(0..=u16::MAX));
    let got = &run::dropout(gpu, MODES[0], core::slice::from_ref(&item))?[0];
    let got: &[u16] = bytemuck::cast_slice(got);
    let compare_with = |format: Format, call: &DropoutCall, got: &[u16]| {
        let x = bytemuck::cast_slice(&item.x);
        kinds::check_pairs(format, call, MODES[0].direction, &item.kept(), x, got)
    };
    compare_with(F16, &item.call, got)?;
    let scale = f64::from(item.call.keep_scale());
    let once: Vec<u16> = (0..=u16::MAX)
        .zip(item.kept())
        .map(|(bits, kept)| match kept {
            true => F16.nearest(f64::from(F16.number(bits)) * scale),
            false => 0,
        })
        .collect();
    let mut neighbour = got.to_vec();
    neighbour[0x3C01] ^= 1;
    for (what, wrong) in [
        ("one rounding", compare_with(F16, &item.call, &once)),
        ("another type", compare_with(BF16, &item.call, got)),
        ("another rate", compare_with(F16, &call(0.3, 0), got)),
        ("another number", compare_with(F16, &item.call, &neighbour)),
    ] {
        must_differ(what, wrong)?;
    }
    Ok(())
}
