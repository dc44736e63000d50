//! Errors of a rate, a layout or a call, found before anything is recorded or written. Each message
//! names both numbers and the remedy.

use core::fmt;
use core::ops::RangeInclusive;

use super::kind::DropoutKind;
use super::rate::{DropoutRate, RateError};

/// Mask indices that would pass the largest one \[M13\]. Nothing was created, recorded or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IndexOverflow {
    /// The indices of a call pass the largest one.
    #[error(
        "{len} mask indices from {origin} on pass the largest one, 2^{} - 1: \
         lower the origin, the number of elements, or a layout's strides and offset",
        max.count_ones()
    )]
    Call {
        /// The call's origin.
        origin: u64,
        /// Indices that are needed from the origin on: the number of elements, or the span of the
        /// layout's indices.
        len: u64,
        /// The largest index: 2^64 - 1, and 2^63 - 1 for Gaussian noise \[M18\].
        max: u64,
    },
    /// The strides of a layout lead past 2^64 - 1.
    #[error(
        "mask indices pass 2^64 - 1 in dimension {dimension}, of {size} elements {stride} apart: \
         lower its stride or size"
    )]
    Dimension {
        /// The dimension, from 0 on, in which the sum of indices passes 2^64 - 1.
        dimension: usize,
        /// The size of the dimension.
        size: u64,
        /// Its stride.
        stride: u64,
    },
    /// The offset of a layout leads past 2^64 - 1.
    #[error("an offset of {offset} moves mask index {last_index} past 2^64 - 1: lower it")]
    Offset {
        /// The offset that was given.
        offset: u64,
        /// The layout's largest mask index.
        last_index: u64,
    },
    /// The mask indices of sample id 2^32 - 1 would pass 2^64 - 1 \[M16\].
    #[error(
        "mask indices of sample id 2^32 - 1 pass 2^64 - 1, with {stride} indices a sample \
         and {last_index} as the largest of sample id 0: \
         give samples fewer elements, or the layout a lower first index"
    )]
    Samples {
        /// The layout's first stride.
        stride: u64,
        /// The largest mask index of sample id 0.
        last_index: u64,
    },
}

/// A call that cannot be applied. Nothing was recorded or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// Mask indices pass the largest one.
    #[error(transparent)]
    IndexOverflow(#[from] IndexOverflow),
    /// The operation has no result for this kind of dropout.
    #[error("{kind} dropout does not go with {operation}: use {}", operation.remedy())]
    Kind {
        /// The value in the call.
        kind: DropoutKind,
        /// The operation that was asked for.
        operation: Operation,
    },
    /// Gaussian noise has no finite variance p / (1 - p) where everything is dropped.
    #[error(
        "p = {rate} drops everything, and Gaussian noise has no finite variance: give a smaller p"
    )]
    Rate {
        /// The value in the call.
        rate: DropoutRate,
    },
}

/// An operation that has no result for some kinds of dropout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Dropout by a packed mask that was made before.
    PackedMask,
    /// The packed mask of a call.
    KeepMask,
    /// `GaussianDropout`.
    GaussianNoise,
    /// `DropoutAdd`.
    DropoutAdd,
    /// `ActDropout`.
    ActDropout,
    /// `DropoutAddNorm`.
    DropoutAddNorm,
    /// `SoftmaxDropout`.
    SoftmaxDropout,
}

impl Operation {
    /// The remedy that the error's text names.
    const fn remedy(self) -> &'static str {
        match self {
            Self::PackedMask => "a layout",
            Self::KeepMask => "another kind",
            Self::GaussianNoise => "DropoutKind::Gaussian",
            Self::DropoutAdd | Self::ActDropout | Self::DropoutAddNorm | Self::SoftmaxDropout => {
                "DropoutKind::Inverted or Classic"
            }
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PackedMask => "a packed mask",
            Self::KeepMask => "a keep mask",
            Self::GaussianNoise => "Gaussian noise",
            Self::DropoutAdd => "a residual",
            Self::ActDropout => "an activation",
            Self::DropoutAddNorm => "a norm",
            Self::SoftmaxDropout => "a softmax",
        })
    }
}

/// Slices that do not fit each other. Nothing was submitted or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The slices and the source differ in length.
    #[error(
        "the slices have {elements} elements, the length or layout has {required}: make them equal"
    )]
    Length {
        /// Elements of the slices.
        elements: usize,
        /// Elements of the source.
        required: u64,
    },
    /// The number of sample ids differs from the layout's samples.
    #[error("there are {ids} sample ids for {samples} samples: give one for each")]
    SampleIds {
        /// Ids given.
        ids: usize,
        /// The layout's samples.
        samples: u64,
    },
    /// A packed mask of the wrong length.
    #[error("the mask has {words} words, {required} needed for {len} elements: make them equal")]
    MaskLength {
        /// Words given.
        words: usize,
        /// Words needed.
        required: u64,
        /// Elements.
        len: u64,
    },
}

/// A text that is not a [`DropoutCall`](crate::DropoutCall).
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseCallError {
    /// A word that is not one of the five fields, is given twice or has no valid value.
    #[error(
        "`{field}` is not one of p=…, seed=…, stream=…, origin=…, each once and with a number, \
         integers up to 2^64 - 1, or kind=inverted|classic|alpha|gaussian"
    )]
    Field {
        /// The word.
        field: String,
    },
    /// A required field is missing.
    #[error("`{name}=…` is missing")]
    Missing {
        /// The field.
        name: &'static str,
    },
    /// `p` is not a probability.
    #[error(transparent)]
    Rate(#[from] RateError),
}

