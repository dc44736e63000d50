//! Dropout on the caller's buffers: build, bind, record.

use std::sync::OnceLock;

use crate::binding::{BoundSegment, CheckedRange};
use crate::call::DropoutCall;
use crate::error::{BindError, CreateError, IndexOverflow};
use crate::geometry::{Geometry, Segment, Unit};
use crate::kernel::{KernelDescriptor, KernelHost};
use crate::mask::ELEMENTS_PER_BLOCK;
use crate::params::MaskParams;
use crate::source::{Access, BufferLayout, Kernel, ValueMap};

const ELEMENT: Unit = Unit {
    bytes: 4,
    per_invocation: ELEMENTS_PER_BLOCK as u64,
};

/// From this length on, the elements behind the last whole block get a dispatch of their own, so
/// that the others are loaded four at a time; below it one dispatch more would cost more.
const TAIL_APART_ELEMENTS: u64 = 1 << 16;

/// Dropout kernels for `f32` on one device.
///
/// Holds a handle of the device and its pipelines; never a queue. It submits, polls and maps
/// nothing outside the [blocking](crate#blocking) calls. Pipelines are compiled at their first
/// use. All methods take `&self`, so that one value serves all layers and threads.
///
/// # Determinism
///
/// `gpu_to_gpu` and to the CPU: the mask is a function of the call and the element's mask index
/// alone \[M1\], values follow \[M11\] to the bit, subnormals excepted.
#[derive(Debug)]
pub struct Dropout {
    host: KernelHost,
    geometry: Geometry,
    separate: LayoutKernels,
    pooled: LayoutKernels,
    in_place: LayoutKernels,
}

/// The kernels of one buffer layout.
#[derive(Debug)]
struct LayoutKernels {
    layout: BufferLayout,
    group_layout: wgpu::BindGroupLayout,
    scale_blocks: OnceLock<wgpu::ComputePipeline>,
    scale_elements: OnceLock<wgpu::ComputePipeline>,
    copy_blocks: OnceLock<wgpu::ComputePipeline>,
    copy_elements: OnceLock<wgpu::ComputePipeline>,
}

impl LayoutKernels {
    fn new(host: &KernelHost, layout: BufferLayout) -> Self {
        let read_only: &[bool] = match layout {
            BufferLayout::Separate => &[true, false],
            BufferLayout::Pooled => &[false, false],
            BufferLayout::InPlace => &[false],
        };
        Self {
            layout,
            group_layout: host.storage_layout(read_only),
            scale_blocks: OnceLock::new(),
            scale_elements: OnceLock::new(),
            copy_blocks: OnceLock::new(),
            copy_elements: OnceLock::new(),
        }
    }

    fn pipeline(
        &self,
        host: &KernelHost,
        value: ValueMap,
        access: Access,
    ) -> &wgpu::ComputePipeline {
        let pipeline = match (value, access) {
            (ValueMap::Scale, Access::Blocks) => &self.scale_blocks,
            (ValueMap::Scale, Access::Elements) => &self.scale_elements,
            (ValueMap::Copy, Access::Blocks) => &self.copy_blocks,
            (ValueMap::Copy, Access::Elements) => &self.copy_elements,
        };
        let kernel = Kernel::Dropout(self.layout, value, access);
        pipeline.get_or_init(|| host.pipeline(kernel, &self.group_layout))
    }
}

/// Checked buffers of one tensor, ready for any number of calls; made by [`Dropout::bind`] and
/// [`Dropout::bind_in_place`].
///
/// It keeps the buffers alive and belongs to the device of the [`Dropout`] that made it.
#[derive(Debug)]
pub struct DropoutBinding {
    layout: BufferLayout,
    len: u64,
    segments: Vec<BoundSegment>,
}

impl DropoutBinding {
    /// Number of elements.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many dispatches one call records: more than one where the tensor is longer than a
    /// binding or a dispatch of the device, and one for the last elements of a long tensor whose
    /// length is no multiple of 8.
    pub fn dispatches(&self) -> usize {
        self.segments.len()
    }
}

impl Dropout {
    /// Prepares the kernels for `device`, which needs no feature and no limit above
    /// [`wgpu::Limits::downlevel_defaults`].
    ///
    /// # Errors
    ///
    /// [`CreateError::Limit`] if the device's limits are lower than the kernels need.
    pub fn new(
        device: &wgpu::Device,
        descriptor: &KernelDescriptor<'_>,
    ) -> Result<Self, CreateError> {
        let host = KernelHost::new(device, descriptor, 2, size_of::<MaskParams>())?;
        Ok(Self {
            geometry: Geometry::new(&device.limits(), ELEMENT)?,
            separate: LayoutKernels::new(&host, BufferLayout::Separate),
            pooled: LayoutKernels::new(&host, BufferLayout::Pooled),
            in_place: LayoutKernels::new(&host, BufferLayout::InPlace),
            host,
        })
    }

    /// The device the kernels are for.
    pub fn device(&self) -> &wgpu::Device {
        &self.host.device
    }

