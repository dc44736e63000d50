//! Which dispatches rows with a norm take, and with which kernels.

use bytemuck::Zeroable;

use super::activated::{decide, decide_mode};
use super::cut::{CutLimits, Segment};
use super::dispatch::VECTOR_BYTES;
use super::index_map::IndexMap;
use super::params::{MaskParams, NormParams};
use crate::contract::call::DropoutCall;
use crate::contract::element::ElementType;
use crate::contract::error::{CallError, Operation};
use crate::contract::mask::ELEMENTS_PER_MASK_WORD;
use crate::contract::norm::{MaskPlace, Norm, RowOrder};
use crate::kernel::activated::Decide;
use crate::kernel::axes::{IndexKind, Kernel, WORKGROUP_SIZE};
use crate::kernel::normed::{NormForm, Normed};
use crate::plan::error::PlanError;

/// No index that a kernel computes within one dispatch passes 32 bits below this.
const MAX_SEGMENT_ELEMENTS: u64 = 1 << 26;

/// The numbers of params/norm.wgsl.
const RMS: u32 = 8;
const HAS_BIAS: u32 = 16;
pub(crate) const HAS_RESIDUAL: u32 = 32;
pub(crate) const SUM_IN_OUTPUT: u32 = 64;
const ACCUMULATE: u32 = 128;

/// Rows of one type that have a norm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct NormRows {
    pub norm: Norm,
    pub element: ElementType,
    /// From 1 to [`Norm::MAX_COLUMNS`].
    pub columns: u32,
}

impl NormRows {
    fn order(self) -> RowOrder {
        RowOrder::new(self.columns, self.element)
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

    /// The dispatches of `len` elements, each of whole rows. They begin where a binding and a word of a packed mask
    /// can, and so with an even row of 16-bit ones that share a word.
    ///
    /// # Errors
    ///
    /// [`PlanError::NormRowTooLong`] if not even the fewest rows fit a dispatch.
    pub fn segments(
        self,
        limits: CutLimits,
        len: u64,
    ) -> Result<impl Iterator<Item = Segment> + use<>, PlanError> {
        let (columns, bytes) = (u64::from(self.columns), self.element.bytes());
        let alignment = u64::from(limits.offset_alignment_bytes) / bytes;
        // Powers of two but for the columns, which may have more of them.
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
            return Err(PlanError::NormRowTooLong {
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

    /// What a dispatch is told that finds moments.
    pub fn moments_params(self, segment: Segment) -> NormParams {
        let mut params = NormParams {
            columns: self.columns,
            reciprocal: 1.0 / self.columns as f32,
            epsilon: self.norm.epsilon(),
            lanes: self.order().lanes,
            mode: if self.norm.is_rms() { RMS } else { 0 },
            // Not above the moments that a device binds.
            first_row: (segment.start / u64::from(self.columns)) as u32,
            bias_len: 1,
            ..NormParams::zeroed()
        };
        params.mask.len = segment.len;
        params
    }
}

/// A tensor with a norm, as it is bound.
#[derive(Clone, Debug)]
pub(crate) struct NormTensor {
    pub rows: NormRows,
    pub form: NormForm,
    pub place: MaskPlace,
    /// Numbers of the bias; 0 without one.
    pub bias_len: u32,
    /// [`HAS_RESIDUAL`] and [`SUM_IN_OUTPUT`].
    pub flags: u32,
    pub map: IndexMap,
}

impl NormTensor {
    /// The kernel that stands for all kernels with the tensor's buffers.
    pub fn any_kernel(&self) -> Kernel {
        self.kernel(decide(&self.map))
    }

    fn kernel(&self, decide: Decide) -> Kernel {
        Kernel::Normed(Normed {
            element: self.rows.element,
            form: self.form,
            place: self.place,
            decide,
        })
    }
}

/// The dispatches of one call on one tensor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NormPlan<'a> {
    tensor: &'a NormTensor,
    mode: u32,
    /// Mask index of the first element.
    base: u64,
    call: DropoutCall,
}

impl<'a> NormPlan<'a> {
    /// With `accumulate` gradients of sums are added to what stands there.
    ///
    /// # Errors
    ///
    /// See [`CallError`].
    pub fn new(
        tensor: &'a NormTensor,
        call: &DropoutCall,
        accumulate: bool,
    ) -> Result<Self, CallError> {
        call.refuse_but_scaling(Operation::DropoutAddNorm)?;
        let base = tensor.map.base(call)?;
        let mut mode = decide_mode(&tensor.map, call) | tensor.flags;
        for (flag, is_set) in [(HAS_BIAS, tensor.bias_len > 0), (ACCUMULATE, accumulate)] {
            mode |= if is_set { flag } else { 0 };
        }
        Ok(Self {
            tensor,
            mode,
            base,
            call: *call,
        })
    }

    pub fn kernel(&self) -> Kernel {
        let consecutive = match self.tensor.map.by_word() {
            IndexKind::Linear => true,
            // Where nothing is dropped, indices play no role.
            IndexKind::Strided(strided) => !strided.sample_ids && self.mode & 7 == 0,
            IndexKind::Packed => false,
        };
        let lanes = VECTOR_BYTES / self.tensor.rows.element.bytes();
        let [columns, bias_len] = [self.tensor.rows.columns, self.tensor.bias_len].map(u64::from);
        let whole = columns.is_multiple_of(lanes) && bias_len.is_multiple_of(lanes);
        if consecutive && whole {
            self.tensor.kernel(Decide::Linear)
        } else {
            self.tensor.any_kernel()
        }
    }

    /// What the dispatch of `segment` is told. `first_word` is the word of a bound packed mask that has its first
    /// element.
    pub fn params(&self, segment: Segment, first_word: u32) -> NormParams {
        let first_index = match self.tensor.map.by_word() {
            IndexKind::Linear => self.base + segment.start,
            // A strided dispatch learns where it begins from its coordinates.
            IndexKind::Strided(_) | IndexKind::Packed => self.base,
        };
        let mut params = self.tensor.rows.moments_params(segment);
        params.mask = MaskParams::new(&self.call, first_index, segment.len);
        params.mask.first_word = first_word;
        params.mask.mask.keep_scale = self.call.scaling_factor();
        params.mode |= self.mode;
        let bias_len = self.tensor.bias_len.max(1);
        params.bias_len = bias_len;
        // Below the bias's length.
        params.bias_start = (segment.start % u64::from(bias_len)) as u32;
        params
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

    fn rows(columns: u32, element: ElementType) -> NormRows {
        NormRows {
            norm: Norm::layer(1e-5).unwrap(),
            element,
            columns,
        }
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
        // 128 rows begin where a binding can.
        let error = rows.segments(limits(1 << 19, 65_535), 200 * 3001).err();
        let expected = PlanError::NormRowTooLong {
            columns: 3001,
            max_columns: 2048,
        };
        assert_eq!(error, Some(expected));
        assert!(rows.segments(limits(1 << 20, 65_535), 200 * 3001).is_ok());
        // A few are not cut.
        assert!(rows.segments(limits(1 << 19, 65_535), 80 * 3001).is_ok());
    }
}
