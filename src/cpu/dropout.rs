//! Dropout of slices. Twin of shaders/dropout_*.wgsl and shaders/value_*.wgsl.

use rayon::prelude::*;

use super::mask::{Decisions, check_mask_length, for_each_batch, for_each_decision};
use crate::call::DropoutCall;
use crate::error::CpuError;
use crate::layout::MaskLayout;
use crate::mask::ELEMENTS_PER_MASK_WORD;
use crate::rate::DropoutKind;

/// Elements that one task of the pool takes: 128 KiB, some tens of microseconds.
const TASK_ELEMENTS: usize = 1 << 15;

/// What becomes of an element; the decision is -1, all bits, for a kept one and 0 else.
#[derive(Clone, Copy, Debug)]
enum Value {
    /// Scaled or +0.
    Scale(f32),
    /// Unchanged or +0.
    Keep,
    /// Scaled and shifted, or a constant.
    Affine {
        scale: f32,
        shift: f32,
        dropped: f32,
    },
}

impl Value {
    fn forward(call: &DropoutCall) -> Self {
        let rate = call.rate;
        match rate.kind() {
            DropoutKind::Inverted => Self::Scale(rate.keep_scale()),
            DropoutKind::Classic => Self::Keep,
            DropoutKind::Alpha => Self::Affine {
                scale: rate.keep_scale(),
                shift: rate.keep_shift(),
                dropped: rate.dropped_value(),
            },
        }
    }

    fn backward(call: &DropoutCall) -> Self {
        match call.rate.kind() {
            DropoutKind::Inverted | DropoutKind::Alpha => Self::Scale(call.rate.keep_scale()),
            DropoutKind::Classic => Self::Keep,
        }
    }
}

/// `output = dropout(input)`.
///
/// # Errors
///
/// [`CpuError::LengthMismatch`] unless both have one length, [`CpuError::IndexOverflow`] if a
/// mask index passes 2^64 - 1; nothing was written then.
pub fn forward(input: &[f32], output: &mut [f32], call: &DropoutCall) -> Result<(), CpuError> {
    linear(input, output, call, Value::forward(call))
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
    linear(grad_output, grad_input, call, Value::backward(call))
}

/// `data = dropout(data)`; a rate that drops nothing leaves it alone.
///
/// # Errors
///
/// [`CpuError::IndexOverflow`] if a mask index passes 2^64 - 1; nothing was written then.
pub fn forward_in_place(data: &mut [f32], call: &DropoutCall) -> Result<(), CpuError> {
    linear_in_place(data, call, Value::forward(call))
}

/// `grad = dropout'(grad)`.
///
/// # Errors
///
/// As [`forward_in_place`].
pub fn backward_in_place(grad: &mut [f32], call: &DropoutCall) -> Result<(), CpuError> {
    linear_in_place(grad, call, Value::backward(call))
}

/// `output = dropout(input)`, with the mask of `layout`.
///
/// # Errors
///
/// [`CpuError::LengthMismatch`] unless both have one length, [`CpuError::LayoutLength`] unless it is
/// the layout's, [`CpuError::IndexOverflow`]
/// if a mask index passes 2^64 - 1; nothing was written then.
pub fn forward_layout(
    input: &[f32],
    output: &mut [f32],
    layout: &MaskLayout,
    call: &DropoutCall,
) -> Result<(), CpuError> {
    let decisions = Decisions::of_layout(layout);
    decided(input, output, decisions, call, Value::forward(call))
}

/// `grad_input = dropout'(grad_output)`, with the mask of `layout`.
///
/// # Errors
///
/// As [`forward_layout`].
pub fn backward_layout(
    grad_output: &[f32],
    grad_input: &mut [f32],
    layout: &MaskLayout,
    call: &DropoutCall,
) -> Result<(), CpuError> {
    let decisions = Decisions::of_layout(layout);
    decided(
        grad_output,
        grad_input,
        decisions,
        call,
        Value::backward(call),
    )
}

/// `output = dropout(input)` of samples, the first dimension of `layout`, each with an id of `ids`
/// in the place of its place \[M16\]: twin of [`Elements::Samples`](crate::Elements::Samples).
///
/// # Errors
///
/// As [`forward_layout`]; [`CpuError::SampleIds`] unless there is an id for each sample,
/// [`CpuError::SampleOverflow`] if the largest id would have indices past 2^64 - 1.
pub fn forward_samples(
    input: &[f32],
    output: &mut [f32],
    layout: &MaskLayout,
    ids: &[u32],
    call: &DropoutCall,
) -> Result<(), CpuError> {
    let decisions = Decisions::of_samples(layout, ids);
    decided(input, output, decisions, call, Value::forward(call))
}

/// `grad_input = dropout'(grad_output)` of samples with ids.
///
/// # Errors
///
/// As [`forward_samples`].
pub fn backward_samples(
    grad_output: &[f32],
    grad_input: &mut [f32],
    layout: &MaskLayout,
    ids: &[u32],
    call: &DropoutCall,
) -> Result<(), CpuError> {
    let decisions = Decisions::of_samples(layout, ids);
    decided(
        grad_output,
        grad_input,
        decisions,
        call,
        Value::backward(call),
    )
}

