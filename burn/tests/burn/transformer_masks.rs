//! Each dropout of a transformer module has the mask of its own name. Burn's operations, with masks
//! of the library's CPU path between them, give the same results.

use std::collections::BTreeMap;

use burn::nn::attention::MultiHeadAttention;
use burn::nn::transformer::{
    PositionWiseFeedForward, TransformerDecoderConfig, TransformerDecoderLayer,
    TransformerEncoderConfig, TransformerEncoderLayer,
};
use burn::nn::{Linear, activation::ActivationConfig};
use burn::tensor::{Device, Tensor, activation};
use wgpu_dropout::{DropoutCall, DropoutRate, MaskKey, MaskLayout};
use wgpu_dropout_burn::{AttentionMasks, FusedDecoder, FusedEncoder, TrainingRun};

use crate::Case;
use crate::oracle::{forward, tensor};

pub const CASES: &[Case] = &[
    ("encoder_has_masks_of_names", encoder_has_masks_of_names),
    ("decoder_has_masks_of_names", decoder_has_masks_of_names),
];

const PROB: f64 = 0.3;
const SEED: u64 = 3;
const STEP: u32 = 5;
const SHAPE: [usize; 3] = [2, 5, 16];

/// The masks of the sites of a model. Each site counts its calls.
#[derive(Default)]
struct Masks {
    calls: BTreeMap<String, u64>,
    /// A site whose mask is to be wrong.
    wrong: Option<String>,
}

impl Masks {
    fn dropped<const D: usize>(&mut self, site: &str, input: Tensor<D>) -> Tensor<D> {
        let call = self.calls.entry(site.to_owned()).or_default();
        // FNV-1a, as the documentation of sites has it.
        let hash = site.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let number = (1 << 60) + (hash >> 4);
        let seed = SEED + u64::from(self.wrong.as_deref() == Some(site));
        let key = [number, u64::from(STEP), *call, 0].into_iter();
        let key = key.fold(MaskKey::new(seed, 0), |key, n| key.fold_in(n).unwrap());
        *call += 1;
        let call = DropoutCall::new(DropoutRate::new(PROB).unwrap(), key);
        let len = input.shape().num_elements();
        let factors = forward(&vec![1.0f32; len], &MaskLayout::linear(len as u64), &call);
        let factors = tensor(&factors, input.dims(), &input.device());
        input * factors
    }

    fn attention(
        &mut self,
        name: &str,
        attention: &MultiHeadAttention,
        [query, key, value]: [Tensor<3>; 3],
    ) -> Tensor<3> {
        let [batch, queries, d_model] = query.dims();
        let heads = |linear: &Linear, x: Tensor<3>| {
            let shape = [batch, x.dims()[1], attention.n_heads, attention.d_k];
            linear.forward(x).reshape(shape).swap_dims(1, 2)
        };
        let key = heads(&attention.key, key).transpose();
        let scores = heads(&attention.query, query).matmul(key);
        let weights = activation::softmax(scores / (attention.d_k as f32).sqrt(), 3);
        let weights = self.dropped(&format!("{name}.dropout"), weights);
        let context = weights.matmul(heads(&attention.value, value));
        let context = context.swap_dims(1, 2).reshape([batch, queries, d_model]);
        attention.output.forward(context)
    }

    fn feed_forward(
        &mut self,
        name: &str,
        module: &PositionWiseFeedForward,
        x: Tensor<3>,
    ) -> Tensor<3> {
        let x = activation::relu(module.linear_inner.forward(x));
        let x = self.dropped(&format!("{name}.dropout"), x);
        module.linear_outer.forward(x)
    }

    fn encoder(&mut self, name: &str, layer: &TransformerEncoderLayer, x: Tensor<3>) -> Tensor<3> {
        let [site, mha, pwff] = ["dropout", "mha", "pwff"].map(|field| format!("{name}.{field}"));
        let attend = |masks: &mut Self, x: Tensor<3>| {
            let branch = masks.attention(&mha, &layer.mha, [x.clone(), x.clone(), x]);
            masks.dropped(&site, branch)
        };
        if layer.norm_first {
            let x = x.clone() + attend(self, layer.norm_2.forward(x));
            let branch = self.feed_forward(&pwff, &layer.pwff, layer.norm_1.forward(x.clone()));
            x + self.dropped(&site, branch)
        } else {
            let x = layer.norm_1.forward(x.clone() + attend(self, x));
            let branch = self.feed_forward(&pwff, &layer.pwff, x.clone());
            layer.norm_2.forward(x + self.dropped(&site, branch))
        }
    }

