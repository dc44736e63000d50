//! Means and spreads over seeds.

use std::fmt;

/// A mean, and the standard deviation of the sample if it has two values or more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    pub mean: f64,
    pub deviation: Option<f64>,
}

impl Summary {
    pub fn of(samples: &[f64]) -> Self {
        let len = samples.len() as f64;
        let mean = samples.iter().sum::<f64>() / len;
        let squares: f64 = samples.iter().map(|sample| (sample - mean).powi(2)).sum();
        Self {
            mean,
            deviation: (samples.len() > 1).then(|| (squares / (len - 1.0)).sqrt()),
        }
    }

    /// The summary in units of `unit`, with `decimals` digits after the point.
    pub fn text(self, unit: f64, decimals: usize) -> String {
        let mean = self.mean / unit;
        match self.deviation {
            Some(deviation) => format!("{mean:.decimals$} ± {:.decimals$}", deviation / unit),
            None => format!("{mean:.decimals$}"),
        }
    }
}

impl fmt::Display for crate::mlp::predictions::Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "loss {:.4}, accuracy {:.2} %",
            self.loss,
            100.0 * self.accuracy
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deviation_is_the_sample_s() {
        let summary = Summary::of(&[1.0, 2.0, 3.0]);
        assert_eq!(summary.text(1.0, 1), "2.0 ± 1.0");
        assert_eq!(Summary::of(&[0.5]).text(0.01, 0), "50");
    }
}
