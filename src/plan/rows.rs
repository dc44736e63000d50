//! The dispatches of kernels that process whole rows.

use super::cut::{CutLimits, Segment};
use super::dispatch::VECTOR_BYTES;
use super::error::{PlanError, ShapeError};
use crate::contract::element::ElementType;
use crate::contract::mask::ELEMENTS_PER_MASK_WORD;
use crate::contract::norm::{Norm, RowOrder};
use crate::kernel::axes::WORKGROUP_SIZE;

/// Up to this length, every index that a kernel computes within a dispatch fits 32 bits.
const MAX_SEGMENT_ELEMENTS: u64 = 1 << 26;

/// Rows of one type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rows {
    pub element: ElementType,
    /// From 1 to [`Norm::MAX_COLUMNS`](crate::Norm::MAX_COLUMNS).
    pub columns: u32,
}

impl Rows {
    /// Divides `elements` into rows of `columns`.
    ///
    /// # Errors
    ///
    /// [`ShapeError::NormColumns`]
    pub fn new(element: ElementType, columns: u32, elements: u64) -> Result<Self, ShapeError> {
        let max = Norm::MAX_COLUMNS;
        if columns == 0 || columns > max || !elements.is_multiple_of(columns.into()) {
            return Err(ShapeError::NormColumns {
                elements,
                columns,
                max,
            });
        }
        Ok(Self { element, columns })
    }

    pub fn order(self) -> RowOrder {
        RowOrder::new(self.columns, self.element)
    }

    /// Returns true if `len` elements can be loaded 16 bytes at a time.
    pub fn is_whole_vectors(self, len: u32) -> bool {
        u64::from(len).is_multiple_of(VECTOR_BYTES / self.element.bytes())
    }

    /// Rows that a workgroup takes.
    fn workgroup_rows(self) -> u32 {
        let order = self.order();
        WORKGROUP_SIZE / order.lanes * order.unit_rows
    }

    /// Workgroups of a dispatch.
    pub fn workgroups(self, segment: Segment) -> u32 {
        (segment.len / self.columns).div_ceil(self.workgroup_rows())
    }

    /// The dispatches of `len` elements, each of whole rows. A dispatch begins at an element with
    /// which both an aligned binding and a word of a packed mask can begin. It therefore begins
    /// with an even row if rows of 16-bit elements share words.
    ///
    /// # Errors
    ///
    /// [`PlanError::WholeRowTooLong`] if not even the fewest rows fit a dispatch.
    pub fn segments(
        self,
        limits: CutLimits,
        len: u64,
    ) -> Result<impl Iterator<Item = Segment> + use<>, PlanError> {
        let (columns, bytes) = (u64::from(self.columns), self.element.bytes());
        let alignment = u64::from(limits.offset_alignment_bytes) / bytes;
        // The granule is a power of two, so that only the powers of two in `columns` matter.
        let granule = alignment.max(ELEMENTS_PER_MASK_WORD.into());
        let granule_rows = granule / granule.min(1 << columns.trailing_zeros());
        let elements = (limits.max_binding_bytes / bytes).min(MAX_SEGMENT_ELEMENTS);
        let by_workgroups = u64::from(limits.max_workgroups) * u64::from(self.workgroup_rows());
        let all_rows = len / columns;
        let mut rows = (elements / columns).min(by_workgroups);
        if all_rows > rows {
            rows = rows / granule_rows * granule_rows;
        }
        if rows == 0 {
            return Err(PlanError::WholeRowTooLong {
                columns,
                max_columns: elements / granule_rows.min(all_rows).max(1),
            });
        }
        Ok((0..all_rows.div_ceil(rows)).map(move |number| Segment {
            start: number * rows * columns,
            // At most 2^26.
            len: ((all_rows - number * rows).min(rows) * columns) as u32,
        }))
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

    fn rows(columns: u32, element: ElementType) -> Rows {
        Rows { element, columns }
    }

    #[test]
    fn segments_are_whole_rows_and_begin_where_bindings_can() {
        for (count, columns) in [(0, 5), (1, 1), (63, 3), (1000, 7), (1001, 300), (4096, 8)] {
            for element in [ElementType::F32, ElementType::F16] {
                let rows = rows(columns, element);
                let (len, bytes) = (count * u64::from(columns), element.bytes());
                for (binding_bytes, workgroups) in [(256 << 10, 65_535), (1 << 30, 8)] {
                    let limits = limits(binding_bytes, workgroups);
                    let mut next = 0;
                    for segment in rows.segments(limits, len).unwrap() {
                        assert_eq!(segment.start, next);
                        assert!((bytes * segment.start).is_multiple_of(256));
                        assert!(segment.start.is_multiple_of(u64::from(columns)));
                        assert!(bytes * u64::from(segment.len) <= binding_bytes);
                        assert!(segment.len.is_multiple_of(columns) && segment.len > 0);
                        assert!(rows.workgroups(segment) <= workgroups);
                        next += u64::from(segment.len);
                    }
                    assert_eq!(next, len);
                }
            }
        }
    }

    #[test]
    fn a_row_too_long_is_named_with_both_numbers() {
        let rows = rows(3001, ElementType::F16);
        // A binding can begin with every 128th row only.
        let error = rows.segments(limits(1 << 19, 65_535), 200 * 3001).err();
        let expected = PlanError::WholeRowTooLong {
            columns: 3001,
            max_columns: 2048,
        };
        assert_eq!(error, Some(expected));
        assert!(rows.segments(limits(1 << 20, 65_535), 200 * 3001).is_ok());
        // So few rows fit one dispatch and need no cut.
        assert!(rows.segments(limits(1 << 19, 65_535), 80 * 3001).is_ok());
    }
}
