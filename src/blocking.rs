//! One call on slices: upload, run, read back, wait. For scripts and tests; native only, since a
//! browser cannot block.

use std::borrow::Cow;

use crate::call::DropoutCall;
use crate::dropout::{Dropout, DropoutBinding, Elements};
use crate::element::Element;
use crate::error::{IndexOverflow, RunError};
use crate::gaussian::GaussianDropout;
use crate::job::{Content, run};
use crate::keep_mask::KeepMask;
use crate::layout::MaskLayout;
use crate::philox_blocks::{PhiloxBlocks, advance_counter};

/// Longer work is done in pieces, so that no buffer takes more than 64 MiB.
const PIECE_ELEMENTS: u64 = 1 << 24;
const PIECE_MASK_ELEMENTS: u64 = 1 << 29;
const PIECE_BLOCKS: u64 = 1 << 22;

/// First unit and length of each piece of `len` units, at most `most` long.
fn pieces(len: u64, most: u64) -> impl Iterator<Item = (u64, u64)> {
    (0..len)
        .step_by(most as usize)
        .map(move |start| (start, most.min(len - start)))
}

/// The calls of the pieces of `len` elements, and their lengths.
fn calls(
    call: &DropoutCall,
    len: u64,
    most: u64,
) -> impl Iterator<Item = (DropoutCall, u64)> + use<> {
    let call = *call;
    pieces(len, most).map(move |(start, len)| (call.with_origin(call.origin + start), len))
}

/// The pieces of `input`, each with its call.
fn inputs<'a, T>(
    call: &DropoutCall,
    input: &'a [T],
) -> impl Iterator<Item = (DropoutCall, &'a [T])> + use<'a, T> {
    let calls = calls(call, input.len() as u64, PIECE_ELEMENTS);
    calls
        .map(|(call, _)| call)
        .zip(input.chunks(PIECE_ELEMENTS as usize))
}

/// [`Dropout::encode_forward`] or [`Dropout::encode_backward`].
type Encode = fn(
    &Dropout,
    &mut wgpu::ComputePass<'_>,
    &DropoutBinding,
    &DropoutCall,
) -> Result<(), IndexOverflow>;

impl Dropout {
    /// Dropout of a slice, upload and download included; of `f32`, [`half::f16`] or [`half::bf16`].
    ///
    /// Blocks until the device has finished: it makes buffers, moves the data to the device and
    /// back and waits, which costs many times what dropout does. A training loop keeps its
    /// tensors on the device and uses [`bind`](Self::bind).
    ///
    /// # Errors
    ///
    /// [`RunError`] if indices pass 2^64 - 1, the queue is another device's, memory is short or the
    /// device fails.
    ///
    /// # Panics
    ///
    /// [`wgpu::Device::poll`] panics if the driver gives the device up while the call waits.
    pub fn apply_blocking<T: Element>(
        &self,
        queue: &wgpu::Queue,
        input: &[T],
        call: &DropoutCall,
    ) -> Result<Vec<T>, RunError> {
        self.linear_blocking(queue, input, call, Self::encode_forward)
    }

    /// The gradient of the input, of that of the output: as
    /// [`apply_blocking`](Self::apply_blocking), with the forward's call.
    ///
    /// # Errors
    ///
    /// As [`apply_blocking`](Self::apply_blocking).
    pub fn backward_blocking<T: Element>(
        &self,
        queue: &wgpu::Queue,
        grad_output: &[T],
        call: &DropoutCall,
    ) -> Result<Vec<T>, RunError> {
        self.linear_blocking(queue, grad_output, call, Self::encode_backward)
    }

    /// [`apply_blocking`](Self::apply_blocking) with the mask of `layout`, on the device at once:
    /// cut a longer tensor by [`MaskLayout::shard`].
    ///
    /// # Errors
    ///
    /// [`RunError::LayoutLength`] unless the input has the layout's length, [`RunError::Bind`] if
    /// a dimension of a layout that is not linear, or neighbours that its mask treats alike, has
    /// 2^31 elements or more, or the elements take more bytes than the device's `max_buffer_size`; else
    /// as [`apply_blocking`](Self::apply_blocking).
    pub fn apply_layout_blocking<T: Element>(
        &self,
        queue: &wgpu::Queue,
        input: &[T],
        layout: &MaskLayout,
        call: &DropoutCall,
    ) -> Result<Vec<T>, RunError> {
        self.layout_blocking(queue, input, layout, call, Self::encode_forward)
    }

    /// [`backward_blocking`](Self::backward_blocking) with the mask of `layout`.
    ///
    /// # Errors
    ///
    /// As [`apply_layout_blocking`](Self::apply_layout_blocking).
    pub fn backward_layout_blocking<T: Element>(
        &self,
        queue: &wgpu::Queue,
        grad_output: &[T],
        layout: &MaskLayout,
        call: &DropoutCall,
    ) -> Result<Vec<T>, RunError> {
        self.layout_blocking(queue, grad_output, layout, call, Self::encode_backward)
    }

    fn linear_blocking<T: Element>(
        &self,
        queue: &wgpu::Queue,
        input: &[T],
        call: &DropoutCall,
        encode: Encode,
    ) -> Result<Vec<T>, RunError> {
        call.check_indices(input.len() as u64)?;
        let mut output = Vec::with_capacity(input.len());
        for (call, piece) in inputs(call, input) {
            let elements = Elements::Len(piece.len() as u64);
            self.run(queue, piece, elements, &call, encode, &mut output)?;
        }
        Ok(output)
    }

    fn layout_blocking<T: Element>(
        &self,
        queue: &wgpu::Queue,
        input: &[T],
        layout: &MaskLayout,
        call: &DropoutCall,
        encode: Encode,
    ) -> Result<Vec<T>, RunError> {
        if input.len() as u64 != layout.len() {
            return Err(RunError::LayoutLength {
                elements: input.len(),
                required: layout.len(),
            });
        }
        let mut output = Vec::new();
        if !input.is_empty() {
            self.run(queue, input, layout.into(), call, encode, &mut output)?;
        }
        Ok(output)
    }

    fn run<T: Element>(
        &self,
        queue: &wgpu::Queue,
        input: &[T],
        elements: Elements<'_>,
        call: &DropoutCall,
        encode: Encode,
        output: &mut Vec<T>,
    ) -> Result<(), RunError> {
        let len = output.len() + input.len();
        let mut bytes = Cow::Borrowed(bytemuck::cast_slice(input));
        if !bytes.len().is_multiple_of(4) {
            // Buffers are copied 4 bytes at a time.
            bytes.to_mut().extend([0; 2]);
        }
        let content = [Content::Bytes(&bytes)];
        pollster::block_on(run(self.device(), queue, &content, output, |pass, data| {
            let data = data[0].as_entire_buffer_binding();
            let binding = self.bind_in_place(data, elements.of_type(T::TYPE))?;
            Ok(encode(self, pass, &binding, call)?)
        }))?;
        output.truncate(len);
        Ok(())
    }
}

impl GaussianDropout {
    /// Gaussian dropout of a slice, forward or backward. Costs and panics as for [`Dropout::apply_blocking`].
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
        for (call, piece) in inputs(call, input) {
            pollster::block_on(self.apply(queue, piece, &call, &mut output))?;
        }
        Ok(output)
    }
}

