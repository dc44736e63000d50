//! `mask`: the packed keep mask, a piece at a time.

use std::path::PathBuf;

use anyhow::Result;
use wgpu_dropout::mask::{ELEMENTS_PER_MASK_WORD, mask_words};
use wgpu_dropout::{DropoutCall, KeepMask, KernelDescriptor, cpu};

use crate::call::CallArgs;
use crate::engine::{Engine, EngineArgs};
use crate::number;
use crate::output::{Output, write_words};

/// A multiple of a word's elements; memory does not grow with the mask.
const PIECE_ELEMENTS: u64 = (4 << 20) * ELEMENTS_PER_MASK_WORD as u64;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Number of elements
    #[arg(long, value_name = "N", value_parser = number::integer::<u64>)]
    len: u64,
    #[command(flatten)]
    call: CallArgs,
    /// Where the words go; `-` is standard output
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

pub fn run(args: &Args, engine: &EngineArgs) -> Result<()> {
    let call = args.call.for_len(args.len)?;
    let engine = engine.open()?;
    let generate = generator(&engine)?;
    let mut output = Output::create(&args.output)?;
    for start in (0..args.len).step_by(PIECE_ELEMENTS as usize) {
        let piece = PIECE_ELEMENTS.min(args.len - start);
        let mut words = generate(piece, &call.with_origin(call.origin + start))?;
        write_words(&mut output, &mut words)?;
    }
    output.finish()
}

type Generate<'a> = dyn Fn(u64, &DropoutCall) -> Result<Vec<u32>> + 'a;

fn generator(engine: &Engine) -> Result<Box<Generate<'_>>> {
    Ok(match engine {
        Engine::Gpu(gpu) => {
            let kernel = KeepMask::new(&gpu.device, &KernelDescriptor::default())?;
            Box::new(move |len, call| Ok(kernel.generate_blocking(&gpu.queue, len, call)?))
        }
        Engine::Cpu => Box::new(|len, call| {
            let mut words = vec![0; mask_words(len) as usize];
            cpu::keep_mask(&mut words, len, call)?;
            Ok(words)
        }),
    })
}
