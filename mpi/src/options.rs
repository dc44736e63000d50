//! The command line, and what a run is told by it.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Parser;

use crate::grid::{LEAVES, Sum};
use crate::mlp::TILE;

/// The repository's images.
pub const BUNDLED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/data/mnist-1000");

/// Train the example network on processes that MPI started, with the masks of one process
#[derive(Debug, Parser)]
#[command(name = "train")]
pub struct Options {
    /// Parts of the batch; times --tensor it is the number of processes
    #[arg(long, value_name = "D", default_value_t = 1)]
    pub data: u32,
    /// Parts of the hidden units
    #[arg(long, value_name = "T", default_value_t = 1)]
    pub tensor: u32,
    /// In which order numbers of several processes are added
    #[arg(long, value_enum, default_value_t = Sum::Ordered)]
    pub sum: Sum,
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub epochs: u32,
    /// Hidden units
    #[arg(long, value_name = "N", default_value_t = 192)]
    pub hidden: u32,
    /// Images of a step, over all processes
    #[arg(long, value_name = "N", default_value_t = 96)]
    pub batch: u32,
    /// Training images; those behind the last whole batch of an epoch's order wait for the next one
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub images: u32,
    /// The same on each process
    #[arg(long, value_name = "S", default_value_t = 42)]
    pub seed: u64,
    /// Keep the network here behind each epoch
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Go on from what --save kept, on this grid or on another
    #[arg(long, value_name = "FILE")]
    pub resume: Option<PathBuf>,
}

impl Options {
    /// Says what does not fit before anything is opened.
    pub fn check(&self, processes: u32) -> Result<()> {
        let Self { data, tensor, .. } = *self;
        for (name, parts, of, size) in [
            ("--data", data, "--batch", self.batch),
            ("--tensor", tensor, "--hidden", self.hidden),
        ] {
            ensure!(
                LEAVES.is_multiple_of(parts),
                "{name} {parts} does not divide {LEAVES}, the parts of every sum: \
                 give 1, 2, 3, 4, 6 or 12"
            );
            let least = LEAVES * TILE;
            ensure!(
                size > 0 && size.is_multiple_of(least),
                "{of} {size} is no multiple of {least}, {LEAVES} parts of {TILE}: give {}",
                size.next_multiple_of(least).max(least)
            );
        }
        let asked = u64::from(data) * u64::from(tensor);
        ensure!(
            asked == u64::from(processes),
            "--data {data} times --tensor {tensor} are {asked} processes, MPI started {processes}: \
             give mpirun -n {asked}"
        );
        ensure!(
            self.images >= self.batch,
            "--images {} make no batch of {}: give as many or more",
            self.images,
            self.batch
        );
        Ok(())
    }

    /// The settings that a resumed run must have in common with the stopped one. The grid may be another.
    pub fn settings(&self) -> String {
        let Self {
            seed,
            hidden,
            batch,
            images,
            ..
        } = self;
        format!("seed={seed} hidden={hidden} batch={batch} images={images}")
    }
}
