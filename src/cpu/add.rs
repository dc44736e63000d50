//! Dropout of a branch that is added to a residual, as in shaders/value/add.wgsl and
//! shaders/value/scale_after.wgsl.

use core::ops::Range;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use multiversion::multiversion;

use super::dropout::{Slices, TASK_ELEMENTS, copy};
use super::error::CpuError;
use super::mask::{BATCH_ELEMENTS, Keep, Mask, for_each_batch};
use super::tasks::for_each_task;
use crate::contract::call::DropoutCall;
use crate::contract::element::{Element, ElementType};
use crate::contract::error::Operation;
use crate::contract::source::MaskSource;

/// A bias and a scale. Each is empty or is repeated over the elements: if it has as many numbers as
/// the last dimension, it is the same for each row.
#[derive(Clone, Copy, Debug, Default)]
pub struct Vectors<'a> {
    /// Numbers that are added to the elements.
    pub bias: &'a [f32],
    /// Factors by which the elements are multiplied after the bias is added.
    pub scale: &'a [f32],
}

/// `sum = residual + dropout((input + bias) * scale)` \[M23\]: what
/// [`DropoutAdd::encode_forward`](crate::DropoutAdd::encode_forward) does with buffers. `sums` are
/// the residual and the sum, or one slice that the sum overwrites. Their type may differ from the
/// input's, as with [`DropoutAdd::with_f32_residual`](crate::DropoutAdd::with_f32_residual).
///
/// # Errors
///
/// [`CpuError::LengthMismatch`] unless input, residual and sum have one length,
/// [`CpuError::VectorLength`] unless the bias and the scale repeat over that length,
/// [`CpuError::Source`] unless the source has that length, [`CpuError::Call`] for alpha and
/// Gaussian dropout and as for [`apply`](super::apply). After an error nothing has been written.
///
/// ```
/// use wgpu_dropout::cpu::{self, Vectors};
/// use wgpu_dropout::{DropoutCall, DropoutRate, MaskKey};
///
/// let call = DropoutCall::new(DropoutRate::new(0.5)?, MaskKey::layer_step(42, 3, 7));
/// let mut stream = [10.0f32; 8];
/// let vectors = Vectors { bias: &[0.5, -0.5], ..Default::default() };
/// cpu::add(8u64, &[1.0f32; 8], vectors, &mut stream[..], &call)?;
/// assert!(stream.iter().all(|sum| [10.0, 11.0, 13.0].contains(sum)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn add<'a, 'b, T: Element, S: Element>(
    source: impl Into<MaskSource<'a>>,
    input: &[T],
    vectors: Vectors<'_>,
    sums: impl Into<Slices<'b, S>>,
    call: &DropoutCall,
) -> Result<(), CpuError> {
    let (residual, sum) = sums.into().parts()?;
    let (input_len, output) = (input.len(), sum.len());
    if input_len != output {
        return Err(CpuError::LengthMismatch {
            input: input_len,
            output,
        });
    }
    let mask = checked(source.into(), vectors, sum.len(), call)?;
    for_each_task(sum, TASK_ELEMENTS, |task, sum| {
        let start = task * TASK_ELEMENTS;
        let here = start..start + sum.len();
        copy(residual.map(|residual| &residual[here.clone()]), sum);
        write_sum(sum, &input[here], vectors, mask, call, start as u64);
    });
    Ok(())
}

/// `grad_input = dropout'(grad_output) * scale` \[M23\]: what
/// [`DropoutAdd::encode_backward`](crate::DropoutAdd::encode_backward) does with buffers. `slices`
/// are `grad_output` and `grad_input`, or one slice that the gradient overwrites. Without a scale
/// this is [`apply`](super::apply).
///
/// # Errors
///
/// The same as [`add`].
pub fn add_backward<'a, 'b, T: Element>(
    source: impl Into<MaskSource<'a>>,
    scale: &[f32],
    slices: impl Into<Slices<'b, T>>,
    call: &DropoutCall,
) -> Result<(), CpuError> {
    let (grad_output, grad_input) = slices.into().parts()?;
    backward(source.into(), scale, grad_output, grad_input, call)
}

/// [`add_backward`] from an `f32` gradient of the sum to an input gradient of another type, rounded
/// once.
///
/// # Errors
///
/// The same as [`add`].
pub fn add_backward_from_f32<'a, T: Element>(
    source: impl Into<MaskSource<'a>>,
    scale: &[f32],
    grad_output: &[f32],
    grad_input: &mut [T],
    call: &DropoutCall,
) -> Result<(), CpuError> {
    let (input, output) = (grad_output.len(), grad_input.len());
    if input != output {
        return Err(CpuError::LengthMismatch { input, output });
    }
    backward(source.into(), scale, Some(grad_output), grad_input, call)
}

/// If `grad_output` is `None`, `grad_input` holds it and is overwritten.
fn backward<T: Element, S: Element>(
    source: MaskSource<'_>,
    scale: &[f32],
    grad_output: Option<&[S]>,
    grad_input: &mut [T],
    call: &DropoutCall,
) -> Result<(), CpuError> {
    let vectors = Vectors { bias: &[], scale };
    let mask = checked(source, vectors, grad_input.len(), call)?;
    for_each_task(grad_input, TASK_ELEMENTS, |task, grad| {
        let start = task * TASK_ELEMENTS;
        let output = grad_output.map(|output| &output[start..start + grad.len()]);
        write_gradient(grad, output, scale, mask, call, start as u64);
    });
    Ok(())
}

