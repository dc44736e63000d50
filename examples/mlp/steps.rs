//! Numbers that change from step to step. The host uploads those of an epoch at once.

use bytemuck::{Pod, Zeroable};

/// The numbers of one step, laid out as `Step` in examples/shaders/step.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct Step {
    pub first: u32,
    pub rows: u32,
    pub step_size: f32,
    pub second_correction: f32,
}

/// The steps of an epoch in one buffer. Each entry begins at a multiple of the device's offset
/// alignment.
#[derive(Debug)]
pub struct Steps {
    buffer: wgpu::Buffer,
    group: wgpu::BindGroup,
    stride: u32,
}

impl Steps {
    /// The layout of group 1 in every kernel.
    pub fn group_layout(device: &wgpu::Device) -> wgpu::BindGroupLayout {
        device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("step"),
            entries: &[wgpu::BindGroupLayoutEntry {
                binding: 0,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer {
                    ty: wgpu::BufferBindingType::Uniform,
                    has_dynamic_offset: true,
                    min_binding_size: wgpu::BufferSize::new(size_of::<Step>() as u64),
                },
                count: None,
            }],
        })
    }

    pub fn new(device: &wgpu::Device, layout: &wgpu::BindGroupLayout, count: u32) -> Self {
        let stride = device.limits().min_uniform_buffer_offset_alignment;
        let buffer = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("steps"),
            size: u64::from(stride) * u64::from(count),
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("step"),
            layout,
            entries: &[wgpu::BindGroupEntry {
                binding: 0,
                resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer: &buffer,
                    offset: 0,
                    size: wgpu::BufferSize::new(size_of::<Step>() as u64),
                }),
            }],
        });
        Self {
            buffer,
            group,
            stride,
        }
    }

    /// Overwrites the entries.
    pub fn upload(&self, queue: &wgpu::Queue, steps: impl Iterator<Item = Step>) {
        let mut bytes = vec![0; self.buffer.size() as usize];
        for (entry, step) in bytes.chunks_exact_mut(self.stride as usize).zip(steps) {
            entry[..size_of::<Step>()].copy_from_slice(bytemuck::bytes_of(&step));
        }
        queue.write_buffer(&self.buffer, 0, &bytes);
    }

    /// The entry of batch `batch`.
    pub fn binding(&self, batch: u32) -> StepBinding<'_> {
        StepBinding {
            group: &self.group,
            offset: batch * self.stride,
        }
    }
}

/// One entry of an epoch's steps.
#[derive(Clone, Copy, Debug)]
pub struct StepBinding<'a> {
    pub group: &'a wgpu::BindGroup,
    /// In bytes.
    pub offset: u32,
}
