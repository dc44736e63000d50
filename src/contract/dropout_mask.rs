//! A call as the kernels are told it: twelve scalars.

use bytemuck::{Pod, Zeroable};

use super::call::DropoutCall;
use super::error::{CallError, IndexOverflow};
use super::layout::MaskLayout;
use super::mask::split;

/// One mask and its factors, byte for byte the struct `DropoutMask` of
/// [`wgsl::functions`](crate::wgsl::functions): 48 bytes of twelve 4-byte scalars, alignment 4, numbers of
/// 64 bits as their low and their high word. In a uniform struct it is a member with `@align(16)`.
///
/// Order and meaning of the fields are part of this crate's public interface. A host in another language
/// gets the same bytes from `wgpu-dropout params`.
///
/// ```
/// use wgpu_dropout::{DropoutCall, DropoutRate, MaskKey};
///
/// let call = DropoutCall::new(DropoutRate::new(0.5)?, MaskKey::layer_step(42, 3, 7));
/// let mask = call.mask_params(0, 1 << 20)?;
/// assert_eq!([mask.stream_low, mask.stream_high], [7, 3]);
/// assert_eq!(mask.keep_scale, 2.0);
/// assert_eq!(bytemuck::bytes_of(&mask).len(), 48);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[repr(C)]
pub struct DropoutMask {
    /// Lower word of the seed, the Philox key \[M3\].
    pub seed_low: u32,
    /// Upper word of the seed.
    pub seed_high: u32,
    /// Lower word of the stream, in the counter \[M5\].
    pub stream_low: u32,
    /// Upper word of the stream.
    pub stream_high: u32,
    /// Lower word of the mask index of element 0 \[M13\].
    pub first_index_low: u32,
    /// Upper word of the mask index of element 0.
    pub first_index_high: u32,
    /// D >> 16, at most 2^16 \[M9\].
    pub threshold_high: u32,
    /// D & 0xffff.
    pub threshold_low: u32,
    /// Factor on kept elements \[M10\], [`DropoutCall::keep_scale`].
    pub keep_scale: f32,
    /// Summand on kept elements of alpha dropout \[M17\], [`DropoutCall::keep_shift`]; else 0.
    pub keep_shift: f32,
    /// Value of dropped elements of alpha dropout \[M17\], [`DropoutCall::dropped_value`]; else 0.
    pub dropped_value: f32,
    /// Standard deviation of Gaussian noise \[M20\], [`DropoutRate::sigma`](crate::DropoutRate::sigma); 0
    /// where everything is dropped, which has no finite one.
    pub sigma: f32,
}

impl DropoutMask {
    /// The mask of `call` whose element 0 has mask index `first_index`, the call's origin included.
    pub(crate) fn new(call: &DropoutCall, first_index: u64) -> Self {
        let drop_threshold = call.rate.drop_threshold();
        let [seed_low, seed_high] = split(call.key.seed);
        let [stream_low, stream_high] = split(call.key.stream);
        let [first_index_low, first_index_high] = split(first_index);
        Self {
            seed_low,
            seed_high,
            stream_low,
            stream_high,
            first_index_low,
            first_index_high,
            threshold_high: (drop_threshold >> 16) as u32,
            threshold_low: (drop_threshold & 0xffff) as u32,
            keep_scale: call.keep_scale(),
            keep_shift: call.keep_shift(),
            dropped_value: call.dropped_value(),
            sigma: if call.rate.drops_all() {
                0.0
            } else {
                call.rate.sigma()
            },
        }
    }
}

impl DropoutCall {
    /// The parameters of a kernel of the caller's own, which makes its mask by
    /// [`wgsl::functions`](crate::wgsl::functions): element 0 of the kernel has mask index
    /// `origin + first_index` \[M13\].
    ///
    /// `elements` is the number of mask indices that the kernel uses from there on.
    ///
    /// # Errors
    ///
    /// [`CallError::IndexOverflow`] if the last of them passes 2^64 - 1, or 2^63 - 1 for Gaussian noise;
    /// [`CallError::Rate`] if Gaussian noise would have no finite variance.
    pub fn mask_params(&self, first_index: u64, elements: u64) -> Result<DropoutMask, CallError> {
        let last = match elements.checked_sub(1) {
            Some(steps) => Some(first_index.checked_add(steps).ok_or(IndexOverflow::Call {
                origin: self.origin.saturating_add(first_index),
                len: elements,
                max: self.largest_index(),
            })?),
            None => None,
        };
        let first_index = self.base(first_index, last)?;
        Ok(DropoutMask::new(self, first_index))
    }

    /// [`mask_params`](Self::mask_params) for the tensor of a layout: the mask index of an element is what
    /// `dropout_index` makes of its coordinates and of the [strides](MaskLayout::index_strides).
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub fn mask_params_of(&self, layout: &MaskLayout) -> Result<DropoutMask, CallError> {
        let first_index = self.base(layout.first_index(), layout.last_index())?;
        Ok(DropoutMask::new(self, first_index))
    }
}
