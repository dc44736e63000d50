//! A buffer's words before and after: places for tensors, canaries everywhere else.

use core::ops::Range;

use crate::common::compare;
use crate::gpu::Gpu;

/// No kernel computes this from a test's inputs.
pub const CANARY: u32 = 0xDEAD_BEEF;

/// The words that a buffer is filled with.
pub struct Image {
    words: Vec<u32>,
    granule: usize,
}

impl Image {
    /// An image that is one granule of canaries.
    pub fn new(gpu: &Gpu) -> Self {
        let granule = gpu.granule_words().max(1);
        Self {
            words: vec![CANARY; granule],
            granule,
        }
    }

    /// Adds a tensor where a binding may begin, with at least one canary behind it.
    pub fn place(&mut self, content: &[u32]) -> Range<usize> {
        let start = self.words.len();
        self.words.extend_from_slice(content);
        let end = self.words.len();
        self.words
            .resize((end + 1).next_multiple_of(self.granule), CANARY);
        start..end
    }

    /// Adds a place for `len` words that are to be written.
    pub fn place_for(&mut self, len: u64) -> Range<usize> {
        self.place(&vec![CANARY; len as usize])
    }

    pub fn upload(&self, gpu: &Gpu) -> wgpu::Buffer {
        gpu.upload(&self.words)
    }

    /// Checks that only the words of `written` differ in `after`.
    pub fn check_outside(&self, after: &[u32], written: &[Range<usize>]) -> Result<(), String> {
        let mut outside = after.to_vec();
        for range in written {
            outside[range.clone()].copy_from_slice(&self.words[range.clone()]);
        }
        compare::bytes(
            bytemuck::cast_slice(&self.words),
            bytemuck::cast_slice(&outside),
        )
        .map_err(|difference| format!("bytes outside of the tensors were written: {difference}"))
    }
}

/// A binding of the words at `place`: the first ones of the range from there to the buffer's end
/// or, if `exact`, of a range of just their size.
pub fn binding<'a>(
    buffer: &'a wgpu::Buffer,
    place: &Range<usize>,
    exact: bool,
) -> wgpu::BufferBinding<'a> {
    let size = wgpu::BufferSize::new(4 * place.len() as u64);
    wgpu::BufferBinding {
        buffer,
        offset: 4 * place.start as u64,
        size: size.filter(|_| exact),
    }
}
