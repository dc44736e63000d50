//! Gaussian dropout of slices. Twin of shaders/gaussian.wgsl.

use rayon::prelude::*;

use super::mask::mask_block;
use crate::call::{DropoutCall, MaskKey};
use crate::error::CpuError;
use crate::gaussian;
use crate::mask::split;

/// Elements that one task of the pool takes.
const TASK_ELEMENTS: usize = 1 << 12;

/// `output = input * noise`, forward or backward, as [`GaussianDropout`](crate::GaussianDropout)
/// does within its bound \[M20\].
///
/// # Errors
///
/// [`CpuError::LengthMismatch`] unless both have one length, [`CpuError::Gaussian`] if an index
/// reaches 2^63 or the rate drops everything; nothing was written then.
pub fn gaussian(input: &[f32], output: &mut [f32], call: &DropoutCall) -> Result<(), CpuError> {
    if input.len() != output.len() {
        return Err(CpuError::LengthMismatch {
            input: input.len(),
            output: output.len(),
        });
    }
    let sigma = gaussian::check(call, input.len() as u64)?;
    input
        .par_chunks(TASK_ELEMENTS)
        .zip(output.par_chunks_mut(TASK_ELEMENTS))
        .enumerate()
        .for_each(|(task, (input, output))| {
            let start = call.origin + (task * TASK_ELEMENTS) as u64;
            let mut drawn = None;
            for (index, (output, input)) in (start..).zip(output.iter_mut().zip(input)) {
                let position = gaussian::position(index);
                let normals = match drawn {
                    Some((block, normals)) if block == position.block => normals,
                    _ => normals(call.key, position.block).map(|normal| normal as f32),
                };
                drawn = Some((position.block, normals));
                *output = input * (1.0 + sigma * normals[position.lane as usize]);
            }
        });
    Ok(())
}

/// Four normal numbers out of a block: Box and Muller 1958 \[M19\].
fn normals(key: MaskKey, block: u64) -> [f64; 4] {
    let [[w0, w1], [w2, w3]] = mask_block(key, block, 2).map(split);
    let pair = |w0: u32, w1: u32| {
        let uniform_0 = (f64::from(w0 >> 9) + 0.5) / f64::from(1 << 23);
        let uniform_1 = f64::from(w1 >> 9) / f64::from(1 << 23);
        let radius = (-2.0 * uniform_0.ln()).sqrt();
        let (sin, cos) = (core::f64::consts::TAU * (uniform_1 - 0.5)).sin_cos();
        [radius * cos, radius * sin]
    };
    let ([a, b], [c, d]) = (pair(w0, w1), pair(w2, w3));
    [a, b, c, d]
}
