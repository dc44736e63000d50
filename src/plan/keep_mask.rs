//! The dispatches that write the packed mask of a call.

use super::cut::{Segment, Unit};
use super::index_map::IndexMap;
use super::params::MaskParams;
use crate::contract::call::DropoutCall;
use crate::contract::error::{CallError, Operation};
use crate::contract::mask::ELEMENTS_PER_MASK_WORD;
use crate::kernel::axes::{IndexKind, Kernel};

/// The unit in which a mask's words are counted.
pub(crate) const MASK_WORD: Unit = Unit {
    bytes: 4,
    per_invocation: 1,
};

/// The dispatches that write the packed mask of one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MaskPlan {
    mask: IndexKind,
    base: u64,
    len: u64,
    call: DropoutCall,
}

impl MaskPlan {
    /// # Errors
    ///
    /// See [`CallError`].
    pub fn new(map: &IndexMap, len: u64, call: &DropoutCall) -> Result<Self, CallError> {
        call.refuse_noise(Operation::KeepMask)?;
        Ok(Self {
            mask: map.by_word(),
            base: map.base(call)?,
            len,
            call: *call,
        })
    }

    pub fn kernel(&self) -> Kernel {
        Kernel::KeepMask(self.mask)
    }

    /// The parameters of the dispatch of `segment`, which is in words.
    pub fn params(&self, segment: Segment) -> MaskParams {
        let start = first_element(segment);
        let elements = u64::from(segment.len) * u64::from(ELEMENTS_PER_MASK_WORD);
        // At most 2^26 words of 32 elements.
        let elements = (self.len - start).min(elements) as u32;
        let first_index = match self.mask {
            IndexKind::Linear => self.base + start,
            IndexKind::Strided(_) | IndexKind::Packed => self.base,
        };
        MaskParams::new(&self.call, first_index, elements)
    }
}

/// The first element of `segment`, in words of a packed mask.
pub(crate) fn first_element(segment: Segment) -> u64 {
    segment.start * u64::from(ELEMENTS_PER_MASK_WORD)
}
