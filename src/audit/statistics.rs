//! Statistical checks of masks. Keys are fixed, so a right device always gives the same figures;
//! the false-alarm rates below are over the choice of keys.

use super::checks::{Audit, mask, same};
use super::{Failure, Outcome, run};
use crate::mask::mask_words;
use crate::{DropoutCall, DropoutRate, MaskKey, MaskLayout, cpu};

/// Elements of each mask.
const LEN: u64 = 1 << 24;
/// The largest deviation that passes, in standard deviations. A fair mask exceeds it with
/// probability 2.0e-7 (two-sided normal): 6e-7 for the three keep rates, 1.4e-5 for the 70
/// correlations.
const BOUND: f64 = 5.2;

fn ones(words: impl Iterator<Item = u32>) -> u64 {
    words.map(|word| u64::from(word.count_ones())).sum()
}

/// Deviation of `count` of `n` events of probability `p` from its mean, in standard deviations.
fn deviation(count: u64, n: u64, p: f64) -> f64 {
    let n = n as f64;
    (count as f64 - n * p) / (n * p * (1.0 - p)).sqrt()
}

impl Audit<'_> {
    /// The device's masks of consecutive indices. They must equal the CPU's.
    async fn masks(&self, calls: &[DropoutCall]) -> Result<Vec<Vec<u32>>, Failure> {
        let layout = MaskLayout::linear(LEN);
        let runs: Vec<_> = calls.iter().map(|call| mask(&layout, *call)).collect();
        let masks = run::outputs(&self.gpu, &runs).await?;
        let mut expected = vec![0; mask_words(LEN) as usize];
        for (call, mask) in calls.iter().zip(&masks) {
            cpu::keep_mask(LEN, &mut expected, call)?;
            same(call, &expected, mask)?;
        }
        Ok(masks)
    }

    pub async fn keep_rate(&self) -> Result<Outcome, Failure> {
        let rates: Result<Vec<_>, _> = [0.1, 0.5, 0.9].map(DropoutRate::new).into_iter().collect();
        let call = |rate| DropoutCall::new(rate, MaskKey::new(42, 0));
        let calls: Vec<_> = rates?.into_iter().map(call).collect();
        let mut figures = Vec::new();
        for (DropoutCall { rate, .. }, mask) in calls.iter().zip(self.masks(&calls).await?) {
            let kept = ones(mask.into_iter());
            let z = deviation(kept, LEN, 1.0 - rate.realized());
            if z.abs() > BOUND {
                let p = rate.p();
                return Err(Failure::new(
                    format!(
                        "{:.0} kept of {LEN} at p={p}, within {BOUND} standard deviations",
                        LEN as f64 * (1.0 - p)
                    ),
                    format!("{kept}, {z:.1} away"),
                ));
            }
            figures.push(format!("{z:+.2}"));
        }
        Ok(Outcome::Passed {
            figure: format!(
                "z = {} over {LEN} elements each, bound {BOUND}",
                figures.join(", ")
            ),
        })
    }

    pub async fn correlation(&self) -> Result<Outcome, Failure> {
        const NEIGHBOURS: [(&str, MaskKey); 6] = [
            ("of neighbouring seeds", MaskKey::new(43, 0)),
            ("of neighbouring streams", MaskKey::new(42, 1)),
            ("of neighbouring layers", MaskKey::layer_step(42, 1, 0)),
            ("of seeds 2^32 apart", MaskKey::new(0x1_0000_002a, 0)),
            ("of seed and stream exchanged", MaskKey::new(0, 42)),
            ("of complementary seeds", MaskKey::new(!42, 0)),
        ];
        let rate = DropoutRate::new(0.5)?;
        let keys = NEIGHBOURS.into_iter().map(|(_, key)| key);
        let calls: Vec<_> = [MaskKey::new(42, 0)]
            .into_iter()
            .chain(keys)
            .map(|key| DropoutCall::new(rate, key))
            .collect();
        let masks = self.masks(&calls).await?;
        let (base, others) = (&masks[0], &masks[1..]);
        let mut worst = 0.0f64;
        let mut judge = |what: String, different: u64, n: u64| {
            let z = deviation(different, n, 0.5);
            if z.abs() > BOUND {
                let expected = format!(
                    "masks {what} to differ in half of {n} elements, within {BOUND} standard \
                     deviations"
                );
                return Err(Failure::new(expected, format!("{different}, {z:.1} away")));
            }
            worst = worst.max(z.abs());
            Ok(())
        };
        for lag in 1..=64u32 {
            // Bit j of `shifted` word i is mask bit 32 i + j + lag.
            let (whole, bits) = ((lag / 32) as usize, lag % 32);
            let later = &base[whole..];
            let shifted = (0..later.len()).map(|i| {
                let next = later.get(i + 1).copied().unwrap_or(0);
                ((u64::from(next) << 32 | u64::from(later[i])) >> bits) as u32
            });
            // The last word lacks the bits that would be shifted in, so it is left out.
            let words = later.len() - 1;
            let different = ones(base.iter().zip(shifted).take(words).map(|(a, b)| a ^ b));
            judge(
                format!("{lag} elements apart"),
                different,
                32 * words as u64,
            )?;
        }
        for ((what, _), other) in NEIGHBOURS.into_iter().zip(others) {
            let different = ones(base.iter().zip(other).map(|(a, b)| a ^ b));
            judge(what.to_owned(), different, LEN)?;
        }
        Ok(Outcome::Passed {
            figure: format!(
                "largest of 70 |z| = {worst:.2} over {LEN} elements each, bound {BOUND}"
            ),
        })
    }
}
