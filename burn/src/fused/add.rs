//! A residual and a branch that is dropped.

use burn::backend::Dispatch;
use burn::tensor::Tensor;
use wgpu_dropout::{DropoutCall, MaskLayout, Operation};

use super::operation::FusedBackend;
use super::{check_beside, check_vector, checked, composed};
use crate::error::DropoutError;

/// What stands between a branch and its dropout; each has a number for each column.
#[derive(Clone, Debug, Default)]
pub struct AddVectors {
    /// Is added to the branch: the bias of a linear layer, which then needs none.
    pub bias: Option<Tensor<1>>,
    /// Multiplies the branch behind the bias: LayerScale. With it dropout is a kernel of its own.
    pub scale: Option<Tensor<1>>,
}

/// `residual + dropout((input + bias) * scale)` \[M23\], in one pass. Nothing of the input's size is
/// kept for backward, but with a scale the input.
///
/// Masks of [other layouts](MaskLayout) than of consecutive indices, as drop path's, take dropout's
/// kernel and Burn's operations beside it.
///
/// # Errors
///
/// See [`DropoutError`].
pub fn dropout_add<const D: usize>(
    input: Tensor<D>,
    residual: Tensor<D>,
    vectors: AddVectors,
    layout: &MaskLayout,
    call: &DropoutCall,
) -> Result<Tensor<D>, DropoutError> {
    let linear = checked(&input, layout, call, Operation::DropoutAdd)?;
    check_beside("residual", &residual, &input.dims(), input.dtype())?;
    check_vector("bias", vectors.bias.as_ref(), &input)?;
    check_vector("scale", vectors.scale.as_ref(), &input)?;
    let Some(call) = linear.filter(|_| vectors.scale.is_none()) else {
        return composed::add(input, residual, vectors, Some((layout, call)));
    };
    Ok(Tensor::from_dispatch(Dispatch::dropout_add(
        input.into_dispatch(),
        residual.into_dispatch(),
        vectors.bias.map(Tensor::into_dispatch).into(),
        call,
    )))
}
