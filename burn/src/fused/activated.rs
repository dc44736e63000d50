//! An activation before a dropout.

use burn::backend::Dispatch;
use burn::tensor::Tensor;
use wgpu_dropout::{Activation, DropoutCall, MaskLayout, Operation};

use super::operation::FusedBackend;
use super::{check_beside, check_vector, checked, composed};
use crate::error::DropoutError;

/// `dropout(activation(input + bias))` \[M24\], in one pass. The input is kept for backward, as
/// without dropout; the output and the mask are not.
///
/// If the layout's mask indices are not consecutive, Burn's operations come first and dropout is a
/// kernel of its own.
///
/// # Errors
///
/// See [`DropoutError`].
pub fn act_dropout<const D: usize>(
    activation: Activation,
    input: Tensor<D>,
    bias: Option<Tensor<1>>,
    layout: &MaskLayout,
    call: &DropoutCall,
) -> Result<Tensor<D>, DropoutError> {
    let linear = checked(&input, layout, call, Operation::ActDropout)?;
    check_vector("bias", bias.as_ref(), &input)?;
    let Some(call) = linear else {
        return composed::act(activation, input, bias, Some((layout, call)));
    };
    Ok(Tensor::from_dispatch(Dispatch::act_dropout(
        input.into_dispatch(),
        bias.map(Tensor::into_dispatch).into(),
        activation,
        call,
    )))
}

/// `dropout(activation(gate) * up)` \[M24\], in one pass: SwiGLU and its relatives. Gate and up are
/// kept for backward.
///
/// # Errors
///
/// See [`DropoutError`].
pub fn gated_dropout<const D: usize>(
    activation: Activation,
    gate: Tensor<D>,
    up: Tensor<D>,
    layout: &MaskLayout,
    call: &DropoutCall,
) -> Result<Tensor<D>, DropoutError> {
    let linear = checked(&gate, layout, call, Operation::ActDropout)?;
    check_beside("up", &up, &gate.dims(), gate.dtype())?;
    let Some(call) = linear else {
        return composed::gated(activation, gate, up, Some((layout, call)));
    };
    Ok(Tensor::from_dispatch(Dispatch::gated_dropout(
        gate.into_dispatch(),
        up.into_dispatch(),
        activation,
        call,
    )))
}
