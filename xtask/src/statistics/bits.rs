//! Keep rate and correlations of a packed mask.

use std::io::Read;

use crate::Result;

/// Lags of correlations.
const LAGS: usize = 64;

/// The keep bits of a mask.
pub struct Bits {
    words: Vec<u64>,
    /// Probability of keeping.
    keep: f64,
}

/// How far a mask is from a fair one, in standard deviations.
#[derive(Debug, PartialEq)]
pub struct Deviations {
    pub keep_rate: f64,
    /// By lag, from 1.
    pub correlations: [f64; LAGS],
}

impl Deviations {
    /// The largest correlation and its lag.
    pub fn worst(&self) -> (f64, usize) {
        let by_lag = self.correlations.into_iter().zip(1..);
        by_lag.fold((0.0, 0), |worst, (z, lag)| {
            match z.abs() > f64::abs(worst.0) {
                true => (z, lag),
                false => worst,
            }
        })
    }

    /// Within 5 standard deviations: of 65 figures of a fair mask one is not with probability
    /// 3.7e-5.
    pub fn are_fair(&self) -> bool {
        self.keep_rate.abs() < 5.0 && self.worst().0.abs() < 5.0
    }
}

impl Bits {
    /// Reads `len` elements, a multiple of 64, dropped with probability `p`.
    pub fn read(source: &mut impl Read, len: usize, p: f64) -> Result<Self> {
        let mut bytes = vec![0; len / 8];
        source.read_exact(&mut bytes)?;
        let words = bytes
            .as_chunks()
            .0
            .iter()
            .map(|&word| u64::from_le_bytes(word));
        Ok(Self {
            words: words.collect(),
            keep: 1.0 - p,
        })
    }

    pub fn deviations(&self) -> Deviations {
        let n = 64.0 * self.words.len() as f64;
        let variance = self.keep * (1.0 - self.keep);
        let kept: u64 = self
            .words
            .iter()
            .map(|word| u64::from(word.count_ones()))
            .sum();
        let mut pairs = [0u64; LAGS];
        // The last word lacks later bits.
        for window in self.words.windows(2) {
            let (word, later) = (window[0], window[1]);
            let both = u128::from(later) << 64 | u128::from(word);
            for (pairs, lag) in pairs.iter_mut().zip(1..) {
                *pairs += u64::from((word & (both >> lag) as u64).count_ones());
            }
        }
        let pairs_n = n - 64.0;
        let observed = kept as f64 / n;
        Deviations {
            keep_rate: (kept as f64 - n * self.keep) / (n * variance).sqrt(),
            // The sample correlation of n independent elements has variance 1 / n.
            correlations: pairs.map(|pairs| {
                (pairs as f64 / pairs_n - observed * observed) / variance * pairs_n.sqrt()
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deviations(words: Vec<u64>) -> Deviations {
        Bits { words, keep: 0.5 }.deviations()
    }

    /// splitmix64.
    fn random(len: u64) -> Vec<u64> {
        let mix = |i: u64| {
            let z = i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ z >> 31
        };
        (1..=len).map(mix).collect()
    }

    #[test]
    fn random_bits_are_fair() {
        let deviations = deviations(random(4096));
        assert!(deviations.are_fair(), "{deviations:?}");
    }

    #[test]
    fn too_many_bits_are_not() {
        let words = random(4096).into_iter().map(|word| word | 1).collect();
        assert!(deviations(words).keep_rate > 5.0);
    }

    #[test]
    fn a_repeated_bit_is_seen_at_its_lag() {
        for lag in [1, 7, 63] {
            // Bit `lag` is bit 0 again.
            let repeat = |word: u64| word & !(1 << lag) | (word & 1) << lag;
            let words = random(65_536).into_iter().map(repeat).collect();
            let (z, worst) = deviations(words).worst();
            assert_eq!(worst, lag);
            assert!(z > 5.0);
        }
        let words = random(4096);
        let twice = words.into_iter().flat_map(|word| [word, word]).collect();
        assert_eq!(deviations(twice).worst().1, 64);
    }

    #[test]
    fn bits_are_little_endian() {
        let bits = Bits::read(&mut &[1, 0, 0, 0, 0, 0, 0, 0x80][..], 64, 0.5).unwrap();
        assert_eq!(bits.words, [0x8000_0000_0000_0001]);
    }
}
