//! A mask layout as its kernels see it: folded, with a family chosen.

use crate::contract::layout::{Dimension, MaskLayout};
use crate::contract::mask::{ELEMENTS_PER_BLOCK, ELEMENTS_PER_MASK_WORD, split};
use crate::error::BindError;
use crate::kernel::source::{Family, Strided};
use crate::params::DimensionParams;

/// Coordinates and their carries are counted in 32 bits.
const MAX_DIMENSION_SIZE: u64 = (1 << 31) - 1;

/// A layout that is not linear, folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StridedLayout {
    dimensions: Vec<Dimension>,
    sample_ids: bool,
}

impl StridedLayout {
    /// `None` if the layout's indices are consecutive. With `sample_ids` the outermost dimension
    /// stays by itself. The layout has an element.
    pub fn new(layout: &MaskLayout, sample_ids: bool) -> Result<Option<Self>, BindError> {
        let dimensions = layout.folded(sample_ids);
        if !sample_ids && matches!(dimensions[..], [] | [Dimension { stride: 1, .. }]) {
            return Ok(None);
        }
        let too_long = |dimension: &&Dimension| dimension.size > MAX_DIMENSION_SIZE;
        if let Some(long) = dimensions.iter().find(too_long) {
            return Err(BindError::DimensionTooLong {
                size: long.size,
                max: MAX_DIMENSION_SIZE,
            });
        }
        Ok(Some(Self {
            dimensions,
            sample_ids,
        }))
    }

    /// What the kernels are chosen by; `whole_blocks` says that one will take block by block.
    pub fn strided(&self, whole_blocks: bool) -> Strided {
        let (stride, size) = match self.dimensions[..] {
            // The ids' dimension has no neighbours.
            [_] if self.sample_ids => (None, 0),
            [.., inner] => (Some(inner.stride), inner.size),
            [] => (None, 0),
        };
        let word = u64::from(ELEMENTS_PER_MASK_WORD);
        Strided {
            family: match stride {
                Some(1) if size >= word || whole_blocks => Family::Rows,
                Some(0) if size >= word => Family::Runs,
                _ => Family::Scattered,
            },
            whole_words: size.is_multiple_of(word),
            // At most 8.
            dimensions: self.dimensions.len() as u32,
            sample_ids: self.sample_ids,
        }
    }

    /// Whether each row of a call whose first mask index is `base` begins with a block and ends
    /// with one.
    pub fn whole_blocks(&self, base: u64) -> bool {
        let aligned = |number: u64| number.is_multiple_of(ELEMENTS_PER_BLOCK.into());
        match &self.dimensions[..] {
            // A single row is linear, and the ids' dimension is none.
            [] | [_] => false,
            [outer @ .., row] => {
                row.stride == 1
                    && aligned(row.size)
                    && aligned(base)
                    && outer.iter().all(|outer| aligned(outer.stride))
            }
        }
    }

    /// What the shader is told of a dispatch that begins at element `start`.
    pub fn params(&self, start: u64) -> [DimensionParams; MaskLayout::MAX_DIMENSIONS] {
        let mut params = [DimensionParams::default(); MaskLayout::MAX_DIMENSIONS];
        let mut rest = start;
        for (params, dimension) in params.iter_mut().zip(&self.dimensions).rev() {
            // Both below 2^31.
            params.size = dimension.size as u32;
            params.start = (rest % dimension.size) as u32;
            params.stride = split(dimension.stride);
            rest /= dimension.size;
        }
        params
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_dimension_chooses_the_kernel() {
        for (shape, strides, sample_ids, family) in [
            (&[6, 32][..], &[40, 1][..], false, Family::Rows),
            (&[6, 31], &[40, 1], false, Family::Scattered),
            // A block is taken whole.
            (&[6, 24], &[40, 1], false, Family::Rows),
            (&[32], &[0], false, Family::Runs),
            (&[31], &[0], false, Family::Scattered),
            (&[6, 32], &[1, 0], true, Family::Runs),
            (&[32], &[3], false, Family::Scattered),
            (&[32], &[1], true, Family::Scattered),
        ] {
            let layout = MaskLayout::strided(shape, strides).unwrap();
            let layout = StridedLayout::new(&layout, sample_ids).unwrap().unwrap();
            let strided = layout.strided(layout.whole_blocks(0));
            assert_eq!(strided.family, family, "{layout:?}");
        }
    }

    #[test]
    fn no_more_dimensions_are_left_than_the_mask_tells_apart() {
        for (shape, strides, sample_ids, dimensions) in [
            (&[1, 6, 32][..], &[999, 40, 1][..], false, 2),
            (&[6, 1, 32], &[40, 7, 1], true, 2),
            (&[2, 3, 32], &[120, 40, 1], false, 2),
            // Samples stay apart, a single one too.
            (&[1, 6, 32], &[999, 40, 1], true, 3),
            (&[2, 3, 32], &[120, 40, 1], true, 3),
        ] {
            let layout = MaskLayout::strided(shape, strides).unwrap();
            let layout = StridedLayout::new(&layout, sample_ids).unwrap().unwrap();
            assert_eq!(layout.strided(false).dimensions, dimensions, "{layout:?}");
        }
    }
}
