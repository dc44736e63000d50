//! Chooses the hidden rate as one does in practice: by images that are neither trained on nor
//! tested.

use anyhow::{Result, ensure};
use comfy_table::{Table, presets};
use indicatif::ProgressBar;
use wgpu_dropout::DropoutRate;

use crate::mlp::State;
use crate::mlp::predictions::Score;
use crate::options::{Search, SweepOptions};
use crate::plot;
use crate::session::{Session, progress};
use crate::statistics::Summary;

/// A rate and its results so far.
pub struct Point {
    pub rate: DropoutRate,
    /// The validation score of each seed.
    pub scores: Vec<Score>,
    /// Number of epochs that the runs have trained.
    epochs: u32,
    /// The state of each seed's run, from which it continues.
    states: Vec<State>,
}

impl Point {
    pub fn summary(&self, value: fn(&Score) -> f64) -> Summary {
        Summary::of(&self.scores.iter().map(value).collect::<Vec<_>>())
    }

    fn loss(&self) -> f64 {
        self.summary(|score| score.loss).mean
    }
}

pub fn run(options: &SweepOptions) -> Result<()> {
    let setup = &options.setup;
    ensure!(
        options.search == Search::Grid || setup.early_stopping.is_none(),
        "--search halving decides when a run stops: leave --early-stopping out"
    );
    let rungs = rungs(options.search, options.rates.len(), setup.epochs);
    let search = Session::open_for(setup, true)?;
    println!("{search}");
    let bar = progress(epochs(&rungs, options.rates.len()) * u64::from(options.seeds))?;
    let points = choose(options, &search, &rungs, &bar)?;
    bar.finish_and_clear();
    println!(
        "input rate {}, {} seeds: mean and standard deviation of the validation images\n",
        options.input_rate.p(),
        options.seeds
    );
    println!("{}", table(&points).trim_fmt());
    if let Some(path) = &options.plot {
        plot::sweep(path, &points)?;
    }
    drop(search);

    let Some(best) = best(&points) else {
        return Ok(());
    };
    // Trains on the validation images too, since they are no longer needed for validation.
    let session = Session::open(setup)?;
    let mut scores = Vec::new();
    for seed in seeds(options) {
        let run = session.run(options.input_rate, best.rate, seed);
        run.train_alone(run.start()?)?;
        let [_, test] = session.scores()?;
        scores.push(test);
    }
    let summary =
        |value: fn(&Score) -> f64| Summary::of(&scores.iter().map(value).collect::<Vec<_>>());
    println!(
        "\nhidden rate {}, trained on all: test loss {}, test accuracy {} %",
        best.rate.p(),
        summary(|score| score.loss).text(1.0, 4),
        summary(|score| score.accuracy).text(0.01, 2)
    );
    Ok(())
}

fn seeds(options: &SweepOptions) -> impl Iterator<Item = u64> {
    let first = options.setup.seed;
    (0..options.seeds).map(move |i| first.wrapping_add(i.into()))
}

/// The epochs after which rates are compared. Halving begins with so few epochs that the last two
/// rates train for all of them (Jamieson and Talwalkar, AISTATS 2016).
fn rungs(search: Search, rates: usize, epochs: u32) -> Vec<u32> {
    let halvings = match search {
        Search::Grid => 0,
        Search::Halving => rates
            .max(1)
            .ilog2()
            .saturating_sub(u32::from(rates.is_power_of_two())),
    };
    let mut rungs: Vec<_> = (0..=halvings).map(|i| (epochs >> i).max(1)).collect();
    rungs.reverse();
    rungs.dedup();
    rungs
}

/// The number of rates that go on after a comparison of `rates` rates.
fn better_half(rates: usize) -> usize {
    rates.div_ceil(2)
}

/// The total number of epochs for one seed.
fn epochs(rungs: &[u32], mut rates: usize) -> u64 {
    let mut before = 0;
    let mut sum = 0;
    for &rung in rungs {
        sum += rates as u64 * u64::from(rung - before);
        (before, rates) = (rung, better_half(rates));
    }
    sum
}

