//! The command line.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use wgpu_dropout::DropoutRate;

/// The folder of images in the repository.
pub const BUNDLED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../data/mnist-1000");

/// Trains a multi-layer perceptron on MNIST with wgpu, with and without dropout side by side.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Options {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub compare: CompareOptions,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train with and without dropout (the default)
    Compare(CompareOptions),
    /// Train one network; save it, or continue from a saved one
    Train(TrainOptions),
    /// Choose the hidden rate by validation images, then test it once
    Sweep(SweepOptions),
    /// Monte-Carlo dropout: how certain the network is of rotated digits
    MonteCarlo(MonteCarloOptions),
}

/// Options of every run.
#[derive(Clone, Debug, Args)]
pub struct Setup {
    /// Folder of the four IDX files, plain or .gz [default: the repository's 1,000 training and
    /// 1,000 test images]
    #[arg(long, value_name = "DIR", default_value = BUNDLED, hide_default_value = true)]
    pub data: PathBuf,
    /// Number of training images, the first ones of the file
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(10..))]
    pub train_images: u32,
    /// Widths of the hidden layers
    #[arg(long, value_name = "WIDTHS", value_delimiter = ',', default_value = "512,512",
        value_parser = clap::value_parser!(u32).range(1..=2048))]
    pub hidden: Vec<u32>,
    /// Examples in a step
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub batch: u32,
    /// Number of passes over the training images
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub epochs: u32,
    /// Learning rate of Adam
    #[arg(long, value_name = "X", default_value_t = 1e-3, value_parser = number,
        allow_negative_numbers = true)]
    pub learning_rate: f64,
    /// Add LAMBDA times the sum of the weights' magnitudes to the loss (not of the biases)
    #[arg(long, value_name = "LAMBDA", default_value_t = 0.0, value_parser = number,
        allow_negative_numbers = true)]
    pub l1: f64,
    /// Add LAMBDA / 2 times the sum of the squared weights to the loss (not of the biases; coupled,
    /// unlike AdamW)
    #[arg(long, value_name = "LAMBDA", default_value_t = 0.0, value_parser = number,
        allow_negative_numbers = true)]
    pub l2: f64,
    /// Stop when the validation loss has not improved for this many epochs, and keep the weights of
    /// the best epoch; the last fifth of the training images validates and is not trained on
    #[arg(long, value_name = "PATIENCE", value_parser = clap::value_parser!(u32).range(1..))]
    pub early_stopping: Option<u32>,
    /// Seed of weights, orders and masks
    #[arg(long, value_name = "N", default_value_t = 42)]
    pub seed: u64,
}

#[derive(Clone, Copy, Debug, Args)]
pub struct Rates {
    /// Probability of dropping a pixel
    #[arg(long, value_name = "P", default_value = "0.2", value_parser = rate, allow_negative_numbers = true)]
    pub input_rate: DropoutRate,
    /// Probability of dropping a hidden unit
    #[arg(long, value_name = "P", default_value = "0.5", value_parser = rate, allow_negative_numbers = true)]
    pub hidden_rate: DropoutRate,
}

#[derive(Debug, Args)]
pub struct CompareOptions {
    #[command(flatten)]
    pub setup: Setup,
    #[command(flatten)]
    pub rates: Rates,
    /// Number of seeds to train with, from --seed on; the table has their means
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub seeds: u32,
    /// Draw the losses and accuracies by epoch into this file
    #[arg(long, value_name = "FILE.svg", value_parser = OsStringValueParser::new().try_map(writable))]
    pub plot: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct TrainOptions {
    #[command(flatten)]
    pub setup: Setup,
    #[command(flatten)]
    pub rates: Rates,
    /// Continue from this file, up to --epochs in all
    #[arg(long, value_name = "FILE", conflicts_with = "early_stopping")]
    pub resume: Option<PathBuf>,
    /// Save weights, moments and the epoch to this file
    #[arg(long, value_name = "FILE", value_parser = OsStringValueParser::new().try_map(writable), conflicts_with = "early_stopping")]
    pub save: Option<PathBuf>,
}

/// The search of a sweep for the best rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Search {
    /// Train each rate for all epochs
    Grid,
    /// Successive halving: train each rate for a few epochs, then the better half for twice as
    /// many, and so on
    Halving,
}

#[derive(Debug, Args)]
pub struct SweepOptions {
    #[command(flatten)]
    pub setup: Setup,
    /// Search for the best rate; the last fifth of the training images validates
    #[arg(long, value_enum, default_value = "grid")]
    pub search: Search,
    /// Probability of dropping a pixel
    #[arg(long, value_name = "P", default_value = "0.2", value_parser = rate, allow_negative_numbers = true)]
    pub input_rate: DropoutRate,
    /// Hidden rates to compare
    #[arg(long, value_name = "RATES", value_delimiter = ',', value_parser = rate,
        default_value = "0.0,0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8")]
    pub rates: Vec<DropoutRate>,
    /// Number of runs for each rate, with seeds from --seed on
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub seeds: u32,
    /// Draw validation loss and accuracy by rate into this file
    #[arg(long, value_name = "FILE.svg", value_parser = OsStringValueParser::new().try_map(writable))]
    pub plot: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct MonteCarloOptions {
    #[command(flatten)]
    pub setup: Setup,
    #[command(flatten)]
    pub rates: Rates,
    /// Number of networks in the ensemble; each has its own masks for the test set
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    pub members: u32,
    /// Use this saved network instead of training one
    #[arg(long, value_name = "FILE", conflicts_with = "early_stopping")]
    pub resume: Option<PathBuf>,
}

fn rate(text: &str) -> Result<DropoutRate, String> {
    let p = text.parse().map_err(|_| "not a number".to_owned())?;
    DropoutRate::new(p).map_err(|error| error.to_string())
}

fn number(text: &str) -> Result<f64, String> {
    let number: Result<f64, _> = text.parse();
    let number = number
        .ok()
        .filter(|number| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| "give a number from 0 on".to_owned())
}

/// Opens the file before the training, since an error after it would be too late.
fn writable(path: OsString) -> io::Result<PathBuf> {
    let path = PathBuf::from(path);
    let is_new = !path.exists();
    OpenOptions::new().append(true).create(true).open(&path)?;
    if is_new {
        fs::remove_file(&path)?;
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_options_are_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn a_rate_outside_of_0_to_1_names_it() {
        let error = rate("1.5").unwrap_err();
        assert_eq!(
            error,
            "the probability of dropping is 1.5; give a number from 0 to 1"
        );
        assert!(rate("half").is_err());
    }

    #[test]
    fn numbers_are_finite_and_not_negative() {
        assert_eq!(number("0.01"), Ok(0.01));
        for text in ["nan", "inf", "-1", "1e999", "half"] {
            assert!(number(text).is_err(), "{text}");
        }
    }

    #[test]
    fn files_are_tried_before_the_training() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept");
        fs::write(&path, "kept").unwrap();
        assert_eq!(writable(path.clone().into()).unwrap(), path);
        assert_eq!(fs::read_to_string(&path).unwrap(), "kept");
        let new = folder.path().join("new");
        assert_eq!(writable(new.clone().into()).unwrap(), new);
        assert!(!new.exists());
        assert!(writable(folder.path().into()).is_err());
    }
}
