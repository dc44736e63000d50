//! What the kernels of one device share: features, layouts, pipelines, a dispatch.

use std::sync::{Arc, PoisonError, RwLock};

use crate::binding::CheckedRange;
use crate::error::{BindError, CreateError};
use crate::geometry::at_least;
use crate::layout::MaskLayout;
use crate::params::{DIMENSIONS_BYTES, ParamsPath, uniform_buffer};
use crate::source::{self, Kernel, Multiply, ParamsSource, WORKGROUP_SIZE};

/// How [`Dropout`](crate::Dropout), [`GaussianDropout`](crate::GaussianDropout),
/// [`KeepMask`](crate::KeepMask) and [`PhiloxBlocks`](crate::PhiloxBlocks) are built. `Default` is right for most.
#[derive(Clone, Debug, Default)]
pub struct KernelDescriptor<'a> {
    /// Begins the label of each wgpu object that is created.
    pub label: wgpu::Label<'a>,
    /// Features of the device to leave unused. Results are the same bits: this is for checking
    /// that, and for a driver in which a feature is broken.
    /// [`SHADER_INT64`](wgpu::Features::SHADER_INT64) and
    /// [`IMMEDIATES`](wgpu::Features::IMMEDIATES) are used where the device has them.
    pub avoid: wgpu::Features,
    /// Pipelines of this device that were compiled before, maybe by another run of the program: it
    /// is given to wgpu with each pipeline. Created and saved by the caller, whose device has
    /// [`PIPELINE_CACHE`](wgpu::Features::PIPELINE_CACHE):
    /// [`create_pipeline_cache`](wgpu::Device::create_pipeline_cache) is unsafe, since wgpu trusts
    /// the data it is given, and [`get_data`](wgpu::PipelineCache::get_data) is what to save.
    pub pipeline_cache: Option<&'a wgpu::PipelineCache>,
}

/// One device and the ways chosen on it. Clones share the pipelines.
#[derive(Clone, Debug)]
pub(crate) struct KernelHost {
    pub device: wgpu::Device,
    label: String,
    multiply: Multiply,
    params: ParamsPath,
    params_bytes: u32,
    pipeline_cache: Option<wgpu::PipelineCache>,
    pipelines: Arc<RwLock<Vec<(Kernel, wgpu::ComputePipeline)>>>,
    /// What windows show behind their elements, as far as the buffer goes: 0 but in an audit.
    room_bytes: u64,
}

impl KernelHost {
    /// For kernels with `storage_buffers` bindings and `params_bytes` of parameters.
    pub fn new(
        device: &wgpu::Device,
        descriptor: &KernelDescriptor<'_>,
        storage_buffers: u32,
        params_bytes: usize,
    ) -> Result<Self, CreateError> {
        let limits = device.limits();
        for (limit, available, required) in [
            (
                "max_storage_buffers_per_shader_stage",
                limits.max_storage_buffers_per_shader_stage,
                storage_buffers,
            ),
            // Buffers; parameters, where they are no immediates.
            ("max_bind_groups", limits.max_bind_groups, 2),
            // Parameters and a strided layout.
            (
                "max_uniform_buffers_per_shader_stage",
                limits.max_uniform_buffers_per_shader_stage,
                2,
            ),
            // Input, output, a strided layout and sample ids.
            (
                "max_bindings_per_bind_group",
                limits.max_bindings_per_bind_group,
                4,
            ),
        ] {
            at_least(limit, available.into(), required.into())?;
        }
        at_least(
            "max_uniform_buffer_binding_size",
            limits.max_uniform_buffer_binding_size,
            DIMENSIONS_BYTES,
        )?;
        let label = descriptor.label.unwrap_or("wgpu-dropout").to_owned();
        let features = device.features() - descriptor.avoid;
        let multiply = if features.contains(wgpu::Features::SHADER_INT64) {
            Multiply::U64
        } else {
            Multiply::Halves
        };
        // Tens of bytes.
        let params_bytes = params_bytes as u32;
        let params = ParamsPath::new(device, features, &label, params_bytes);
        Ok(Self {
            device: device.clone(),
            label,
            multiply,
            params,
            params_bytes,
            pipeline_cache: descriptor.pipeline_cache.cloned(),
            pipelines: Arc::default(),
            room_bytes: 0,
        })
    }

