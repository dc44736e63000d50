//! One call on slices: upload, run, read back, wait. For scripts and tests; native only, since a
//! browser cannot block.

use crate::call::DropoutCall;
use crate::dropout::{Dropout, DropoutBinding, Elements};
use crate::error::{IndexOverflow, RunError};
use crate::gaussian::GaussianDropout;
use crate::job::{Content, run};
use crate::keep_mask::KeepMask;
use crate::layout::MaskLayout;
use crate::mask::ELEMENTS_PER_MASK_WORD;
use crate::philox_blocks::{BLOCK, PhiloxBlocks, advance_counter};

/// Longer work is done in pieces, so that no buffer takes more than this.
const PIECE_BYTES: u64 = 64 << 20;

/// Elements of a piece.
const PIECE_ELEMENTS: usize = PIECE_BYTES as usize / size_of::<f32>();

/// [`Dropout::encode_forward`] or [`Dropout::encode_backward`].
type Encode = fn(
    &Dropout,
    &mut wgpu::ComputePass<'_>,
    &DropoutBinding,
    &DropoutCall,
) -> Result<(), IndexOverflow>;

impl Dropout {
    /// Dropout of a slice, upload and download included.
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
        self.linear_blocking(queue, input, call, Self::encode_forward)
    }

    /// The gradient of the input, of that of the output: as
    /// [`apply_blocking`](Self::apply_blocking), with the forward's call.
    ///
    /// # Errors
    ///
    /// As [`apply_blocking`](Self::apply_blocking).
    pub fn backward_blocking(
        &self,
        queue: &wgpu::Queue,
        grad_output: &[f32],
        call: &DropoutCall,
    ) -> Result<Vec<f32>, RunError> {
        self.linear_blocking(queue, grad_output, call, Self::encode_backward)
    }

    /// [`apply_blocking`](Self::apply_blocking) with the mask of `layout`, on the device at once:
    /// cut a longer tensor by [`MaskLayout::shard`].
    ///
    /// # Errors
    ///
    /// [`RunError::LayoutLength`] unless the input has the layout's length; else as
    /// [`apply_blocking`](Self::apply_blocking).
    pub fn apply_layout_blocking(
        &self,
        queue: &wgpu::Queue,
        input: &[f32],
        layout: &MaskLayout,
        call: &DropoutCall,
    ) -> Result<Vec<f32>, RunError> {
        self.layout_blocking(queue, input, layout, call, Self::encode_forward)
    }

    /// [`backward_blocking`](Self::backward_blocking) with the mask of `layout`.
    ///
    /// # Errors
    ///
    /// As [`apply_layout_blocking`](Self::apply_layout_blocking).
    pub fn backward_layout_blocking(
        &self,
        queue: &wgpu::Queue,
        grad_output: &[f32],
        layout: &MaskLayout,
        call: &DropoutCall,
    ) -> Result<Vec<f32>, RunError> {
        self.layout_blocking(queue, grad_output, layout, call, Self::encode_backward)
    }

    fn linear_blocking(
        &self,
        queue: &wgpu::Queue,
        input: &[f32],
        call: &DropoutCall,
        encode: Encode,
    ) -> Result<Vec<f32>, RunError> {
        call.check_indices(input.len() as u64)?;
        let mut output = Vec::with_capacity(input.len());
        for piece in input.chunks(PIECE_ELEMENTS) {
            let call = call.with_origin(call.origin + output.len() as u64);
            let elements = Elements::Len(piece.len() as u64);
            self.run(queue, piece, elements, &call, encode, &mut output)?;
        }
        Ok(output)
    }

    fn layout_blocking(
        &self,
        queue: &wgpu::Queue,
        input: &[f32],
        layout: &MaskLayout,
        call: &DropoutCall,
        encode: Encode,
    ) -> Result<Vec<f32>, RunError> {
        if input.len() as u64 != layout.len() {
            return Err(RunError::LayoutLength {
                elements: input.len(),
                required: layout.len(),
            });
        }
        let mut output = Vec::with_capacity(input.len());
        if !input.is_empty() {
            self.run(queue, input, layout.into(), call, encode, &mut output)?;
        }
        Ok(output)
    }

    fn run(
        &self,
        queue: &wgpu::Queue,
        input: &[f32],
        elements: Elements<'_>,
        call: &DropoutCall,
        encode: Encode,
        output: &mut Vec<f32>,
    ) -> Result<(), RunError> {
        let content = [Content::Bytes(bytemuck::cast_slice(input))];
        pollster::block_on(run(self.device(), queue, &content, output, |pass, data| {
            let data = data[0].as_entire_buffer_binding();
            let binding = self.bind_in_place(data, elements)?;
            Ok(encode(self, pass, &binding, call)?)
        }))
    }
}

impl GaussianDropout {
    /// Gaussian dropout of a slice, forward or backward. Costs as for [`Dropout::apply_blocking`].
    ///
    /// # Errors
    ///
    /// [`RunError`] if an index reaches 2^63, the rate drops everything, memory is short or the
    /// device fails.
    pub fn apply_blocking(
        &self,
        queue: &wgpu::Queue,
        input: &[f32],
        call: &DropoutCall,
    ) -> Result<Vec<f32>, RunError> {
        Self::check(call, input.len() as u64)?;
        let mut output = Vec::with_capacity(input.len());
        for piece in input.chunks(PIECE_ELEMENTS) {
            let call = call.with_origin(call.origin + output.len() as u64);
            pollster::block_on(self.apply(queue, piece, &call, &mut output))?;
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
            let layout = MaskLayout::linear(piece);
            pollster::block_on(self.generate(queue, &layout, None, &call, &mut mask))?;
        }
        Ok(mask)
    }

    /// The packed mask of `layout`, on the device at once. Costs as for
    /// [`Dropout::apply_blocking`].
    ///
    /// # Errors
    ///
    /// As [`generate_blocking`](Self::generate_blocking).
    pub fn generate_layout_blocking(
        &self,
        queue: &wgpu::Queue,
        layout: &MaskLayout,
        call: &DropoutCall,
    ) -> Result<Vec<u32>, RunError> {
        let mut mask = Vec::new();
        if !layout.is_empty() {
            pollster::block_on(self.generate(queue, layout, None, call, &mut mask))?;
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
        let piece_blocks = PIECE_BYTES / BLOCK.bytes;
        let mut blocks = Vec::new();
        for start in (0..len).step_by(piece_blocks as usize) {
            let piece = (len - start).min(piece_blocks);
            let counter = advance_counter(counter, start);
            pollster::block_on(self.generate(queue, counter, key, piece, &mut blocks))?;
        }
        Ok(blocks)
    }
}
