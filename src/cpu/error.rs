//! Errors of the CPU path.

use crate::contract::error::{CallError, SourceError};
use crate::contract::softmax::SoftmaxShapeError;

/// Slices that the CPU path cannot use. Nothing has been written.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CpuError {
    /// See [`CallError`].
    #[error(transparent)]
    Call(#[from] CallError),
    /// Input and output differ in length.
    #[error("the input has {input} elements, the output {output}: make them equal")]
    LengthMismatch {
        /// Elements of the input.
        input: usize,
        /// Elements of the output.
        output: usize,
    },
    /// A bias or a scale that does not repeat over the elements.
    #[error(
        "{len} numbers do not repeat over {elements} elements: give as many as the last dimension has, or \
         whole rows of them"
    )]
    VectorLength {
        /// Elements of the slices.
        elements: usize,
        /// Numbers of the bias or of the scale.
        len: usize,
    },
    /// β has another length than γ, or is given to an RMS norm.
    #[error(
        "β has {len} numbers instead of {columns}: give as many as γ has, or none for an RMS norm"
    )]
    NormLength {
        /// The numbers of β.
        len: usize,
        /// The numbers that β must have.
        columns: usize,
    },
    /// Rows without an element, or with more than a norm takes.
    #[error("a norm does not take rows of {columns} elements: give 1 to {max} columns")]
    NormColumns {
        /// Elements of a row.
        columns: usize,
        /// [`Norm::MAX_COLUMNS`](crate::Norm::MAX_COLUMNS).
        max: u32,
    },
    /// The elements are not a whole number of rows.
    #[error("{elements} elements are not whole rows of {columns}: give the size of half a row")]
    Columns {
        /// Elements of the gate.
        elements: usize,
        /// Elements of half a row.
        columns: usize,
    },
    /// Rows of a gate and its other factor do not have twice as many elements as the gate.
    #[error(
        "rows of two halves have {rows} elements in all, the gate {elements}: give twice as many \
         as the gate has"
    )]
    Halves {
        /// Elements of the rows.
        rows: usize,
        /// Elements of the gate.
        elements: usize,
    },
    /// See [`SoftmaxShapeError`].
    #[error(transparent)]
    Softmax(#[from] SoftmaxShapeError),
    /// See [`SourceError`].
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A Philox variant that does not exist.
    #[error("Philox with {rounds} rounds is not offered: ask for 7 or 10")]
    Rounds {
        /// The rounds asked for.
        rounds: u32,
    },
}
