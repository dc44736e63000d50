//! Cuts a long range into dispatches: the units of each, in integer arithmetic only.

use crate::kernel::axes::WORKGROUP_SIZE;
use crate::plan::error::{CreateError, Limit};

/// Up to this length, every index that a kernel computes within a dispatch fits 32 bits.
const MAX_SEGMENT_UNITS: u64 = 1 << 26;

/// The unit in which a buffer's length is counted: an element, a mask word or a Philox block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unit {
    pub bytes: u64,
    /// Units that one invocation processes.
    pub per_invocation: u64,
}

/// One dispatch and its window of the bound buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// First unit.
    pub start: u64,
    /// Number of units.
    pub len: u32,
}

/// The rule by which ranges of one unit are cut on one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// Segments begin at multiples of this number of units, since a binding's offset must be
    /// aligned.
    granule: u64,
    /// Units of the longest segment; a multiple of the granule.
    max_units: u64,
}

/// A device's limits on one dispatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CutLimits {
    pub max_binding_bytes: u64,
    pub offset_alignment_bytes: u32,
    pub max_workgroups: u32,
}

impl CutLimits {
    /// The limits as if the device bound at most `granules` times its offset alignment.
    #[cfg(all(feature = "cpu", feature = "wgpu"))]
    pub fn lowered(self, granules: u64) -> Self {
        let bytes = granules.saturating_mul(self.offset_alignment_bytes.into());
        Self {
            max_binding_bytes: self.max_binding_bytes.min(bytes),
            ..self
        }
    }
}

/// Returns `available` if it is enough.
///
/// # Errors
///
/// [`CreateError::Limit`] names the `limit` and both numbers.
pub(crate) fn at_least(limit: Limit, available: u64, required: u64) -> Result<u64, CreateError> {
    if available < required {
        return Err(CreateError::Limit {
            limit,
            required,
            available,
        });
    }
    Ok(available)
}

impl Geometry {
    /// # Errors
    ///
    /// [`CreateError::Limit`] if not even one granule fits a binding or a dispatch.
    pub fn new(limits: CutLimits, unit: Unit) -> Result<Self, CreateError> {
        let workgroup = u64::from(WORKGROUP_SIZE);
        let alignment_bytes = u64::from(limits.offset_alignment_bytes);
        let granule = (alignment_bytes / unit.bytes).max(unit.per_invocation);
        let binding_units = at_least(
            Limit::StorageBufferBindingSize,
            limits.max_binding_bytes,
            granule * unit.bytes,
        )? / unit.bytes;
        let workgroups = at_least(
            Limit::ComputeWorkgroupsPerDimension,
            limits.max_workgroups.into(),
            (granule / unit.per_invocation).div_ceil(workgroup),
        )?;
        let dispatch_units = workgroups * workgroup * unit.per_invocation;
        let max_units = binding_units.min(dispatch_units).min(MAX_SEGMENT_UNITS);
        Ok(Self {
            granule,
            max_units: max_units / granule * granule,
        })
    }

    /// The rule for rows that are bound as two halves of `columns` elements each. Segments count
    /// the elements of one half of each row: `len` in the whole tensor. Each segment begins with
    /// the first element of a row. `None` if no such segment fits.
    pub fn in_halves(self, columns: u64, len: u64) -> Option<Self> {
        let most = self.max_units / 2;
        // The greatest common divisor, since a granule is a power of two.
        let common = 1 << columns.trailing_zeros().min(self.granule.trailing_zeros());
        let granule = self.granule * (columns / common);
        let max_units = if granule <= most {
            most / granule * granule
        } else {
            most
        };
        (granule <= most || len <= most).then_some(Self { granule, max_units })
    }

    /// The rule as if dispatches of the device took at most `granules`.
    #[cfg(all(feature = "cpu", feature = "wgpu"))]
    pub fn lowered(self, granules: u64) -> Self {
        Self {
            max_units: self.max_units.min(granules.saturating_mul(self.granule)),
            ..self
        }
    }

    /// The number of whole granules in `len` units.
    #[cfg(all(feature = "cpu", feature = "wgpu"))]
    pub fn granules(&self, len: u64) -> u64 {
        len / self.granule
    }

    /// Cuts `len` units into segments, all of the longest length except the last.
    pub fn segments(&self, len: u64) -> impl Iterator<Item = Segment> + use<> {
        let max_units = self.max_units;
        (0..len.div_ceil(max_units)).map(move |index| {
            let start = index * max_units;
            // At most MAX_SEGMENT_UNITS.
            Segment {
                start,
                len: (len - start).min(max_units) as u32,
            }
        })
    }

    /// The largest number of units, at most `len`, after which a segment may begin.
    pub fn whole_granules(&self, len: u64) -> u64 {
        len / self.granule * self.granule
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ELEMENT: Unit = Unit {
        bytes: 4,
        per_invocation: 32,
    };

    fn limits(max_binding_bytes: u64, max_workgroups: u32) -> CutLimits {
        CutLimits {
            max_binding_bytes,
            offset_alignment_bytes: 256,
            max_workgroups,
        }
    }

    #[test]
    fn segments_cover_a_range_once_and_fit_the_device() {
        for (binding_bytes, workgroups) in [(256, 1), (4096, 1), (1 << 20, 1), (1 << 20, 3)] {
            let limits = limits(binding_bytes, workgroups);
            let geometry = Geometry::new(limits, ELEMENT).unwrap();
            for len in [0, 1, 63, 64, 65, 1000, 4096, 100_003] {
                let mut next = 0;
                for Segment { start, len } in geometry.segments(len) {
                    assert_eq!(start, next);
                    next = start + u64::from(len);
                    assert!(len > 0 && u64::from(len) * 4 <= binding_bytes);
                    assert_eq!(start * 4 % 256, 0);
                    let invocations = len.div_ceil(32);
                    assert!(invocations.div_ceil(WORKGROUP_SIZE) <= workgroups);
                }
                assert_eq!(next, len);
            }
        }
    }

    #[cfg(feature = "wgpu")]
    #[test]
    fn segments_of_halves_begin_with_a_row() {
        let geometry = Geometry::new(limits(4096, 9), ELEMENT).unwrap();
        // A binding holds 1,024 elements, 512 of each half, and begins at a multiple of 64.
        for (columns, len, fits) in [
            (1, 5000, true),
            (7, 5000, true),
            (64, 6400, true),
            (192, 192 * 9, true),
            (9, 512, true),
            (9, 513, false),
            (1000, 1000, false),
        ] {
            let halves = geometry.in_halves(columns, len);
            assert_eq!(halves.is_some(), fits, "{columns}");
            for Segment { start, len } in halves.into_iter().flat_map(|halves| halves.segments(len))
            {
                assert!(start.is_multiple_of(columns) && start.is_multiple_of(64));
                assert!(len <= 512);
            }
        }
    }

    #[test]
    fn a_range_far_beyond_32_bits_is_cut_without_a_wrap() {
        let geometry = Geometry::new(limits(128 << 20, 65_535), ELEMENT).unwrap();
        let last = geometry.segments(1 << 48).last().unwrap();
        assert_eq!(last.start + u64::from(last.len), 1 << 48);
    }

    #[test]
    fn a_limit_too_low_is_named_with_both_numbers() {
        let error = Geometry::new(limits(255, 1), ELEMENT).unwrap_err();
        assert_eq!(
            error,
            CreateError::Limit {
                limit: Limit::StorageBufferBindingSize,
                required: 256,
                available: 255
            }
        );
        assert!(matches!(
            Geometry::new(limits(256, 0), ELEMENT),
            Err(CreateError::Limit { .. })
        ));
    }
}
