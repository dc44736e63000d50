//! One call on slices: upload, run, read back, wait. For scripts and tests; native only, since a
//! browser cannot block.

use std::borrow::Cow;

use crate::contract::call::DropoutCall;
use crate::contract::counter::advance_counter;
use crate::contract::effect::Direction;
use crate::contract::element::Element;
use crate::contract::layout::MaskLayout;
use crate::contract::slices::clear_spare_bits;
use crate::contract::source::MaskSource;
use crate::dropout::Dropout;
use crate::host::elements::Elements;
use crate::host::error::RunError;
use crate::host::round_trip::{Content, run};
use crate::keep_mask::KeepMask;
use crate::philox_blocks::PhiloxBlocks;

/// Longer work is done in pieces, so that no buffer takes more than 64 MiB.
const PIECE_ELEMENTS: u64 = 1 << 24;
const PIECE_MASK_ELEMENTS: u64 = 1 << 29;
const PIECE_BLOCKS: u64 = 1 << 22;

/// Start and length of each piece of `len` units. A piece has at most `most` units.
fn pieces(len: u64, most: u64) -> impl Iterator<Item = (u64, u64)> {
    (0..len)
        .step_by(most as usize)
        .map(move |start| (start, most.min(len - start)))
}

impl Dropout {
    /// Dropout of a slice of `f32`, [`half::f16`] or [`half::bf16`], upload and download included.
    /// A `source` is a length, a [`MaskLayout`] or one of [`MaskSource`].
    ///
    /// It blocks until the device has finished: it makes buffers, moves the data to the device and
    /// back, and waits. This costs many times what dropout does. A training loop keeps its tensors
    /// on the device and uses [`bind`](Self::bind). The whole tensor of a layout must fit the
    /// device's memory: cut a longer one by [`MaskLayout::shard`].
    ///
    /// # Errors
    ///
    /// [`RunError::Source`] if the slice does not have the source's length, if a packed mask does
    /// not have the words for that length, or if there is not one id for each sample.
    /// [`RunError::Call`] as for [`encode_forward`](Self::encode_forward). [`RunError::Bind`] if
    /// the kernels cannot take the layout or the elements take more bytes than the device's
    /// `max_buffer_size`. [`RunError::ForeignQueue`] if the queue is another device's. Other
    /// variants if memory is short or the device fails.
    ///
    /// # Panics
    ///
    /// [`wgpu::Device::poll`] panics if the device is lost while the call waits.
    ///
    /// ```no_run
    /// # fn run(dropout: &wgpu_dropout::Dropout, queue: &wgpu_dropout::wgpu::Queue) -> Result<(), Box<dyn std::error::Error>> {
    /// use wgpu_dropout::{Direction, DropoutCall, DropoutRate, MaskKey};
    ///
    /// let call = DropoutCall::new(DropoutRate::new(0.1)?, MaskKey::layer_step(42, 3, 7));
    /// let x = vec![1.0f32; 1000];
    /// let y = dropout.run_blocking(queue, Direction::Forward, x.len(), &x, &call)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn run_blocking<'a, T: Element>(
        &self,
        queue: &wgpu::Queue,
        direction: Direction,
        source: impl Into<MaskSource<'a>>,
        input: &[T],
        call: &DropoutCall,
    ) -> Result<Vec<T>, RunError> {
        let source = source.into();
        source.check_slices(input.len())?;
        source.check_call(call)?;
        // No capacity is reserved: if memory is short, the device returns an error first, where a
        // failed allocation here would abort the process.
        let mut output = Vec::new();
        match source {
            MaskSource::Len(len) => {
                for (start, len) in pieces(len, PIECE_ELEMENTS) {
                    let call = call.with_origin(call.origin + start);
                    let piece = &input[start as usize..][..len as usize];
                    let piece_source = MaskSource::Len(len);
                    self.run_piece(queue, direction, piece_source, piece, &call, &mut output)?;
                }
            }
            _ if input.is_empty() => {}
            _ => self.run_piece(queue, direction, source, input, call, &mut output)?,
        }
        Ok(output)
    }

    fn run_piece<T: Element>(
        &self,
        queue: &wgpu::Queue,
        direction: Direction,
        source: MaskSource<'_>,
        input: &[T],
        call: &DropoutCall,
        output: &mut Vec<T>,
    ) -> Result<(), RunError> {
        let len = output.len() + input.len();
        let mut bytes = Cow::Borrowed(bytemuck::cast_slice(input));
        if !bytes.len().is_multiple_of(4) {
            // Buffers are copied 4 bytes at a time.
            bytes.to_mut().extend([0; 2]);
        }
        let side = match source {
            MaskSource::Samples { ids: words, .. } | MaskSource::Packed { mask: words, .. } => {
                words
            }
            MaskSource::Len(_) | MaskSource::Layout(_) => &[],
        };
        let mut contents = vec![Content::Bytes(&bytes)];
        if !side.is_empty() {
            contents.push(Content::Constant(bytemuck::cast_slice(side)));
        }
        let device = self.device();
        pollster::block_on(run(device, queue, &contents, output, |pass, buffers| {
            let data = buffers[0].as_entire_buffer_binding();
            let side = || buffers[buffers.len() - 1].as_entire_buffer_binding();
            let elements = match source {
                MaskSource::Len(len) => Elements::from(len),
                MaskSource::Layout(layout) => Elements::from(layout),
                MaskSource::Samples { layout, .. } => Elements::samples(layout, side()),
                MaskSource::Packed { len, .. } => Elements::packed(side(), len),
            };
            let binding = self.bind_in_place(data, elements.of_type(T::TYPE))?;
            Ok(self.encode(pass, &binding, call, direction)?)
        }))?;
        output.truncate(len);
        Ok(())
    }
}

