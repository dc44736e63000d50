//! Dropout of `ndarray`'s arrays in any memory order.

use ndarray::{ArrayView, ArrayViewMut, Dimension};

use super::dropout::apply;
use super::error::CpuError;
use crate::contract::call::DropoutCall;
use crate::contract::effect::Direction;
use crate::contract::element::Element;
use crate::contract::error::LayoutError;
use crate::contract::pattern::MaskPattern;

/// The arrays of one application: an input and an output, or data that the result overwrites. A
/// pair of views and a mutable view convert into it.
#[derive(Debug)]
pub enum Arrays<'a, T, D: Dimension> {
    /// Two arrays of one shape.
    Two {
        /// The array that is read. It may broadcast.
        input: ArrayView<'a, T, D>,
        /// The array that is written.
        output: ArrayViewMut<'a, T, D>,
    },
    /// One array.
    InPlace(ArrayViewMut<'a, T, D>),
}

impl<'a, T, D: Dimension> From<(ArrayView<'a, T, D>, ArrayViewMut<'a, T, D>)> for Arrays<'a, T, D> {
    fn from((input, output): (ArrayView<'a, T, D>, ArrayViewMut<'a, T, D>)) -> Self {
        Self::Two { input, output }
    }
}

impl<'a, T, D: Dimension> From<ArrayViewMut<'a, T, D>> for Arrays<'a, T, D> {
    fn from(data: ArrayViewMut<'a, T, D>) -> Self {
        Self::InPlace(data)
    }
}

/// Arrays to which dropout cannot be applied. Nothing has been written.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ArrayError {
    /// Input and output differ in shape.
    #[error("the input has shape {input:?}, the output {output:?}: make them equal")]
    ShapeMismatch {
        /// Shape of the input.
        input: Vec<usize>,
        /// Shape of the output.
        output: Vec<usize>,
    },
    /// Elements of the output share memory.
    #[error(
        "the output has {size} elements in dimension {dimension} and a stride of 0: \
         give each element memory of its own"
    )]
    Broadcast {
        /// The dimension, counted from 0.
        dimension: usize,
        /// The dimension's size in elements.
        size: usize,
    },
    /// The pattern does not fit the shape.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// See [`CpuError`].
    #[error(transparent)]
    Cpu(#[from] CpuError),
}

/// Dropout of arrays of any dimension and memory order, transposed and pitched ones too. The mask
/// is that of `pattern` for the array's shape: it depends on an element's coordinates and not on
/// its address. Memory between rows is neither read nor written.
///
/// Arrays that are not in standard layout go through a buffer of their size.
///
/// # Errors
///
/// See [`ArrayError`].
///
/// ```
/// use ndarray::Array2;
/// use wgpu_dropout::{Direction, DropoutCall, DropoutRate, MaskKey, MaskPattern, cpu};
///
/// let call = DropoutCall::new(DropoutRate::new(0.5)?, MaskKey::new(42, 7));
/// let x = Array2::<f32>::ones((3, 4));
/// let mut y = Array2::zeros((3, 4));
/// let pattern = MaskPattern::Elementwise;
/// cpu::apply_to_arrays(Direction::Forward, &pattern, (x.view(), y.view_mut()), &call)?;
///
/// // The same mask, though the elements lie in another order in memory.
/// let mut transposed = Array2::<f32>::ones((4, 3)).reversed_axes();
/// cpu::apply_to_arrays(Direction::Forward, &pattern, transposed.view_mut(), &call)?;
/// assert_eq!(y, transposed);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn apply_to_arrays<'a, T: Element, D: Dimension>(
    direction: Direction,
    pattern: &MaskPattern,
    arrays: impl Into<Arrays<'a, T, D>>,
    call: &DropoutCall,
) -> Result<(), ArrayError> {
    let (input, mut output) = match arrays.into() {
        Arrays::Two { input, output } => (Some(input), output),
        Arrays::InPlace(data) => (None, data),
    };
    if let Some(input) = &input {
        if input.shape() != output.shape() {
            return Err(ArrayError::ShapeMismatch {
                input: input.shape().to_vec(),
                output: output.shape().to_vec(),
            });
        }
    }
    let sizes = output.shape().iter().zip(output.strides());
    for (dimension, (&size, &stride)) in sizes.enumerate() {
        if size > 1 && stride == 0 && !output.is_empty() {
            return Err(ArrayError::Broadcast { dimension, size });
        }
    }
    let shape: Vec<u64> = output.shape().iter().map(|&size| size as u64).collect();
    let layout = pattern.layout(&shape)?;
    let input_slice = input.as_ref().map(|input| input.as_slice());
    match (input_slice, output.as_slice_mut()) {
        (None, Some(data)) => apply(direction, &layout, data, call)?,
        (Some(Some(input)), Some(output)) => apply(direction, &layout, (input, output), call)?,
        _ => {
            // Iteration is in row-major order, whatever the strides.
            let mut elements: Vec<T> = match &input {
                Some(input) => input.iter().copied().collect(),
                None => output.iter().copied().collect(),
            };
            apply(direction, &layout, &mut elements, call)?;
            for (y, element) in output.iter_mut().zip(elements) {
                *y = element;
            }
        }
    }
    Ok(())
}
