//! A residual plus a branch after dropout.

use burn::backend::Dispatch;
use burn::tensor::Tensor;
use wgpu_dropout::{DropoutCall, MaskLayout, Operation};

use super::operation::FusedBackend;
use super::{check_beside, check_vector, checked, composed};
use crate::error::DropoutError;

/// The vectors that are applied to a branch before its dropout. Each has a number for each column.
#[derive(Clone, Debug, Default)]
pub struct AddVectors {
    /// Is added to the branch. Give the bias of the linear layer that computes the branch. That
    /// layer then needs no bias of its own.
    pub bias: Option<Tensor<1>>,
    /// Multiplies the branch after the bias is added, as LayerScale does. With a scale, dropout is
    /// a kernel of its own.
    pub scale: Option<Tensor<1>>,
}

/// `residual + dropout((input + bias) * scale)` \[M23\], in one pass. Nothing of the input's size
/// is kept for backward, except the input itself if there is a scale.
///
/// If the layout's mask indices are not consecutive, as in drop path, dropout is a kernel of its
/// own between Burn's operations.
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
