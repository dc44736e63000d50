//! The seed and the step that the layers of a model share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use wgpu_dropout::MaskKey;

/// A training run: a seed, and the step it is at.
///
/// The training loop keeps one and sets the step, the layers hold clones and read it. It is not in
/// any record: a program that resumes at step n sets the step to n and has the masks that it would
/// have had.
#[derive(Clone, Debug)]
pub struct TrainingRun {
    seed: u64,
    step: Arc<AtomicU32>,
}

impl TrainingRun {
    /// The run `seed`, at step 0.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            step: Arc::default(),
        }
    }

    /// Moves all clones to `step`. Within one step each layer has one mask, however often it is
    /// called.
    pub fn set_step(&self, step: u32) {
        self.step.store(step, Ordering::Relaxed);
    }

    /// The step that the run is at.
    pub fn step(&self) -> u32 {
        self.step.load(Ordering::Relaxed)
    }

    /// The mask of `layer` at this step.
    pub fn key(&self, layer: u32) -> MaskKey {
        MaskKey::layer_step(self.seed, layer, self.step())
    }
}
