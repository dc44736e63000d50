//! Dropout on the caller's buffers: build, bind, record.

use crate::contract::call::DropoutCall;
use crate::contract::effect::Direction;
use crate::contract::element::ElementType;
use crate::contract::error::CallError;
use crate::host::bound::BoundSegment;
use crate::host::device::{KernelDescriptor, KernelHost, cut_limits};
use crate::host::elements::{Described, Elements};
use crate::host::error::BindError;
use crate::host::params::ParameterPath;
use crate::host::range::CheckedRange;
use crate::kernel::axes::{BufferLayout, Role};
use crate::plan::cut::Geometry;
use crate::plan::dispatch::{Plan, Tensor, cut, unit};
use crate::plan::error::CreateError;
use crate::plan::params::MaskParams;

/// Dropout kernels on one device.
///
/// It holds a handle of the device, and the pipelines, but no queue. It submits, polls and maps
/// nothing outside the [blocking](crate#blocking) calls. Pipelines are compiled at their first use,
/// or before it by [`compile`](Self::compile). All methods take `&self`: one value serves all
/// layers and all threads.
///
/// # Determinism
///
/// Masks have the same bits on every adapter and on the CPU (CUB calls this level `gpu_to_gpu`): a
/// mask is a function of the call and the element's mask index alone \[M1\], not of its
/// [type](ElementType). Values follow \[M11\] to the bit, with two exceptions: subnormals, and
/// values of [`Alpha`](crate::DropoutKind::Alpha), which may differ by one rounding.
///
/// ```no_run
/// # fn record(device: &wgpu_dropout::wgpu::Device, pass: &mut wgpu_dropout::wgpu::ComputePass<'_>, x: &wgpu_dropout::wgpu::Buffer, y: &wgpu_dropout::wgpu::Buffer) -> Result<(), Box<dyn std::error::Error>> {
/// use wgpu_dropout::{Dropout, DropoutCall, DropoutRate, KernelDescriptor, MaskKey};
///
/// let dropout = Dropout::new(device, &KernelDescriptor::default())?;
/// let (x, y) = (x.as_entire_buffer_binding(), y.as_entire_buffer_binding());
/// let binding = dropout.bind(x, y, 1000)?;
/// let call = DropoutCall::new(DropoutRate::new(0.1)?, MaskKey::layer_step(42, 3, 7));
/// dropout.encode_forward(pass, &binding, &call)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Dropout {
    pub(crate) host: KernelHost,
    /// Geometries for elements of 4 bytes and of 2 bytes, in this order.
    geometry: [Geometry; 2],
}

/// Checked buffers of one tensor, ready for any number of calls; made by [`Dropout::bind`] and
/// [`Dropout::bind_in_place`].
///
/// It keeps the buffers alive, and belongs to the device of the [`Dropout`] that made it. Two later
/// mistakes are found only by wgpu, which reports them to the device's error handler, by default a
/// panic. If the pass belongs to another device, wgpu reports it when the encoder finishes. If a
/// buffer has been destroyed, wgpu reports it when the commands are submitted.
#[derive(Debug)]
pub struct DropoutBinding {
    tensor: Tensor,
    bound: Vec<BoundSegment>,
}

impl DropoutBinding {
    /// Number of elements.
    pub fn len(&self) -> u64 {
        self.tensor.len
    }

    /// Returns true if there is no element.
    pub fn is_empty(&self) -> bool {
        self.tensor.len == 0
    }

    /// Returns the most dispatches that a call records. A tensor that is longer than a binding or a
    /// dispatch of the device takes several. A long tensor whose length is not a multiple of 8
    /// takes one more, for its last elements.
    pub fn dispatches(&self) -> usize {
        self.bound.len()
    }
}

