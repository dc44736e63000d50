//! `apply`: the tensor of a file through dropout, a piece at a time.

use std::io::{Read, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use wgpu_dropout::{Dropout, GaussianDropout, KernelDescriptor, cpu};

use crate::call::CallArgs;
use crate::engine::{Engine, EngineArgs};
use crate::layout::{LayoutArgs, Tensor};
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
    #[command(flatten)]
    layout: LayoutArgs,
    /// The input is the gradient of the output: give the gradient of the input
    #[arg(long)]
    backward: bool,
}

pub fn run(args: &Args, engine: &EngineArgs) -> Result<()> {
    let mut input = NpyFile::open(&args.input)?;
    let tensor = args.layout.tensor(&input.shape, args.call.call())?;
    if args.call.is_gaussian() {
        ensure!(
            tensor.layout.is_none(),
            "--kind gaussian draws noise for each element: leave --noise-shape and --mask-strides out"
        );
        GaussianDropout::check(&tensor.call, tensor.len)?;
    }
    let engine = engine.open()?;
    let apply = if args.call.is_gaussian() {
        gaussian(&engine)?
    } else {
        dropout(&engine, args.backward)?
    };
    let mut output = Output::create(&args.output)?;

    output
        .write_all(&input.header)
        .context("cannot write the output")?;
    let mut start = 0;
    while start < tensor.len {
        let piece = tensor.piece(start, PIECE_ELEMENTS)?;
        let data = read_elements(&mut input.data, piece.len as usize)
            .with_context(|| format!("cannot read {}", args.input.display()))?;
        let mut result = apply(&data, &piece)?;
        write_words(&mut output, bytemuck::cast_slice_mut(&mut result))?;
        start += piece.len;
    }
    output.finish()
}

type Apply<'a> = Box<dyn Fn(&[f32], &Tensor) -> Result<Vec<f32>> + 'a>;

fn dropout(engine: &Engine, backward: bool) -> Result<Apply<'_>> {
    Ok(match engine {
        Engine::Gpu(gpu) => {
            let dropout = Dropout::new(&gpu.device, &KernelDescriptor::default())?;
            let queue = &gpu.queue;
            Box::new(move |x, piece| {
                let call = &piece.call;
                Ok(match (&piece.layout, backward) {
                    (None, false) => dropout.apply_blocking(queue, x, call),
                    (None, true) => dropout.backward_blocking(queue, x, call),
                    (Some(layout), false) => dropout.apply_layout_blocking(queue, x, layout, call),
                    (Some(layout), true) => {
                        dropout.backward_layout_blocking(queue, x, layout, call)
                    }
                }?)
            })
        }
        Engine::Cpu => Box::new(move |x, piece| {
            let mut y = vec![0.0; x.len()];
            let call = &piece.call;
            match (&piece.layout, backward) {
                (None, false) => cpu::forward(x, &mut y, call),
                (None, true) => cpu::backward(x, &mut y, call),
                (Some(layout), false) => cpu::forward_layout(x, &mut y, layout, call),
                (Some(layout), true) => cpu::backward_layout(x, &mut y, layout, call),
            }?;
            Ok(y)
        }),
    })
}

/// One map for both directions.
fn gaussian(engine: &Engine) -> Result<Apply<'_>> {
    Ok(match engine {
        Engine::Gpu(gpu) => {
            let gaussian = GaussianDropout::new(&gpu.device, &KernelDescriptor::default())?;
            Box::new(move |x, piece| Ok(gaussian.apply_blocking(&gpu.queue, x, &piece.call)?))
        }
        Engine::Cpu => Box::new(|x, piece| {
            let mut y = vec![0.0; x.len()];
            cpu::gaussian(x, &mut y, &piece.call)?;
            Ok(y)
        }),
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
