//! Dropout on the CPU, by the library's own CPU path.

use std::borrow::Cow;

#[cfg(feature = "flex")]
use burn::backend::flex::Flex;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{Bytes, Element as BurnElement, TensorData, try_read_sync};
use wgpu_dropout::{CpuError, Direction, DropoutCall, Element, MaskLayout, cpu};

use crate::operation::DropoutBackend;

/// A backend whose dropout the host computes. Its tensors are in the host's memory, or copied there
/// and back.
pub trait HostBackend: Backend {
    /// The elements of a tensor, which has elements of this type.
    fn elements<T: Element + BurnElement>(tensor: &FloatTensor<Self>) -> Cow<'_, [T]> {
        let data = try_read_sync(Self::float_into_data(tensor.clone()));
        // `try_read_sync` fails only in a browser, in which none of these backends waits.
        let data = data.and_then(Result::ok).map(TensorData::try_into_vec::<T>);
        Cow::Owned(data.and_then(Result::ok).unwrap_or_default())
    }

    /// A tensor of these elements, with the shape and the type of `other`.
    fn like<T: Element + BurnElement>(
        other: &FloatTensor<Self>,
        elements: Vec<T>,
    ) -> FloatTensor<Self> {
        let bytes = Bytes::from_elems(elements);
        let data = TensorData::from_bytes(bytes, other.shape(), other.dtype());
        Self::float_from_data(data, &other.device())
    }
}

#[cfg(feature = "flex")]
impl HostBackend for Flex {
    fn elements<T: Element + BurnElement>(tensor: &FloatTensor<Self>) -> Cow<'_, [T]> {
        match tensor.as_slice::<T>() {
            Some(elements) => Cow::Borrowed(elements),
            None => Cow::Owned(tensor.to_contiguous().storage::<T>().to_vec()),
        }
    }
}

#[cfg(feature = "ndarray")]
impl HostBackend for burn::backend::NdArray {}

#[cfg(feature = "tch")]
impl HostBackend for burn::backend::LibTorch {}

/// Calls the function of a backend for the elements' type.
macro_rules! of_type {
    ($tensor:expr, $function:ident($($argument:expr),* $(,)?)) => {
        match $crate::operation::element_type($tensor.dtype()) {
            Ok(wgpu_dropout::ElementType::F32) => $function::<Self, f32>($($argument),*),
            Ok(wgpu_dropout::ElementType::F16) => {
                $function::<Self, wgpu_dropout::half::f16>($($argument),*)
            }
            Ok(wgpu_dropout::ElementType::Bf16) => {
                $function::<Self, wgpu_dropout::half::bf16>($($argument),*)
            }
            Ok(other) => panic!("no dropout for elements of type {other}"),
            Err(error) => panic!("{error}"),
        }
        .unwrap_or_else(|error| panic!("{error}"))
    };
}
pub(crate) use of_type;

/// The elements of a tensor that is yet to be computed.
pub(crate) fn zeros<T: Element>(len: usize) -> Vec<T> {
    vec![T::from_f32(0.0); len]
}

impl<B: HostBackend> DropoutBackend for B {
    fn fused_dropout(
        tensor: FloatTensor<Self>,
        layout: MaskLayout,
        call: DropoutCall,
        direction: Direction,
    ) -> FloatTensor<Self> {
        of_type!(tensor, apply(&tensor, &layout, &call, direction))
    }
}

fn apply<B: HostBackend, T: Element + BurnElement>(
    input: &FloatTensor<B>,
    layout: &MaskLayout,
    call: &DropoutCall,
    direction: Direction,
) -> Result<FloatTensor<B>, CpuError> {
    let elements = B::elements::<T>(input);
    let mut output = zeros(elements.len());
    cpu::apply(direction, layout, (&elements[..], &mut output[..]), call)?;
    Ok(B::like(input, output))
}
