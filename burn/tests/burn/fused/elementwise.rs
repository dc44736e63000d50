//! A sum, an activation or a gate in one pass with dropout.

use burn::tensor::{DType, Device};
use wgpu_dropout::MaskLayout;
use wgpu_dropout::half::f16;
use wgpu_dropout_burn::{Activation, AddVectors, act_dropout, dropout_add, gated_dropout};

use super::{ORIGINS, assert_near, device_tensor, factors, gradients, numbers, sums};
use crate::Case;
use crate::oracle::{assert_bits, call, forward, supports, tensor};

pub const CASES: &[Case] = &[
    ("adds", adds),
    ("adds_in_16_bits", adds_in_16_bits),
    ("activates", activates),
    ("gates", gates),
    ("other_layouts_and_scales", other_layouts_and_scales),
];

/// Rows and columns: whole vectors, an odd length, many workgroups, and a single element.
const SHAPES: [[usize; 2]; 5] = [[3, 40], [5, 7], [300, 256], [1, 1], [70, 100]];

fn adds(device: &Device) {
    let device = &device.clone().autodiff();
    for ([rows, columns], origin) in SHAPES.into_iter().flat_map(|s| ORIGINS.map(|o| (s, o))) {
        for p in [0.0, 0.3, 1.0] {
            let len = rows * columns;
            let call = call(p).with_origin(origin);
            let layout = MaskLayout::linear(len as u64);
            let (x, r) = (numbers(len, 0.1), numbers(len, 0.7));
            let (b, w) = (numbers(columns, 0.2), numbers(len, 0.4));
            let factors = factors(len, &call);
            let [input, residual] = [&x, &r].map(|x| device_tensor(x, [rows, columns], device));
            let bias = device_tensor(&b, [columns], device);
            let vectors = AddVectors {
                bias: Some(bias.clone()),
                scale: None,
            };
            let output = dropout_add(input.clone(), residual.clone(), vectors, &layout, &call);
            let output = output.unwrap();
            let expected = |i: usize| r[i] + (x[i] + b[i % columns]) * factors[i];
            let expected: Vec<f64> = (0..len).map(expected).collect();
            assert_near(output.clone(), &expected, 1e-6);
            let ([of_input, of_residual], rest) = gradients(output, &w, [&input, &residual]);
            assert_near(of_residual, &w, 0.0);
            let expected: Vec<f64> = w.iter().zip(&factors).map(|(w, f)| w * f).collect();
            assert_near(of_input, &expected, 1e-6);
            assert_near(bias.grad(&rest).unwrap(), &sums(&expected, columns), 1e-5);
        }
    }
}

