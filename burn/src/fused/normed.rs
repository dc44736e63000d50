//! The norm of a residual plus a branch after dropout.

use burn::backend::Dispatch;
use burn::tensor::Tensor;
use wgpu_dropout::{DropoutCall, MaskLayout, Norm, Operation};

use super::operation::FusedBackend;
use super::{check_beside, check_vector, checked, columns, composed};
use crate::error::DropoutError;

/// The vectors of a branch and a norm; each has a number for each column.
#[derive(Clone, Debug)]
pub struct NormVectors {
    /// Is added to the branch.
    pub bias: Option<Tensor<1>>,
    /// Multiplies the norm.
    pub gamma: Tensor<1>,
    /// Is added after the multiplication by gamma.
    pub beta: Option<Tensor<1>>,
}

/// `sum = residual + dropout(input + bias)` and `norm(sum)` \[M25\], both in one pass. The sum is
/// kept for backward, which computes the norm again. Backward takes two passes, one for the norm
/// and one for dropout.
///
/// # Errors
///
/// See [`DropoutError`].
pub fn dropout_add_norm<const D: usize>(
    input: Tensor<D>,
    residual: Tensor<D>,
    vectors: NormVectors,
    norm: Norm,
    layout: &MaskLayout,
    call: &DropoutCall,
) -> Result<(Tensor<D>, Tensor<D>), DropoutError> {
    let linear = checked(&input, layout, call, Operation::DropoutAddNorm)?;
    check_beside("residual", &residual, &input.dims(), input.dtype())?;
    check_vector("bias", vectors.bias.as_ref(), &input)?;
    check_vector("gamma", Some(&vectors.gamma), &input)?;
    check_vector("beta", vectors.beta.as_ref(), &input)?;
    let (columns, max) = (columns(&input), Norm::MAX_COLUMNS);
    if columns == 0 || columns > max as usize {
        return Err(DropoutError::NormColumns { columns, max });
    }
    let Some(call) = linear else {
        return composed::add_norm(input, residual, vectors, norm, Some((layout, call)));
    };
    let (sum, normed) = Dispatch::dropout_add_norm(
        input.into_dispatch(),
        residual.into_dispatch(),
        vectors.bias.map(Tensor::into_dispatch).into(),
        vectors.gamma.into_dispatch(),
        vectors.beta.map(Tensor::into_dispatch).into(),
        norm,
        call,
    );
    Ok((Tensor::from_dispatch(sum), Tensor::from_dispatch(normed)))
}
