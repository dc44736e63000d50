//! Trains a small GPT on Shakespeare's sonnets with wgpu alone. The library's operations run at
//! each site with dropout, the example's own kernels do the rest, and a step is one command buffer.
//!
//! `cargo run --release --example transformer_block -- --help`

mod gpt;
mod network;
mod plot;
mod sites;
mod tape;
#[cfg(test)]
mod tests;
mod text;

/// The checkpoint module of `train_mlp`. Its epochs are steps here.
#[path = "../train_mlp/checkpoint.rs"]
mod checkpoint;
#[allow(dead_code, reason = "the perceptron opens its device there")]
#[path = "../mlp/device.rs"]
mod device;
#[allow(dead_code, reason = "the perceptron's kernels stand there too")]
#[path = "../mlp/kernels.rs"]
mod kernels;
#[path = "../own_kernels/mod.rs"]
mod own_kernels;
#[cfg(test)]
mod parts;
#[allow(dead_code, reason = "the perceptron shuffles examples")]
#[path = "../mlp/random.rs"]
mod random;
#[path = "../mlp/steps.rs"]
mod steps;

/// The module in which `checkpoint` looks for a run's state.
mod mlp {
    /// The parameters, Adam's first moments and Adam's second moments.
    #[derive(Clone, Debug, PartialEq)]
    pub struct State(pub [Vec<f32>; 3]);
}

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use comfy_table::Table;
use indicatif::{ProgressBar, ProgressStyle};
use wgpu_dropout::{DropoutRate, MaskKey};

use network::{CHUNK, Device, Network};
use text::Text;

/// Number of samples in a step.
const BATCH: u32 = 8;
/// Number of batches for each loss in the table.
const EVALUATED: u32 = 8;
const LEARNING_RATE: f64 = 2e-3;

/// Trains a small GPT on Shakespeare's sonnets, with dropout fused at every site.
#[derive(Debug, Parser)]
struct Options {
    /// Probability of dropping; 0 trains without dropout
    #[arg(long, value_name = "P", default_value = "0.1", value_parser = rate, allow_negative_numbers = true)]
    rate: DropoutRate,
    /// Run bias, activation, softmax, norm, addition and dropout as separate passes
    #[arg(long)]
    unfused: bool,
    /// Total number of steps
    #[arg(long, value_name = "N", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    steps: u32,
    /// Number of steps between two rows of the table
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    every: u32,
    /// Seed of weights, batches and masks
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,
    /// Continue from this file, up to --steps in all
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// Save weights, moments and the step to this file
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Draw both losses into this file
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
}

/// The losses, without dropout, after `step` steps.
struct Row {
    step: u32,
    train: f64,
    validation: f64,
}

fn rate(text: &str) -> Result<DropoutRate, String> {
    let p = text.parse().map_err(|_| "not a number".to_owned())?;
    DropoutRate::new(p).map_err(|error| error.to_string())
}

fn main() -> Result<()> {
    let start = Instant::now();
    let options = Options::parse();
    for path in options.save.iter().chain(&options.plot) {
        writable(path)?;
    }
    let text = Text::sonnets();
    let device = Device::open()?;
    let network = Network::new(&device, BATCH, !options.unfused, LEARNING_RATE)?;
    let settings = format!(
        "rate={} unfused={} learning_rate={LEARNING_RATE} batch={BATCH} seed={}",
        options.rate.p(),
        options.unfused,
        options.seed
    );
    let mut step = 0;
    match &options.resume {
        Some(path) => {
            let state;
            (step, state) = checkpoint::load(path, &settings)?;
            network.restore(&state)?;
        }
        None => network.initialize(options.seed)?,
    }
    ensure!(
        step < options.steps,
        "the saved run has {step} steps already and --steps is {}: give more",
        options.steps
    );
    let (dispatches, bytes) = network.cost(options.rate);
    println!(
        "{} parameters on {}; a step has {} characters, {dispatches} dispatches, {:.1} MB",
        gpt::PARAMETERS,
        device.adapter,
        BATCH * gpt::CONTEXT,
        bytes as f64 / 1e6
    );

    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} steps, {eta} left  {msg}")?;
    let bar = ProgressBar::new(options.steps.into()).with_style(style);
    bar.set_position(step.into());
    let evaluated = [&text.train, &text.validation].map(|set| text::spread(set, EVALUATED, BATCH));
    let losses = |step| {
        let [train, validation] = evaluated
            .each_ref()
            .map(|set| network.evaluate(set, DropoutRate::ZERO, |_| MaskKey::new(0, 0)));
        let mean = |losses: Vec<f64>| losses.iter().sum::<f64>() / f64::from(EVALUATED);
        anyhow::Ok(Row {
            step,
            train: mean(train?),
            validation: mean(validation?),
        })
    };
    let mut rows = Vec::new();
    // The first chunk is not timed, since it compiles the pipelines.
    let (mut timed, mut trained) = (0, Duration::ZERO);
    let first = step;
    while step < options.steps {
        let next_row = (step / options.every + 1) * options.every;
        let end = (step + CHUNK).min(next_row).min(options.steps);
        let batches = (step..end).map(|step| text.batch(options.seed, step, BATCH));
        let batches: Vec<_> = batches.collect::<Result<_>>()?;
        let begin = Instant::now();
        let last = network.train(&batches, step, options.rate, |i, step| {
            MaskKey::layer_step(options.seed, i, step)
        })?;
        if step > first {
            trained += begin.elapsed();
            timed += end - step;
        }
        step = end;
        bar.set_position(step.into());
        bar.set_message(format!("loss {:.3}", last[last.len() - 1]));
        if step == next_row || step == options.steps {
            rows.push(losses(step)?);
        }
    }
    bar.finish_and_clear();

    let mut table = Table::new();
    table.set_header(["step", "train loss", "validation loss"]);
    for row in &rows {
        let losses = [row.train, row.validation].map(|loss| format!("{loss:.4}"));
        table.add_row([vec![row.step.to_string()], losses.to_vec()].concat());
    }
    println!("{table}");
    if timed > 0 {
        let step_ms = 1e3 * trained.as_secs_f64() / f64::from(timed);
        println!(
            "{step_ms:.0} ms a step, {:.0} s in all",
            start.elapsed().as_secs_f64()
        );
    }
    if let Some(path) = &options.plot {
        plot::losses(path, &rows)?;
    }
    if let Some(path) = &options.save {
        checkpoint::save(path, &settings, step, &network.state()?)?;
    }
    Ok(())
}

/// Opens the file before the training, since an error after it would be too late.
fn writable(path: &Path) -> Result<()> {
    let file = OpenOptions::new().append(true).create(true).open(path);
    file.map(drop).with_context(|| path.display().to_string())
}
