//! A tensor's bind groups.

use crate::plan::cut::Segment;

/// Checked buffers, bound for a dispatch that a call takes at most.
#[derive(Debug)]
pub(crate) struct BoundSegment {
    pub segment: Segment,
    pub group: wgpu::BindGroup,
    /// Word of the packed mask's window that has the segment's first element. The window is aligned
    /// and may begin before it.
    pub first_word: u32,
}
