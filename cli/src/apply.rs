//! `apply`: the tensor of a file through dropout, a piece at a time.

use std::io::{Read, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use wgpu_dropout::{Dropout, DropoutCall, KernelDescriptor, cpu};

use crate::call::CallArgs;
use crate::engine::{Engine, EngineArgs};
use crate::npy::NpyFile;
use crate::output::{Output, write_words};

/// Memory does not grow with the tensor.
const PIECE_ELEMENTS: u64 = 4 << 20;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A .npy file of little-endian f32 in C order
    #[arg(long, value_name = "X.npy")]
    input: PathBuf,
    /// The result, of the same shape; may be the input. `-` is standard output
    #[arg(long, value_name = "Y.npy")]
    output: PathBuf,
    #[command(flatten)]
    call: CallArgs,
    /// The input is the gradient of the output: give the gradient of the input
    #[arg(long)]
    backward: bool,
}

pub fn run(args: &Args, engine: &EngineArgs) -> Result<()> {
    let mut input = NpyFile::open(&args.input)?;
    let call = args.call.for_len(input.len)?;
    let engine = engine.open()?;
    let apply = operation(&engine, args.backward)?;
    let mut output = Output::create(&args.output)?;

    output
        .write_all(&input.header)
        .context("cannot write the output")?;
    for start in (0..input.len).step_by(PIECE_ELEMENTS as usize) {
        let piece = PIECE_ELEMENTS.min(input.len - start);
        let mut data = read_elements(&mut input.data, piece as usize)
            .with_context(|| format!("cannot read {}", args.input.display()))?;
        apply(&mut data, &call.with_origin(call.origin + start))?;
        write_words(&mut output, bytemuck::cast_slice_mut(&mut data))?;
    }
    output.finish()
}

type InPlace<'a> = dyn Fn(&mut [f32], &DropoutCall) -> Result<()> + 'a;

fn operation(engine: &Engine, backward: bool) -> Result<Box<InPlace<'_>>> {
    Ok(match engine {
        Engine::Gpu(gpu) => {
            let dropout = Dropout::new(&gpu.device, &KernelDescriptor::default())?;
            // One map for both directions [M14]; the blocking call has but one name for it.
            Box::new(move |data, call| {
                data.copy_from_slice(&dropout.apply_blocking(&gpu.queue, data, call)?);
                Ok(())
            })
        }
        Engine::Cpu if backward => Box::new(|data, call| Ok(cpu::backward_in_place(data, call)?)),
        Engine::Cpu => Box::new(|data, call| Ok(cpu::forward_in_place(data, call)?)),
    })
}

/// Reads `len` little-endian elements.
fn read_elements(input: &mut impl Read, len: usize) -> std::io::Result<Vec<f32>> {
    let mut words = vec![0u32; len];
    input.read_exact(bytemuck::cast_slice_mut(&mut words))?;
    for word in &mut words {
        *word = u32::from_le(*word);
    }
    Ok(bytemuck::cast_vec(words))
}
