//! A tensor's bind groups.

use super::range::CheckedRange;
use crate::plan::cut::Segment;

/// A buffer that decisions need, beside those that are cut into windows.
#[derive(Debug)]
pub(crate) enum Side<'a> {
    None,
    /// The ids of samples: each dispatch reads any of them.
    SampleIds(CheckedRange<'a>),
    /// A packed mask.
    Mask(CheckedRange<'a>),
}

impl<'a> Side<'a> {
    /// What it is and where it lies.
    pub fn range(&self) -> Option<(&'static str, &CheckedRange<'a>)> {
        match self {
            Self::None => None,
            Self::SampleIds(ids) => Some(("sample ids", ids)),
            Self::Mask(mask) => Some(("mask", mask)),
        }
    }
}

/// Checked buffers, bound for each dispatch that a call takes at most.
#[derive(Debug)]
pub(crate) struct Bound {
    pub segments: Vec<BoundSegment>,
}

#[derive(Debug)]
pub(crate) struct BoundSegment {
    pub segment: Segment,
    pub group: wgpu::BindGroup,
    /// Word of the packed mask's window that has the segment's first element. The window is aligned
    /// and may begin before it.
    pub first_word: u32,
}
