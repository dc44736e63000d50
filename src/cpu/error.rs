//! Errors of slices.

use crate::contract::error::{CallError, SourceError};
use crate::contract::softmax::SoftmaxShapeError;

/// Slices that the CPU path cannot use. Nothing was written.
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
    /// A β of another length than γ.
    #[error("β has {len} numbers, it takes {columns}: give as many as γ, and none for an RMS norm")]
    NormLength {
        /// Its numbers.
        len: usize,
        /// Numbers that it takes.
        columns: usize,
    },
    /// Rows of no element or of more than a norm takes.
    #[error("rows of {columns} elements have no norm: give 1 to {max} columns")]
    NormColumns {
        /// Elements of a row.
        columns: usize,
        /// [`Norm::MAX_COLUMNS`](crate::Norm::MAX_COLUMNS).
        max: u32,
    },
    /// Rows that do not make the elements.
    #[error(
        "rows of {columns} elements do not make {elements}: give the elements that half a row has"
    )]
    Columns {
        /// Elements of the gate.
        elements: usize,
        /// Elements of half a row.
        columns: usize,
    },
    /// Rows of a gate and its other factor that are not twice the elements.
    #[error("rows of two halves have {rows} elements for {elements} of each: give twice as many")]
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
