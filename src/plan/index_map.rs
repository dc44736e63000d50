//! The source of a tensor's decisions, in the form that kernels take: a folded mask layout, and the
//! family of kernels for it.

use super::error::PlanError;
use super::params::{DimensionParams, MAX_DIMENSIONS};
use crate::contract::call::DropoutCall;
use crate::contract::error::CallError;
use crate::contract::layout::{Dimension, MaskLayout};
use crate::contract::mask::{ELEMENTS_PER_BLOCK, ELEMENTS_PER_MASK_WORD};
use crate::kernel::axes::{Family, IndexKind, Strided};

/// Kernels compute coordinates and their carries in 32 bits.
const MAX_DIMENSION_SIZE: u64 = (1 << 31) - 1;

/// The source of a tensor's decisions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum IndexMap {
    /// The kernel makes them from the mask indices of a layout.
    Drawn {
        /// Mask index of the first element, before the call's origin is added.
        first_index: u64,
        /// The largest mask index; `None` if there is no element.
        last_index: Option<u64>,
        /// `None` if mask indices are consecutive.
        strided: Option<StridedLayout>,
    },
    /// The kernel reads them from a packed mask.
    Packed,
}

impl IndexMap {
    /// The map of a layout. With `sample_ids`, ids replace the coordinates of the first dimension
    /// \[M16\].
    pub fn of_layout(layout: &MaskLayout, sample_ids: bool) -> Result<Self, PlanError> {
        let last_index = if sample_ids {
            layout.last_sample_index()?
        } else {
            layout.last_index()
        };
        let strided = match last_index {
            None => None,
            Some(_) => StridedLayout::new(layout, sample_ids)?,
        };
        Ok(Self::Drawn {
            first_index: layout.first_index(),
            last_index,
            strided,
        })
    }

    /// The map of `len` elements with consecutive mask indices.
    #[cfg(any(feature = "wgpu", test))]
    pub fn linear(len: u64) -> Self {
        Self::Drawn {
            first_index: 0,
            last_index: len.checked_sub(1),
            strided: None,
        }
    }

    /// Mask index of the first element under `call`; 0 for a packed mask, which has no indices.
    pub fn base(&self, call: &DropoutCall) -> Result<u64, CallError> {
        match *self {
            Self::Drawn {
                first_index,
                last_index,
                ..
            } => call.base(first_index, last_index),
            Self::Packed => Ok(0),
        }
    }

    /// The layout that is passed to a dispatch which begins at element `start`.
    pub fn params(&self, start: u64) -> Option<[DimensionParams; MAX_DIMENSIONS]> {
        match self {
            Self::Drawn { strided, .. } => Some(strided.as_ref()?.params(start)),
            Self::Packed => None,
        }
    }

    /// As [`params`](Self::params), for kernels that read a layout whatever the source is.
    /// Consecutive indices are passed as one row.
    pub fn params_of_any(&self, start: u64) -> [DimensionParams; MAX_DIMENSIONS] {
        self.params(start).unwrap_or_else(|| {
            let one = Dimension { size: 1, stride: 0 };
            let row = Dimension {
                size: MAX_DIMENSION_SIZE,
                stride: 1,
            };
            let mut dimensions = [one; MAX_DIMENSIONS];
            dimensions[MAX_DIMENSIONS - 1] = row;
            dimensions.map(|dimension| DimensionParams::new(dimension, 0))
        })
    }

    /// The kernels that make the decisions of a mask word at a time.
    pub fn by_word(&self) -> IndexKind {
        match self {
            Self::Packed => IndexKind::Packed,
            Self::Drawn { strided: None, .. } => IndexKind::Linear,
            Self::Drawn {
                strided: Some(strided),
                ..
            } => strided.of_family(strided.by_word(), 0),
        }
    }

    /// The kernels that make the decisions of a whole block at a time. `None` unless the tensor's
    /// elements are whole blocks when its first mask index is `base`.
    pub fn by_block(&self, base: u64) -> Option<IndexKind> {
        self.of_blocks(base, 0)
    }

