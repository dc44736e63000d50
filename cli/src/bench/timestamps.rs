//! The time of a compute pass by the GPU's own clock.

use std::time::Duration;

use anyhow::Result;
use wgpu::{BufferUsages, ComputePassTimestampWrites, Features};

use super::gpu::read;
use crate::engine::Gpu;

/// Timestamps per pass: one at its beginning and one at its end.
const QUERIES: u32 = 2;
const BYTES: u64 = QUERIES as u64 * wgpu::QUERY_SIZE as u64;

/// Two timestamps, and the buffers that bring them to the host.
pub struct Timestamps {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    staging: wgpu::Buffer,
    nanoseconds_per_tick: f64,
}

impl Timestamps {
    /// Returns `None` if the adapter has no timestamps.
    pub fn new(gpu: &Gpu) -> Option<Self> {
        if !gpu.device.features().contains(Features::TIMESTAMP_QUERY) {
            return None;
        }
        let buffer = |label, usage| {
            gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size: BYTES,
                usage,
                mapped_at_creation: false,
            })
        };
        Some(Self {
            queries: gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("bench: timestamps"),
                ty: wgpu::QueryType::Timestamp,
                count: QUERIES,
            }),
            resolved: buffer(
                "bench: timestamps",
                BufferUsages::QUERY_RESOLVE | BufferUsages::COPY_SRC,
            ),
            staging: buffer(
                "bench: timestamps, read back",
                BufferUsages::MAP_READ | BufferUsages::COPY_DST,
            ),
            nanoseconds_per_tick: gpu.queue.get_timestamp_period().into(),
        })
    }

    /// The timestamp writes for the pass's descriptor.
    pub fn writes(&self) -> ComputePassTimestampWrites<'_> {
        ComputePassTimestampWrites {
            query_set: &self.queries,
            beginning_of_pass_write_index: Some(0),
            end_of_pass_write_index: Some(1),
        }
    }

    /// Records the copies that must follow the pass.
    pub fn resolve(&self, encoder: &mut wgpu::CommandEncoder) {
        encoder.resolve_query_set(&self.queries, 0..QUERIES, &self.resolved, 0);
        encoder.copy_buffer_to_buffer(&self.resolved, 0, &self.staging, 0, BYTES);
    }

    /// The time that the pass took. Its commands must be done.
    pub fn read(&self, gpu: &Gpu) -> Result<Duration> {
        let ticks: Vec<u64> = read(gpu, &self.staging)?;
        let [begin, end] = ticks[..] else {
            unreachable!("the buffer has {QUERIES} ticks");
        };
        // If a driver's clock runs backwards, the time shows as 0; the measurement goes on.
        let nanoseconds = end.saturating_sub(begin) as f64 * self.nanoseconds_per_tick;
        Ok(Duration::from_secs_f64(nanoseconds * 1e-9))
    }
}
