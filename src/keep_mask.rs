//! The keep mask itself, packed: for looking at it, checking it or keeping it after all.

use std::sync::OnceLock;

use crate::binding::{BoundSegment, CheckedRange};
use crate::call::DropoutCall;
use crate::error::{BindError, CreateError, IndexOverflow};
use crate::geometry::{Geometry, Unit};
use crate::kernel::{KernelDescriptor, KernelHost};
use crate::mask::{ELEMENTS_PER_MASK_WORD, mask_words};
use crate::params::MaskParams;
use crate::source::Kernel;

const WORD: Unit = Unit {
    bytes: 4,
    per_invocation: 1,
};

/// Writes packed keep masks \[M15\]: element e in bit `e & 31` of word `e >> 5`, 1 = kept, spare
/// bits 0. The bits are those of [`Dropout`](crate::Dropout) for the same call.
#[derive(Debug)]
pub struct KeepMask {
    host: KernelHost,
    geometry: Geometry,
    group_layout: wgpu::BindGroupLayout,
    pipeline: OnceLock<wgpu::ComputePipeline>,
}

/// A checked buffer for the mask of one tensor; made by [`KeepMask::bind`].
#[derive(Debug)]
pub struct KeepMaskBinding {
    len: u64,
    segments: Vec<BoundSegment>,
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
        let host = KernelHost::new(device, descriptor, 1, size_of::<MaskParams>())?;
        Ok(Self {
            geometry: Geometry::new(&device.limits(), WORD)?,
            group_layout: host.storage_layout(&[false]),
            pipeline: OnceLock::new(),
            host,
        })
    }

    /// The device the kernel is for.
    pub fn device(&self) -> &wgpu::Device {
        &self.host.device
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
        let words = mask_words(len);
        let mask = CheckedRange::new("mask", &mask, words, WORD.bytes, &self.host.device.limits())?;
        let segments = self
            .geometry
            .segments(words)
            .map(|segment| {
                let group = self
                    .host
                    .storage_group(&self.group_layout, &[mask.window(segment)]);
                BoundSegment { segment, group }
            })
            .collect();
        Ok(KeepMaskBinding { len, segments })
    }

    /// Records the writing of the mask of `call`. Sets the same state of the pass as
    /// [`Dropout::encode_forward`](crate::Dropout::encode_forward).
    ///
    /// # Errors
    ///
    /// [`IndexOverflow`] if the last element's mask index passes 2^64 - 1; nothing was recorded
    /// then.
    pub fn encode(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        binding: &KeepMaskBinding,
        call: &DropoutCall,
    ) -> Result<(), IndexOverflow> {
        call.check_indices(binding.len)?;
        let pipeline = self
            .pipeline
            .get_or_init(|| self.host.pipeline(Kernel::KeepMask, &self.group_layout));
        for BoundSegment { segment, group } in &binding.segments {
            let per_word = u64::from(ELEMENTS_PER_MASK_WORD);
            let start = segment.start * per_word;
            // At most 2^26 words of 32 elements.
            let len = (binding.len - start).min(u64::from(segment.len) * per_word) as u32;
            let params = MaskParams::new(call, start, len);
            self.host.dispatch(
                pass,
                pipeline,
                group,
                bytemuck::bytes_of(&params),
                segment.len,
            );
        }
        Ok(())
    }
}
