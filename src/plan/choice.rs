//! Which dispatches a call on a tensor takes, and with which kernels: no wgpu objects.

use crate::contract::call::DropoutCall;
use crate::contract::element::ElementType;
use crate::contract::layout::MaskLayout;
use crate::contract::mask::{ELEMENTS_PER_BLOCK, ELEMENTS_PER_MASK_WORD, MaskPosition};
use crate::contract::rate::DropoutKind;
use crate::error::{BindError, IndexOverflow};
use crate::kernel::source::{Access, BufferLayout, Kernel, MaskSource, ValueMap};
use crate::plan::cut::{Geometry, Segment, Unit};
use crate::plan::index_map::StridedLayout;

/// What kernels load at once where they can.
const VECTOR_BYTES: u64 = 16;

/// From this length on, the elements behind the last whole granule get a dispatch of their own, so
/// that the others are loaded four at a time; below it one dispatch more would cost more.
const TAIL_APART_ELEMENTS: u64 = 1 << 16;

pub(crate) fn unit(element: ElementType) -> Unit {
    Unit {
        bytes: element.bytes(),
        per_invocation: ELEMENTS_PER_MASK_WORD.into(),
    }
}

/// The dispatches of `len` elements.
pub(crate) fn cut(geometry: &Geometry, len: u64) -> impl Iterator<Item = Segment> + use<> {
    let ragged = !len.is_multiple_of(ELEMENTS_PER_BLOCK.into());
    let body = if ragged && len >= TAIL_APART_ELEMENTS {
        geometry.whole_granules(len)
    } else {
        len
    };
    // Less than a granule, so one segment at most.
    let tail = geometry.segments(len - body);
    let tail = tail.map(move |tail| Segment {
        start: body,
        ..tail
    });
    geometry.segments(body).chain(tail)
}

/// Where a tensor's decisions come from.
#[derive(Debug)]
pub(crate) enum Map {
    Linear {
        first_index: u64,
    },
    Strided {
        layout: StridedLayout,
        first_index: u64,
        last_index: u64,
    },
    Packed,
}

impl Map {
    pub fn of_layout(layout: &MaskLayout, sample_ids: bool) -> Result<Self, BindError> {
        let first_index = layout.first_index();
        let last_index = if sample_ids {
            layout.last_sample_index()?
        } else {
            layout.last_index()
        };
        let Some(last_index) = last_index else {
            return Ok(Self::Linear { first_index });
        };
        Ok(match StridedLayout::new(layout, sample_ids)? {
            None => Self::Linear { first_index },
            Some(layout) => Self::Strided {
                layout,
                first_index,
                last_index,
            },
        })
    }

    pub fn source(&self, whole_blocks: bool) -> MaskSource {
        match self {
            Self::Linear { .. } => MaskSource::Linear,
            Self::Strided { layout, .. } => MaskSource::Strided(layout.strided(whole_blocks)),
            Self::Packed => MaskSource::Packed,
        }
    }
}

/// What becomes of values in forward.
pub(crate) fn forward(kind: DropoutKind) -> ValueMap {
    match kind {
        DropoutKind::Inverted => ValueMap::Scale,
        DropoutKind::Classic => ValueMap::Keep,
        DropoutKind::Alpha => ValueMap::Affine,
    }
}

/// What becomes of gradients in backward.
pub(crate) fn backward(kind: DropoutKind) -> ValueMap {
    match kind {
        DropoutKind::Inverted | DropoutKind::Alpha => ValueMap::Scale,
        DropoutKind::Classic => ValueMap::Keep,
    }
}

/// The kernels of one call on one tensor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    element: ElementType,
    buffers: BufferLayout,
    mask: MaskSource,
    value: ValueMap,
    whole_blocks: bool,
    /// Mask index of the first element.
    base: u64,
}

impl Choice {
    pub fn new(
        element: ElementType,
        buffers: BufferLayout,
        map: &Map,
        len: u64,
        call: &DropoutCall,
        value: ValueMap,
    ) -> Result<Self, IndexOverflow> {
        let base = match map {
            Map::Linear { first_index } => {
                let last = len.checked_sub(1).map(|last| first_index + last);
                call.base(*first_index, last)?
            }
            Map::Strided {
                first_index,
                last_index,
                ..
            } => call.base(*first_index, Some(*last_index))?,
            Map::Packed => 0,
        };
        let value = match (call.rate.drops_nothing(), map) {
            (false, _) => value,
            // The mask alone decides; a product by 1 could flush subnormals.
            (true, Map::Packed) => ValueMap::Keep,
            (true, _) => ValueMap::Copy,
        };
        let whole_blocks = value != ValueMap::Copy
            && match map {
                // Segments begin at multiples of a block.
                Map::Linear { .. } => base.is_multiple_of(ELEMENTS_PER_BLOCK.into()),
                Map::Strided { layout, .. } => layout.whole_blocks(base),
                Map::Packed => false,
            };
        let mask = map.source(whole_blocks);
        Ok(Self {
            element,
            buffers,
            mask: match value {
                ValueMap::Copy => mask.of_copy(),
                _ => mask,
            },
            value,
            whole_blocks,
            base,
        })
    }

    /// Whether there is nothing to do: in place a copy is that.
    pub fn is_nothing(&self) -> bool {
        self.value == ValueMap::Copy && self.buffers == BufferLayout::InPlace
    }

    pub fn kernel(&self, segment: Segment) -> Kernel {
        let bytes = u64::from(segment.len) * self.element.bytes();
        Kernel::Dropout {
            element: self.element,
            buffers: self.buffers,
            mask: self.mask,
            value: self.value,
            access: if self.whole_blocks && segment.len.is_multiple_of(ELEMENTS_PER_BLOCK) {
                Access::Blocks
            } else if bytes.is_multiple_of(VECTOR_BYTES) {
                Access::Vectors
            } else {
                Access::Words
            },
        }
    }

    /// Where the decisions of a segment begin; a packed mask's binding tells that.
    pub fn position(&self, segment: Segment) -> MaskPosition {
        MaskPosition::of(match self.mask {
            MaskSource::Linear => self.base + segment.start,
            MaskSource::Strided(_) | MaskSource::Packed => self.base,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::call::MaskKey;
    use crate::contract::rate::DropoutRate;

    #[test]
    fn a_segment_is_loaded_in_the_largest_pieces_that_it_is_made_of() {
        for (element, origin, len, expected) in [
            (ElementType::F32, 8, 16, Access::Blocks),
            (ElementType::F32, 1, 16, Access::Vectors),
            (ElementType::F32, 0, 12, Access::Vectors),
            (ElementType::F32, 0, 13, Access::Words),
            (ElementType::F16, 8, 16, Access::Blocks),
            (ElementType::F16, 1, 16, Access::Vectors),
            (ElementType::F16, 0, 14, Access::Words),
            (ElementType::F16, 0, 12, Access::Words),
        ] {
            let map = Map::Linear { first_index: 0 };
            let rate = DropoutRate::new(0.5).unwrap();
            let call = DropoutCall::new(rate, MaskKey::layer_step(0, 0, 0)).with_origin(origin);
            let buffers = BufferLayout::Separate;
            let choice = Choice::new(element, buffers, &map, len, &call, ValueMap::Scale).unwrap();
            let segment = Segment {
                start: 0,
                len: len as u32,
            };
            let Kernel::Dropout { access, .. } = choice.kernel(segment) else {
                panic!("a kernel of dropout");
            };
            assert_eq!(access, expected, "{element} from {origin}, {len}");
        }
    }
}