/// `output = dropout(input)` by a packed mask \[M15\] from outside: of `call` only the rate counts,
/// as with [`Elements::Packed`](crate::Elements::Packed), whose twin this is.
///
/// # Errors
///
/// [`CpuError::LengthMismatch`] unless both slices have one length, [`CpuError::MaskLength`] unless
/// `mask` has [`mask_words`](crate::mask::mask_words) of it; nothing was written then.
pub fn forward_packed(
    input: &[f32],
    output: &mut [f32],
    mask: &[u32],
    call: &DropoutCall,
) -> Result<(), CpuError> {
    packed(input, output, mask, call, Value::forward(call))
}

/// `grad_input = dropout'(grad_output)` by a packed mask from outside.
///
/// # Errors
///
/// As [`forward_packed`].
pub fn backward_packed(
    grad_output: &[f32],
    grad_input: &mut [f32],
    mask: &[u32],
    call: &DropoutCall,
) -> Result<(), CpuError> {
    packed(grad_output, grad_input, mask, call, Value::backward(call))
}

fn check_lengths(input: &[f32], output: &[f32]) -> Result<(), CpuError> {
    if input.len() == output.len() {
        Ok(())
    } else {
        Err(CpuError::LengthMismatch {
            input: input.len(),
            output: output.len(),
        })
    }
}

fn linear(
    input: &[f32],
    output: &mut [f32],
    call: &DropoutCall,
    value: Value,
) -> Result<(), CpuError> {
    check_lengths(input, output)?;
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
                task_out_of_place(input, output, &call, value);
            }
        });
    Ok(())
}

fn linear_in_place(data: &mut [f32], call: &DropoutCall, value: Value) -> Result<(), CpuError> {
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
                task_in_place(data, &call, value);
            }
        });
    Ok(())
}

fn decided(
    input: &[f32],
    output: &mut [f32],
    decisions: Decisions<'_>,
    call: &DropoutCall,
    value: Value,
) -> Result<(), CpuError> {
    check_lengths(input, output)?;
    if input.len() as u64 != decisions.len() {
        return Err(CpuError::LayoutLength {
            elements: input.len(),
            required: decisions.len(),
        });
    }
    decisions.check(call)?;
    input
        .par_chunks(TASK_ELEMENTS)
        .zip(output.par_chunks_mut(TASK_ELEMENTS))
        .enumerate()
        .for_each(|(task, (input, output))| {
            if call.rate.drops_nothing() {
                output.copy_from_slice(input);
            } else if call.rate.drops_all() {
                output.fill(0.0);
            } else {
                let start = (task * TASK_ELEMENTS) as u64;
                for_each_decision(call, decisions, start, input.len(), |element, keep| {
                    output[element] = one(input[element], value, -i16::from(keep));
                });
            }
        });
    Ok(())
}

fn packed(
    input: &[f32],
    output: &mut [f32],
    mask: &[u32],
    call: &DropoutCall,
    value: Value,
) -> Result<(), CpuError> {
    const WORD_BITS: usize = ELEMENTS_PER_MASK_WORD as usize;
    check_lengths(input, output)?;
    check_mask_length(mask, input.len() as u64)?;
    // The mask alone decides.
    let value = if call.rate.drops_nothing() {
        Value::Keep
    } else {
        value
    };
    input
        .par_chunks(TASK_ELEMENTS)
        .zip(output.par_chunks_mut(TASK_ELEMENTS))
        .zip(mask.par_chunks(TASK_ELEMENTS / WORD_BITS))
        .for_each(|((input, output), mask)| {
            let elements = output.iter_mut().zip(input).enumerate();
            elements.for_each(|(element, (output, input))| {
                let bit = mask[element / WORD_BITS] >> (element % WORD_BITS) & 1;
                *output = one(*input, value, -(bit as i16));
            });
        });
    Ok(())
}

fn task_out_of_place(input: &[f32], output: &mut [f32], call: &DropoutCall, value: Value) {
    for_each_batch(call, input.len(), |start, keep| {
        let (input, output) = (&input[start..], &mut output[start..]);
        let pairs = output.iter_mut().zip(input).zip(keep);
        // Matched outside of the loop, so that each loop is one straight line of vector code.
        match value {
            Value::Scale(scale) => {
                pairs.for_each(|((output, input), keep)| *output = scaled(*input, scale, *keep));
            }
            _ => pairs.for_each(|((output, input), keep)| *output = one(*input, value, *keep)),
        }
    });
}

fn task_in_place(data: &mut [f32], call: &DropoutCall, value: Value) {
    for_each_batch(call, data.len(), |start, keep| {
        let pairs = data[start..].iter_mut().zip(keep);
        match value {
            Value::Scale(scale) => pairs.for_each(|(x, keep)| *x = scaled(*x, scale, *keep)),
            _ => pairs.for_each(|(x, keep)| *x = one(*x, value, *keep)),
        }
    });
}

/// The product's bits, or +0 \[M11\].
#[inline(always)]
fn scaled(input: f32, scale: f32, keep: i16) -> f32 {
    f32::from_bits((input * scale).to_bits() & i32::from(keep) as u32)
}

#[inline(always)]
fn one(input: f32, value: Value, keep: i16) -> f32 {
    match value {
        Value::Scale(scale) => scaled(input, scale, keep),
        Value::Keep => f32::from_bits(input.to_bits() & i32::from(keep) as u32),
        Value::Affine { scale, shift, .. } if keep != 0 => input * scale + shift,
        Value::Affine { dropped, .. } => dropped,
    }
}
