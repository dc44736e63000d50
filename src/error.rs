//! What can go wrong, by phase. Each message names both numbers and the remedy.

use core::ops::{Range, RangeInclusive};

/// A probability that is none.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RateError {
    /// NaN, negative or above 1.
    #[error("the probability of dropping is {p}; give a number from 0 to 1")]
    OutOfRange {
        /// What was given.
        p: f64,
    },
}

/// A text that is not a [`DropoutCall`](crate::DropoutCall).
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseCallError {
    /// A word that is not one of the five fields, is given twice or has no valid value.
    #[error(
        "`{field}` is not one of p=…, seed=…, stream=…, origin=…, each once and with a number, \
         integers up to 2^64 - 1, or kind=inverted|classic|alpha"
    )]
    Field {
        /// The word.
        field: String,
    },
    /// A field that must be there is not.
    #[error("`{name}=…` is missing")]
    Missing {
        /// The field.
        name: &'static str,
    },
    /// `p` is not a probability.
    #[error(transparent)]
    Rate(#[from] RateError),
}

fn rank(what: &str, expected: &RangeInclusive<usize>, got: usize) -> String {
    let (least, most) = (*expected.start(), *expected.end());
    let count = |n: usize, name: &str| format!("{n} {name}{}", if n == 1 { "" } else { "s" });
    let (numbers, dimensions) = (count(got, "number"), count(most, "dimension"));
    match least {
        _ if least == most => {
            format!("{numbers} in {what}, {dimensions}: give one for each dimension")
        }
        0 => format!("{numbers} in {what}, {dimensions}: give at most one for each dimension"),
        _ => format!(
            "{what} takes a shape of {least} to {dimensions}, this one has {got}: give a 1 for each \
             dimension that the tensor lacks"
        ),
    }
}

fn noise_shape(dimension: usize, noise: u64, size: u64) -> String {
    let given = format!("the noise shape has {noise} in dimension {dimension}, the tensor {size}");
    match size {
        1 => format!("{given}: give 1"),
        _ => format!("{given}: give {size}, or 1 to share one decision along it"),
    }
}

/// What a caller counts in a buffer of this role.
fn counted(role: &str) -> &'static str {
    match role {
        "sample ids" => "samples",
        "blocks" => "blocks",
        _ => "elements",
    }
}

/// A mask layout that is none.
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
    /// Another number of dimensions than needed.
    #[error("{}", rank(what, expected, *got))]
    Rank {
        /// What was given.
        what: &'static str,
        /// The least and the most dimensions that it can have.
        expected: RangeInclusive<usize>,
        /// Dimensions given.
        got: usize,
    },
    /// A noise shape that does not broadcast.
    #[error("{}", noise_shape(*dimension, *noise, *size))]
    NoiseShape {
        /// The tensor's dimension, from 0 on.
        dimension: usize,
        /// The noise shape's size there.
        noise: u64,
        /// The tensor's size there.
        size: u64,
    },
    /// A shard that lies outside of its whole.
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
        /// The whole's elements.
        size: u64,
    },
    /// An order that does not name each dimension once.
    #[error(
        "the order {order:?} does not name each of {dimensions} dimensions once: \
         give each number below {dimensions} once"
    )]
    Order {
        /// What was given.
        order: Vec<usize>,
        /// Dimensions.
        dimensions: usize,
    },
    /// Strides that lead past mask index 2^64 - 1.
    #[error(
        "mask indices pass 2^64 - 1 in dimension {dimension}, of {size} elements {stride} apart: \
         lower its stride or size"
    )]
    IndexOverflow {
        /// The dimension, from 0 on, in which the sum passes it.
        dimension: usize,
        /// Its elements.
        size: u64,
        /// Its stride.
        stride: u64,
    },
    /// An offset that leads past mask index 2^64 - 1.
    #[error("an offset of {offset} moves mask index {last_index} past 2^64 - 1: lower it")]
    Offset {
        /// What was given.
        offset: u64,
        /// The layout's largest mask index.
        last_index: u64,
    },
}

