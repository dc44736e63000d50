//! A network's predictions for a set, scored on the host in f64.

/// A row of log-probabilities for each example, in the set's order.
#[derive(Clone, Debug, PartialEq)]
pub struct Predictions {
    pub classes: usize,
    pub log_probabilities: Vec<f32>,
}

/// The mean cross-entropy in nats, and the share of examples whose most probable class is their
/// label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    pub loss: f64,
    pub accuracy: f64,
}

impl Predictions {
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.log_probabilities.chunks_exact(self.classes)
    }

    pub fn score(&self, labels: &[u8]) -> Score {
        let mut loss = 0.0;
        let mut hits = 0;
        for (row, &label) in self.rows().zip(labels) {
            let label = usize::from(label);
            loss -= f64::from(row[label]);
            hits += usize::from(row.iter().all(|&other| other <= row[label]));
        }
        let len = labels.len() as f64;
        Score {
            loss: loss / len,
            accuracy: hits as f64 / len,
        }
    }
}
