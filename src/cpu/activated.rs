//! Dropout of an activation, with or without a gate, in the steps of
//! shaders/value/activated*.wgsl and shaders/value/gated*.wgsl.

use core::ops::Range;

use multiversion::multiversion;

use super::activation::{activate as apply, differentiate};
use super::add::{combine, for_each_decided, narrow, widen};
use super::dropout::{Slices, TASK_ELEMENTS, copy};
use super::error::CpuError;
use super::mask::{BATCH_ELEMENTS, Keep, Mask};
use super::tasks::for_each_task;
use crate::contract::activation::Activation;
use crate::contract::call::DropoutCall;
use crate::contract::element::Element;
use crate::contract::error::Operation;
use crate::contract::mask::ELEMENTS_PER_MASK_WORD;
use crate::contract::source::MaskSource;

/// A gate and its other factor (up).
#[derive(Clone, Copy, Debug)]
pub enum Gated<'a, T> {
    /// Two slices.
    Two {
        /// The gate, to which the activation is applied.
        gate: &'a [T],
        /// The other factor.
        up: &'a [T],
    },
    /// Rows of `2 * columns` elements: those of the gate, then those of the other factor.
    Halves {
        /// The elements of all rows.
        rows: &'a [T],
        /// Elements of half a row.
        columns: usize,
    },
}

/// A gate, its other factor (up) and the slices for their gradients. A gradient overwrites its
/// factor; the gradients of rows of two halves may go to another slice instead.
#[derive(Debug)]
pub enum GatedSlices<'a, T> {
    /// Two slices.
    Two {
        /// The gate, then its gradient.
        gate: &'a mut [T],
        /// The other factor, then its gradient.
        up: &'a mut [T],
    },
    /// Rows of two halves.
    Halves {
        /// The rows and their gradient, or one slice in which the gradient overwrites the rows.
        rows: Slices<'a, T>,
        /// Elements of half a row.
        columns: usize,
    },
}

/// `output = dropout(activation(input + bias))` \[M24\]: what
/// [`ActDropout::encode_forward`](crate::ActDropout::encode_forward) does with buffers. The bias is
/// empty or repeated over the elements. `slices` are input and output, or one slice that the output
/// overwrites.
///
/// # Errors
///
/// [`CpuError::LengthMismatch`] unless input and output have one length, [`CpuError::VectorLength`]
/// unless the bias repeats over that length, [`CpuError::Source`] unless the source has that
/// length, [`CpuError::Call`] for alpha and Gaussian dropout and as for [`apply`](super::apply).
/// After an error nothing has been written.
///
/// ```
/// use wgpu_dropout::{Activation, DropoutCall, DropoutRate, MaskKey, cpu};
///
/// let call = DropoutCall::new(DropoutRate::new(0.5)?, MaskKey::layer_step(42, 3, 7));
/// let hidden = [1.0f32, -1.0, 3.0, -3.0];
/// let mut output = [0.0; 4];
/// cpu::activate(Activation::Relu, 4u64, &[0.5, 1.0], (&hidden, &mut output), &call)?;
/// assert!([0.0, 3.0].contains(&output[0]) && [0.0, 7.0].contains(&output[2]));
/// assert_eq!([output[1], output[3]], [0.0; 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn activate<'a, 'b, T: Element>(
    activation: Activation,
    source: impl Into<MaskSource<'a>>,
    bias: &[f32],
    slices: impl Into<Slices<'b, T>>,
    call: &DropoutCall,
) -> Result<(), CpuError> {
    let (input, output) = slices.into().parts()?;
    let mask = checked(source.into(), bias, output.len(), call)?;
    for_each_task(output, TASK_ELEMENTS, |task, output| {
        let start = task * TASK_ELEMENTS;
        copy(
            input.map(|input| &input[start..start + output.len()]),
            output,
        );
        write(activation, output, bias, mask, call, start as u64);
    });
    Ok(())
}

/// `grad_input = dropout'(grad_output) * activation'(input + bias)` \[M24\]: what
/// [`ActDropout::encode_backward`](crate::ActDropout::encode_backward) does with buffers. `slices`
/// are `input` and `grad_input`, or one slice that the gradient overwrites.
///
/// # Errors
///
/// The same as [`activate`].
pub fn activate_backward<'a, 'b, T: Element>(
    activation: Activation,
    source: impl Into<MaskSource<'a>>,
    bias: &[f32],
    grad_output: &[T],
    slices: impl Into<Slices<'b, T>>,
    call: &DropoutCall,
) -> Result<(), CpuError> {
    let (input, grad_input) = slices.into().parts()?;
    same_length(grad_output.len(), grad_input.len())?;
    let mask = checked(source.into(), bias, grad_input.len(), call)?;
    for_each_task(grad_input, TASK_ELEMENTS, |task, grad| {
        let start = task * TASK_ELEMENTS;
        let here = start..start + grad.len();
        copy(input.map(|input| &input[here.clone()]), grad);
        let grad_output = &grad_output[here];
        write_gradient(
            activation,
            grad,
            grad_output,
            bias,
            mask,
            call,
            start as u64,
        );
    });
    Ok(())
}

