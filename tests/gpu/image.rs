//! Contents of a buffer: tensors at known ranges, and canaries everywhere else.

use core::ops::Range;

use crate::common::compare;
use crate::gpu::Gpu;

/// The content of words that must not change. No kernel computes it from a test's inputs.
pub const CANARY: u32 = 0xDEAD_BEEF;

/// The words to fill a buffer with.
pub struct Image {
    words: Vec<u32>,
    granule: usize,
}

impl Image {
    /// Begins with one granule of canaries.
    pub fn new(gpu: &Gpu) -> Self {
        let granule = gpu.granule_words().max(1);
        Self {
            words: vec![CANARY; granule],
            granule,
        }
    }

    /// Adds a tensor at the next multiple of the granule, with at least one canary after it.
    /// Returns its range in words.
    pub fn place(&mut self, content: &[u32]) -> Range<usize> {
        let start = self.words.len();
        self.words.extend_from_slice(content);
        let end = self.words.len();
        self.words
            .resize((end + 1).next_multiple_of(self.granule), CANARY);
        start..end
    }

    /// Adds a range of `len` canaries, for a tensor that a kernel will write.
    pub fn place_for(&mut self, len: u64) -> Range<usize> {
        self.place(&vec![CANARY; len as usize])
    }

    pub fn upload(&self, gpu: &Gpu) -> wgpu::Buffer {
        gpu.upload(&self.words)
    }

    /// Checks that `after` differs from the image only in the ranges `written`.
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

/// A binding that begins with the words at `place`. If `exact`, it ends with them, else with the
/// buffer.
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