    /// The kernels that compute the index of each element by itself, for noise. One kernel, for the
    /// most dimensions, serves all layouts: noise costs more than an index, so that fewer
    /// dimensions would save little.
    pub fn by_element(&self) -> IndexKind {
        match self {
            Self::Packed => IndexKind::Packed,
            Self::Drawn { strided: None, .. } => IndexKind::Linear,
            Self::Drawn {
                strided: Some(strided),
                ..
            } => strided.of_family(Family::Scattered, MAX_DIMENSIONS),
        }
    }

    /// [`by_element`](Self::by_element) for a tensor whose elements are whole blocks.
    pub fn by_element_of_blocks(&self, base: u64) -> Option<IndexKind> {
        self.of_blocks(base, MAX_DIMENSIONS)
    }

    fn of_blocks(&self, base: u64, least: usize) -> Option<IndexKind> {
        match self {
            Self::Packed => None,
            // Segments begin at multiples of a block.
            Self::Drawn { strided: None, .. } => is_whole_blocks(base).then_some(IndexKind::Linear),
            Self::Drawn {
                strided: Some(strided),
                ..
            } => strided
                .has_whole_blocks(base)
                .then(|| strided.of_family(Family::BlockRows, least)),
        }
    }
}

fn is_whole_blocks(number: u64) -> bool {
    number.is_multiple_of(ELEMENTS_PER_BLOCK.into())
}

/// A folded layout whose indices are not consecutive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StridedLayout {
    dimensions: Vec<Dimension>,
    sample_ids: bool,
}

impl StridedLayout {
    /// Folds a layout that has an element. `None` if its indices are consecutive. With `sample_ids`
    /// the outermost dimension is not merged with others.
    pub fn new(layout: &MaskLayout, sample_ids: bool) -> Result<Option<Self>, PlanError> {
        let dimensions = layout.folded(sample_ids);
        if !sample_ids && matches!(dimensions[..], [] | [Dimension { stride: 1, .. }]) {
            return Ok(None);
        }
        let too_long = |dimension: &&Dimension| dimension.size > MAX_DIMENSION_SIZE;
        if let Some(long) = dimensions.iter().find(too_long) {
            return Err(PlanError::DimensionTooLong {
                size: long.size,
                max: MAX_DIMENSION_SIZE,
            });
        }
        Ok(Some(Self {
            dimensions,
            sample_ids,
        }))
    }

    /// The kernels of `family` for at least `least` dimensions.
    fn of_family(&self, family: Family, least: usize) -> IndexKind {
        let needed = self.dimensions.len().max(least) as u32;
        let [.., most] = Strided::DIMENSIONS;
        let mut offered = Strided::DIMENSIONS.into_iter();
        IndexKind::Strided(Strided {
            family,
            // The largest number is the most dimensions that a layout can have.
            dimensions: offered
                .find(|&dimensions| dimensions >= needed)
                .unwrap_or(most),
            sample_ids: self.sample_ids,
        })
    }

    /// The form of the innermost dimension for a kernel that takes 32 elements at a time.
    fn by_word(&self) -> Family {
        let (stride, size) = match self.dimensions[..] {
            // Only the samples' dimension is left. Ids make its indices arbitrary.
            [_] if self.sample_ids => (None, 0),
            [.., inner] => (Some(inner.stride), inner.size),
            [] => (None, 0),
        };
        let word = u64::from(ELEMENTS_PER_MASK_WORD);
        let whole_words = size.is_multiple_of(word);
        match stride {
            Some(1) if size >= word => Family::Rows { whole_words },
            Some(0) if size >= word => Family::Runs { whole_words },
            _ => Family::Scattered,
        }
    }

    /// Returns true if each row begins and ends at a block's bounds, under a call whose first mask
    /// index is `base`.
    fn has_whole_blocks(&self, base: u64) -> bool {
        match &self.dimensions[..] {
            // A single row is linear, and the samples' dimension is not a row.
            [] | [_] => false,
            [outer @ .., row] => {
                row.stride == 1
                    && is_whole_blocks(row.size)
                    && is_whole_blocks(base)
                    && outer.iter().all(|outer| is_whole_blocks(outer.stride))
            }
        }
    }