/// `output = dropout(activation(gate + bias_gate) * (up + bias_up))` \[M24\]. `biases` is empty, or
/// holds the gate's bias followed by a bias of the same length for `up`.
///
/// # Errors
///
/// The same as [`activate`]. For rows of two halves also [`CpuError::Columns`] unless the gate is a
/// whole number of half rows, and [`CpuError::Halves`] unless the rows have twice as many elements
/// as the gate.
///
/// ```
/// use wgpu_dropout::cpu::{self, Gated};
/// use wgpu_dropout::{Activation, DropoutCall, DropoutRate, MaskKey};
///
/// let call = DropoutCall::new(DropoutRate::ZERO, MaskKey::layer_step(42, 3, 7));
/// let rows = [1.0f32, -1.0, 5.0, 6.0];
/// let mut output = [0.0; 2];
/// let gated = Gated::Halves { rows: &rows, columns: 2 };
/// cpu::activate_gated(Activation::Relu, 2u64, &[], gated, &mut output, &call)?;
/// assert_eq!(output, [5.0, 0.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn activate_gated<'a, T: Element>(
    activation: Activation,
    source: impl Into<MaskSource<'a>>,
    biases: &[f32],
    gated: Gated<'_, T>,
    output: &mut [T],
    call: &DropoutCall,
) -> Result<(), CpuError> {
    match gated {
        Gated::Two { gate, up } => {
            same_length(gate.len(), output.len())?;
            same_length(up.len(), output.len())?;
        }
        Gated::Halves { rows, columns } => check_halves(rows.len(), columns, output.len())?,
    }
    let biases = Biases::new(biases, output.len())?;
    let mask = checked(source.into(), biases.gate, output.len(), call)?;
    for_each_task(output, TASK_ELEMENTS, |task, output| {
        let start = task * TASK_ELEMENTS;
        write_gated(activation, output, gated, biases, mask, call, start);
    });
    Ok(())
}

/// The gradients of gate and up \[M24\]. With d = dropout'(`grad_output`) they are
/// `d * (up + bias_up) * activation'(gate + bias_gate)` and `d * activation(gate + bias_gate)`.
///
/// # Errors
///
/// The same as [`activate_gated`].
pub fn activate_gated_backward<'a, T: Element>(
    activation: Activation,
    source: impl Into<MaskSource<'a>>,
    biases: &[f32],
    grad_output: &[T],
    gated: GatedSlices<'_, T>,
    call: &DropoutCall,
) -> Result<(), CpuError> {
    let elements = grad_output.len();
    let (input, both) = match gated {
        GatedSlices::Two { gate, up } => {
            same_length(gate.len(), elements)?;
            same_length(up.len(), elements)?;
            (None, Both::Two { gate, up })
        }
        GatedSlices::Halves { rows, columns } => {
            let (input, rows) = rows.parts()?;
            check_halves(rows.len(), columns, elements)?;
            (input, Both::Halves { rows, columns })
        }
    };
    let biases = Biases::new(biases, elements)?;
    let mask = checked(source.into(), biases.gate, elements, call)?;
    for_each_task(&mut both.tasks(), 1, |_, tasks| {
        for (start, both) in tasks {
            if let (Some(input), Both::Halves { rows, .. }) = (input, &mut *both) {
                rows.copy_from_slice(&input[2 * *start..2 * *start + rows.len()]);
            }
            let grad_output = &grad_output[*start..*start + both.len()];
            write_gated_gradient(
                activation,
                both,
                grad_output,
                biases,
                mask,
                call,
                *start as u64,
            );
        }
    });
    Ok(())
}

fn same_length(input: usize, output: usize) -> Result<(), CpuError> {
    if input == output {
        Ok(())
    } else {
        Err(CpuError::LengthMismatch { input, output })
    }
}

fn check_halves(rows: usize, columns: usize, elements: usize) -> Result<(), CpuError> {
    if columns == 0 || !elements.is_multiple_of(columns) {
        return Err(CpuError::Columns { elements, columns });
    }
    // `2 * elements` may overflow; the quotient does not.
    if !rows.is_multiple_of(2) || rows / 2 != elements {
        return Err(CpuError::Halves { rows, elements });
    }
    Ok(())
}

