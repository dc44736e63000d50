//! One call on slices: upload, run, read back, wait. For scripts and tests; native only, since a
//! browser cannot block.

use std::sync::mpsc;

use bytemuck::Pod;

use crate::call::DropoutCall;
use crate::dropout::Dropout;
use crate::error::BlockingError;
use crate::keep_mask::KeepMask;
use crate::mask::{ELEMENTS_PER_MASK_WORD, mask_words};
use crate::philox_blocks::{PhiloxBlocks, advance_counter};

/// Longer work is done in pieces, so that a buffer never takes more than this.
const PIECE_BYTES: u64 = 64 << 20;

impl Dropout {
    /// Dropout of a slice, upload and download included. Backward is the same call on the
    /// gradient.
    ///
    /// Blocks until the device has finished: it makes buffers, moves the data to the device and
    /// back and waits, which costs many times what dropout does. A training loop keeps its
    /// tensors on the device and uses [`bind`](Self::bind).
    ///
    /// # Errors
    ///
    /// [`BlockingError`] if indices pass 2^64 - 1, memory is short or the device fails.
    pub fn apply_blocking(
        &self,
        queue: &wgpu::Queue,
        input: &[f32],
        call: &DropoutCall,
    ) -> Result<Vec<f32>, BlockingError> {
        call.check_indices(input.len() as u64)?;
        let mut output = Vec::with_capacity(input.len());
        for piece in input.chunks(PIECE_BYTES as usize / size_of::<f32>()) {
            let call = call.with_origin(call.origin + output.len() as u64);
            let job = Job {
                device: self.device(),
                queue,
                bytes: size_of_val(piece) as u64,
            };
            job.run(
                Some(bytemuck::cast_slice(piece)),
                &mut output,
                |pass, data| {
                    let data = data.as_entire_buffer_binding();
                    let binding = self.bind_in_place(data, piece.len() as u64)?;
                    Ok(self.encode_forward(pass, &binding, &call)?)
                },
            )?;
        }
        Ok(output)
    }
}

impl KeepMask {
    /// The packed mask \[M15\] of `len` elements. Costs and errors as for
    /// [`Dropout::apply_blocking`].
    ///
    /// # Errors
    ///
    /// [`BlockingError`] if indices pass 2^64 - 1, memory is short or the device fails.
    pub fn generate_blocking(
        &self,
        queue: &wgpu::Queue,
        len: u64,
        call: &DropoutCall,
    ) -> Result<Vec<u32>, BlockingError> {
        call.check_indices(len)?;
        let piece_elements = PIECE_BYTES / 4 * u64::from(ELEMENTS_PER_MASK_WORD);
        let mut mask = Vec::new();
        for start in (0..len).step_by(piece_elements as usize) {
            let piece = (len - start).min(piece_elements);
            let call = call.with_origin(call.origin + start);
            let job = Job {
                device: self.device(),
                queue,
                bytes: 4 * mask_words(piece),
            };
            job.run(None, &mut mask, |pass, words| {
                let binding = self.bind(words.as_entire_buffer_binding(), piece)?;
                Ok(self.encode(pass, &binding, &call)?)
            })?;
        }
        Ok(mask)
    }
}

impl PhiloxBlocks {
    /// The `len` blocks of `key` whose counters begin at `counter`. Costs and errors as for
    /// [`Dropout::apply_blocking`].
    ///
    /// # Errors
    ///
    /// [`BlockingError`] if memory is short or the device fails.
    pub fn generate_blocking(
        &self,
        queue: &wgpu::Queue,
        counter: [u32; 4],
        key: [u32; 2],
        len: u64,
    ) -> Result<Vec<[u32; 4]>, BlockingError> {
        let piece_blocks = PIECE_BYTES / 16;
        let mut blocks = Vec::new();
        for start in (0..len).step_by(piece_blocks as usize) {
            let piece = (len - start).min(piece_blocks);
            let job = Job {
                device: self.device(),
                queue,
                bytes: 16 * piece,
            };
            job.run(None, &mut blocks, |pass, data| {
                let binding = self.bind(data.as_entire_buffer_binding(), piece)?;
                self.encode(pass, &binding, advance_counter(counter, start), key);
                Ok(())
            })?;
        }
        Ok(blocks)
    }
}

/// One piece of work on one buffer of `bytes`.
struct Job<'a> {
    device: &'a wgpu::Device,
    queue: &'a wgpu::Queue,
    bytes: u64,
}

impl Job<'_> {
    /// Fills the buffer from `upload`, runs what `record` records and appends the buffer's
    /// content to `result`.
    fn run<T: Pod>(
        &self,
        upload: Option<&[u8]>,
        result: &mut Vec<T>,
        record: impl FnOnce(&mut wgpu::ComputePass<'_>, &wgpu::Buffer) -> Result<(), BlockingError>,
    ) -> Result<(), BlockingError> {
        // The scopes turn what the device would report as uncaptured, by default a panic, into
        // this call's error. They see this thread's commands only.
        let out_of_memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let validation = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let run = self.run_unscoped(upload, result, record);
        let validation = pollster::block_on(validation.pop());
        let out_of_memory = pollster::block_on(out_of_memory.pop());
        if let Some(error) = out_of_memory {
            // The buffer and its staging copy.
            return Err(BlockingError::OutOfMemory {
                bytes: 2 * self.bytes,
                message: error.to_string(),
            });
        }
        if let Some(error) = validation {
            return Err(BlockingError::Device {
                message: error.to_string(),
            });
        }
        run
    }

    fn run_unscoped<T: Pod>(
        &self,
        upload: Option<&[u8]>,
        result: &mut Vec<T>,
        record: impl FnOnce(&mut wgpu::ComputePass<'_>, &wgpu::Buffer) -> Result<(), BlockingError>,
    ) -> Result<(), BlockingError> {
        let buffer = |usage| {
            self.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("wgpu-dropout: blocking call"),
                size: self.bytes,
                usage,
                mapped_at_creation: false,
            })
        };
        use wgpu::BufferUsages as Usage;
        let data = buffer(Usage::STORAGE | Usage::COPY_SRC | Usage::COPY_DST);
        let staging = buffer(Usage::MAP_READ | Usage::COPY_DST);
        if let Some(upload) = upload {
            self.queue.write_buffer(&data, 0, upload);
        }
        let mut encoder = self.device.create_command_encoder(&Default::default());
        record(&mut encoder.begin_compute_pass(&Default::default()), &data)?;
        encoder.copy_buffer_to_buffer(&data, 0, &staging, 0, self.bytes);
        self.queue.submit([encoder.finish()]);

        let device = |message: String| BlockingError::Device { message };
        let (sender, receiver) = mpsc::channel();
        staging.map_async(wgpu::MapMode::Read, .., move |mapped| {
            // The receiver is gone only if this call has already failed.
            let _ = sender.send(mapped);
        });
        self.device
            .poll(wgpu::PollType::wait_indefinitely())
            .map_err(|error| device(error.to_string()))?;
        receiver
            .recv()
            .map_err(|error| device(error.to_string()))?
            .map_err(|error| device(error.to_string()))?;
        let view = staging
            .get_mapped_range(..)
            .map_err(|error| device(error.to_string()))?;
        // Mapped memory need not be aligned for T.
        let start = result.len();
        result.resize(start + view.len() / size_of::<T>(), T::zeroed());
        bytemuck::cast_slice_mut(&mut result[start..]).copy_from_slice(&view);
        Ok(())
    }
}
