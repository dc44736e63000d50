//! Sums of a matrix's columns, in the order of additions of shaders/entry/column_tiles.wgsl and
//! shaders/entry/column_totals.wgsl.

use core::ops::Range;

use super::add::{combine, for_each_decided, widen};
use super::error::CpuError;
use super::mask::{BATCH_ELEMENTS, Mask};
use super::tasks::for_each_task;
use crate::contract::call::DropoutCall;
use crate::contract::element::Element;
use crate::contract::error::Operation;
use crate::contract::source::MaskSource;

const TILE_ROWS: usize = 64;
const CHAINS: usize = 16;

/// Adds the rows of a matrix of as many columns as `sums` has numbers: the gradient of a bias from that of a layer's
/// input, as [`ColumnSums`](crate::ColumnSums) does with buffers, whose order of additions and error are the same.
/// The sums replace what stands in `sums`, or with `accumulate` are added to it.
///
/// # Errors
///
/// [`CpuError::VectorLength`] unless the matrix has whole rows. Nothing was written then.
///
/// ```
/// use wgpu_dropout::cpu;
///
/// let grad_input = [1.0f32, 2.0, 3.0, 10.0, 20.0, 30.0];
/// let mut grad_bias = [0.0; 3];
/// cpu::column_sums(&grad_input, &mut grad_bias, false)?;
/// assert_eq!(grad_bias, [11.0, 22.0, 33.0]);
/// # Ok::<(), cpu::CpuError>(())
/// ```
pub fn column_sums<T: Element>(
    matrix: &[T],
    sums: &mut [f32],
    accumulate: bool,
) -> Result<(), CpuError> {
    check_columns(matrix.len(), sums.len())?;
    add_rows(matrix.len(), sums, accumulate, |elements, terms| {
        widen(&matrix[elements], terms);
    });
    Ok(())
}

/// The gradient of a scale: the sum of `dropout'(grad_output) * (input + bias)` \[M23\] over the elements that have a
/// number, as [`DropoutAdd::encode_scale_gradient`](crate::DropoutAdd::encode_scale_gradient) does with buffers.
/// Input and gradient may have two types. `grad_scale` has as many numbers as the scale. The sums replace what stands there, or with `accumulate` are added
/// to it.
///
/// # Errors
///
/// [`CpuError::LengthMismatch`] unless input and gradient have one length, [`CpuError::VectorLength`] unless the
/// bias and the scale repeat over it, and as [`add`](super::add) does. Nothing was written then.
pub fn scale_gradient<'a, T: Element, S: Element>(
    source: impl Into<MaskSource<'a>>,
    input: &[T],
    bias: &[f32],
    grad_output: &[S],
    grad_scale: &mut [f32],
    call: &DropoutCall,
    accumulate: bool,
) -> Result<(), CpuError> {
    let source = source.into();
    let elements = input.len();
    if elements != grad_output.len() {
        return Err(CpuError::LengthMismatch {
            input: elements,
            output: grad_output.len(),
        });
    }
    check_columns(elements, grad_scale.len())?;
    if !bias.is_empty() {
        check_columns(elements, bias.len())?;
    }
    source.check_slices(elements)?;
    call.refuse_but_scaling(Operation::DropoutAdd)?;
    source.check_call(call)?;
    let (mask, factor) = (Mask::new(source), call.scaling_factor());
    add_rows(elements, grad_scale, accumulate, |row, terms| {
        let start = row.start as u64;
        for_each_decided(mask, call, start, row.len(), |part, keep| {
            let elements = row.start + part.start..row.start + part.end;
            let (mut x, mut other) = ([0.0; BATCH_ELEMENTS], [0.0; BATCH_ELEMENTS]);
            let (x, other) = (&mut x[..part.len()], &mut other[..part.len()]);
            widen(&input[elements.clone()], x);
            combine(x, bias, elements.start as u64, other, |x, bias| x + bias);
            widen(&grad_output[elements], other);
            let terms = terms[part].iter_mut().zip(x).zip(other).zip(keep);
            for (((term, x), gradient), keep) in terms {
                *term = if *keep != 0 {
                    *gradient * factor * *x
                } else {
                    0.0
                };
            }
        });
    });
    Ok(())
}

pub(super) fn check_columns(elements: usize, len: usize) -> Result<(), CpuError> {
    match elements.checked_rem(len) {
        Some(0) => Ok(()),
        None if elements == 0 => Ok(()),
        _ => Err(CpuError::VectorLength { elements, len }),
    }
}

/// Adds the rows of `terms`, which writes the terms of some elements.
pub(super) fn add_rows(
    elements: usize,
    sums: &mut [f32],
    accumulate: bool,
    terms: impl Fn(Range<usize>, &mut [f32]) + Send + Sync,
) {
    let columns = sums.len();
    if columns == 0 {
        return;
    }
    let rows = elements / columns;
    let mut tiles = vec![0.0f32; rows.div_ceil(TILE_ROWS) * columns];
    for_each_task(&mut tiles, columns, |tile, sums| {
        let mut row_terms = vec![0.0; columns];
        for row in tile * TILE_ROWS..rows.min((tile + 1) * TILE_ROWS) {
            terms(row * columns..(row + 1) * columns, &mut row_terms);
            for (sum, term) in sums.iter_mut().zip(&row_terms) {
                *sum += term;
            }
        }
    });
    let mut chains = vec![0.0f32; CHAINS * columns];
    for (tile, sums) in tiles.chunks(columns).enumerate() {
        let chain = &mut chains[tile % CHAINS * columns..][..columns];
        for (chain, sum) in chain.iter_mut().zip(sums) {
            *chain += sum;
        }
    }
    let mut rest = CHAINS / 2;
    while rest > 0 {
        let (first, second) = chains.split_at_mut(rest * columns);
        for (first, second) in first.iter_mut().zip(second) {
            *first += *second;
        }
        rest /= 2;
    }
    for (sum, total) in sums.iter_mut().zip(chains) {
        *sum = if accumulate { *sum + total } else { total };
    }
}
