//! A call in the form in which kernels receive it: twelve scalars.

use bytemuck::{Pod, Zeroable};

use super::call::DropoutCall;
use super::error::{CallError, IndexOverflow};
use super::layout::MaskLayout;
use super::mask::split;

/// One mask and its factors, byte for byte the struct `DropoutMask` of
/// [`wgsl::functions`](crate::wgsl::functions): 48 bytes, which are twelve scalars of 4 bytes with
/// alignment 4. A number of 64 bits takes two of them, the low word first. As a member of a uniform
/// struct it needs `@align(16)`.
///
/// Order and meaning of the fields are part of this crate's public interface. A host in another
/// language gets the same bytes from `wgpu-dropout params`.
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
    /// Factor on kept elements \[M10\]: [`DropoutCall::keep_scale`].
    pub keep_scale: f32,
    /// Number added to kept elements by alpha dropout \[M17\]: [`DropoutCall::keep_shift`]. 0 for
    /// other kinds.
    pub keep_shift: f32,
    /// Value of elements that alpha dropout drops \[M17\]: [`DropoutCall::dropped_value`]. 0 for
    /// other kinds.
    pub dropped_value: f32,
    /// Standard deviation of Gaussian noise \[M20\]:
    /// [`DropoutRate::sigma`](crate::DropoutRate::sigma). 0 if the rate drops everything, since the
    /// deviation is not finite then.
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
    /// The parameters for a kernel of your own that makes its mask by
    /// [`wgsl::functions`](crate::wgsl::functions). Element 0 of that kernel has mask index `origin
    /// + first_index` \[M13\].
    ///
    /// `elements` is the number of mask indices that the kernel uses, counted from element 0.
    ///
    /// # Errors
    ///
    /// [`CallError::IndexOverflow`] if the last of them passes 2^64 - 1, or 2^63 - 1 for Gaussian
    /// noise; [`CallError::Rate`] if Gaussian noise would have no finite variance.
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

    /// [`mask_params`](Self::mask_params) for the tensor of a layout. In the kernel,
    /// `dropout_index` computes the mask index of an element from its coordinates and from the
    /// layout's [strides](MaskLayout::index_strides).
    ///
    /// # Errors
    ///
    /// See [`check`](Self::check).
    pub fn mask_params_of(&self, layout: &MaskLayout) -> Result<DropoutMask, CallError> {
        let first_index = self.base(layout.first_index(), layout.last_index())?;
        Ok(DropoutMask::new(self, first_index))
    }
}
