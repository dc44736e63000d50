//! A softmax of rows before a dropout \[M26\]. A row is read from memory more than once, since
//! caches may still have it.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use super::dropout::lanes;
use super::element::{bits_of, float};
use super::groups::{is_nan, rounded};
use super::mask::Mask;
use super::rows::{Place, Rows, keep_span, place, row_max, row_sum, spans, vectors};

/// For smaller z, e^z is below half of the smallest f32.
const MIN_EXPONENT: f32 = -104.0;

/// The largest magnitude of a score after its factor. The difference of two such scores does not
/// overflow f32.
pub(crate) const LIMIT: f32 = 1.7e38;

/// The parameters of a softmax, and the strides that tell where a row's mask begins.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
#[expand(derive(Clone, Copy))]
pub(crate) struct ScoreNumbers {
    pub rows: u32,
    pub columns: u32,
    pub factor: f32,
    /// The largest magnitude of a score before its factor.
    pub score_limit: f32,
    pub fill: f32,
    pub heads: u32,
    pub queries: u32,
    /// The number of mask rows from one batch to the next, and likewise for heads and for queries.
    /// It is 0 where the mask repeats.
    pub batch_stride: u32,
    pub head_stride: u32,
    pub query_stride: u32,
}

#[cube]
fn limited<N: Size>(x: Vector<f32, N>, limit: f32) -> Vector<f32, N> {
    let bits = bits_of(x);
    let most = bits_of(Vector::<f32, N>::new(limit));
    let magnitude = min(bits & Vector::new(0x7FFF_FFFFu32), most);
    let limited = float(magnitude | (bits & Vector::new(0x8000_0000u32)));
    select_many(is_nan(x), x, limited)
}

#[cube]
fn mask_row(numbers: &ScoreNumbers, row: u32) -> u32 {
    let query = row % numbers.queries;
    let matrix = row / numbers.queries;
    let head = matrix % numbers.heads;
    let batch = matrix / numbers.heads;
    batch * numbers.batch_stride + head * numbers.head_stride + query * numbers.query_stride
}

#[cube]
fn is_hidden<B: Int, N: Size>(
    hidden: &[Vector<B, N>],
    first: u32,
    column: u32,
    #[comptime] has_mask: bool,
) -> Vector<bool, N> {
    let width = N::value();
    if comptime!(has_mask) {
        let i = (first + column) / comptime!(width as u32);
        hidden[i as usize].not_equal(&Vector::new(B::from_int(0)))
    } else {
        Vector::new(false)
    }
}

/// Scores with the factor and the mask applied.
#[cube]
fn score<T: Float, N: Size>(
    scores: &[Vector<T, N>],
    i: usize,
    hidden: Vector<bool, N>,
    numbers: &ScoreNumbers,
) -> Vector<f32, N> {
    let score = Vector::<f32, N>::cast_from(scores[i]);
    let score = Vector::new(numbers.factor) * limited(score, numbers.score_limit);
    select_many(hidden, Vector::new(numbers.fill), score)
}

/// e^(score - largest score of the row). A NaN stays a NaN, since a comparison with it is false.
#[cube]
fn exponential<N: Size>(score: Vector<f32, N>, largest: f32) -> Vector<f32, N> {
    let distance = score - Vector::new(largest);
    let least = Vector::new(MIN_EXPONENT);
    select_many(distance.less_than(&least), least, distance).exp()
}

#[cube]
fn lanes_max<N: Size>(x: Vector<f32, N>) -> f32 {
    let mut most = x.extract(0usize);
    #[unroll]
    for lane in 1..N::value() {
        most = max(most, x.extract(lane));
    }
    most
}

#[cube]
pub(crate) fn lanes_sum<N: Size>(x: Vector<f32, N>) -> f32 {
    let mut sum = x.extract(0usize);
    #[unroll]
    for lane in 1..N::value() {
        sum += x.extract(lane);
    }
    sum
}

#[cube]
fn find_largest<T: Float, B: Int, N: Size>(
    scores: &[Vector<T, N>],
    hidden: &[Vector<B, N>],
    numbers: &ScoreNumbers,
    place: Place,
    first: u32,
    memory: &mut Shared<[f32]>,
    #[comptime] has_mask: bool,
    #[comptime] rows: Rows,
) -> f32 {
    // This is below every score.
    let mut own = f32::new(-3.0e38);
    let mut span = 0u32;
    let end = spans(numbers.columns, rows);
    while span < end {
        for at in vectors::<N>(place, span, numbers.columns, rows) {
            let hidden = is_hidden(hidden, first, at.column, has_mask);
            own = max(own, lanes_max(score(scores, at.index, hidden, numbers)));
        }
        span += 1u32;
    }
    row_max(own, place, memory, rows)
}

