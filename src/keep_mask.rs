//! The keep mask itself, packed: for looking at it, checking it or keeping it after all.

use crate::binding::CheckedRange;
use crate::call::DropoutCall;
use crate::error::{BindError, CreateError, IndexOverflow};
use crate::geometry::{Geometry, Segment, Unit};
use crate::kernel::{KernelDescriptor, KernelHost};
use crate::layout::MaskLayout;
use crate::mask::{ELEMENTS_PER_MASK_WORD, MaskPosition, mask_words};
use crate::params::MaskParams;
use crate::source::{Kernel, MaskSource};
use crate::strided::StridedLayout;

const WORD: Unit = Unit {
    bytes: 4,
    per_invocation: 1,
};

/// Writes packed keep masks \[M15\]: element e in bit `e & 31` of word `e >> 5`, 1 = kept, spare
/// bits 0. The bits are those of [`Dropout`](crate::Dropout) for the same call and elements.
#[derive(Debug)]
pub struct KeepMask {
    host: KernelHost,
    geometry: Geometry,
}

/// A checked buffer for the mask of one tensor; made by [`KeepMask::bind`] and its siblings.
#[derive(Debug)]
pub struct KeepMaskBinding {
    len: u64,
    first_index: u64,
    last_index: Option<u64>,
    strided: Option<StridedLayout>,
    segments: Vec<(Segment, wgpu::BindGroup)>,
}

impl KeepMask {
    /// Prepares the kernel for `device`.
    ///
    /// # Errors
    ///
    /// [`CreateError::Limit`] if the device's limits are lower than the kernel needs.
    pub fn new(
        device: &wgpu::Device,
        descriptor: &KernelDescriptor<'_>,
    ) -> Result<Self, CreateError> {
        // The mask, and sample ids.
        let host = KernelHost::new(device, descriptor, 2, size_of::<MaskParams>())?;
        Ok(Self {
            geometry: Geometry::new(&device.limits(), WORD)?,
            host,
        })
    }

    /// The device the kernel is for.
    pub fn device(&self) -> &wgpu::Device {
        &self.host.device
    }

    /// For an audit: as on a device whose dispatches take `granules` at most, with `room_bytes` behind
    /// the elements of a window.
    #[cfg(feature = "cpu")]
    pub(crate) fn lowered(&self, granules: u64, room_bytes: u64) -> Self {
        Self {
            host: self.host.with_room(room_bytes),
            geometry: self.geometry.lowered(granules),
        }
    }

    /// Binds a buffer for the mask of `len` elements: [`mask_words`]`(len)` words of 4 bytes, with
    /// [`wgpu::BufferUsages::STORAGE`] and an offset aligned to the device's
    /// `min_storage_buffer_offset_alignment`.
    ///
    /// # Errors
    ///
    /// See [`BindError`]; nothing was created then. Its lengths count words.
    pub fn bind(
        &self,
        mask: wgpu::BufferBinding<'_>,
        len: u64,
    ) -> Result<KeepMaskBinding, BindError> {
        self.bind_layout(mask, &MaskLayout::linear(len))
    }

    /// Binds a buffer for the mask of a layout, as [`bind`](Self::bind) does for a length.
    ///
    /// # Errors
    ///
    /// See [`BindError`]; nothing was created then. Its lengths count words.
    pub fn bind_layout(
        &self,
        mask: wgpu::BufferBinding<'_>,
        layout: &MaskLayout,
    ) -> Result<KeepMaskBinding, BindError> {
        self.bind_ranges(mask, layout, layout.last_index(), None)
    }

    /// Binds a buffer for the mask of samples, the first dimension of `layout`, each with an id of
    /// its own \[M16\]: `ids` has a `u32` for each, in a buffer of its own that
    /// [`Elements::Samples`](crate::Elements::Samples) could use.
    ///
    /// # Errors
    ///
    /// See [`BindError`]; nothing was created then. Its lengths count words and ids.
    pub fn bind_samples(
        &self,
        mask: wgpu::BufferBinding<'_>,
        layout: &MaskLayout,
        ids: wgpu::BufferBinding<'_>,
    ) -> Result<KeepMaskBinding, BindError> {
        let last_index = layout.last_sample_index()?;
        // Without a sample there are no ids to bind.
        let ids = (!layout.is_empty()).then(|| self.host.checked_ids(layout, &ids));
        self.bind_ranges(mask, layout, last_index, ids.transpose()?)
    }

    fn bind_ranges(
        &self,
        mask: wgpu::BufferBinding<'_>,
        layout: &MaskLayout,
        last_index: Option<u64>,
        ids: Option<CheckedRange<'_>>,
    ) -> Result<KeepMaskBinding, BindError> {
        let len = layout.len();
        let strided = if layout.is_empty() {
            None
        } else {
            StridedLayout::new(layout, ids.is_some())?
        };
        let words = mask_words(len);
        let mask = self.host.checked("mask", &mask, words, WORD.bytes)?;
        if ids.as_ref().is_some_and(|ids| ids.same_buffer(&mask)) {
            return Err(BindError::WrittenBuffer { role: "sample ids" });
        }
        let kernel = kernel(strided.as_ref());
        let group_layout = self.host.group_layout(kernel);
        let bind = |segment: Segment| {
            let dimensions = strided.as_ref().map(|layout| {
                let start = segment.start * u64::from(ELEMENTS_PER_MASK_WORD);
                let params = layout.params(start);
                self.host.uniform(bytemuck::bytes_of(&params))
            });
            let mut bindings = vec![(0, mask.window(segment))];
            if let Some(dimensions) = &dimensions {
                bindings.push((2, dimensions.as_entire_buffer_binding()));
            }
            if let Some(ids) = &ids {
                bindings.push((3, ids.whole()));
            }
            (segment, self.host.group(&group_layout, &bindings))
        };
        let segments = self.geometry.segments(words).map(bind).collect();
        Ok(KeepMaskBinding {
            len,
            first_index: layout.first_index(),
            last_index,
            strided,
            segments,
        })
    }

    /// Records the writing of the mask of `call`. Sets the same state of the pass as
    /// [`Dropout::encode_forward`](crate::Dropout::encode_forward).
    ///
    /// # Errors
    ///
    /// [`IndexOverflow`] if a mask index passes 2^64 - 1; nothing was recorded then.
    pub fn encode(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        binding: &KeepMaskBinding,
        call: &DropoutCall,
    ) -> Result<(), IndexOverflow> {
        let KeepMaskBinding {
            len,
            first_index,
            last_index,
            strided,
            segments,
        } = binding;
        let base = call.base(*first_index, *last_index)?;
        let kernel = kernel(strided.as_ref());
        for (segment, group) in segments {
            let per_word = u64::from(ELEMENTS_PER_MASK_WORD);
            let start = segment.start * per_word;
            // At most 2^26 words of 32 elements.
            let elements = (len - start).min(u64::from(segment.len) * per_word) as u32;
            // A strided dispatch learns where it begins from its coordinates.
            let first = if strided.is_none() {
                base + start
            } else {
                base
            };
            let params = MaskParams::new(call, MaskPosition::of(first), elements);
            self.host.dispatch(
                pass,
                kernel,
                group,
                bytemuck::bytes_of(&params),
                segment.len,
            );
        }
        Ok(())
    }
}

fn kernel(layout: Option<&StridedLayout>) -> Kernel {
    Kernel::KeepMask(layout.map_or(MaskSource::Linear, |layout| {
        MaskSource::Strided(layout.strided(false))
    }))
}