    /// The dimensions' parameters for a dispatch that begins at element `start`.
    pub fn params(&self, start: u64) -> [DimensionParams; MAX_DIMENSIONS] {
        let one = Dimension { size: 1, stride: 0 };
        let mut params = [DimensionParams::new(one, 0); MAX_DIMENSIONS];
        let mut rest = start;
        let mut slot = params.len();
        for (axis, &dimension) in self.dimensions.iter().enumerate().rev() {
            // The samples' dimension has the first slot, for every number of dimensions.
            slot = if axis == 0 && self.sample_ids {
                0
            } else {
                slot - 1
            };
            params[slot] = DimensionParams::new(dimension, rest % dimension.size);
            rest /= dimension.size;
        }
        params
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strided(shape: &[u64], strides: &[u64], sample_ids: bool) -> StridedLayout {
        let layout = MaskLayout::strided(shape, strides).unwrap();
        StridedLayout::new(&layout, sample_ids).unwrap().unwrap()
    }

    #[test]
    fn the_innermost_dimension_chooses_the_kernel() {
        for (shape, strides, sample_ids, family) in [
            (
                &[6, 32][..],
                &[40, 1][..],
                false,
                Family::Rows { whole_words: true },
            ),
            (
                &[6, 33],
                &[40, 1],
                false,
                Family::Rows { whole_words: false },
            ),
            (&[6, 31], &[40, 1], false, Family::Scattered),
            (&[32], &[0], false, Family::Runs { whole_words: true }),
            (&[31], &[0], false, Family::Scattered),
            (&[6, 32], &[1, 0], true, Family::Runs { whole_words: true }),
            (&[32], &[3], false, Family::Scattered),
            (&[32], &[1], true, Family::Scattered),
        ] {
            let layout = strided(shape, strides, sample_ids);
            assert_eq!(layout.by_word(), family, "{layout:?}");
        }
    }

    #[test]
    fn rows_of_whole_blocks_are_taken_by_blocks() {
        for (shape, strides, base, whole) in [
            (&[6, 24][..], &[40, 1][..], 0, true),
            (&[6, 24], &[40, 1], 8, true),
            (&[6, 24], &[40, 1], 4, false),
            (&[6, 24], &[36, 1], 0, false),
            (&[6, 20], &[40, 1], 0, false),
            (&[6, 24], &[40, 2], 0, false),
        ] {
            let layout = strided(shape, strides, false);
            assert_eq!(
                layout.has_whole_blocks(base),
                whole,
                "{layout:?} from {base}"
            );
        }
        assert!(!strided(&[8], &[1], true).has_whole_blocks(0));
    }

    #[test]
    fn dimensions_are_merged_and_their_number_rounded_up() {
        for (shape, strides, sample_ids, dimensions) in [
            (&[1, 6, 32][..], &[999, 40, 1][..], false, 2),
            (&[6, 1, 32], &[40, 7, 1], true, 2),
            (&[2, 3, 32], &[120, 40, 1], false, 2),
            // The samples' dimension is not merged, even if it has one sample.
            (&[1, 6, 32], &[999, 40, 1], true, 3),
            (&[2, 3, 32], &[120, 40, 1], true, 3),
            (&[2, 3, 4, 5, 6], &[9000, 900, 90, 9, 2], false, 8),
            (&[7], &[3], false, 2),
        ] {
            let layout = strided(shape, strides, sample_ids);
            let IndexKind::Strided(kind) = layout.of_family(Family::Scattered, 0) else {
                panic!("a strided kernel");
            };
            assert_eq!(kind.dimensions, dimensions, "{layout:?}");
        }
    }

    #[test]
    fn dimensions_end_in_the_last_slot_and_ids_have_the_first() {
        let sizes = |sample_ids| {
            let layout = strided(&[2, 3, 32], &[500, 40, 1], sample_ids);
            layout.params(0).map(|dimension| dimension.size)
        };
        assert_eq!(sizes(false), [1, 1, 1, 1, 1, 2, 3, 32]);
        assert_eq!(sizes(true), [2, 1, 1, 1, 1, 1, 3, 32]);
    }

    #[test]
    fn a_dispatch_begins_at_the_coordinates_of_its_first_element() {
        let layout = strided(&[2, 3, 32], &[500, 40, 1], true);
        let starts = layout
            .params(96 + 2 * 32 + 5)
            .map(|dimension| dimension.start);
        assert_eq!(starts, [1, 0, 0, 0, 0, 0, 2, 5]);
    }
}
