//! Dropout in one pass with the operations beside it in a network.

mod activated;
mod add;
mod autodiff;
pub(crate) mod composed;
#[cfg(feature = "cubecl")]
mod gpu;
#[cfg(any(feature = "flex", feature = "ndarray", feature = "tch"))]
mod host;
mod layer;
mod normed;
pub(crate) mod operation;
pub(crate) mod softmax;

use burn::tensor::{DType, Tensor};
use wgpu_dropout::{CallError, DropoutCall, DropoutKind, MaskLayout, Operation};

pub use activated::{act_dropout, gated_dropout};
pub use add::{AddVectors, dropout_add};
pub use normed::{NormVectors, dropout_add_norm};
pub use softmax::{ScoreMask, softmax_dropout};

use crate::error::DropoutError;
use crate::operation::{check_backend, element_type};

/// Checks what every operation needs. Returns `Some` if one kernel can compute the whole operation:
/// the mask indices must be consecutive. Otherwise dropout is a kernel of its own between Burn's
/// operations.
fn checked<const D: usize>(
    input: &Tensor<D>,
    layout: &MaskLayout,
    call: &DropoutCall,
    operation: Operation,
) -> Result<Option<DropoutCall>, DropoutError> {
    let elements = input.shape().num_elements() as u64;
    if elements != layout.len() {
        return Err(DropoutError::LayoutLength {
            elements,
            required: layout.len(),
        });
    }
    call.check(layout)?;
    let kind = call.kind;
    if !matches!(kind, DropoutKind::Inverted | DropoutKind::Classic) {
        return Err(CallError::Kind { kind, operation }.into());
    }
    element_type(input.dtype())?;
    check_backend(&input.device())?;
    // The kernels count elements in 32 bits.
    let fits = (1..=u64::from(u32::MAX)).contains(&elements);
    Ok((fits && is_linear(layout)).then(|| call.with_origin(call.origin + layout.first_index())))
}

/// True if consecutive elements have consecutive mask indices.
fn is_linear(layout: &MaskLayout) -> bool {
    let mut next = 1;
    layout
        .shape()
        .iter()
        .zip(layout.strides())
        .rev()
        .all(|(&size, &stride)| {
            let is_next = size == 1 || stride == next;
            next *= size;
            is_next
        })
}

/// Checks that a tensor beside the input has `shape` and the input's type.
fn check_beside<const D: usize>(
    name: &'static str,
    tensor: &Tensor<D>,
    shape: &[usize],
    dtype: DType,
) -> Result<(), DropoutError> {
    if tensor.dims() != shape {
        return Err(DropoutError::Shape {
            name,
            shape: tensor.dims().to_vec(),
            expected: shape.to_vec(),
        });
    }
    if tensor.dtype() != dtype {
        return Err(DropoutError::Type {
            name,
            dtype: tensor.dtype(),
            expected: dtype,
        });
    }
    Ok(())
}

/// Checks a vector of as many numbers as the input has columns.
fn check_vector<const D: usize>(
    name: &'static str,
    vector: Option<&Tensor<1>>,
    input: &Tensor<D>,
) -> Result<(), DropoutError> {
    match vector {
        Some(vector) => check_beside(name, vector, &[columns(input)], input.dtype()),
        None => Ok(()),
    }
}

fn columns<const D: usize>(input: &Tensor<D>) -> usize {
    // A tensor has at least one dimension.
    input.dims().last().copied().unwrap_or(1)
}
