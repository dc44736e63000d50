//! A softmax in one pass with dropout.

use burn::tensor::{Bool, Device, Element as BurnElement, Tensor, TensorData};
use wgpu_dropout::half::{bf16, f16};
use wgpu_dropout::{Element, MaskLayout};
use wgpu_dropout_burn::{ScoreMask, softmax_dropout};

use super::{
    ORIGINS, assert_near, assert_rounded, device_tensor, factors, gradients, numbers, rounded,
    tensor_of,
};
use crate::Case;
use crate::oracle::{call, supports};

pub const CASES: &[Case] = &[
    ("softmaxes", softmaxes),
    ("softmaxes_in_16_bits", softmaxes_in_16_bits),
    ("a_hidden_row_is_uniform", a_hidden_row_is_uniform),
];

/// A softmax of rows in f64, and the gradients of its scores.
struct Rows {
    outputs: Vec<f64>,
    gradients: Vec<f64>,
}

fn softmax_rows(
    (scores, columns): (&[f64], usize),
    factor: f64,
    hidden: impl Fn(usize) -> bool,
    factors: &[f64],
    weights: &[f64],
) -> Rows {
    let score = |i: usize| if hidden(i) { -1e4 } else { factor * scores[i] };
    let (mut outputs, mut gradients) = (Vec::new(), Vec::new());
    for first in (0..scores.len()).step_by(columns) {
        let row = first..first + columns;
        let largest = row.clone().map(score).fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row.clone().map(|i| (score(i) - largest).exp()).sum();
        let p = |i: usize| (score(i) - largest).exp() / sum;
        let mean: f64 = row.clone().map(|i| p(i) * weights[i] * factors[i]).sum();
        for i in row {
            outputs.push(p(i) * factors[i]);
            let slope = p(i) * (weights[i] * factors[i] - mean) * factor;
            gradients.push(if hidden(i) { 0.0 } else { slope });
        }
    }
    Rows { outputs, gradients }
}

fn softmaxes(device: &Device) {
    let device = &device.clone().autodiff();
    let shapes = [
        ([2, 3, 5, 7], Some([2, 1, 1, 7])),
        ([2, 2, 16, 128], Some([2, 1, 16, 128])),
        ([1, 2, 3, 300], None),
        // An invocation of such a long row has more decisions than fit a `u32`.
        ([1, 2, 2, 8300], Some([1, 2, 1, 8300])),
    ];
    for (place, (shape, mask_shape)) in shapes.into_iter().enumerate() {
        let [_, heads, queries, columns] = shape;
        let len = shape.iter().product();
        let call = call(0.4).with_origin(ORIGINS[place % 2]);
        let layout = MaskLayout::linear(len as u64);
        let (x, w) = (numbers(len, 0.1), numbers(len, 0.4));
        let has_mask = mask_shape.is_some();
        let mask_shape = mask_shape.unwrap_or([1, 1, 1, columns]);
        let mask_len = mask_shape.iter().product();
        let mask: Vec<bool> = (0..mask_len).map(|i| i % 5 == 1 || i % 7 == 3).collect();
        let hidden = |i: usize| {
            let (column, row) = (i % columns, i / columns);
            let (query, head) = (row % queries, row / queries % heads);
            let batch = row / queries / heads;
            let at = [batch, head, query].into_iter().zip(mask_shape);
            let row = at.fold(0, |row, (at, size)| row * size + at % size);
            has_mask && mask[row * columns + column]
        };
        let scores = device_tensor(&x, shape, device);
        let data = TensorData::new(mask.clone(), mask_shape);
        let score_mask = has_mask.then(|| ScoreMask {
            hidden: Tensor::<4, Bool>::from_data(data, device),
            fill: -1e4,
        });
        let output = softmax_dropout(scores.clone(), 0.7, score_mask, &layout, &call);
        let output = output.unwrap();
        let factors = factors(len, &call);
        let expected = softmax_rows((&x, columns), 0.7f32.into(), hidden, &factors, &w);
        assert_near(output.clone(), &expected.outputs, 2e-6);
        let ([grad], _) = gradients(output, &w, [&scores]);
        assert_near(grad, &expected.gradients, 2e-6);
    }
}

fn softmaxes_in_16_bits(device: &Device) {
    compare_in::<f16>(device);
    compare_in::<bf16>(device);
}

/// Scores, output and gradients of type `T`; all that is computed from them is f32.
fn compare_in<T: Element + BurnElement>(device: &Device) {
    if !supports(device, T::dtype()) {
        return;
    }
    let device = &device.clone().autodiff();
    for (shape, origin) in [([2, 2, 3, 40], 0), ([1, 2, 3, 7], 3), ([1, 1, 2, 8300], 0)] {
        let (len, columns) = (shape.iter().product(), shape[3]);
        let call = call(0.4).with_origin(origin);
        let (x, w) = (
            rounded::<T>(&numbers(len, 0.1)),
            rounded::<T>(&numbers(len, 0.4)),
        );
        let scores = tensor_of::<T, 4>(&x, shape, device);
        let layout = MaskLayout::linear(len as u64);
        let output = softmax_dropout(scores.clone(), 0.7, None, &layout, &call).unwrap();
        let factors = factors(len, &call);
        let expected = softmax_rows((&x, columns), 0.7f32.into(), |_| false, &factors, &w);
        assert_rounded::<T, 4>(output.clone(), &expected.outputs, 1);
        let weights = tensor_of::<T, 4>(&w, shape, device).detach();
        let gradients = (output * weights).backward();
        let grad = scores.grad(&gradients).unwrap();
        assert_rounded::<T, 4>(grad, &expected.gradients, 1);
    }
}

fn a_hidden_row_is_uniform(device: &Device) {
    let device = &device.clone().autodiff();
    for fill in [-1e4, f32::NEG_INFINITY] {
        let mask = ScoreMask {
            hidden: Tensor::<4, Bool>::from_data(
                TensorData::new(vec![true; 8], [1, 1, 1, 8]),
                device,
            ),
            fill,
        };
        let scores = device_tensor(&numbers(16, 0.3), [1, 1, 2, 8], device);
        let layout = MaskLayout::linear(16);
        let output = softmax_dropout(scores, 1.0, Some(mask), &layout, &call(0.0));
        assert_near(output.unwrap(), &[0.125; 16], 1e-6);
    }
}