/// Checks the source, the vectors and the call for `elements`.
fn checked<'a>(
    source: MaskSource<'a>,
    vectors: Vectors<'_>,
    elements: usize,
    call: &DropoutCall,
) -> Result<Mask<'a>, CpuError> {
    source.check_slices(elements)?;
    for len in [vectors.bias.len(), vectors.scale.len()] {
        if len > 0 && !elements.is_multiple_of(len) {
            return Err(CpuError::VectorLength { elements, len });
        }
    }
    call.refuse_but_scaling(Operation::DropoutAdd)?;
    source.check_call(call)?;
    Ok(Mask::new(source))
}

/// Overwrites the residual, which stands in `sum`.
#[multiversion(targets("x86_64+avx+avx2"))]
pub(super) fn write_sum<T: Element, S: Element>(
    sum: &mut [S],
    input: &[T],
    vectors: Vectors<'_>,
    mask: Mask<'_>,
    call: &DropoutCall,
    start: u64,
) {
    let factor = call.scaling_factor();
    for_each_decided(mask, call, start, sum.len(), |range, keep| {
        let first = start + range.start as u64;
        let (sum, input) = (&mut sum[range.clone()], &input[range]);
        let (mut branch, mut other) = ([0.0; BATCH_ELEMENTS], [0.0; BATCH_ELEMENTS]);
        let (branch, other) = (&mut branch[..sum.len()], &mut other[..sum.len()]);
        widen(input, branch);
        combine(branch, vectors.bias, first, other, |x, bias| x + bias);
        combine(branch, vectors.scale, first, other, |x, scale| x * scale);
        widen(sum, other);
        for (x, residual) in branch.iter_mut().zip(&*other) {
            *x = residual + *x * factor;
        }
        let mut sums = [S::zeroed(); BATCH_ELEMENTS];
        narrow(branch, &mut sums[..sum.len()]);
        for ((y, sum), keep) in sum.iter_mut().zip(sums).zip(keep) {
            *y = if *keep != 0 { sum } else { *y };
        }
    });
}

/// `output` is the sum's gradient. If it is `None`, `grad` holds it and is overwritten.
#[multiversion(targets("x86_64+avx+avx2"))]
pub(super) fn write_gradient<T: Element, S: Element>(
    grad: &mut [T],
    output: Option<&[S]>,
    scale: &[f32],
    mask: Mask<'_>,
    call: &DropoutCall,
    start: u64,
) {
    let factor = call.scaling_factor();
    for_each_decided(mask, call, start, grad.len(), |range, keep| {
        let first = start + range.start as u64;
        let grad = &mut grad[range.clone()];
        let (mut wide, mut other) = ([0.0; BATCH_ELEMENTS], [0.0; BATCH_ELEMENTS]);
        let (wide, other) = (&mut wide[..grad.len()], &mut other[..grad.len()]);
        match output {
            Some(output) => widen(&output[range], wide),
            None => widen(grad, wide),
        }
        for x in &mut *wide {
            *x *= factor;
        }
        combine(wide, scale, first, other, |x, scale| x * scale);
        narrow(wide, grad);
        for (x, keep) in grad.iter_mut().zip(keep) {
            *x = if *keep != 0 { *x } else { T::zeroed() };
        }
    });
}

/// [`for_each_batch`] for any rate.
#[inline(always)]
pub(super) fn for_each_decided(
    mask: Mask<'_>,
    call: &DropoutCall,
    start: u64,
    len: usize,
    mut each: impl FnMut(Range<usize>, &[Keep]),
) {
    let keep = match mask {
        Mask::Linear | Mask::Layout(_) if call.rate.drops_all() => 0,
        Mask::Linear | Mask::Layout(_) if call.rate.drops_nothing() => -1,
        _ => return for_each_batch::<BATCH_ELEMENTS>(mask, call, start, len, each),
    };
    for done in (0..len).step_by(BATCH_ELEMENTS) {
        each(
            done..len.min(done + BATCH_ELEMENTS),
            &[keep; BATCH_ELEMENTS],
        );
    }
}

/// Combines each element with its number of `vector`, which repeats or is empty. The first element
/// is number `first` of the tensor.
#[inline(always)]
pub(super) fn combine(
    data: &mut [f32],
    vector: &[f32],
    first: u64,
    numbers: &mut [f32],
    combine: impl Fn(f32, f32) -> f32,
) {
    if vector.is_empty() {
        return;
    }
    let mut number = (first % vector.len() as u64) as usize;
    let mut rest = &mut *numbers;
    while !rest.is_empty() {
        let count = rest.len().min(vector.len() - number);
        let (now, later) = rest.split_at_mut(count);
        now.copy_from_slice(&vector[number..number + count]);
        (rest, number) = (later, 0);
    }
    for (x, number) in data.iter_mut().zip(numbers) {
        *x = combine(*x, *number);
    }
}

/// Converts each element to f32.
#[inline(always)]
pub(super) fn widen<T: Element>(data: &[T], wide: &mut [f32]) {
    match T::TYPE {
        ElementType::F32 => wide.copy_from_slice(bytemuck::cast_slice(data)),
        ElementType::F16 => bytemuck::cast_slice::<_, f16>(data).convert_to_f32_slice(wide),
        ElementType::Bf16 => bytemuck::cast_slice::<_, bf16>(data).convert_to_f32_slice(wide),
    }
}

/// Rounds each number to the type of `data`.
#[inline(always)]
pub(super) fn narrow<T: Element>(wide: &[f32], data: &mut [T]) {
    match T::TYPE {
        ElementType::F32 => data.copy_from_slice(bytemuck::cast_slice(wide)),
        ElementType::F16 => {
            bytemuck::cast_slice_mut::<_, f16>(data).convert_from_f32_slice(wide);
        }
        ElementType::Bf16 => {
            bytemuck::cast_slice_mut::<_, bf16>(data).convert_from_f32_slice(wide);
        }
    }
}
