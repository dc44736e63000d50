//! The generator alone: raw blocks for known-answer tests and for statistical test suites.

use crate::contract::counter::advance_counter;
use crate::host::bound::BoundSegment;
use crate::host::device::{KernelDescriptor, KernelHost, cut_limits};
use crate::host::error::BindError;
use crate::host::params::ParameterPath;
#[cfg(not(target_arch = "wasm32"))]
use crate::host::round_trip;
use crate::kernel::axes::{Kernel, Role};
use crate::plan::cut::{Geometry, Unit};
use crate::plan::error::CreateError;
use crate::plan::params::BlockParams;

pub(crate) const BLOCK: Unit = Unit {
    bytes: 16,
    per_invocation: 1,
};

/// Writes Philox4x32 blocks of consecutive 128-bit counters (Salmon et al., SC'11).
///
/// ```no_run
/// # fn record(device: &wgpu_dropout::wgpu::Device, pass: &mut wgpu_dropout::wgpu::ComputePass<'_>, blocks: &wgpu_dropout::wgpu::Buffer) -> Result<(), Box<dyn std::error::Error>> {
/// use wgpu_dropout::{KernelDescriptor, PhiloxBlocks};
///
/// let philox = PhiloxBlocks::new(device, &KernelDescriptor::default(), 10)?;
/// let binding = philox.bind(blocks.as_entire_buffer_binding(), 1000)?;
/// philox.encode(pass, &binding, [0; 4], [42, 0]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct PhiloxBlocks {
    pub(crate) host: KernelHost,
    geometry: Geometry,
    kernel: Kernel,
}

/// A checked buffer for blocks; made by [`PhiloxBlocks::bind`].
#[derive(Debug)]
pub struct PhiloxBlocksBinding {
    bound: Vec<BoundSegment>,
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
        let host = KernelHost::new(device, descriptor, 1, 1, size_of::<BlockParams>())?;
        Ok(Self {
            geometry: Geometry::new(cut_limits(device), BLOCK)?,
            kernel: Kernel::PhiloxBlocks { rounds },
            host,
        })
    }

    /// The device the kernel is for.
    pub fn device(&self) -> &wgpu::Device {
        &self.host.device
    }

    /// Returns the way in which dispatches receive their parameters, with the reason if it is not
    /// by immediates. Recording takes 7 to 21 times as long without them.
    pub fn parameter_path(&self) -> ParameterPath {
        self.host.parameter_path
    }

    /// For an audit: the same pipelines as on a device whose dispatches take at most `granules`,
    /// with bindings that show `room_bytes` behind their elements.
    #[cfg(feature = "cpu")]
    pub(crate) fn lowered(&self, granules: u64, room_bytes: u64) -> Self {
        Self {
            host: self.host.with_room(room_bytes),
            geometry: self.geometry.lowered(granules),
            kernel: self.kernel,
        }
    }

    /// Binds a buffer for `len` blocks of 16 bytes, with [`wgpu::BufferUsages::STORAGE`] and an
    /// offset aligned to the device's `min_storage_buffer_offset_alignment`. Panics are those of
    /// [`Dropout::bind`](crate::Dropout::bind).
    ///
    /// # Errors
    ///
    /// See [`BindError`], whose lengths count blocks here; nothing was created then.
    pub fn bind(
        &self,
        blocks: wgpu::BufferBinding<'_>,
        len: u64,
    ) -> Result<PhiloxBlocksBinding, BindError> {
        let blocks = self.host.checked(Role::Blocks, &blocks, len, BLOCK.bytes)?;
        let bound = self.host.bind(
            self.kernel,
            self.geometry.segments(len),
            &[blocks],
            &[],
            |_| None,
        )?;
        Ok(PhiloxBlocksBinding { bound })
    }

    /// Records the writing of the blocks of `key` whose counters begin at `counter`. A counter is
    /// one 128-bit number that wraps, and its word 0 is the lowest. It sets the same state of the
    /// pass as [`Dropout::encode_forward`](crate::Dropout::encode_forward).
    pub fn encode(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        binding: &PhiloxBlocksBinding,
        counter: [u32; 4],
        key: [u32; 2],
    ) {
        for bound in &binding.bound {
            let segment = bound.segment;
            let params = BlockParams {
                counter: advance_counter(counter, segment.start),
                key,
                len: segment.len,
                padding: 0,
            };
            self.host.dispatch(
                pass,
                self.kernel,
                &bound.group,
                bytemuck::bytes_of(&params),
                segment.len,
            );
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl PhiloxBlocks {
    /// Appends `len` blocks to `blocks`.
    pub(crate) async fn generate(
        &self,
        queue: &wgpu::Queue,
        counter: [u32; 4],
        key: [u32; 2],
        len: u64,
        blocks: &mut Vec<[u32; 4]>,
    ) -> Result<(), crate::host::error::RunError> {
        let bytes = len.saturating_mul(BLOCK.bytes);
        let contents = [round_trip::Content::Zeros { bytes }];
        round_trip::run(self.device(), queue, &contents, blocks, |pass, buffers| {
            let binding = self.bind(buffers[0].as_entire_buffer_binding(), len)?;
            self.encode(pass, &binding, counter, key);
            Ok(())
        })
        .await
    }
}
