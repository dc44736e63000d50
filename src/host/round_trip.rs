//! Runs work with buffers of its own: upload, run, read back.

#[cfg(not(target_arch = "wasm32"))]
use std::thread;

use bytemuck::Pod;
use futures_channel::oneshot;

use super::device::scoped;
use super::error::{BindError, RunError};

/// The content of a buffer before the work runs.
pub(crate) enum Content<'a> {
    Bytes(&'a [u8]),
    #[cfg_attr(
        target_arch = "wasm32",
        expect(dead_code, reason = "an audit gives all bytes")
    )]
    Zeros {
        bytes: u64,
    },
    /// These bytes, which the work only reads. They are not read back.
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

/// Makes a buffer for each of `contents`, runs what `record` records, and then appends the contents
/// of the buffers to `result`, one after the other.
///
/// On native targets the future waits for the device before it first suspends. In a browser it
/// suspends, and the browser wakes it.
pub(crate) async fn run<T: Pod>(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    contents: &[Content<'_>],
    result: &mut Vec<T>,
    record: impl FnOnce(&mut wgpu::ComputePass<'_>, &[wgpu::Buffer]) -> Result<(), RunError>,
) -> Result<(), RunError> {
    let done = try_run(device, queue, contents, result, record).await;
    #[cfg(not(target_arch = "wasm32"))]
    let done = done.map_err(|error| match error {
        RunError::Device { .. }
        | RunError::Bind(BindError::Refused { .. })
        | RunError::ForeignQueue
            if is_lost(device) =>
        {
            RunError::DeviceLost
        }
        error => error,
    });
    done
}

async fn try_run<T: Pod>(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    contents: &[Content<'_>],
    result: &mut Vec<T>,
    record: impl FnOnce(&mut wgpu::ComputePass<'_>, &[wgpu::Buffer]) -> Result<(), RunError>,
) -> Result<(), RunError> {
    check_sizes(device, contents)?;
    let (submitted, error) = scoped(device, || {
        #[cfg(not(target_arch = "wasm32"))]
        check_queue(device, queue)?;
        let staging = submit(device, queue, contents, record)?;
        let (sender, receiver) = oneshot::channel();
        staging.map_async(wgpu::MapMode::Read, .., move |mapped| {
            // The receiver is dropped only if this call has already failed.
            let _ = sender.send(mapped);
        });
        Ok::<_, RunError>((staging, receiver))
    });
    match error.await {
        None => {}
        Some(error @ wgpu::Error::OutOfMemory { .. }) => {
            let bytes = |content: &Content<'_>| content.bytes() + content.result_bytes();
            return Err(RunError::OutOfMemory {
                bytes: contents.iter().map(bytes).sum(),
                message: error.to_string(),
            });
        }
        Some(error) => return Err(device_error(error)),
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

/// Checks that no buffer is longer than the device creates: those of `contents`, and the one for
/// all results.
fn check_sizes(device: &wgpu::Device, contents: &[Content<'_>]) -> Result<(), BindError> {
    let max_bytes = device.limits().max_buffer_size;
    let results = contents.iter().map(Content::result_bytes);
    let results = results.fold(0, u64::saturating_add);
    let longest = contents.iter().map(Content::bytes).fold(results, u64::max);
    if longest > max_bytes {
        return Err(BindError::BufferTooLong {
            bytes: longest,
            max_bytes,
        });
    }
    Ok(())
}

/// A buffer that is mapped to find out which thread finishes the mapping.
#[cfg(not(target_arch = "wasm32"))]
fn create_probe(device: &wgpu::Device, mapped_at_creation: bool) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("wgpu-dropout: probe"),
        size: 4,
        usage: wgpu::BufferUsages::MAP_READ,
        mapped_at_creation,
    })
}

/// Returns true if the device is lost. No error scope reports that, and everything that a lost
/// device creates is invalid.
#[cfg(not(target_arch = "wasm32"))]
fn is_lost(device: &wgpu::Device) -> bool {
    let (mapped, error) = scoped(device, || {
        create_probe(device, true).get_mapped_range(..).is_ok()
    });
    !mapped && pollster::block_on(error).is_none()
}

/// Attempts to check the queue. An attempt is wasted if another thread polls the device in the
/// middle of it.
#[cfg(not(target_arch = "wasm32"))]
const MAX_PROBES: u32 = 100;

/// Checks that the queue is the device's own. A queue does not tell its device, and an error of a
/// foreign queue goes to the other device, where the scopes here do not see it. The check uses the
/// mapping of a buffer instead. A mapping is finished by the thread that next polls the buffer's
/// device or submits to its queue. If the mapping is finished by this thread right after it submits
/// to the queue, the queue is the device's own.
#[cfg(not(target_arch = "wasm32"))]
fn check_queue(device: &wgpu::Device, queue: &wgpu::Queue) -> Result<(), RunError> {
    for _ in 0..MAX_PROBES {
        let probe = create_probe(device, false);
        let (sender, mut receiver) = oneshot::channel();
        probe.map_async(wgpu::MapMode::Read, .., move |_| {
            let _ = sender.send(thread::current().id());
        });
        let mut finished_here =
            || matches!(receiver.try_recv(), Ok(Some(by)) if by == thread::current().id());
        // If the mapping is finished before a submission, the device's own queue has been dropped,
        // and the given one is another's.
        if finished_here() {
            return Err(RunError::ForeignQueue);
        }
        queue.submit([]);
        if finished_here() {
            return Ok(());
        }
        device.poll(wgpu::PollType::Poll).map_err(device_error)?;
        if finished_here() {
            return Err(RunError::ForeignQueue);
        }
    }
    Ok(())
}

/// Submits the work, and returns the buffer that the results are copied to.
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
