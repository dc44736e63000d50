//! A bias and a scale along a tensor's last dimension, as a caller describes them.

use super::device::KernelHost;
use super::error::BindError;
use super::range::CheckedRange;
use crate::plan::fused::VectorShape;

/// An `f32` bias, a scale, or both in one buffer with the scale behind the bias. Each is repeated
/// over the tensor. A vector with as many numbers as the last dimension has elements is applied to
/// every row. A table of position embeddings is a bias of as many rows as there are positions.
///
/// The buffer needs [`STORAGE`](wgpu::BufferUsages::STORAGE), an offset aligned to the device's
/// `min_storage_buffer_offset_alignment`, and 4 bytes a number. The operation must not write to it.
/// The kernel loads 16 bytes at a time if the length of each vector is at least 32 and a multiple
/// of 4, or of 8 for types of 16 bits.
///
/// ```no_run
/// # fn bind(parameters: &wgpu_dropout::wgpu::Buffer) {
/// use wgpu_dropout::Vectors;
///
/// // A linear layer's bias, and LayerScale behind it.
/// let both = Vectors::bias_and_scale(parameters.as_entire_buffer_binding(), 768, 768);
/// // Embeddings of 64 positions, added to each sequence of a batch.
/// let positions = Vectors::bias(parameters.as_entire_buffer_binding(), 64 * 768);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Vectors<'a> {
    buffer: wgpu::BufferBinding<'a>,
    bias: Option<u32>,
    scale: Option<u32>,
}

impl<'a> Vectors<'a> {
    /// A bias of `len` numbers.
    pub const fn bias(buffer: wgpu::BufferBinding<'a>, len: u32) -> Self {
        Self {
            buffer,
            bias: Some(len),
            scale: None,
        }
    }

    /// A scale of `len` numbers.
    pub const fn scale(buffer: wgpu::BufferBinding<'a>, len: u32) -> Self {
        Self {
            buffer,
            bias: None,
            scale: Some(len),
        }
    }

    /// A bias of `bias_len` numbers, and a scale of `scale_len` behind it.
    pub const fn bias_and_scale(
        buffer: wgpu::BufferBinding<'a>,
        bias_len: u32,
        scale_len: u32,
    ) -> Self {
        Self {
            buffer,
            bias: Some(bias_len),
            scale: Some(scale_len),
        }
    }

    /// Returns the lengths and the checked range, if the vectors fit a tensor of `elements` and the
    /// device can bind them.
    pub(crate) fn checked(
        self,
        host: &KernelHost,
        elements: u64,
    ) -> Result<(VectorShape, CheckedRange<'a>), BindError> {
        let shape = VectorShape {
            bias_len: self.bias.unwrap_or(0),
            scale_len: self.scale.unwrap_or(0),
        };
        let count = u64::from(shape.bias_len) + u64::from(shape.scale_len);
        let lens = [self.bias, self.scale].into_iter().flatten();
        let range = host.checked_numbers(&self.buffer, count, lens, elements)?;
        Ok((shape, range))
    }
}
