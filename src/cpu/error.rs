//! What can be wrong with slices.

use crate::contract::error::CallError;

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
    /// Slices of another length than the source.
    #[error(
        "the slices have {elements} elements, the length or layout {required}: make them equal"
    )]
    SourceLength {
        /// Elements of the slices.
        elements: usize,
        /// Elements of the source.
        required: u64,
    },
    /// Sample ids of another number than the layout's samples.
    #[error("there are {ids} sample ids for {samples} samples: give one for each")]
    SampleIds {
        /// Ids given.
        ids: usize,
        /// The layout's samples.
        samples: u64,
    },
    /// A mask of the wrong length.
    #[error("the mask has {words} words, {required} needed for {len} elements: make them equal")]
    MaskLength {
        /// Words given.
        words: usize,
        /// Words needed.
        required: u64,
        /// Elements.
        len: u64,
    },
    /// A Philox variant that does not exist.
    #[error("Philox with {rounds} rounds is not offered: ask for 7 or 10")]
    Rounds {
        /// What was asked for.
        rounds: u32,
    },
}
