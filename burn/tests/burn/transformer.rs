//! If all elements are kept, Burn's transformer modules with fused dropout compute what Burn's own
//! `forward` computes.

use burn::module::{Module, Param};
use burn::nn::activation::ActivationConfig;
use burn::nn::attention::{MhaInput, MultiHeadAttentionConfig};
use burn::nn::transformer::{
    TransformerDecoder, TransformerDecoderConfig, TransformerDecoderInput, TransformerEncoder,
    TransformerEncoderConfig, TransformerEncoderInput,
};
use burn::tensor::{Bool, Device, Gradients, Tensor, TensorData};
use wgpu_dropout_burn::{
    AttentionMasks, FusedAttention, FusedDecoder, FusedEncoder, FusedFeedForward, TrainingRun,
};

use crate::Case;
use crate::oracle::tensor;

pub const CASES: &[Case] = &[
    ("encoder_is_burns", encoder_is_burns),
    ("decoder_is_burns", decoder_is_burns),
    ("attention_is_burns", attention_is_burns),
    ("other_activations_are_burns", other_activations_are_burns),
    ("nothing_is_dropped_elsewhere", nothing_is_dropped_elsewhere),
    ("calls_and_places_have_masks", calls_and_places_have_masks),
];

/// A rate that drops nothing, since its threshold rounds to 0. Unlike a rate of 0 it selects the
/// fused operations.
const NOTHING: f64 = 1e-12;

const SHAPE: [usize; 3] = [2, 5, 16];

fn input(seed: f32, device: &Device) -> Tensor<3> {
    let numbers: Vec<f32> = (0..SHAPE.iter().product())
        .map(|i| (i as f32 * 0.618 + seed).sin())
        .collect();
    tensor(&numbers, SHAPE, device)
}

/// Sample 1 is shorter than sample 0, and no query sees a key that comes after it.
fn masks(device: &Device) -> AttentionMasks {
    let [batch, length, _] = SHAPE;
    let pad: Vec<bool> = (0..batch * length).map(|i| i >= length + 3).collect();
    let causal = |i: usize| i % length > i / length % length;
    let attn: Vec<bool> = (0..batch * length * length).map(causal).collect();
    AttentionMasks {
        pad: Some(Tensor::<2, Bool>::from_data(
            TensorData::new(pad, [batch, length]),
            device,
        )),
        attn: Some(Tensor::<3, Bool>::from_data(
            TensorData::new(attn, [batch, length, length]),
            device,
        )),
    }
}

fn error<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f32 {
    let [a, b] = [a, b].map(|tensor| tensor.into_data().try_to_vec::<f32>().unwrap());
    let errors = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    errors.fold(0.0, f32::max)
}

#[track_caller]
fn assert_near<const D: usize>(a: Tensor<D>, b: Tensor<D>) {
    let error = error(a, b);
    assert!(error <= 2e-5, "the error {error} is above 2e-5");
}

/// The gradients of the input and of some parameters agree.
fn assert_gradients(
    (fused, plain): (Tensor<3>, Tensor<3>),
    input: &Tensor<3>,
    parameters: [&Param<Tensor<1>>; 4],
) {
    let gradients = |output: Tensor<3>| -> Gradients {
        let weights = self::input(0.3, &output.device());
        (output * weights).backward()
    };
    assert_near(fused.clone(), plain.clone());
    let (fused, plain) = (gradients(fused), gradients(plain));
    let of = |gradients: &Gradients| input.grad(gradients).unwrap();
    assert_near(of(&fused), of(&plain));
    for parameter in parameters {
        let of = |gradients: &Gradients| parameter.val().grad(gradients).unwrap();
        assert_near(of(&fused), of(&plain));
        // The negative control.
        assert!(error(of(&fused) * 1.01, of(&plain)) > 2e-5);
    }
}

/// The activation is ReLU, since Burn 0.22.1's GPU backends compute the slope of GELU as that of
/// GELU by tanh.
fn encoder(prob: f64, norm_first: bool, device: &Device) -> TransformerEncoder {
    TransformerEncoderConfig::new(16, 24, 2, 2)
        .with_dropout(prob)
        .with_activation(ActivationConfig::Relu)
        .with_norm_first(norm_first)
        .init(device)
}

fn decoder(norm_first: bool, device: &Device) -> TransformerDecoder {
    TransformerDecoderConfig::new(16, 24, 2, 1)
        .with_dropout(NOTHING)
        .with_activation(ActivationConfig::Relu)
        .with_norm_first(norm_first)
        .init(device)
}

