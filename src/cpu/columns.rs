//! Sums of a matrix's columns. Additions have the order of shaders/entry/column_tiles.wgsl and
//! shaders/entry/column_totals.wgsl, so the sums have the same bits.

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

/// Sums the columns of a matrix, which has as many columns as `sums` has numbers. The gradient of a
/// bias is this sum of the gradient of a layer's input. [`ColumnSums`](crate::ColumnSums) does the
/// same with buffers, with the same order of additions and hence the same bits. The sums replace
/// the contents of `sums`, or with `accumulate` are added to them.
///
/// # Errors
///
/// [`CpuError::VectorLength`] unless the matrix has whole rows. After an error nothing has been
/// written.
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

/// The gradient of a scale \[M23\]: for each number of the scale, the sum of
/// `dropout'(grad_output) * (input + bias)` over the elements that it multiplies.
/// [`DropoutAdd::encode_scale_gradient`](crate::DropoutAdd::encode_scale_gradient) does the same
/// with buffers. Input and gradient may differ in type. `grad_scale` has as many numbers as the
/// scale. The sums replace its contents, or with `accumulate` are added to them.
///
/// # Errors
///
/// [`CpuError::LengthMismatch`] unless input and gradient have one length,
/// [`CpuError::VectorLength`] unless the bias and the scale repeat over that length, and the errors
/// of [`add`](super::add). After an error nothing has been written.
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

/// Sums the columns of a matrix of `elements` elements. `terms` computes the matrix: it writes the
/// elements of a range into a slice.
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
