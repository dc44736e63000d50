//! Packed keep masks [M15] follow the contract and agree with the masks of dropout.

use wgpu_dropout::{DropoutCall, MaskKey};

use crate::case::Case;
use crate::common::compare;
use crate::common::inputs::{KEY, LENGTHS, RATES, call, linear_vectors, origins};
use crate::gpu::Gpu;
use crate::run::{self, Item, MODES};

pub const CASES: &[Case] = &[
    Case::new("contract_vectors", contract_vectors),
    Case::new("contract_vectors_of_values", contract_vectors_of_values),
    Case::new("lengths", lengths),
    Case::new("rates", rates),
    Case::new("long", long),
    Case::new("spare_bits_are_zero", spare_bits_are_zero),
    Case::new("keys", keys),
    Case::new("is_the_mask_of_dropout", is_the_mask_of_dropout),
];

fn contract_vectors(gpu: &Gpu) -> Result<(), String> {
    let vectors = linear_vectors();
    let items: Vec<_> = vectors
        .iter()
        .map(|(vector, call)| (*call, vector.shape[0]))
        .collect();
    for ((vector, call), got) in vectors.iter().zip(run::masks(gpu, &items)?) {
        compare::packed_masks(&vector.mask, &got)
            .map_err(|difference| format!("{difference}; {}: {call}", vector.what))?;
    }
    Ok(())
}

fn contract_vectors_of_values(gpu: &Gpu) -> Result<(), String> {
    let vectors = linear_vectors();
    let items: Vec<_> = vectors
        .iter()
        .map(|(vector, call)| Item::of(*call, vec![1.0; vector.shape[0] as usize]))
        .collect();
    for mode in MODES {
        for ((vector, call), got) in vectors.iter().zip(run::dropout(gpu, mode, &items)?) {
            let kept = |element: usize| vector.mask[element >> 5] >> (element & 31) & 1 == 1;
            let scale = f32::from_bits(vector.keep_scale_bits);
            let expected: Vec<f32> = (0..got.len())
                .map(|element| if kept(element) { scale } else { 0.0 })
                .collect();
            compare::f32_copies(&expected, &got)
                .map_err(|difference| format!("{mode:?}: {difference}; {}: {call}", vector.what))?;
        }
    }
    Ok(())
}

fn lengths(gpu: &Gpu) -> Result<(), String> {
    let items: Vec<_> = LENGTHS
        .iter()
        .flat_map(|&len| origins(len).into_iter().map(move |origin| (len, origin)))
        .map(|(len, origin)| (call(0.3, origin), len))
        .collect();
    run::check_masks(gpu, &items)
}

fn rates(gpu: &Gpu) -> Result<(), String> {
    let items: Vec<_> = RATES
        .iter()
        .flat_map(|&p| [(call(p, 0), 2048), (call(p, 5), 2048), (call(p, 3), 2051)])
        .collect();
    run::check_masks(gpu, &items)
}

/// Masks with more words than a workgroup has invocations.
fn long(gpu: &Gpu) -> Result<(), String> {
    run::check_masks(
        gpu,
        &[
            (call(0.1, 0), 65_536),
            (call(0.1, (1 << 35) - 5), 65_541),
            (call(0.5, u64::MAX - 99_999), 100_000),
        ],
    )
}

/// At rate 0 all mask bits are 1, so a spare bit that is set would show.
fn spare_bits_are_zero(gpu: &Gpu) -> Result<(), String> {
    let lengths = || (1..=65).flat_map(|len| (0..8).map(move |origin| (len, origin)));
    let items: Vec<_> = lengths()
        .map(|(len, origin)| (call(0.0, origin), len))
        .collect();
    for ((len, origin), got) in lengths().zip(run::masks(gpu, &items)?) {
        let ones: u32 = got.iter().map(|word| word.count_ones()).sum();
        let last = got[got.len() - 1];
        let expected = u32::MAX >> (31 - (len as u32 - 1) % 32);
        if u64::from(ones) != len || last != expected {
            return Err(format!("{got:08x?} for {len} elements from {origin}"));
        }
    }
    Ok(())
}

/// Every bit of seed and stream matters: the mask with it flipped equals the reference's.
fn keys(gpu: &Gpu) -> Result<(), String> {
    let rate = call(0.5, 0).rate;
    let items: Vec<_> = (0..64)
        .map(|bit| 1 << bit)
        .flat_map(|bit| {
            [
                MaskKey::new(KEY.seed ^ bit, KEY.stream),
                MaskKey::new(KEY.seed, KEY.stream ^ bit),
            ]
        })
        .map(|key| (DropoutCall::new(rate, key), 200))
        .collect();
    run::check_masks(gpu, &items)
}

fn is_the_mask_of_dropout(gpu: &Gpu) -> Result<(), String> {
    let calls = [call(0.1, 0), call(0.5, 13), call(0.9, (1 << 35) - 5)];
    let masks = run::masks(gpu, &calls.map(|call| (call, 4099)))?;
    let items = calls.map(|call| Item::of(call, vec![1.0; 4099]));
    for mode in MODES {
        for (values, mask) in run::dropout(gpu, mode, &items)?.iter().zip(&masks) {
            let mut packed = vec![0; mask.len()];
            for (element, &y) in values.iter().enumerate() {
                packed[element >> 5] |= u32::from(y != 0.0) << (element & 31);
            }
            compare::packed_masks(mask, &packed)
                .map_err(|difference| format!("{mode:?}: {difference}"))?;
        }
    }
    Ok(())
}
