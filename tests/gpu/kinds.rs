//! Classic, alpha and feature alpha dropout [M17], forward and backward, in every layout.

use wgpu_dropout::{DropoutKind, MaskLayout};

use crate::case::{Case, must_differ, text};
use crate::common::inputs::{SPECIALS, kind_call, values};
use crate::common::kinds::{self, Direction};
use crate::gpu::Gpu;
use crate::run::{self, Item, MODES};

pub const CASES: &[Case] = &[
    Case::new("classic", |gpu| every_way(gpu, DropoutKind::Classic)),
    Case::new("alpha", |gpu| every_way(gpu, DropoutKind::Alpha)),
    Case::new("feature_alpha", feature_alpha),
    Case::new("another_kind_differs", another_kind_differs),
];

/// Every layout and direction, with origins that are aligned to blocks and not, rates from 0 to 1,
/// NaN payloads, infinities and zeros.
fn every_way(gpu: &Gpu, kind: DropoutKind) -> Result<(), String> {
    let mut special = SPECIALS.repeat(20);
    special.extend((0..80).map(|bit| f32::from_bits(0x7F80_0000 | 1 << (bit % 23))));
    for mode in MODES {
        let mut items = Vec::new();
        for p in [0.0, 0.1, 0.5, 0.999, 0.999_999_999, 1.0] {
            for (origin, len) in [(0, 2048), (3, 2051)] {
                items.push(Item::new(kind_call(p, origin, kind), len));
            }
            for origin in [0, 3] {
                items.push(Item::of(kind_call(p, origin, kind), special.clone()));
            }
        }
        run::check_dropout(gpu, mode, &items)?;
    }
    Ok(())
}

/// `nn.FeatureAlphaDropout`: alpha dropout drops whole channels.
fn feature_alpha(gpu: &Gpu) -> Result<(), String> {
    for mode in MODES {
        let mut items = Vec::new();
        for shape in [[2, 6, 5, 7], [2, 6, 4, 8]] {
            let layout = MaskLayout::feature_channels_first(&shape);
            let layout = layout.map_err(text)?;
            for p in [0.1, 0.5, 1.0] {
                let call = kind_call(p, 3, DropoutKind::Alpha);
                items.push(Item::of_layout(call, layout.clone()));
            }
        }
        run::check_dropout(gpu, mode, &items)?;
    }
    Ok(())
}

/// Negative control: the comparison tells apart each pair of kinds, and two rates.
fn another_kind_differs(gpu: &Gpu) -> Result<(), String> {
    use DropoutKind::{Alpha, Classic, Inverted};
    let x = values(1000);
    for right in [Inverted, Classic, Alpha] {
        let item = Item::of(kind_call(0.5, 0, right), x.clone());
        let kept = item.kept();
        let got = &run::dropout(gpu, MODES[0], std::slice::from_ref(&item))?[0];
        let check = |call| kinds::check(&call, Direction::Forward, &kept, &x, got);
        check(item.call)?;
        let others = [Inverted, Classic, Alpha].map(|kind| kind_call(0.5, 0, kind));
        for other in others.into_iter().filter(|call| call.kind != right) {
            must_differ(other, check(other))?;
        }
        if right != Classic && check(kind_call(0.500_01, 0, right)).is_ok() {
            return Err(format!("{right} of another rate looks the same"));
        }
    }
    Ok(())
}
