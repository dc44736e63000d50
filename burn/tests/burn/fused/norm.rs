//! A residual, dropout and a norm in one pass.

use burn::tensor::{Device, Element as BurnElement};
use wgpu_dropout::half::{bf16, f16};
use wgpu_dropout::{Element, MaskLayout};
use wgpu_dropout_burn::{Norm, NormVectors, dropout_add_norm};

use super::{
    ORIGINS, assert_near, assert_rounded, device_tensor, factors, gradients, numbers, rounded,
    sums, tensor_of,
};
use crate::Case;
use crate::oracle::{call, supports};

pub const CASES: &[Case] = &[("norms", norms), ("norms_in_16_bits", norms_in_16_bits)];

const EPSILON: f32 = 1e-5;

fn norm(is_rms: bool) -> Norm {
    let norm = match is_rms {
        true => Norm::rms(EPSILON),
        false => Norm::layer(EPSILON),
    };
    norm.unwrap()
}

/// A norm of rows in f64, the gradients of the sum, and their products with the norm before gamma.
#[derive(Default)]
struct Rows {
    outputs: Vec<f64>,
    gradients: Vec<f64>,
    products: Vec<f64>,
}

fn norm_rows(
    sum: &[f64],
    gamma: &[f64],
    // Without a beta it is an RMS norm.
    beta: Option<&[f64]>,
    weights: &[f64],
) -> Rows {
    let columns = gamma.len();
    let mut rows = Rows::default();
    let mean = |numbers: &[f64]| numbers.iter().sum::<f64>() / columns as f64;
    let centre = |numbers: &[f64]| if beta.is_some() { mean(numbers) } else { 0.0 };
    for (s, w) in sum.chunks(columns).zip(weights.chunks(columns)) {
        let of_s = centre(s);
        let squares: Vec<f64> = s.iter().map(|s| (s - of_s) * (s - of_s)).collect();
        let factor = 1.0 / (mean(&squares) + f64::from(EPSILON)).sqrt();
        let unit: Vec<f64> = s.iter().map(|s| (s - of_s) * factor).collect();
        let d: Vec<f64> = w.iter().zip(gamma).map(|(w, g)| w * g).collect();
        let slopes: Vec<f64> = d.iter().zip(&unit).map(|(d, x)| d * x).collect();
        let (of_d, slope) = (centre(&d), mean(&slopes));
        for (i, x) in unit.iter().enumerate() {
            rows.outputs
                .push(x * gamma[i] + beta.map_or(0.0, |beta| beta[i]));
            rows.gradients.push((d[i] - of_d - x * slope) * factor);
            rows.products.push(w[i] * x);
        }
    }
    rows
}

