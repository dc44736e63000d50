//! The part of a tensor that one dispatch takes, described for kernels in other languages than
//! WGSL.

use core::ops::Range;

use super::{LaunchError, LaunchLimits};
use crate::contract::call::DropoutCall;
use crate::contract::dropout_mask::DropoutMask;
use crate::contract::element::ElementType;
use crate::contract::layout::MaskLayout;
use crate::contract::mask::ELEMENTS_PER_BLOCK;
use crate::kernel::axes::IndexKind;
use crate::plan::cut::Geometry;
use crate::plan::dispatch::{cut, unit};
use crate::plan::index_map::IndexMap;
use crate::plan::params::DimensionParams;

/// The elements of a tensor that one dispatch takes, and the source of their decisions. The CubeCL
/// kernels in the crate for Burn read it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Part {
    /// The elements.
    pub elements: Range<u64>,
    /// The call's mask. Its first index is the mask index at coordinate 0 in all
    /// [dimensions](Self::dimensions). If there are no dimensions, it is the mask index of the
    /// part's first element.
    pub mask: DropoutMask,
    /// The layout's dimensions, the outermost first, after neighbours were merged where possible.
    /// If there are none, mask indices are consecutive.
    pub dimensions: Vec<PartDimension>,
    /// The elements that can be decided at once.
    pub decisions: Decisions,
}

/// The elements that a kernel can decide at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decisions {
    /// The part's elements 8 n to 8 n + 7 are one block \[M4\], in order.
    Blocks,
    /// Neighbours in the innermost dimension have consecutive indices.
    Rows,
    /// Neighbours in the innermost dimension share their decision.
    Runs,
    /// Each element has its own.
    Scattered,
}

/// One dimension of a layout, for a part that begins at coordinate `start` of it.
///
/// For every `position` within the part, counted from coordinate 0, `position / size` rounded down
/// is `(position * multiplier) >> (31 + shift)` in 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PartDimension {
    /// Coordinates, below 2^31.
    pub size: u32,
    /// Coordinate of the part's first element.
    pub start: u32,
    /// Mask indices from one coordinate to the next \[M13\].
    pub stride: u64,
    /// Divides by `size`.
    pub multiplier: u32,
    /// Divides by `size`.
    pub shift: u32,
}

impl From<DimensionParams> for PartDimension {
    fn from(params: DimensionParams) -> Self {
        let [low, high] = params.stride.map(u64::from);
        Self {
            size: params.size,
            start: params.start,
            stride: high << 32 | low,
            multiplier: params.multiplier,
            shift: params.shift,
        }
    }
}

/// The parts of a tensor of `layout` under `call`, which may run in any order. An empty tensor has
/// none. If there are several, all parts but the last one can be loaded 16 bytes at a time. A part
/// has 2^26 elements at most.
///
/// A kernel keeps within `limits` if its workgroups have 256 invocations of 32 elements each.
///
/// # Errors
///
/// See [`LaunchError`]. An error is returned before the first part is made.
pub fn parts(
    layout: &MaskLayout,
    element: ElementType,
    call: &DropoutCall,
    limits: LaunchLimits,
) -> Result<impl Iterator<Item = Part> + use<>, LaunchError> {
    let geometry = Geometry::new(limits.cut(), unit(element))?;
    let source = Source::new(layout, call)?;
    Ok(cut(&geometry, layout.len()).map(move |segment| {
        let end = segment.start + u64::from(segment.len);
        source.part(segment.start..end)
    }))
}

/// The part that has these `elements`, which must be fewer than 2^26. This is for kernels whose
/// dispatches are cut in another way, such as by whole rows.
///
/// # Errors
///
/// See [`LaunchError`].
pub fn part(
    layout: &MaskLayout,
    call: &DropoutCall,
    elements: Range<u64>,
) -> Result<Part, LaunchError> {
    Ok(Source::new(layout, call)?.part(elements))
}

struct Source {
    map: IndexMap,
    base: u64,
    call: DropoutCall,
}

