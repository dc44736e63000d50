//! A set of labelled examples, on the host and on the device.

use bytemuck::{Pod, Zeroable};
use wgpu::util::DeviceExt;

use super::kernels::{Dispatch, F32};

/// Labelled examples of bytes, which the network sees as numbers from 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Examples {
    /// Bytes of an example; a multiple of 4.
    pub features: u32,
    /// Example after example.
    pub bytes: Vec<u8>,
    /// A class an example.
    pub labels: Vec<u8>,
}

impl Examples {
    pub fn len(&self) -> u32 {
        self.labels.len() as u32
    }

    /// The examples of `range`.
    pub fn slice(&self, range: core::ops::Range<u32>) -> Self {
        let rows = range.start as usize..range.end as usize;
        let features = self.features as usize;
        Self {
            features: self.features,
            bytes: self.bytes[rows.start * features..rows.end * features].to_vec(),
            labels: self.labels[rows].to_vec(),
        }
    }
}

/// What changes from step to step; `Step` of examples/shaders/step.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct Step {
    pub first: u32,
    pub rows: u32,
    pub step_size: f32,
    pub second_correction: f32,
}

/// An epoch's steps in a buffer, an entry at each multiple of the device's alignment.
#[derive(Debug)]
pub struct Steps {
    buffer: wgpu::Buffer,
    pub group: wgpu::BindGroup,
    stride: u32,
}

impl Steps {
    /// Group 1 of every kernel.
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

    fn new(device: &wgpu::Device, layout: &wgpu::BindGroupLayout, count: u32) -> Self {
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

    /// Where the entry of batch `batch` begins.
    pub fn offset(&self, batch: u32) -> u32 {
        batch * self.stride
    }
}

/// A set on the device, bound to a network's batch.
#[derive(Debug)]
pub struct DeviceExamples {
    pub labels: Vec<u8>,
    pub(super) batch: u32,
    pub(super) steps: Steps,
    pub(super) log_probabilities: wgpu::Buffer,
    pub(super) gather: Dispatch,
    pub(super) cross_entropy: Dispatch,
    order: wgpu::Buffer,
}

/// The buffers of a set, before a network's kernels are bound to them.
pub(super) struct SetBuffers {
    pub features: wgpu::Buffer,
    pub order: wgpu::Buffer,
    pub log_probabilities: wgpu::Buffer,
}

impl SetBuffers {
    /// For rows of `columns` log-probabilities.
    pub fn new(device: &wgpu::Device, examples: &Examples, columns: u32) -> Self {
        let buffer = |label, bytes, usage| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size: bytes * u64::from(examples.len()),
                usage: wgpu::BufferUsages::STORAGE | usage,
                mapped_at_creation: false,
            })
        };
        Self {
            features: device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
                label: Some("features"),
                contents: &examples.bytes,
                usage: wgpu::BufferUsages::STORAGE,
            }),
            order: buffer("order", 8, wgpu::BufferUsages::COPY_DST),
            log_probabilities: buffer(
                "log-probabilities",
                F32 * u64::from(columns),
                wgpu::BufferUsages::COPY_SRC,
            ),
        }
    }
}

impl DeviceExamples {
    pub(super) fn new(
        device: &wgpu::Device,
        step_layout: &wgpu::BindGroupLayout,
        labels: &[u8],
        batch: u32,
        buffers: SetBuffers,
        [gather, cross_entropy]: [Dispatch; 2],
    ) -> Self {
        let batches = (labels.len() as u32).div_ceil(batch);
        Self {
            labels: labels.to_vec(),
            batch,
            steps: Steps::new(device, step_layout, batches),
            log_probabilities: buffers.log_probabilities,
            gather,
            cross_entropy,
            order: buffers.order,
        }
    }

    pub fn len(&self) -> u32 {
        self.labels.len() as u32
    }

    pub fn batches(&self) -> u32 {
        self.len().div_ceil(self.batch)
    }

    /// Uploads all that the steps of an epoch read: the order of its examples, and for each batch
    /// what Adam needs, of `adam`.
    pub(super) fn upload(
        &self,
        queue: &wgpu::Queue,
        order: impl IntoIterator<Item = u32>,
        adam: impl Fn(u32) -> [f32; 2],
    ) {
        let order: Vec<[u32; 2]> = order
            .into_iter()
            .map(|example| [example, self.labels[example as usize].into()])
            .collect();
        queue.write_buffer(&self.order, 0, bytemuck::cast_slice(&order));
        let mut steps = vec![0; self.steps.buffer.size() as usize];
        for batch in 0..self.batches() {
            let first = batch * self.batch;
            let [step_size, second_correction] = adam(batch);
            let step = Step {
                first,
                rows: self.batch.min(self.len() - first),
                step_size,
                second_correction,
            };
            let offset = self.steps.offset(batch) as usize;
            steps[offset..offset + size_of::<Step>()].copy_from_slice(bytemuck::bytes_of(&step));
        }
        queue.write_buffer(&self.steps.buffer, 0, &steps);
    }
}
