//! The norm of a residual plus a branch after dropout \[M25\].

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use super::dropout::lanes;
use super::groups::rounded;
use super::mask::Mask;
use super::rows::{Place, Rows, keep_span, place, row_sum, spans, vectors};
use super::softmax::lanes_sum;

/// The options that a kernel is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NormVariant {
    pub rows: Rows,
    pub is_rms: bool,
    pub has_bias: bool,
    pub has_beta: bool,
}

/// The parameters of a norm.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
#[expand(derive(Clone, Copy))]
pub(crate) struct NormNumbers {
    pub rows: u32,
    pub columns: u32,
    pub reciprocal: f32,
    pub epsilon: f32,
}

/// Mean and 1 / deviation of a row.
#[derive(CubeType, Clone, Copy)]
#[expand(derive(Clone, Copy))]
struct Moments {
    mean: f32,
    /// The number that corrects the mean's rounding error.
    correction: f32,
    factor: f32,
}

/// The moments of a row in two passes. The second pass finds the rounding error of the first pass's
/// mean, and corrects the moments by it [M25].
#[cube]
fn moments<T: Float, N: Size>(
    sums: &[Vector<T, N>],
    numbers: &NormNumbers,
    place: Place,
    own_sum: f32,
    memory: &mut Shared<[f32]>,
    #[comptime] variant: NormVariant,
) -> Moments {
    let rows = comptime!(variant.rows);
    let mean = if comptime!(variant.is_rms) {
        0.0f32.runtime()
    } else {
        row_sum(own_sum, place, memory, rows) * numbers.reciprocal
    };
    let mut own = f32::new(0.0);
    let mut own_squares = f32::new(0.0);
    let mut span = 0u32;
    let end = spans(numbers.columns, rows);
    while span < end {
        for at in vectors::<N>(place, span, numbers.columns, rows) {
            let d = Vector::<f32, N>::cast_from(sums[at.index]) - Vector::new(mean);
            own += lanes_sum(d);
            own_squares += lanes_sum(d * d);
        }
        span += 1u32;
    }
    let correction = if comptime!(variant.is_rms) {
        0.0f32.runtime()
    } else {
        row_sum(own, place, memory, rows) * numbers.reciprocal
    };
    let squares = row_sum(own_squares, place, memory, rows) * numbers.reciprocal;
    let variance = max(squares - correction * correction, 0.0f32);
    Moments {
        mean,
        correction,
        factor: f32::new(1.0) / (variance + numbers.epsilon).sqrt(),
    }
}

#[cube(launch_unchecked)]
pub(crate) fn add_norm<T: Float, N: Size>(
    input: &[Vector<T, N>],
    residual: &[Vector<T, N>],
    bias: &[Vector<T, N>],
    gamma: &[Vector<T, N>],
    beta: &[Vector<T, N>],
    sum: &mut [Vector<T, N>],
    output: &mut [Vector<T, N>],
    mask: &Mask,
    numbers: &NormNumbers,
    #[comptime] variant: NormVariant,
    #[define(T)] _dtype: ElemType,
) {
    let rows = comptime!(variant.rows);
    let mut memory = Shared::<[f32]>::new_slice(comptime!(rows.workgroup_size() as usize));
    let place = place(numbers.rows, rows);
    let mut own = f32::new(0.0);
    let mut span = 0u32;
    let end = spans(numbers.columns, rows);
    while span < end {
        let keep = keep_span(mask, place, span, numbers.columns, rows);
        for at in vectors::<N>(place, span, numbers.columns, rows) {
            let x = Vector::<f32, N>::cast_from(input[at.index]);
            let x = if comptime!(variant.has_bias) {
                x + Vector::<f32, N>::cast_from(bias[at.in_row])
            } else {
                x
            };
            let other = residual[at.index];
            let kept = Vector::<f32, N>::cast_from(other) + x * Vector::new(mask.keep_scale);
            let kept = rounded(kept, rows.element);
            let keep = lanes::<N>(keep >> at.bit, 1u32);
            let total = select_many(keep, Vector::cast_from(kept), other);
            sum[at.index] = total;
            own += lanes_sum(Vector::<f32, N>::cast_from(total));
        }
        span += 1u32;
    }
    // No barrier is needed, since an invocation reads only sums that it wrote itself.
    let moments = moments(&*sum, numbers, place, own, &mut memory, variant);
    span = 0u32;
    while span < end {
        for at in vectors::<N>(place, span, numbers.columns, rows) {
            let x = normed(sum[at.index], moments);
            let y = x * Vector::<f32, N>::cast_from(gamma[at.in_row]);
            let y = if comptime!(variant.has_beta) {
                y + Vector::<f32, N>::cast_from(beta[at.in_row])
            } else {
                y
            };
            output[at.index] = Vector::cast_from(rounded(y, rows.element));
        }
        span += 1u32;
    }
}

