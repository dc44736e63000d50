//! Dropout of a softmax, as in shaders/entry/softmax_rows.wgsl and softmax_gradient.wgsl.

use multiversion::multiversion;

use super::add::{for_each_decided, narrow, widen};
use super::dropout::{Slices, TASK_ELEMENTS, copy};
use super::error::CpuError;
use super::mask::Mask;
use super::normed::{clear_dropped, row_sums, same_length};
use super::tasks::for_each_task;
use crate::contract::call::DropoutCall;
use crate::contract::element::Element;
use crate::contract::error::Operation;
use crate::contract::norm::RowOrder;
use crate::contract::softmax::{AttentionMask, SavedSoftmax, Softmax};
use crate::contract::source::MaskSource;

/// `output = dropout(softmax(factor * scores + mask))` over the last dimension \[M26\]: what
/// [`SoftmaxDropout::encode_forward`](crate::SoftmaxDropout::encode_forward) does with buffers.
/// `slices` are the scores and the output, or one slice that the output overwrites. If
/// `probabilities` is given, it receives the softmax before dropout, so that backward need not
/// compute it again.
///
/// # Errors
///
/// [`CpuError::Softmax`] unless the elements are whole rows over which the mask repeats,
/// [`CpuError::LengthMismatch`] unless scores, output and probabilities have one length,
/// [`CpuError::Source`] unless the source has that length, [`CpuError::Call`] for alpha and
/// Gaussian dropout and as for [`apply`](super::apply). After an error nothing has been written.
///
/// ```
/// use wgpu_dropout::{AttentionMask, DropoutCall, DropoutRate, MaskKey, Softmax, cpu};
///
/// let call = DropoutCall::new(DropoutRate::ZERO, MaskKey::layer_step(42, 3, 7));
/// let causal = AttentionMask::Causal { rows_per_matrix: 2, offset: 0 };
/// let mut scores = [1.0f32, 5.0, 3.0, 3.0];
/// cpu::softmax(Softmax::new(2, 0.125)?, causal, 4u64, &mut scores[..], None, &call)?;
/// assert_eq!(scores, [1.0, 0.0, 0.5, 0.5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn softmax<'a, 'b, T: Element>(
    softmax: Softmax,
    mask: AttentionMask<&[f32]>,
    source: impl Into<MaskSource<'a>>,
    slices: impl Into<Slices<'b, T>>,
    probabilities: Option<&mut [T]>,
    call: &DropoutCall,
) -> Result<(), CpuError> {
    let (scores, output) = slices.into().parts()?;
    if let Some(probabilities) = &probabilities {
        same_length(output.len(), probabilities.len())?;
    }
    let rows = Rows { softmax, mask };
    let decisions = rows.checked(source.into(), output.len(), call)?;
    let task_len = rows.task_len();
    let mut kept = probabilities.map(|kept| kept.chunks_mut(task_len));
    let outputs = output.chunks_mut(task_len);
    let mut tasks: Vec<_> = outputs
        .map(|output| (output, kept.as_mut().and_then(Iterator::next)))
        .collect();
    for_each_task(&mut tasks, 1, |task, pair| {
        let start = task * task_len;
        for (output, kept) in pair {
            let here = start..start + output.len();
            copy(scores.map(|scores| &scores[here]), output);
            write_softmax(
                &rows,
                output,
                kept.as_deref_mut(),
                decisions,
                call,
                start as u64,
            );
        }
    });
    Ok(())
}

