//! The packed keep mask as an output, to inspect, to check or to store.

use crate::contract::call::DropoutCall;
use crate::contract::error::CallError;
use crate::contract::layout::MaskLayout;
use crate::contract::mask::mask_words;
use crate::host::bound::BoundSegment;
use crate::host::device::{KernelDescriptor, KernelHost, cut_limits};
use crate::host::error::BindError;
use crate::host::params::ParameterPath;
use crate::host::range::CheckedRange;
#[cfg(not(target_arch = "wasm32"))]
use crate::host::round_trip;
use crate::kernel::axes::Kernel;
use crate::plan::cut::Geometry;
use crate::plan::error::CreateError;
use crate::plan::index_map::IndexMap;
use crate::plan::keep_mask::{MASK_WORD, MaskPlan, first_element};
use crate::plan::params::MaskParams;

/// Writes packed keep masks \[M15\]: element e is bit `e & 31` of word `e >> 5`, 1 means kept, and
/// the spare bits of the last word are 0. The bits are those of [`Dropout`](crate::Dropout) for the
/// same call and elements.
///
/// ```no_run
/// # fn record(device: &wgpu_dropout::wgpu::Device, pass: &mut wgpu_dropout::wgpu::ComputePass<'_>, mask: &wgpu_dropout::wgpu::Buffer) -> Result<(), Box<dyn std::error::Error>> {
/// use wgpu_dropout::{DropoutCall, DropoutRate, KeepMask, KernelDescriptor, MaskKey};
///
/// // 1000 bits in 32 words.
/// let keep_mask = KeepMask::new(device, &KernelDescriptor::default())?;
/// let binding = keep_mask.bind(mask.as_entire_buffer_binding(), 1000)?;
/// let call = DropoutCall::new(DropoutRate::new(0.1)?, MaskKey::layer_step(42, 3, 7));
/// keep_mask.encode(pass, &binding, &call)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct KeepMask {
    pub(crate) host: KernelHost,
    geometry: Geometry,
}