impl KeepMask {
    /// Returns the packed mask \[M15\] of a length, a [`MaskLayout`] or one of [`MaskSource`]. A
    /// packed mask is returned as it is, but with 0 in its spare bits. Costs and panics are those
    /// of [`Dropout::run_blocking`].
    ///
    /// # Errors
    ///
    /// See [`Dropout::run_blocking`]. [`RunError::Call`] for Gaussian noise too.
    pub fn run_blocking<'a>(
        &self,
        queue: &wgpu::Queue,
        source: impl Into<MaskSource<'a>>,
        call: &DropoutCall,
    ) -> Result<Vec<u32>, RunError> {
        let source = source.into();
        source.check_side()?;
        source.check_keep_mask(call)?;
        let mut mask = Vec::new();
        let (layout, ids) = match source {
            MaskSource::Len(len) => {
                for (start, len) in pieces(len, PIECE_MASK_ELEMENTS) {
                    let call = call.with_origin(call.origin + start);
                    let layout = MaskLayout::linear(len);
                    pollster::block_on(self.generate(queue, &layout, None, &call, &mut mask))?;
                }
                return Ok(mask);
            }
            MaskSource::Packed { mask: packed, len } => {
                mask.extend_from_slice(packed);
                clear_spare_bits(&mut mask, len);
                return Ok(mask);
            }
            MaskSource::Layout(layout) => (layout, None),
            MaskSource::Samples { layout, ids } => (layout, Some(ids)),
        };
        if !layout.is_empty() {
            pollster::block_on(self.generate(queue, layout, ids, call, &mut mask))?;
        }
        Ok(mask)
    }
}

impl PhiloxBlocks {
    /// Returns the `len` blocks of `key` whose counters begin at `counter`. Costs and panics are
    /// those of [`Dropout::run_blocking`].
    ///
    /// # Errors
    ///
    /// [`RunError`] if memory is short or the device fails.
    pub fn run_blocking(
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
    #[test]
    fn pieces_cover_a_length_once() {
        let pieces = |len| -> Vec<_> { super::pieces(len, 4).collect() };
        assert_eq!(pieces(0), []);
        assert_eq!(pieces(4), [(0, 4)]);
        assert_eq!(pieces(10), [(0, 4), (4, 4), (8, 2)]);
    }
}