/// The gradient of [`softmax`]'s scores \[M26\], computed from the scores or from stored
/// probabilities: what [`SoftmaxDropout::encode_backward`](crate::SoftmaxDropout::encode_backward)
/// does with buffers. `slices` are the gradients of the output and of the scores, or one slice in
/// which the second overwrites the first.
///
/// # Errors
///
/// The same as [`softmax`].
pub fn softmax_backward<'a, 'b, T: Element>(
    softmax: Softmax,
    mask: AttentionMask<&[f32]>,
    source: impl Into<MaskSource<'a>>,
    saved: SavedSoftmax<&[T]>,
    slices: impl Into<Slices<'b, T>>,
    call: &DropoutCall,
) -> Result<(), CpuError> {
    let (grad_output, grad_scores) = slices.into().parts()?;
    same_length(saved.into_inner().len(), grad_scores.len())?;
    let rows = Rows { softmax, mask };
    let decisions = rows.checked(source.into(), grad_scores.len(), call)?;
    let task_len = rows.task_len();
    for_each_task(grad_scores, task_len, |task, grad| {
        let start = task * task_len;
        let here = start..start + grad.len();
        copy(grad_output.map(|output| &output[here.clone()]), grad);
        let saved = match saved {
            SavedSoftmax::Scores(scores) => SavedSoftmax::Scores(&scores[here]),
            SavedSoftmax::Probabilities(kept) => SavedSoftmax::Probabilities(&kept[here]),
        };
        write_gradient(&rows, saved, grad, decisions, call, start as u64);
    });
    Ok(())
}

/// A softmax and its attention mask.
struct Rows<'a> {
    softmax: Softmax,
    mask: AttentionMask<&'a [f32]>,
}

impl Rows<'_> {
    /// Checks the source, the attention mask and the call for `elements`.
    fn checked<'a>(
        &self,
        source: MaskSource<'a>,
        elements: usize,
        call: &DropoutCall,
    ) -> Result<Mask<'a>, CpuError> {
        source.check_slices(elements)?;
        let mask = self.mask.map(|mask| mask.len() as u64);
        self.softmax.check(elements as u64, mask)?;
        call.refuse_but_scaling(Operation::SoftmaxDropout)?;
        source.check_call(call)?;
        Ok(Mask::new(source))
    }

    fn columns(&self) -> usize {
        self.softmax.columns() as usize
    }

    /// Elements of one task of the pool: whole rows.
    fn task_len(&self) -> usize {
        // An even number of rows: 16-bit rows of odd length share words in pairs.
        (TASK_ELEMENTS / self.columns()).max(1).next_multiple_of(2) * self.columns()
    }

    /// The number of columns that row number `row` of the tensor sees.
    fn seen(&self, row: usize) -> usize {
        match self.mask {
            AttentionMask::Causal {
                rows_per_matrix,
                offset,
            } => {
                // The remainder is below 2^24, so the cast is exact.
                let row = (row % rows_per_matrix as usize) as i64;
                let columns = self.columns() as i64;
                (row + i64::from(offset) + 1).clamp(0, columns) as usize
            }
            AttentionMask::None | AttentionMask::Additive(_) => self.columns(),
        }
    }

    /// Replaces each score of row number `row` by e^(score - largest score). Returns true if the
    /// row has a NaN.
    #[inline(always)]
    fn exponentiate(&self, data: &mut [f32], row: usize) -> bool {
        let (seen, hidden) = data.split_at_mut(self.seen(row));
        hidden.fill(0.0);
        let (factor, limit) = (self.softmax.factor(), Softmax::LIMIT);
        let mut has_nan = seen.iter().any(|x| x.is_nan());
        let score_limit = self.softmax.score_limit();
        for x in &mut *seen {
            *x = factor * x.clamp(-score_limit, score_limit);
        }
        if let AttentionMask::Additive(mask) = self.mask {
            let columns = self.columns();
            let first = row % (mask.len() / columns) * columns;
            for (x, number) in seen.iter_mut().zip(&mask[first..first + columns]) {
                has_nan |= number.is_nan();
                let sum = *x + number.clamp(-limit, limit);
                *x = match *number <= -limit {
                    true => -limit,
                    false => sum.clamp(-limit, limit),
                };
            }
        }
        let largest = seen.iter().fold(-f32::INFINITY, |a, b| a.max(*b));
        for x in seen {
            *x = (*x - largest).max(MIN_EXPONENT).exp();
        }
        has_nan
    }
}

/// For smaller z, e^z is below half of the smallest f32.
const MIN_EXPONENT: f32 = -104.0;

