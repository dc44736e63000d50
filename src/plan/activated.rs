//! The dispatches of an activation before dropout, and their kernels.

use core::ops::Deref;

use super::cut::{Geometry, Segment};
use super::dispatch::VECTOR_BYTES;
use super::error::ShapeError;
use super::index_map::IndexMap;
use super::params::{ActivatedParams, MaskParams};
use crate::contract::activation::Activation;
use crate::contract::call::DropoutCall;
use crate::contract::element::ElementType;
use crate::contract::error::{CallError, Operation};
use crate::contract::mask::ELEMENTS_PER_MASK_WORD;
use crate::kernel::activated::{Activated, Decide, Form};
use crate::kernel::axes::{Family, IndexKind, Kernel};

/// A tensor with an activation, as it is bound.
#[derive(Clone, Debug)]
pub(crate) struct ActivatedTensor {
    pub activation: Activation,
    pub element: ElementType,
    pub form: Form,
    /// True if the output's range holds the input.
    pub in_place: bool,
    /// Numbers of the bias; 0 without one.
    pub bias_len: u32,
    /// Elements of half a row; 0 if gate and up are two ranges, or if there is no gate.
    pub columns: u32,
    pub map: IndexMap,
}

impl ActivatedTensor {
    /// A kernel with the tensor's bindings. All kernels that a call may use have the same.
    pub fn any_kernel(&self) -> Kernel {
        self.kernel(decide(&self.map))
    }

    /// The rule by which the tensor of `len` elements is cut. `geometry` is the rule for a tensor
    /// without halves.
    ///
    /// # Errors
    ///
    /// [`ShapeError::LongHalves`]
    pub fn geometry(&self, geometry: &Geometry, len: u64) -> Result<Geometry, ShapeError> {
        let columns = self.columns;
        let halves = match columns {
            0 => Some(*geometry),
            _ => geometry.in_halves(columns.into(), len),
        };
        halves.ok_or(ShapeError::LongHalves { columns })
    }

    /// Checks that the `elements` of a gate are whole rows of `columns` each, and that the two
    /// halves of a row share no `u32`.
    ///
    /// # Errors
    ///
    /// [`ShapeError::Columns`], [`ShapeError::OddHalves`]
    pub fn check_columns(
        columns: u32,
        element: ElementType,
        elements: u64,
    ) -> Result<(), ShapeError> {
        if columns == 0 || !elements.is_multiple_of(columns.into()) {
            return Err(ShapeError::Columns { elements, columns });
        }
        if element.bytes() == 2 && !columns.is_multiple_of(2) {
            return Err(ShapeError::OddHalves { columns });
        }
        Ok(())
    }

    fn kernel(&self, decide: Decide) -> Kernel {
        Kernel::Activated(Activated {
            activation: self.activation,
            element: self.element,
            form: self.form,
            decide,
        })
    }

    /// Returns true if the lengths of bias and half rows are multiples of `lanes`, and a mask word
    /// spans at most two repetitions of each.
    fn has_whole_lanes(&self, lanes: u64) -> bool {
        let whole = |len: u32| {
            let is_long = len == 0 || len >= ELEMENTS_PER_MASK_WORD;
            is_long && u64::from(len).is_multiple_of(lanes)
        };
        whole(self.bias_len) && whole(self.columns)
    }
}

/// The kernels that are right for `map` under every call.
pub(super) fn decide(map: &IndexMap) -> Decide {
    match map.by_word() {
        IndexKind::Packed => Decide::BySide,
        IndexKind::Strided(strided) if strided.sample_ids => Decide::BySide,
        IndexKind::Linear | IndexKind::Strided(_) => Decide::Drawn,
    }
}

/// Returns true if the kernels for consecutive indices are right for `map` under this
/// [`decide_mode`].
pub(super) fn is_consecutive(map: &IndexMap, mode: u32) -> bool {
    match map.by_word() {
        IndexKind::Linear => true,
        // In mode 0 nothing is dropped, so that indices do not matter.
        IndexKind::Strided(strided) => !strided.sample_ids && mode == 0,
        IndexKind::Packed => false,
    }
}

/// The mask index that is passed to the dispatch of `segment`. The tensor's first element has mask
/// index `base`.
pub(super) fn first_index(map: &IndexMap, base: u64, segment: Segment) -> u64 {
    match map.by_word() {
        IndexKind::Linear => base + segment.start,
        // The dimensions of a strided dispatch hold the coordinates of its start.
        IndexKind::Strided(_) | IndexKind::Packed => base,
    }
}

/// The mode of decide/modes.wgsl, by which parameters tell a kernel how to decide.
pub(super) fn decide_mode(map: &IndexMap, call: &DropoutCall) -> u32 {
    match map.by_word() {
        IndexKind::Packed => 4,
        _ if call.rate.drops_nothing() => 0,
        IndexKind::Linear => 1,
        IndexKind::Strided(strided) => match strided.family {
            Family::BlockRows | Family::Rows { .. } => 1,
            Family::Runs { .. } => 2,
            Family::Scattered => 3,
        },
    }
}

/// The dispatches of one call on one tensor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ActivatedPlan<T> {
    tensor: T,
    mask: IndexKind,
    /// A mode of params/activated.wgsl.
    mode: u32,
    /// Mask index of the first element.
    base: u64,
    call: DropoutCall,
}

impl<T: Deref<Target = ActivatedTensor>> ActivatedPlan<T> {
    /// # Errors
    ///
    /// See [`CallError`].
    pub fn new(tensor: T, call: &DropoutCall) -> Result<Self, CallError> {
        call.refuse_but_scaling(Operation::ActDropout)?;
        let base = tensor.map.base(call)?;
        let mask = tensor.map.by_word();
        let in_place = if tensor.in_place { 8 } else { 0 };
        Ok(Self {
            mode: decide_mode(&tensor.map, call) | in_place,
            tensor,
            mask,
            base,
            call: *call,
        })
    }

    pub fn kernel(&self, segment: Segment) -> Kernel {
        let element_bytes = self.tensor.element.bytes();
        let bytes = u64::from(segment.len) * element_bytes;
        let whole = bytes.is_multiple_of(VECTOR_BYTES)
            && self.tensor.has_whole_lanes(VECTOR_BYTES / element_bytes);
        // In mode 0 nothing is dropped, so that indices do not matter.
        let consecutive = match self.mask {
            IndexKind::Linear => true,
            IndexKind::Strided(strided) => !strided.sample_ids && self.mode & 7 == 0,
            IndexKind::Packed => false,
        };
        if whole && consecutive {
            self.tensor.kernel(Decide::Linear)
        } else {
            self.tensor.any_kernel()
        }
    }

    /// The parameters of the dispatch of `segment`. `first_word` is the word of a bound packed mask
    /// that has the segment's first element.
    pub fn params(&self, segment: Segment, first_word: u32) -> ActivatedParams {
        let first_index = match self.mask {
            IndexKind::Linear => self.base + segment.start,
            // The dimensions of a strided dispatch hold the coordinates of its start.
            IndexKind::Strided(_) | IndexKind::Packed => self.base,
        };
        let mut mask = MaskParams::new(&self.call, first_index, segment.len);
        mask.first_word = first_word;
        mask.mask.keep_scale = self.call.scaling_factor();
        let ActivatedTensor {
            bias_len, columns, ..
        } = *self.tensor;
        let bias_start = segment.start.checked_rem(bias_len.into());
        ActivatedParams {
            mask,
            bias_len,
            // A remainder by the bias's length, which has 32 bits.
            bias_start: bias_start.unwrap_or(0) as u32,
            columns,
            mode: self.mode,
        }
    }
}
