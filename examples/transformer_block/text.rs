//! The text as tokens, and batches of it.

use anyhow::Result;
use wgpu_dropout::MaskKey;

use crate::gpt::CONTEXT;
use crate::network::Pair;
use crate::random;

const SONNETS: &[u8] = include_bytes!("sonnets.txt");

/// The layer number of the batches' stream. Those of dropout count from 0, and those of `random`
/// are above.
const BATCHES: u32 = u32::MAX - 2;

/// The first nine tenths of the text for training, the rest for validation.
pub struct Text {
    pub train: Vec<u32>,
    pub validation: Vec<u32>,
}

impl Text {
    /// Reads the sonnets. A token is the index of a character in the sorted list of those that
    /// occur.
    pub fn sonnets() -> Self {
        let mut characters = SONNETS.to_vec();
        characters.sort_unstable();
        characters.dedup();
        let token = |byte: &u8| characters.partition_point(|other| other < byte) as u32;
        let mut train: Vec<_> = SONNETS.iter().map(token).collect();
        let validation = train.split_off(train.len() / 10 * 9);
        Self { train, validation }
    }

    /// The batch of a step: samples that begin at random positions of the training text.
    pub fn batch(&self, seed: u64, step: u32, samples: u32) -> Result<Vec<Pair>> {
        let words = random::words(MaskKey::layer_step(seed, BATCHES, step), samples as usize)?;
        let begins = self.train.len() as u64 - u64::from(CONTEXT);
        let begin = |word: u32| ((u64::from(word) * begins) >> 32) as usize;
        Ok(words
            .into_iter()
            .flat_map(|word| pairs(&self.train[begin(word)..]))
            .collect())
    }
}

/// Batches of samples that begin at equal distances, from the start of `tokens` to the end.
pub fn spread(tokens: &[u32], batches: u32, samples: u32) -> Vec<Vec<Pair>> {
    let last = tokens.len() - CONTEXT as usize - 1;
    let count = (batches * samples) as usize;
    let all: Vec<_> = (0..count)
        .flat_map(|i| pairs(&tokens[last * i / count..]))
        .collect();
    all.chunks((samples * CONTEXT) as usize)
        .map(Vec::from)
        .collect()
}

fn pairs(tokens: &[u32]) -> impl Iterator<Item = Pair> {
    tokens
        .windows(2)
        .take(CONTEXT as usize)
        .map(|pair| [pair[0], pair[1]])
}
