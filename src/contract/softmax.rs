//! The softmax of rows, and the masks that hide scores from it.

/// The softmax of rows of `columns` scores, each of which is first multiplied by a factor \[M26\].
///
/// ```
/// use wgpu_dropout::{Softmax, SoftmaxError};
///
/// let softmax = Softmax::new(512, 1.0 / f32::sqrt(64.0))?;
/// assert_eq!((softmax.columns(), softmax.factor()), (512, 0.125));
/// assert_eq!(Softmax::new(512, f32::INFINITY), Err(SoftmaxError::Factor { factor: f32::INFINITY }));
/// # Ok::<(), SoftmaxError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Softmax {
    columns: u32,
    factor: f32,
}

/// The mask of a softmax \[M26\]: either columns that are left out, or numbers that are added to
/// the scores. `M` is the type of an additive mask: a slice, or on the device an
/// [`AdditiveMask`](crate::AdditiveMask).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum AttentionMask<M> {
    /// No mask: a row sees every column.
    None,
    /// Numbers of `f32`, for tensors of every type. They are added to the scores after these were
    /// multiplied by their factor. The mask has one row or several, and repeats over the tensor's
    /// rows: one row serves all rows, one matrix serves all heads and samples, or each of these has
    /// a matrix of its own. A number of -inf takes its element out.
    Additive(M),
    /// Row r of a matrix sees columns c <= r + `offset`; the others are left out. The tensor's rows
    /// are cut into matrices one after the other.
    Causal {
        /// Rows of a matrix, from 1 to [`Softmax::MAX_COLUMNS`]; the tensor has whole matrices.
        rows_per_matrix: u32,
        /// The last column that row 0 sees. If cached keys precede the new keys, this is the number
        /// of cached keys.
        offset: i32,
    },
}

/// The tensor of the forward that the gradient of a softmax is computed from.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum SavedSoftmax<B> {
    /// The scores. The backward computes the probabilities again, and nothing is kept.
    Scores(B),
    /// The probabilities before dropout, as the forward stored them.
    Probabilities(B),
}

/// Invalid numbers of a softmax.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SoftmaxError {
    /// Rows of 0 elements or of too many.
    #[error("rows of {columns} elements have no softmax here: give 1 to {max} columns")]
    Columns {
        /// Elements of a row.
        columns: u32,
        /// [`Softmax::MAX_COLUMNS`].
        max: u32,
    },
    /// NaN or infinite.
    #[error(
        "the factor is {factor}; give a number of at most 3.4e38 in magnitude, as 1 / sqrt(64)"
    )]
    Factor {
        /// The factor given.
        factor: f32,
    },
}

/// Rows or a mask that do not fit a tensor. Nothing was created or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SoftmaxShapeError {
    /// The elements are not whole rows.
    #[error(
        "{elements} elements are not whole rows of {columns}: give the size of the last dimension"
    )]
    Rows {
        /// Elements of the tensor.
        elements: u64,
        /// Elements of a row.
        columns: u32,
    },
    /// An additive mask that does not repeat over the tensor.
    #[error(
        "a mask of {len} numbers does not repeat over {elements} elements in rows of {columns}: \
         give whole rows, whose number divides that of the tensor's rows"
    )]
    Mask {
        /// The length of the mask.
        len: u64,
        /// Elements of the tensor.
        elements: u64,
        /// Elements of a row.
        columns: u32,
    },
    /// The rows are not whole matrices.
    #[error(
        "{rows} rows do not divide into matrices of {rows_per_matrix} rows (1 to {max} are allowed): \
         give the rows of one matrix"
    )]
    Matrices {
        /// Rows of a matrix.
        rows_per_matrix: u32,
        /// [`Softmax::MAX_COLUMNS`].
        max: u32,
        /// Rows of the tensor.
        rows: u64,
    },
}

impl Softmax {
    /// The most columns that a row may have, and the most rows that a causal matrix may have.
    pub const MAX_COLUMNS: u32 = 1 << 24;

    /// The softmax of rows of `columns` scores multiplied by `factor`.
    ///
    /// # Errors
    ///
    /// [`SoftmaxError::Columns`] if there are 0 columns or more than
    /// [`MAX_COLUMNS`](Self::MAX_COLUMNS), [`SoftmaxError::Factor`] if `factor` is NaN or infinite.
    pub fn new(columns: u32, factor: f32) -> Result<Self, SoftmaxError> {
        let max = Self::MAX_COLUMNS;
        if columns == 0 || columns > max {
            return Err(SoftmaxError::Columns { columns, max });
        }
        if !factor.is_finite() {
            return Err(SoftmaxError::Factor { factor });
        }
        Ok(Self { columns, factor })
    }

    /// Elements of a row.
    pub const fn columns(self) -> u32 {
        self.columns
    }

    /// The factor on scores.
    pub const fn factor(self) -> f32 {
        self.factor
    }
}

/// Helpers for kernels and CPU.
impl Softmax {
    /// The largest magnitude of a score, of a mask's number and of their sum. Larger ones count as
    /// this one, so that the sum or difference of any two is finite in f32 \[M26\].
    pub(crate) const LIMIT: f32 = 1.7e38;

    /// The largest magnitude of a score before the factor.
    pub(crate) fn score_limit(self) -> f32 {
        Self::LIMIT / self.factor.abs().max(1.0)
    }

    /// Checks that rows and mask fit a tensor of `elements`. An additive mask is given by its
    /// length.
    pub(crate) fn check(
        self,
        elements: u64,
        mask: AttentionMask<u64>,
    ) -> Result<(), SoftmaxShapeError> {
        let columns = self.columns;
        if !elements.is_multiple_of(columns.into()) {
            return Err(SoftmaxShapeError::Rows { elements, columns });
        }
        match mask {
            AttentionMask::None => Ok(()),
            AttentionMask::Additive(len) => {
                let is_rows = len > 0 && len.is_multiple_of(columns.into());
                if is_rows && elements.is_multiple_of(len) {
                    return Ok(());
                }
                Err(SoftmaxShapeError::Mask {
                    len,
                    elements,
                    columns,
                })
            }
            AttentionMask::Causal {
                rows_per_matrix, ..
            } => {
                let (max, rows) = (Self::MAX_COLUMNS, elements / u64::from(columns));
                let is_matrix = (1..=max).contains(&rows_per_matrix);
                if is_matrix && rows.is_multiple_of(rows_per_matrix.into()) {
                    return Ok(());
                }
                Err(SoftmaxShapeError::Matrices {
                    rows_per_matrix,
                    max,
                    rows,
                })
            }
        }
    }
}

impl<M> AttentionMask<M> {
    /// The same mask, in which `map` replaces the additive mask.
    pub(crate) fn map<N>(self, map: impl FnOnce(M) -> N) -> AttentionMask<N> {
        match self {
            Self::None => AttentionMask::None,
            Self::Additive(mask) => AttentionMask::Additive(map(mask)),
            Self::Causal {
                rows_per_matrix,
                offset,
            } => AttentionMask::Causal {
                rows_per_matrix,
                offset,
            },
        }
    }
}

#[cfg(any(feature = "cpu", feature = "wgpu"))]
impl<B> SavedSoftmax<B> {
    /// The saved tensor.
    pub(crate) fn into_inner(self) -> B {
        match self {
            Self::Scores(saved) | Self::Probabilities(saved) => saved,
        }
    }
}
