//! Monte-Carlo dropout (Gal and Ghahramani 2016): dropout stays on at inference, and an ensemble of
//! masks shows how certain the network is. Rotated digits are unlike those it was trained on.

use anyhow::Result;
use comfy_table::{Table, presets};
use wgpu_dropout::MaskKey;

use crate::mlp::Examples;
use crate::mlp::predictions::Predictions;
use crate::options::{MonteCarloOptions, Rates};
use crate::session::{Run, Session};

const DEGREES: [u32; 7] = [0, 15, 30, 45, 60, 75, 90];

/// Layer numbers of the members' streams begin here. Those of training count from 0.
const FIRST_LAYER: u32 = 1 << 16;

pub fn run(options: &MonteCarloOptions) -> Result<()> {
    let setup = &options.setup;
    let session = Session::open(setup)?;
    println!("{session}");
    let Rates {
        input_rate,
        hidden_rate,
    } = options.rates;
    let run = session.run(input_rate, hidden_rate, setup.seed);
    match &options.resume {
        Some(path) => run.resume(path)?,
        None => run.train_alone(run.start()?)?,
    };
    println!(
        "{} members; entropies in nats, means over the test set; ln {} = {:.3} is the most\n",
        options.members,
        session.data.classes(),
        f64::from(session.data.classes()).ln()
    );
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header([
        "rotated by",
        "accuracy, %",
        "entropy without dropout",
        "predictive entropy",
        "mutual information",
    ]);
    for degrees in DEGREES {
        let images = rotated(&session.data.test, session.data.shape, f64::from(degrees));
        let set = session.mlp.upload(&images)?;
        let plain = session.mlp.evaluate(&set)?;
        let ensemble = ensemble(&session, &run, &images, options.members)?;
        table.add_row([
            format!("{degrees}°"),
            format!("{:.1}", 100.0 * ensemble.accuracy),
            format!(
                "{:.3}",
                mean(plain.rows().map(entropy_of_logarithms), images.len())
            ),
            format!("{:.3}", ensemble.predictive_entropy),
            format!("{:.3}", ensemble.mutual_information),
        ]);
    }
    println!("{}", table.trim_fmt());
    Ok(())
}

struct Ensemble {
    accuracy: f64,
    /// The entropy of the members' mean probabilities.
    predictive_entropy: f64,
    /// The predictive entropy minus the mean entropy of the single members: how much they disagree.
    mutual_information: f64,
}

/// Runs an ensemble. A member has its own streams, so member k has the same masks on every set of
/// this size.
fn ensemble(
    session: &Session<'_>,
    run: &Run<'_>,
    images: &Examples,
    members: u32,
) -> Result<Ensemble> {
    let set = session.mlp.upload(images)?;
    let classes = session.data.classes() as usize;
    let mut probabilities = vec![0.0; images.labels.len() * classes];
    let mut own_entropy = 0.0;
    for member in 0..members {
        let predictions = session.mlp.predict(&set, &run.rates, |layer| {
            MaskKey::layer_step(run.seed, FIRST_LAYER + layer, member)
        })?;
        own_entropy += mean(predictions.rows().map(entropy_of_logarithms), images.len());
        for (sum, &log) in probabilities.iter_mut().zip(&predictions.log_probabilities) {
            *sum += f64::from(log).exp() / f64::from(members);
        }
    }
    let entropies = probabilities.chunks_exact(classes).map(entropy);
    let predictive_entropy = mean(entropies, images.len());
    let mixture = Predictions {
        classes,
        log_probabilities: probabilities.iter().map(|p| p.ln() as f32).collect(),
    };
    Ok(Ensemble {
        accuracy: mixture.score(&images.labels).accuracy,
        predictive_entropy,
        mutual_information: predictive_entropy - own_entropy / f64::from(members),
    })
}

/// The entropy, in nats, of probabilities that are given as natural logarithms.
fn entropy_of_logarithms(logarithms: &[f32]) -> f64 {
    let probabilities: Vec<_> = logarithms.iter().map(|&log| f64::from(log).exp()).collect();
    entropy(&probabilities)
}

fn entropy(probabilities: &[f64]) -> f64 {
    let positive = probabilities.iter().filter(|&&p| p > 0.0);
    -positive.map(|p| p * p.ln()).sum::<f64>()
}

fn mean(values: impl Iterator<Item = f64>, len: u32) -> f64 {
    values.sum::<f64>() / f64::from(len)
}

/// Rotates each image anticlockwise about its centre, with bilinear interpolation between pixels.
fn rotated(images: &Examples, [rows, columns]: [u32; 2], degrees: f64) -> Examples {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let middle = [rows, columns].map(|size| f64::from(size - 1) / 2.0);
    let mut bytes = Vec::with_capacity(images.bytes.len());
    for image in images.bytes.chunks_exact(images.features as usize) {
        let pixel = |row: f64, column: f64| {
            let inside = (0.0..f64::from(rows)).contains(&row)
                && (0.0..f64::from(columns)).contains(&column);
            let at = || image[row as usize * columns as usize + column as usize];
            if inside { f64::from(at()) } else { 0.0 }
        };
        for row in 0..rows {
            for column in 0..columns {
                let (y, x) = (f64::from(row) - middle[0], f64::from(column) - middle[1]);
                let (y, x) = (middle[0] + cos * y + sin * x, middle[1] + cos * x - sin * y);
                let (top, left) = (y.floor(), x.floor());
                let (down, right) = (y - top, x - left);
                let upper = (1.0 - right) * pixel(top, left) + right * pixel(top, left + 1.0);
                let lower =
                    (1.0 - right) * pixel(top + 1.0, left) + right * pixel(top + 1.0, left + 1.0);
                bytes.push(((1.0 - down) * upper + down * lower).round() as u8);
            }
        }
        bytes.resize(bytes.len().next_multiple_of(images.features as usize), 0);
    }
    Examples {
        bytes,
        ..images.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_turn_is_anticlockwise_and_exact() {
        let image = Examples {
            features: 4,
            bytes: vec![1, 2, 3, 4],
            labels: vec![0],
        };
        assert_eq!(rotated(&image, [2, 2], 0.0), image);
        assert_eq!(rotated(&image, [2, 2], 90.0).bytes, [2, 4, 1, 3]);
    }

    #[test]
    fn entropy_is_most_where_all_classes_are_alike() {
        assert!((entropy(&[0.25; 4]) - 4f64.ln()).abs() < 1e-15);
        assert_eq!(entropy(&[0.0, 1.0]), 0.0);
        assert!((entropy_of_logarithms(&[0.5f32.ln(); 2]) - 2f64.ln()).abs() < 1e-7);
    }
}
