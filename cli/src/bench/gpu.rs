//! The kernels on the device's buffers, and the library's own bit copy as the bound on their speed.

use std::num::NonZeroU64;
use std::time::Instant;

use anyhow::{Result, anyhow};
use wgpu::{BufferBinding, BufferUsages, ComputePass, PollType};
use wgpu_dropout::{
    Dropout, DropoutBinding, DropoutCall, DropoutRate, Element, Elements, KernelDescriptor,
};

use super::buffers::Buffers;
use super::measure::{Operation, Place, Subject, Time};
use super::timestamps::Timestamps;
use crate::engine::Gpu;

/// Bytes of an upload after which its staging memory is released.
const UPLOAD_BYTES: u64 = 64 << 20;

/// An input and an output.
pub type Pair<'a> = [BufferBinding<'a>; 2];

/// The tensors of one size and type in two buffers.
pub struct GpuTensors<'a> {
    gpu: &'a Gpu,
    inputs: wgpu::Buffer,
    outputs: wgpu::Buffer,
    buffers: Buffers,
    timestamps: Option<Timestamps>,
}

impl<'a> GpuTensors<'a> {
    /// Makes buffers whose inputs are all `input`.
    pub fn new<T: Element>(gpu: &'a Gpu, buffers: &Buffers, input: &[T]) -> Result<Self> {
        checked(&gpu.device, || {
            let create = |label, usage| {
                gpu.device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some(label),
                    size: buffers.stride_bytes() * buffers.pairs as u64,
                    usage: BufferUsages::STORAGE | usage,
                    mapped_at_creation: false,
                })
            };
            let tensors = Self {
                gpu,
                inputs: create(
                    "bench: inputs",
                    BufferUsages::COPY_DST | BufferUsages::COPY_SRC,
                ),
                outputs: create("bench: outputs", BufferUsages::COPY_SRC),
                buffers: buffers.clone(),
                timestamps: Timestamps::new(gpu),
            };
            // Uploads take whole words, of two 16-bit elements each.
            let mut input = input.to_vec();
            input.resize(input.len().next_multiple_of(2), T::zeroed());
            let mut pending = 0;
            for offset in tensors.offsets() {
                gpu.queue
                    .write_buffer(&tensors.inputs, offset, bytemuck::cast_slice(&input));
                pending += buffers.stride_bytes();
                if pending >= UPLOAD_BYTES {
                    finish(gpu, [])?;
                    pending = 0;
                }
            }
            Ok(tensors)
        })
    }

    fn offsets(&self) -> impl Iterator<Item = u64> + use<> {
        let stride = self.buffers.stride_bytes();
        (0..self.buffers.pairs as u64).map(move |pair| pair * stride)
    }

    /// The inputs of all pairs.
    pub fn inputs(&self) -> &wgpu::Buffer {
        &self.inputs
    }

    /// Bytes of one tensor.
    pub fn tensor_bytes(&self) -> u64 {
        self.buffers.tensor_bytes()
    }

    /// Bytes of a tensor's range: its elements, and the spare half of an odd number of 16-bit ones.
    fn bound_bytes(&self) -> u64 {
        self.buffers.tensor_bytes().next_multiple_of(4)
    }

    pub fn pairs(&self) -> impl Iterator<Item = Pair<'_>> {
        let size = NonZeroU64::new(self.bound_bytes());
        self.offsets().map(move |offset| {
            [&self.inputs, &self.outputs].map(|buffer| BufferBinding {
                buffer,
                offset,
                size,
            })
        })
    }

    /// The time in which the device executes what `record` records. Wall time runs from the
    /// submission to its end, without recording and transfers.
    pub fn time(&self, record: impl FnOnce(&mut ComputePass<'_>) -> Result<()>) -> Result<Time> {
        checked(&self.gpu.device, || {
            let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
            record(
                &mut encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                    label: Some("bench"),
                    timestamp_writes: self.timestamps.as_ref().map(Timestamps::writes),
                }),
            )?;
            if let Some(timestamps) = &self.timestamps {
                timestamps.resolve(&mut encoder);
            }
            let commands = encoder.finish();
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

    /// The output of the first pair.
    pub fn first_output<T: bytemuck::Pod>(&self) -> Result<Vec<T>> {
        checked(&self.gpu.device, || {
            let mut output = self.read_back(&self.outputs, self.bound_bytes())?;
            output.truncate(self.buffers.tensor_bytes() as usize / size_of::<T>());
            Ok(output)
        })
    }

    /// The first bytes of a buffer.
    pub fn read_back<T: bytemuck::Pod>(&self, buffer: &wgpu::Buffer, bytes: u64) -> Result<Vec<T>> {
        let staging = self.gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("bench: read back"),
            size: bytes,
            usage: BufferUsages::MAP_READ | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, bytes);
        finish(self.gpu, [encoder.finish()])?;
        read(self.gpu, &staging)
    }
}

