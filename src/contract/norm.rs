//! The norms of rows, and the order in which their sums are taken.

use super::element::ElementType;

/// A norm of rows, with its epsilon \[M25\]. Normalised numbers are multiplied by γ, and a layer
/// norm then adds β.
///
/// ```
/// use wgpu_dropout::{Norm, NormError};
///
/// let norm = Norm::layer(1e-5)?;
/// assert_eq!(norm.epsilon(), 1e-5);
/// assert_eq!(Norm::rms(-1.0), Err(NormError::Epsilon { epsilon: -1.0 }));
/// # Ok::<(), NormError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Norm {
    epsilon: f32,
    is_rms: bool,
}

/// Invalid numbers of a norm.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NormError {
    /// NaN, infinite or negative.
    #[error("epsilon is {epsilon}; give a number from 0 to 3.4e38, as 1e-5")]
    Epsilon {
        /// The epsilon given.
        epsilon: f32,
    },
}

impl Norm {
    /// The most columns that a row may have: every count up to it is exact in f32.
    pub const MAX_COLUMNS: u32 = 1 << 24;

    /// A layer norm: a row less its mean, divided by sqrt(variance + `epsilon`).
    ///
    /// # Errors
    ///
    /// [`NormError::Epsilon`] if `epsilon` is NaN, infinite or negative.
    pub fn layer(epsilon: f32) -> Result<Self, NormError> {
        Self::new(epsilon, false)
    }

    /// A root-mean-square norm: a row divided by sqrt(mean of squares + `epsilon`).
    ///
    /// # Errors
    ///
    /// See [`layer`](Self::layer).
    pub fn rms(epsilon: f32) -> Result<Self, NormError> {
        Self::new(epsilon, true)
    }

    fn new(epsilon: f32, is_rms: bool) -> Result<Self, NormError> {
        if !epsilon.is_finite() || epsilon < 0.0 {
            return Err(NormError::Epsilon { epsilon });
        }
        Ok(Self { epsilon, is_rms })
    }

    /// The number that is added to a variance or a mean of squares.
    pub const fn epsilon(self) -> f32 {
        self.epsilon
    }

    /// Returns true for a root-mean-square norm, which subtracts no mean and has no β.
    pub const fn is_rms(self) -> bool {
        self.is_rms
    }
}

/// The tensor to which dropout is applied, beside a norm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MaskPlace {
    /// The branch, before it is added to the residual, as in a transformer's blocks.
    Branch,
    /// The norm's output, as for the embeddings of BERT.
    Output,
}

/// The order in which a row is summed \[M25\]. `lanes` invocations take the row's words in turn,
/// and each adds up the sums of its words' elements. These `lanes` sums are then added in 16
/// chains: chain j has sums j, j + 16, j + 32 and so on. The 16 results are added one after the
/// other. The order depends only on the columns, the type and the width of words, so that neither
/// the batch nor a device's limits change a bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowOrder {
    /// Number of invocations: a power of two, at most 256.
    pub lanes: u32,
    /// Rows that are taken together. Two rows of an odd number of 16-bit elements share a word of 4
    /// bytes, and so are taken together; other rows are taken alone.
    pub unit_rows: u32,
}

impl RowOrder {
    const MAX_LANES: u32 = 256;
    /// Elements that one invocation adds. A longer row gets more invocations, up to
    /// [`MAX_LANES`](Self::MAX_LANES).
    const LANE_ELEMENTS: u32 = 32;

    pub const fn new(columns: u32, element: ElementType) -> Self {
        let unit_rows = if element.bytes() == 2 && columns % 2 == 1 {
            2
        } else {
            1
        };
        let lanes = (columns * unit_rows).div_ceil(Self::LANE_ELEMENTS);
        // The number is capped before it is rounded up to a power of two, which could pass 32 bits.
        let lanes = if lanes > Self::MAX_LANES {
            Self::MAX_LANES
        } else {
            lanes.next_power_of_two()
        };
        Self { lanes, unit_rows }
    }
}

#[cfg(all(test, any(feature = "cpu", feature = "wgpu")))]
mod tests {
    use super::*;

    #[test]
    fn an_invocation_has_32_elements_until_there_are_256_invocations() {
        for (columns, element, lanes, unit_rows) in [
            (1, ElementType::F32, 1, 1),
            (32, ElementType::F32, 1, 1),
            (33, ElementType::F32, 2, 1),
            (768, ElementType::F32, 32, 1),
            (768, ElementType::F16, 32, 1),
            (1, ElementType::F16, 1, 2),
            (769, ElementType::Bf16, 64, 2),
            (4096, ElementType::F32, 128, 1),
            (65_536, ElementType::F32, 256, 1),
            (Norm::MAX_COLUMNS, ElementType::F32, 256, 1),
        ] {
            let order = RowOrder::new(columns, element);
            assert_eq!((order.lanes, order.unit_rows), (lanes, unit_rows));
        }
    }
}