fn norms(device: &Device) {
    let device = &device.clone().autodiff();
    let shapes = [[9, 300], [5, 7], [3, 40], [2, 8300]];
    for (place, [rows, columns]) in shapes.into_iter().enumerate() {
        let len = rows * columns;
        let call = call(0.3).with_origin(ORIGINS[place % 2]);
        let layout = MaskLayout::linear(len as u64);
        let (x, r) = (numbers(len, 0.1), numbers(len, 0.7));
        let [b, g, o] = [0.2, 0.5, 0.8].map(|seed| numbers(columns, seed));
        let w = numbers(len, 0.4);
        let factors = factors(len, &call);
        let sum = |i: usize| f64::from((r[i] + (x[i] + b[i % columns]) * factors[i]) as f32);
        let sum: Vec<f64> = (0..len).map(sum).collect();
        let is_rms = place % 2 == 1;
        let [input, residual] = [&x, &r].map(|x| device_tensor(x, [rows, columns], device));
        let [bias, gamma, beta] =
            [&b, &g, &o].map(|vector| device_tensor(vector, [columns], device));
        let vectors = NormVectors {
            bias: Some(bias.clone()),
            gamma: gamma.clone(),
            beta: (!is_rms).then(|| beta.clone()),
        };
        let (input2, residual2) = (input.clone(), residual.clone());
        let outputs = dropout_add_norm(input2, residual2, vectors, norm(is_rms), &layout, &call);
        let (sums_got, output) = outputs.unwrap();
        assert_near(sums_got.clone(), &sum, 1e-6);
        let expected = norm_rows(&sum, &g, (!is_rms).then_some(&o[..]), &w);
        assert_near(output.clone(), &expected.outputs, 1e-5);
        // The sum is used too, as in a network that applies the norm first.
        let both = sums_got + output;
        let ([of_input, of_residual], rest) = gradients(both, &w, [&input, &residual]);
        let of_sum: Vec<f64> = expected
            .gradients
            .iter()
            .zip(&w)
            .map(|(d, w)| d + w)
            .collect();
        assert_near(of_residual, &of_sum, 1e-5);
        let of_branch: Vec<f64> = of_sum.iter().zip(&factors).map(|(d, f)| d * f).collect();
        assert_near(of_input, &of_branch, 1e-5);
        assert_near(bias.grad(&rest).unwrap(), &sums(&of_branch, columns), 1e-4);
        let of_gamma = sums(&expected.products, columns);
        assert_near(gamma.grad(&rest).unwrap(), &of_gamma, 1e-4);
        if !is_rms {
            assert_near(beta.grad(&rest).unwrap(), &sums(&w, columns), 1e-4);
        }
    }
}

fn norms_in_16_bits(device: &Device) {
    compare_in::<f16>(device);
    compare_in::<bf16>(device);
}

/// Everything in memory is of type `T`, the sum too; all that is computed from them is f32.
fn compare_in<T: Element + BurnElement>(device: &Device) {
    if !supports(device, T::dtype()) {
        return;
    }
    let device = &device.clone().autodiff();
    for (place, [rows, columns]) in [[9, 40], [5, 7], [2, 8300]].into_iter().enumerate() {
        let (len, shape) = (rows * columns, [rows, columns]);
        let call = call(0.3).with_origin(ORIGINS[place % 2]);
        let layout = MaskLayout::linear(len as u64);
        let [x, r, w] = [0.1, 0.7, 0.4].map(|seed| rounded::<T>(&numbers(len, seed)));
        let [g, o] = [0.5, 0.8].map(|seed| rounded::<T>(&numbers(columns, seed)));
        let factors = factors(len, &call);
        let sum: Vec<f64> = (0..len).map(|i| r[i] + x[i] * factors[i]).collect();
        let is_rms = place % 2 == 1;
        let [input, residual] = [&x, &r].map(|x| tensor_of::<T, 2>(x, shape, device));
        let [gamma, beta] = [&g, &o].map(|vector| tensor_of::<T, 1>(vector, [columns], device));
        let vectors = NormVectors {
            bias: None,
            gamma,
            beta: (!is_rms).then_some(beta),
        };
        let (input2, residual2) = (input.clone(), residual.clone());
        let outputs = dropout_add_norm(input2, residual2, vectors, norm(is_rms), &layout, &call);
        let (sums, output) = outputs.unwrap();
        assert_rounded::<T, 2>(sums, &sum, 1);
        let expected = norm_rows(&rounded::<T>(&sum), &g, (!is_rms).then_some(&o[..]), &w);
        assert_rounded::<T, 2>(output.clone(), &expected.outputs, 1);
        let gradients = (output * tensor_of::<T, 2>(&w, shape, device).detach()).backward();
        assert_rounded::<T, 2>(residual.grad(&gradients).unwrap(), &expected.gradients, 1);
        let of_branch = expected.gradients.iter().zip(&factors);
        let of_branch: Vec<f64> = of_branch.map(|(d, f)| d * f).collect();
        assert_rounded::<T, 2>(input.grad(&gradients).unwrap(), &of_branch, 2);
    }
}