/// A device that cannot run the kernels.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// A limit of the device is too low.
    #[error(
        "the device's {limit} is {available}, {required} needed: \
         request the device with a higher limit, or another adapter"
    )]
    Limit {
        /// The field of [`wgpu::Limits`].
        limit: &'static str,
        /// What the kernels need.
        required: u64,
        /// What the device has.
        available: u64,
    },
    /// A Philox variant that does not exist.
    #[error("Philox with {rounds} rounds is not offered: ask for 7 or 10")]
    Rounds {
        /// What was asked for.
        rounds: u32,
    },
}

/// Buffers that a kernel cannot use as they were given. Nothing was created or recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The buffer was created without [`wgpu::BufferUsages::STORAGE`].
    #[error("the {role} buffer has usages {usage:?}: create it with STORAGE among them")]
    MissingStorageUsage {
        /// `input`, `output`, `data`, `mask`, `sample ids` or `blocks`.
        role: &'static str,
        /// The buffer's usages.
        usage: wgpu::BufferUsages,
    },
    /// The offset breaks the device's alignment rule.
    #[error(
        "the {role} offset is {offset_bytes} bytes; the device binds at multiples of \
         {alignment_bytes} (min_storage_buffer_offset_alignment)"
    )]
    UnalignedOffset {
        /// `input`, `output`, `data`, `mask`, `sample ids` or `blocks`.
        role: &'static str,
        /// The given offset.
        offset_bytes: u64,
        /// The device's rule.
        alignment_bytes: u64,
    },
    /// The range does not lie in the buffer.
    #[error(
        "the {role} range ends at byte {end_bytes} of a buffer of {buffer_bytes}: \
         shorten it or make the buffer larger"
    )]
    PastBuffer {
        /// `input`, `output`, `data`, `mask`, `sample ids` or `blocks`.
        role: &'static str,
        /// End of the given range, or its beginning where no size was given; `u64::MAX` where
        /// the end passes that.
        end_bytes: u64,
        /// Size of the buffer.
        buffer_bytes: u64,
    },
    /// The range is shorter than the elements.
    #[error(
        "the {role} range is {range_bytes} bytes, {required_bytes} needed for {len} {}: \
         bind a longer range, or fewer {}",
        counted(role),
        counted(role)
    )]
    RangeTooShort {
        /// `input`, `output`, `data`, `mask`, `sample ids` or `blocks`.
        role: &'static str,
        /// Size of the given range.
        range_bytes: u64,
        /// Size of the elements; `u64::MAX` where it passes that.
        required_bytes: u64,
        /// How many elements, samples or Philox blocks it is for.
        len: u64,
    },
    /// See [`SampleOverflow`].
    #[error(transparent)]
    SampleOverflow(#[from] SampleOverflow),
    /// A mask or sample ids that lie in a buffer which the kernel writes.
    #[error("the {role} buffer is also written by dropout: keep it in a buffer of its own")]
    WrittenBuffer {
        /// `sample ids` or `mask`.
        role: &'static str,
    },
    /// A range longer than the device binds.
    #[error("the {role} take {bytes} bytes, the device binds {max_bytes}: bind fewer samples")]
    TooLong {
        /// `sample ids`.
        role: &'static str,
        /// Size of the range.
        bytes: u64,
        /// The device's max_storage_buffer_binding_size.
        max_bytes: u64,
    },
    /// A buffer of a [blocking](crate#blocking) call, longer than the device creates.
    #[error(
        "a buffer of {bytes} bytes is needed, the device creates {max_bytes} at most \
         (max_buffer_size): give the layout in shards, or request the device with a higher limit"
    )]
    BufferTooLong {
        /// Size of the buffer.
        bytes: u64,
        /// The device's max_buffer_size.
        max_bytes: u64,
    },
    /// A dimension that the strided kernels cannot count.
    #[error(
        "a dimension, or neighbours that the mask treats alike, has {size} elements, at most {max}: \
         bind it in shards"
    )]
    DimensionTooLong {
        /// Its elements.
        size: u64,
        /// What the kernels count to.
        max: u64,
    },
    /// The device does not bind the buffers, which were destroyed or are another device's, or has no
    /// memory for the binding.
    #[error("the device takes only buffers of its own that are not destroyed: {message}")]
    Refused {
        /// The device's words.
        message: String,
    },
    /// Input and output are the same range of one buffer.
    #[error("input and output are both bytes {range:?} of one buffer: use bind_in_place")]
    SameRange {
        /// The range in bytes.
        range: Range<u64>,
    },
    /// Input and output overlap.
    #[error(
        "input bytes {input:?} and output bytes {output:?} of one buffer overlap: \
         move them apart, or use bind_in_place for one range"
    )]
    Overlap {
        /// The input's elements in bytes.
        input: Range<u64>,
        /// The output's elements in bytes.
        output: Range<u64>,
    },
}

