//! Errors of buffers, and of a call that runs on the device.

use core::ops::Range;

use crate::contract::element::ElementType;
use crate::contract::error::{CallError, SourceError};
use crate::contract::softmax::SoftmaxShapeError;
use crate::kernel::axes::Role;
use crate::plan::error::{PlanError, ShapeError};

/// The unit in which a caller counts the length of a buffer of this role.
fn counted(role: Role) -> &'static str {
    match role {
        Role::SampleIds => "samples",
        Role::Blocks => "blocks",
        Role::Vectors | Role::Scratch | Role::Sums | Role::Moments => "numbers",
        _ => "elements",
    }
}

/// Buffers that a kernel cannot use. Nothing was created or recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The buffer was created without [`wgpu::BufferUsages::STORAGE`].
    #[error("the {role} buffer has usages {usage:?}: create it with STORAGE among them")]
    MissingStorageUsage {
        /// The buffer's role.
        role: Role,
        /// The buffer's usages.
        usage: wgpu::BufferUsages,
    },
    /// The offset breaks the device's alignment rule.
    #[error(
        "the {role} offset is {offset_bytes} bytes; the device binds at multiples of \
         {alignment_bytes} (min_storage_buffer_offset_alignment)"
    )]
    UnalignedOffset {
        /// The buffer's role.
        role: Role,
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
        /// The buffer's role.
        role: Role,
        /// End of the given range, or its beginning if no size was given. `u64::MAX` if the end
        /// passes that.
        end_bytes: u64,
        /// Size of the buffer.
        buffer_bytes: u64,
    },
    /// The range is shorter than the elements.
    #[error(
        "the {role} range is {range_bytes} bytes, {required_bytes} needed for {len} {}: \
         bind a longer range, or fewer {}",
        counted(*role),
        counted(*role)
    )]
    RangeTooShort {
        /// The buffer's role.
        role: Role,
        /// Size of the given range.
        range_bytes: u64,
        /// Size of the elements, or `u64::MAX` if it passes that.
        required_bytes: u64,
        /// Number of elements, samples or Philox blocks that the buffer is for.
        len: u64,
    },
    /// The kernels cannot take the layout.
    #[error(transparent)]
    Layout(#[from] PlanError),
    /// A mask, sample ids, vectors or scratch memory in a buffer that the operation also writes.
    #[error("the {role} buffer is also written by dropout: keep it in a buffer of its own")]
    WrittenBuffer {
        /// The role of the range that needs a buffer of its own.
        role: Role,
    },
    /// A range that is longer than the device binds, and cannot be cut.
    #[error(
        "the {role} take {bytes} bytes, the device binds {max_bytes}: bind fewer {}",
        counted(*role)
    )]
    TooLong {
        /// The role of the range.
        role: Role,
        /// Size of the range.
        bytes: u64,
        /// The device's max_storage_buffer_binding_size.
        max_bytes: u64,
    },
    /// The gradient of a scale was asked for, but the vectors have no scale.
    #[error("the vectors have no scale, and so no gradient of one: give the forward's vectors")]
    NoScale,
    /// A gradient cannot overwrite the gradient that it is computed from, since their elements
    /// differ in size.
    #[error(
        "a gradient of {} cannot be overwritten by one of {}, whose elements are shorter: \
         give two ranges",
        types[0], types[1]
    )]
    TwoTypes {
        /// The type of the sum's gradient and of the branch's.
        types: [ElementType; 2],
    },
    /// A kernel with more buffers than the device binds.
    #[error(
        "this binding takes {required} storage buffers, the device allows {available} \
         (max_storage_buffers_per_shader_stage): bind in place, leave sample ids or vectors out, \
         or request the device with a higher limit"
    )]
    TooManyBuffers {
        /// Storage buffers that the binding needs.
        required: u32,
        /// Storage buffers that the device allows.
        available: u32,
    },
    /// The device has no storage buffer left for sample ids or a packed mask.
    #[error(
        "with sample ids or a packed mask this binding takes {required} storage buffers, \
         the device allows {available} (max_storage_buffers_per_shader_stage): \
         use a layout without them, or request the device with a higher limit"
    )]
    NoSideBuffer {
        /// Storage buffers that the binding needs.
        required: u32,
        /// Storage buffers that the device allows.
        available: u32,
    },
    /// A bias, a scale or rows do not fit the elements.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// See [`SoftmaxShapeError`].
    #[error(transparent)]
    Softmax(#[from] SoftmaxShapeError),
    /// Gate and up are two ranges, and their gradients were given two others.
    #[error(
        "if gate and up are two ranges, their gradients overwrite them: \
         use bind_backward_in_place, or the halves of rows"
    )]
    GradientsOfTwo,
    /// A [blocking](crate#blocking) call needs a buffer that is longer than the device creates.
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
    /// The device did not bind the buffers. They were destroyed, or belong to another device, or
    /// there is no memory for the binding.
    #[error("the device takes only buffers of its own that are not destroyed: {message}")]
    Refused {
        /// The device's message.
        message: String,
    },
    /// Two roles have the same range of one buffer.
    #[error("{} and {} are both bytes {range:?} of one buffer: use bind_in_place", roles[0], roles[1])]
    SameRange {
        /// Both roles.
        roles: [Role; 2],
        /// The range in bytes.
        range: Range<u64>,
    },
    /// Two ranges overlap.
    #[error(
        "{} bytes {:?} and {} bytes {:?} of one buffer overlap: \
         move them apart, or use bind_in_place for one range",
        roles[0], ranges[0], roles[1], ranges[1]
    )]
    Overlap {
        /// Both roles.
        roles: [Role; 2],
        /// The bytes of each range's elements.
        ranges: [Range<u64>; 2],
    },
}

/// Errors of a [blocking](crate#blocking) call, which runs on the device and reads back.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// See [`CallError`].
    #[error(transparent)]
    Call(#[from] CallError),
    /// See [`SourceError`].
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The kernels cannot use the layout, or the device's limits are too low for the call's own
    /// buffers.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The device ran out of memory for the call's own buffers.
    #[error("the device has no memory for {bytes} bytes of buffers: {message}")]
    OutOfMemory {
        /// Bytes that the call wanted to allocate.
        bytes: u64,
        /// The device's message.
        message: String,
    },
    /// The device refused the call's commands.
    #[error("the device did not finish the call: {message}")]
    Device {
        /// The device's message.
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
