//! The example's own kernels: pipelines, and dispatches on bound buffers.

use super::steps::StepBinding;

/// Bytes of an f32.
pub const F32: u64 = 4;

/// Number of invocations in a workgroup of the elementwise kernels.
pub const WORKGROUP: u64 = 64;

/// Number of workgroups of an elementwise kernel, whose invocations take four elements each.
pub fn vectors(elements: u64) -> [u32; 3] {
    [(elements / 4).div_ceil(WORKGROUP) as u32, 1, 1]
}

/// A kernel's text. Its storage buffers are bindings 0, 1, … of group 0, the read-only ones first.
pub struct Source {
    pub entry_point: &'static str,
    pub text: &'static str,
    pub reads: usize,
    pub writes: usize,
}

macro_rules! source {
    ($file:literal, $entry_point:literal, $reads:literal, $writes:literal) => {
        Source {
            entry_point: $entry_point,
            text: concat!(
                include_str!("../shaders/step.wgsl"),
                include_str!(concat!("../shaders/", $file, ".wgsl"))
            ),
            reads: $reads,
            writes: $writes,
        }
    };
}

pub const GATHER: Source = source!("gather", "gather", 2, 1);
pub const MATMUL: Source = source!("matmul", "matmul", 2, 1);
pub const ADD_BIAS: Source = source!("bias", "add_bias", 1, 1);
pub const BIAS_GRADIENT: Source = source!("bias", "bias_gradient", 1, 1);
pub const CROSS_ENTROPY: Source = source!("cross_entropy", "cross_entropy", 1, 2);
pub const BINARY_CROSS_ENTROPY: Source = source!("cross_entropy", "binary_cross_entropy", 1, 2);
pub const ADAM: Source = source!("adam", "adam", 1, 3);

/// Makes the kernels of a device.
pub struct Compiler<'a> {
    pub device: &'a wgpu::Device,
    /// The layout of group 1 in every kernel.
    pub step_layout: &'a wgpu::BindGroupLayout,
}

impl Compiler<'_> {
    /// Compiles `source` with these values for its overrides.
    pub fn kernel(&self, source: &Source, overrides: &[(&str, f64)]) -> Kernel {
        let label = Some(source.entry_point);
        let storage = |binding: usize| wgpu::BindGroupLayoutEntry {
            binding: binding as u32,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: wgpu::BufferBindingType::Storage {
                    read_only: binding < source.reads,
                },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        };
        let entries: Vec<_> = (0..source.reads + source.writes).map(storage).collect();
        let group_layout = self
            .device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label,
                entries: &entries,
            });
        let layout = self
            .device
            .create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label,
                bind_group_layouts: &[Some(&group_layout), Some(self.step_layout)],
                immediate_size: 0,
            });
        let module = self
            .device
            .create_shader_module(wgpu::ShaderModuleDescriptor {
                label,
                source: wgpu::ShaderSource::Wgsl(source.text.into()),
            });
        let pipeline = self
            .device
            .create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label,
                layout: Some(&layout),
                module: &module,
                entry_point: label,
                compilation_options: wgpu::PipelineCompilationOptions {
                    constants: overrides,
                    ..Default::default()
                },
                cache: None,
            });
        Kernel {
            pipeline,
            group_layout,
            device: self.device.clone(),
        }
    }
}

/// A pipeline for fixed sizes.
#[derive(Debug)]
pub struct Kernel {
    pipeline: wgpu::ComputePipeline,
    group_layout: wgpu::BindGroupLayout,
    device: wgpu::Device,
}

impl Kernel {
    /// This kernel on `buffers`, in the order of its bindings, with this many workgroups.
    pub fn on(&self, buffers: &[wgpu::BindingResource<'_>], workgroups: [u32; 3]) -> Dispatch {
        let entries: Vec<_> = (0..)
            .zip(buffers)
            .map(|(binding, resource)| wgpu::BindGroupEntry {
                binding,
                resource: resource.clone(),
            })
            .collect();
        Dispatch {
            pipeline: self.pipeline.clone(),
            group: self.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: None,
                layout: &self.group_layout,
                entries: &entries,
            }),
            workgroups,
        }
    }
}

/// A kernel and its buffers, ready to be recorded.
#[derive(Debug)]
pub struct Dispatch {
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
    workgroups: [u32; 3],
}

impl Dispatch {
    /// Records the dispatch for a step.
    pub fn encode(&self, pass: &mut wgpu::ComputePass<'_>, step: StepBinding<'_>) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.group, &[]);
        pass.set_bind_group(1, step.group, &[step.offset]);
        let [x, y, z] = self.workgroups;
        pass.dispatch_workgroups(x, y, z);
    }
}
