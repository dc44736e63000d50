//! Dropout of slices. Twin of shaders/dropout_*.wgsl and shaders/value_*.wgsl.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use multiversion::multiversion;

use super::mask::{BATCH_ELEMENTS, Decisions, Keep, Mask, check_mask_length, for_each_batch};
use super::tasks::for_each_task;
use crate::call::DropoutCall;
use crate::element::{Element, ElementType};
use crate::error::CpuError;
use crate::layout::MaskLayout;
use crate::rate::DropoutKind;

/// Elements that one task of the pool takes: some tens of microseconds.
const TASK_ELEMENTS: usize = 1 << 15;

/// What becomes of an element.
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
pub fn forward<T: Element>(
    input: &[T],
    output: &mut [T],
    call: &DropoutCall,
) -> Result<(), CpuError> {
    linear(Some(input), output, call, Value::forward(call))
}

/// `grad_input = dropout'(grad_output)`: the forward's call gives the forward's mask \[M14\].
///
/// # Errors
///
/// As [`forward`].
pub fn backward<T: Element>(
    grad_output: &[T],
    grad_input: &mut [T],
    call: &DropoutCall,
) -> Result<(), CpuError> {
    linear(Some(grad_output), grad_input, call, Value::backward(call))
}

/// `data = dropout(data)`; a rate that drops nothing leaves it alone.
///
/// # Errors
///
/// [`CpuError::IndexOverflow`] if a mask index passes 2^64 - 1; nothing was written then.
pub fn forward_in_place<T: Element>(data: &mut [T], call: &DropoutCall) -> Result<(), CpuError> {
    linear(None, data, call, Value::forward(call))
}

/// `grad = dropout'(grad)`.
///
/// # Errors
///
/// As [`forward_in_place`].
pub fn backward_in_place<T: Element>(grad: &mut [T], call: &DropoutCall) -> Result<(), CpuError> {
    linear(None, grad, call, Value::backward(call))
}

/// `output = dropout(input)`, with the mask of `layout`.
///
/// # Errors
///
/// [`CpuError::LengthMismatch`] unless both have one length, [`CpuError::LayoutLength`] unless it is
/// the layout's, [`CpuError::IndexOverflow`]
/// if a mask index passes 2^64 - 1; nothing was written then.
pub fn forward_layout<T: Element>(
    input: &[T],
    output: &mut [T],
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
pub fn backward_layout<T: Element>(
    grad_output: &[T],
    grad_input: &mut [T],
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
pub fn forward_samples<T: Element>(
    input: &[T],
    output: &mut [T],
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
pub fn backward_samples<T: Element>(
    grad_output: &[T],
    grad_input: &mut [T],
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
pub fn forward_packed<T: Element>(
    input: &[T],
    output: &mut [T],
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
pub fn backward_packed<T: Element>(
    grad_output: &[T],
    grad_input: &mut [T],
    mask: &[u32],
    call: &DropoutCall,
) -> Result<(), CpuError> {
    packed(grad_output, grad_input, mask, call, Value::backward(call))
}

fn check_lengths<T>(input: &[T], output: &[T]) -> Result<(), CpuError> {
    if input.len() == output.len() {
        Ok(())
    } else {
        Err(CpuError::LengthMismatch {
            input: input.len(),
            output: output.len(),
        })
    }
}

/// Without an `input`, `data` is it.
fn linear<T: Element>(
    input: Option<&[T]>,
    data: &mut [T],
    call: &DropoutCall,
    value: Value,
) -> Result<(), CpuError> {
    if let Some(input) = input {
        check_lengths(input, data)?;
    }
    call.check_indices(data.len() as u64)?;
    run(input, data, Mask::Linear, call, value);
    Ok(())
}

fn decided<T: Element>(
    input: &[T],
    output: &mut [T],
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
    run(Some(input), output, Mask::Layout(decisions), call, value);
    Ok(())
}

fn packed<T: Element>(
    input: &[T],
    output: &mut [T],
    mask: &[u32],
    call: &DropoutCall,
    value: Value,
) -> Result<(), CpuError> {
    check_lengths(input, output)?;
    check_mask_length(mask, input.len() as u64)?;
    // The mask alone decides.
    let value = if call.rate.drops_nothing() {
        Value::Keep
    } else {
        value
    };
    run(Some(input), output, Mask::Packed(mask), call, value);
    Ok(())
}

fn run<T: Element>(
    input: Option<&[T]>,
    data: &mut [T],
    mask: Mask<'_>,
    call: &DropoutCall,
    value: Value,
) {
    let by_call = !matches!(mask, Mask::Packed(_));
    if by_call && call.rate.drops_all() {
        return for_each_task(data, TASK_ELEMENTS, |_, data| data.fill(T::zeroed()));
    }
    // In place a copy is nothing.
    let copies = by_call && call.rate.drops_nothing();
    if copies && input.is_none() {
        return;
    }
    for_each_task(data, TASK_ELEMENTS, |task, data| {
        let start = task * TASK_ELEMENTS;
        let input = input.map(|input| &input[start..start + data.len()]);
        if copies {
            copy(input, data);
        } else {
            write(input, data, mask, call, start as u64, value);
        }
    });
}

fn copy<T: Copy>(input: Option<&[T]>, data: &mut [T]) {
    if let Some(input) = input {
        data.copy_from_slice(input);
    }
}

#[multiversion(targets("x86_64+avx+avx2"))]
fn write<T: Element>(
    input: Option<&[T]>,
    data: &mut [T],
    mask: Mask<'_>,
    call: &DropoutCall,
    start: u64,
    value: Value,
) {
    for_each_batch(mask, call, start, data.len(), |range, keep| {
        let data = &mut data[range.clone()];
        copy(input.map(|input| &input[range]), data);
        apply(data, keep, value);
    });
}

#[inline(always)]
fn apply<T: Element>(data: &mut [T], keep: &[Keep], value: Value) {
    let mut otherwise = T::zeroed();
    match value {
        Value::Scale(scale) => map_f32(data, |x| x * scale),
        Value::Keep => {}
        Value::Affine {
            scale,
            shift,
            dropped,
        } => {
            map_f32(data, |x| x * scale + shift);
            otherwise = T::from_f32(dropped);
        }
    }
    for (x, keep) in data.iter_mut().zip(keep) {
        *x = if *keep != 0 { *x } else { otherwise };
    }
}

/// Replaces each element by what `map` makes of it in f32, rounded to its type \[M11\].
#[inline(always)]
fn map_f32<T: Element>(data: &mut [T], map: impl Fn(f32) -> f32) {
    match T::TYPE {
        ElementType::F32 => map_each(bytemuck::cast_slice_mut(data), map),
        ElementType::F16 => map_wide::<f16>(bytemuck::cast_slice_mut(data), map),
        ElementType::Bf16 => map_wide::<bf16>(bytemuck::cast_slice_mut(data), map),
    }
}

#[inline(always)]
fn map_each(data: &mut [f32], map: impl Fn(f32) -> f32) {
    for x in data {
        *x = map(*x);
    }
}

/// `data` is a batch.
#[inline(always)]
fn map_wide<T>(data: &mut [T], map: impl Fn(f32) -> f32)
where
    [T]: HalfFloatSliceExt,
{
    let mut wide = [0.0; BATCH_ELEMENTS];
    let wide = &mut wide[..data.len()];
    data.convert_to_f32_slice(wide);
    map_each(wide, map);
    data.convert_from_f32_slice(wide);
}