#[cube(launch_unchecked)]
pub(crate) fn softmax<T: Float, B: Int, N: Size>(
    scores: &[Vector<T, N>],
    hidden: &[Vector<B, N>],
    output: &mut [Vector<T, N>],
    mask: &Mask,
    numbers: &ScoreNumbers,
    #[comptime] has_mask: bool,
    #[comptime] rows: Rows,
    #[define(T, B)] _dtypes: [ElemType; 2],
) {
    let mut memory = Shared::<[f32]>::new_slice(comptime!(rows.workgroup_size() as usize));
    let place = place(numbers.rows, rows);
    let first = mask_row(numbers, place.row) * numbers.columns;
    let largest = find_largest(
        scores,
        hidden,
        numbers,
        place,
        first,
        &mut memory,
        has_mask,
        rows,
    );
    let mut own = f32::new(0.0);
    let mut span = 0u32;
    let end = spans(numbers.columns, rows);
    while span < end {
        for at in vectors::<N>(place, span, numbers.columns, rows) {
            let hidden = is_hidden(hidden, first, at.column, has_mask);
            let score = score(scores, at.index, hidden, numbers);
            own += lanes_sum(exponential(score, largest));
        }
        span += 1u32;
    }
    let factor = f32::new(1.0) / row_sum(own, place, &mut memory, rows);
    let zero = Vector::<T, N>::new(T::from_int(0));
    span = 0u32;
    while span < end {
        let keep = keep_span(mask, place, span, numbers.columns, rows);
        for at in vectors::<N>(place, span, numbers.columns, rows) {
            let hidden = is_hidden(hidden, first, at.column, has_mask);
            let score = score(scores, at.index, hidden, numbers);
            let p = exponential(score, largest) * Vector::new(factor);
            let kept = rounded(p * Vector::new(mask.keep_scale), rows.element);
            let keep = lanes::<N>(keep >> at.bit, 1u32);
            output[at.index] = select_many(keep, Vector::cast_from(kept), zero);
        }
        span += 1u32;
    }
}

/// The gradients of probabilities.
#[cube]
fn dropped<T: Float, N: Size>(
    grad: &[Vector<T, N>],
    i: usize,
    keep: u32,
    mask: &Mask,
) -> Vector<f32, N> {
    let kept = Vector::<f32, N>::cast_from(grad[i]) * Vector::new(mask.keep_scale);
    select_many(lanes::<N>(keep, 1u32), kept, Vector::new(0.0f32))
}

#[cube(launch_unchecked)]
pub(crate) fn softmax_gradient<T: Float, B: Int, N: Size>(
    grad: &[Vector<T, N>],
    scores: &[Vector<T, N>],
    hidden: &[Vector<B, N>],
    output: &mut [Vector<T, N>],
    mask: &Mask,
    numbers: &ScoreNumbers,
    #[comptime] has_mask: bool,
    #[comptime] rows: Rows,
    #[define(T, B)] _dtypes: [ElemType; 2],
) {
    let mut memory = Shared::<[f32]>::new_slice(comptime!(rows.workgroup_size() as usize));
    let place = place(numbers.rows, rows);
    let first = mask_row(numbers, place.row) * numbers.columns;
    let largest = find_largest(
        scores,
        hidden,
        numbers,
        place,
        first,
        &mut memory,
        has_mask,
        rows,
    );
    let mut own = f32::new(0.0);
    let mut own_product = f32::new(0.0);
    let mut keep = 0u32;
    let mut span = 0u32;
    let end = spans(numbers.columns, rows);
    while span < end {
        keep = keep_span(mask, place, span, numbers.columns, rows);
        for at in vectors::<N>(place, span, numbers.columns, rows) {
            let hidden = is_hidden(hidden, first, at.column, has_mask);
            let weight = exponential(score(scores, at.index, hidden, numbers), largest);
            let grad = dropped(grad, at.index, keep >> at.bit, mask);
            own += lanes_sum(weight);
            own_product += lanes_sum(weight * grad);
        }
        span += 1u32;
    }
    let factor = f32::new(1.0) / row_sum(own, place, &mut memory, rows);
    let mean = row_sum(own_product, place, &mut memory, rows) * factor;
    span = 0u32;
    while span < end {
        // The decisions of a short row are still in `keep`.
        if comptime!(!rows.is_short) {
            keep = keep_span(mask, place, span, numbers.columns, rows);
        }
        for at in vectors::<N>(place, span, numbers.columns, rows) {
            let hidden = is_hidden(hidden, first, at.column, has_mask);
            let score = score(scores, at.index, hidden, numbers);
            let p = exponential(score, largest) * Vector::new(factor);
            let rest = dropped(grad, at.index, keep >> at.bit, mask) - Vector::new(mean);
            let grad = p * rest * Vector::new(numbers.factor);
            let zero = Vector::new(0.0f32);
            // A zero of either sign becomes +0.
            let grad = select_many(grad.equal(&zero).or(hidden), zero, grad);
            output[at.index] = Vector::cast_from(rounded(grad, rows.element));
        }
        span += 1u32;
    }
}