/// A list of numbers, one for each dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DimensionList {
    /// The strides of [`MaskLayout::strided`](crate::MaskLayout::strided).
    Strides,
    /// The noise shape of [`MaskLayout::noise_shape`](crate::MaskLayout::noise_shape).
    NoiseShape,
    /// The start of [`MaskLayout::shard`](crate::MaskLayout::shard).
    ShardStart,
    /// The shape of [`MaskLayout::shard`](crate::MaskLayout::shard).
    ShardShape,
    /// The tensor's shape for a feature layout.
    FeatureShape,
    /// The tensor's shape for a time-locked layout.
    TimeLockedShape,
    /// The tensor's shape for drop path.
    DropPathShape,
}

impl fmt::Display for DimensionList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Strides => "the strides",
            Self::NoiseShape => "the noise shape",
            Self::ShardStart => "the shard's start",
            Self::ShardShape => "the shard's shape",
            Self::FeatureShape => "feature dropout",
            Self::TimeLockedShape => "time-locked dropout",
            Self::DropPathShape => "drop path",
        })
    }
}

fn rank(list: DimensionList, expected: &RangeInclusive<usize>, got: usize) -> String {
    let (least, most) = (*expected.start(), *expected.end());
    let count = |n: usize, name: &str| format!("{n} {name}{}", if n == 1 { "" } else { "s" });
    let (numbers, dimensions) = (count(got, "number"), count(most, "dimension"));
    match least {
        _ if least == most => {
            format!("{numbers} in {list} for {dimensions}: give one for each dimension")
        }
        0 => format!("{numbers} in {list} for {dimensions}: give at most one for each dimension"),
        _ => format!(
            "{list} takes a shape of {least} to {dimensions}, this one has {got}: \
             give a 1 for each dimension that the tensor lacks"
        ),
    }
}

/// An invalid mask layout.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// More dimensions than the kernels take.
    #[error("{dimensions} dimensions, at most {max}: merge neighbours that the mask treats alike")]
    TooManyDimensions {
        /// Dimensions given.
        dimensions: usize,
        /// [`MaskLayout::MAX_DIMENSIONS`](crate::MaskLayout::MAX_DIMENSIONS).
        max: usize,
    },
    /// The list has another number of dimensions than needed.
    #[error("{}", rank(*list, expected, *got))]
    Rank {
        /// The list that was given.
        list: DimensionList,
        /// The least and the most dimensions that it can have.
        expected: RangeInclusive<usize>,
        /// Dimensions given.
        got: usize,
    },
    /// A noise shape that does not broadcast.
    #[error(
        "the noise shape has size {noise} in dimension {dimension}, the tensor {size}: \
         give 1 to share decisions along it, or None, the tensor's size, to share none"
    )]
    NoiseShape {
        /// The tensor's dimension, from 0 on.
        dimension: usize,
        /// The noise shape's size there.
        noise: u64,
        /// The tensor's size there.
        size: u64,
    },
    /// A shard that reaches beyond the layout that it is cut from.
    #[error(
        "{len} elements from {start} on pass the {size} of dimension {dimension}: \
         move or shorten the shard"
    )]
    Shard {
        /// The dimension, from 0 on.
        dimension: usize,
        /// The shard's first coordinate.
        start: u64,
        /// The shard's elements.
        len: u64,
        /// The layout's elements in this dimension.
        size: u64,
    },
    /// A mesh that cuts a dimension which the layout does not have.
    #[error(
        "the mesh cuts dimension {dimension}, the layout has {dimensions}: number them from 0 on"
    )]
    MeshDimension {
        /// The dimension, from 0 on.
        dimension: usize,
        /// The layout's dimensions.
        dimensions: usize,
    },
    /// A rank that the mesh does not have.
    #[error(
        "dimension {dimension} is cut into {parts} parts, which gives no rank {rank}: \
         cut it into one part or more, and number ranks from 0 to parts - 1"
    )]
    MeshRank {
        /// The dimension, from 0 on.
        dimension: usize,
        /// Parts into which it is cut.
        parts: u64,
        /// The rank.
        rank: u64,
    },
    /// An order that does not name each dimension once.
    #[error(
        "the order {order:?} does not name each of {dimensions} dimensions once: \
         give each number below {dimensions} once"
    )]
    Order {
        /// The order that was given.
        order: Vec<usize>,
        /// Dimensions.
        dimensions: usize,
    },
    /// A stride that `dropout_index` does not take.
    #[error(
        "dimension {dimension} has the stride {stride}, `dropout_index` takes 2^32 - 1 at most: \
         add this dimension's part of the index by `dropout_index_after`"
    )]
    WideStride {
        /// The dimension, from 0 on.
        dimension: usize,
        /// Its stride.
        stride: u64,
    },
    /// Strides or an offset that lead past mask index 2^64 - 1.
    #[error(transparent)]
    IndexOverflow(#[from] IndexOverflow),
}

/// A number that is too large for [`MaskKey::fold_in`](crate::MaskKey::fold_in) \[M21\].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{n} passes 2^61 - 1, the largest number to fold in: lower it, or fold twice")]
pub struct FoldOverflow {
    /// The number that was given.
    pub n: u64,
}