impl Dropout {
    /// Prepares the kernels for `device`. The device needs no feature, and no limit above
    /// [`wgpu::Limits::downlevel_defaults`].
    ///
    /// # Errors
    ///
    /// [`CreateError::Limit`] if the device's limits are lower than the kernels need.
    pub fn new(
        device: &wgpu::Device,
        descriptor: &KernelDescriptor<'_>,
    ) -> Result<Self, CreateError> {
        // Three storage buffers: input, output, and a mask or sample ids. The fourth binding is a
        // uniform with a strided layout.
        let host = KernelHost::new(device, descriptor, 3, 4, size_of::<MaskParams>())?;
        Ok(Self {
            geometry: [
                Geometry::new(cut_limits(device), unit(ElementType::F32))?,
                Geometry::new(cut_limits(device), unit(ElementType::F16))?,
            ],
            host,
        })
    }

    /// The device the kernels are for.
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
            geometry: self.geometry.map(|geometry| geometry.lowered(granules)),
        }
    }

    /// Binds `elements` of `input` and of `output`: for forward the layer's input and output, for
    /// backward `grad_output` and `grad_input`. `elements` is a length, a
    /// [`MaskLayout`](crate::MaskLayout) or one of [`Elements`], of `f32` or [of another
    /// type](Elements::of_type).
    ///
    /// Both need [`wgpu::BufferUsages::STORAGE`], an offset aligned to the device's
    /// `min_storage_buffer_offset_alignment`, and room for the elements. An element of `f32` takes
    /// 4 bytes, one of a 16-bit type takes 2. An odd number of 16-bit elements takes 2 bytes more,
    /// which keep their content. Input and output may be two ranges of one buffer that share none
    /// of these bytes. Bytes of a range after its elements are neither read nor written. Any length
    /// is allowed: a tensor that is longer than the device binds or dispatches at once is cut into
    /// several dispatches, with the same result. A length of 0 records nothing.
    ///
    /// # Errors
    ///
    /// See [`BindError`]; nothing was created then. In a browser, a destroyed buffer or one of
    /// another device gives no error here; the device reports it later.
    ///
    /// # Panics
    ///
    /// wgpu does not tell which [`wgpu::Instance`] a buffer belongs to. For a buffer of another
    /// instance it panics, or silently uses the buffer of this instance that has the same internal
    /// number.
    pub fn bind<'a>(
        &self,
        input: wgpu::BufferBinding<'_>,
        output: wgpu::BufferBinding<'_>,
        elements: impl Into<Elements<'a>>,
    ) -> Result<DropoutBinding, BindError> {
        let described = elements.into().describe(&self.host)?;
        let Described { element, len, .. } = described;
        let input = self
            .host
            .checked(Role::Input, &input, len, element.bytes())?;
        let output = self
            .host
            .checked(Role::Output, &output, len, element.bytes())?;
        let ranges = [input, output];
        self.bind_ranges(BufferLayout::of(&ranges)?, &ranges, described)
    }

    /// Binds `elements` of `data`, which are overwritten by the result. Requirements, errors and
    /// panics as for [`bind`](Self::bind).
    ///
    /// # Errors
    ///
    /// See [`BindError`]; nothing was created then.
    pub fn bind_in_place<'a>(
        &self,
        data: wgpu::BufferBinding<'_>,
        elements: impl Into<Elements<'a>>,
    ) -> Result<DropoutBinding, BindError> {
        let described = elements.into().describe(&self.host)?;
        let Described { element, len, .. } = described;
        let data = self.host.checked(Role::Data, &data, len, element.bytes())?;
        self.bind_ranges(BufferLayout::InPlace, &[data], described)
    }

    fn bind_ranges(
        &self,
        buffers: BufferLayout,
        ranges: &[CheckedRange<'_>],
        described: Described<'_>,
    ) -> Result<DropoutBinding, BindError> {
        let Described {
            element,
            map,
            len,
            side,
        } = described;
        let is_written = |range: &CheckedRange<'_>, other: &CheckedRange<'_>| {
            // wgpu tracks usage by buffer. With `Pooled`, input and output share one, so both count
            // as written.
            let read = range.role == Role::Input && buffers == BufferLayout::Separate;
            !read && range.same_buffer(other)
        };
        if let Some(side) = &side {
            if ranges.iter().any(|range| is_written(range, side)) {
                return Err(BindError::WrittenBuffer { role: side.role });
            }
        }
        let tensor = Tensor {
            element,
            buffers,
            map,
            len,
        };
        let geometry = &self.geometry[usize::from(element.bytes() == 2)];
        let bound = self.host.bind(
            tensor.any_kernel(),
            cut(geometry, len),
            ranges,
            side.as_slice(),
            |segment| tensor.map.params(segment.start),
        )?;
        Ok(DropoutBinding { tensor, bound })
    }

    /// Compiles the pipelines that [`encode_forward`](Self::encode_forward) and
    /// [`encode_backward`](Self::encode_backward) use for this `binding` and `call`, so that the
    /// first step does not wait for them. Two calls share pipelines if they have the same
    /// [kind](DropoutCall::kind), if both rates drop something or both drop nothing, and if their
    /// origins have the same remainder modulo 8. Their keys do not matter.
    ///
    /// # Errors
    ///
    /// See [`CallError`]; nothing was compiled then.
    pub fn compile(&self, binding: &DropoutBinding, call: &DropoutCall) -> Result<(), CallError> {
        for &direction in Direction::ALL {
            if let Some(plan) = Plan::new(&binding.tensor, call, direction)? {
                for bound in &binding.bound {
                    self.host.compile(plan.kernel(bound.segment));
                }
            }
        }
        Ok(())
    }

    /// Records `output = dropout(input)`.
    ///
    /// It sets the pass's pipeline, bind group 0, and either immediates or bind group 1: set your
    /// own again before your next dispatch. At a rate that drops nothing it copies the bits, or in
    /// place records nothing.
    ///
    /// # Errors
    ///
    /// [`CallError::IndexOverflow`] if a mask index passes 2^64 - 1. For
    /// [`Gaussian`](crate::DropoutKind::Gaussian), [`CallError::IndexOverflow`] if a mask index
    /// passes 2^63 - 1, [`CallError::Rate`] if the rate drops everything, and [`CallError::Kind`]
    /// if a packed mask is bound. Nothing was recorded then.
    pub fn encode_forward(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        binding: &DropoutBinding,
        call: &DropoutCall,
    ) -> Result<(), CallError> {
        self.encode(pass, binding, call, Direction::Forward)
    }

    /// Records `grad_input = dropout'(grad_output)`: the call of the forward gives the mask of the
    /// forward \[M14\]. Gradients of kept elements are multiplied by
    /// [`keep_scale`](DropoutCall::keep_scale), the others are +0. It affects the pass as
    /// [`encode_forward`](Self::encode_forward) does.
    ///
    /// # Errors
    ///
    /// See [`encode_forward`](Self::encode_forward).
    pub fn encode_backward(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        binding: &DropoutBinding,
        call: &DropoutCall,
    ) -> Result<(), CallError> {
        self.encode(pass, binding, call, Direction::Backward)
    }

    /// Records the call in `direction`: [`encode_forward`](Self::encode_forward) or
    /// [`encode_backward`](Self::encode_backward).
    ///
    /// # Errors
    ///
    /// See [`encode_forward`](Self::encode_forward).
    pub fn encode(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        binding: &DropoutBinding,
        call: &DropoutCall,
        direction: Direction,
    ) -> Result<(), CallError> {
        let Some(plan) = Plan::new(&binding.tensor, call, direction)? else {
            return Ok(());
        };
        for bound in &binding.bound {
            let params: MaskParams = plan.params(bound.segment, bound.first_word);
            self.host.dispatch(
                pass,
                plan.kernel(bound.segment),
                &bound.group,
                bytemuck::bytes_of(&params),
                bound.segment.len,
            );
        }
        Ok(())
    }
}
