//! The options that ask for another framework's mask.

use core::ops::Range;

use wgpu_dropout::DropoutRate;
use wgpu_dropout::cpu::{CpuError, foreign};

use crate::number;

#[derive(Debug, clap::Args)]
pub struct RuleArgs {
    /// Make another framework's mask instead of this library's, on the CPU
    #[arg(
        long,
        value_enum,
        conflicts_with_all = [
            "stream", "call", "origin", "fold_in", "kind", "pattern", "noise_shape",
            "mask_strides", "adapter"
        ]
    )]
    rule: Option<Rule>,
    /// The two words of jax.random.key_data; for Keras its seed and counter
    #[arg(
        long,
        value_name = "K0,K1",
        value_parser = number::words::<2>,
        allow_hyphen_values = true,
        required_if_eq("rule", "jax")
    )]
    key: Option<[u32; 2]>,
    /// The two seeds of TensorFlow; for Keras its seed and counter
    #[arg(
        long,
        value_name = "A,B",
        value_parser = seeds,
        allow_hyphen_values = true,
        required_if_eq("rule", "tensorflow")
    )]
    seeds: Option<[i64; 2]>,
    /// The offset of the first element in Triton; --seed is Triton's seed
    #[arg(
        long,
        value_name = "O",
        value_parser = number::signed,
        allow_hyphen_values = true
    )]
    offset: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Rule {
    /// bernoulli(key, 1 - p) of JAX's threefry2x32: Flax, Keras on JAX
    Jax,
    /// tf.nn.experimental.stateless_dropout on f32: Keras on TensorFlow
    Tensorflow,
    /// tl.rand(seed, offset + i) > p
    Triton,
}

/// Another framework's mask.
#[derive(Clone, Copy, Debug)]
pub struct Foreign {
    rate: DropoutRate,
    generator: Generator,
}

#[derive(Clone, Copy, Debug)]
enum Generator {
    Jax([u32; 2]),
    Tensorflow([i64; 2]),
    Triton { seed: i64, offset: i64 },
}

fn seeds(text: &str) -> Result<[i64; 2], String> {
    let seeds = text
        .split(',')
        .map(number::signed)
        .collect::<Result<Vec<_>, _>>()?;
    let given = seeds.len();
    let seeds = seeds.try_into();
    seeds.map_err(|_| format!("give 2 numbers separated by a comma, not {given}"))
}

impl RuleArgs {
    /// Returns the mask that the options ask for, with the call's rate and seed. An error is about
    /// wrong options.
    pub fn foreign(
        &self,
        rate: Option<DropoutRate>,
        seed: Option<i128>,
    ) -> Result<Option<Foreign>, String> {
        let Self {
            key, seeds, offset, ..
        } = *self;
        let Some(rule) = self.rule else {
            return match seed {
                // clap ignores `requires` if the required option conflicts with one that is given.
                _ if key.is_some() || seeds.is_some() || offset.is_some() => Err(
                    "--key, --seeds and --offset need --rule: give it, or leave them out".into(),
                ),
                Some(seed) if seed < 0 => Err(format!(
                    "invalid value '{seed}' for '--seed <S>': give an integer from 0 on, decimal \
                     or 0x hexadecimal; only seeds of --rule triton may be negative"
                )),
                _ => Ok(None),
            };
        };
        let own = match rule {
            Rule::Jax => "--key",
            Rule::Tensorflow => "--seeds",
            Rule::Triton => "--seed and --offset",
        };
        let generator = match (rule, key, seeds, seed, offset) {
            (Rule::Jax, Some(key), None, None, None) => Generator::Jax(key),
            (Rule::Tensorflow, None, Some(seeds), None, None) => Generator::Tensorflow(seeds),
            (Rule::Triton, None, None, Some(seed), offset) => Generator::Triton {
                seed: i64::try_from(seed).map_err(|_| {
                    format!(
                        "invalid value '{seed}' for '--seed <S>': {}",
                        number::SIGNED
                    )
                })?,
                offset: offset.unwrap_or(0),
            },
            _ => {
                return Err(format!(
                    "this --rule takes only {own}: leave out the others of --key, --seeds, --seed \
                     and --offset"
                ));
            }
        };
        // clap requires --p, so it is there.
        let rate = rate.ok_or("--rule needs --p")?;
        Ok(Some(Foreign { rate, generator }))
    }
}

impl Foreign {
    /// The packed mask of these elements.
    pub fn mask(&self, elements: Range<u64>) -> Result<Vec<u32>, CpuError> {
        let len = elements.end - elements.start;
        let mut mask = vec![0; len.div_ceil(32) as usize];
        let words = &mut mask;
        match self.generator {
            Generator::Jax(key) => foreign::jax(key, self.rate, elements, words),
            Generator::Tensorflow(seeds) => foreign::tensorflow(seeds, self.rate, elements, words),
            Generator::Triton { seed, offset } => {
                foreign::triton(seed, offset, self.rate, elements, words)
            }
        }?;
        Ok(mask)
    }
}
