//! Dropout of slices. Twin of shaders/dropout_blocks.wgsl and shaders/dropout_elements.wgsl.

use rayon::prelude::*;

use super::mask::for_each_batch;
use crate::call::DropoutCall;
use crate::error::CpuError;

/// Elements that one task of the pool takes: 128 KiB, some tens of microseconds.
const TASK_ELEMENTS: usize = 1 << 15;

/// `output = dropout(input)`.
///
/// # Errors
///
/// [`CpuError::LengthMismatch`] unless both have one length, [`CpuError::IndexOverflow`] if the
/// last mask index passes 2^64 - 1; nothing was written then.
pub fn forward(input: &[f32], output: &mut [f32], call: &DropoutCall) -> Result<(), CpuError> {
    if input.len() != output.len() {
        return Err(CpuError::LengthMismatch {
            input: input.len(),
            output: output.len(),
        });
    }
    call.check_indices(input.len() as u64)?;
    input
        .par_chunks(TASK_ELEMENTS)
        .zip(output.par_chunks_mut(TASK_ELEMENTS))
        .enumerate()
        .for_each(|(task, (input, output))| {
            let call = call.with_origin(call.origin + (task * TASK_ELEMENTS) as u64);
            if call.rate.drops_nothing() {
                output.copy_from_slice(input);
            } else if call.rate.drops_all() {
                output.fill(0.0);
            } else {
                forward_task(input, output, &call);
            }
        });
    Ok(())
}

/// `grad_input = dropout'(grad_output)`: the forward's call gives the forward's mask \[M14\].
///
/// # Errors
///
/// As [`forward`].
pub fn backward(
    grad_output: &[f32],
    grad_input: &mut [f32],
    call: &DropoutCall,
) -> Result<(), CpuError> {
    forward(grad_output, grad_input, call)
}

/// `data = dropout(data)`; a rate that drops nothing leaves it alone.
///
/// # Errors
///
/// [`CpuError::IndexOverflow`] if the last mask index passes 2^64 - 1; nothing was written then.
pub fn forward_in_place(data: &mut [f32], call: &DropoutCall) -> Result<(), CpuError> {
    call.check_indices(data.len() as u64)?;
    if call.rate.drops_nothing() {
        return Ok(());
    }
    data.par_chunks_mut(TASK_ELEMENTS)
        .enumerate()
        .for_each(|(task, data)| {
            let call = call.with_origin(call.origin + (task * TASK_ELEMENTS) as u64);
            if call.rate.drops_all() {
                data.fill(0.0);
            } else {
                in_place_task(data, &call);
            }
        });
    Ok(())
}

/// `grad = dropout'(grad)`.
///
/// # Errors
///
/// As [`forward_in_place`].
pub fn backward_in_place(grad: &mut [f32], call: &DropoutCall) -> Result<(), CpuError> {
    forward_in_place(grad, call)
}

fn forward_task(input: &[f32], output: &mut [f32], call: &DropoutCall) {
    let keep_scale = call.rate.keep_scale();
    for_each_batch(call, input.len(), |start, keep| {
        let (input, output) = (&input[start..], &mut output[start..]);
        for ((output, input), keep) in output.iter_mut().zip(input).zip(keep) {
            *output = value(*input, keep_scale, *keep);
        }
    });
}

fn in_place_task(data: &mut [f32], call: &DropoutCall) {
    let keep_scale = call.rate.keep_scale();
    for_each_batch(call, data.len(), |start, keep| {
        for (x, keep) in data[start..].iter_mut().zip(keep) {
            *x = value(*x, keep_scale, *keep);
        }
    });
}

/// The product's bits if `keep` is all ones, +0 if it is 0 [M11].
#[inline(always)]
fn value(input: f32, keep_scale: f32, keep: i16) -> f32 {
    f32::from_bits((input * keep_scale).to_bits() & i32::from(keep) as u32)
}
