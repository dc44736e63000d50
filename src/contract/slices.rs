//! Checks that slices on the host fit each other, and clears the spare bits of packed masks.

use super::call::DropoutCall;
use super::error::{CallError, Operation, SourceError};
use super::mask::ELEMENTS_PER_MASK_WORD;
use super::source::MaskSource;

impl MaskSource<'_> {
    /// Checks slices of `elements` elements, and the sample ids or the packed mask.
    pub(crate) fn check_slices(&self, elements: usize) -> Result<(), SourceError> {
        let required = self.len();
        if elements as u64 != required {
            return Err(SourceError::Length { elements, required });
        }
        self.check_side()
    }

    /// Checks that there is an id for each sample, or that the packed mask has the words of all
    /// elements. Other sources always pass.
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

    /// Checks that a packed mask of the elements has `words` words.
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
            Self::Packed { .. } => return call.refuse_noise(Operation::PackedMask),
        };
        call.base(first, last).map(drop)
    }

    /// Checks that `call` can make a packed mask of the elements.
    pub(crate) fn check_keep_mask(&self, call: &DropoutCall) -> Result<(), CallError> {
        call.refuse_noise(Operation::KeepMask)?;
        self.check_call(call)
    }
}

/// Clears the spare bits of a packed mask: those after the bits of its `len` elements \[M15\].
pub(crate) fn clear_spare_bits(words: &mut [u32], len: u64) {
    let used = len % u64::from(ELEMENTS_PER_MASK_WORD);
    match words.last_mut() {
        Some(last) if used != 0 => *last &= (1 << used) - 1,
        _ => {}
    }
}