/// Halfway cases round to even, and a dropped element has the residual's bits.
fn adds_in_16_bits(device: &Device) {
    if !supports(device, DType::F16) {
        return;
    }
    let numbers: Vec<f16> = (0..1000)
        .map(|i| f16::from_f32((i as f32 * 0.37).sin() * 9.0))
        .collect();
    let residual: Vec<f16> = numbers.iter().rev().copied().collect();
    let layout = MaskLayout::linear(1000);
    let of = |numbers: &[f16]| tensor(numbers, [10, 100], device);
    let vectors = AddVectors::default();
    let output = dropout_add(of(&numbers), of(&residual), vectors, &layout, &call(0.5));
    let mut expected = residual.clone();
    let vectors = wgpu_dropout::cpu::Vectors::default();
    wgpu_dropout::cpu::add(1000u64, &numbers, vectors, &mut expected[..], &call(0.5)).unwrap();
    assert_bits(output.unwrap(), &expected);
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The value and the slope of an activation in f64. The slope is computed from differences.
fn activation(activation: Activation, x: f64) -> (f64, f64) {
    let value = |x: f64| match activation {
        Activation::Identity => x,
        Activation::Relu => x.max(0.0),
        Activation::SquaredRelu => x.max(0.0) * x.max(0.0),
        Activation::Silu => x * logistic(x),
        Activation::QuickGelu => x * logistic(1.702 * x),
        Activation::GeluTanh => x * logistic(1.595_769_121_6 * (x + 0.044_715 * x * x * x)),
        // Phi is computed by its series.
        Activation::Gelu => {
            let (mut term, mut sum) = (x, x);
            for n in 1..200 {
                term *= x * x / f64::from(2 * n + 1);
                sum += term;
            }
            x * (0.5 + sum * (-0.5 * x * x).exp() / (2.0 * core::f64::consts::PI).sqrt())
        }
        other => panic!("{other}"),
    };
    let step = 1e-5;
    (value(x), (value(x + step) - value(x - step)) / (2.0 * step))
}

fn activates(device: &Device) {
    let device = &device.clone().autodiff();
    for (place, &function) in Activation::ALL.iter().enumerate() {
        let [rows, columns] = SHAPES[place % SHAPES.len()];
        let len = rows * columns;
        let call = call(0.4).with_origin(ORIGINS[place % 2]);
        let layout = MaskLayout::linear(len as u64);
        let (x, b, w) = (numbers(len, 0.1), numbers(columns, 0.2), numbers(len, 0.4));
        let factors = factors(len, &call);
        let input = device_tensor(&x, [rows, columns], device);
        let bias = device_tensor(&b, [columns], device);
        let output = act_dropout(function, input.clone(), Some(bias.clone()), &layout, &call);
        let output = output.unwrap();
        let at = |i: usize| activation(function, x[i] + b[i % columns]);
        let expected: Vec<f64> = (0..len).map(|i| at(i).0 * factors[i]).collect();
        assert_near(output.clone(), &expected, 4e-6);
        let ([grad], rest) = gradients(output, &w, [&input]);
        let expected: Vec<f64> = (0..len).map(|i| w[i] * at(i).1 * factors[i]).collect();
        assert_near(grad, &expected, 4e-6);
        assert_near(bias.grad(&rest).unwrap(), &sums(&expected, columns), 2e-5);
    }
}

fn gates(device: &Device) {
    let device = &device.clone().autodiff();
    for ([rows, columns], origin) in [([70, 100], 0), ([5, 7], 3)] {
        let len = rows * columns;
        let call = call(0.4).with_origin(origin);
        let layout = MaskLayout::linear(len as u64);
        let (x, u, w) = (numbers(len, 0.1), numbers(len, 0.9), numbers(len, 0.4));
        let factors = factors(len, &call);
        let [gate, up] = [&x, &u].map(|x| device_tensor(x, [rows, columns], device));
        let output = gated_dropout(Activation::Silu, gate.clone(), up.clone(), &layout, &call);
        let output = output.unwrap();
        let at = |i: usize| activation(Activation::Silu, x[i]);
        let expected: Vec<f64> = (0..len).map(|i| at(i).0 * u[i] * factors[i]).collect();
        assert_near(output.clone(), &expected, 4e-6);
        let ([of_gate, of_up], _) = gradients(output, &w, [&gate, &up]);
        let expected: Vec<f64> = (0..len)
            .map(|i| w[i] * u[i] * at(i).1 * factors[i])
            .collect();
        assert_near(of_gate, &expected, 4e-6);
        let expected: Vec<f64> = (0..len).map(|i| w[i] * at(i).0 * factors[i]).collect();
        assert_near(of_up, &expected, 4e-6);
    }
}

/// Drop path and LayerScale, for which dropout is a kernel of its own.
fn other_layouts_and_scales(device: &Device) {
    let device = &device.clone().autodiff();
    let (x, r) = (numbers(40, 0.1), numbers(40, 0.7));
    let s = numbers(10, 0.2);
    let rows = MaskLayout::drop_path(&[4, 10]).unwrap();
    for layout in [MaskLayout::linear(40), rows] {
        let [input, residual] = [&x, &r].map(|x| device_tensor(x, [4, 10], device));
        let scale = device_tensor(&s, [10], device);
        let vectors = AddVectors {
            bias: None,
            scale: Some(scale.clone()),
        };
        let output = dropout_add(input, residual, vectors, &layout, &call(0.5)).unwrap();
        let factors = forward(&[1.0f32; 40], &layout, &call(0.5));
        let term = |i: usize| x[i] * f64::from(factors[i]);
        let expected: Vec<f64> = (0..40).map(|i| r[i] + term(i) * s[i % 10]).collect();
        assert_near(output.clone(), &expected, 1e-6);
        let terms: Vec<f64> = (0..40).map(term).collect();
        let gradients = output.backward();
        assert_near(scale.grad(&gradients).unwrap(), &sums(&terms, 10), 1e-5);
    }
}