    /// The same kernels with `room_bytes` behind the elements of a window, where a stray store shows:
    /// at a window's end the driver discards it.
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
        role: &'static str,
        binding: &wgpu::BufferBinding<'a>,
        len: u64,
        unit_bytes: u64,
    ) -> Result<CheckedRange<'a>, BindError> {
        let limits = self.device.limits();
        CheckedRange::new(role, binding, len, unit_bytes, self.room_bytes, &limits)
    }

    /// The caller's range for the sample ids of `layout`, which one binding must hold.
    pub fn checked_ids<'a>(
        &self,
        layout: &MaskLayout,
        ids: &wgpu::BufferBinding<'a>,
    ) -> Result<CheckedRange<'a>, BindError> {
        let role = "sample ids";
        let (samples, _) = layout.samples();
        let ids = self.checked(role, ids, samples, size_of::<u32>() as u64)?;
        let max_bytes = self.device.limits().max_storage_buffer_binding_size;
        let bytes = ids.bytes().end - ids.bytes().start;
        if bytes > max_bytes {
            return Err(BindError::TooLong {
                role,
                bytes,
                max_bytes,
            });
        }
        Ok(ids)
    }

    /// The buffers of `kernel` but its parameters.
    pub fn group_layout(&self, kernel: Kernel) -> wgpu::BindGroupLayout {
        let entries: Vec<_> = kernel
            .buffers(ParamsSource::Immediates)
            .into_iter()
            .map(|buffer| wgpu::BindGroupLayoutEntry {
                binding: buffer.binding,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer {
                    ty: buffer.ty,
                    has_dynamic_offset: false,
                    // Of storage buffers, one layout serves kernels that load one element and
                    // four: wgpu checks the bound size against the kernel at the dispatch.
                    min_binding_size: match buffer.ty {
                        wgpu::BufferBindingType::Uniform => wgpu::BufferSize::new(DIMENSIONS_BYTES),
                        wgpu::BufferBindingType::Storage { .. } => None,
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

    /// A group of these bindings.
    pub fn group(
        &self,
        layout: &wgpu::BindGroupLayout,
        bindings: &[(u32, wgpu::BufferBinding<'_>)],
    ) -> wgpu::BindGroup {
        #[cfg(all(test, feature = "cpu"))]
        let bindings = &crate::audit::faults::bindings(bindings)[..];
        let entries: Vec<_> = bindings
            .iter()
            .map(|(binding, window)| wgpu::BindGroupEntry {
                binding: *binding,
                resource: wgpu::BindingResource::Buffer(window.clone()),
            })
            .collect();
        self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(&format!("{}: buffers", self.label)),
            layout,
            entries: &entries,
        })
    }

    /// A uniform buffer that holds `content`.
    pub fn uniform(&self, content: &[u8]) -> wgpu::Buffer {
        #[cfg(all(test, feature = "cpu"))]
        let content = &crate::audit::faults::uniform(content);
        uniform_buffer(&self.device, &format!("{}: layout", self.label), content)
    }

    /// Compiles the pipeline of `kernel`, if it has not been used yet.
    pub fn compile(&self, kernel: Kernel) {
        self.with_pipeline(kernel, |_| ());
    }

    /// Does `with` the pipeline of `kernel`, compiled at its first use.
    fn with_pipeline(&self, kernel: Kernel, with: impl FnOnce(&wgpu::ComputePipeline)) {
        // A thread that panicked within these lines left a whole list behind.
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
        // Of those that two threads compiled at once the first is found.
        pipelines.push((kernel, pipeline));
    }

    fn create_pipeline(&self, kernel: Kernel) -> wgpu::ComputePipeline {
        let label = format!("{}: {}", self.label, kernel.entry_point());
        let (params, uniform, immediate_size) = match &self.params {
            ParamsPath::Immediates => (ParamsSource::Immediates, None, self.params_bytes),
            ParamsPath::Uniform(uniform) => (ParamsSource::Uniform, Some(uniform), 0),
        };
        let text = source::assemble(kernel, self.multiply, params);
        #[cfg(all(test, feature = "cpu"))]
        let text = crate::audit::faults::text(kernel, text);
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
                compilation_options: Default::default(),
                cache: self.pipeline_cache.as_ref(),
            })
    }

    /// Records one dispatch.
    pub fn dispatch(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        kernel: Kernel,
        group: &wgpu::BindGroup,
        params: &[u8],
        invocations: u32,
    ) {
        #[cfg(all(test, feature = "cpu"))]
        let dispatch = crate::audit::faults::dispatch(kernel, params, invocations);
        #[cfg(all(test, feature = "cpu"))]
        let (kernel, params, invocations) = dispatch.parts();
        self.with_pipeline(kernel, |pipeline| pass.set_pipeline(pipeline));
        pass.set_bind_group(0, group, &[]);
        self.params.set(&self.device, pass, &self.label, params);
        pass.dispatch_workgroups(invocations.div_ceil(WORKGROUP_SIZE), 1, 1);
    }
}