#[cube]
fn normed<T: Float, N: Size>(sum: Vector<T, N>, moments: Moments) -> Vector<f32, N> {
    let d = Vector::<f32, N>::cast_from(sum) - Vector::new(moments.mean);
    (d - Vector::new(moments.correction)) * Vector::new(moments.factor)
}

/// Computes the gradient of the sum, and the product of the norm's gradient with the normalised
/// number, before gamma.
#[cube(launch_unchecked)]
pub(crate) fn norm_gradient<T: Float, N: Size>(
    grad: &[Vector<T, N>],
    sum: &[Vector<T, N>],
    gamma: &[Vector<T, N>],
    grad_sum: &mut [Vector<T, N>],
    product: &mut [Vector<T, N>],
    numbers: &NormNumbers,
    #[comptime] variant: NormVariant,
    #[define(T)] _dtype: ElemType,
) {
    let rows = comptime!(variant.rows);
    let mut memory = Shared::<[f32]>::new_slice(comptime!(rows.workgroup_size() as usize));
    let place = place(numbers.rows, rows);
    let mut own = f32::new(0.0);
    let mut span = 0u32;
    let end = spans(numbers.columns, rows);
    if comptime!(!variant.is_rms) {
        while span < end {
            for at in vectors::<N>(place, span, numbers.columns, rows) {
                own += lanes_sum(Vector::<f32, N>::cast_from(sum[at.index]));
            }
            span += 1u32;
        }
    }
    let moments = moments(sum, numbers, place, own, &mut memory, variant);
    let mut own_grad = f32::new(0.0);
    let mut own_product = f32::new(0.0);
    span = 0u32;
    while span < end {
        for at in vectors::<N>(place, span, numbers.columns, rows) {
            let d = Vector::<f32, N>::cast_from(grad[at.index]);
            let d = d * Vector::<f32, N>::cast_from(gamma[at.in_row]);
            own_grad += lanes_sum(d);
            own_product += lanes_sum(d * normed(sum[at.index], moments));
        }
        span += 1u32;
    }
    let mean = if comptime!(variant.is_rms) {
        0.0f32.runtime()
    } else {
        row_sum(own_grad, place, &mut memory, rows) * numbers.reciprocal
    };
    let slope = row_sum(own_product, place, &mut memory, rows) * numbers.reciprocal;
    span = 0u32;
    while span < end {
        for at in vectors::<N>(place, span, numbers.columns, rows) {
            let d = Vector::<f32, N>::cast_from(grad[at.index]);
            let x = normed(sum[at.index], moments);
            product[at.index] = Vector::cast_from(rounded(d * x, rows.element));
            let d = d * Vector::<f32, N>::cast_from(gamma[at.in_row]);
            let rest = d - Vector::new(mean) - x * Vector::new(slope);
            let of_sum = rounded(rest * Vector::new(moments.factor), rows.element);
            grad_sum[at.index] = Vector::cast_from(of_sum);
        }
        span += 1u32;
    }
}
