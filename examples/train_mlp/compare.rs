//! Trains with and without dropout and shows both side by side.

use anyhow::Result;
use comfy_table::{Table, presets};
use wgpu_dropout::DropoutRate;

use crate::mlp::predictions::Score;
use crate::options::{CompareOptions, Rates};
use crate::plot;
use crate::session::{Session, progress};
use crate::statistics::Summary;

/// About how many epochs the table shows.
const ROWS: usize = 8;

/// One run of training.
pub struct Curve {
    /// Scores of the training and the test set after each epoch.
    pub epochs: Vec<[Score; 2]>,
    /// Scores of the weights that the run ended with.
    end: [Score; 2],
    /// Number of epochs behind these weights.
    kept: u32,
}

pub fn run(options: &CompareOptions) -> Result<()> {
    let setup = &options.setup;
    let session = Session::open(setup)?;
    println!("{session}");
    let bar = progress(2 * u64::from(options.seeds) * u64::from(setup.epochs))?;
    let mut curves = [Vec::new(), Vec::new()];
    let Rates {
        input_rate,
        hidden_rate,
    } = options.rates;
    let rates = [[DropoutRate::ZERO; 2], [input_rate, hidden_rate]];
    for (curves, [input, hidden]) in curves.iter_mut().zip(rates) {
        for seed in (0..options.seeds).map(|i| setup.seed.wrapping_add(i.into())) {
            let run = session.run(input, hidden, seed);
            let mut epochs = Vec::new();
            let kept = run.train(run.start()?, |_| {
                epochs.push(session.scores()?);
                bar.inc(1);
                Ok(())
            })?;
            curves.push(Curve {
                epochs,
                end: session.scores()?,
                kept,
            });
        }
    }
    bar.finish_and_clear();
    println!(
        "dropout: {} of the pixels, {} of the hidden units\n",
        input_rate.p(),
        hidden_rate.p()
    );
    println!("{}\n", by_epoch(&curves).trim_fmt());
    println!("{}", at_the_end(&curves).trim_fmt());
    if let Some(path) = &options.plot {
        plot::compare(path, &curves)?;
    }
    Ok(())
}

/// The means by epoch, over those seeds whose runs reached the epoch.
fn by_epoch(curves: &[Vec<Curve>; 2]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header([
        "epoch",
        "train loss without",
        "with dropout",
        "test loss without",
        "with dropout",
        "test accuracy % without",
        "with dropout",
    ]);
    let lengths = curves.iter().flatten().map(|curve| curve.epochs.len());
    let epochs = lengths.max().unwrap_or(0);
    let every = epochs.div_ceil(ROWS);
    for epoch in (1..=epochs).filter(|&epoch| epoch == 1 || epoch % every == 0 || epoch == epochs) {
        let mean = |curves: &[Curve], value: fn(&[Score; 2]) -> f64, unit: f64, decimals: usize| {
            let reached = |curve: &Curve| curve.epochs.get(epoch - 1).map(value);
            let values: Vec<_> = curves.iter().filter_map(reached).collect();
            if values.is_empty() {
                String::new()
            } else {
                format!("{:.decimals$}", Summary::of(&values).mean / unit)
            }
        };
        let mut row = vec![epoch.to_string()];
        row.extend(
            curves
                .iter()
                .map(|curves| mean(curves, |[train, _]| train.loss, 1.0, 4)),
        );
        row.extend(
            curves
                .iter()
                .map(|curves| mean(curves, |[_, test]| test.loss, 1.0, 4)),
        );
        row.extend(
            curves
                .iter()
                .map(|curves| mean(curves, |[_, test]| test.accuracy, 0.01, 2)),
        );
        table.add_row(row);
    }
    table
}

/// Scores at the end of the runs: mean and standard deviation over the seeds.
fn at_the_end(curves: &[Vec<Curve>; 2]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::ASCII_MARKDOWN)
        .set_header(["at the end", "without", "with dropout"]);
    let mut row = |name: &str, value: fn(&Curve) -> f64, unit: f64, decimals: usize| {
        let cell = |curves: &Vec<Curve>| {
            let values: Vec<_> = curves.iter().map(value).collect();
            Summary::of(&values).text(unit, decimals)
        };
        let [without, with] = curves.each_ref().map(cell);
        table.add_row([name.to_owned(), without, with]);
    };
    row("train loss", |curve| curve.end[0].loss, 1.0, 4);
    row("test loss", |curve| curve.end[1].loss, 1.0, 4);
    row("train accuracy, %", |curve| curve.end[0].accuracy, 0.01, 2);
    row("test accuracy, %", |curve| curve.end[1].accuracy, 0.01, 2);
    row("epochs", |curve| curve.kept.into(), 1.0, 0);
    table
}
