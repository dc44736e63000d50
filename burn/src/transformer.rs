//! Runs Burn's own transformer modules with their dropout fused. The structs and the records are
//! Burn's.

use burn::nn::activation::Activation as NnActivation;
use burn::nn::attention::MultiHeadAttention;
use burn::nn::transformer::{
    PositionWiseFeedForward, TransformerDecoder, TransformerDecoderLayer, TransformerEncoder,
    TransformerEncoderLayer,
};
use burn::nn::{Dropout, Linear};
use burn::tensor::{Bool, Tensor, activation};
use wgpu_dropout::{Activation, DropoutCall, DropoutRate, MaskLayout};

use crate::error::DropoutError;
use crate::fused::{AddVectors, ScoreMask, act_dropout, composed, dropout_add, softmax_dropout};
use crate::operation::dropout;
use crate::run::TrainingRun;
use crate::site;

/// The place of a module in a model: its run, and the path of field names, such as
/// `encoder.layers.0`. [`TrainingRun::at`] makes it.
#[derive(Clone, Debug)]
pub struct ModelPath {
    run: TrainingRun,
    path: String,
}

impl TrainingRun {
    /// The place `path` in a model. Give it to the `forward_fused` of the module at this place.
    /// Each dropout of the module is a site whose name is its own path, such as
    /// `encoder.layers.0.dropout`. Give each module a path of its own.
    ///
    /// The numbers of these sites follow from their names and not from an order, and no thread
    /// counts as the one that built them. With several devices, a device's replica number is its
    /// position in [`set_devices`](Self::set_devices), or else follows from Burn's id.
    pub fn at(&self, path: impl Into<String>) -> ModelPath {
        ModelPath {
            run: self.clone(),
            path: path.into(),
        }
    }
}

impl ModelPath {
    /// The place of a field, or of an element of a list.
    pub fn child(&self, name: impl core::fmt::Display) -> Self {
        let path = match self.path.as_str() {
            "" => name.to_string(),
            path => format!("{path}.{name}"),
        };
        Self {
            run: self.run.clone(),
            path,
        }
    }

    /// The layout and the next call of the dropout in the field `name`. `None` if it does not drop.
    fn begin<const D: usize>(
        &self,
        name: &str,
        field: &Dropout,
        input: &Tensor<D>,
    ) -> Option<(MaskLayout, DropoutCall)> {
        let device = input.device();
        if !field.training.is_enabled() || !device.is_autodiff() || field.prob == 0.0 {
            return None;
        }
        let call = || {
            let rate = DropoutRate::new(field.prob)?;
            let number = site::number(&self.child(name).path);
            let key = self.run.next_key(number, &device, false)?;
            Ok(DropoutCall::new(rate, key))
        };
        let layout = MaskLayout::linear(input.shape().num_elements() as u64);
        Some((layout, or_panic(call())))
    }
}

