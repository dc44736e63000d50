//! The dispatches for rows with a softmax, and their kernels.

use core::ops::Deref;

use super::activated::{decide, decide_mode, first_index, is_consecutive};
use super::cut::Segment;
use super::index_map::IndexMap;
use super::params::{MaskParams, SoftmaxParams};
use super::rows::Rows;
use crate::contract::call::DropoutCall;
use crate::contract::effect::Direction;
use crate::contract::error::{CallError, Operation};
use crate::contract::softmax::{AttentionMask, Softmax};
use crate::kernel::activated::Decide;
use crate::kernel::axes::Kernel;
use crate::kernel::softmaxed::{SoftmaxForm, Softmaxed};

/// The numbers of params/softmax.wgsl.
const ADDITIVE: u32 = 8;
const CAUSAL: u32 = 16;
#[cfg(feature = "wgpu")]
pub(crate) const IN_OUTPUT: u32 = 32;
const PROBABILITIES: u32 = 64;

/// The kernel's form and flags if the forward stores the probabilities, or the backward reads them.
pub(crate) const fn form_and_flags(
    direction: Direction,
    probabilities: bool,
) -> (SoftmaxForm, u32) {
    match (direction, probabilities) {
        (Direction::Forward, false) => (SoftmaxForm::Forward, 0),
        (Direction::Forward, true) => (SoftmaxForm::Forward, PROBABILITIES),
        (Direction::Backward, false) => (SoftmaxForm::Gradient, 0),
        (Direction::Backward, true) => (SoftmaxForm::GradientFromProbabilities, 0),
    }
}

/// A tensor with a softmax, as it is bound.
#[derive(Clone, Debug)]
pub(crate) struct SoftmaxTensor {
    pub softmax: Softmax,
    pub rows: Rows,
    /// An additive mask is given by its length.
    pub mask: AttentionMask<u32>,
    pub form: SoftmaxForm,
    /// [`IN_OUTPUT`] and [`PROBABILITIES`].
    pub flags: u32,
    pub map: IndexMap,
}

impl SoftmaxTensor {
    /// The kernel that stands for all kernels with the tensor's buffers.
    pub fn any_kernel(&self) -> Kernel {
        self.kernel(decide(&self.map))
    }

    fn kernel(&self, decide: Decide) -> Kernel {
        Kernel::Softmaxed(Softmaxed {
            element: self.rows.element,
            form: self.form,
            decide,
        })
    }
}

/// The dispatches of one call on one tensor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SoftmaxPlan<T> {
    tensor: T,
    mode: u32,
    /// Mask index of the first element.
    base: u64,
    call: DropoutCall,
}

impl<T: Deref<Target = SoftmaxTensor>> SoftmaxPlan<T> {
    /// # Errors
    ///
    /// See [`CallError`].
    pub fn new(tensor: T, call: &DropoutCall) -> Result<Self, CallError> {
        call.refuse_but_scaling(Operation::SoftmaxDropout)?;
        Ok(Self {
            mode: decide_mode(&tensor.map, call),
            base: tensor.map.base(call)?,
            tensor,
            call: *call,
        })
    }

    pub fn kernel(&self) -> Kernel {
        let rows = self.tensor.rows;
        let whole = rows.is_whole_vectors(rows.columns);
        if is_consecutive(&self.tensor.map, self.mode) && whole {
            self.tensor.kernel(Decide::Linear)
        } else {
            self.tensor.any_kernel()
        }
    }

    /// The parameters of the dispatch of `segment`. `first_word` is the word of a bound packed mask
    /// that has the segment's first element.
    pub fn params(&self, segment: Segment, first_word: u32) -> SoftmaxParams {
        let SoftmaxTensor {
            softmax,
            rows,
            mask,
            flags,
            map,
            ..
        } = &*self.tensor;
        let first = first_index(map, self.base, segment);
        let mut mask_params = MaskParams::new(&self.call, first, segment.len);
        mask_params.first_word = first_word;
        mask_params.mask.keep_scale = self.call.scaling_factor();
        let (flag, period_rows, offset) = match *mask {
            AttentionMask::None => (0, 1, 0),
            AttentionMask::Additive(len) => (ADDITIVE, len / rows.columns, 0),
            AttentionMask::Causal {
                rows_per_matrix,
                offset,
            } => {
                // Rows and columns are 2^24 at most.
                let far = 1 << 25;
                (CAUSAL, rows_per_matrix, offset.clamp(-far, far))
            }
        };
        let first_row = segment.start / u64::from(rows.columns);
        SoftmaxParams {
            mask: mask_params,
            columns: rows.columns,
            lanes: rows.order().lanes,
            mode: self.mode | flags | flag,
            factor: softmax.factor(),
            score_limit: softmax.score_limit(),
            period_rows,
            // Below the period.
            first_row: (first_row % u64::from(period_rows)) as u32,
            offset,
        }
    }
}
