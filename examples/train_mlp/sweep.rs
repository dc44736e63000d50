//! The hidden rate from none to most.

use anyhow::Result;
use comfy_table::{Table, presets};

use crate::mlp::predictions::Score;
use crate::options::SweepOptions;
use crate::plot;
use crate::session::{Session, progress};
use crate::statistics::Summary;

/// The test scores of a rate, one a seed.
pub struct Point {
    pub rate: f64,
    pub scores: Vec<Score>,
}

impl Point {
    pub fn summary(&self, value: fn(&Score) -> f64) -> Summary {
        Summary::of(&self.scores.iter().map(value).collect::<Vec<_>>())
    }
}

pub fn run(options: &SweepOptions) -> Result<()> {
    let setup = &options.setup;
    let session = Session::open(setup)?;
    println!("{session}");
    let runs = options.rates.len() as u64 * u64::from(options.seeds);
    let bar = progress(runs * u64::from(setup.epochs))?;
    let mut points = Vec::new();
    for &hidden in &options.rates {
        let mut scores = Vec::new();
        for seed in (0..options.seeds).map(|i| setup.seed.wrapping_add(i.into())) {
            bar.set_message(format!("hidden rate {}", hidden.p()));
            let run = session.run(options.input_rate, hidden, seed);
            run.train(run.start()?, |_| {
                bar.inc(1);
                Ok(())
            })?;
            let [_, test] = session.scores()?;
            scores.push(test);
        }
        points.push(Point {
            rate: hidden.p(),
            scores,
        });
    }
    bar.finish_and_clear();
    println!(
        "input rate {}, {} epochs, {} seeds: mean and standard deviation\n",
        options.input_rate.p(),
        setup.epochs,
        options.seeds
    );
    println!("{}", table(&points).trim_fmt());
    if let Some(path) = &options.plot {
        plot::sweep(path, &points)?;
    }
    Ok(())
}

fn table(points: &[Point]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header([
        "hidden rate",
        "test loss",
        "test accuracy, %",
    ]);
    for point in points {
        table.add_row([
            point.rate.to_string(),
            point.summary(|score| score.loss).text(1.0, 4),
            point.summary(|score| score.accuracy).text(0.01, 2),
        ]);
    }
    table
}
