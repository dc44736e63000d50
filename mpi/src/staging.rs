//! Buffers from which the host and MPI read the results of kernels.

use std::sync::mpsc;

use anyhow::Result;

use crate::mlp::kernels::F32;

/// Copies of buffers that the host can map.
pub struct Staging {
    buffer: wgpu::Buffer,
    sources: Vec<wgpu::Buffer>,
}

impl Staging {
    pub fn new(device: &wgpu::Device, sources: &[wgpu::Buffer]) -> Self {
        Self {
            buffer: device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("staging"),
                size: sources.iter().map(wgpu::Buffer::size).sum(),
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            }),
            sources: sources.to_vec(),
        }
    }

    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder) {
        let mut begin = 0;
        for source in &self.sources {
            encoder.copy_buffer_to_buffer(source, 0, &self.buffer, begin, source.size());
            begin += source.size();
        }
    }

    /// Waits for the copies and passes their contents to `show`, one slice for each source.
    pub fn read<T>(&self, device: &wgpu::Device, show: impl FnOnce(&[&[f32]]) -> T) -> Result<T> {
        let (sender, receiver) = mpsc::channel();
        self.buffer
            .map_async(wgpu::MapMode::Read, .., move |mapped| {
                // Cannot fail: the receiver waits below.
                sender.send(mapped).ok();
            });
        device.poll(wgpu::PollType::wait_indefinitely())?;
        receiver.recv()??;
        let view = self.buffer.get_mapped_range(..)?;
        let mut rest: &[f32] = bytemuck::cast_slice(&view);
        let mut parts = Vec::new();
        for source in &self.sources {
            let (part, others) = rest.split_at((source.size() / F32) as usize);
            parts.push(part);
            rest = others;
        }
        let shown = show(&parts);
        drop(view);
        self.buffer.unmap();
        Ok(shown)
    }
}
