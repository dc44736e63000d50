//! The simplest loop that a user might write: rand's fast generator, and a bool for each element.

use std::rc::Rc;

use anyhow::{Result, ensure};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rayon::ThreadPool;
use wgpu_dropout::{DropoutCall, Element};

use super::buffers::Buffers;
use super::cpu::CpuTensors;
use super::measure::{Operation, Place, Subject, Time};

/// Only the forward. For backward such a loop would keep a mask, or rewind its generator.
pub struct RandLoop<'a, T> {
    /// A pool of one thread.
    pool: &'a ThreadPool,
    tensors: Rc<CpuTensors<T>>,
    call: DropoutCall,
}

impl<'a, T: Element> RandLoop<'a, T> {
    /// Takes the input of every pair.
    pub fn new(
        pool: &'a ThreadPool,
        tensors: Rc<CpuTensors<T>>,
        input: &[T],
        call: &DropoutCall,
    ) -> Result<Self> {
        let rand_loop = Self {
            pool,
            tensors,
            call: *call,
        };
        rand_loop.verify(input)?;
        Ok(rand_loop)
    }

    /// Checks that each value is dropped or scaled. The mask is the loop's own, so nothing else can
    /// be checked.
    fn verify(&self, input: &[T]) -> Result<()> {
        self.time(Operation::Forward)?;
        let keep_scale = self.call.keep_scale();
        let output = self.tensors.first_output();
        ensure!(
            input
                .iter()
                .zip(output)
                .map(|(x, y)| (x.to_f32(), y.to_f32()))
                .all(|(x, y)| y == 0.0 || y == T::from_f32(x * keep_scale).to_f32()),
            "{}: a value is neither dropped nor scaled",
            self.place()
        );
        Ok(())
    }
}

impl<T: Element> Subject for RandLoop<'_, T> {
    fn place(&self) -> Place {
        Place::RandLoop
    }

    fn buffers(&self) -> &Buffers {
        &self.tensors.buffers
    }

    fn operations(&self) -> &'static [Operation] {
        &[Operation::Forward]
    }

    fn time(&self, _: Operation) -> Result<Time> {
        let (p, keep_scale) = (self.call.rate.p(), self.call.keep_scale());
        self.tensors.time(self.pool, |input, output| {
            let mut rng = SmallRng::seed_from_u64(42);
            for (y, x) in output.iter_mut().zip(input) {
                *y = if rng.random_bool(p) {
                    T::zeroed()
                } else {
                    T::from_f32(x.to_f32() * keep_scale)
                };
            }
            Ok(())
        })
    }

    fn first_output(&self) -> Result<Vec<u8>> {
        Ok(bytemuck::cast_slice(&self.tensors.first_output()).to_vec())
    }
}
