//! What the kernels of one device share: features, layouts, pipelines, a dispatch.

use crate::error::CreateError;
use crate::params::ParamsPath;
use crate::source::{self, Kernel, Multiply, WORKGROUP_SIZE};

/// How [`Dropout`](crate::Dropout), [`KeepMask`](crate::KeepMask) and
/// [`PhiloxBlocks`](crate::PhiloxBlocks) are built. `Default` is right for most.
#[derive(Clone, Debug, Default)]
pub struct KernelDescriptor<'a> {
    /// Begins the label of each wgpu object that is created.
    pub label: wgpu::Label<'a>,
    /// Features of the device to leave unused. Results are the same bits: this is for checking
    /// that, and for a driver in which a feature is broken.
    /// [`SHADER_INT64`](wgpu::Features::SHADER_INT64) and
    /// [`IMMEDIATES`](wgpu::Features::IMMEDIATES) are used where the device has them.
    pub avoid: wgpu::Features,
}

/// One device and the ways chosen on it.
#[derive(Debug)]
pub(crate) struct KernelHost {
    pub device: wgpu::Device,
    label: String,
    multiply: Multiply,
    params: ParamsPath,
    params_bytes: u32,
}

impl KernelHost {
    /// For kernels with `storage_buffers` bindings and `params_bytes` of parameters.
    pub fn new(
        device: &wgpu::Device,
        descriptor: &KernelDescriptor<'_>,
        storage_buffers: u32,
        params_bytes: usize,
    ) -> Result<Self, CreateError> {
        let available = device.limits().max_storage_buffers_per_shader_stage;
        if available < storage_buffers {
            return Err(CreateError::Limit {
                limit: "max_storage_buffers_per_shader_stage",
                required: storage_buffers.into(),
                available: available.into(),
            });
        }
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
        })
    }

    /// A group of storage buffers, one an entry: read only or not.
    pub fn storage_layout(&self, read_only: &[bool]) -> wgpu::BindGroupLayout {
        let entries: Vec<_> = (0..)
            .zip(read_only)
            .map(|(binding, &read_only)| wgpu::BindGroupLayoutEntry {
                binding,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer {
                    ty: wgpu::BufferBindingType::Storage { read_only },
                    has_dynamic_offset: false,
                    // One layout serves kernels that load one element and four: wgpu checks the
                    // bound size against the kernel at the dispatch.
                    min_binding_size: None,
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

    /// The group of these windows of buffers.
    pub fn storage_group(
        &self,
        layout: &wgpu::BindGroupLayout,
        windows: &[wgpu::BufferBinding<'_>],
    ) -> wgpu::BindGroup {
        let entries: Vec<_> = (0..)
            .zip(windows)
            .map(|(binding, window)| wgpu::BindGroupEntry {
                binding,
                resource: wgpu::BindingResource::Buffer(window.clone()),
            })
            .collect();
        self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(&format!("{}: buffers", self.label)),
            layout,
            entries: &entries,
        })
    }

    /// Compiles `kernel` for groups of `layout`.
    pub fn pipeline(
        &self,
        kernel: Kernel,
        layout: &wgpu::BindGroupLayout,
    ) -> wgpu::ComputePipeline {
        let label = format!("{}: {}", self.label, kernel.entry_point());
        let (uniform, immediate_size) = match &self.params {
            ParamsPath::Immediates => (None, self.params_bytes),
            ParamsPath::Uniform(uniform) => (Some(uniform), 0),
        };
        let text = source::assemble(kernel, self.multiply, uniform.is_none());
        let module = self
            .device
            .create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(&label),
                source: wgpu::ShaderSource::Wgsl(text.into()),
            });
        let groups = [Some(layout), uniform];
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
                    // No kernel has workgroup memory.
                    zero_initialize_workgroup_memory: false,
                    ..Default::default()
                },
                cache: None,
            })
    }

    /// Records one dispatch.
    pub fn dispatch(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        pipeline: &wgpu::ComputePipeline,
        group: &wgpu::BindGroup,
        params: &[u8],
        invocations: u32,
    ) {
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, group, &[]);
        self.params.set(&self.device, pass, &self.label, params);
        pass.dispatch_workgroups(invocations.div_ceil(WORKGROUP_SIZE), 1, 1);
    }
}