impl Source {
    fn new(layout: &MaskLayout, call: &DropoutCall) -> Result<Self, LaunchError> {
        let map = IndexMap::of_layout(layout, false)?;
        Ok(Self {
            base: map.base(call)?,
            map,
            call: *call,
        })
    }

    fn part(&self, elements: Range<u64>) -> Part {
        let first_index = match self.map.by_word() {
            IndexKind::Linear => self.base + elements.start,
            IndexKind::Strided(_) | IndexKind::Packed => self.base,
        };
        let per_block = u64::from(ELEMENTS_PER_BLOCK);
        let aligned = |element: u64| element.is_multiple_of(per_block);
        let whole = aligned(elements.start) && aligned(elements.end - elements.start);
        let slots = self.map.params(elements.start).into_iter().flatten();
        // Slots in front of a layout's dimensions have one coordinate.
        let dimensions: Vec<_> = slots
            .map(PartDimension::from)
            .skip_while(|dimension| dimension.size == 1)
            .collect();
        let decisions = match dimensions.last().map(|dimension| dimension.stride) {
            _ if whole && self.map.by_block(self.base).is_some() => Decisions::Blocks,
            None | Some(1) => Decisions::Rows,
            Some(0) => Decisions::Runs,
            Some(_) => Decisions::Scattered,
        };
        Part {
            mask: DropoutMask::new(&self.call, first_index),
            dimensions,
            decisions,
            elements,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::key::MaskKey;
    use crate::contract::rate::DropoutRate;

    /// The index of the element `i` of a part, by the arithmetic that its kernels do.
    fn index(part: &Part, i: u64) -> u64 {
        let first = u64::from(part.mask.first_index_high) << 32;
        let mut index = first | u64::from(part.mask.first_index_low);
        let mut carry = i;
        for (depth, dimension) in part.dimensions.iter().enumerate().rev() {
            let position = u64::from(dimension.start) + carry;
            carry = match depth {
                0 => 0,
                _ => (position * u64::from(dimension.multiplier)) >> (31 + dimension.shift),
            };
            index += (position - carry * u64::from(dimension.size)) * dimension.stride;
        }
        if part.dimensions.is_empty() {
            index += carry;
        }
        index
    }

    #[test]
    fn parts_have_the_indices_of_their_layout() {
        let call = DropoutCall::new(DropoutRate::new(0.5).unwrap(), MaskKey::new(0, 0));
        let call = call.with_origin((1 << 33) + 8);
        let limits = LaunchLimits {
            max_binding_bytes: 1024,
            ..LaunchLimits::default()
        };
        for (layout, decisions) in [
            (MaskLayout::linear(1000), Decisions::Blocks),
            (MaskLayout::linear(1000).offset(3).unwrap(), Decisions::Rows),
            (
                MaskLayout::strided(&[9, 40], &[48, 1]).unwrap(),
                Decisions::Blocks,
            ),
            (
                MaskLayout::strided(&[9, 40], &[1 << 40, 1]).unwrap(),
                Decisions::Blocks,
            ),
            (
                MaskLayout::strided(&[5, 7, 33], &[40, 0, 1]).unwrap(),
                Decisions::Rows,
            ),
            (MaskLayout::drop_path(&[9, 100]).unwrap(), Decisions::Runs),
            (
                MaskLayout::feature_channels_first(&[3, 5, 7]).unwrap(),
                Decisions::Runs,
            ),
            (
                MaskLayout::strided(&[5, 7], &[30, 3]).unwrap(),
                Decisions::Scattered,
            ),
        ] {
            let parts = parts(&layout, ElementType::F32, &call, limits).unwrap();
            let mut seen = 0;
            for part in parts {
                let len = part.elements.end - part.elements.start;
                assert!(len <= 256);
                seen += len;
                for i in 0..len {
                    let expected = call.origin + layout.index(part.elements.start + i);
                    assert_eq!(index(&part, i), expected, "{layout:?}");
                }
                if len.is_multiple_of(8) || decisions != Decisions::Blocks {
                    assert_eq!(part.decisions, decisions, "{layout:?}");
                }
            }
            assert_eq!(seen, layout.len());
        }
    }
}
