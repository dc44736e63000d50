//! The contract's golden numbers, built in from tests/data. The headers of those files say how to
//! read them.

use crate::{DropoutCall, DropoutRate, MaskKey, MaskLayout};

/// A block of Philox4x32.
pub(super) struct PhiloxVector {
    pub rounds: u32,
    pub counter: [u32; 4],
    pub key: [u32; 2],
    pub words: [u32; 4],
}

/// A mask of the contract.
pub(super) struct MaskVector {
    pub call: DropoutCall,
    pub drop_threshold: u64,
    pub keep_scale_bits: u32,
    pub layout: MaskLayout,
    pub mask: Vec<u32>,
}

/// The columns of each line that is not a comment.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split('|').map(str::trim).collect())
}

fn words<const N: usize>(text: &str) -> Option<[u32; N]> {
    let words: Option<Vec<u32>> = text
        .split(' ')
        .map(|word| u32::from_str_radix(word, 16).ok())
        .collect();
    words?.try_into().ok()
}

/// Every Philox vector, or `None` if the file is damaged.
pub(super) fn philox() -> Option<Vec<PhiloxVector>> {
    rows(include_str!("../../tests/data/philox4x32.kat"))
        .map(|row| {
            let [rounds, counter, key, result, _source] = row[..] else {
                return None;
            };
            Some(PhiloxVector {
                rounds: rounds.parse().ok()?,
                counter: words(counter)?,
                key: words(key)?,
                words: words(result)?,
            })
        })
        .collect()
}

/// Every mask vector, or `None` if the file is damaged.
pub(super) fn masks() -> Option<Vec<MaskVector>> {
    rows(include_str!("../../tests/data/mask_v1.kat"))
        .map(|row| {
            let [
                _,
                seed,
                stream,
                p,
                drop_threshold,
                keep_scale,
                shape,
                strides,
                origin,
                _,
                mask,
            ] = row[..]
            else {
                return None;
            };
            let numbers = |text: &str| -> Option<Vec<u64>> {
                text.split(' ').map(|number| number.parse().ok()).collect()
            };
            let hex = |text| u64::from_str_radix(text, 16).ok();
            let key = MaskKey::new(hex(seed)?, hex(stream)?);
            let rate = DropoutRate::new(p.parse().ok()?).ok()?;
            let word = |start| {
                Some(
                    u32::from_str_radix(mask.get(start..start + 8)?, 16)
                        .ok()?
                        .swap_bytes(),
                )
            };
            Some(MaskVector {
                call: DropoutCall::new(rate, key).with_origin(origin.parse().ok()?),
                drop_threshold: drop_threshold.parse().ok()?,
                keep_scale_bits: u32::from_str_radix(keep_scale, 16).ok()?,
                layout: MaskLayout::strided(&numbers(shape)?, &numbers(strides)?).ok()?,
                mask: (0..mask.len())
                    .step_by(8)
                    .map(word)
                    .collect::<Option<_>>()?,
            })
        })
        .collect()
}
