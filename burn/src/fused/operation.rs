//! The operations of backends, for masks of consecutive indices. Callers have checked everything.

use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::backend::{Backend, ExtensionType, backend_extension};
use wgpu_dropout::{Activation, DropoutCall, Norm};

use super::softmax::Scores;
use crate::operation::DropoutBackend;

/// An optional vector, since an argument of a backend's operation may not be an [`Option`].
#[derive(Clone, Debug, ExtensionType)]
#[cfg_attr(feature = "fusion", extension_type(fusion))]
pub enum MaybeVector<B: Backend> {
    /// No vector.
    Absent,
    /// A vector.
    Present(FloatTensor<B>),
}

/// An optional mask of scores.
#[derive(Clone, Debug, ExtensionType)]
#[cfg_attr(feature = "fusion", extension_type(fusion))]
pub enum MaybeHidden<B: Backend> {
    /// No mask.
    Absent,
    /// A mask.
    Present(BoolTensor<B>),
}

impl<B: Backend> MaybeVector<B> {
    pub fn into_option(self) -> Option<FloatTensor<B>> {
        match self {
            Self::Absent => None,
            Self::Present(vector) => Some(vector),
        }
    }
}

impl<B: Backend> From<Option<FloatTensor<B>>> for MaybeVector<B> {
    fn from(vector: Option<FloatTensor<B>>) -> Self {
        vector.map_or(Self::Absent, Self::Present)
    }
}

impl<B: Backend> MaybeHidden<B> {
    pub fn into_option(self) -> Option<BoolTensor<B>> {
        match self {
            Self::Absent => None,
            Self::Present(mask) => Some(mask),
        }
    }
}

/// The fused operations of a backend. Vectors have a number for each column of the last dimension.
#[backend_extension(
    Cube: cfg(feature = "cubecl"),
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    LibTorch: cfg(feature = "tch"),
    Remote: cfg(feature = "remote"),
    Autodiff,
    Fusion: cfg(feature = "fusion")
)]
pub trait FusedBackend: DropoutBackend {
    /// `residual + dropout(input + bias)` \[M23\].
    #[fusion(dtype = input, shape = input)]
    fn dropout_add(
        input: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        #[extension_type] bias: MaybeVector<Self>,
        call: DropoutCall,
    ) -> FloatTensor<Self>;

    /// `dropout(activation(input + bias))` \[M24\].
    #[fusion(dtype = input, shape = input)]
    fn act_dropout(
        input: FloatTensor<Self>,
        #[extension_type] bias: MaybeVector<Self>,
        activation: Activation,
        call: DropoutCall,
    ) -> FloatTensor<Self>;

    /// The gradient of `input`, from that of the output.
    #[fusion(dtype = input, shape = input)]
    fn act_dropout_backward(
        grad: FloatTensor<Self>,
        input: FloatTensor<Self>,
        #[extension_type] bias: MaybeVector<Self>,
        activation: Activation,
        call: DropoutCall,
    ) -> FloatTensor<Self>;

    /// `dropout(activation(gate) * up)` \[M24\].
    #[fusion(dtype = gate, shape = gate)]
    fn gated_dropout(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        activation: Activation,
        call: DropoutCall,
    ) -> FloatTensor<Self>;

    /// The gradients of `gate` and `up`, from that of the output.
    #[fusion(meta = |_, gate, up, _, _| (gate.clone(), up.clone()))]
    fn gated_dropout_backward(
        grad: FloatTensor<Self>,
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        activation: Activation,
        call: DropoutCall,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// `dropout(softmax(scores))` \[M26\] over the last of four dimensions. In each of the first
    /// three, `hidden` has the scores' size or 1.
    #[fusion(dtype = scores, shape = scores)]
    fn softmax_dropout(
        scores: FloatTensor<Self>,
        #[extension_type] hidden: MaybeHidden<Self>,
        options: Scores,
        call: DropoutCall,
    ) -> FloatTensor<Self>;

    /// The gradient of `scores`, from that of the output.
    #[fusion(dtype = scores, shape = scores)]
    fn softmax_dropout_backward(
        grad: FloatTensor<Self>,
        scores: FloatTensor<Self>,
        #[extension_type] hidden: MaybeHidden<Self>,
        options: Scores,
        call: DropoutCall,
    ) -> FloatTensor<Self>;

    /// `sum = residual + dropout(input + bias)` and `norm(sum)` \[M25\].
    #[fusion(meta = |input, residual, _, _, _, _, _| (residual.clone(), input.clone()))]
    fn dropout_add_norm(
        input: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        #[extension_type] bias: MaybeVector<Self>,
        gamma: FloatTensor<Self>,
        #[extension_type] beta: MaybeVector<Self>,
        norm: Norm,
        call: DropoutCall,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// The gradient of `sum`, from the gradient of its norm. Also the product of the norm's
    /// gradient with the normalised number, before gamma: its column sums are the gradient of
    /// gamma.
    #[fusion(meta = |_, sum, _, _| (sum.clone(), sum.clone()))]
    fn norm_backward(
        grad: FloatTensor<Self>,
        sum: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        norm: Norm,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}
