//! Trains a small GPT on Shakespeare's sonnets with wgpu alone: the library's operations at every site where it
//! drops, kernels of its own for the rest, one command buffer a step.
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

/// The checkpoint of `train_mlp`. Its epochs are steps here.
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

/// Where `checkpoint` looks for a run's state.
mod mlp {
    /// Parameters, Adam's first and its second moments.
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

/// Samples of a step.
const BATCH: u32 = 8;
/// Batches of the losses that are shown.
const EVALUATED: u32 = 8;
const LEARNING_RATE: f64 = 2e-3;

/// Trains a small GPT on Shakespeare's sonnets, with dropout fused at every site.
#[derive(Debug, Parser)]
struct Options {
    /// Probability of dropping; 0 trains without dropout
    #[arg(long, value_name = "P", default_value = "0.1", value_parser = rate, allow_negative_numbers = true)]
    rate: DropoutRate,
    /// Run bias, activation, softmax, norm, addition and dropout each in a pass of its own
    #[arg(long)]
    unfused: bool,
    /// Steps in all
    #[arg(long, value_name = "N", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    steps: u32,
    /// Steps between two rows of the table
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    every: u32,
    /// Decides weights, batches and masks
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,
    /// Go on from here, up to --steps in all
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// Keep weights, moments and the step here
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Draw both losses
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
}

/// Losses without dropout after so many steps.
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
        "{step} steps are done and --steps is {}: give more",
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
    // Without the first chunk, which compiles the pipelines.
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

/// Tried, since to learn of a wrong path after the training is too late.
fn writable(path: &Path) -> Result<()> {
    let file = OpenOptions::new().append(true).create(true).open(path);
    file.map(drop).with_context(|| path.display().to_string())
}
