//! A tensor's bind groups.

use crate::plan::cut::Segment;

/// The bind group of one segment. A call records at most one dispatch for it.
#[derive(Debug)]
pub(crate) struct BoundSegment {
    pub segment: Segment,
    pub group: wgpu::BindGroup,
    /// Number of the word, in the packed mask's window, that has the segment's first element. It
    /// need not be 0, since the window begins at an aligned offset.
    pub first_word: u32,
}
