//! A device with the library's handles, and how words get to it and back.

use std::sync::mpsc;

use wgpu_dropout::{Dropout, KeepMask, KernelDescriptor, PhiloxBlocks};

/// A device, its queue and the handles on it.
pub struct Gpu {
    pub adapter: wgpu::Adapter,
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub dropout: Dropout,
    pub keep_mask: KeepMask,
    philox_7: PhiloxBlocks,
    philox_10: PhiloxBlocks,
}

impl Gpu {
    /// Builds the handles, with kernels that do not use the features `avoid`.
    pub fn new(
        adapter: wgpu::Adapter,
        device: wgpu::Device,
        queue: wgpu::Queue,
        avoid: wgpu::Features,
    ) -> Result<Self, String> {
        let descriptor = KernelDescriptor {
            label: Some("test"),
            avoid,
            ..Default::default()
        };
        let message = |error: wgpu_dropout::CreateError| error.to_string();
        Ok(Self {
            dropout: Dropout::new(&device, &descriptor).map_err(message)?,
            keep_mask: KeepMask::new(&device, &descriptor).map_err(message)?,
            philox_7: PhiloxBlocks::new(&device, &descriptor, 7).map_err(message)?,
            philox_10: PhiloxBlocks::new(&device, &descriptor, 10).map_err(message)?,
            adapter,
            device,
            queue,
        })
    }

    /// # Panics
    /// If `rounds` is neither 7 nor 10.
    pub fn philox(&self, rounds: u32) -> &PhiloxBlocks {
        match rounds {
            7 => &self.philox_7,
            10 => &self.philox_10,
            _ => panic!("Philox with {rounds} rounds"),
        }
    }

    /// Storage offset alignment in words. A binding begins at a multiple of it.
    pub fn granule_words(&self) -> usize {
        self.device.limits().min_storage_buffer_offset_alignment as usize / 4
    }

    /// A storage buffer with these words.
    pub fn upload(&self, words: &[u32]) -> wgpu::Buffer {
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("test: words"),
            size: 4 * words.len() as u64,
            usage: wgpu::BufferUsages::STORAGE
                | wgpu::BufferUsages::COPY_SRC
                | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.queue
            .write_buffer(&buffer, 0, bytemuck::cast_slice(words));
        buffer
    }

    /// Submits what `record` records in one pass.
    pub fn submit(
        &self,
        record: impl FnOnce(&mut wgpu::ComputePass<'_>) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        record(&mut encoder.begin_compute_pass(&Default::default()))?;
        self.queue.submit([encoder.finish()]);
        Ok(())
    }

    /// Reads the words of a buffer after all submitted work.
    pub fn download(&self, buffer: &wgpu::Buffer) -> Result<Vec<u32>, String> {
        let staging = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("test: read back"),
            size: buffer.size(),
            usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
            mapped_at_creation: false,
        });
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, buffer.size());
        self.queue.submit([encoder.finish()]);
        let (sender, receiver) = mpsc::channel();
        staging.map_async(wgpu::MapMode::Read, .., move |mapped| {
            let _ = sender.send(mapped);
        });
        self.device
            .poll(wgpu::PollType::wait_indefinitely())
            .map_err(|error| error.to_string())?;
        receiver
            .recv()
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())?;
        let view = staging
            .get_mapped_range(..)
            .map_err(|error| error.to_string())?;
        Ok(view
            .chunks_exact(4)
            .map(|word| u32::from_ne_bytes([word[0], word[1], word[2], word[3]]))
            .collect())
    }
}
