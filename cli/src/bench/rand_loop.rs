//! What a user would write in a minute: a loop over rand's fast generator, a bool an element.

use anyhow::{Result, ensure};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rayon::ThreadPool;
use wgpu_dropout::{DropoutCall, DropoutRate};

use super::cpu::CpuTensors;
use super::measure::{Operation, Place, Subject, Time};

/// Forward alone: for the backward such a loop keeps a mask, or rewinds.
pub struct RandLoop<'a> {
    /// Of one thread.
    pool: &'a ThreadPool,
    tensors: &'a CpuTensors,
    rate: DropoutRate,
}

impl<'a> RandLoop<'a> {
    /// `input` is that of each pair.
    pub fn new(
        pool: &'a ThreadPool,
        tensors: &'a CpuTensors,
        input: &[f32],
        call: &DropoutCall,
    ) -> Result<Self> {
        let rand_loop = Self {
            pool,
            tensors,
            rate: call.rate,
        };
        rand_loop.verify(input)?;
        Ok(rand_loop)
    }

    /// The mask is the loop's own: only that it drops or scales can be checked.
    fn verify(&self, input: &[f32]) -> Result<()> {
        self.time(Operation::Forward)?;
        let keep_scale = self.rate.keep_scale();
        let output = self.tensors.first_output();
        ensure!(
            input
                .iter()
                .zip(output)
                .all(|(x, y)| y == 0.0 || y == x * keep_scale),
            "{}: a value is neither dropped nor scaled",
            self.place()
        );
        Ok(())
    }
}

impl Subject for RandLoop<'_> {
    fn place(&self) -> Place {
        Place::RandLoop
    }

    fn operations(&self) -> &'static [Operation] {
        &[Operation::Forward]
    }

    fn time(&self, _: Operation) -> Result<Time> {
        let (p, keep_scale) = (self.rate.p(), self.rate.keep_scale());
        self.tensors.time(self.pool, |input, output| {
            let mut rng = SmallRng::seed_from_u64(42);
            for (y, x) in output.iter_mut().zip(input) {
                *y = if rng.random_bool(p) {
                    0.0
                } else {
                    x * keep_scale
                };
            }
            Ok(())
        })
    }

    fn first_output(&self) -> Result<Vec<f32>> {
        Ok(self.tensors.first_output())
    }
}
