//! Trains the small GPT of examples/transformer_block over processes that MPI started. Each process
//! takes some samples of every batch. Masks are those of one process to the bit. With ordered sums,
//! so are losses and weights.
//!
//! `mpirun -n 4 target/debug/gpt`

// These modules of the examples refer to each other as `crate::device` and so on.
#[path = "../../examples/mlp/device.rs"]
#[allow(dead_code, reason = "the GPT opens a device of its own")]
mod device;
#[path = "../../examples/transformer_block/gpt.rs"]
mod gpt;
#[path = "../../examples/mlp/kernels.rs"]
#[allow(dead_code, reason = "the perceptron's kernels stand there too")]
mod kernels;
#[path = "../../examples/transformer_block/network.rs"]
#[allow(dead_code, reason = "the example trains whole batches")]
mod network;
#[path = "../../examples/own_kernels/mod.rs"]
mod own_kernels;
#[path = "../../examples/transformer_block/parts.rs"]
mod parts;
#[path = "../../examples/mlp/random.rs"]
#[allow(dead_code, reason = "the perceptron shuffles examples")]
mod random;
#[path = "../../examples/transformer_block/sites.rs"]
mod sites;
#[path = "../../examples/mlp/steps.rs"]
mod steps;
#[path = "../../examples/transformer_block/tape.rs"]
#[allow(dead_code, reason = "the example tells costs")]
mod tape;
#[path = "../../examples/transformer_block/text.rs"]
#[allow(dead_code, reason = "the example validates")]
mod text;

#[allow(dead_code, reason = "`train` has tensors over processes too")]
mod grid;
mod hash;
mod process;

/// The module in which `network` looks for its state.
mod mlp {
    /// The parameters, Adam's first moments and Adam's second moments.
    #[derive(Clone, Debug, PartialEq)]
    pub struct State(pub [Vec<f32>; 3]);
}

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use mpi::topology::SimpleCommunicator;
use mpi::traits::*;
use wgpu_dropout::{DropoutCall, DropoutRate, MaskKey};

use grid::{Axis, Grid, LEAVES, Sum};
use hash::Hash;
use network::{Device, Network};
use text::Text;

const RATE: f64 = 0.1;
const LEARNING_RATE: f64 = 2e-3;
/// Number of samples in a part of a batch. A device takes one part at a time.
const SAMPLES: u32 = 1;

/// Train a small GPT on processes that MPI started, data-parallel, with the masks of one process
#[derive(Debug, Parser)]
#[command(name = "gpt")]
struct Options {
    /// Order in which gradients of several processes are added
    #[arg(long, value_enum, default_value_t = Sum::Ordered)]
    sum: Sum,
    #[arg(long, value_name = "N", default_value_t = 20)]
    steps: u32,
    /// Seed of weights, batches and masks, the same in each process
    #[arg(long, value_name = "S", default_value_t = 42)]
    seed: u64,
}

fn main() -> ExitCode {
    let options = Options::parse();
    process::run(|world| train(&options, world))
}

fn train(options: &Options, world: &SimpleCommunicator) -> Result<()> {
    let processes = world.size() as u32;
    ensure!(
        LEAVES.is_multiple_of(processes),
        "{LEAVES} parts of a batch do not divide among {processes} processes: \
         give mpirun -n 1, 2, 3, 4, 6 or 12"
    );
    let grid = Grid::new(world, [processes, 1], options.sum)?;
    let device = Device::on(&process::adapter(world)?)?;
    let network = Network::new(&device, SAMPLES, true, LEARNING_RATE)?;
    network.initialize(options.seed)?;
    let (text, rate) = (Text::sonnets(), DropoutRate::new(RATE)?);
    let own = grid.leaves(Axis::Data);
    let first = grid.part(Axis::Data) * own;
    if grid.is_root() {
        println!("{processes} processes, the first on {}", device.adapter);
    }
    let bar = match grid.is_root() {
        true => ProgressBar::new(options.steps.into()),
        false => ProgressBar::hidden(),
    };
    bar.set_style(ProgressStyle::with_template(
        "{wide_bar} {pos}/{len} steps, {eta}  {msg}",
    )?);
    let (mut curve, mut last) = (Hash::EMPTY, 0.0);
    for step in 0..options.steps {
        let pairs = text.batch(options.seed, step, LEAVES * SAMPLES)?;
        let parts = pairs.chunks_exact((SAMPLES * gpt::CONTEXT) as usize);
        let call = |i| DropoutCall::new(rate, MaskKey::layer_step(options.seed, i, step));
        let (mut losses, mut gradients) = (Vec::new(), Vec::new());
        for (part, pairs) in (0..LEAVES)
            .zip(parts)
            .skip(first as usize)
            .take(own as usize)
        {
            let (loss, own) = network.part(pairs, (part, LEAVES), call)?;
            losses.push(loss);
            gradients.extend(own);
        }
        network.apply(&grid.sum(Axis::Data, &gradients), step)?;
        last = grid.gather(Axis::Data, &losses).iter().sum();
        curve.update(&last.to_le_bytes());
        bar.set_message(format!("loss {last:.3}"));
        bar.inc(1);
    }
    bar.finish_and_clear();
    let mut weights = Hash::EMPTY;
    for weight in &network.state()?.0[0] {
        weights.update(&weight.to_le_bytes());
    }
    if grid.is_root() {
        println!("last loss {last:.9}\ncurve {curve}\nweights {weights}");
    }
    Ok(())
}