impl KeepMask {
    /// The packed mask \[M15\] of `len` elements. Costs and panics as for [`Dropout::apply_blocking`].
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
        let mut mask = Vec::new();
        for (call, len) in calls(call, len, PIECE_MASK_ELEMENTS) {
            let layout = MaskLayout::linear(len);
            pollster::block_on(self.generate(queue, &layout, None, &call, &mut mask))?;
        }
        Ok(mask)
    }

    /// The packed mask of `layout`, on the device at once. Costs and panics as for
    /// [`Dropout::apply_blocking`].
    ///
    /// # Errors
    ///
    /// [`RunError::Bind`] as for [`Dropout::apply_layout_blocking`]; else as
    /// [`generate_blocking`](Self::generate_blocking).
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
    /// The `len` blocks of `key` whose counters begin at `counter`. Costs and panics as for
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
        let mut blocks = Vec::new();
        for (start, len) in pieces(len, PIECE_BLOCKS) {
            let counter = advance_counter(counter, start);
            pollster::block_on(self.generate(queue, counter, key, len, &mut blocks))?;
        }
        Ok(blocks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DropoutRate, MaskKey};

    #[test]
    fn pieces_have_the_calls_of_their_place() {
        let whole = DropoutCall::new(DropoutRate::ZERO, MaskKey::new(1, 2)).with_origin(5);
        let pieces = |len| -> Vec<_> { calls(&whole, len, 4).collect() };
        let piece = |origin, len| (whole.with_origin(origin), len);
        assert_eq!(pieces(0), []);
        assert_eq!(pieces(4), [piece(5, 4)]);
        assert_eq!(pieces(10), [piece(5, 4), piece(9, 4), piece(13, 2)]);
    }
}
