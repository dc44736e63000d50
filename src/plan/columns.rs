//! The dispatches of a sum of columns.

use bytemuck::Zeroable;

use super::cut::{CutLimits, Segment};
use super::index_map::IndexMap;
use super::params::{ColumnParams, MaskParams};
use crate::contract::call::DropoutCall;
use crate::contract::effect::Effect;
use crate::contract::element::ElementType;
use crate::contract::error::{CallError, Operation};
use crate::kernel::axes::{
    IndexKind, Kernel, TILE_ROWS, TOTALS_PER_WORKGROUP, Terms, WORKGROUP_SIZE,
};
use crate::plan::error::PlanError;

/// Up to this length, every index that a kernel computes within a dispatch fits 32 bits.
const MAX_SEGMENT_ELEMENTS: u64 = 1 << 26;

/// A matrix in row-major order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Matrix {
    pub rows: u64,
    pub columns: u32,
}

impl Matrix {
    pub const fn elements(self) -> u64 {
        self.rows.saturating_mul(self.columns as u64)
    }

    /// Number of tiles of [`TILE_ROWS`] rows. The last one may have fewer rows.
    pub const fn tiles(self) -> u64 {
        self.rows.div_ceil(TILE_ROWS as u64)
    }

    /// Number of sums that the first stage writes for the second one.
    pub const fn partial_sums(self) -> u64 {
        self.tiles().saturating_mul(self.columns as u64)
    }

    /// Number of workgroups that share a tile, each with columns of its own.
    fn strips(self) -> u64 {
        u64::from(self.columns).div_ceil(WORKGROUP_SIZE.into())
    }

    /// The first stage's dispatches. Each is made of whole tiles and begins at an offset that can
    /// be bound.
    ///
    /// # Errors
    ///
    /// [`PlanError::RowTooLong`] if not even the fewest rows fit a dispatch.
    pub fn segments(
        self,
        limits: CutLimits,
        element_bytes: u64,
    ) -> Result<impl Iterator<Item = Segment> + use<>, PlanError> {
        let columns = u64::from(self.columns);
        let rows_bytes = u64::from(TILE_ROWS) * columns * element_bytes;
        // The greatest common divisor. The alignment is a power of two, so that only the powers of
        // two in `rows_bytes` matter.
        let alignment_bytes = u64::from(limits.offset_alignment_bytes);
        let common = alignment_bytes.min(1 << rows_bytes.trailing_zeros().min(63));
        let granule = u64::from(TILE_ROWS) * (alignment_bytes / common);
        let elements = (limits.max_binding_bytes / element_bytes).min(MAX_SEGMENT_ELEMENTS);
        let workgroups = u64::from(limits.max_workgroups);
        let tiles = workgroups.checked_div(self.strips()).unwrap_or(u64::MAX);
        let by_elements = elements.checked_div(columns).unwrap_or(u64::MAX);
        let rows = by_elements.min(tiles.saturating_mul(TILE_ROWS.into()));
        let is_whole = self.rows <= rows;
        let rows = match is_whole {
            true => self.rows.max(1),
            false => rows / granule * granule,
        };
        let totals = workgroups * u64::from(TOTALS_PER_WORKGROUP);
        if rows == 0 || columns > totals {
            return Err(PlanError::RowTooLong {
                columns,
                max_columns: (elements / granule).min(totals),
            });
        }
        let count = match columns {
            0 => 0,
            _ => self.rows.div_ceil(rows),
        };
        let all_rows = self.rows;
        Ok((0..count).map(move |number| Segment {
            start: number * rows * columns,
            // Below 2^26.
            len: ((all_rows - number * rows).min(rows) * columns) as u32,
        }))
    }
}

/// The terms of a sum, as they are bound.
#[derive(Clone, Debug)]
pub(crate) enum SummedTerms {
    Stored,
    Scale {
        map: IndexMap,
        /// Numbers of the bias; 0 without one.
        bias_len: u32,
        /// True if the output's gradient is `f32` while the input has 16 bits.
        wide: bool,
    },
    /// The terms of the gradient of a norm's γ.
    Norm,
}

/// A sum of columns, as it is bound.
#[derive(Clone, Debug)]
pub(crate) struct ColumnTensor {
    pub element: ElementType,
    pub matrix: Matrix,
    pub terms: SummedTerms,
}

impl ColumnTensor {
    /// The first stage's dispatches: see [`Matrix::segments`].
    ///
    /// # Errors
    ///
    /// See [`Matrix::segments`].
    pub fn segments(
        &self,
        mut limits: CutLimits,
    ) -> Result<impl Iterator<Item = Segment> + use<>, PlanError> {
        if let SummedTerms::Scale { wide: true, .. } = self.terms {
            // The gradient takes twice as many bytes as the input.
            limits.max_binding_bytes /= 2;
        }
        self.matrix.segments(limits, self.element.bytes())
    }

    /// A first-stage kernel with the tensor's bindings. All kernels that a call may use have the
    /// same.
    pub fn any_kernel(&self) -> Kernel {
        self.kernel(None)
    }

    /// The first stage's kernel for the rate of `call`.
    fn kernel(&self, call: Option<&DropoutCall>) -> Kernel {
        let terms = match &self.terms {
            SummedTerms::Stored => Terms::Stored,
            SummedTerms::Norm => Terms::Norm,
            SummedTerms::Scale {
                map,
                bias_len,
                wide,
            } => {
                let mask = map.by_word().of_any_rows();
                let drops_nothing = call.is_some_and(|call| call.rate.drops_nothing());
                let (mask, effect) = match (drops_nothing, mask) {
                    (true, IndexKind::Linear | IndexKind::Strided(_)) => {
                        (mask.of_copy(), Effect::Copy)
                    }
                    _ => (mask, Effect::Scale),
                };
                Terms::Scale {
                    mask,
                    effect,
                    bias: *bias_len > 0,
                    wide: *wide,
                }
            }
        };
        Kernel::ColumnTiles {
            element: self.element,
            terms,
        }
    }
}