fn encoder_is_burns(device: &Device) {
    let device = &device.clone().autodiff();
    let run = TrainingRun::new(3);
    for norm_first in [false, true] {
        let encoder = encoder(NOTHING, norm_first, device);
        let x = input(0.1, device).require_grad();
        let masks = masks(device);
        let plain = TransformerEncoderInput::new(x.clone())
            .mask_pad(masks.pad.clone().unwrap())
            .mask_attn(masks.attn.clone().unwrap());
        let plain = encoder.forward(plain);
        let fused = encoder.forward_fused(x.clone(), masks, &run.at("encoder"));
        let layer = &encoder.layers[0];
        let parameters = [
            layer.pwff.linear_inner.bias.as_ref().unwrap(),
            layer.pwff.linear_outer.bias.as_ref().unwrap(),
            layer.mha.output.bias.as_ref().unwrap(),
            &layer.norm_2.gamma,
        ];
        assert_gradients((fused, plain), &x, parameters);
    }
}

fn decoder_is_burns(device: &Device) {
    let device = &device.clone().autodiff();
    let run = TrainingRun::new(3);
    for norm_first in [false, true] {
        let decoder = decoder(norm_first, device);
        let (x, memory) = (input(0.1, device).require_grad(), input(0.7, device));
        let (target, other) = (masks(device), masks(device));
        let plain = TransformerDecoderInput::new(x.clone(), memory.clone())
            .target_mask_attn(target.attn.clone().unwrap())
            .memory_mask_pad(other.pad.clone().unwrap());
        let plain = decoder.forward(plain);
        let target = AttentionMasks {
            pad: None,
            ..target
        };
        let other = AttentionMasks {
            attn: None,
            ..other
        };
        let fused = decoder.forward_fused(x.clone(), target, memory, other, &run.at("decoder"));
        let layer = &decoder.layers[0];
        let parameters = [
            layer.pwff.linear_inner.bias.as_ref().unwrap(),
            layer.self_attn.output.bias.as_ref().unwrap(),
            layer.cross_attn.output.bias.as_ref().unwrap(),
            &layer.norm_1.gamma,
        ];
        assert_gradients((fused, plain), &x, parameters);
    }
}

fn attention_is_burns(device: &Device) {
    let device = &device.clone().autodiff();
    let run = TrainingRun::new(3);
    for quiet in [false, true] {
        let attention = MultiHeadAttentionConfig::new(16, 2)
            .with_dropout(NOTHING)
            .with_quiet_softmax(quiet)
            .init(device);
        let inputs = [0.1, 0.4, 0.7].map(|seed| input(seed, device));
        let [query, key, value] = inputs.clone();
        let plain = attention.forward(MhaInput::new(query, key, value)).context;
        let [query, key, value] = inputs;
        let masks = AttentionMasks::default();
        let fused = attention.forward_fused(query, key, value, masks, &run.at("attention"));
        assert_near(fused, plain);
    }
}

fn other_activations_are_burns(device: &Device) {
    let device = &device.clone().autodiff();
    let run = TrainingRun::new(3);
    for activation in [ActivationConfig::Gelu, ActivationConfig::Tanh] {
        let encoder = TransformerEncoderConfig::new(16, 24, 2, 1)
            .with_dropout(NOTHING)
            .with_activation(activation)
            .init(device);
        let feed_forward = &encoder.layers[0].pwff;
        let plain = feed_forward.forward(input(0.1, device));
        let fused = feed_forward.forward_fused(input(0.1, device), &run.at("pwff"));
        assert_near(fused, plain);
    }
}

/// Nothing is dropped at inference or in a frozen module.
fn nothing_is_dropped_elsewhere(device: &Device) {
    let place = TrainingRun::new(3).at("encoder");
    let training = device.clone().autodiff();
    let modules = [
        (encoder(0.5, true, device), device),
        (encoder(0.5, true, &training).freeze(), &training),
    ];
    for (encoder, device) in modules {
        let plain = encoder.forward(TransformerEncoderInput::new(input(0.1, device)));
        let masks = AttentionMasks::default();
        let fused = encoder.forward_fused(input(0.1, device), masks, &place);
        assert_near(fused, plain);
    }
}

/// Masks are the same in another run of the same seed. They differ in another call, at another
/// place and in another layer.
fn calls_and_places_have_masks(device: &Device) {
    let device = &device.clone().autodiff();
    let encoder = encoder(0.5, true, device);
    let output = |run: &TrainingRun, path: &str| {
        let masks = AttentionMasks::default();
        encoder.forward_fused(input(0.1, device), masks, &run.at(path))
    };
    let run = TrainingRun::new(3);
    let first = output(&run, "encoder");
    assert_eq!(
        error(first.clone(), output(&TrainingRun::new(3), "encoder")),
        0.0
    );
    assert!(error(first.clone(), output(&run, "encoder")) > 1e-2);
    assert!(error(first.clone(), output(&TrainingRun::new(3), "other")) > 1e-2);
    assert!(error(first, output(&TrainingRun::new(4), "encoder")) > 1e-2);
}
