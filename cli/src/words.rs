//! `words`: the output of the generator, for known answers and statistical test suites.

use std::io::Write;

use anyhow::{Context, Result};
use wgpu_dropout::{KernelDescriptor, PhiloxBlocks, advance_counter, cpu};

use crate::engine::{Engine, EngineArgs};
use crate::number;
use crate::output::{Output, write_numbers};

/// Blocks that are made at a time, so that memory does not grow with their number.
const PIECE_BLOCKS: u64 = 1 << 20;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The key's two words
    #[arg(
        long,
        value_name = "K0,K1",
        value_parser = number::words::<2>,
        allow_hyphen_values = true
    )]
    key: [u32; 2],
    /// The four words of the first counter, the lowest first
    #[arg(
        long,
        value_name = "C0,C1,C2,C3",
        value_parser = number::words::<4>,
        allow_hyphen_values = true
    )]
    counter: [u32; 4],
    /// The number of blocks; each has the next counter, and 0 follows 2^128 - 1
    #[arg(
        long,
        value_name = "N",
        value_parser = number::integer::<u64>,
        allow_hyphen_values = true
    )]
    blocks: u64,
    /// Rounds of Philox: 10, as in masks, or 7
    #[arg(
        long,
        value_name = "R",
        value_parser = number::integer::<u32>,
        allow_hyphen_values = true,
        default_value = "10"
    )]
    rounds: u32,
    /// Write little-endian words instead of text: `… --raw | dieharder -g 200 -a`
    #[arg(long)]
    raw: bool,
}

pub fn run(args: &Args, engine: &EngineArgs) -> Result<()> {
    let engine = engine.open()?;
    let generate = generator(&engine, args)?;
    let mut output = Output::stdout();
    for start in (0..args.blocks).step_by(PIECE_BLOCKS as usize) {
        let piece = PIECE_BLOCKS.min(args.blocks - start);
        let mut blocks = generate(advance_counter(args.counter, start), piece)?;
        if args.raw {
            write_numbers(&mut output, blocks.as_flattened_mut())?;
        } else {
            write_text(&mut output, &blocks)?;
        }
    }
    output.finish()
}

fn write_text(output: &mut Output, blocks: &[[u32; 4]]) -> Result<()> {
    for [w0, w1, w2, w3] in blocks {
        writeln!(output, "{w0:08x} {w1:08x} {w2:08x} {w3:08x}")
            .context("cannot write the output")?;
    }
    Ok(())
}

type Generate<'a> = dyn Fn([u32; 4], u64) -> Result<Vec<[u32; 4]>> + 'a;

fn generator<'a>(engine: &'a Engine, args: &Args) -> Result<Box<Generate<'a>>> {
    let (key, rounds) = (args.key, args.rounds);
    Ok(match engine {
        Engine::Gpu(gpu) => {
            let kernel = PhiloxBlocks::new(&gpu.device, &KernelDescriptor::default(), rounds)?;
            Box::new(move |counter, blocks| {
                Ok(kernel.run_blocking(&gpu.queue, counter, key, blocks)?)
            })
        }
        Engine::Cpu => {
            let generate = move |counter, len| {
                let mut blocks = vec![[0; 4]; len as usize];
                cpu::philox_blocks(&mut blocks, counter, key, rounds)?;
                Ok(blocks)
            };
            // Refuses wrong rounds before it makes a block, as a GPU does.
            generate([0; 4], 0)?;
            Box::new(generate)
        }
    })
}
