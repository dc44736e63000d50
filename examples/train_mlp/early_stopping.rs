//! Stops the training when the validation loss no longer improves.

use anyhow::Result;

/// The best epoch so far, with its state.
pub struct EarlyStopping<T> {
    patience: u32,
    best: Option<Best<T>>,
}

pub struct Best<T> {
    loss: f64,
    pub epoch: u32,
    pub state: T,
}

impl<T> EarlyStopping<T> {
    /// Stops after `patience` epochs without a smaller loss.
    pub fn new(patience: u32) -> Self {
        Self {
            patience,
            best: None,
        }
    }

    /// Returns true if training should stop after an epoch with this `loss`. Calls `state` and
    /// keeps its result if the loss is the smallest so far.
    pub fn stops(
        &mut self,
        epoch: u32,
        loss: f64,
        state: impl FnOnce() -> Result<T>,
    ) -> Result<bool> {
        if self.best.as_ref().is_none_or(|best| loss < best.loss) {
            let state = state()?;
            self.best = Some(Best { loss, epoch, state });
        }
        let best = self.best.as_ref().map_or(epoch, |best| best.epoch);
        Ok(epoch - best >= self.patience)
    }

    pub fn best(self) -> Option<Best<T>> {
        self.best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of epochs until it stops, and the best epoch.
    fn run(patience: u32, losses: &[f64]) -> (usize, u32) {
        let mut stopping = EarlyStopping::new(patience);
        let stops = |(epoch, &loss): (usize, &f64)| {
            let epoch = epoch as u32;
            stopping.stops(epoch, loss, || Ok(epoch)).unwrap()
        };
        let stop = losses
            .iter()
            .enumerate()
            .position(stops)
            .unwrap_or(losses.len());
        let best = stopping.best().unwrap();
        assert_eq!(best.epoch, best.state);
        (stop, best.epoch)
    }

    #[test]
    fn it_waits_for_its_patience_and_keeps_the_best() {
        let losses = [3.0, 2.0, 2.5, 1.0, 1.5, 1.2, 0.5];
        assert_eq!(run(1, &losses), (2, 1));
        assert_eq!(run(2, &losses), (5, 3));
        assert_eq!(run(3, &losses), (7, 6));
    }

    #[test]
    fn the_same_loss_and_no_number_are_no_improvement() {
        assert_eq!(run(2, &[1.0, 1.0, f64::NAN, 0.5]), (2, 0));
    }
}
