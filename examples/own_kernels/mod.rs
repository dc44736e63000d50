//! The shared part of the examples of `wgsl::functions`: your own kernels, and uploads and
//! downloads of their buffers.

#![allow(dead_code, reason = "each program uses a part")]

use anyhow::Result;
use wgpu_dropout::wgsl::{self, FunctionsOptions};

/// Bytes of an f32.
pub const F32: u64 = 4;

/// A module of the mask functions, followed by the caller's text.
pub fn module(device: &wgpu::Device, text: &str) -> Result<wgpu::ShaderModule> {
    let functions = wgsl::functions(&FunctionsOptions::default())?;
    Ok(device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: None,
        source: wgpu::ShaderSource::Wgsl((functions + text).into()),
    }))
}

/// An entry point and its buffers, ready to be recorded.
pub struct Dispatch {
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
    workgroups: [u32; 2],
}

impl Dispatch {
    /// `buffers` are the buffers that the entry point uses, each with its binding number in group
    /// 0.
    pub fn new(
        device: &wgpu::Device,
        module: &wgpu::ShaderModule,
        entry_point: &str,
        buffers: &[(u32, &wgpu::Buffer)],
        workgroups: [u32; 2],
    ) -> Self {
        let label = Some(entry_point);
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label,
            layout: None,
            module,
            entry_point: label,
            compilation_options: wgpu::PipelineCompilationOptions {
                // Not needed: each kernel here writes its workgroup memory before it reads it. On
                // OpenGL the zeroing would be one store for each element, which takes Mesa a minute
                // to compile.
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: None,
        });
        let entries: Vec<_> = buffers
            .iter()
            .map(|&(binding, buffer)| wgpu::BindGroupEntry {
                binding,
                resource: buffer.as_entire_binding(),
            })
            .collect();
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        Self {
            pipeline,
            group,
            workgroups,
        }
    }

    pub fn encode(&self, pass: &mut wgpu::ComputePass<'_>) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.group, &[]);
        let [x, y] = self.workgroups;
        pass.dispatch_workgroups(x, y, 1);
    }
}

/// A storage buffer of `len` elements.
pub fn tensor(device: &wgpu::Device, len: u64) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: F32 * len,
        usage: wgpu::BufferUsages::STORAGE
            | wgpu::BufferUsages::COPY_SRC
            | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}

/// A storage buffer with these elements.
pub fn upload(device: &wgpu::Device, queue: &wgpu::Queue, elements: &[f32]) -> wgpu::Buffer {
    let buffer = tensor(device, elements.len() as u64);
    queue.write_buffer(&buffer, 0, bytemuck::cast_slice(elements));
    buffer
}

/// A uniform buffer for a kernel's parameters.
pub fn uniform<T>(device: &wgpu::Device) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: size_of::<T>() as u64,
        usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}

/// Submits what `record` records in one pass.
pub fn submit(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    record: impl FnOnce(&mut wgpu::ComputePass<'_>) -> Result<()>,
) -> Result<()> {
    let mut encoder = device.create_command_encoder(&Default::default());
    record(&mut encoder.begin_compute_pass(&Default::default()))?;
    queue.submit([encoder.finish()]);
    Ok(())
}

/// Reads the elements of a buffer after all submitted work.
pub fn download(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    buffer: &wgpu::Buffer,
) -> Result<Vec<f32>> {
    let read = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("read"),
        size: buffer.size(),
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let mut encoder = device.create_command_encoder(&Default::default());
    encoder.copy_buffer_to_buffer(buffer, 0, &read, 0, buffer.size());
    queue.submit([encoder.finish()]);
    read.map_async(wgpu::MapMode::Read, .., |mapped| {
        mapped.expect("read buffer");
    });
    device.poll(wgpu::PollType::wait_indefinitely())?;
    Ok(bytemuck::pod_collect_to_vec(&read.get_mapped_range(..)?))
}

/// Numbers between -1 and 1 without a pattern.
pub fn numbers(len: u64) -> Vec<f32> {
    let number = |i: u64| {
        let bits = (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let bits = (bits ^ (bits >> 31)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits >> 40) as f32 / 8_388_608.0 - 1.0
    };
    (0..len).map(number).collect()
}

/// A number, and the largest error that a result may have.
#[derive(Clone, Copy)]
pub struct Bounded {
    pub exact: f64,
    pub bound: f64,
}

/// The largest error of `got`, and the largest quotient of an error and its bound. The quotient is
/// above 1 if an error is too large or a result is NaN.
pub fn errors(got: &[f32], expected: &[Bounded]) -> (f64, f64) {
    assert_eq!(got.len(), expected.len(), "elements");
    let (mut error, mut quotient) = (0.0_f64, 0.0_f64);
    for (&got, expected) in got.iter().zip(expected) {
        let off = (f64::from(got) - expected.exact).abs();
        let off = if off.is_nan() { f64::INFINITY } else { off };
        error = error.max(off);
        if off > 0.0 {
            quotient = quotient.max(off / expected.bound);
        }
    }
    (error, quotient)
}
