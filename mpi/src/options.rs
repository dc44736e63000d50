//! The command line of a run.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Parser;

use crate::grid::{LEAVES, Sum};
use crate::mlp::TILE;

/// The folder of the repository's images.
pub const BUNDLED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/data/mnist-1000");

/// Train the example network on processes that MPI started, with the masks of one process
#[derive(Debug, Parser)]
#[command(name = "train")]
pub struct Options {
    /// Number of parts of the batch; --data times --tensor is the number of processes
    #[arg(long, value_name = "D", default_value_t = 1)]
    pub data: u32,
    /// Number of parts of the hidden units
    #[arg(long, value_name = "T", default_value_t = 1)]
    pub tensor: u32,
    /// Order in which numbers of several processes are added
    #[arg(long, value_enum, default_value_t = Sum::Ordered)]
    pub sum: Sum,
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub epochs: u32,
    /// Number of hidden units
    #[arg(long, value_name = "N", default_value_t = 192)]
    pub hidden: u32,
    /// Images in a step, over all processes
    #[arg(long, value_name = "N", default_value_t = 96)]
    pub batch: u32,
    /// Training images; those after an epoch's last whole batch wait for the next epoch
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub images: u32,
    /// Seed of the run, the same in each process
    #[arg(long, value_name = "S", default_value_t = 42)]
    pub seed: u64,
    /// Save the network to this file after each epoch
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Continue from a file that --save wrote, on the same grid or another
    #[arg(long, value_name = "FILE")]
    pub resume: Option<PathBuf>,
}

impl Options {
    /// Checks that the options fit each other and the number of processes, before anything is
    /// opened.
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
                "{of} {size} is not a multiple of {least}, {LEAVES} parts of {TILE}: give {}",
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
            "--images {} are fewer than a batch of {}: give at least as many",
            self.images,
            self.batch
        );
        Ok(())
    }

    /// The settings that a resumed run must share with the saved one. The grid may differ.
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
