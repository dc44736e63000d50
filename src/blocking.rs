//! One call on slices: upload, run, read back, wait. For scripts and tests; native only, since a
//! browser cannot block.

use crate::call::DropoutCall;
use crate::dropout::Dropout;
use crate::error::RunError;
use crate::job::{Content, run};
use crate::keep_mask::KeepMask;
use crate::mask::{ELEMENTS_PER_MASK_WORD, mask_words};
use crate::philox_blocks::{PhiloxBlocks, advance_counter};

/// Longer work is done in pieces, so that no buffer takes more than this.
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
    /// [`RunError`] if indices pass 2^64 - 1, memory is short or the device fails.
    pub fn apply_blocking(
        &self,
        queue: &wgpu::Queue,
        input: &[f32],
        call: &DropoutCall,
    ) -> Result<Vec<f32>, RunError> {
        call.check_indices(input.len() as u64)?;
        let mut output = Vec::with_capacity(input.len());
        for piece in input.chunks(PIECE_BYTES as usize / size_of::<f32>()) {
            let call = call.with_origin(call.origin + output.len() as u64);
            let content = [Content::Bytes(bytemuck::cast_slice(piece))];
            pollster::block_on(run(
                self.device(),
                queue,
                &content,
                &mut output,
                |pass, data| {
                    let data = data[0].as_entire_buffer_binding();
                    let binding = self.bind_in_place(data, piece.len() as u64)?;
                    Ok(self.encode_forward(pass, &binding, &call)?)
                },
            ))?;
        }
        Ok(output)
    }
}

impl KeepMask {
    /// The packed mask \[M15\] of `len` elements. Costs as for [`Dropout::apply_blocking`].
    ///
    /// # Errors
    ///
    /// [`RunError`] if indices pass 2^64 - 1, memory is short or the device fails.
    pub fn generate_blocking(
        &self,
        queue: &wgpu::Queue,
        len: u64,
        call: &DropoutCall,
    ) -> Result<Vec<u32>, RunError> {
        call.check_indices(len)?;
        let piece_elements = PIECE_BYTES / 4 * u64::from(ELEMENTS_PER_MASK_WORD);
        let mut mask = Vec::new();
        for start in (0..len).step_by(piece_elements as usize) {
            let piece = (len - start).min(piece_elements);
            let call = call.with_origin(call.origin + start);
            let content = [Content::Zeros {
                bytes: 4 * mask_words(piece),
            }];
            pollster::block_on(run(
                self.device(),
                queue,
                &content,
                &mut mask,
                |pass, words| {
                    let binding = self.bind(words[0].as_entire_buffer_binding(), piece)?;
                    Ok(self.encode(pass, &binding, &call)?)
                },
            ))?;
        }
        Ok(mask)
    }
}

impl PhiloxBlocks {
    /// The `len` blocks of `key` whose counters begin at `counter`. Costs as for
    /// [`Dropout::apply_blocking`].
    ///
    /// # Errors
    ///
    /// [`RunError`] if memory is short or the device fails.
    pub fn generate_blocking(
        &self,
        queue: &wgpu::Queue,
        counter: [u32; 4],
        key: [u32; 2],
        len: u64,
    ) -> Result<Vec<[u32; 4]>, RunError> {
        let piece_blocks = PIECE_BYTES / 16;
        let mut blocks = Vec::new();
        for start in (0..len).step_by(piece_blocks as usize) {
            let piece = (len - start).min(piece_blocks);
            let content = [Content::Zeros { bytes: 16 * piece }];
            pollster::block_on(run(
                self.device(),
                queue,
                &content,
                &mut blocks,
                |pass, data| {
                    let binding = self.bind(data[0].as_entire_buffer_binding(), piece)?;
                    self.encode(pass, &binding, advance_counter(counter, start), key);
                    Ok(())
                },
            ))?;
        }
        Ok(blocks)
    }
}
