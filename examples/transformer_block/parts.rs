//! A batch in parts. Each part has the masks that its samples have in the whole batch. This serves
//! processes that share a batch, and batches that are too large for a device.

use std::slice;

use anyhow::Result;
use wgpu_dropout::DropoutCall;

use crate::gpt::CONTEXT;
use crate::network::{Device, Network, Pair};
use crate::own_kernels;

impl Network {
    /// The loss and the gradients of part `part` of `parts` of a batch. Their sums over the parts
    /// are those of the whole batch. `call` gives the call of a dropout, which is the same for all
    /// parts.
    pub fn part(
        &self,
        pairs: &[Pair],
        (part, parts): (u32, u32),
        call: impl Fn(u32) -> DropoutCall,
    ) -> Result<(f64, Vec<f32>)> {
        let rows = parts * self.batch * CONTEXT;
        self.upload(pairs, [self.step(0, 0, rows)].into_iter());
        // The sample is the first dimension of each tensor, so a part's elements are consecutive in
        // the whole batch's tensor.
        let calls = (0..).zip(&self.dropouts);
        let calls = calls.map(|(i, len)| call(i).with_origin(u64::from(part) * len));
        let calls: Vec<_> = calls.collect();
        self.submit(&[&self.forward, &self.backward], 0, &calls)?;
        let Device { device, queue, .. } = &self.device;
        let gradients = own_kernels::download(device, queue, &self.gradients)?;
        let log_probabilities = self.log_probabilities(pairs)?;
        let loss = -log_probabilities.iter().sum::<f64>() / f64::from(rows);
        Ok((loss, gradients))
    }

    /// Updates the parameters with the gradients of step `step`.
    pub fn apply(&self, gradients: &[f32], step: u32) -> Result<()> {
        self.upload(&[], [self.step(step, 0, 1)].into_iter());
        let gradients = bytemuck::cast_slice(gradients);
        self.device
            .queue
            .write_buffer(&self.gradients, 0, gradients);
        self.submit(&[slice::from_ref(&self.adam)], 0, &[])
    }
}