/// Trains and compares. Returns the rates in the order in which they were given.
fn choose(
    options: &SweepOptions,
    session: &Session<'_>,
    rungs: &[u32],
    bar: &ProgressBar,
) -> Result<Vec<Point>> {
    let mut running: Vec<_> = options
        .rates
        .iter()
        .map(|&rate| Point {
            rate,
            scores: Vec::new(),
            epochs: 0,
            states: Vec::new(),
        })
        .collect();
    let mut done = Vec::new();
    for &rung in rungs {
        for point in &mut running {
            bar.set_message(format!("hidden rate {}", point.rate.p()));
            let (mut scores, mut states) = (Vec::new(), Vec::new());
            for (i, seed) in seeds(options).enumerate() {
                let run = session.run(options.input_rate, point.rate, seed);
                match point.states.get(i) {
                    Some(state) => session.mlp.restore(state)?,
                    None => {
                        run.start()?;
                    }
                }
                run.train_epochs(point.epochs..rung, |_| {
                    bar.inc(1);
                    Ok(())
                })?;
                scores.push(session.validation_score()?);
                if Some(&rung) != rungs.last() {
                    states.push(session.mlp.state()?);
                }
            }
            (point.scores, point.states, point.epochs) = (scores, states, rung);
        }
        if Some(&rung) != rungs.last() {
            running.sort_by(|a, b| a.loss().total_cmp(&b.loss()));
            done.extend(running.split_off(better_half(running.len())));
        }
    }
    running.extend(done);
    let place = |point: &Point| options.rates.iter().position(|rate| *rate == point.rate);
    running.sort_by_key(place);
    Ok(running)
}

/// The rate with the smallest loss among those that trained longest.
fn best(points: &[Point]) -> Option<&Point> {
    let longest = points.iter().map(|point| point.epochs).max()?;
    let finalists = points.iter().filter(|point| point.epochs == longest);
    finalists.min_by(|a, b| a.loss().total_cmp(&b.loss()))
}

fn table(points: &[Point]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header([
        "hidden rate",
        "epochs",
        "validation loss",
        "validation accuracy, %",
    ]);
    for point in points {
        table.add_row([
            point.rate.p().to_string(),
            point.epochs.to_string(),
            point.summary(|score| score.loss).text(1.0, 4),
            point.summary(|score| score.accuracy).text(0.01, 2),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halving_doubles_the_epochs_until_two_rates_are_left() {
        assert_eq!(rungs(Search::Halving, 9, 40), [5, 10, 20, 40]);
        assert_eq!(rungs(Search::Halving, 8, 40), [10, 20, 40]);
        assert_eq!(rungs(Search::Halving, 2, 40), [40]);
        assert_eq!(rungs(Search::Halving, 1, 40), [40]);
        assert_eq!(rungs(Search::Halving, 9, 2), [1, 2]);
        assert_eq!(rungs(Search::Grid, 9, 40), [40]);
        // The rounds have 9, 5, 3 and 2 rates.
        assert_eq!(epochs(&[5, 10, 20, 40], 9), 45 + 25 + 30 + 40);
        assert_eq!(epochs(&[40], 9), 360);
    }

    #[test]
    fn the_best_rate_is_one_that_was_trained_longest() {
        let point = |p, epochs, loss| Point {
            rate: DropoutRate::new(p).unwrap(),
            scores: vec![Score {
                loss,
                accuracy: 0.5,
            }],
            epochs,
            states: Vec::new(),
        };
        let points = [point(0.1, 5, 0.1), point(0.2, 40, 0.3), point(0.3, 40, 0.2)];
        assert_eq!(
            best(&points).map(|point| point.rate.p()),
            Some(points[2].rate.p())
        );
        assert!(best(&[]).is_none());
    }
}
