//! What can go wrong. Each message names both numbers and the remedy.

use burn::tensor::DType;
use wgpu_dropout::launch::LaunchError;
use wgpu_dropout::{CallError, LayoutError, RateError};

/// A tensor or a call that dropout cannot take. Nothing was computed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DropoutError {
    /// The probability is none.
    #[error(transparent)]
    Rate(#[from] RateError),
    /// The tensor's shape does not fit the pattern.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The call cannot be applied to the layout.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The device cannot take the tensor.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// A layout of another number of elements than the tensor.
    #[error("the tensor has {elements} elements, the layout {required}: make them equal")]
    LayoutLength {
        /// Elements of the tensor.
        elements: u64,
        /// Elements of the layout.
        required: u64,
    },
    /// Elements that are neither f32 nor f16 nor bf16.
    #[error("the tensor's elements are {dtype:?}: cast it to F32, F16 or BF16")]
    Element {
        /// The tensor's type.
        dtype: DType,
    },
    /// The device's kernels are not compiled from WGSL.
    #[error(
        "the device's compiler is {name}, which runs no WGSL: use a device of wgpu<wgsl>, which Burn \
         makes without its features `vulkan` and `metal`, and with them for other graphics APIs"
    )]
    Compiler {
        /// CubeCL's name of runtime and compiler.
        name: String,
    },
    /// A backend that this build has no dropout for.
    #[error(
        "there is no dropout for the device {device}: use the backend wgpu or flex, with this crate's \
         feature of that name"
    )]
    Device {
        /// The device.
        device: String,
    },
}
