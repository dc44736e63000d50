//! Gradients pass the same mask, and nothing of the tensor's size is kept for them.

use burn::tensor::{DType, Device, Element as BurnElement, Tensor};
use wgpu_dropout::half::f16;
use wgpu_dropout::{DropoutKind, Element, MaskLayout};
use wgpu_dropout_burn::dropout;

use crate::Case;
use crate::oracle::{assert_bits, backward, call, forward, supports, tensor, values};

pub const CASES: &[Case] = &[
    ("of_a_product", of_a_product),
    ("of_16_bits", of_16_bits),
    ("of_views", of_views),
    ("of_kinds", of_kinds),
    ("of_rates_0_and_1", of_rates_0_and_1),
    ("between_other_operations", between_other_operations),
    ("keep_nothing", keep_nothing),
];

/// The gradient of `sum(dropout(x) * weights)` is that of dropout at `weights`.
fn product<T: Element + BurnElement>(len: usize, device: &Device) {
    let device = &device.clone().autodiff();
    let layout = MaskLayout::linear(len as u64);
    let (input, weights) = (values::<T>(len), values::<T>(len + 1));
    let x = tensor(&input, [len], device).require_grad();
    let output = dropout(x.clone(), &layout, &call(0.5)).unwrap();
    let weighted = output * tensor(&weights[1..], [len], device);
    let gradients = weighted.backward();
    let expected = backward(&weights[1..], &layout, &call(0.5));
    assert_bits(x.grad(&gradients).unwrap(), &expected);
}

fn of_a_product(device: &Device) {
    for len in [1, 33, 1000, 65_537] {
        product::<f32>(len, device);
    }
}

fn of_16_bits(device: &Device) {
    if supports(device, DType::F16) {
        product::<f16>(1001, device);
    }
}

fn of_views(device: &Device) {
    let device = &device.clone().autodiff();
    let layout = MaskLayout::linear(24 * 36);
    let (input, weights) = (values::<f32>(24 * 36), values::<f32>(24 * 36 + 1));
    let x = tensor(&input, [24, 36], device).require_grad();
    let output = dropout(x.clone().transpose(), &layout, &call(0.5)).unwrap();
    // The gradient comes transposed too.
    let weighted = output.transpose() * tensor(&weights[1..], [24, 36], device);
    let gradients = weighted.backward();
    let seen = |i: usize| weights[1 + i % 24 * 36 + i / 24];
    let grad: Vec<f32> = (0..24 * 36).map(seen).collect();
    let transposed = backward(&grad, &layout, &call(0.5));
    assert_bits(x.grad(&gradients).unwrap().transpose(), &transposed);
}

fn of_kinds(device: &Device) {
    let device = &device.clone().autodiff();
    let layout = MaskLayout::linear(1000);
    let weights = values::<f32>(1000);
    for kind in [DropoutKind::Classic, DropoutKind::Alpha] {
        let call = call(0.5).with_kind(kind);
        let x = Tensor::<1>::ones([1000], device).require_grad();
        let output = dropout(x.clone(), &layout, &call).unwrap();
        let gradients = (output * tensor(&weights, [1000], device)).backward();
        let expected = backward(&weights, &layout, &call);
        assert_bits(x.grad(&gradients).unwrap(), &expected);
    }
}

fn of_rates_0_and_1(device: &Device) {
    let device = &device.clone().autodiff();
    let layout = MaskLayout::linear(100);
    for (p, expected) in [(0.0, 3.0f32), (1.0, 0.0)] {
        let x = Tensor::<1>::ones([100], device).require_grad();
        let output = dropout(x.clone(), &layout, &call(p)).unwrap();
        let gradients = (output * 3.0).backward();
        assert_bits(x.grad(&gradients).unwrap(), &[expected; 100]);
    }
}

/// Other operations stand before and after dropout, and Burn may fuse them. All factors are powers
/// of two, so that every product is exact.
fn between_other_operations(device: &Device) {
    let device = &device.clone().autodiff();
    let layout = MaskLayout::linear(4096);
    let input: Vec<f32> = (0..4096).map(|i| (i % 16) as f32 - 8.0).collect();
    let x = tensor(&input, [64, 64], device).require_grad();
    let before = x.clone() * 2.0 + 1.0;
    let output = dropout(before, &layout, &call(0.5)).unwrap();
    let behind = output * 4.0 - 3.0;
    let gradients = behind.clone().backward();

    let expected: Vec<f32> = input.iter().map(|x| x * 2.0 + 1.0).collect();
    let expected = forward(&expected, &layout, &call(0.5));
    let expected: Vec<f32> = expected.iter().map(|x| x * 4.0 - 3.0).collect();
    assert_bits(behind, &expected);
    let expected = backward(&[4.0f32; 4096], &layout, &call(0.5));
    let expected: Vec<f32> = expected.iter().map(|x| x * 2.0).collect();
    assert_bits(x.grad(&gradients).unwrap(), &expected);
}

/// Compares the memory that Burn's pools report, if the backend reports it.
fn keep_nothing(device: &Device) {
    const LEN: usize = 1 << 20;
    let device = device.clone().autodiff();
    let in_use = || {
        device.sync().unwrap();
        device.memory_pool_usage().map(|usage| usage.bytes_in_use)
    };
    let x = Tensor::<1>::ones([LEN], &device).require_grad();
    let Some(before) = in_use() else {
        return;
    };
    let layout = MaskLayout::linear(LEN as u64);
    let ours = dropout(x.clone(), &layout, &call(0.5)).unwrap();
    let with_ours = in_use().unwrap();
    let theirs = burn::nn::DropoutConfig::new(0.5).init().forward(x.clone());
    let with_theirs = in_use().unwrap();
    // CubeCL keeps the parameters of a launch for a while, some tens of bytes.
    let tensors = |bytes: u64| (bytes as f64 / (4 * LEN) as f64 * 1e3).round() / 1e3;
    // The output is in use.
    assert_eq!(tensors(with_ours - before), 1.0);
    // The negative control: Burn's own layer keeps its mask too.
    assert_eq!(tensors(with_theirs - with_ours), 2.0);
    drop((ours, theirs));
}
