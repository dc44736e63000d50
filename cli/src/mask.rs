//! `mask`: writes a packed keep mask, one piece at a time.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, ensure};
use wgpu_dropout::mask::{ELEMENTS_PER_MASK_WORD, mask_words};
use wgpu_dropout::{DropoutKind, KeepMask, KernelDescriptor, cpu};

use crate::call::CallArgs;
use crate::engine::{Engine, EngineArgs};
use crate::layout::{ElementsArgs, LayoutArgs, Tensor};
use crate::npy::{self, count};
use crate::output::{Output, write_numbers};
use crate::rule::{Foreign, RuleArgs};

/// Elements that are decided at a time, so that memory does not grow with the mask.
const PIECE_ELEMENTS: u64 = (4 << 20) * ELEMENTS_PER_MASK_WORD as u64;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    elements: ElementsArgs,
    /// The file for the words; `-` is standard output. If its name ends in .npy, it gets an array
    /// of booleans in the tensor's shape, true for a kept element
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten, next_help_heading = crate::CALL)]
    call: CallArgs,
    #[command(flatten, next_help_heading = "Layout")]
    layout: LayoutArgs,
    #[command(flatten, next_help_heading = "Another framework's mask")]
    rule: RuleArgs,
}

impl Args {
    /// Another framework's mask, if --rule asks for one. An error is about wrong options.
    pub fn foreign(&self) -> Result<Option<Foreign>, String> {
        let (rate, seed) = self.call.rate_and_seed();
        self.rule.foreign(rate, seed)
    }
}

pub fn run(args: &Args, engine: &EngineArgs) -> Result<()> {
    if let Some(foreign) = args.foreign().map_err(|error| anyhow!(error))? {
        return write_foreign(args, &foreign);
    }
    let call = args.call.call();
    ensure!(
        call.kind != DropoutKind::Gaussian,
        "--kind gaussian makes noise and no mask: `apply` shows its result"
    );
    let tensor = args.layout.tensor(args.elements.shape(), call)?;
    let engine = engine.open()?;
    let generate = generator(&engine)?;
    let mut mask = MaskFile::create(args)?;
    let mut start = 0;
    while start < tensor.len {
        let piece = tensor.piece(start, PIECE_ELEMENTS)?;
        mask.write(generate(&piece)?, piece.len)?;
        start += piece.len;
    }
    mask.finish()
}

fn write_foreign(args: &Args, foreign: &Foreign) -> Result<()> {
    let shape = args.elements.shape();
    let len = count(shape)
        .with_context(|| format!("the shape {shape:?} passes 64 bits: make it smaller"))?;
    let mut mask = MaskFile::create(args)?;
    let mut start = 0;
    while start < len {
        let end = len.min(start.saturating_add(PIECE_ELEMENTS));
        mask.write(foreign.mask(start..end)?, end - start)?;
        start = end;
    }
    mask.finish()
}

/// The output file of a mask, which is written in pieces.
struct MaskFile {
    output: Output,
    form: Form,
}

/// The format of a mask file.
enum Form {
    /// Packed words, and the bits that do not fill one yet.
    Words(PartialWord),
    /// A NumPy array of one byte per element.
    Booleans,
}

impl MaskFile {
    fn create(args: &Args) -> Result<Self> {
        let is_array = args.output.extension().is_some_and(|name| name == "npy");
        let dimensions = args.elements.shape().len();
        ensure!(
            !is_array || dimensions <= npy::MAX_DIMENSIONS,
            "an .npy array has at most {} dimensions, the shape has {dimensions}: give fewer, or a \
             name without .npy",
            npy::MAX_DIMENSIONS
        );
        let mut output = Output::create(&args.output)?;
        let form = match is_array {
            true => {
                output.write_all(&npy::boolean_header(args.elements.shape()))?;
                Form::Booleans
            }
            false => Form::Words(PartialWord::default()),
        };
        Ok(Self { output, form })
    }

    /// Writes the `len` bits of a piece, which are packed in `words`.
    fn write(&mut self, mut words: Vec<u32>, len: u64) -> Result<()> {
        match &mut self.form {
            Form::Words(partial) => {
                partial.join(&mut words, len);
                write_numbers(&mut self.output, &mut words)
            }
            Form::Booleans => {
                let bit = |e: u64| (words[(e / 32) as usize] >> (e % 32) & 1) as u8;
                let mut bytes: Vec<u8> = (0..len).map(bit).collect();
                write_numbers(&mut self.output, &mut bytes)
            }
        }
    }

    fn finish(mut self) -> Result<()> {
        match self.form {
            Form::Words(PartialWord { word, bits }) if bits > 0 => {
                write_numbers(&mut self.output, &mut [word])?;
            }
            _ => {}
        }
        self.output.finish()
    }
}

type Generate<'a> = dyn Fn(&Tensor) -> Result<Vec<u32>> + 'a;

fn generator(engine: &Engine) -> Result<Box<Generate<'_>>> {
    Ok(match engine {
        Engine::Gpu(gpu) => {
            let kernel = KeepMask::new(&gpu.device, &KernelDescriptor::default())?;
            let queue = &gpu.queue;
            Box::new(move |piece| Ok(kernel.run_blocking(queue, piece.source(), &piece.call)?))
        }
        Engine::Cpu => Box::new(|piece| {
            let mut words = vec![0; mask_words(piece.len) as usize];
            cpu::keep_mask(piece.source(), &mut words, &piece.call)?;
            Ok(words)
        }),
    })
}

/// The bits after the last whole word of a piece, since a piece need not end with a whole word.
#[derive(Debug, Default)]
struct PartialWord {
    word: u32,
    bits: u32,
}

impl PartialWord {
    /// Puts the bits of the last piece before the `len` bits of `words`, and keeps the bits after
    /// the last whole word for the next piece.
    fn join(&mut self, words: &mut Vec<u32>, len: u64) {
        words.push(0);
        let mut carry = self.word;
        for word in words.iter_mut() {
            let shifted = u64::from(*word) << self.bits | u64::from(carry);
            (*word, carry) = (shifted as u32, (shifted >> 32) as u32);
        }
        let bits = len + u64::from(self.bits);
        let per_word = u64::from(ELEMENTS_PER_MASK_WORD);
        let whole = (bits / per_word) as usize;
        *self = Self {
            word: words[whole],
            bits: (bits % per_word) as u32,
        };
        words.truncate(whole);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(lengths: &[u64], bit: impl Fn(u64) -> u32) -> Vec<u32> {
        let mut partial = PartialWord::default();
        let (mut all, mut start) = (Vec::new(), 0);
        for &len in lengths {
            let mut words = vec![0; mask_words(len) as usize];
            for e in 0..len {
                words[e as usize / 32] |= bit(start + e) << (e % 32);
            }
            partial.join(&mut words, len);
            all.extend(words);
            start += len;
        }
        if partial.bits > 0 {
            all.push(partial.word);
        }
        all
    }

    #[test]
    fn pieces_of_any_length_join_bit_by_bit() {
        let bit = |e: u64| (e.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63) as u32;
        let whole = join(&[101], bit);
        for lengths in [
            &[1; 101][..],
            &[31, 33, 37],
            &[32, 32, 37],
            &[70, 31],
            &[95, 1, 5],
        ] {
            assert_eq!(join(lengths, bit), whole, "{lengths:?}");
        }
        // Negative control: shifted bits give another mask.
        assert_ne!(join(&[101], |e| bit(e + 1)), whole);
    }
}
