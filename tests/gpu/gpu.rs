//! A device with the library's handles, and how words get to it and back.

use std::sync::mpsc;

use wgpu_dropout::{
    Direction, Dropout, DropoutBinding, DropoutCall, Element, Elements, KeepMask, KernelDescriptor,
    MaskSource, PhiloxBlocks, RunError,
};

use crate::case::text;

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

    /// [`Dropout::run_blocking`] on this device.
    pub fn run<'a, T: Element>(
        &self,
        direction: Direction,
        source: impl Into<MaskSource<'a>>,
        x: &[T],
        call: &DropoutCall,
    ) -> Result<Vec<T>, RunError> {
        self.dropout
            .run_blocking(&self.queue, direction, source, x, call)
    }

    /// [`KeepMask::run_blocking`] on this device.
    pub fn mask<'a>(
        &self,
        source: impl Into<MaskSource<'a>>,
        call: &DropoutCall,
    ) -> Result<Vec<u32>, RunError> {
        self.keep_mask.run_blocking(&self.queue, source, call)
    }

    /// [`Dropout::bind`] for whole buffers.
    pub fn bind<'a>(
        &self,
        input: &wgpu::Buffer,
        output: &wgpu::Buffer,
        elements: impl Into<Elements<'a>>,
    ) -> Result<DropoutBinding, String> {
        let [input, output] = [input, output].map(wgpu::Buffer::as_entire_buffer_binding);
        self.dropout.bind(input, output, elements).map_err(text)
    }

    /// [`Dropout::bind_in_place`] for a whole buffer.
    pub fn bind_in_place<'a>(
        &self,
        data: &wgpu::Buffer,
        elements: impl Into<Elements<'a>>,
    ) -> Result<DropoutBinding, String> {
        let data = data.as_entire_buffer_binding();
        self.dropout.bind_in_place(data, elements).map_err(text)
    }

    /// A pipeline of a text, as another host would make it.
    pub fn pipeline(
        &self,
        text: &str,
        entry_point: Option<&str>,
        layout: Option<&wgpu::PipelineLayout>,
    ) -> wgpu::ComputePipeline {
        let module = wgpu::ShaderModuleDescriptor {
            label: Some("test"),
            source: wgpu::ShaderSource::Wgsl(text.into()),
        };
        let module = self.device.create_shader_module(module);
        self.device
            .create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some("test"),
                layout,
                module: &module,
                entry_point,
                compilation_options: Default::default(),
                cache: None,
            })
    }

    /// A bind group 0 of the pipeline, whose bindings count from 0.
    pub fn group<'a>(
        &self,
        pipeline: &wgpu::ComputePipeline,
        ranges: impl IntoIterator<Item = wgpu::BufferBinding<'a>>,
    ) -> wgpu::BindGroup {
        let entry = |(binding, range)| wgpu::BindGroupEntry {
            binding,
            resource: wgpu::BindingResource::Buffer(range),
        };
        self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("test"),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &(0..).zip(ranges).map(entry).collect::<Vec<_>>(),
        })
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
            .map_err(text)?;
        receiver.recv().map_err(text)?.map_err(text)?;
        let view = staging.get_mapped_range(..).map_err(text)?;
        Ok(view
            .chunks_exact(4)
            .map(|word| u32::from_ne_bytes([word[0], word[1], word[2], word[3]]))
            .collect())
    }
}
