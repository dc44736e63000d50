//! Dropout fused with its neighbours, compared with a computation in f64 that uses the mask of the
//! library's CPU path.

use burn::tensor::{Bool, DType, Device, Tensor, TensorData};
use wgpu_dropout::half::f16;
use wgpu_dropout::{CallError, DropoutCall, DropoutKind, MaskLayout, Operation, SoftmaxError};
use wgpu_dropout_burn::{
    Activation, AddVectors, DropoutError, FusedDropoutConfig, Norm, NormVectors, ScoreMask,
    TrainingRun, act_dropout, dropout_add, dropout_add_norm, gated_dropout, softmax_dropout,
};

use crate::Case;
use crate::oracle::{assert_bits, call, forward, supports, tensor};

pub const CASES: &[Case] = &[
    ("adds", adds),
    ("adds_in_16_bits", adds_in_16_bits),
    ("activates", activates),
    ("gates", gates),
    ("softmaxes", softmaxes),
    ("a_hidden_row_is_uniform", a_hidden_row_is_uniform),
    ("norms", norms),
    ("other_layouts_and_scales", other_layouts_and_scales),
    ("a_wrong_number_is_seen", a_wrong_number_is_seen),
    ("layers_count_calls", layers_count_calls),
    ("checkpoints", checkpoints),
    ("keeps_the_input_alone", keeps_the_input_alone),
    ("wrong_operands", wrong_operands),
];

/// Numbers of both signs, with magnitudes around 1.
fn numbers(len: usize, seed: f64) -> Vec<f64> {
    let number = |i: usize| ((i as f64 * 0.618 + seed).sin() * 2.5) as f32;
    (0..len).map(|i| f64::from(number(i))).collect()
}

fn device_tensor<const D: usize>(numbers: &[f64], shape: [usize; D], device: &Device) -> Tensor<D> {
    let numbers: Vec<f32> = numbers.iter().map(|x| *x as f32).collect();
    tensor(&numbers, shape, device).require_grad()
}

/// The factor by which dropout multiplies each element.
fn factors(len: usize, call: &DropoutCall) -> Vec<f64> {
    let factors = forward(&vec![1.0f32; len], &MaskLayout::linear(len as u64), call);
    factors.into_iter().map(f64::from).collect()
}

/// The largest error, divided by the expected magnitude if that is above 1.
fn error<const D: usize>(tensor: Tensor<D>, expected: &[f64]) -> f64 {
    let data = tensor.into_data().convert::<f32>();
    let got = data.as_slice::<f32>().unwrap();
    assert_eq!(got.len(), expected.len());
    let errors = got.iter().zip(expected).map(|(got, expected)| {
        let error = (f64::from(*got) - expected).abs() / expected.abs().max(1.0);
        if error.is_nan() { f64::INFINITY } else { error }
    });
    errors.fold(0.0, f64::max)
}

#[track_caller]
fn assert_near<const D: usize>(tensor: Tensor<D>, expected: &[f64], bound: f64) {
    let error = error(tensor, expected);
    assert!(error <= bound, "the error {error} is above {bound}");
}

/// The gradients of the tensors `of`, if the output's gradient is `weights`.
fn gradients<const D: usize, const N: usize>(
    output: Tensor<D>,
    weights: &[f64],
    of: [&Tensor<D>; N],
) -> ([Tensor<D>; N], burn::tensor::Gradients) {
    let weights = device_tensor(weights, output.dims(), &output.device());
    let mut gradients = (output * weights.detach()).backward();
    let tensors = of.map(|tensor| tensor.grad_remove(&mut gradients).unwrap());
    (tensors, gradients)
}

fn sums(matrix: &[f64], columns: usize) -> Vec<f64> {
    let mut sums = vec![0.0; columns];
    for (i, x) in matrix.iter().enumerate() {
        sums[i % columns] += x;
    }
    sums
}

/// Rows and columns: whole vectors, an odd length, many workgroups, and a single element.
const SHAPES: [[usize; 2]; 5] = [[3, 40], [5, 7], [300, 256], [1, 1], [70, 100]];

