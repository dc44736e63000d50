//! The layer's methods for dropout fused with its neighbours.

use burn::tensor::Tensor;
use wgpu_dropout::{Activation, DropoutCall, MaskLayout, Norm};

use super::add::{AddVectors, dropout_add};
use super::normed::{NormVectors, dropout_add_norm};
use super::softmax::{ScoreMask, softmax_dropout};
use super::{act_dropout, composed, gated_dropout};
use crate::dropout::FusedDropout;
use crate::error::DropoutError;

/// Dropout in one pass with its neighbouring operations.
///
/// Each method counts as a call of the layer, as [`forward`](Self::forward) does, and uses the mask
/// that `forward` would have used. If the layer does not drop, the method runs Burn's own
/// operations, which Burn fuses.
///
/// # Panics
///
/// If the function that the method's description links would return an error.
impl FusedDropout {
    /// `residual + dropout((input + bias) * scale)`: [`dropout_add`].
    pub fn forward_add<const D: usize>(
        &self,
        input: Tensor<D>,
        residual: Tensor<D>,
        vectors: AddVectors,
    ) -> Tensor<D> {
        or_panic(match self.begin(&input) {
            Some((layout, call)) => dropout_add(input, residual, vectors, &layout, &call),
            None => composed::add(input, residual, vectors, None),
        })
    }

    /// `dropout(activation(input + bias))`: [`act_dropout`].
    pub fn forward_activated<const D: usize>(
        &self,
        activation: Activation,
        input: Tensor<D>,
        bias: Option<Tensor<1>>,
    ) -> Tensor<D> {
        or_panic(match self.begin(&input) {
            Some((layout, call)) => act_dropout(activation, input, bias, &layout, &call),
            None => composed::act(activation, input, bias, None),
        })
    }

    /// `dropout(activation(gate) * up)`: [`gated_dropout`].
    pub fn forward_gated<const D: usize>(
        &self,
        activation: Activation,
        gate: Tensor<D>,
        up: Tensor<D>,
    ) -> Tensor<D> {
        or_panic(match self.begin(&gate) {
            Some((layout, call)) => gated_dropout(activation, gate, up, &layout, &call),
            None => composed::gated(activation, gate, up, None),
        })
    }

    /// `dropout(softmax(factor * scores))`: [`softmax_dropout`].
    pub fn forward_softmax(
        &self,
        scores: Tensor<4>,
        factor: f32,
        mask: Option<ScoreMask>,
    ) -> Tensor<4> {
        or_panic(match self.begin(&scores) {
            Some((layout, call)) => softmax_dropout(scores, factor, mask, &layout, &call),
            None => composed::softmax(scores, factor, mask, None),
        })
    }

    /// `sum = residual + dropout(input + bias)`, and `norm(sum)`: [`dropout_add_norm`].
    pub fn forward_add_norm<const D: usize>(
        &self,
        input: Tensor<D>,
        residual: Tensor<D>,
        vectors: NormVectors,
        norm: Norm,
    ) -> (Tensor<D>, Tensor<D>) {
        or_panic(match self.begin(&input) {
            Some((layout, call)) => {
                dropout_add_norm(input, residual, vectors, norm, &layout, &call)
            }
            None => composed::add_norm(input, residual, vectors, norm, None),
        })
    }

    /// The layout and the next call. `None` if the layer does not drop.
    fn begin<const D: usize>(&self, input: &Tensor<D>) -> Option<(MaskLayout, DropoutCall)> {
        self.drops(input).then(|| {
            let layout = or_panic(self.layout(input));
            let call = or_panic(self.next_call(input));
            self.applied(call);
            (layout, call)
        })
    }
}

fn or_panic<T>(result: Result<T, DropoutError>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}