/// 1 / `sum`, the sum of a row's exponentials. The exponential of the row's largest score is 1, so
/// the sum is below 0.5 only for a row that sees no column.
fn reciprocal(sum: f32) -> f32 {
    1.0 / sum.max(0.5)
}

/// Overwrites the scores, which stand in `output`: whole rows, the first element of which is number
/// `start`.
#[multiversion(targets("x86_64+avx+avx2"))]
fn write_softmax<T: Element>(
    rows: &Rows<'_>,
    output: &mut [T],
    kept: Option<&mut [T]>,
    decisions: Mask<'_>,
    call: &DropoutCall,
    start: u64,
) {
    let columns = rows.columns();
    let order = RowOrder::new(columns as u32, T::TYPE);
    let mut wide = vec![0.0; output.len()];
    widen(output, &mut wide);
    let first_row = (start / columns as u64) as usize;
    // A task begins with an even row, so the row's number in the task decides which half of a
    // shared word it has.
    for (row, data) in wide.chunks_mut(columns).enumerate() {
        let has_nan = rows.exponentiate(data, first_row + row);
        let [sum, _] = row_sums::<T>(&order, data, row, |_, e| [e, 0.0]);
        let factor = if has_nan { f32::NAN } else { reciprocal(sum) };
        for x in &mut data[..rows.seen(first_row + row)] {
            *x *= factor;
        }
    }
    if let Some(kept) = kept {
        narrow(&wide, kept);
    }
    let factor = call.scaling_factor();
    for_each_decided(decisions, call, start, output.len(), |range, keep| {
        let (wide, output) = (&mut wide[range.clone()], &mut output[range]);
        for x in &mut *wide {
            *x *= factor;
        }
        narrow(wide, output);
        clear_dropped(output, keep);
    });
}

/// Overwrites the gradient of the output, which stands in `grad`: whole rows, the first element of
/// which is number `start`.
#[multiversion(targets("x86_64+avx+avx2"))]
fn write_gradient<T: Element>(
    rows: &Rows<'_>,
    saved: SavedSoftmax<&[T]>,
    grad: &mut [T],
    decisions: Mask<'_>,
    call: &DropoutCall,
    start: u64,
) {
    let columns = rows.columns();
    let order = RowOrder::new(columns as u32, T::TYPE);
    let mut dropped = vec![0.0; grad.len()];
    widen(grad, &mut dropped);
    let scale = call.scaling_factor();
    for_each_decided(decisions, call, start, grad.len(), |range, keep| {
        for (x, keep) in dropped[range].iter_mut().zip(keep) {
            *x = if *keep != 0 { *x * scale } else { 0.0 };
        }
    });
    let first_row = (start / columns as u64) as usize;
    let mut data = vec![0.0; columns];
    let saved_rows = saved.into_inner().chunks(columns);
    let grads = grad.chunks_mut(columns).zip(dropped.chunks_mut(columns));
    for (row, ((grad, dropped), saved_row)) in grads.zip(saved_rows).enumerate() {
        widen(saved_row, &mut data);
        let seen = rows.seen(first_row + row);
        // A NaN in a hidden column must not reach the sums.
        dropped[seen..].fill(0.0);
        data[seen..].fill(0.0);
        let is_found_again = matches!(saved, SavedSoftmax::Scores(_));
        let has_nan = is_found_again && rows.exponentiate(&mut data, first_row + row);
        let [sum, product] =
            row_sums::<T>(&order, &data, row, |column, x| [x, x * dropped[column]]);
        let factor = match is_found_again {
            true if has_nan => f32::NAN,
            true => reciprocal(sum),
            false => 1.0,
        };
        let mean = product * factor;
        for (q, x) in dropped[..seen].iter_mut().zip(&data) {
            let gradient = x * factor * (*q - mean) * rows.softmax.factor();
            *q = if gradient == 0.0 { 0.0 } else { gradient };
        }
        narrow(dropped, grad);
    }
}