/// With these origins the first element begins a block of the generator, or lies inside one.
const ORIGINS: [u64; 2] = [0, 3];

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
        let epsilon = 1e-5f32;
        let norm = if is_rms {
            Norm::rms(epsilon)
        } else {
            Norm::layer(epsilon)
        };
        let [input, residual] = [&x, &r].map(|x| device_tensor(x, [rows, columns], device));
        let [bias, gamma, beta] =
            [&b, &g, &o].map(|vector| device_tensor(vector, [columns], device));
        let vectors = NormVectors {
            bias: Some(bias.clone()),
            gamma: gamma.clone(),
            beta: (!is_rms).then(|| beta.clone()),
        };
        let (input2, residual2) = (input.clone(), residual.clone());
        let (sums_got, output) =
            dropout_add_norm(input2, residual2, vectors, norm.unwrap(), &layout, &call).unwrap();
        assert_near(sums_got.clone(), &sum, 1e-6);
        let (mut normed, mut of_sum, mut products) = (Vec::new(), Vec::new(), Vec::new());
        for (row, s) in sum.chunks(columns).enumerate() {
            let n = columns as f64;
            let mean = if is_rms {
                0.0
            } else {
                s.iter().sum::<f64>() / n
            };
            let variance = s.iter().map(|s| (s - mean) * (s - mean)).sum::<f64>() / n;
            let factor = 1.0 / (variance + f64::from(epsilon)).sqrt();
            let unit: Vec<f64> = s.iter().map(|s| (s - mean) * factor).collect();
            let d: Vec<f64> = (0..columns).map(|c| w[row * columns + c] * g[c]).collect();
            let a = if is_rms {
                0.0
            } else {
                d.iter().sum::<f64>() / n
            };
            let c = d.iter().zip(&unit).map(|(d, x)| d * x).sum::<f64>() / n;
            for (i, x) in unit.iter().enumerate() {
                normed.push(x * g[i] + if is_rms { 0.0 } else { o[i] });
                of_sum.push((d[i] - a - x * c) * factor + w[row * columns + i]);
                products.push(w[row * columns + i] * x);
            }
        }
        assert_near(output.clone(), &normed, 1e-5);
        // The sum is used too, as in a network that applies the norm first.
        let both = sums_got + output;
        let ([of_input, of_residual], rest) = gradients(both, &w, [&input, &residual]);
        assert_near(of_residual, &of_sum, 1e-5);
        let expected: Vec<f64> = of_sum.iter().zip(&factors).map(|(d, f)| d * f).collect();
        assert_near(of_input, &expected, 1e-5);
        assert_near(bias.grad(&rest).unwrap(), &sums(&expected, columns), 1e-4);
        assert_near(gamma.grad(&rest).unwrap(), &sums(&products, columns), 1e-4);
        if !is_rms {
            assert_near(beta.grad(&rest).unwrap(), &sums(&w, columns), 1e-4);
        }
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

/// The negative control of the comparison: it sees an error of 1e-4, and it sees another mask.
fn a_wrong_number_is_seen(device: &Device) {
    let device = &device.clone().autodiff();
    let x = numbers(1000, 0.1);
    let layout = MaskLayout::linear(1000);
    let input = || device_tensor(&x, [10, 100], device);
    let vectors = AddVectors::default;
    let output = |call| dropout_add(input(), input(), vectors(), &layout, &call).unwrap();
    let right = call(0.3);
    let of = |factors: Vec<f64>| -> Vec<f64> {
        x.iter()
            .zip(factors)
            .map(|(x, factor)| x + x * factor)
            .collect()
    };
    let expected = of(factors(1000, &right));
    assert!(error(output(right), &expected) < 1e-6);
    assert!(error(output(right.with_origin(1)), &expected) > 1e-3);
    let wrong = factors(1000, &right).iter().map(|x| x * 1.0001).collect();
    assert!(error(output(right), &of(wrong)) > 5e-5);
}

/// Each method uses the mask that `forward` would use for the same call, and passes its input on if
/// the layer does not drop.
fn layers_count_calls(device: &Device) {
    let build = || TrainingRun::new(3).build(|| FusedDropoutConfig::new(0.5).init());
    let (layer, twin) = (build(), build());
    let training = device.clone().autodiff();
    let zeros = Tensor::<2>::zeros([8, 8], &training);
    let ones = Tensor::<2>::ones([8, 8], &training);
    for _ in 0..2 {
        let fused = layer.forward_add(ones.clone(), zeros.clone(), AddVectors::default());
        let expected = twin.forward(ones.clone()).into_data();
        assert_eq!(layer.call(), twin.call());
        fused.into_data().assert_eq(&expected, true);
    }
    let fused = layer.forward_activated(Activation::Relu, ones.clone(), None);
    let expected = twin.forward(ones.clone()).into_data();
    fused.into_data().assert_eq(&expected, true);
    let ones = Tensor::<2>::ones([8, 8], device);
    let passed = layer.forward_add(ones.clone(), ones.clone(), AddVectors::default());
    assert_near(passed, &[2.0; 64], 0.0);
    let gated = layer.forward_gated(Activation::Relu, ones.clone(), ones);
    assert_near(gated, &[1.0; 64], 0.0);
}

