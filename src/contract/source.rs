//! The elements of slices, and the source of their decisions.

use super::layout::MaskLayout;
use super::mask::mask_words;

/// The elements of a slice, and the source of their decisions. A length or a layout converts into
/// it.
///
/// Its counterpart for buffers on the device is [`Elements`](crate::Elements).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MaskSource<'a> {
    /// This many elements with consecutive mask indices.
    Len(u64),
    /// Elements of a layout.
    Layout(&'a MaskLayout),
    /// Samples with ids. The samples are the layout's first dimension, and `ids[i]` replaces the
    /// number i of a sample in its mask indices \[M16\].
    Samples {
        /// The layout of the batch.
        layout: &'a MaskLayout,
        /// An id for each sample.
        ids: &'a [u32],
    },
    /// A packed mask \[M15\] of the caller. The call's key and origin do not matter then; its rate
    /// and kind give the factors.
    Packed {
        /// The words of the mask. There are [`mask_words`]`(len)` of them.
        mask: &'a [u32],
        /// Number of elements.
        len: u64,
    },
}

impl MaskSource<'_> {
    /// Number of elements.
    pub fn len(&self) -> u64 {
        match *self {
            Self::Len(len) | Self::Packed { len, .. } => len,
            Self::Layout(layout) | Self::Samples { layout, .. } => layout.len(),
        }
    }

    /// Returns true if there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of words of a packed mask for these elements \[M15\].
    pub fn mask_words(&self) -> u64 {
        mask_words(self.len())
    }
}

impl From<u64> for MaskSource<'_> {
    fn from(len: u64) -> Self {
        Self::Len(len)
    }
}

impl From<usize> for MaskSource<'_> {
    fn from(len: usize) -> Self {
        Self::Len(len as u64)
    }
}

impl<'a> From<&'a MaskLayout> for MaskSource<'a> {
    fn from(layout: &'a MaskLayout) -> Self {
        Self::Layout(layout)
    }
}
