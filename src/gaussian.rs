//! Gaussian dropout: multiplicative noise in the place of a mask.

use crate::binding::CheckedRange;
use crate::call::DropoutCall;
use crate::error::{BindError, CreateError, GaussianError};
use crate::geometry::{Geometry, Segment, Unit};
use crate::kernel::{KernelDescriptor, KernelHost};
use crate::mask::MaskPosition;
use crate::params::MaskParams;
use crate::rate::DropoutRate;
use crate::source::{BufferLayout, Kernel};

/// Indices that share a block of four words \[M18\].
const LANES: u64 = 4;

const ELEMENT: Unit = Unit {
    bytes: 4,
    per_invocation: LANES,
};

/// Gaussian dropout for `f32` on one device (Srivastava et al. 2014, section 10; Keras's
/// `GaussianDropout`): each element times a normal number of mean 1 and variance p / (1 - p), by
/// the realised p. Forward and backward are the same map of the same call, and inference does
/// nothing.
///
/// The noise is `y = x * (1 + sigma * z)` with z from domain 2 of the call's key \[M18\]. Its words
/// are the same everywhere; z goes through `log`, `sin` and `cos`, which adapters compute
/// differently, so y is within `|x| * sigma * 2^-8 + |y| * 2^-23` of the exact value \[M20\].
#[derive(Debug)]
pub struct GaussianDropout {
    host: KernelHost,
    geometry: Geometry,
}

/// Checked buffers of one tensor; made by [`GaussianDropout::bind`] and
/// [`GaussianDropout::bind_in_place`].
#[derive(Debug)]
pub struct GaussianBinding {
    buffers: BufferLayout,
    len: u64,
    segments: Vec<(Segment, wgpu::BindGroup)>,
}

impl GaussianDropout {
    /// Prepares the kernel for `device`.
    ///
    /// # Errors
    ///
    /// [`CreateError::Limit`] if the device's limits are lower than the kernel needs.
    pub fn new(
        device: &wgpu::Device,
        descriptor: &KernelDescriptor<'_>,
    ) -> Result<Self, CreateError> {
        let host = KernelHost::new(device, descriptor, 2, size_of::<MaskParams>())?;
        Ok(Self {
            geometry: Geometry::new(&device.limits(), ELEMENT)?,
            host,
        })
    }

    /// Checks that the call has noise for `len` elements, as every use of it does first.
    ///
    /// # Errors
    ///
    /// [`GaussianError`] if an index reaches 2^63 or the rate drops everything.
    pub fn check(call: &DropoutCall, len: u64) -> Result<(), GaussianError> {
        check(call, len).map(drop)
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
        }
    }

    /// Binds `len` elements of `input` and of `output`. Requirements as for
    /// [`Dropout::bind`](crate::Dropout::bind).
    ///
    /// # Errors
    ///
    /// See [`BindError`]; nothing was created then.
    pub fn bind(
        &self,
        input: wgpu::BufferBinding<'_>,
        output: wgpu::BufferBinding<'_>,
        len: u64,
    ) -> Result<GaussianBinding, BindError> {
        let input = self.host.checked("input", &input, len, ELEMENT.bytes)?;
        let output = self.host.checked("output", &output, len, ELEMENT.bytes)?;
        let buffers = BufferLayout::of(&input, &output)?;
        Ok(self.bind_ranges(buffers, &[input, output], len))
    }

    /// Binds `len` elements of `data`, which are overwritten by the result.
    ///
    /// # Errors
    ///
    /// See [`BindError`]; nothing was created then.
    pub fn bind_in_place(
        &self,
        data: wgpu::BufferBinding<'_>,
        len: u64,
    ) -> Result<GaussianBinding, BindError> {
        let data = self.host.checked("data", &data, len, ELEMENT.bytes)?;
        Ok(self.bind_ranges(BufferLayout::InPlace, &[data], len))
    }

    fn bind_ranges(
        &self,
        buffers: BufferLayout,
        ranges: &[CheckedRange<'_>],
        len: u64,
    ) -> GaussianBinding {
        let group_layout = self.host.group_layout(Kernel::Gaussian { buffers });
        let bind = |segment: Segment| {
            let windows = ranges.iter().map(|range| range.window(segment));
            let bindings: Vec<_> = (0..).zip(windows).collect();
            (segment, self.host.group(&group_layout, &bindings))
        };
        GaussianBinding {
            buffers,
            len,
            segments: self.geometry.segments(len).map(bind).collect(),
        }
    }

    /// Records `output = input * noise`, forward or backward. A rate of 0 multiplies by 1. Sets the
    /// same state of the pass as [`Dropout::encode_forward`](crate::Dropout::encode_forward).
    ///
    /// # Errors
    ///
    /// [`GaussianError`] if an index reaches 2^63 or the rate drops everything; nothing was
    /// recorded then.
    pub fn encode(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        binding: &GaussianBinding,
        call: &DropoutCall,
    ) -> Result<(), GaussianError> {
        let sigma = check(call, binding.len)?;
        let kernel = Kernel::Gaussian {
            buffers: binding.buffers,
        };
        for (segment, group) in &binding.segments {
            let position = position(call.origin + segment.start);
            let params = MaskParams {
                keep_scale: sigma,
                ..MaskParams::new(call, position, segment.len)
            };
            let invocations = (position.lane + segment.len).div_ceil(LANES as u32);
            self.host.dispatch(
                pass,
                kernel,
                group,
                bytemuck::bytes_of(&params),
                invocations,
            );
        }
        Ok(())
    }
}

/// Where an index below 2^63 lies in domain 2 \[M18\].
pub(crate) fn position(index: u64) -> MaskPosition {
    MaskPosition {
        block: index / LANES,
        lane: (index % LANES) as u32,
    }
}

/// The standard deviation of the noise, sqrt(p / (1 - p)) by the realised p, if `len` elements of
/// the call have one.
pub(crate) fn check(call: &DropoutCall, len: u64) -> Result<f32, GaussianError> {
    let DropoutCall { rate, origin, .. } = *call;
    if len > 0 && origin.checked_add(len).is_none_or(|end| end > 1 << 63) {
        return Err(GaussianError::IndexOverflow { origin, len });
    }
    if rate.drops_all() {
        return Err(GaussianError::DropsAll { p: rate.p() });
    }
    Ok(sigma(rate))
}

fn sigma(rate: DropoutRate) -> f32 {
    let p = rate.realized();
    (p / (1.0 - p)).sqrt() as f32
}
