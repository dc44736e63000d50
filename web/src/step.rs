//! A small training step: forward, the gradient of a loss, and backward. This file runs it on the
//! CPU.

use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;
use wgpu_dropout::{CpuError, Direction, DropoutCall, MaskLayout, cpu, mask};

use crate::call::Call;
use crate::image::{self, ImageError, Kind};

/// The results of one call on an image.
#[wasm_bindgen(getter_with_clone)]
#[derive(Debug)]
pub struct Step {
    /// The packed keep mask, 32 elements per word.
    pub mask: Vec<u32>,
    /// The image after dropout.
    pub output: Vec<f32>,
    /// The gradient of the loss `sum((output - 1/2)^2) / 2` with respect to the image.
    pub gradient: Vec<f32>,
}

#[wasm_bindgen]
impl Step {
    /// The number of words whose bits differ from those of `other`.
    pub fn differences(&self, other: &Step) -> usize {
        differences(&self.mask, &other.mask)
            + differences(words(&self.output), words(&other.output))
            + differences(words(&self.gradient), words(&other.gradient))
    }
}

fn words(numbers: &[f32]) -> &[u32] {
    bytemuck::cast_slice(numbers)
}

fn differences(a: &[u32], b: &[u32]) -> usize {
    let unequal = a.iter().zip(b).filter(|(a, b)| a != b).count();
    unequal + a.len().abs_diff(b.len())
}

#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error(transparent)]
    Cpu(#[from] CpuError),
}

/// Runs the step on the CPU. The bits are those of [`Layer::step`](crate::gpu::Layer::step).
#[wasm_bindgen(js_name = cpuStep)]
pub fn cpu_step(
    image: &[f32],
    rows: u32,
    columns: u32,
    kind: Kind,
    call: &Call,
) -> Result<Step, JsError> {
    Ok(step(image, rows, columns, kind, &call.0)?)
}

fn step(
    image: &[f32],
    rows: u32,
    columns: u32,
    kind: Kind,
    call: &DropoutCall,
) -> Result<Step, StepError> {
    let layout: MaskLayout = image::layout(rows, columns, kind)?;
    image::check_length(image, &layout)?;
    let mut output = image.to_vec();
    cpu::apply(Direction::Forward, &layout, &mut output, call)?;
    let mut gradient: Vec<f32> = output.iter().map(|y| y - 0.5).collect();
    cpu::apply(Direction::Backward, &layout, &mut gradient, call)?;
    let mut words = vec![0; mask::mask_words(layout.len()) as usize];
    cpu::keep_mask(&layout, &mut words, call)?;
    Ok(Step {
        mask: words,
        output,
        gradient,
    })
}

#[cfg(test)]
mod tests {
    use wgpu_dropout::{DropoutRate, MaskKey};

    use super::*;

    fn half() -> Step {
        let image: Vec<_> = (0..192).map(|i| i as f32 / 256.0).collect();
        let rate = DropoutRate::new(0.5).unwrap();
        let call = DropoutCall::new(rate, MaskKey::new(42, 7));
        step(&image, 8, 8, Kind::Elementwise, &call).unwrap()
    }

    #[test]
    fn forward_and_backward_have_the_mask_s_zeros() {
        let step = half();
        for i in 0..192 {
            let kept = step.mask[i / 32] >> (i % 32) & 1 == 1;
            let x = i as f32 / 256.0;
            let output = if kept { 2.0 * x } else { 0.0 };
            let gradient = if kept { 2.0 * (output - 0.5) } else { 0.0 };
            assert_eq!((step.output[i], step.gradient[i]), (output, gradient));
        }
    }

    #[test]
    fn a_changed_bit_is_a_difference() {
        let mut step = half();
        assert_eq!(step.differences(&half()), 0);
        step.mask[1] ^= 1;
        step.output[2] = -0.0;
        step.gradient.pop();
        assert_eq!(step.differences(&half()), 3);
    }
}
