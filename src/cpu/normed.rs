//! Dropout of a branch that is added to a residual, and a norm of the sum, as in
//! shaders/entry/norm_rows.wgsl, norm_gradient.wgsl and norm_moments.wgsl.

use multiversion::multiversion;

use super::add::{narrow, widen, write_gradient, write_sum};
use super::columns::{add_rows, check_columns};
use super::dropout::{Slices, TASK_ELEMENTS, copy};
use super::error::CpuError;
use super::mask::{Keep, Mask};
use super::tasks::for_each_task;
use super::{Vectors, add::for_each_decided};
use crate::contract::call::DropoutCall;
use crate::contract::element::Element;
use crate::contract::error::Operation;
use crate::contract::norm::{MaskPlace, Norm, RowOrder};
use crate::contract::rate::DropoutRate;
use crate::contract::source::MaskSource;

/// A norm, its bias and factors, and the operand to which dropout is applied.
#[derive(Clone, Copy, Debug)]
pub struct AddNorm<'a> {
    /// The norm.
    pub norm: Norm,
    /// The operand of dropout: the branch or the norm's output.
    pub place: MaskPlace,
    /// The bias that is added to the input; empty, or repeated over the elements.
    pub bias: &'a [f32],
    /// γ, one number per column. Its length is the length of a row.
    pub gamma: &'a [f32],
    /// β, one number per column; empty for an RMS norm.
    pub beta: &'a [f32],
}

/// `sum = residual + dropout(input + bias)` and `output = norm(sum)`, or
/// `sum = residual + input + bias` and `output = dropout(norm(sum))` \[M25\]: what
/// [`DropoutAddNorm::encode_forward`](crate::DropoutAddNorm::encode_forward) does with buffers.
/// `sums` are the residual and the sum, or one slice that the sum overwrites. Without a residual
/// give zeros.
///
/// # Errors
///
/// [`CpuError::LengthMismatch`] unless input, residual, sum and output have one length,
/// [`CpuError::VectorLength`] unless bias and γ repeat over that length, [`CpuError::NormLength`]
/// unless β has the length of γ, or is empty for an RMS norm, [`CpuError::NormColumns`] for no
/// column or too many, [`CpuError::Source`] unless the source has that length, [`CpuError::Call`]
/// for alpha and Gaussian dropout and as for [`apply`](super::apply). After an error nothing has
/// been written.
///
/// ```
/// use wgpu_dropout::cpu::{self, AddNorm};
/// use wgpu_dropout::{DropoutCall, DropoutRate, MaskKey, MaskPlace, Norm};
///
/// let call = DropoutCall::new(DropoutRate::ZERO, MaskKey::layer_step(42, 3, 7));
/// let norm = AddNorm {
///     norm: Norm::layer(0.0)?,
///     place: MaskPlace::Branch,
///     bias: &[],
///     gamma: &[1.0, 1.0],
///     beta: &[0.0, 0.5],
/// };
/// let (mut stream, mut output) = ([1.0f32, 2.0, 3.0, 0.0], [0.0; 4]);
/// cpu::add_norm(&norm, 4u64, &[1.0; 4], &mut stream[..], &mut output, &call)?;
/// assert_eq!(stream, [2.0, 3.0, 4.0, 1.0]);
/// assert_eq!(output, [-1.0, 1.5, 1.0, -0.5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn add_norm<'a, 'b, T: Element>(
    norm: &AddNorm<'_>,
    source: impl Into<MaskSource<'a>>,
    input: &[T],
    sums: impl Into<Slices<'b, T>>,
    output: &mut [T],
    call: &DropoutCall,
) -> Result<(), CpuError> {
    let (residual, sum) = sums.into().parts()?;
    same_length(input.len(), sum.len())?;
    same_length(sum.len(), output.len())?;
    let mask = norm.checked(source.into(), sum.len(), call)?;
    let task_len = norm.task_len();
    let pairs = sum.chunks_mut(task_len).zip(output.chunks_mut(task_len));
    let mut tasks: Vec<_> = pairs.collect();
    for_each_task(&mut tasks, 1, |task, pair| {
        let start = task * task_len;
        for (sum, output) in pair {
            let here = start..start + sum.len();
            copy(residual.map(|residual| &residual[here.clone()]), sum);
            let vectors = Vectors {
                bias: norm.bias,
                scale: &[],
            };
            let (mask_here, call_here) = norm.on_branch(mask, call);
            write_sum(
                sum,
                &input[here],
                vectors,
                mask_here,
                &call_here,
                start as u64,
            );
            write_norm(norm, sum, output, mask, call, start as u64);
        }
    });
    Ok(())
}