fn or_panic<T>(result: Result<T, DropoutError>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

/// A linear layer's output without its bias, and the bias, which the next operation adds.
fn product<const D: usize>(linear: &Linear, input: Tensor<D>) -> (Tensor<D>, Option<Tensor<1>>) {
    let bias = linear.bias.as_ref().map(|bias| bias.val());
    let output = burn::tensor::module::linear(input, linear.weight.val(), None);
    (output, bias)
}

/// `residual + dropout(input + bias)` by the field `dropout` of the module at `place`.
fn add<const D: usize>(
    (input, bias): (Tensor<D>, Option<Tensor<1>>),
    residual: Tensor<D>,
    field: &Dropout,
    place: &ModelPath,
) -> Tensor<D> {
    let vectors = AddVectors { bias, scale: None };
    or_panic(match place.begin("dropout", field, &input) {
        Some((layout, call)) => dropout_add(input, residual, vectors, &layout, &call),
        None => composed::add(input, residual, vectors, None),
    })
}

/// Masks that hide keys from queries, as Burn's modules take them. True hides a key.
#[derive(Clone, Debug, Default)]
pub struct AttentionMasks {
    /// `[batch, keys]`.
    pub pad: Option<Tensor<2, Bool>>,
    /// `[batch, queries, keys]`.
    pub attn: Option<Tensor<3, Bool>>,
}

impl AttentionMasks {
    fn scores(self, fill: f64) -> Option<ScoreMask> {
        let pad = self.pad.map(|pad| pad.unsqueeze_dims::<4>(&[1, 1]));
        let attn = self.attn.map(|attn| attn.unsqueeze_dim::<4>(1));
        let hidden = match (pad, attn) {
            (Some(pad), Some(attn)) => {
                let shape = attn.shape();
                pad.expand(shape).bool_or(attn)
            }
            (pad, attn) => pad.or(attn)?,
        };
        Some(ScoreMask {
            hidden,
            fill: fill as f32,
        })
    }
}

/// [`MultiHeadAttention`] with softmax and dropout in one pass.
///
/// With `quiet_softmax` the softmax is Burn's, and dropout a kernel of its own.
pub trait FusedAttention {
    /// The context that Burn's `forward` returns, of the shape `[batch, sequence, d_model]`.
    fn forward_fused(
        &self,
        query: Tensor<3>,
        key: Tensor<3>,
        value: Tensor<3>,
        masks: AttentionMasks,
        place: &ModelPath,
    ) -> Tensor<3>;
}

impl FusedAttention for MultiHeadAttention {
    fn forward_fused(
        &self,
        query: Tensor<3>,
        key: Tensor<3>,
        value: Tensor<3>,
        masks: AttentionMasks,
        place: &ModelPath,
    ) -> Tensor<3> {
        match context(self, [query, key, value], masks, place) {
            (context, Some(bias)) => context + bias.unsqueeze(),
            (context, None) => context,
        }
    }
}

/// The context without the bias of the last layer.
fn context(
    attention: &MultiHeadAttention,
    [query, key, value]: [Tensor<3>; 3],
    masks: AttentionMasks,
    place: &ModelPath,
) -> (Tensor<3>, Option<Tensor<1>>) {
    let [batch, queries, d_model] = query.dims();
    let heads = |linear: &Linear, x: Tensor<3>| {
        let [batch, length, _] = x.dims();
        linear
            .forward(x)
            .reshape([batch, length, attention.n_heads, attention.d_k])
            .swap_dims(1, 2)
    };
    let query = heads(&attention.query, query);
    let key = heads(&attention.key, key);
    let value = heads(&attention.value, value);
    let scores = query.matmul(key.transpose());
    let factor = 1.0 / (attention.d_k as f32).sqrt();
    let mask = masks.scores(attention.min_float);
    let call = place.begin("dropout", &attention.dropout, &scores);
    let weights = or_panic(match call {
        Some((layout, call)) if attention.quiet_softmax => {
            dropout(quiet(scores, factor, mask), &layout, &call)
        }
        Some((layout, call)) => softmax_dropout(scores, factor, mask, &layout, &call),
        None if attention.quiet_softmax => Ok(quiet(scores, factor, mask)),
        None => composed::softmax(scores, factor, mask, None),
    });
    let context = weights.matmul(value).swap_dims(1, 2);
    product(
        &attention.output,
        context.reshape([batch, queries, d_model]),
    )
}

fn quiet(scores: Tensor<4>, factor: f32, mask: Option<ScoreMask>) -> Tensor<4> {
    let mut scores = scores * factor;
    if let Some(ScoreMask { hidden, fill }) = mask {
        scores = scores.mask_fill(hidden, fill);
    }
    activation::quiet_softmax(scores, 3)
}

/// [`PositionWiseFeedForward`] with bias, activation and dropout in one pass.
///
/// Four activations are fused: GELU, GELU by tanh, ReLU and the identity. Burn computes all others,
/// and dropout after them is a kernel of its own.
pub trait FusedFeedForward {
    /// The output, like that of Burn's `forward`.
    fn forward_fused<const D: usize>(&self, input: Tensor<D>, place: &ModelPath) -> Tensor<D>;
}

impl FusedFeedForward for PositionWiseFeedForward {
    fn forward_fused<const D: usize>(&self, input: Tensor<D>, place: &ModelPath) -> Tensor<D> {
        self.linear_outer.forward(hidden(self, input, place))
    }
}

/// The input of the outer linear layer.
fn hidden<const D: usize>(
    feed_forward: &PositionWiseFeedForward,
    input: Tensor<D>,
    place: &ModelPath,
) -> Tensor<D> {
    let function = match &feed_forward.activation {
        NnActivation::Identity(_) => Activation::Identity,
        NnActivation::Gelu(gelu) if gelu.approximate => Activation::GeluTanh,
        NnActivation::Gelu(_) => Activation::Gelu,
        NnActivation::Relu(_) => Activation::Relu,
        other => {
            let x = other.forward(feed_forward.linear_inner.forward(input));
            return match place.begin("dropout", &feed_forward.dropout, &x) {
                Some((layout, call)) => or_panic(dropout(x, &layout, &call)),
                None => x,
            };
        }
    };
    let (x, bias) = product(&feed_forward.linear_inner, input);
    or_panic(match place.begin("dropout", &feed_forward.dropout, &x) {
        Some((layout, call)) => act_dropout(function, x, bias, &layout, &call),
        None => composed::act(function, x, bias, None),
    })
}

/// `residual + dropout(feed_forward(input))` by the fields `pwff` and `dropout` of the module at
/// `place`.
fn add_feed_forward(
    feed_forward: &PositionWiseFeedForward,
    input: Tensor<3>,
    residual: Tensor<3>,
    field: &Dropout,
    place: &ModelPath,
) -> Tensor<3> {
    let hidden = hidden(feed_forward, input, &place.child("pwff"));
    let branch = product(&feed_forward.linear_outer, hidden);
    add(branch, residual, field, place)
}

/// A transformer's encoder, or a layer of it, with its dropout fused.
///
/// [`dropout_add`] computes the sums of the residual stream, and adds the bias of the linear layer
/// that precedes each sum. Norms are Burn's.
///
/// ```
/// use burn::nn::transformer::TransformerEncoderConfig;
/// use burn::tensor::{Device, Tensor};
/// use wgpu_dropout_burn::{AttentionMasks, FusedEncoder, TrainingRun};
///
/// let device = Device::flex().autodiff();
/// let encoder = TransformerEncoderConfig::new(16, 32, 2, 1).init(&device);
/// let x = Tensor::<3>::ones([2, 5, 16], &device);
/// let place = TrainingRun::current().at("encoder");
/// let output = encoder.forward_fused(x, AttentionMasks::default(), &place);
/// assert_eq!(output.dims(), [2, 5, 16]);
/// ```
pub trait FusedEncoder {
    /// The output, like that of Burn's `forward`. If nothing is dropped, only Burn's operations
    /// run.
    fn forward_fused(
        &self,
        input: Tensor<3>,
        masks: AttentionMasks,
        place: &ModelPath,
    ) -> Tensor<3>;
}

impl FusedEncoder for TransformerEncoderLayer {
    fn forward_fused(
        &self,
        input: Tensor<3>,
        masks: AttentionMasks,
        place: &ModelPath,
    ) -> Tensor<3> {
        let x = input;
        let branch = match self.norm_first {
            true => self.norm_2.forward(x.clone()),
            false => x.clone(),
        };
        let inputs = [branch.clone(), branch.clone(), branch];
        let branch = context(&self.mha, inputs, masks, &place.child("mha"));
        let mut x = add(branch, x, &self.dropout, place);
        if !self.norm_first {
            x = self.norm_1.forward(x);
        }
        let branch = match self.norm_first {
            true => self.norm_1.forward(x.clone()),
            false => x.clone(),
        };
        let x = add_feed_forward(&self.pwff, branch, x, &self.dropout, place);
        match self.norm_first {
            true => x,
            false => self.norm_2.forward(x),
        }
    }
}

impl FusedEncoder for TransformerEncoder {
    fn forward_fused(
        &self,
        input: Tensor<3>,
        masks: AttentionMasks,
        place: &ModelPath,
    ) -> Tensor<3> {
        let layers = place.child("layers");
        let numbered = self.layers.iter().enumerate();
        numbered.fold(input, |x, (number, layer)| {
            layer.forward_fused(x, masks.clone(), &layers.child(number))
        })
    }
}

/// A transformer's decoder, or a layer of it, with its dropout fused; see [`FusedEncoder`].
pub trait FusedDecoder {
    /// The output, like that of Burn's `forward`.
    fn forward_fused(
        &self,
        target: Tensor<3>,
        target_masks: AttentionMasks,
        memory: Tensor<3>,
        memory_masks: AttentionMasks,
        place: &ModelPath,
    ) -> Tensor<3>;
}

impl FusedDecoder for TransformerDecoderLayer {
    fn forward_fused(
        &self,
        target: Tensor<3>,
        target_masks: AttentionMasks,
        memory: Tensor<3>,
        memory_masks: AttentionMasks,
        place: &ModelPath,
    ) -> Tensor<3> {
        let x = target;
        let branch = match self.norm_first {
            true => self.norm_3.forward(x.clone()),
            false => x.clone(),
        };
        let inputs = [branch.clone(), branch.clone(), branch];
        let branch = context(
            &self.self_attn,
            inputs,
            target_masks,
            &place.child("self_attn"),
        );
        let mut x = add(branch, x, &self.dropout, place);
        if !self.norm_first {
            x = self.norm_1.forward(x);
        }
        let branch = match self.norm_first {
            true => self.norm_1.forward(x.clone()),
            false => x.clone(),
        };
        let inputs = [branch, memory.clone(), memory];
        let branch = context(
            &self.cross_attn,
            inputs,
            memory_masks,
            &place.child("cross_attn"),
        );
        let mut x = add(branch, x, &self.dropout, place);
        if !self.norm_first {
            x = self.norm_2.forward(x);
        }
        let branch = match self.norm_first {
            true => self.norm_2.forward(x.clone()),
            false => x.clone(),
        };
        let x = add_feed_forward(&self.pwff, branch, x, &self.dropout, place);
        match self.norm_first {
            true => x,
            false => self.norm_3.forward(x),
        }
    }
}

impl FusedDecoder for TransformerDecoder {
    fn forward_fused(
        &self,
        target: Tensor<3>,
        target_masks: AttentionMasks,
        memory: Tensor<3>,
        memory_masks: AttentionMasks,
        place: &ModelPath,
    ) -> Tensor<3> {
        let layers = place.child("layers");
        let numbered = self.layers.iter().enumerate();
        numbered.fold(target, |x, (number, layer)| {
            let (target, memory) = (target_masks.clone(), memory.clone());
            let place = layers.child(number);
            layer.forward_fused(x, target, memory, memory_masks.clone(), &place)
        })
    }
}
