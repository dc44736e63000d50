//! The layer's methods for fused operations, what they keep, and their errors.

use burn::tensor::{DType, Device, Tensor};
use wgpu_dropout::{CallError, DropoutKind, MaskLayout, Operation, SoftmaxError};
use wgpu_dropout_burn::{
    Activation, AddVectors, DropoutError, FusedDropoutConfig, Norm, NormVectors, TrainingRun,
    act_dropout, dropout_add, dropout_add_norm, gated_dropout, softmax_dropout,
};

use super::{assert_near, device_tensor, numbers};
use crate::Case;
use crate::oracle::{call, supports};

pub const CASES: &[Case] = &[
    ("layers_count_calls", layers_count_calls),
    ("checkpoints", checkpoints),
    ("keeps_the_input_alone", keeps_the_input_alone),
    ("wrong_operands", wrong_operands),
];

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
