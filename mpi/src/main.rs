//! Trains the network of examples/mlp over processes that MPI started, each with a device of its
//! own. Masks are those of one process to the bit. With ordered sums, so are losses and weights.
//!
//! `mpirun -n 4 target/debug/train --data 2 --tensor 2`

mod checkpoint;
mod grid;
mod hash;
#[path = "../../examples/train_mlp/idx.rs"]
#[allow(dead_code, reason = "test images are not looked at")]
mod idx;
#[path = "../../examples/mlp/mod.rs"]
mod mlp;
mod network;
mod options;
mod parameters;
mod process;
mod staging;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use mpi::topology::SimpleCommunicator;
use mpi::traits::*;

use checkpoint::Checkpoint;
use grid::Grid;
use hash::Hash;
use mlp::device;
use network::Network;
use options::{BUNDLED, Options};

fn main() -> ExitCode {
    let options = Options::parse();
    process::run(|world| train(&options, world))
}

fn train(options: &Options, world: &SimpleCommunicator) -> Result<()> {
    options.check(world.size() as u32)?;
    let grid = Grid::new(world, [options.data, options.tensor], options.sum)?;
    let examples = idx::Data::load(Path::new(BUNDLED), options.images)?.train;
    let (device, queue, adapter) = device::open_adapter(&process::adapter(world)?)?;
    let network = Network::new(&grid, (device, queue), options, examples)?;
    if grid.is_root() {
        let Options { data, tensor, .. } = options;
        println!(
            "{data} x {tensor} processes, the first on {adapter}: {}",
            options.settings()
        );
    }

    let start = match &options.resume {
        Some(path) => {
            let bytes = broadcast(&grid, || {
                fs::read(path).with_context(|| path.display().to_string())
            })?;
            Checkpoint::parse(&bytes, &options.settings())
                .with_context(|| path.display().to_string())?
        }
        None => Checkpoint {
            epoch: 0,
            curve: Hash::EMPTY,
            state: network.first_state()?,
        },
    };
    network.restore(&start.state)?;
    let Checkpoint {
        epoch, mut curve, ..
    } = start;
    let epochs = u64::from(options.epochs.saturating_sub(epoch));
    let bar = match grid.is_root() {
        true => ProgressBar::new(epochs * u64::from(network.epoch_steps())),
        false => ProgressBar::hidden(),
    };
    bar.set_style(ProgressStyle::with_template(
        "{wide_bar} {pos}/{len} steps, {eta}",
    )?);
    for epoch in epoch..options.epochs {
        let losses = network.train_epoch(epoch, || bar.inc(1))?;
        for loss in &losses {
            curve.update(&loss.to_le_bytes());
        }
        if grid.is_root() {
            let mean = losses.iter().sum::<f64>() / losses.len() as f64;
            bar.suspend(|| println!("epoch {}: loss {mean:.9}", epoch + 1));
        }
        if let Some(path) = &options.save {
            let state = network.state()?;
            let checkpoint = Checkpoint {
                epoch: epoch + 1,
                curve,
                state,
            };
            if grid.is_root() {
                checkpoint.save(path, &options.settings())?;
            }
        }
    }
    bar.finish_and_clear();

    let (mut masks, mut weights) = (Hash::EMPTY, Hash::EMPTY);
    for step in 0..options.epochs.saturating_mul(network.epoch_steps()) {
        for words in network.masks(step)? {
            words
                .iter()
                .for_each(|word| masks.update(&word.to_le_bytes()));
        }
    }
    let state = network.state()?;
    state.0[0]
        .iter()
        .for_each(|weight| weights.update(&weight.to_le_bytes()));
    if grid.is_root() {
        println!("masks {masks}\ncurve {curve}\nweights {weights}");
    }
    Ok(())
}

/// Reads bytes in the first process and returns them in all.
fn broadcast(grid: &Grid, read: impl FnOnce() -> Result<Vec<u8>>) -> Result<Vec<u8>> {
    let root = grid.world.process_at_rank(0);
    let mut bytes = if grid.is_root() { read()? } else { Vec::new() };
    let mut len = bytes.len() as u64;
    root.broadcast_into(&mut len);
    bytes.resize(len as usize, 0);
    root.broadcast_into(&mut bytes[..]);
    Ok(bytes)
}
