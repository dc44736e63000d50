//! One piece of work with buffers of its own: upload, run, read back.

use bytemuck::Pod;
use futures_channel::oneshot;

use crate::error::RunError;

/// What a buffer holds before the work: these bytes, or zeros.
pub(crate) enum Content<'a> {
    Bytes(&'a [u8]),
    Zeros { bytes: u64 },
}

impl Content<'_> {
    fn bytes(&self) -> u64 {
        match *self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Zeros { bytes } => bytes,
        }
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
    let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let submitted = submit(device, queue, contents, record);
    let validation = validation.pop();
    let out_of_memory = out_of_memory.pop();
    // A failed allocation makes the buffer's uses invalid too: the first cause counts.
    if let Some(error) = out_of_memory.await {
        let bytes = 2 * contents.iter().map(Content::bytes).sum::<u64>();
        return Err(RunError::OutOfMemory {
            bytes,
            message: error.to_string(),
        });
    }
    if let Some(error) = validation.await {
        return Err(device_error(error));
    }
    let staging = submitted?;

    let (sender, receiver) = oneshot::channel();
    staging.map_async(wgpu::MapMode::Read, .., move |mapped| {
        // The receiver is gone only if this call has already failed.
        let _ = sender.send(mapped);
    });
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
            if let Content::Bytes(bytes) = content {
                queue.write_buffer(&data, 0, bytes);
            }
            data
        })
        .collect();
    let bytes = contents.iter().map(Content::bytes).sum();
    let staging = buffer(bytes, Usage::MAP_READ | Usage::COPY_DST);

    let mut encoder = device.create_command_encoder(&Default::default());
    record(
        &mut encoder.begin_compute_pass(&Default::default()),
        &buffers,
    )?;
    let mut offset = 0;
    for data in &buffers {
        encoder.copy_buffer_to_buffer(data, 0, &staging, offset, data.size());
        offset += data.size();
    }
    queue.submit([encoder.finish()]);
    Ok(staging)
}
