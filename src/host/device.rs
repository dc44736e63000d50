//! The shared state of one device's kernels: features, layouts, pipelines, a dispatch.

#[cfg(not(target_arch = "wasm32"))]
use core::error::Error;
use std::sync::{Arc, PoisonError, RwLock};

use super::bound::BoundSegment;
use super::driver;
#[cfg(all(test, feature = "cpu"))]
use super::faults;
use super::params::{ParameterPath, ParamsPath, uniform_buffer};
use super::range::CheckedRange;
use crate::contract::layout::MaskLayout;
use crate::contract::mask::mask_words;
use crate::host::error::BindError;
use crate::kernel::axes::{
    BlockAccess, BufferAccess, F16Conversion, Kernel, Multiply, ParamsSource, Role, WORKGROUP_SIZE,
    Way,
};
use crate::kernel::text::assemble;
use crate::plan::cut::{CutLimits, Segment, at_least};
use crate::plan::error::{CreateError, Limit};
use crate::plan::fused::check_repeats;
use crate::plan::params::{DIMENSIONS_BYTES, DimensionParams, MAX_DIMENSIONS};

/// Options for making [`Dropout`](crate::Dropout), [`KeepMask`](crate::KeepMask) and the other
/// operations. `Default` is right for most programs. A minor release may add a field, so end a
/// value with `..Default::default()`.
#[derive(Clone, Debug, Default)]
pub struct KernelDescriptor<'a> {
    /// The beginning of the label of each wgpu object that is created.
    pub label: wgpu::Label<'a>,
    /// Features of the device to leave unused. Results have the same bits without them. This is for
    /// checks that compare both, and for a driver in which a feature is broken. By default
    /// [`SHADER_INT64`](wgpu::Features::SHADER_INT64) and
    /// [`IMMEDIATES`](wgpu::Features::IMMEDIATES) are used if the device has them, and immediates
    /// only if its `max_immediate_size` is enough. [`ParameterPath`] tells if immediates are used.
    pub avoid: wgpu::Features,
    /// A cache of compiled pipelines. A pipeline that an earlier run of the program compiled is not
    /// compiled again. It is passed to wgpu with each pipeline. The caller makes it by
    /// [`create_pipeline_cache`](wgpu::Device::create_pipeline_cache), on a device with
    /// [`PIPELINE_CACHE`](wgpu::Features::PIPELINE_CACHE). That function is unsafe, since wgpu
    /// trusts the data it is given. To save the cache, write what
    /// [`get_data`](wgpu::PipelineCache::get_data) returns.
    pub pipeline_cache: Option<&'a wgpu::PipelineCache>,
    /// True to convert `f16` by WGSL's `unpack2x16float` and `pack2x16float` in inverted dropout of
    /// whole mask blocks, with fewer instructions. WGSL does not require them to be exact. Set it
    /// only if [`audit::f16_conversions`](crate::audit::f16_conversions) found that they are on
    /// this device; otherwise values may differ between devices, but not masks.
    pub f16_conversions: bool,
}

/// Returns the result of `work` and the error that it caused. Without the scopes here, the device
/// would report that error as uncaptured, by default with a panic. Error scopes see only the errors
/// of this thread. A buffer without memory and a pipeline that the driver cannot compile cause
/// further errors where they are used; only the first cause is returned.
pub(crate) fn scoped<T>(
    device: &wgpu::Device,
    work: impl FnOnce() -> T,
) -> (T, impl Future<Output = Option<wgpu::Error>>) {
    let out_of_memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
    let internal = device.push_error_scope(wgpu::ErrorFilter::Internal);
    let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let result = work();
    let validation = validation.pop();
    let internal = internal.pop();
    let out_of_memory = out_of_memory.pop();
    let first = async { out_of_memory.await.or(internal.await).or(validation.await) };
    (result, first)
}

/// The limits of one dispatch.
pub(crate) fn cut_limits(device: &wgpu::Device) -> CutLimits {
    let limits = device.limits();
    CutLimits {
        max_binding_bytes: limits.max_storage_buffer_binding_size,
        offset_alignment_bytes: limits.min_storage_buffer_offset_alignment,
        max_workgroups: limits.max_compute_workgroups_per_dimension,
    }
}

/// One device, and the ways of running kernels that were chosen for it. Clones share the pipelines.
#[derive(Clone, Debug)]
pub(crate) struct KernelHost {
    pub device: wgpu::Device,
    label: String,
    multiply: Multiply,
    blocks: BlockAccess,
    f16: F16Conversion,
    pub parameter_path: ParameterPath,
    params: ParamsPath,
    params_bytes: u32,
    pipeline_cache: Option<wgpu::PipelineCache>,
    pipelines: Arc<RwLock<Vec<(Kernel, wgpu::ComputePipeline)>>>,
    /// A window includes this many bytes after its elements, or fewer if the buffer ends before
    /// them. It is 0 except in an audit.
    room_bytes: u64,
}

