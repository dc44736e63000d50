//! The elements of slices, and where their decisions come from.

use super::call::DropoutCall;
use super::error::{CallError, SourceError};
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

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Words of its packed mask \[M15\].
    pub fn mask_words(&self) -> u64 {
        mask_words(self.len())
    }
}

#[cfg(any(feature = "cpu", all(feature = "wgpu", not(target_arch = "wasm32"))))]
impl MaskSource<'_> {
    /// Checks slices of `elements`, and the ids or the packed mask.
    pub(crate) fn check_slices(&self, elements: usize) -> Result<(), SourceError> {
        let required = self.len();
        if elements as u64 != required {
            return Err(SourceError::Length { elements, required });
        }
        self.check_side()
    }

    /// Checks that there is an id for each sample, and a packed mask of all elements.
    pub(crate) fn check_side(&self) -> Result<(), SourceError> {
        match *self {
            Self::Samples { layout, ids } => {
                let (samples, _) = layout.samples();
                let ids = ids.len();
                if ids as u64 != samples {
                    return Err(SourceError::SampleIds { ids, samples });
                }
                Ok(())
            }
            Self::Packed { mask, .. } => self.check_mask(mask.len()),
            Self::Len(_) | Self::Layout(_) => Ok(()),
        }
    }

    /// Checks a packed mask of `words` for the elements.
    pub(crate) fn check_mask(&self, words: usize) -> Result<(), SourceError> {
        let (len, required) = (self.len(), self.mask_words());
        if words as u64 != required {
            return Err(SourceError::MaskLength {
                words,
                required,
                len,
            });
        }
        Ok(())
    }

    /// Checks that `call` can be applied to the elements.
    pub(crate) fn check_call(&self, call: &DropoutCall) -> Result<(), CallError> {
        let (first, last) = match *self {
            Self::Len(len) => (0, len.checked_sub(1)),
            Self::Layout(layout) => (layout.first_index(), layout.last_index()),
            Self::Samples { layout, .. } => (layout.first_index(), layout.last_sample_index()?),
            Self::Packed { .. } => return call.refuse_noise("a packed mask", "a layout"),
        };
        call.base(first, last).map(drop)
    }

    /// Checks that the elements have a packed mask under `call`.
    pub(crate) fn check_keep_mask(&self, call: &DropoutCall) -> Result<(), CallError> {
        call.refuse_noise("a keep mask", "another kind")?;
        self.check_call(call)
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
