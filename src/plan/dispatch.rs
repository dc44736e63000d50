//! The dispatches of a call on a tensor, and their kernels.

use super::cut::{Geometry, Segment, Unit};
use super::index_map::IndexMap;
use super::params::MaskParams;
use crate::contract::call::DropoutCall;
use crate::contract::effect::{Direction, Effect};
use crate::contract::element::ElementType;
use crate::contract::error::{CallError, Operation};
use crate::contract::mask::{ELEMENTS_PER_BLOCK, ELEMENTS_PER_MASK_WORD};
use crate::kernel::axes::{Access, BufferLayout, IndexKind, Kernel, Neighbours};

/// Bytes that kernels load at once if length and alignment allow it.
pub(super) const VECTOR_BYTES: u64 = 16;

/// From this length on, the elements after the last whole granule get a dispatch of their own, so
/// that the others can be loaded four at a time. In a shorter tensor the additional dispatch would
/// cost more than this saves.
const TAIL_APART_ELEMENTS: u64 = 1 << 16;

/// The unit in which a tensor's elements are counted.
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
    // The tail is shorter than a granule, and so one segment at most.
    let tail = geometry.segments(len - body);
    let tail = tail.map(move |tail| Segment {
        start: body,
        ..tail
    });
    geometry.segments(body).chain(tail)
}

/// A tensor under dropout, as it is bound.
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    pub element: ElementType,
    pub buffers: BufferLayout,
    pub map: IndexMap,
    /// Number of elements.
    pub len: u64,
}

impl Tensor {
    /// A kernel with the tensor's bindings. All kernels that a call may use have the same.
    #[cfg(feature = "wgpu")]
    pub fn any_kernel(&self) -> Kernel {
        Kernel::Dropout {
            element: self.element,
            buffers: self.buffers,
            mask: self.map.by_word(),
            neighbours: Neighbours::None,
            effect: Effect::Scale,
            access: Access::Words,
        }
    }
}

/// The dispatches of one call on one tensor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    element: ElementType,
    buffers: BufferLayout,
    effect: Effect,
    /// The source of decisions for a segment that is not made of whole blocks.
    by_word: IndexKind,
    /// The source of decisions for a segment of whole blocks.
    by_block: Option<IndexKind>,
    /// Mask index of the first element.
    base: u64,
    call: DropoutCall,
}

impl Plan {
    /// `None` if there is nothing to do, as for a copy in place.
    ///
    /// # Errors
    ///
    /// See [`CallError`].
    pub fn new(
        tensor: &Tensor,
        call: &DropoutCall,
        direction: Direction,
    ) -> Result<Option<Self>, CallError> {
        let Tensor {
            element,
            buffers,
            ref map,
            ..
        } = *tensor;
        if *map == IndexMap::Packed {
            call.refuse_noise(Operation::PackedMask)?;
        }
        let base = map.base(call)?;
        let effect = match (call.rate.drops_nothing(), map) {
            (false, _) => Effect::of(call.kind, direction),
            // The packed mask still drops elements. Kept ones keep their bits, since a product by 1
            // could flush subnormals.
            (true, IndexMap::Packed) => Effect::Keep,
            (true, IndexMap::Drawn { .. }) => Effect::Copy,
        };
        if effect == Effect::Copy && buffers == BufferLayout::InPlace {
            return Ok(None);
        }
        let (by_word, by_block) = match effect {
            Effect::Copy => (map.by_word().of_copy(), None),
            Effect::Noise => (map.by_element(), map.by_element_of_blocks(base)),
            Effect::Scale | Effect::Keep | Effect::Affine => (map.by_word(), map.by_block(base)),
        };
        Ok(Some(Self {
            element,
            buffers,
            effect,
            by_word,
            by_block,
            base,
            call: *call,
        }))
    }

    pub fn kernel(&self, segment: Segment) -> Kernel {
        let bytes = u64::from(segment.len) * self.element.bytes();
        let (mask, access) = match self.by_block {
            Some(mask) if segment.len.is_multiple_of(ELEMENTS_PER_BLOCK) => (mask, Access::Blocks),
            _ if bytes.is_multiple_of(VECTOR_BYTES) => (self.by_word, Access::Vectors),
            _ => (self.by_word, Access::Words),
        };
        Kernel::Dropout {
            element: self.element,
            buffers: self.buffers,
            mask,
            neighbours: Neighbours::None,
            effect: self.effect,
            access,
        }
    }

    /// The parameters of the dispatch of `segment`. `first_word` is the word of a bound packed mask
    /// that has the segment's first element.
    pub fn params(&self, segment: Segment, first_word: u32) -> MaskParams {
        let first_index = match self.by_word {
            IndexKind::Linear => self.base + segment.start,
            // The dimensions of a strided dispatch hold the coordinates of its start.
            IndexKind::Strided(_) | IndexKind::Packed => self.base,
        };
        MaskParams {
            first_word,
            ..MaskParams::new(&self.call, first_index, segment.len)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::key::MaskKey;
    use crate::contract::kind::DropoutKind;
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
            for kind in DropoutKind::ALL {
                let rate = DropoutRate::new(0.5).unwrap();
                let call = DropoutCall::new(rate, MaskKey::layer_step(0, 0, 0))
                    .with_origin(origin)
                    .with_kind(*kind);
                let tensor = Tensor {
                    element,
                    buffers: BufferLayout::Separate,
                    map: IndexMap::linear(len),
                    len,
                };
                let plan = Plan::new(&tensor, &call, Direction::Forward).unwrap();
                let segment = Segment {
                    start: 0,
                    len: len as u32,
                };
                let Kernel::Dropout { access, .. } = plan.unwrap().kernel(segment) else {
                    panic!("a kernel of dropout");
                };
                assert_eq!(access, expected, "{element} from {origin}, {len}, {kind}");
            }
        }
    }
}