    /// Binds `len` elements of `input` and of `output`: for forward the layer's input and output,
    /// for backward `grad_output` and `grad_input`.
    ///
    /// Both need [`wgpu::BufferUsages::STORAGE`], an offset aligned to the device's
    /// `min_storage_buffer_offset_alignment` and `4 * len` bytes. They may be ranges of one
    /// buffer, if the elements do not overlap. Bytes behind the last element are neither read nor
    /// written. Any length will do: longer tensors than the device binds or dispatches at once
    /// are cut, with the same bits. A length of 0 records nothing.
    ///
    /// # Errors
    ///
    /// See [`BindError`]; nothing was created then.
    pub fn bind(
        &self,
        input: wgpu::BufferBinding<'_>,
        output: wgpu::BufferBinding<'_>,
        len: u64,
    ) -> Result<DropoutBinding, BindError> {
        let limits = self.host.device.limits();
        let input = CheckedRange::new("input", &input, len, ELEMENT.bytes, &limits)?;
        let output = CheckedRange::new("output", &output, len, ELEMENT.bytes, &limits)?;
        let kernels = if input.shares_buffer(&output)? {
            &self.pooled
        } else {
            &self.separate
        };
        Ok(self.bind_ranges(kernels, &[input, output], len))
    }

    /// Binds `len` elements of `data`, which are overwritten by the result. Requirements and
    /// errors as for [`bind`](Self::bind).
    ///
    /// # Errors
    ///
    /// See [`BindError`]; nothing was created then.
    pub fn bind_in_place(
        &self,
        data: wgpu::BufferBinding<'_>,
        len: u64,
    ) -> Result<DropoutBinding, BindError> {
        let limits = self.host.device.limits();
        let data = CheckedRange::new("data", &data, len, ELEMENT.bytes, &limits)?;
        Ok(self.bind_ranges(&self.in_place, &[data], len))
    }

    fn bind_ranges(
        &self,
        kernels: &LayoutKernels,
        ranges: &[CheckedRange<'_>],
        len: u64,
    ) -> DropoutBinding {
        let segments = self
            .cut(len)
            .map(|segment| {
                let windows: Vec<_> = ranges.iter().map(|range| range.window(segment)).collect();
                let group = self.host.storage_group(&kernels.group_layout, &windows);
                BoundSegment { segment, group }
            })
            .collect();
        DropoutBinding {
            layout: kernels.layout,
            len,
            segments,
        }
    }

    fn cut(&self, len: u64) -> impl Iterator<Item = Segment> + use<> {
        let ragged = !len.is_multiple_of(ELEMENT.per_invocation);
        let body = if ragged && len >= TAIL_APART_ELEMENTS {
            self.geometry.whole_granules(len)
        } else {
            len
        };
        let tail = self.geometry.segments(len - body);
        self.geometry
            .segments(body)
            .chain(tail.map(move |tail| Segment {
                start: body + tail.start,
                ..tail
            }))
    }

    /// Records `output = dropout(input)`.
    ///
    /// Sets the pass's pipeline, bind group 0 and either immediates or bind group 1; set your own
    /// again for a dispatch that follows. A rate that drops nothing is a bit copy, and in place
    /// records nothing.
    ///
    /// # Errors
    ///
    /// [`IndexOverflow`] if the last element's mask index passes 2^64 - 1; nothing was recorded
    /// then.
    pub fn encode_forward(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        binding: &DropoutBinding,
        call: &DropoutCall,
    ) -> Result<(), IndexOverflow> {
        self.encode(pass, binding, call)
    }

    /// Records `grad_input = dropout'(grad_output)`: the forward's call gives the forward's mask
    /// \[M14\], and the map is the same. Effects as for [`encode_forward`](Self::encode_forward).
    ///
    /// # Errors
    ///
    /// [`IndexOverflow`], as forward; nothing was recorded then.
    pub fn encode_backward(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        binding: &DropoutBinding,
        call: &DropoutCall,
    ) -> Result<(), IndexOverflow> {
        self.encode(pass, binding, call)
    }

    fn encode(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        binding: &DropoutBinding,
        call: &DropoutCall,
    ) -> Result<(), IndexOverflow> {
        call.check_indices(binding.len)?;
        let value = if call.rate.drops_nothing() {
            ValueMap::Copy
        } else {
            ValueMap::Scale
        };
        let kernels = match binding.layout {
            BufferLayout::Separate => &self.separate,
            BufferLayout::Pooled => &self.pooled,
            BufferLayout::InPlace if value == ValueMap::Copy => return Ok(()),
            BufferLayout::InPlace => &self.in_place,
        };
        for BoundSegment { segment, group } in &binding.segments {
            let params = MaskParams::new(call, segment.start, segment.len);
            // A copy has no lanes.
            let lane = if value == ValueMap::Copy {
                0
            } else {
                params.first_lane
            };
            let access = if lane == 0 && segment.len.is_multiple_of(ELEMENTS_PER_BLOCK) {
                Access::Blocks
            } else {
                Access::Elements
            };
            let pipeline = kernels.pipeline(&self.host, value, access);
            let invocations = (lane + segment.len).div_ceil(ELEMENTS_PER_BLOCK);
            self.host.dispatch(
                pass,
                pipeline,
                group,
                bytemuck::bytes_of(&params),
                invocations,
            );
        }
        Ok(())
    }
}