impl KernelHost {
    /// For kernels that take at least `storage_buffers` storage buffers, at most `bindings`
    /// bindings in a group, and `params_bytes` bytes of parameters.
    pub fn new(
        device: &wgpu::Device,
        descriptor: &KernelDescriptor<'_>,
        storage_buffers: u32,
        bindings: u32,
        params_bytes: usize,
    ) -> Result<Self, CreateError> {
        let limits = device.limits();
        for (limit, available, required) in [
            (
                Limit::StorageBuffersPerShaderStage,
                limits.max_storage_buffers_per_shader_stage,
                storage_buffers,
            ),
            // Group 0 has the buffers. Group 1 has the parameters, unless they are immediates.
            (Limit::BindGroups, limits.max_bind_groups, 2),
            // One for the parameters and one for a strided layout.
            (
                Limit::UniformBuffersPerShaderStage,
                limits.max_uniform_buffers_per_shader_stage,
                2,
            ),
            (
                Limit::BindingsPerBindGroup,
                limits.max_bindings_per_bind_group,
                bindings,
            ),
            (
                Limit::ComputeInvocationsPerWorkgroup,
                limits.max_compute_invocations_per_workgroup,
                WORKGROUP_SIZE,
            ),
            (
                Limit::ComputeWorkgroupSizeX,
                limits.max_compute_workgroup_size_x,
                WORKGROUP_SIZE,
            ),
        ] {
            at_least(limit, available.into(), required.into())?;
        }
        at_least(
            Limit::UniformBufferBindingSize,
            limits.max_uniform_buffer_binding_size,
            DIMENSIONS_BYTES,
        )?;
        let label = descriptor.label.unwrap_or("wgpu-dropout").to_owned();
        let features = device.features() - descriptor.avoid;
        let driver_name = device.adapter_info().driver;
        let multiply = driver::multiply(features, &driver_name);
        // Parameters take less than 200 bytes.
        let params_bytes = params_bytes as u32;
        let parameter_path =
            ParameterPath::new(device.features(), descriptor.avoid, &limits, params_bytes);
        let params = ParamsPath::new(device, parameter_path, &label, params_bytes);
        Ok(Self {
            device: device.clone(),
            label,
            multiply,
            blocks: driver::block_access(multiply, &driver_name),
            f16: match descriptor.f16_conversions {
                true => F16Conversion::Hardware,
                false => F16Conversion::Integers,
            },
            parameter_path,
            params,
            params_bytes,
            pipeline_cache: descriptor.pipeline_cache.cloned(),
            pipelines: Arc::default(),
            room_bytes: 0,
        })
    }

    /// The same kernels with windows that include `room_bytes` after their elements. A stray store
    /// lands there and can be seen, while a driver may discard a store beyond a window.
    #[cfg(feature = "cpu")]
    pub fn with_room(&self, room_bytes: u64) -> Self {
        Self {
            room_bytes,
            ..self.clone()
        }
    }

