//! The dispatches of dropout with further operands, and their kernels.

use core::ops::Deref;

use super::cut::{CutLimits, Geometry, Segment};
use super::dispatch::{VECTOR_BYTES, unit};
use super::error::{CreateError, ShapeError};
use super::index_map::IndexMap;
use super::params::{MaskParams, VectorParams};
use crate::contract::call::DropoutCall;
use crate::contract::effect::Effect;
use crate::contract::element::ElementType;
use crate::contract::error::{CallError, Operation};
use crate::contract::mask::ELEMENTS_PER_MASK_WORD;
use crate::kernel::axes::{Access, BufferLayout, IndexKind, Kernel, Neighbours};

/// A bias and a scale along the last dimension, the scale behind the bias.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct VectorShape {
    /// Numbers of the bias; 0 without one.
    pub bias_len: u32,
    /// Numbers of the scale; 0 without one.
    pub scale_len: u32,
}

/// Checks that vectors of these `lens` repeat over a tensor of `elements`.
///
/// # Errors
///
/// [`ShapeError::VectorLength`]
pub(crate) fn check_repeats(
    lens: impl IntoIterator<Item = u32>,
    elements: u64,
) -> Result<(), ShapeError> {
    for len in lens {
        if len == 0 || !elements.is_multiple_of(len.into()) {
            return Err(ShapeError::VectorLength { elements, len });
        }
    }
    Ok(())
}

/// The rule by which tensors are cut whose branch has the type `element` and whose sum has the type
/// `stream`.
///
/// # Errors
///
/// See [`Geometry::new`].
pub(crate) fn geometry(
    limits: CutLimits,
    element: ElementType,
    stream: ElementType,
) -> Result<Geometry, CreateError> {
    // Segments are cut for the longer type. Its offset has to be a multiple of `times` the
    // alignment, so that the shorter type's offset in the same segment is aligned too.
    let times = stream.bytes().div_ceil(element.bytes()) as u32;
    let limits = CutLimits {
        offset_alignment_bytes: times * limits.offset_alignment_bytes,
        ..limits
    };
    Geometry::new(limits, unit(stream))
}

/// A tensor under dropout with further operands, as it is bound.
#[derive(Clone, Debug)]
pub(crate) struct FusedTensor {
    pub element: ElementType,
    pub buffers: BufferLayout,
    pub neighbours: Neighbours,
    pub vectors: VectorShape,
    pub map: IndexMap,
}

impl FusedTensor {
    /// The type of the sum.
    pub fn stream(&self) -> ElementType {
        self.neighbours.stream(self.element)
    }

    /// A kernel with the tensor's bindings. All kernels that a call may use have the same.
    #[cfg(feature = "wgpu")]
    pub fn any_kernel(&self) -> Kernel {
        self.kernel(
            self.map.by_word().of_any_rows(),
            Effect::Scale,
            Access::Words,
        )
    }

    fn kernel(&self, mask: IndexKind, effect: Effect, access: Access) -> Kernel {
        Kernel::Dropout {
            element: self.element,
            buffers: self.buffers,
            mask,
            neighbours: self.neighbours,
            effect,
            access,
        }
    }

    /// Returns true if the lengths of the vectors are multiples of `lanes`, and a mask word spans
    /// at most two repetitions of each.
    fn has_whole_lanes(&self, lanes: u64) -> bool {
        let VectorShape {
            bias_len,
            scale_len,
        } = self.vectors;
        let whole = |len: u32| {
            let is_long = len == 0 || len >= ELEMENTS_PER_MASK_WORD;
            is_long && u64::from(len).is_multiple_of(lanes)
        };
        whole(bias_len) && whole(scale_len)
    }
}

/// The dispatches of one call on one tensor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FusedPlan<T> {
    tensor: T,
    mask: IndexKind,
    effect: Effect,
    /// Mask index of the first element.
    base: u64,
    call: DropoutCall,
}

impl<T: Deref<Target = FusedTensor>> FusedPlan<T> {
    /// # Errors
    ///
    /// See [`CallError`].
    pub fn new(tensor: T, call: &DropoutCall) -> Result<Self, CallError> {
        call.refuse_but_scaling(Operation::DropoutAdd)?;
        let base = tensor.map.base(call)?;
        let mask = tensor.map.by_word().of_any_rows();
        let (mask, effect) = match (call.rate.drops_nothing(), mask) {
            (true, IndexKind::Linear | IndexKind::Strided(_)) => (mask.of_copy(), Effect::Copy),
            _ => (mask, Effect::Scale),
        };
        Ok(Self {
            tensor,
            mask,
            effect,
            base,
            call: *call,
        })
    }

    pub fn kernel(&self, segment: Segment) -> Kernel {
        let element_bytes = self.tensor.stream().bytes();
        let bytes = u64::from(segment.len) * element_bytes;
        let whole = bytes.is_multiple_of(VECTOR_BYTES)
            && self.tensor.has_whole_lanes(VECTOR_BYTES / element_bytes);
        let access = if whole {
            Access::Vectors
        } else {
            Access::Words
        };
        self.tensor.kernel(self.mask, self.effect, access)
    }

    /// The parameters of the dispatch of `segment`. `first_word` is the word of a bound packed mask
    /// that has the segment's first element.
    pub fn params(&self, segment: Segment, first_word: u32) -> VectorParams {
        let first_index = match self.mask {
            IndexKind::Linear => self.base + segment.start,
            // The dimensions of a strided dispatch hold the coordinates of its start.
            IndexKind::Strided(_) | IndexKind::Packed => self.base,
        };
        let VectorShape {
            bias_len,
            scale_len,
        } = self.tensor.vectors;
        // A remainder by the vector's length, which has 32 bits.
        let start = |elements: u32| {
            let rest = segment.start.checked_rem(elements.into());
            rest.unwrap_or(0) as u32
        };
        let mut mask = MaskParams::new(&self.call, first_index, segment.len);
        mask.first_word = first_word;
        mask.mask.keep_scale = self.call.scaling_factor();
        VectorParams {
            mask,
            bias_len,
            bias_start: start(bias_len),
            scale_len,
            scale_start: start(scale_len),
        }
    }
}