/// Mask indices that would pass 2^64 - 1 \[M13\]. Nothing was recorded or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{len} mask indices from {origin} on pass the largest one, 2^64 - 1: \
     lower the origin, the length, or a layout's strides and offset"
)]
pub struct IndexOverflow {
    /// The call's origin.
    pub origin: u64,
    /// Indices needed from there on: elements, or what the layout spans.
    pub len: u64,
}

/// Mask indices of sample id 2^32 - 1 that would pass 2^64 - 1 \[M16\]. Nothing was created or
/// written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "sample id 2^32 - 1 times {stride} mask indices a sample, and index {last_index} of sample id 0, \
     pass 2^64 - 1: give samples fewer elements, or the layout a lower first index"
)]
pub struct SampleOverflow {
    /// The layout's first stride.
    pub stride: u64,
    /// The largest mask index of sample id 0.
    pub last_index: u64,
}

/// A call that Gaussian dropout has no noise for. Nothing was recorded or written.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GaussianError {
    /// Noise is drawn for indices below 2^63 \[M18\].
    #[error(
        "{len} elements from index {origin} on pass the largest one, 2^63 - 1: \
         lower the origin or the length"
    )]
    IndexOverflow {
        /// The call's origin.
        origin: u64,
        /// Elements.
        len: u64,
    },
    /// The variance p / (1 - p) is not finite.
    #[error("p = {p} drops everything, and has no finite variance: give a smaller one")]
    DropsAll {
        /// The rate's p.
        p: f64,
    },
}

/// Slices that the CPU path cannot use. Nothing was written.
#[cfg(feature = "cpu")]
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CpuError {
    /// See [`GaussianError`].
    #[error(transparent)]
    Gaussian(#[from] GaussianError),
    /// Input and output differ in length.
    #[error("the input has {input} elements, the output {output}: make them equal")]
    LengthMismatch {
        /// Elements of the input.
        input: usize,
        /// Elements of the output.
        output: usize,
    },
    /// Slices of another length than the layout.
    #[error("the slices have {elements} elements, the layout {required}: make them equal")]
    LayoutLength {
        /// Elements of the slices.
        elements: usize,
        /// Elements of the layout.
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
    /// See [`SampleOverflow`].
    #[error(transparent)]
    SampleOverflow(#[from] SampleOverflow),
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
    /// See [`IndexOverflow`].
    #[error(transparent)]
    IndexOverflow(#[from] IndexOverflow),
    /// A Philox variant that does not exist.
    #[error("Philox with {rounds} rounds is not offered: ask for 7 or 10")]
    Rounds {
        /// What was asked for.
        rounds: u32,
    },
}

/// What can go wrong in a call that runs on the device and reads back.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// See [`IndexOverflow`].
    #[error(transparent)]
    IndexOverflow(#[from] IndexOverflow),
    /// See [`GaussianError`].
    #[error(transparent)]
    Gaussian(#[from] GaussianError),
    /// A slice of another length than the layout.
    #[error("the slice has {elements} elements, the layout {required}: make them equal")]
    LayoutLength {
        /// Elements of the slice.
        elements: usize,
        /// Elements of the layout.
        required: u64,
    },
    /// The kernels cannot take the layout, or the device cannot bind the call's own buffers, for
    /// which its limits are too low.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The device ran out of memory for the call's own buffers.
    #[error("the device has no memory for {bytes} bytes of buffers: {message}")]
    OutOfMemory {
        /// What the call wanted to allocate.
        bytes: u64,
        /// The device's words.
        message: String,
    },
    /// The device refused the call's commands.
    #[error("the device did not finish the call: {message}")]
    Device {
        /// The device's words.
        message: String,
    },
    /// The device was destroyed, or its driver has given it up.
    #[error("the device is lost: request a new one, and make new kernels and buffers on it")]
    DeviceLost,
    /// The queue is another device's. Nothing was submitted to it.
    #[error(
        "the queue is not the device's: give the one that request_device returned with the device"
    )]
    ForeignQueue,
}
