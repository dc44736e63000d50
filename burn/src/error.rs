//! Errors of the crate. Each message names both numbers and the remedy.

use burn::tensor::DType;
use wgpu_dropout::launch::LaunchError;
use wgpu_dropout::{CallError, FoldOverflow, LayoutError, RateError, SoftmaxError};

/// A tensor or a call that dropout cannot take. Nothing was computed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DropoutError {
    /// The probability is invalid.
    #[error(transparent)]
    Rate(#[from] RateError),
    /// The tensor's shape does not fit the pattern.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The call cannot be applied to the layout.
    #[error(transparent)]
    Call(#[from] CallError),
    /// A number that is too large for a key to fold in, such as a call's number after 2^61 calls in
    /// a step.
    #[error(transparent)]
    Key(#[from] FoldOverflow),
    /// The device cannot take the tensor.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// The layout and the tensor differ in their number of elements.
    #[error("the tensor has {elements} elements, the layout {required}: make them equal")]
    LayoutLength {
        /// Elements of the tensor.
        elements: u64,
        /// Elements of the layout.
        required: u64,
    },
    /// A tensor whose shape does not fit the input's.
    #[error("the {name} has the shape {shape:?}, but the input needs {expected:?}: reshape it")]
    Shape {
        /// The tensor's part in the operation.
        name: &'static str,
        /// Its shape.
        shape: Vec<usize>,
        /// The expected shape. A mask may have the size 1 in each dimension but the last.
        expected: Vec<usize>,
    },
    /// A tensor of another type than the input.
    #[error("the {name}'s elements are {dtype:?}, the input's {expected:?}: cast one of them")]
    Type {
        /// The tensor's part in the operation.
        name: &'static str,
        /// Its type.
        dtype: DType,
        /// The input's type.
        expected: DType,
    },
    /// Rows or a factor that a softmax does not take.
    #[error(transparent)]
    Softmax(#[from] SoftmaxError),
    /// Rows without an element, or with more than a norm takes.
    #[error("a norm does not take rows of {columns} elements: give 1 to {max} columns")]
    NormColumns {
        /// Elements of the last dimension.
        columns: usize,
        /// The largest number of elements that a row may have.
        max: u32,
    },
    /// Elements that are neither f32 nor f16 nor bf16.
    #[error("the tensor's elements are {dtype:?}: cast it to F32, F16 or BF16")]
    Element {
        /// The tensor's type.
        dtype: DType,
    },
    /// A device whose backend was enabled in Burn alone.
    #[error(
        "{device} needs this crate's feature for its backend: enable wgpu, flex, ndarray, tch or \
         remote of wgpu-dropout-burn"
    )]
    Feature {
        /// The device, after the name of its backend.
        device: String,
    },
    /// Two replicas on one device.
    #[error(
        "devices {first} and {second} are both {device}: give each replica a device of its own"
    )]
    SameDevice {
        /// The device.
        device: String,
        /// Its first position in the list, counted from 0.
        first: usize,
        /// Its second position.
        second: usize,
    },
}
