//! The elements of slices, and where their decisions come from.

use super::layout::MaskLayout;
use super::mask::mask_words;

/// The elements of a slice and where their decisions come from. A length or a layout converts into it.
///
/// On the device the same is [`Elements`](crate::Elements).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MaskSource<'a> {
    /// So many elements with consecutive mask indices.
    Len(u64),
    /// Elements of a layout.
    Layout(&'a MaskLayout),
    /// Samples, the layout's first dimension. `ids[i]` stands for row number i in the mask
    /// index \[M16\].
    Samples {
        /// The batch.
        layout: &'a MaskLayout,
        /// An id for each sample.
        ids: &'a [u32],
    },
    /// A packed mask \[M15\] from outside. The call's key and origin play no role, its rate and kind give
    /// the factors.
    Packed {
        /// [`mask_words`] of `len`.
        mask: &'a [u32],
        /// Elements.
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

    /// Words of its packed mask \[M15\].
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