/// Checks the source, the bias and the call for `elements`.
fn checked<'a>(
    source: MaskSource<'a>,
    bias: &[f32],
    elements: usize,
    call: &DropoutCall,
) -> Result<Mask<'a>, CpuError> {
    source.check_slices(elements)?;
    let len = bias.len();
    if len > 0 && !elements.is_multiple_of(len) {
        return Err(CpuError::VectorLength { elements, len });
    }
    call.refuse_but_scaling(Operation::ActDropout)?;
    source.check_call(call)?;
    Ok(Mask::new(source))
}

/// The biases of a gate and of its other factor (up).
#[derive(Clone, Copy)]
struct Biases<'a> {
    gate: &'a [f32],
    up: &'a [f32],
}

impl<'a> Biases<'a> {
    fn new(both: &'a [f32], elements: usize) -> Result<Self, CpuError> {
        let len = both.len();
        if !len.is_multiple_of(2) {
            return Err(CpuError::VectorLength { elements, len });
        }
        let (gate, up) = both.split_at(len / 2);
        Ok(Self { gate, up })
    }
}

/// Gate and up of a task.
enum Both<'a, T> {
    Two { gate: &'a mut [T], up: &'a mut [T] },
    Halves { rows: &'a mut [T], columns: usize },
}

impl<'a, T: Element> Both<'a, T> {
    fn len(&self) -> usize {
        match self {
            Self::Two { gate, .. } => gate.len(),
            Self::Halves { rows, .. } => rows.len() / 2,
        }
    }

    /// Cuts the elements into tasks, each with the number of its first element. A task begins at a
    /// word of a packed mask, and rows of two halves at the beginning of a row.
    fn tasks(self) -> Vec<(usize, Self)> {
        match self {
            Self::Two { gate, up } => {
                let parts = gate
                    .chunks_mut(TASK_ELEMENTS)
                    .zip(up.chunks_mut(TASK_ELEMENTS));
                (0..)
                    .step_by(TASK_ELEMENTS)
                    .zip(parts)
                    .map(|(start, (gate, up))| (start, Both::Two { gate, up }))
                    .collect()
            }
            Self::Halves { rows, columns } => {
                let word = ELEMENTS_PER_MASK_WORD as usize;
                let count = (TASK_ELEMENTS / columns).max(1).next_multiple_of(word);
                let elements = count.saturating_mul(columns);
                (0..)
                    .step_by(elements)
                    .zip(rows.chunks_mut(elements.saturating_mul(2)))
                    .map(|(start, rows)| (start, Both::Halves { rows, columns }))
                    .collect()
            }
        }
    }
}

/// Splits `elements` where a row of `columns` ends, and calls `each` for each part. `each` receives
/// the part's range, counted from the first of `elements`, and the offset of the part's gate in the
/// rows of two halves.
#[inline(always)]
fn for_each_part(
    elements: Range<usize>,
    columns: usize,
    mut each: impl FnMut(Range<usize>, usize),
) {
    let mut element = elements.start;
    while element < elements.end {
        let (row, column) = (element / columns, element % columns);
        let count = (columns - column).min(elements.end - element);
        let done = element - elements.start;
        each(done..done + count, 2 * row * columns + column);
        element += count;
    }
}

/// Widens the gate and the other factor of `elements` to f32.
#[inline(always)]
fn widen_halves<T: Element>(
    rows: &[T],
    columns: usize,
    elements: Range<usize>,
    gate: &mut [f32],
    up: &mut [f32],
) {
    for_each_part(elements, columns, |part, offset| {
        let (len, other) = (part.len(), offset + columns);
        widen(&rows[offset..offset + len], &mut gate[part.clone()]);
        widen(&rows[other..other + len], &mut up[part]);
    });
}

/// Rounds kept numbers to the type of `data`, and writes +0 for dropped ones.
#[inline(always)]
fn narrow_kept<T: Element>(wide: &[f32], keep: &[Keep], data: &mut [T]) {
    narrow(wide, data);
    for (x, keep) in data.iter_mut().zip(keep) {
        *x = if *keep != 0 { *x } else { T::zeroed() };
    }
}

#[inline(always)]
fn multiply(data: &mut [f32], by: &[f32]) {
    for (x, factor) in data.iter_mut().zip(by) {
        *x *= factor;
    }
}

#[inline(always)]
fn add_bias(data: &mut [f32], bias: &[f32], first: u64) {
    combine(
        data,
        bias,
        first,
        &mut [0.0; BATCH_ELEMENTS][..data.len()],
        |x, bias| x + bias,
    );
}

/// Overwrites the input, which stands in `output`.
#[multiversion(targets("x86_64+avx+avx2"))]
fn write<T: Element>(
    activation: Activation,
    output: &mut [T],
    bias: &[f32],
    mask: Mask<'_>,
    call: &DropoutCall,
    start: u64,
) {
    let factor = call.keep_scale();
    for_each_decided(mask, call, start, output.len(), |range, keep| {
        let first = start + range.start as u64;
        let output = &mut output[range];
        let mut wide = [0.0; BATCH_ELEMENTS];
        let wide = &mut wide[..output.len()];
        widen(output, wide);
        add_bias(wide, bias, first);
        apply(activation, wide);
        for x in &mut *wide {
            *x *= factor;
        }
        narrow_kept(wide, keep, output);
    });
}

