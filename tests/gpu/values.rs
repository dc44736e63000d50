//! The effect on values [M11].

use crate::case::Case;
use crate::common::compare;
use crate::common::inputs::{self, SPECIALS, call, indices};
use crate::common::reference::keeps;
use crate::gpu::Gpu;
use crate::run::{self, Item, MODES};

pub const CASES: &[Case] = &[
    Case::new("specials", specials),
    Case::new("dropping_nothing_copies_bits", dropping_nothing),
    Case::new("dropping_everything_gives_zero", dropping_everything),
    Case::new("rounding_to_nearest_even", rounding),
    Case::new("subnormals", subnormals),
];

/// The values with and without alignment to blocks, so that both kernels take them.
fn items(p: f64, x: &[f32]) -> [Item; 2] {
    [(0, 0), (3, 1)].map(|(origin, shorter)| Item::of(call(p, origin), x[shorter..].to_vec()))
}

fn specials(gpu: &Gpu) -> Result<(), String> {
    let x = SPECIALS.repeat(100);
    for p in [0.1, 0.5, 0.9] {
        let items = items(p, &x);
        for Item { call, x, .. } in &items {
            for special in SPECIALS {
                let occurs = |kept| {
                    indices(call, x.len() as u64)
                        .zip(x)
                        .filter(|(_, x)| x.to_bits() == special.to_bits())
                        .any(|(index, _)| keeps(p, call.key.seed, call.key.stream, index) == kept)
                };
                if !occurs(true) || !occurs(false) {
                    return Err(format!(
                        "{special} is never kept, or never dropped, at p {p}"
                    ));
                }
            }
        }
        for mode in MODES {
            run::check_dropout(gpu, mode, &items)?;
        }
    }
    Ok(())
}

fn dropping_nothing(gpu: &Gpu) -> Result<(), String> {
    let mut x = SPECIALS.repeat(100);
    // Signalling NaNs with payloads, then subnormals.
    x.extend((0..32).map(|bit| f32::from_bits(0x7F80_0000 | 1 << bit)));
    x.extend((0..32).map(|bit| f32::from_bits(1 << bit)));
    // At p = 2^-34 the threshold is 0.
    for p in [0.0, 1.0 / 17_179_869_184.0] {
        for mode in MODES {
            let items = items(p, &x);
            for (item, got) in items.iter().zip(run::dropout(gpu, mode, &items)?) {
                compare::f32_copies(&item.x, &got)?;
            }
        }
    }
    Ok(())
}

fn dropping_everything(gpu: &Gpu) -> Result<(), String> {
    let mut x = SPECIALS.repeat(100);
    x.extend((0..32).map(|bit| f32::from_bits(1 << bit)));
    // Just below 1 the threshold rounds to 2^32.
    for p in [1.0, 1.0_f64.next_down()] {
        for mode in MODES {
            let items = items(p, &x);
            for (item, got) in items.iter().zip(run::dropout(gpu, mode, &items)?) {
                compare::f32_copies(&vec![0.0; item.x.len()], &got)?;
            }
        }
    }
    Ok(())
}

/// WGSL leaves the direction of rounding open. At p = 0.2 the scale is 1.25, so a quarter of the
/// products are ties. At p = 0.3 the scale uses all bits of its significand.
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
            // f64 holds the exact product: two significands of 24 bits need 48 of its 53.
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
            return Err(format!(
                "p {p}: the inputs do not round in every direction: {seen:?}"
            ));
        }
        for mode in MODES {
            run::check_dropout(gpu, mode, &items)?;
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
        for mode in MODES {
            for (item, got) in items.iter().zip(run::dropout(gpu, mode, &items)?) {
                let expected = inputs::dropout(&item.call, &item.x);
                compare::f32_bits_or_flushed(&item.x, &expected, &got)
                    .map_err(|difference| format!("{mode:?}: {difference}; {}", item.call))?;
            }
        }
    }
    Ok(())
}