    /// A layer that applies its norms last.
    fn decoder(
        &mut self,
        name: &str,
        layer: &TransformerDecoderLayer,
        x: Tensor<3>,
        memory: Tensor<3>,
    ) -> Tensor<3> {
        let [site, own, cross, pwff] =
            ["dropout", "self_attn", "cross_attn", "pwff"].map(|field| format!("{name}.{field}"));
        let branch = self.attention(&own, &layer.self_attn, [x.clone(), x.clone(), x.clone()]);
        let x = layer.norm_1.forward(x + self.dropped(&site, branch));
        let inputs = [x.clone(), memory.clone(), memory];
        let branch = self.attention(&cross, &layer.cross_attn, inputs);
        let x = layer.norm_2.forward(x + self.dropped(&site, branch));
        let branch = self.feed_forward(&pwff, &layer.pwff, x.clone());
        layer.norm_3.forward(x + self.dropped(&site, branch))
    }
}

fn input(seed: f32, device: &Device) -> Tensor<3> {
    let numbers: Vec<f32> = (0..SHAPE.iter().product())
        .map(|i| (i as f32 * 0.618 + seed).sin())
        .collect();
    tensor(&numbers, SHAPE, device)
}

fn run(device: &Device) -> TrainingRun {
    let run = TrainingRun::new(SEED);
    run.set_devices(core::slice::from_ref(device)).unwrap();
    run.set_step(STEP);
    run
}

/// The output, and the gradient of the input `x`.
fn both(x: &Tensor<3>, output: Tensor<3>) -> [Tensor<3>; 2] {
    let gradients = (output.clone() * input(0.3, &output.device())).backward();
    [output.inner(), x.grad(&gradients).unwrap()]
}

fn error(a: &[Tensor<3>; 2], b: &[Tensor<3>; 2]) -> f32 {
    let errors = a.iter().zip(b).map(|(a, b)| {
        let largest = (a.clone() - b.clone()).abs().max();
        largest
            .into_data()
            .convert::<f32>()
            .as_slice::<f32>()
            .unwrap()[0]
    });
    errors.fold(0.0, f32::max)
}

/// Compares with `composed`, for the right masks and with each of the `sites` wrong in turn.
fn assert_masks(
    x: &Tensor<3>,
    fused: Tensor<3>,
    sites: &[&str],
    composed: impl Fn(&mut Masks) -> Tensor<3>,
) {
    let fused = both(x, fused);
    let mut masks = Masks::default();
    let right = error(&fused, &both(x, composed(&mut masks)));
    assert!(right <= 2e-5, "an error of {right}");
    let names: Vec<&str> = masks.calls.keys().map(String::as_str).collect();
    assert_eq!(names, sites);
    // The negative control.
    for site in sites {
        let wrong = Some((*site).to_owned());
        let mut masks = Masks {
            wrong,
            ..Masks::default()
        };
        let error = error(&fused, &both(x, composed(&mut masks)));
        assert!(error > 1e-3, "{site} may have any mask");
    }
}

fn encoder_has_masks_of_names(device: &Device) {
    let device = &device.clone().autodiff();
    for norm_first in [false, true] {
        let encoder = TransformerEncoderConfig::new(16, 24, 2, 2)
            .with_dropout(PROB)
            .with_activation(ActivationConfig::Relu)
            .with_norm_first(norm_first)
            .init(device);
        let x = input(0.1, device).require_grad();
        let place = run(device).at("model.encoder");
        let fused = encoder.forward_fused(x.clone(), AttentionMasks::default(), &place);
        let sites = [
            "model.encoder.layers.0.dropout",
            "model.encoder.layers.0.mha.dropout",
            "model.encoder.layers.0.pwff.dropout",
            "model.encoder.layers.1.dropout",
            "model.encoder.layers.1.mha.dropout",
            "model.encoder.layers.1.pwff.dropout",
        ];
        assert_masks(&x, fused, &sites, |masks| {
            let layers = encoder.layers.iter().enumerate();
            layers.fold(x.clone(), |x, (number, layer)| {
                masks.encoder(&format!("model.encoder.layers.{number}"), layer, x)
            })
        });
    }
}

fn decoder_has_masks_of_names(device: &Device) {
    let device = &device.clone().autodiff();
    let decoder = TransformerDecoderConfig::new(16, 24, 2, 1)
        .with_dropout(PROB)
        .with_activation(ActivationConfig::Relu)
        .with_norm_first(false)
        .init(device);
    let (x, memory) = (input(0.1, device).require_grad(), input(0.7, device));
    let masks = AttentionMasks::default;
    let place = run(device).at("decoder");
    let fused = decoder.forward_fused(x.clone(), masks(), memory.clone(), masks(), &place);
    let sites = [
        "decoder.layers.0.cross_attn.dropout",
        "decoder.layers.0.dropout",
        "decoder.layers.0.pwff.dropout",
        "decoder.layers.0.self_attn.dropout",
    ];
    assert_masks(&x, fused, &sites, |masks| {
        let (x, memory) = (x.clone(), memory.clone());
        masks.decoder("decoder.layers.0", &decoder.layers[0], x, memory)
    });
}