/// Overwrites the input, which stands in `grad`.
#[multiversion(targets("x86_64+avx+avx2"))]
fn write_gradient<T: Element>(
    activation: Activation,
    grad: &mut [T],
    grad_output: &[T],
    bias: &[f32],
    mask: Mask<'_>,
    call: &DropoutCall,
    start: u64,
) {
    let factor = call.keep_scale();
    for_each_decided(mask, call, start, grad.len(), |range, keep| {
        let first = start + range.start as u64;
        let grad = &mut grad[range.clone()];
        let (mut slope, mut wide) = ([0.0; BATCH_ELEMENTS], [0.0; BATCH_ELEMENTS]);
        let (slope, wide) = (&mut slope[..grad.len()], &mut wide[..grad.len()]);
        widen(grad, slope);
        add_bias(slope, bias, first);
        differentiate(activation, slope);
        widen(&grad_output[range], wide);
        for x in &mut *wide {
            *x *= factor;
        }
        multiply(wide, slope);
        narrow_kept(wide, keep, grad);
    });
}

/// The first element of `output` is number `start`.
#[multiversion(targets("x86_64+avx+avx2"))]
fn write_gated<T: Element>(
    activation: Activation,
    output: &mut [T],
    gated: Gated<'_, T>,
    biases: Biases<'_>,
    mask: Mask<'_>,
    call: &DropoutCall,
    start: usize,
) {
    let factor = call.keep_scale();
    for_each_decided(mask, call, start as u64, output.len(), |range, keep| {
        let elements = start + range.start..start + range.end;
        let (first, len) = (elements.start as u64, elements.len());
        let (mut gate, mut up) = ([0.0; BATCH_ELEMENTS], [0.0; BATCH_ELEMENTS]);
        let (wide, factors) = (&mut gate[..len], &mut up[..len]);
        match gated {
            Gated::Two { gate, up } => {
                widen(&gate[elements.clone()], wide);
                widen(&up[elements], factors);
            }
            Gated::Halves { rows, columns } => {
                widen_halves(rows, columns, elements, wide, factors);
            }
        }
        add_bias(wide, biases.gate, first);
        add_bias(factors, biases.up, first);
        apply(activation, wide);
        multiply(wide, factors);
        for x in &mut *wide {
            *x *= factor;
        }
        narrow_kept(wide, keep, &mut output[range]);
    });
}

/// The first element of `both` is number `start`.
#[multiversion(targets("x86_64+avx+avx2"))]
fn write_gated_gradient<T: Element>(
    activation: Activation,
    both: &mut Both<'_, T>,
    grad_output: &[T],
    biases: Biases<'_>,
    mask: Mask<'_>,
    call: &DropoutCall,
    start: u64,
) {
    let factor = call.keep_scale();
    for_each_decided(mask, call, start, grad_output.len(), |range, keep| {
        let (first, len) = (start + range.start as u64, range.len());
        let mut arrays = [[0.0; BATCH_ELEMENTS]; 3];
        let [wide, slope, factors] = &mut arrays;
        let (wide, slope, factors) = (&mut wide[..len], &mut slope[..len], &mut factors[..len]);
        match &*both {
            Both::Two { gate, up } => {
                widen(&gate[range.clone()], wide);
                widen(&up[range.clone()], factors);
            }
            Both::Halves { rows, columns } => {
                widen_halves(rows, *columns, range.clone(), wide, factors);
            }
        }
        add_bias(wide, biases.gate, first);
        add_bias(factors, biases.up, first);
        slope.copy_from_slice(wide);
        differentiate(activation, slope);
        apply(activation, wide);
        let mut grad = [0.0; BATCH_ELEMENTS];
        let grad = &mut grad[..len];
        widen(&grad_output[range.clone()], grad);
        for x in &mut *grad {
            *x *= factor;
        }
        multiply(wide, grad);
        multiply(factors, grad);
        multiply(factors, slope);
        match both {
            Both::Two { gate, up } => {
                narrow_kept(factors, keep, &mut gate[range.clone()]);
                narrow_kept(wide, keep, &mut up[range]);
            }
            Both::Halves { rows, columns } => for_each_part(range, *columns, |part, place| {
                let (len, other) = (part.len(), place + *columns);
                let keep = &keep[part.clone()];
                narrow_kept(&factors[part.clone()], keep, &mut rows[place..place + len]);
                narrow_kept(&wide[part], keep, &mut rows[other..other + len]);
            }),
        }
    });
}
