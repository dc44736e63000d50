//! The dispatches for rows with a norm, and their kernels.

use core::ops::Deref;

use bytemuck::Zeroable;

use super::activated::{decide, decide_mode, first_index, is_consecutive};
use super::cut::Segment;
use super::index_map::IndexMap;
use super::params::{MaskParams, NormParams};
use super::rows::Rows;
use crate::contract::call::DropoutCall;
use crate::contract::error::{CallError, Operation};
use crate::contract::norm::{MaskPlace, Norm};
use crate::kernel::activated::Decide;
use crate::kernel::axes::Kernel;
use crate::kernel::normed::{NormForm, Normed};

/// The numbers of params/norm.wgsl.
const RMS: u32 = 8;
const HAS_BIAS: u32 = 16;
pub(crate) const HAS_RESIDUAL: u32 = 32;
#[cfg(feature = "wgpu")]
pub(crate) const SUM_IN_OUTPUT: u32 = 64;
const ACCUMULATE: u32 = 128;

/// Rows of one type that have a norm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct NormRows {
    pub norm: Norm,
    pub rows: Rows,
}

impl NormRows {
    /// The parameters of a dispatch that computes moments.
    pub fn moments_params(self, segment: Segment) -> NormParams {
        let columns = self.rows.columns;
        let mut params = NormParams {
            columns,
            reciprocal: 1.0 / columns as f32,
            epsilon: self.norm.epsilon(),
            lanes: self.rows.order().lanes,
            mode: if self.norm.is_rms() { RMS } else { 0 },
            // Only the kernel of moments reads this. It fits 32 bits there, since the device binds
            // the moments of all rows at once.
            first_row: (segment.start / u64::from(columns)) as u32,
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
            element: self.rows.rows.element,
            form: self.form,
            place: self.place,
            decide,
        })
    }
}

/// The dispatches of one call on one tensor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NormPlan<T> {
    tensor: T,
    mode: u32,
    /// Mask index of the first element.
    base: u64,
    call: DropoutCall,
}

impl<T: Deref<Target = NormTensor>> NormPlan<T> {
    /// With `accumulate` the gradient of the sum is added to the content of its range.
    ///
    /// # Errors
    ///
    /// See [`CallError`].
    pub fn new(tensor: T, call: &DropoutCall, accumulate: bool) -> Result<Self, CallError> {
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
        let rows = self.tensor.rows.rows;
        let whole = [rows.columns, self.tensor.bias_len].map(|len| rows.is_whole_vectors(len));
        if is_consecutive(&self.tensor.map, self.mode & 7) && whole == [true; 2] {
            self.tensor.kernel(Decide::Linear)
        } else {
            self.tensor.any_kernel()
        }
    }

    /// The parameters of the dispatch of `segment`. `first_word` is the word of a bound packed mask
    /// that has the segment's first element.
    pub fn params(&self, segment: Segment, first_word: u32) -> NormParams {
        let first_index = first_index(&self.tensor.map, self.base, segment);
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
