//! The fused operations, composed of dropout's own kernel and Burn's operations. Without dropout
//! only Burn's operations remain, and Burn fuses these.

use burn::tensor::{Tensor, activation};
use wgpu_dropout::{Activation, DropoutCall, MaskLayout, Norm};

use super::add::AddVectors;
use super::columns;
use super::normed::NormVectors;
use super::softmax::ScoreMask;
use crate::error::DropoutError;
use crate::operation::dropout;

type Mask<'a> = Option<(&'a MaskLayout, &'a DropoutCall)>;

fn dropped<const D: usize>(input: Tensor<D>, mask: Mask<'_>) -> Result<Tensor<D>, DropoutError> {
    match mask {
        Some((layout, call)) => dropout(input, layout, call),
        None => Ok(input),
    }
}

fn plus<const D: usize>(input: Tensor<D>, bias: Option<Tensor<1>>) -> Tensor<D> {
    match bias {
        Some(bias) => input + bias.unsqueeze(),
        None => input,
    }
}

pub fn add<const D: usize>(
    input: Tensor<D>,
    residual: Tensor<D>,
    vectors: AddVectors,
    mask: Mask<'_>,
) -> Result<Tensor<D>, DropoutError> {
    let mut branch = plus(input, vectors.bias);
    if let Some(scale) = vectors.scale {
        branch = branch * scale.unsqueeze();
    }
    Ok(residual + dropped(branch, mask)?)
}

pub fn activate<const D: usize>(function: Activation, input: Tensor<D>) -> Tensor<D> {
    match function {
        Activation::Relu => activation::relu(input),
        Activation::Gelu => activation::gelu(input),
        Activation::GeluTanh => activation::gelu_approximate(input),
        Activation::Silu => activation::silu(input),
        Activation::QuickGelu => input.clone() * activation::sigmoid(input * 1.702),
        Activation::SquaredRelu => activation::relu(input).square(),
        Activation::Identity => input,
        other => unreachable!("{other} is not in this list"),
    }
}

pub fn act<const D: usize>(
    activation: Activation,
    input: Tensor<D>,
    bias: Option<Tensor<1>>,
    mask: Mask<'_>,
) -> Result<Tensor<D>, DropoutError> {
    dropped(activate(activation, plus(input, bias)), mask)
}

pub fn gated<const D: usize>(
    activation: Activation,
    gate: Tensor<D>,
    up: Tensor<D>,
    mask: Mask<'_>,
) -> Result<Tensor<D>, DropoutError> {
    dropped(activate(activation, gate) * up, mask)
}

pub fn softmax(
    scores: Tensor<4>,
    factor: f32,
    hidden: Option<ScoreMask>,
    mask: Mask<'_>,
) -> Result<Tensor<4>, DropoutError> {
    let mut scores = scores * factor;
    if let Some(ScoreMask { hidden, fill }) = hidden {
        scores = scores.mask_fill(hidden, fill);
    }
    dropped(activation::softmax(scores, 3), mask)
}

pub fn add_norm<const D: usize>(
    input: Tensor<D>,
    residual: Tensor<D>,
    vectors: NormVectors,
    norm: Norm,
    mask: Mask<'_>,
) -> Result<(Tensor<D>, Tensor<D>), DropoutError> {
    let branch = AddVectors {
        bias: vectors.bias,
        scale: None,
    };
    let sum = add(input, residual, branch, mask)?;
    let (last, epsilon) = (D - 1, norm.epsilon());
    let centered = match norm.is_rms() {
        true => sum.clone(),
        false => sum.clone() - sum.clone().mean_dim(last),
    };
    debug_assert!(columns(&sum) > 0);
    let deviation = (centered.clone().square().mean_dim(last) + epsilon).sqrt();
    let normed = centered / deviation * vectors.gamma.unsqueeze();
    Ok((sum, plus(normed, vectors.beta)))
}