/// The gradients of [`add_norm`] \[M25\], from the gradient of its output and from its sum: what
/// [`DropoutAddNorm::encode_backward`](crate::DropoutAddNorm::encode_backward) does with buffers.
/// `grads` are the gradient of the output and the masked gradient, or one slice in which the second
/// overwrites the first. The masked gradient is that of the input if dropout is on the branch, and
/// that of the norm's result if dropout is on the output. `grad_sum` receives the gradient of the
/// sum, which is also that of the residual. With `accumulate` this gradient is added to the
/// contents.
///
/// # Errors
///
/// The same as [`add_norm`].
pub fn add_norm_backward<'a, 'b, T: Element>(
    norm: &AddNorm<'_>,
    source: impl Into<MaskSource<'a>>,
    sum: &[T],
    grads: impl Into<Slices<'b, T>>,
    grad_sum: &mut [T],
    call: &DropoutCall,
    accumulate: bool,
) -> Result<(), CpuError> {
    let (grad_output, masked) = grads.into().parts()?;
    same_length(sum.len(), masked.len())?;
    same_length(sum.len(), grad_sum.len())?;
    let mask = norm.checked(source.into(), sum.len(), call)?;
    let task_len = norm.task_len();
    let pairs = masked
        .chunks_mut(task_len)
        .zip(grad_sum.chunks_mut(task_len));
    let mut tasks: Vec<_> = pairs.collect();
    for_each_task(&mut tasks, 1, |task, pair| {
        let start = task * task_len;
        for (masked, grad_sum) in pair {
            let here = start..start + masked.len();
            copy(grad_output.map(|grad| &grad[here.clone()]), masked);
            if norm.place == MaskPlace::Output {
                write_gradient(masked, None::<&[T]>, &[], mask, call, start as u64);
            }
            write_sum_gradient(norm, &sum[here], masked, grad_sum, accumulate);
            if norm.place == MaskPlace::Branch {
                masked.copy_from_slice(grad_sum);
                write_gradient(masked, None::<&[T]>, &[], mask, call, start as u64);
            }
        }
    });
    Ok(())
}

/// The gradient of γ, the sum over the rows of `grad_normed * (sum - mean) / deviation` \[M25\], as
/// [`DropoutAddNorm::encode_gamma_gradient`](crate::DropoutAddNorm::encode_gamma_gradient) does
/// with buffers. `grad_normed` is the gradient of the norm's result: that of [`add_norm`]'s output
/// or, if dropout is on the output, the masked gradient that [`add_norm_backward`] writes. The sums
/// replace the contents of `grad_gamma`, or with `accumulate` are added to them. The gradient of β
/// is [`column_sums`](super::column_sums) of `grad_normed`.
///
/// # Errors
///
/// [`CpuError::LengthMismatch`] unless sum and gradient have one length, [`CpuError::VectorLength`]
/// unless γ repeats over that length, [`CpuError::NormColumns`] for no column or too many. After an
/// error nothing has been written.
pub fn gamma_gradient<T: Element>(
    norm: Norm,
    sum: &[T],
    grad_normed: &[T],
    grad_gamma: &mut [f32],
    accumulate: bool,
) -> Result<(), CpuError> {
    same_length(sum.len(), grad_normed.len())?;
    let columns = grad_gamma.len();
    let order = order::<T>(columns)?;
    check_columns(sum.len(), columns)?;
    add_rows(sum.len(), grad_gamma, accumulate, |row, terms| {
        let number = row.start / columns;
        let mut normed = vec![0.0; columns];
        widen(&sum[row.clone()], &mut normed);
        normalize::<T>(norm, &order, &mut normed, number);
        widen(&grad_normed[row], terms);
        for (term, normed) in terms.iter_mut().zip(normed) {
            *term *= normed;
        }
    });
    Ok(())
}

pub(super) fn same_length(input: usize, output: usize) -> Result<(), CpuError> {
    if input == output {
        Ok(())
    } else {
        Err(CpuError::LengthMismatch { input, output })
    }
}