    /// The caller's range for `len` units of `unit_bytes`, if all of it can be bound.
    pub fn checked<'a>(
        &self,
        role: Role,
        binding: &wgpu::BufferBinding<'a>,
        len: u64,
        unit_bytes: u64,
    ) -> Result<CheckedRange<'a>, BindError> {
        let limits = self.device.limits();
        CheckedRange::new(role, binding, len, unit_bytes, self.room_bytes, &limits)
    }

    /// The caller's range for a packed mask of `len` elements.
    pub fn checked_mask<'a>(
        &self,
        mask: &wgpu::BufferBinding<'a>,
        len: u64,
    ) -> Result<CheckedRange<'a>, BindError> {
        let mut checked = self.checked(Role::Mask, mask, mask_words(len), size_of::<u32>() as u64);
        // The caller counts elements.
        if let Err(BindError::RangeTooShort { len: counted, .. }) = &mut checked {
            *counted = len;
        }
        checked
    }

    /// The caller's range for the sample ids of `layout`, all of which one binding must hold.
    /// `None` if the layout has no element.
    pub fn checked_ids<'a>(
        &self,
        layout: &MaskLayout,
        ids: &wgpu::BufferBinding<'a>,
    ) -> Result<Option<CheckedRange<'a>>, BindError> {
        if layout.is_empty() {
            return Ok(None);
        }
        let (samples, _) = layout.samples();
        let ids = self.checked(Role::SampleIds, ids, samples, size_of::<u32>() as u64)?;
        self.check_whole(&ids)?;
        Ok(Some(ids))
    }

    /// The caller's range for `count` numbers of vectors, all of which one binding must hold.
    /// `lens` are the lengths of the vectors that repeat over a tensor of `elements`.
    pub fn checked_numbers<'a>(
        &self,
        buffer: &wgpu::BufferBinding<'a>,
        count: u64,
        lens: impl IntoIterator<Item = u32>,
        elements: u64,
    ) -> Result<CheckedRange<'a>, BindError> {
        check_repeats(lens, elements)?;
        let range = self.checked(Role::Vectors, buffer, count, size_of::<f32>() as u64)?;
        self.check_whole(&range)?;
        Ok(range)
    }

    /// Checks that one binding can hold all of `range`.
    pub fn check_whole(&self, range: &CheckedRange<'_>) -> Result<(), BindError> {
        let max_bytes = self.device.limits().max_storage_buffer_binding_size;
        let bytes = range.bytes().end - range.bytes().start;
        if bytes > max_bytes {
            return Err(BindError::TooLong {
                role: range.role,
                bytes,
                max_bytes,
            });
        }
        Ok(())
    }

    /// A buffer of 16 zero bytes, for a binding that a kernel has and does not use.
    pub fn unused_buffer(&self) -> wgpu::Buffer {
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(&format!("{}: unused", self.label)),
            size: 16,
            usage: wgpu::BufferUsages::STORAGE,
            mapped_at_creation: false,
        })
    }

    /// The bind group layout for the buffers of `kernel`, without its parameters.
    fn group_layout(&self, kernel: Kernel) -> wgpu::BindGroupLayout {
        let entries: Vec<_> = kernel
            .buffers(ParamsSource::Immediates)
            .into_iter()
            .map(|buffer| wgpu::BindGroupLayoutEntry {
                binding: buffer.binding,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer {
                    ty: binding_type(buffer.access),
                    has_dynamic_offset: false,
                    // Storage buffers get no minimal size, so that kernels that load one element
                    // and kernels that load four share this layout. wgpu checks the bound size
                    // against the kernel at the dispatch.
                    min_binding_size: match buffer.access {
                        BufferAccess::Uniform => wgpu::BufferSize::new(DIMENSIONS_BYTES),
                        BufferAccess::Read | BufferAccess::ReadWrite => None,
                    },
                },
                count: None,
            })
            .collect();
        self.device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label: Some(&format!("{}: buffers", self.label)),
                entries: &entries,
            })
    }

    /// Binds the windows of `ranges` and of `sides` for each of `segments`. `sides` are sample ids,
    /// a packed mask or vectors. `dimensions` gives the layout for a segment.
    pub fn bind(
        &self,
        kernel: Kernel,
        segments: impl Iterator<Item = Segment>,
        ranges: &[CheckedRange<'_>],
        sides: &[CheckedRange<'_>],
        dimensions: impl Fn(Segment) -> Option<[DimensionParams; MAX_DIMENSIONS]>,
    ) -> Result<Vec<BoundSegment>, BindError> {
        let buffers = kernel.buffers(ParamsSource::Immediates);
        // A kernel has fewer than ten, so that the number fits 32 bits.
        let required = kernel.storage_buffers() as u32;
        let available = self.device.limits().max_storage_buffers_per_shader_stage;
        if required > available {
            return Err(BindError::TooManyBuffers {
                required,
                available,
            });
        }
        let layout = self.group_layout(kernel);
        let label = format!("{}: buffers", self.label);
        let bind = |segment| {
            let mut bound: Vec<_> = ranges
                .iter()
                .map(|range| (range.role, range.window(segment)))
                .collect();
            let dimensions = dimensions(segment);
            #[cfg(all(test, feature = "cpu"))]
            let dimensions = dimensions.map(faults::dimensions);
            let dimensions = dimensions.map(|params| self.uniform(bytemuck::bytes_of(&params)));
            if let Some(buffer) = &dimensions {
                bound.push((Role::Dimensions, buffer.as_entire_buffer_binding()));
            }
            let mut first_word = 0;
            for side in sides {
                let alignment = self.device.limits().min_storage_buffer_offset_alignment;
                let (window, word) = side.side_window(segment, alignment);
                bound.push((side.role, window));
                first_word += word;
            }
            #[cfg(all(test, feature = "cpu"))]
            faults::windows(&mut bound);
            let entries: Vec<_> = buffers
                .iter()
                .flat_map(|buffer| {
                    let of_role = bound.iter().filter(|(role, _)| buffer.role.takes(*role));
                    of_role.map(|(_, window)| wgpu::BindGroupEntry {
                        binding: buffer.binding,
                        resource: wgpu::BindingResource::Buffer(window.clone()),
                    })
                })
                .collect();
            let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(&label),
                layout: &layout,
                entries: &entries,
            });
            BoundSegment {
                segment,
                group,
                first_word,
            }
        };
        self.taken(|| segments.map(bind).collect())
    }

    /// Returns the result of `bind` on the caller's buffers, or the device's refusal if a buffer is
    /// destroyed or belongs to another device. A browser finds that too late for an error here, and
    /// reports it to the device.
    fn taken<T>(&self, bind: impl FnOnce() -> T) -> Result<T, BindError> {
        #[cfg(target_arch = "wasm32")]
        return Ok(bind());
        #[cfg(not(target_arch = "wasm32"))]
        {
            let (bound, error) = scoped(&self.device, bind);
            match pollster::block_on(error) {
                None => Ok(bound),
                Some(error) => {
                    let mut cause: &dyn Error = &error;
                    while let Some(deeper) = cause.source() {
                        cause = deeper;
                    }
                    let message = cause.to_string();
                    Err(BindError::Refused { message })
                }
            }
        }
    }

    /// A uniform buffer that holds `content`.
    fn uniform(&self, content: &[u8]) -> wgpu::Buffer {
        uniform_buffer(&self.device, &format!("{}: layout", self.label), content)
    }

    /// Compiles the pipeline of `kernel` if that has not happened yet.
    pub fn compile(&self, kernel: Kernel) {
        self.with_pipeline(kernel, |_| ());
    }

    /// Calls `with` with the pipeline of `kernel`, which is compiled at its first use.
    fn with_pipeline(&self, kernel: Kernel, with: impl FnOnce(&wgpu::ComputePipeline)) {
        // A poisoned lock is harmless: a panic leaves no entry half written, since the list is only
        // pushed to.
        let pipelines = self
            .pipelines
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((_, pipeline)) = pipelines.iter().find(|(other, _)| *other == kernel) {
            return with(pipeline);
        }
        drop(pipelines);
        let pipeline = self.create_pipeline(kernel);
        let mut pipelines = self
            .pipelines
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        with(&pipeline);
        // Two threads may have compiled the same kernel. Look-ups use the first entry, and the
        // second is harmless.
        pipelines.push((kernel, pipeline));
    }

    fn create_pipeline(&self, kernel: Kernel) -> wgpu::ComputePipeline {
        let label = format!("{}: {}", self.label, kernel.entry_point());
        let (params, uniform, immediate_size) = match &self.params {
            ParamsPath::Immediates => (ParamsSource::Immediates, None, self.params_bytes),
            ParamsPath::Uniform(uniform) => (ParamsSource::Uniform, Some(uniform), 0),
        };
        let way = Way {
            multiply: self.multiply,
            params,
            blocks: self.blocks,
            f16: self.f16,
        };
        let text = assemble(kernel, way);
        #[cfg(all(test, feature = "cpu"))]
        let text = faults::text(kernel, text);
        let module = self
            .device
            .create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(&label),
                source: wgpu::ShaderSource::Wgsl(text.into()),
            });
        let layout = self.group_layout(kernel);
        let groups = [Some(&layout), uniform];
        let groups = if uniform.is_some() {
            &groups[..]
        } else {
            &groups[..1]
        };
        let pipeline_layout = self
            .device
            .create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some(&label),
                bind_group_layouts: groups,
                immediate_size,
            });
        self.device
            .create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(&label),
                layout: Some(&pipeline_layout),
                module: &module,
                entry_point: Some(kernel.entry_point()),
                compilation_options: wgpu::PipelineCompilationOptions {
                    // Each kernel writes its workgroup memory before it reads it. For OpenGL,
                    // zeroing it would add a store for each element, and Mesa would take ten times
                    // as long to compile.
                    zero_initialize_workgroup_memory: false,
                    ..Default::default()
                },
                cache: self.pipeline_cache.as_ref(),
            })
    }

    /// Records one dispatch for `units` elements or raw blocks.
    pub fn dispatch(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        kernel: Kernel,
        group: &wgpu::BindGroup,
        params: &[u8],
        units: u32,
    ) {
        #[cfg(all(test, feature = "cpu"))]
        let dispatch = faults::dispatch(kernel, params, units);
        #[cfg(all(test, feature = "cpu"))]
        let (kernel, params, units) = dispatch.parts();
        self.with_pipeline(kernel, |pipeline| pass.set_pipeline(pipeline));
        pass.set_bind_group(0, group, &[]);
        self.params.set(&self.device, pass, &self.label, params);
        pass.dispatch_workgroups(units.div_ceil(kernel.per_workgroup()), 1, 1);
    }
}

fn binding_type(access: BufferAccess) -> wgpu::BufferBindingType {
    match access {
        BufferAccess::Uniform => wgpu::BufferBindingType::Uniform,
        BufferAccess::Read => wgpu::BufferBindingType::Storage { read_only: true },
        BufferAccess::ReadWrite => wgpu::BufferBindingType::Storage { read_only: false },
    }
}
