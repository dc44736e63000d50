//! A set of labelled examples, on the host and on the device.

use wgpu::util::DeviceExt;

use super::kernels::{Dispatch, F32};
use super::steps::{Step, StepBinding, Steps};

/// Labelled examples. The network reads the bytes as numbers from 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Examples {
    /// Number of bytes of an example; a multiple of 4.
    pub features: u32,
    /// The bytes of all examples, one example after the other.
    pub bytes: Vec<u8>,
    /// The class of each example.
    pub labels: Vec<u8>,
}

impl Examples {
    pub fn len(&self) -> u32 {
        self.labels.len() as u32
    }

    /// The examples whose numbers are in `range`.
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

/// A set on the device, bound with the sizes of a network's batch.
#[derive(Debug)]
pub struct DeviceExamples {
    pub labels: Vec<u8>,
    batch: u32,
    steps: Steps,
    pub(super) log_probabilities: wgpu::Buffer,
    pub(super) gather: Dispatch,
    pub(super) cross_entropy: Dispatch,
    order: wgpu::Buffer,
}

/// The buffers of a set. The network's kernels are bound to them later.
pub(super) struct SetBuffers {
    pub features: wgpu::Buffer,
    pub order: wgpu::Buffer,
    pub log_probabilities: wgpu::Buffer,
}

impl SetBuffers {
    /// Buffers for these examples, with `columns` log-probabilities in a row.
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

    /// The step binding of a batch.
    pub(super) fn step(&self, batch: u32) -> StepBinding<'_> {
        self.steps.binding(batch)
    }

    /// Uploads what the steps of one pass over the set read: the order of the examples, and for
    /// each batch the corrections of Adam from `adam`.
    pub(super) fn schedule(
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
        let steps = (0..self.batches()).map(|batch| {
            let first = batch * self.batch;
            let [step_size, second_correction] = adam(batch);
            Step {
                first,
                rows: self.batch.min(self.len() - first),
                step_size,
                second_correction,
            }
        });
        self.steps.upload(queue, steps);
    }
}