/// The dispatches of one sum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ColumnPlan<'a> {
    tensor: &'a ColumnTensor,
    /// The call of a scale's gradient, and the mask index of its first element.
    call: Option<(DropoutCall, u64)>,
    accumulate: bool,
}

impl<'a> ColumnPlan<'a> {
    /// The plan for stored elements, or for a norm.
    pub fn stored(tensor: &'a ColumnTensor, accumulate: bool) -> Self {
        Self {
            tensor,
            call: None,
            accumulate,
        }
    }

    /// The plan for a scale's gradient.
    ///
    /// # Errors
    ///
    /// See [`CallError`].
    pub fn of_call(
        tensor: &'a ColumnTensor,
        call: &DropoutCall,
        accumulate: bool,
    ) -> Result<Self, CallError> {
        call.refuse_but_scaling(Operation::DropoutAdd)?;
        let base = match &tensor.terms {
            SummedTerms::Stored | SummedTerms::Norm => 0,
            SummedTerms::Scale { map, .. } => map.base(call)?,
        };
        Ok(Self {
            call: Some((*call, base)),
            ..Self::stored(tensor, accumulate)
        })
    }

    /// The first stage's kernel.
    pub fn tiles_kernel(&self) -> Kernel {
        let call = self.call.as_ref().map(|(call, _)| call);
        self.tensor.kernel(call)
    }

    /// Workgroups of a dispatch of the first stage.
    pub fn tiles_workgroups(&self, segment: Segment) -> u32 {
        let matrix = self.tensor.matrix;
        let rows = u64::from(segment.len / matrix.columns);
        // Within the device's limit.
        (rows.div_ceil(TILE_ROWS.into()) * matrix.strips()) as u32
    }

    /// The parameters of a dispatch of the first stage. `first_word` is as in
    /// [`Plan::params`](super::dispatch::Plan::params).
    pub fn tiles_params(&self, segment: Segment, first_word: u32) -> ColumnParams {
        let Matrix { columns, .. } = self.tensor.matrix;
        let first_row = segment.start / u64::from(columns);
        let mut params = ColumnParams {
            columns,
            rows: segment.len / columns,
            // At most the number of partial sums, all of which the device binds at once.
            first_tile: (first_row / u64::from(TILE_ROWS)) as u32,
            ..ColumnParams::zeroed()
        };
        if let (Some((call, base)), SummedTerms::Scale { map, bias_len, .. }) =
            (self.call, &self.tensor.terms)
        {
            let first_index = match map.by_word() {
                IndexKind::Linear => base + segment.start,
                IndexKind::Strided(_) | IndexKind::Packed => base,
            };
            params.mask = MaskParams::new(&call, first_index, segment.len);
            params.mask.mask.keep_scale = call.scaling_factor();
            params.bias_len = *bias_len;
            let start = segment.start.checked_rem((*bias_len).into());
            params.bias_start = start.unwrap_or(0) as u32;
        }
        params.mask.len = segment.len;
        params.mask.first_word = first_word;
        params
    }

    /// Workgroups of the second stage.
    pub fn totals_workgroups(&self) -> u32 {
        self.tensor.matrix.columns.div_ceil(TOTALS_PER_WORKGROUP)
    }

    /// The parameters of the second stage.
    pub fn totals_params(&self) -> ColumnParams {
        let matrix = self.tensor.matrix;
        ColumnParams {
            columns: matrix.columns,
            tiles: matrix.tiles() as u32,
            accumulate: u32::from(self.accumulate),
            ..ColumnParams::zeroed()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(max_binding_bytes: u64, max_workgroups: u32) -> CutLimits {
        CutLimits {
            max_binding_bytes,
            offset_alignment_bytes: 256,
            max_workgroups,
        }
    }

    #[test]
    fn segments_are_whole_tiles_and_begin_where_bindings_can() {
        for (rows, columns) in [
            (0, 5),
            (1, 1),
            (63, 3),
            (64, 3),
            (1000, 7),
            (1000, 300),
            (4096, 8),
        ] {
            let matrix = Matrix { rows, columns };
            for (binding_bytes, workgroups) in
                [(256 << 10, 65_535), (1 << 30, 20), (1 << 30, 65_535)]
            {
                let limits = limits(binding_bytes, workgroups);
                let mut next = 0;
                for Segment { start, len } in matrix.segments(limits, 2).unwrap() {
                    assert_eq!(start, next);
                    assert!(start.is_multiple_of(u64::from(TILE_ROWS * columns)));
                    assert!((2 * start).is_multiple_of(256) && u64::from(2 * len) <= binding_bytes);
                    assert!(len.is_multiple_of(columns));
                    next += u64::from(len);
                }
                assert_eq!(next, matrix.elements());
            }
        }
    }

    #[test]
    fn a_row_too_long_is_named_with_both_numbers() {
        let matrix = Matrix {
            rows: 200,
            columns: 3001,
        };
        // 64 rows of 2 bytes fill only half a granule.
        let error = matrix.segments(limits(1 << 19, 65_535), 2).err();
        let expected = PlanError::RowTooLong {
            columns: 3001,
            max_columns: 2048,
        };
        assert_eq!(error, Some(expected));
        assert!(matrix.segments(limits(1 << 20, 65_535), 2).is_ok());
    }
}
