//! `apply`: applies dropout to the tensor of a file, one piece at a time.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use wgpu_dropout::half::f16;
use wgpu_dropout::{Direction, Dropout, Element, ElementType, KernelDescriptor, cpu};

use crate::call::CallArgs;
use crate::engine::{Engine, EngineArgs};
use crate::layout::{LayoutArgs, Tensor};
use crate::npy::NpyFile;
use crate::output::{Output, write_numbers};

/// Elements that are read at a time, so that memory does not grow with the tensor.
const PIECE_ELEMENTS: u64 = 4 << 20;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A .npy file of little-endian f32 or f16 in C order. `-` is standard input
    #[arg(long, value_name = "X.npy")]
    input: PathBuf,
    /// The file for the result, which has the same shape and type. It may be the input. `-` is
    /// standard output
    #[arg(long, value_name = "Y.npy")]
    output: PathBuf,
    /// Compute the gradient of the input; --input is the gradient of the output
    #[arg(long)]
    backward: bool,
    #[command(flatten, next_help_heading = crate::CALL)]
    call: CallArgs,
    #[command(flatten, next_help_heading = "Layout")]
    layout: LayoutArgs,
}

pub fn run(args: &Args, engine: &EngineArgs) -> Result<()> {
    let input = NpyFile::open(&args.input)?;
    let tensor = args.layout.tensor(&input.shape, args.call.call())?;
    let engine = engine.open()?;
    match input.element_type {
        ElementType::F16 => pieces::<f16>(args, input, &tensor, dropout(&engine, args.backward)?),
        _ => pieces::<f32>(args, input, &tensor, dropout(&engine, args.backward)?),
    }
}

type Apply<'a, T> = Box<dyn Fn(&[T], &Tensor) -> Result<Vec<T>> + 'a>;

fn pieces<T: Element>(
    args: &Args,
    mut input: NpyFile,
    tensor: &Tensor,
    apply: Apply<'_, T>,
) -> Result<()> {
    let mut output = Output::create(&args.output)?;
    output
        .write_all(&input.header)
        .context("cannot write the output")?;
    let mut start = 0;
    while start < tensor.len {
        let piece = tensor.piece(start, PIECE_ELEMENTS)?;
        let data = input.elements(piece.len as usize)?;
        let mut result = apply(&data, &piece)?;
        write_numbers(&mut output, &mut result)?;
        start += piece.len;
    }
    input.end()?;
    output.finish()
}

fn dropout<T: Element>(engine: &Engine, backward: bool) -> Result<Apply<'_, T>> {
    let direction = if backward {
        Direction::Backward
    } else {
        Direction::Forward
    };
    Ok(match engine {
        Engine::Gpu(gpu) => {
            let dropout = Dropout::new(&gpu.device, &KernelDescriptor::default())?;
            let queue = &gpu.queue;
            Box::new(move |x, piece| {
                Ok(dropout.run_blocking(queue, direction, piece.source(), x, &piece.call)?)
            })
        }
        Engine::Cpu => Box::new(move |x, piece| {
            let mut y = vec![T::zeroed(); x.len()];
            cpu::apply(direction, piece.source(), (x, &mut y[..]), &piece.call)?;
            Ok(y)
        }),
    })
}