fn checkpoints(device: &Device) {
    let x = numbers(640, 0.1);
    let layout = MaskLayout::linear(640);
    let gradient = |device: &Device| {
        let input = device_tensor(&x, [8, 80], device);
        let hidden = input.clone() * 2.0;
        let act = act_dropout(Activation::Gelu, hidden.clone(), None, &layout, &call(0.5));
        let sum = dropout_add(
            act.unwrap(),
            hidden,
            AddVectors::default(),
            &layout,
            &call(0.3),
        );
        let sum = sum.unwrap().reshape([1, 2, 4, 80]);
        let output = softmax_dropout(sum, 1.0, None, &layout, &call(0.2)).unwrap();
        let gradients = output.clone().powi_scalar(2).backward();
        input.grad(&gradients).unwrap().into_data()
    };
    let plain = gradient(&device.clone().autodiff());
    let with = gradient(&device.clone().autodiff().gradient_checkpointing());
    with.assert_eq(&plain, true);
}

/// Compares the memory that Burn's pools report, if the backend reports it.
fn keeps_the_input_alone(device: &Device) {
    const LEN: usize = 1 << 20;
    let device = device.clone().autodiff();
    let in_use = || {
        device.sync().unwrap();
        device.memory_pool_usage().map(|usage| usage.bytes_in_use)
    };
    let layout = MaskLayout::linear(LEN as u64);
    let x = Tensor::<2>::ones([1024, LEN / 1024], &device).require_grad();
    let Some(before) = in_use() else { return };
    let tensors = |bytes: u64| (bytes as f64 / (4 * LEN) as f64 * 1e2).round() / 1e2;
    let output = act_dropout(Activation::Gelu, x.clone() * 2.0, None, &layout, &call(0.5));
    // The activation's input and the output are in use.
    assert_eq!(tensors(in_use().unwrap() - before), 2.0);
    let sum = dropout_add(
        output.unwrap(),
        x.clone(),
        AddVectors::default(),
        &layout,
        &call(0.5),
    );
    // The activation's input and the sum are in use. The branch is not kept.
    assert_eq!(tensors(in_use().unwrap() - before), 2.0);
    drop(sum);
}

fn wrong_operands(device: &Device) {
    let layout = MaskLayout::linear(8);
    let x = || Tensor::<2>::ones([2, 4], device);
    let call = call(0.5);
    let error = dropout_add(
        x(),
        Tensor::ones([4, 2], device),
        AddVectors::default(),
        &layout,
        &call,
    );
    let expected = DropoutError::Shape {
        name: "residual",
        shape: vec![4, 2],
        expected: vec![2, 4],
    };
    assert_eq!(error.unwrap_err(), expected);
    let bias = Some(Tensor::ones([3], device));
    let error = act_dropout(Activation::Relu, x(), bias, &layout, &call).unwrap_err();
    let expected = DropoutError::Shape {
        name: "bias",
        shape: vec![3],
        expected: vec![4],
    };
    assert_eq!(error, expected);
    if supports(device, DType::F16) {
        let up = Tensor::ones([2, 4], (device, DType::F16));
        let error = gated_dropout(Activation::Relu, x(), up, &layout, &call).unwrap_err();
        let expected = DropoutError::Type {
            name: "up",
            dtype: DType::F16,
            expected: DType::F32,
        };
        assert_eq!(error, expected);
    }
    let kind = DropoutKind::Alpha;
    let alpha = call.with_kind(kind);
    let error = act_dropout(Activation::Relu, x(), None, &layout, &alpha).unwrap_err();
    let operation = Operation::ActDropout;
    assert_eq!(
        error,
        DropoutError::Call(CallError::Kind { kind, operation })
    );
    let scores = Tensor::<4>::ones([1, 1, 2, 4], device);
    let error = softmax_dropout(scores, f32::NAN, None, &layout, &call).unwrap_err();
    assert!(matches!(
        error,
        DropoutError::Softmax(SoftmaxError::Factor { .. })
    ));
    let scores = Tensor::<2>::empty([2, 0], device);
    let vectors = NormVectors {
        bias: None,
        gamma: Tensor::empty([0], device),
        beta: None,
    };
    let norm = Norm::rms(0.0).unwrap();
    let layout = MaskLayout::linear(0);
    let error = dropout_add_norm(scores.clone(), scores, vectors, norm, &layout, &call);
    let max = Norm::MAX_COLUMNS;
    assert_eq!(
        error.unwrap_err(),
        DropoutError::NormColumns { columns: 0, max }
    );
}
