//! The map of values [M11].

use crate::case::Case;
use crate::common::compare;
use crate::common::inputs::{self, SPECIALS, call, indices};
use crate::common::reference::keeps;
use crate::gpu::Gpu;
use crate::run::{self, Item, WAYS};

pub const CASES: &[Case] = &[
    Case::new("specials", specials),
    Case::new("dropping_nothing_copies_bits", dropping_nothing),
    Case::new("dropping_everything_gives_zero", dropping_everything),
    Case::new("rounding_to_nearest_even", rounding),
    Case::new("subnormals", subnormals),
];

/// Aligned and not, so that both kernels see each.
fn items(p: f64, x: &[f32]) -> [Item; 2] {
    [(0, 0), (3, 1)].map(|(origin, shorter)| Item::of(call(p, origin), x[shorter..].to_vec()))
}

fn specials(gpu: &Gpu) -> Result<(), String> {
    let x = SPECIALS.repeat(100);
    for p in [0.1, 0.5, 0.9] {
        let items = items(p, &x);
        for Item { call, x, .. } in &items {
            for special in SPECIALS {
                let fates = |kept| {
                    indices(call, x.len() as u64)
                        .zip(x)
                        .filter(|(_, x)| x.to_bits() == special.to_bits())
                        .any(|(index, _)| keeps(p, call.key.seed, call.key.stream, index) == kept)
                };
                if !fates(true) || !fates(false) {
                    return Err(format!("{special} has one fate only at p {p}"));
                }
            }
        }
        for way in WAYS {
            run::check_dropout(gpu, way, &items)?;
        }
    }
    Ok(())
}

fn dropping_nothing(gpu: &Gpu) -> Result<(), String> {
    let mut x = SPECIALS.repeat(100);
    // Signalling NaNs, payloads, subnormals.
    x.extend((0..32).map(|bit| f32::from_bits(0x7F80_0000 | 1 << bit)));
    x.extend((0..32).map(|bit| f32::from_bits(1 << bit)));
    // 2^-34 has the threshold 0.
    for p in [0.0, 1.0 / 17_179_869_184.0] {
        for way in WAYS {
            let items = items(p, &x);
            for (item, got) in items.iter().zip(run::dropout(gpu, way, &items)?) {
                compare::f32_copies(&item.x, &got)?;
            }
        }
    }
    Ok(())
}

fn dropping_everything(gpu: &Gpu) -> Result<(), String> {
    let mut x = SPECIALS.repeat(100);
    x.extend((0..32).map(|bit| f32::from_bits(1 << bit)));
    // Just below 1 the threshold is 2^32 too.
    for p in [1.0, 1.0_f64.next_down()] {
        for way in WAYS {
            let items = items(p, &x);
            for (item, got) in items.iter().zip(run::dropout(gpu, way, &items)?) {
                compare::f32_copies(&vec![0.0; item.x.len()], &got)?;
            }
        }
    }
    Ok(())
}

/// WGSL leaves the direction open. At p = 0.2 the scale is 1.25, so that a quarter of the products
/// are ties; at 0.3 it has all bits.
fn rounding(gpu: &Gpu) -> Result<(), String> {
    let x: Vec<f32> = (0..4096)
        .map(|i| f32::from_bits(0x3F80_0000 + 0x801 * i))
        .flat_map(|x| [x, -x])
        .collect();
    for p in [0.2, 0.3] {
        let items = items(p, &x);
        let scale = f64::from(items[0].call.keep_scale());
        let mut seen = [0; 4];
        for &x in &x {
            // Exact: two products of 24 bits fit in 53.
            let exact = f64::from(x) * scale;
            let nearest = exact as f32;
            let error = (f64::from(nearest) - exact).abs();
            let ulp = f64::from(f32::from_bits(nearest.to_bits() & 0x7F80_0000)) / 8_388_608.0;
            let outwards = f64::from(nearest).abs() > exact.abs();
            if error > 0.0 {
                seen[usize::from(outwards) + if error == ulp / 2.0 { 2 } else { 0 }] += 1;
            }
        }
        let ties = p == 0.2;
        if seen[0] == 0 || seen[1] == 0 || ties && (seen[2] == 0 || seen[3] == 0) {
            return Err(format!("p {p}: the inputs round in too few ways: {seen:?}"));
        }
        for way in WAYS {
            run::check_dropout(gpu, way, &items)?;
        }
    }
    Ok(())
}

fn subnormals(gpu: &Gpu) -> Result<(), String> {
    let x: Vec<f32> = (0..1000_u32)
        .map(|i| f32::from_bits(i.wrapping_mul(0x9E37_79B9) & 0x807F_FFFF | 1))
        .collect();
    for p in [0.3, 0.5, 0.999] {
        let items = items(p, &x);
        for way in WAYS {
            for (item, got) in items.iter().zip(run::dropout(gpu, way, &items)?) {
                let expected = inputs::dropout(&item.call, &item.x);
                compare::f32_bits_or_flushed(&item.x, &expected, &got)
                    .map_err(|difference| format!("{way:?}: {difference}; {}", item.call))?;
            }
        }
    }
    Ok(())
}
