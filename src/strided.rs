//! A mask layout as its kernels see it: folded, with a family chosen, cut into dispatches.

use crate::error::BindError;
use crate::geometry::{Segment, Unit};
use crate::layout::{Dimension, MaskLayout};
use crate::mask::{ELEMENTS_PER_BLOCK, split};
use crate::params::DimensionParams;
use crate::source::{Access, Family, Strided};

/// Coordinates and their carries are counted in 32 bits.
const MAX_DIMENSION_SIZE: u64 = (1 << 31) - 1;

const LANES: u64 = ELEMENTS_PER_BLOCK as u64;

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

    /// What the kernels are chosen by.
    pub fn strided(&self) -> Strided {
        let inner = match self.dimensions[..] {
            // The ids' dimension has no neighbours.
            [_] if self.sample_ids => None,
            [.., inner] => Some(inner.stride),
            [] => None,
        };
        Strided {
            family: match inner {
                Some(0) => Family::Runs,
                Some(1) => Family::Rows,
                _ => Family::Scattered,
            },
            // At most 8.
            dimensions: self.dimensions.len() as u32,
            sample_ids: self.sample_ids,
        }
    }

    /// Elements of a row or run.
    fn columns(&self) -> u64 {
        self.dimensions.last().map_or(1, |inner| inner.size)
    }

    /// How a call whose first mask index is `base` loads and stores.
    pub fn access(&self, base: u64) -> Access {
        let columns = self.columns();
        let aligned = |number: u64| number.is_multiple_of(LANES);
        match self.strided().family {
            Family::Runs if columns.is_multiple_of(4 * LANES) => Access::Runs { vectors: 8 },
            Family::Runs if aligned(columns) => Access::Runs { vectors: 2 },
            Family::Rows if aligned(base) && aligned(columns) && self.outer().all(aligned) => {
                Access::Blocks
            }
            _ => Access::Elements,
        }
    }

    /// Strides of all but the innermost dimension.
    fn outer(&self) -> impl Iterator<Item = u64> {
        let outer = self.dimensions.len().saturating_sub(1);
        self.dimensions[..outer]
            .iter()
            .map(|dimension| dimension.stride)
    }

    /// Invocations that one row or run takes, loaded element by element: as `work_at` counts them
    /// in shaders/map_rows.wgsl and shaders/map_runs.wgsl.
    fn invocations_per_row(&self) -> u64 {
        match self.strided().family {
            Family::Rows => (self.columns() + 14) / LANES,
            Family::Runs => self.columns().div_ceil(LANES),
            Family::Scattered => 1,
        }
    }

    /// Elements by which dispatches are cut and counted.
    pub fn unit(&self, bytes: u64) -> Unit {
        let per_invocation = match (self.strided().family, self.access(0)) {
            (Family::Scattered, _) => LANES,
            (_, Access::Runs { vectors }) => 4 * u64::from(vectors),
            _ => (self.columns() / self.invocations_per_row()).max(1),
        };
        Unit {
            bytes,
            per_invocation,
        }
    }

    /// Invocations of a dispatch over `segment`.
    pub fn invocations(&self, segment: Segment, access: Access) -> u32 {
        let len = u64::from(segment.len);
        let invocations = match (access, self.strided().family) {
            (Access::Runs { vectors }, _) => len / (4 * u64::from(vectors)),
            (Access::Blocks, _) => len / LANES,
            (Access::Elements, Family::Scattered) => len.div_ceil(LANES),
            (Access::Elements, family) => {
                let columns = self.columns();
                let start = segment.start % columns;
                let last = start + len - 1;
                // A row may begin with any lane of its first block.
                let lanes = if family == Family::Rows { LANES - 1 } else { 0 };
                let rows = last / columns * self.invocations_per_row();
                rows + (last % columns + lanes) / LANES + 1 - start / LANES
            }
        };
        // The geometry keeps it below a dispatch's invocations.
        invocations as u32
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
