//! The generator alone: raw blocks for known answers and statistical suites.

use crate::error::{BindError, CreateError};
use crate::geometry::{Geometry, Segment, Unit};
use crate::kernel::{KernelDescriptor, KernelHost};
use crate::params::BlockParams;
use crate::source::Kernel;

pub(crate) const BLOCK: Unit = Unit {
    bytes: 16,
    per_invocation: 1,
};

/// Writes Philox4x32 blocks of consecutive 128-bit counters (Salmon et al., SC'11).
#[derive(Debug)]
pub struct PhiloxBlocks {
    host: KernelHost,
    geometry: Geometry,
    kernel: Kernel,
}

/// A checked buffer for blocks; made by [`PhiloxBlocks::bind`].
#[derive(Debug)]
pub struct PhiloxBlocksBinding {
    segments: Vec<(Segment, wgpu::BindGroup)>,
}

impl PhiloxBlocks {
    /// Prepares the kernel of 7 or 10 `rounds` for `device`. Masks use 10 \[M2\].
    ///
    /// # Errors
    ///
    /// [`CreateError::Rounds`] for another number, [`CreateError::Limit`] if the device's limits
    /// are lower than the kernel needs.
    pub fn new(
        device: &wgpu::Device,
        descriptor: &KernelDescriptor<'_>,
        rounds: u32,
    ) -> Result<Self, CreateError> {
        if !matches!(rounds, 7 | 10) {
            return Err(CreateError::Rounds { rounds });
        }
        let host = KernelHost::new(device, descriptor, 1, size_of::<BlockParams>())?;
        Ok(Self {
            geometry: Geometry::new(&device.limits(), BLOCK)?,
            kernel: Kernel::PhiloxBlocks { rounds },
            host,
        })
    }

    /// The device the kernel is for.
    pub fn device(&self) -> &wgpu::Device {
        &self.host.device
    }

    /// For an audit: as on a device whose dispatches take `granules` at most, with `room_bytes` behind
    /// the elements of a window.
    #[cfg(feature = "cpu")]
    pub(crate) fn lowered(&self, granules: u64, room_bytes: u64) -> Self {
        Self {
            host: self.host.with_room(room_bytes),
            geometry: self.geometry.lowered(granules),
            kernel: self.kernel,
        }
    }

    /// Binds a buffer for `len` blocks of 16 bytes, with [`wgpu::BufferUsages::STORAGE`] and an
    /// offset aligned to the device's `min_storage_buffer_offset_alignment`.
    ///
    /// # Errors
    ///
    /// See [`BindError`]; nothing was created then. Its lengths count blocks.
    pub fn bind(
        &self,
        blocks: wgpu::BufferBinding<'_>,
        len: u64,
    ) -> Result<PhiloxBlocksBinding, BindError> {
        let blocks = self.host.checked("blocks", &blocks, len, BLOCK.bytes)?;
        let group_layout = self.host.group_layout(self.kernel);
        let bind = |segment: Segment| {
            (
                segment,
                self.host
                    .group(&group_layout, &[(0, blocks.window(segment))]),
            )
        };
        let segments = self.geometry.segments(len).map(bind).collect();
        Ok(PhiloxBlocksBinding { segments })
    }

    /// Records the writing of the blocks of `key` whose counters begin at `counter`, word 0 the
    /// lowest; the carry goes through all four words and wraps. Sets the same state of the pass
    /// as [`Dropout::encode_forward`](crate::Dropout::encode_forward).
    pub fn encode(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        binding: &PhiloxBlocksBinding,
        counter: [u32; 4],
        key: [u32; 2],
    ) {
        for (segment, group) in &binding.segments {
            let params = BlockParams {
                counter: advance_counter(counter, segment.start),
                key,
                len: segment.len,
                padding: 0,
            };
            self.host.dispatch(
                pass,
                self.kernel,
                group,
                bytemuck::bytes_of(&params),
                segment.len,
            );
        }
    }
}

/// The counter `blocks` after `counter`, as one 128-bit number that wraps; word 0 is the lowest.
pub fn advance_counter(counter: [u32; 4], blocks: u64) -> [u32; 4] {
    let words = counter
        .iter()
        .rev()
        .fold(0u128, |sum, &word| sum << 32 | u128::from(word));
    let sum = words.wrapping_add(blocks.into());
    [0, 32, 64, 96].map(|shift| (sum >> shift) as u32)
}
