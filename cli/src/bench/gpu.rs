//! The kernels on buffers of the device, and the library's own bit copy as their ceiling.

use std::num::NonZeroU64;
use std::time::Instant;

use anyhow::{Result, anyhow};
use wgpu::{BufferUsages, PollType};
use wgpu_dropout::{Dropout, DropoutBinding, DropoutCall, DropoutRate, KernelDescriptor};

use super::buffers::Buffers;
use super::measure::{Operation, Place, Subject, Time};
use super::timestamps::Timestamps;
use crate::engine::Gpu;

/// Staging memory of an upload is given back after this much.
const UPLOAD_BYTES: u64 = 64 << 20;

/// The tensors of one size in two buffers.
pub struct GpuBench<'a> {
    gpu: &'a Gpu,
    dropout: Dropout,
    call: DropoutCall,
    /// Input and output of each pair.
    separate: Vec<DropoutBinding>,
    /// Output of each pair.
    in_place: Vec<DropoutBinding>,
    output: wgpu::Buffer,
    tensor_bytes: u64,
    timestamps: Option<Timestamps>,
}

impl<'a> GpuBench<'a> {
    pub fn new(gpu: &'a Gpu, buffers: &Buffers, input: &[f32], call: DropoutCall) -> Result<Self> {
        checked(&gpu.device, || {
            Self::new_unchecked(gpu, buffers, input, call)
        })
    }

    fn new_unchecked(
        gpu: &'a Gpu,
        buffers: &Buffers,
        input: &[f32],
        call: DropoutCall,
    ) -> Result<Self> {
        let stride = buffers.stride_bytes();
        let create = |label, usage| {
            gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size: stride * buffers.pairs as u64,
                usage: BufferUsages::STORAGE | usage,
                mapped_at_creation: false,
            })
        };
        let inputs = create("bench: inputs", BufferUsages::COPY_DST);
        let output = create("bench: outputs", BufferUsages::COPY_SRC);
        let offsets = (0..buffers.pairs as u64).map(|pair| pair * stride);
        let mut pending = 0;
        for offset in offsets.clone() {
            gpu.queue
                .write_buffer(&inputs, offset, bytemuck::cast_slice(input));
            pending += stride;
            if pending >= UPLOAD_BYTES {
                finish(gpu, [])?;
                pending = 0;
            }
        }

        let dropout = Dropout::new(&gpu.device, &KernelDescriptor::default())?;
        let len = buffers.len as u64;
        let tensor_bytes = size_of_val(input) as u64;
        let tensor = |buffer, offset| wgpu::BufferBinding {
            buffer,
            offset,
            size: NonZeroU64::new(tensor_bytes),
        };
        let separate = offsets
            .clone()
            .map(|offset| dropout.bind(tensor(&inputs, offset), tensor(&output, offset), len))
            .collect::<Result<_, _>>()?;
        let in_place = offsets
            .map(|offset| dropout.bind_in_place(tensor(&output, offset), len))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            gpu,
            dropout,
            call,
            separate,
            in_place,
            output,
            tensor_bytes,
            timestamps: Timestamps::new(gpu),
        })
    }

    /// One dispatch, or as many as the length needs, for each pair.
    fn record(&self, operation: Operation) -> Result<wgpu::CommandBuffer> {
        let copy = DropoutCall {
            rate: DropoutRate::ZERO,
            ..self.call
        };
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: Some("bench"),
            timestamp_writes: self.timestamps.as_ref().map(Timestamps::writes),
        });
        for (separate, in_place) in self.separate.iter().zip(&self.in_place) {
            let (dropout, pass) = (&self.dropout, &mut pass);
            match operation {
                Operation::Forward => dropout.encode_forward(pass, separate, &self.call),
                Operation::Backward => dropout.encode_backward(pass, separate, &self.call),
                Operation::InPlace => dropout.encode_forward(pass, in_place, &self.call),
                Operation::Copy => dropout.encode_forward(pass, separate, &copy),
            }?;
        }
        drop(pass);
        if let Some(timestamps) = &self.timestamps {
            timestamps.resolve(&mut encoder);
        }
        Ok(encoder.finish())
    }

    fn read_output(&self) -> Result<Vec<f32>> {
        let staging = self.gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("bench: read back"),
            size: self.tensor_bytes,
            usage: BufferUsages::MAP_READ | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(&self.output, 0, &staging, 0, self.tensor_bytes);
        finish(self.gpu, [encoder.finish()])?;
        read(self.gpu, &staging)
    }
}

impl Subject for GpuBench<'_> {
    fn place(&self) -> Place {
        Place::Gpu
    }

    /// By the wall from the submission to its end; recording and transfers are outside.
    fn time(&self, operation: Operation) -> Result<Time> {
        checked(&self.gpu.device, || {
            let commands = self.record(operation)?;
            let start = Instant::now();
            finish(self.gpu, [commands])?;
            let wall = start.elapsed();
            let gpu = self.timestamps.as_ref();
            let gpu = gpu.map(|timestamps| timestamps.read(self.gpu));
            Ok(Time {
                wall,
                gpu: gpu.transpose()?,
            })
        })
    }

    fn first_output(&self) -> Result<Vec<f32>> {
        checked(&self.gpu.device, || self.read_output())
    }
}

/// Submits `commands` and waits until the device has nothing left to do.
fn finish<const N: usize>(gpu: &Gpu, commands: [wgpu::CommandBuffer; N]) -> Result<()> {
    gpu.queue.submit(commands);
    gpu.device.poll(PollType::wait_indefinitely())?;
    Ok(())
}

/// The contents of a buffer for reading back that no command writes any more.
pub fn read<T: bytemuck::Pod>(gpu: &Gpu, staging: &wgpu::Buffer) -> Result<Vec<T>> {
    // An error of the mapping is one of the range too.
    staging.map_async(wgpu::MapMode::Read, .., |_| {});
    gpu.device.poll(PollType::wait_indefinitely())?;
    let values = bytemuck::pod_collect_to_vec(&staging.get_mapped_range(..)?);
    staging.unmap();
    Ok(values)
}

/// Turns what the device would report on its own, by a panic, into an error.
pub fn checked<T>(device: &wgpu::Device, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let out_of_memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
    let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let result = work();
    let validation = pollster::block_on(validation.pop());
    match pollster::block_on(out_of_memory.pop()).or(validation) {
        Some(error) => Err(anyhow!("the device refused: {error}")),
        None => result,
    }
}