/// The order in which a row of `columns` elements is added.
fn order<T: Element>(columns: usize) -> Result<RowOrder, CpuError> {
    let max = Norm::MAX_COLUMNS;
    match u32::try_from(columns) {
        Ok(count) if (1..=max).contains(&count) => Ok(RowOrder::new(count, T::TYPE)),
        _ => Err(CpuError::NormColumns { columns, max }),
    }
}

impl AddNorm<'_> {
    /// Checks the numbers of the norm, the source and the call for `elements`.
    fn checked<'a>(
        &self,
        source: MaskSource<'a>,
        elements: usize,
        call: &DropoutCall,
    ) -> Result<Mask<'a>, CpuError> {
        source.check_slices(elements)?;
        let columns = self.gamma.len();
        order::<f32>(columns)?;
        let beta = if self.norm.is_rms() { 0 } else { columns };
        if self.beta.len() != beta {
            return Err(CpuError::NormLength {
                len: self.beta.len(),
                columns: beta,
            });
        }
        check_columns(elements, columns)?;
        if !self.bias.is_empty() {
            check_columns(elements, self.bias.len())?;
        }
        call.refuse_but_scaling(Operation::DropoutAddNorm)?;
        source.check_call(call)?;
        Ok(Mask::new(source))
    }

    /// Elements of one task of the pool: whole rows.
    fn task_len(&self) -> usize {
        let columns = self.gamma.len();
        // An even number of rows: 16-bit rows of odd length share words in pairs.
        (TASK_ELEMENTS / columns).max(1).next_multiple_of(2) * columns
    }

    /// The mask and the call to apply to the branch. If dropout is on the output, this call has the
    /// rate 0.
    fn on_branch<'a>(&self, mask: Mask<'a>, call: &DropoutCall) -> (Mask<'a>, DropoutCall) {
        match self.place {
            MaskPlace::Branch => (mask, *call),
            MaskPlace::Output => (Mask::Linear, DropoutCall::new(DropoutRate::ZERO, call.key)),
        }
    }
}

/// Returns two sums over a row. `numbers` computes an element's term of each sum. The order of
/// additions is that of the kernels. `row` is the row's number.
#[inline(always)]
pub(super) fn row_sums<T: Element>(
    order: &RowOrder,
    values: &[f32],
    row: usize,
    numbers: impl Fn(usize, f32) -> [f32; 2],
) -> [f32; 2] {
    let lanes = order.lanes as usize;
    // Elements per 4-byte word, in which kernels load.
    let word = 4 / T::TYPE.bytes() as usize;
    // Offset of the row within its unit, which is two rows if 16-bit rows of odd length share a
    // word.
    let first = row % order.unit_rows as usize * values.len();
    let mut sums = [[0.0f32; 256]; 2];
    let [a, b] = &mut sums;
    if word == 1 {
        for (part, values) in values.chunks(lanes).enumerate() {
            let sums = a[..lanes].iter_mut().zip(&mut b[..lanes]);
            for (lane, ((a, b), x)) in sums.zip(values).enumerate() {
                let [first, second] = numbers(part * lanes + lane, *x);
                *a += first;
                *b += second;
            }
        }
    } else {
        let mut column = 0;
        while column < values.len() {
            let offset = first + column;
            // The row's elements in this word. A word that two rows share holds only one of this
            // row.
            let end = (column + word - offset % word).min(values.len());
            let parts = (column..end).map(|column| numbers(column, values[column]));
            let sum = |sum: [f32; 2], part: [f32; 2]| [sum[0] + part[0], sum[1] + part[1]];
            let [first, second] = parts.reduce(sum).unwrap_or_default();
            let lane = (offset / word) & (lanes - 1);
            a[lane] += first;
            b[lane] += second;
            column = end;
        }
    }
    sums.map(|sums| {
        let chains = lanes.min(16);
        (0..chains).fold(0.0, |total, chain| {
            total + sums[chain..lanes].iter().step_by(16).sum::<f32>()
        })
    })
}