/// The kernels of consecutive indices, with their bindings.
pub struct GpuBench<'a> {
    tensors: GpuTensors<'a>,
    dropout: Dropout,
    call: DropoutCall,
    /// Bindings from the input to the output of each pair.
    separate: Vec<DropoutBinding>,
    /// Bindings of each pair's output in place.
    in_place: Vec<DropoutBinding>,
}

impl<'a> GpuBench<'a> {
    pub fn new<T: Element>(
        gpu: &'a Gpu,
        buffers: &Buffers,
        input: &[T],
        call: DropoutCall,
    ) -> Result<Self> {
        let tensors = GpuTensors::new(gpu, buffers, input)?;
        checked(&gpu.device, || {
            let dropout = Dropout::new(&gpu.device, &KernelDescriptor::default())?;
            let elements = || Elements::from(buffers.len as u64).of_type(T::TYPE);
            let (mut separate, mut in_place) = (Vec::new(), Vec::new());
            for [input, output] in tensors.pairs() {
                separate.push(dropout.bind(input, output.clone(), elements())?);
                in_place.push(dropout.bind_in_place(output, elements())?);
            }
            Ok(Self {
                tensors,
                dropout,
                call,
                separate,
                in_place,
            })
        })
    }
}

impl Subject for GpuBench<'_> {
    fn place(&self) -> Place {
        Place::Gpu
    }

    fn buffers(&self) -> &Buffers {
        &self.tensors.buffers
    }

    /// Times one pass over all pairs. A pair takes one dispatch, or as many as its length needs.
    fn time(&self, operation: Operation) -> Result<Time> {
        let (dropout, call) = (&self.dropout, &self.call);
        let copy = DropoutCall {
            rate: DropoutRate::ZERO,
            ..*call
        };
        self.tensors.time(|pass| {
            for (separate, in_place) in self.separate.iter().zip(&self.in_place) {
                match operation {
                    Operation::Forward => dropout.encode_forward(pass, separate, call),
                    Operation::Backward => dropout.encode_backward(pass, separate, call),
                    Operation::InPlace => dropout.encode_forward(pass, in_place, call),
                    Operation::Copy => dropout.encode_forward(pass, separate, &copy),
                }?;
            }
            Ok(())
        })
    }

    fn first_output(&self) -> Result<Vec<u8>> {
        self.tensors.first_output()
    }
}

/// Submits `commands` and waits until the device has nothing left to do.
fn finish<const N: usize>(gpu: &Gpu, commands: [wgpu::CommandBuffer; N]) -> Result<()> {
    gpu.queue.submit(commands);
    gpu.device.poll(PollType::wait_indefinitely())?;
    Ok(())
}

/// Reads back a staging buffer that no command writes any more.
pub fn read<T: bytemuck::Pod>(gpu: &Gpu, staging: &wgpu::Buffer) -> Result<Vec<T>> {
    // If mapping fails, reading the mapped range fails too, and reports it.
    staging.map_async(wgpu::MapMode::Read, .., |_| {});
    gpu.device.poll(PollType::wait_indefinitely())?;
    let values = bytemuck::pod_collect_to_vec(&staging.get_mapped_range(..)?);
    staging.unmap();
    Ok(values)
}

/// Turns an error that the device would report by a panic into a returned one.
pub fn checked<T>(device: &wgpu::Device, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let out_of_memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
    let internal = device.push_error_scope(wgpu::ErrorFilter::Internal);
    let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let result = work();
    let validation = pollster::block_on(validation.pop());
    let internal = pollster::block_on(internal.pop());
    let out_of_memory = pollster::block_on(out_of_memory.pop());
    match out_of_memory.or(internal).or(validation) {
        Some(error) => Err(anyhow!("the device refused: {error}")),
        None => result,
    }
}
