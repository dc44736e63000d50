//! One piece of work with buffers of its own: upload, run, read back.

use bytemuck::Pod;
use futures_channel::oneshot;

use crate::contract::call::DropoutCall;
use crate::contract::layout::MaskLayout;
use crate::contract::mask::mask_words;
use crate::error::RunError;
use crate::gaussian::GaussianDropout;
use crate::keep_mask::KeepMask;
use crate::philox_blocks::{BLOCK, PhiloxBlocks};

/// What a buffer holds before the work.
pub(crate) enum Content<'a> {
    Bytes(&'a [u8]),
    Zeros {
        bytes: u64,
    },
    /// These bytes, which are only read and no part of the result.
    Constant(&'a [u8]),
}

impl Content<'_> {
    fn bytes(&self) -> u64 {
        match *self {
            Self::Bytes(bytes) | Self::Constant(bytes) => bytes.len() as u64,
            Self::Zeros { bytes } => bytes,
        }
    }

    fn result_bytes(&self) -> u64 {
        match self {
            Self::Constant(_) => 0,
            _ => self.bytes(),
        }
    }
}

impl PhiloxBlocks {
    /// Appends `len` blocks to `blocks`.
    pub(crate) async fn generate(
        &self,
        queue: &wgpu::Queue,
        counter: [u32; 4],
        key: [u32; 2],
        len: u64,
        blocks: &mut Vec<[u32; 4]>,
    ) -> Result<(), RunError> {
        let bytes = len.saturating_mul(BLOCK.bytes);
        let contents = [Content::Zeros { bytes }];
        run(self.device(), queue, &contents, blocks, |pass, buffers| {
            let binding = self.bind(buffers[0].as_entire_buffer_binding(), len)?;
            self.encode(pass, &binding, counter, key);
            Ok(())
        })
        .await
    }
}

impl KeepMask {
    /// Appends the mask of a layout to `mask`, that of samples with `ids`, where there are some.
    pub(crate) async fn generate(
        &self,
        queue: &wgpu::Queue,
        layout: &MaskLayout,
        ids: Option<&[u32]>,
        call: &DropoutCall,
        mask: &mut Vec<u32>,
    ) -> Result<(), RunError> {
        let bytes = mask_words(layout.len()).saturating_mul(4);
        let mut contents = vec![Content::Zeros { bytes }];
        contents.extend(ids.map(|ids| Content::Constant(bytemuck::cast_slice(ids))));
        run(self.device(), queue, &contents, mask, |pass, buffers| {
            let mut buffers = buffers.iter().map(wgpu::Buffer::as_entire_buffer_binding);
            let binding = match (buffers.next(), buffers.next()) {
                (Some(mask), Some(ids)) => self.bind_samples(mask, layout, ids)?,
                (Some(mask), None) => self.bind_layout(mask, layout)?,
                (None, _) => return Ok(()),
            };
            Ok(self.encode(pass, &binding, call)?)
        })
        .await
    }
}

impl GaussianDropout {
    /// Appends what becomes of `input` to `output`.
    pub(crate) async fn apply(
        &self,
        queue: &wgpu::Queue,
        input: &[f32],
        call: &DropoutCall,
        output: &mut Vec<f32>,
    ) -> Result<(), RunError> {
        let contents = [Content::Bytes(bytemuck::cast_slice(input))];
        run(self.device(), queue, &contents, output, |pass, buffers| {
            let data = buffers[0].as_entire_buffer_binding();
            let binding = self.bind_in_place(data, input.len() as u64)?;
            Ok(self.encode(pass, &binding, call)?)
        })
        .await
    }
}

/// Makes a buffer for each of `contents`, runs what `record` records and appends the buffers'
/// contents after it to `result`, one behind the other.
///
/// On native targets it waits for the device before its first suspension; a browser wakes it.
pub(crate) async fn run<T: Pod>(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    contents: &[Content<'_>],
    result: &mut Vec<T>,
    record: impl FnOnce(&mut wgpu::ComputePass<'_>, &[wgpu::Buffer]) -> Result<(), RunError>,
) -> Result<(), RunError> {
    // The scopes turn what the device would report as uncaptured, by default a panic, into this
    // call's error. They see only what this thread does until they are popped.
    let out_of_memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
    let internal = device.push_error_scope(wgpu::ErrorFilter::Internal);
    let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let submitted = submit(device, queue, contents, record).map(|staging| {
        let (sender, receiver) = oneshot::channel();
        staging.map_async(wgpu::MapMode::Read, .., move |mapped| {
            // The receiver is gone only if this call has already failed.
            let _ = sender.send(mapped);
        });
        (staging, receiver)
    });
    let validation = validation.pop();
    let internal = internal.pop();
    let out_of_memory = out_of_memory.pop();
    // A buffer without memory and a pipeline that the driver cannot compile make their uses invalid
    // too: the first cause counts.
    if let Some(error) = out_of_memory.await {
        let bytes = |content: &Content<'_>| content.bytes() + content.result_bytes();
        let bytes = contents.iter().map(bytes).sum();
        return Err(RunError::OutOfMemory {
            bytes,
            message: error.to_string(),
        });
    }
    if let Some(error) = internal.await.or(validation.await) {
        return Err(device_error(error));
    }
    let (staging, receiver) = submitted?;
    #[cfg(not(target_arch = "wasm32"))]
    device
        .poll(wgpu::PollType::wait_indefinitely())
        .map_err(device_error)?;
    receiver
        .await
        .map_err(device_error)?
        .map_err(device_error)?;
    let view = staging.get_mapped_range(..).map_err(device_error)?;
    // Copied as bytes: mapped memory need not be aligned for T.
    let start = result.len();
    result.resize(start + view.len() / size_of::<T>(), T::zeroed());
    bytemuck::cast_slice_mut(&mut result[start..]).copy_from_slice(&view);
    Ok(())
}

fn device_error(error: impl ToString) -> RunError {
    RunError::Device {
        message: error.to_string(),
    }
}

/// Submits the work and returns the buffer that its results are copied to.
fn submit(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    contents: &[Content<'_>],
    record: impl FnOnce(&mut wgpu::ComputePass<'_>, &[wgpu::Buffer]) -> Result<(), RunError>,
) -> Result<wgpu::Buffer, RunError> {
    use wgpu::BufferUsages as Usage;
    let buffer = |size, usage| {
        device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("wgpu-dropout: job"),
            size,
            usage,
            mapped_at_creation: false,
        })
    };
    let buffers: Vec<_> = contents
        .iter()
        .map(|content| {
            let usage = Usage::STORAGE | Usage::COPY_SRC | Usage::COPY_DST;
            let data = buffer(content.bytes(), usage);
            if let Content::Bytes(bytes) | Content::Constant(bytes) = content {
                queue.write_buffer(&data, 0, bytes);
            }
            data
        })
        .collect();
    let bytes = contents.iter().map(Content::result_bytes).sum();
    let staging = buffer(bytes, Usage::MAP_READ | Usage::COPY_DST);

    let mut encoder = device.create_command_encoder(&Default::default());
    record(
        &mut encoder.begin_compute_pass(&Default::default()),
        &buffers,
    )?;
    let mut offset = 0;
    for (data, content) in buffers.iter().zip(contents) {
        let bytes = content.result_bytes();
        encoder.copy_buffer_to_buffer(data, 0, &staging, offset, bytes);
        offset += bytes;
    }
    queue.submit([encoder.finish()]);
    Ok(staging)
}
