//! `bench`: what dropout costs on this machine, beside a copy of the same bytes.

mod buffers;
mod cpu;
mod gpu;
mod measure;
mod report;

use std::io::{self, Write};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use wgpu_dropout::{DropoutCall, DropoutRate, MaskKey};

use crate::engine::{Engine, EngineArgs, Gpu};
use crate::number;
use buffers::Buffers;
use cpu::{CpuBench, CpuTensors};
use gpu::GpuBench;
use measure::{Measurement, Operation, Subject};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Elements of a tensor, comma separated
    #[arg(
        long,
        value_name = "N,…",
        value_delimiter = ',',
        value_parser = number::integer::<usize>,
        default_value = "65536,1048576,16777216"
    )]
    sizes: Vec<usize>,
    /// Probability of dropping an element
    #[arg(
        long,
        value_name = "P",
        value_parser = number::rate,
        allow_negative_numbers = true,
        default_value = "0.1"
    )]
    p: DropoutRate,
    /// How long each size is measured; five rounds are made in any case
    #[arg(long, value_name = "S", value_parser = number::integer::<u64>, default_value = "10")]
    seconds: u64,
}

pub fn run(args: &Args, engine: &EngineArgs) -> Result<()> {
    ensure!(
        !args.sizes.contains(&0),
        "0 elements take no time: give --sizes from 1 on"
    );
    let engine = engine.open()?;
    let gpu = match &engine {
        Engine::Gpu(gpu) => Some(&**gpu),
        Engine::Cpu => None,
    };
    // Neither the time nor the share of kept elements depends on the key.
    let call = DropoutCall::new(args.p, MaskKey::layer_step(42, 3, 7));
    let pools = cpu::thread_pools()?;
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", report::preamble(gpu, &call))?;
    for &len in &args.sizes {
        let buffers = Buffers::plan(len, gpu)?;
        let measurements = measure_size(gpu, &pools, &buffers, call, args.seconds)
            .with_context(|| format!("at {len} elements"))?;
        writeln!(stdout, "\n{}", report::size(&buffers, &measurements))?;
    }
    writeln!(stdout, "\n{}", report::LEGEND)?;
    Ok(())
}

/// One size: verified on every subject, then measured.
fn measure_size(
    gpu: Option<&Gpu>,
    pools: &[rayon::ThreadPool],
    buffers: &Buffers,
    call: DropoutCall,
    seconds: u64,
) -> Result<Vec<Measurement>> {
    let input = buffers::random_input(buffers.len)?;
    let tensors = CpuTensors::new(buffers, &input)?;
    let mut subjects: Vec<Box<dyn Subject + '_>> = Vec::new();
    if let Some(gpu) = gpu {
        subjects.push(Box::new(GpuBench::new(gpu, buffers, &input, call)?));
    }
    for pool in pools {
        subjects.push(Box::new(CpuBench::new(pool, &tensors, call)));
    }
    for operation in Operation::ALL {
        let expected = cpu::expected(operation, &input, &call)?;
        for subject in &subjects {
            measure::verify(&**subject, operation, &expected)?;
        }
    }
    measure::interleaved(&subjects, buffers, Duration::from_secs(seconds))
}