/// Replaces a row by (x - mean) / sqrt(variance + epsilon), and returns 1 / sqrt(variance +
/// epsilon).
#[inline(always)]
fn normalize<T: Element>(norm: Norm, order: &RowOrder, data: &mut [f32], row: usize) -> f32 {
    let reciprocal = reciprocal(data.len());
    let mut mean = 0.0;
    if !norm.is_rms() {
        mean = row_sums::<T>(order, data, row, |_, x| [x, 0.0])[0] * reciprocal;
    }
    for x in &mut *data {
        *x -= mean;
    }
    let [sum, squares] = row_sums::<T>(order, data, row, |_, d| [d, d * d]);
    let correction = if norm.is_rms() { 0.0 } else { sum * reciprocal };
    let variance = (squares * reciprocal - correction * correction).max(0.0);
    let factor = 1.0 / (variance + norm.epsilon()).sqrt();
    for x in data {
        *x = (*x - correction) * factor;
    }
    factor
}

fn reciprocal(columns: usize) -> f32 {
    // `columns` is at most 2^24, so f32 holds it exactly.
    1.0 / columns as f32
}

/// `sum` and `output` are whole rows. Their first element is number `start`.
#[multiversion(targets("x86_64+avx+avx2"))]
fn write_norm<T: Element>(
    norm: &AddNorm<'_>,
    sum: &[T],
    output: &mut [T],
    mask: Mask<'_>,
    call: &DropoutCall,
    start: u64,
) {
    let columns = norm.gamma.len();
    let order = RowOrder::new(columns as u32, T::TYPE);
    let mut normed = vec![0.0; sum.len()];
    widen(sum, &mut normed);
    // A task begins with an even row, so the row's number in the task decides which half of a
    // shared word it has.
    for (row, normed) in normed.chunks_mut(columns).enumerate() {
        normalize::<T>(norm.norm, &order, normed, row);
        for (x, gamma) in normed.iter_mut().zip(norm.gamma) {
            *x *= gamma;
        }
        for (x, beta) in normed.iter_mut().zip(norm.beta) {
            *x += beta;
        }
    }
    match norm.place {
        MaskPlace::Branch => narrow(&normed, output),
        MaskPlace::Output => {
            let factor = call.scaling_factor();
            for_each_decided(mask, call, start, output.len(), |range, keep| {
                let (normed, output) = (&mut normed[range.clone()], &mut output[range]);
                for x in &mut *normed {
                    *x *= factor;
                }
                narrow(normed, output);
                clear_dropped(output, keep);
            });
        }
    }
}

#[inline(always)]
pub(super) fn clear_dropped<T: Element>(data: &mut [T], keep: &[Keep]) {
    for (x, keep) in data.iter_mut().zip(keep) {
        *x = if *keep != 0 { *x } else { T::zeroed() };
    }
}

/// All slices are whole rows. `grad_normed` is the gradient of the norm's result.
#[multiversion(targets("x86_64+avx+avx2"))]
fn write_sum_gradient<T: Element>(
    norm: &AddNorm<'_>,
    sum: &[T],
    grad_normed: &[T],
    grad_sum: &mut [T],
    accumulate: bool,
) {
    let columns = norm.gamma.len();
    let order = RowOrder::new(columns as u32, T::TYPE);
    let reciprocal = reciprocal(columns);
    let mut buffer = vec![0.0; 2 * columns];
    let (normed, grad) = buffer.split_at_mut(columns);
    let rows = grad_sum.chunks_mut(columns).enumerate();
    let rows = rows.zip(sum.chunks(columns).zip(grad_normed.chunks(columns)));
    for ((row, grad_sum), (sum, grad_normed)) in rows {
        widen(sum, normed);
        let factor = normalize::<T>(norm.norm, &order, normed, row);
        widen(grad_normed, grad);
        for (grad, gamma) in grad.iter_mut().zip(norm.gamma) {
            *grad *= gamma;
        }
        let [sum, product] = row_sums::<T>(&order, grad, row, |column, grad| {
            [grad, grad * normed[column]]
        });
        let mean = if norm.norm.is_rms() {
            0.0
        } else {
            sum * reciprocal
        };
        let slope = product * reciprocal;
        for (grad, normed) in grad.iter_mut().zip(&*normed) {
            *grad = factor * (*grad - mean - normed * slope);
        }
        if accumulate {
            let before = &mut *normed;
            widen(grad_sum, before);
            for (grad, before) in grad.iter_mut().zip(before) {
                *grad += *before;
            }
        }
        narrow(grad, grad_sum);
    }
}
