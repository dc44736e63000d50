//! Trains a multi-layer perceptron on MNIST with wgpu alone. Its own kernels are in
//! `examples/shaders`, dropout is this library's, and a step is one compute pass.
//!
//! `cargo run --release --example train_mlp -- --help`

#[path = "../mlp/mod.rs"]
mod mlp;

mod checkpoint;
mod compare;
mod early_stopping;
mod idx;
mod monte_carlo;
mod options;
mod plot;
mod session;
mod statistics;
mod sweep;

use std::time::Instant;

use anyhow::Result;
use clap::Parser;

use options::{Command, Options, Rates, TrainOptions};
use session::Session;

fn main() -> Result<()> {
    let start = Instant::now();
    let options = Options::parse();
    match options.command.unwrap_or(Command::Compare(options.compare)) {
        Command::Compare(options) => compare::run(&options),
        Command::Train(options) => train(&options),
        Command::Sweep(options) => sweep::run(&options),
        Command::MonteCarlo(options) => monte_carlo::run(&options),
    }?;
    println!("\n{:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

fn train(options: &TrainOptions) -> Result<()> {
    let setup = &options.setup;
    let session = Session::open(setup)?;
    println!("{session}");
    let Rates {
        input_rate,
        hidden_rate,
    } = options.rates;
    let run = session.run(input_rate, hidden_rate, setup.seed);
    let first_epoch = match &options.resume {
        Some(path) => run.resume(path)?,
        None => run.start()?,
    };
    let end = run.train_alone(first_epoch)?;
    if let Some(path) = &options.save {
        checkpoint::save(path, &run.settings(), end, &session.mlp.state()?)?;
    }
    let [train, test] = session.scores()?;
    println!("after epoch {end}: train {train}, test {test}");
    Ok(())
}
