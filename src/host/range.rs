//! The caller's buffers: the checks that need only numbers, and the windows that dispatches see.

use core::ops::Range;

use crate::contract::mask::mask_words;
use crate::host::error::BindError;
use crate::kernel::axes::{BufferLayout, Role};
use crate::plan::cut::Segment;

/// A checked range of the caller's buffer that holds the elements and nothing else.
#[derive(Clone, Debug)]
pub(crate) struct CheckedRange<'a> {
    pub role: Role,
    buffer: &'a wgpu::Buffer,
    offset_bytes: u64,
    unit_bytes: u64,
    len: u64,
    /// A window includes this many bytes after its elements, or fewer if the buffer ends before
    /// them.
    room_bytes: u64,
}

impl<'a> CheckedRange<'a> {
    /// Checks usage, alignment, the buffer's end and the length, in units of `unit_bytes`.
    pub fn new(
        role: Role,
        binding: &wgpu::BufferBinding<'a>,
        len: u64,
        unit_bytes: u64,
        room_bytes: u64,
        limits: &wgpu::Limits,
    ) -> Result<Self, BindError> {
        let wgpu::BufferBinding {
            buffer,
            offset: offset_bytes,
            size,
        } = *binding;
        let usage = buffer.usage();
        if !usage.contains(wgpu::BufferUsages::STORAGE) {
            return Err(BindError::MissingStorageUsage { role, usage });
        }
        let alignment_bytes = u64::from(limits.min_storage_buffer_offset_alignment);
        if !offset_bytes.is_multiple_of(alignment_bytes) {
            return Err(BindError::UnalignedOffset {
                role,
                offset_bytes,
                alignment_bytes,
            });
        }
        let buffer_bytes = buffer.size();
        let end_bytes = offset_bytes.saturating_add(size.map_or(0, wgpu::BufferSize::get));
        if end_bytes > buffer_bytes {
            return Err(BindError::PastBuffer {
                role,
                end_bytes,
                buffer_bytes,
            });
        }
        let range_bytes = size.map_or(buffer_bytes - offset_bytes, wgpu::BufferSize::get);
        let required_bytes = whole_words(len.saturating_mul(unit_bytes));
        if required_bytes > range_bytes {
            return Err(BindError::RangeTooShort {
                role,
                range_bytes,
                required_bytes,
                len,
            });
        }
        Ok(Self {
            role,
            buffer,
            offset_bytes,
            unit_bytes,
            len,
            room_bytes,
        })
    }

    /// The same range in another role.
    pub fn with_role(self, role: Role) -> Self {
        Self { role, ..self }
    }

    /// The bytes of the elements, rounded up to whole words of 4 bytes.
    pub fn bytes(&self) -> Range<u64> {
        self.offset_bytes..self.offset_bytes + whole_words(self.len * self.unit_bytes)
    }

    /// Returns true if both lie in one buffer.
    pub fn same_buffer(&self, other: &CheckedRange<'_>) -> bool {
        self.buffer == other.buffer
    }

    /// Checks that none of `sides`, which are sample ids, a packed mask or vectors, shares a buffer
    /// with one of `ranges`. All of `ranges` are bound as `read_write`, so that they may share a
    /// buffer among themselves.
    pub fn check_unwritten(sides: &[Self], ranges: &[Self]) -> Result<(), BindError> {
        let is_written = |side: &&Self| ranges.iter().any(|range| range.same_buffer(side));
        match sides.iter().find(is_written) {
            Some(side) => Err(BindError::WrittenBuffer { role: side.role }),
            None => Ok(()),
        }
    }

    /// The part of the range that the dispatch of `segment` sees.
    pub fn window(&self, segment: Segment) -> wgpu::BufferBinding<'a> {
        let start = segment.start * self.unit_bytes;
        self.sub_range(start, whole_words(u64::from(segment.len) * self.unit_bytes))
    }

    /// Returns the window that the dispatch of `segment` sees of sample ids, vectors or a packed
    /// mask. Sample ids and vectors are bound whole, since a dispatch may read any of them. A
    /// packed mask's window has the words for the segment's elements. It begins at an aligned
    /// offset, which may lie before them. The second result is the number of their first word in
    /// the window.
    pub fn side_window(
        &self,
        segment: Segment,
        alignment_bytes: u32,
    ) -> (wgpu::BufferBinding<'a>, u32) {
        if self.role != Role::Mask {
            return (
                self.sub_range(0, whole_words(self.len * self.unit_bytes)),
                0,
            );
        }
        // Segments begin at multiples of 32 elements.
        let first = self.unit_bytes * mask_words(segment.start);
        let start = first / u64::from(alignment_bytes) * u64::from(alignment_bytes);
        let end = self.unit_bytes * mask_words(segment.start + u64::from(segment.len));
        // Fits, since it is less than the alignment.
        let first_word = ((first - start) / self.unit_bytes) as u32;
        (self.sub_range(start, end - start), first_word)
    }

    /// Checks that two ranges of one buffer share no byte.
    fn apart(&self, other: &Self) -> Result<(), BindError> {
        let roles = [self.role, other.role];
        let (first, second) = (self.bytes(), other.bytes());
        if first == second && !first.is_empty() {
            let range = first;
            return Err(BindError::SameRange { roles, range });
        }
        if first.start.max(second.start) < first.end.min(second.end) {
            let ranges = [first, second];
            return Err(BindError::Overlap { roles, ranges });
        }
        Ok(())
    }

    fn sub_range(&self, start_bytes: u64, bytes: u64) -> wgpu::BufferBinding<'a> {
        let offset = self.offset_bytes + start_bytes;
        let shown_bytes = (bytes + self.room_bytes).min(self.buffer.size() - offset);
        wgpu::BufferBinding {
            buffer: self.buffer,
            offset,
            size: wgpu::BufferSize::new(shown_bytes),
        }
    }
}

/// Rounds `bytes` up to whole u32 words, the unit in which kernels load.
fn whole_words(bytes: u64) -> u64 {
    bytes.checked_next_multiple_of(4).unwrap_or(u64::MAX)
}

impl BufferLayout {
    /// Returns how `ranges` share buffers.
    ///
    /// # Errors
    ///
    /// [`BindError::SameRange`] or [`BindError::Overlap`] if two of them share a byte.
    pub fn of(ranges: &[CheckedRange<'_>]) -> Result<Self, BindError> {
        let mut layout = Self::Separate;
        for (number, first) in ranges.iter().enumerate() {
            for second in &ranges[..number] {
                if second.same_buffer(first) {
                    second.apart(first)?;
                    layout = Self::Pooled;
                }
            }
        }
        Ok(layout)
    }
}