/// A checked buffer for the mask of one tensor; made by [`KeepMask::bind`] and its siblings.
#[derive(Debug)]
pub struct KeepMaskBinding {
    map: IndexMap,
    len: u64,
    bound: Vec<BoundSegment>,
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
        // Two storage buffers: the mask and sample ids. The third binding is a uniform with a
        // strided layout.
        let host = KernelHost::new(device, descriptor, 2, 3, size_of::<MaskParams>())?;
        Ok(Self {
            geometry: Geometry::new(cut_limits(device), MASK_WORD)?,
            host,
        })
    }

    /// The device the kernel is for.
    pub fn device(&self) -> &wgpu::Device {
        &self.host.device
    }

    /// Returns the way in which dispatches receive their parameters, with the reason if it is not
    /// by immediates. Recording takes 7 to 21 times as long without them.
    pub fn parameter_path(&self) -> ParameterPath {
        self.host.parameter_path
    }

    /// For an audit: the same pipelines as on a device whose dispatches take at most `granules`,
    /// with bindings that show `room_bytes` behind their elements.
    #[cfg(feature = "cpu")]
    pub(crate) fn lowered(&self, granules: u64, room_bytes: u64) -> Self {
        Self {
            host: self.host.with_room(room_bytes),
            geometry: self.geometry.lowered(granules),
        }
    }

    /// Binds a buffer for the mask of `len` elements: [`mask_words`]`(len)` words of 4 bytes, with
    /// [`wgpu::BufferUsages::STORAGE`] and an offset aligned to the device's
    /// `min_storage_buffer_offset_alignment`. Panics are those of
    /// [`Dropout::bind`](crate::Dropout::bind).
    ///
    /// # Errors
    ///
    /// See [`BindError`]; nothing was created then.
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
    /// See [`BindError`]; nothing was created then.
    pub fn bind_layout(
        &self,
        mask: wgpu::BufferBinding<'_>,
        layout: &MaskLayout,
    ) -> Result<KeepMaskBinding, BindError> {
        self.bind_ranges(mask, layout, IndexMap::of_layout(layout, false)?, None)
    }

    /// Binds a buffer for the mask of samples that have ids \[M16\]. The samples are the first
    /// dimension of `layout`, and `ids` has a `u32` for each of them. The buffer of the ids must
    /// not be the mask's; its requirements are those of
    /// [`Elements::samples`](crate::Elements::samples).
    ///
    /// # Errors
    ///
    /// See [`BindError`]; nothing was created then.
    pub fn bind_samples(
        &self,
        mask: wgpu::BufferBinding<'_>,
        layout: &MaskLayout,
        ids: wgpu::BufferBinding<'_>,
    ) -> Result<KeepMaskBinding, BindError> {
        let map = IndexMap::of_layout(layout, true)?;
        let ids = self.host.checked_ids(layout, &ids)?;
        self.bind_ranges(mask, layout, map, ids)
    }

    fn bind_ranges(
        &self,
        mask: wgpu::BufferBinding<'_>,
        layout: &MaskLayout,
        map: IndexMap,
        side: Option<CheckedRange<'_>>,
    ) -> Result<KeepMaskBinding, BindError> {
        let len = layout.len();
        let words = mask_words(len);
        let mask = self.host.checked_mask(&mask, len)?;
        if let Some(side) = &side {
            if side.same_buffer(&mask) {
                return Err(BindError::WrittenBuffer { role: side.role });
            }
        }
        let bound = self.host.bind(
            Kernel::KeepMask(map.by_word()),
            self.geometry.segments(words),
            &[mask],
            side.as_slice(),
            |segment| map.params(first_element(segment)),
        )?;
        Ok(KeepMaskBinding { map, len, bound })
    }

    /// Records the writing of the mask of `call`. It sets the same state of the pass as
    /// [`Dropout::encode_forward`](crate::Dropout::encode_forward).
    ///
    /// # Errors
    ///
    /// [`CallError::IndexOverflow`] if a mask index passes 2^64 - 1, [`CallError::Kind`] for
    /// Gaussian noise; nothing was recorded then.
    pub fn encode(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        binding: &KeepMaskBinding,
        call: &DropoutCall,
    ) -> Result<(), CallError> {
        let KeepMaskBinding { map, len, bound } = binding;
        let plan = MaskPlan::new(map, *len, call)?;
        for bound in bound {
            let params: MaskParams = plan.params(bound.segment);
            self.host.dispatch(
                pass,
                plan.kernel(),
                &bound.group,
                bytemuck::bytes_of(&params),
                params.len,
            );
        }
        Ok(())
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl KeepMask {
    /// Appends the mask of a layout to `mask`. With `ids`, it is the mask of samples.
    pub(crate) async fn generate(
        &self,
        queue: &wgpu::Queue,
        layout: &MaskLayout,
        ids: Option<&[u32]>,
        call: &DropoutCall,
        mask: &mut Vec<u32>,
    ) -> Result<(), crate::host::error::RunError> {
        let bytes = mask_words(layout.len()).saturating_mul(4);
        let mut contents = vec![round_trip::Content::Zeros { bytes }];
        contents.extend(ids.map(|ids| round_trip::Content::Constant(bytemuck::cast_slice(ids))));
        round_trip::run(self.device(), queue, &contents, mask, |pass, buffers| {
            let mut buffers = buffers.iter().map(wgpu::Buffer::as_entire_buffer_binding);
            let binding = match (buffers.next(), buffers.next()) {
                (Some(mask), Some(ids)) => self.bind_samples(mask, layout, ids)?,
                (Some(mask), None) => self.bind_layout(mask, layout)?,
                (None, _) => return Ok(()),
            };
            Ok(self.encode(pass, &binding, call)?)
        })
        .await
    }
}
