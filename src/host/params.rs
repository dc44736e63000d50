//! Passes parameters to a dispatch. This is the only file that uses immediates.

use core::fmt;

use crate::plan::params::MaskParams;

/// The way in which a dispatch receives its parameters. Results have the same bits either way, but
/// recording takes longer without immediates.
///
/// ```
/// use wgpu_dropout::{ParameterPath, UniformReason, wgpu};
///
/// let limits = wgpu::Limits { max_immediate_size: 32, ..Default::default() };
/// let path = ParameterPath::of(wgpu::Features::IMMEDIATES, &limits);
/// let reason = UniformReason::Limit { available_bytes: 32, required_bytes: 64 };
/// assert_eq!(path, ParameterPath::Uniform(reason));
/// assert_eq!(path.to_string(), "uniforms: max_immediate_size is 32, 64 needed");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParameterPath {
    /// By immediates of the pass.
    Immediates,
    /// By a uniform buffer and a bind group of its own: recording a dispatch takes 7 to 21 times as
    /// long.
    Uniform(UniformReason),
}

/// The reason why immediates are not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UniformReason {
    /// The device was requested without [`IMMEDIATES`](wgpu::Features::IMMEDIATES). Request it with
    /// them if the adapter has them.
    Feature,
    /// [`KernelDescriptor::avoid`](crate::KernelDescriptor::avoid) excludes them.
    Avoided,
    /// The device's `max_immediate_size` is too low: request it with 64.
    Limit {
        /// Bytes that the device allows.
        available_bytes: u32,
        /// Bytes that the kernels need.
        required_bytes: u32,
    },
}

impl ParameterPath {
    /// The path that [`Dropout`](crate::Dropout), [`KeepMask`](crate::KeepMask) and
    /// [`GaussianDropout`](crate::GaussianDropout) take on a device with these features and limits.
    pub fn of(features: wgpu::Features, limits: &wgpu::Limits) -> Self {
        // The struct has 64 bytes.
        let required_bytes = size_of::<MaskParams>() as u32;
        Self::new(features, wgpu::Features::empty(), limits, required_bytes)
    }

    pub(crate) fn new(
        features: wgpu::Features,
        avoid: wgpu::Features,
        limits: &wgpu::Limits,
        required_bytes: u32,
    ) -> Self {
        let available_bytes = limits.max_immediate_size;
        if !features.contains(wgpu::Features::IMMEDIATES) {
            Self::Uniform(UniformReason::Feature)
        } else if avoid.contains(wgpu::Features::IMMEDIATES) {
            Self::Uniform(UniformReason::Avoided)
        } else if available_bytes < required_bytes {
            Self::Uniform(UniformReason::Limit {
                available_bytes,
                required_bytes,
            })
        } else {
            Self::Immediates
        }
    }
}

impl fmt::Display for ParameterPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Immediates => f.write_str("immediates"),
            Self::Uniform(UniformReason::Feature) => f.write_str("uniforms: no IMMEDIATES"),
            Self::Uniform(UniformReason::Avoided) => f.write_str("uniforms: IMMEDIATES avoided"),
            Self::Uniform(UniformReason::Limit {
                available_bytes,
                required_bytes,
            }) => write!(
                f,
                "uniforms: max_immediate_size is {available_bytes}, {required_bytes} needed"
            ),
        }
    }
}

/// The means by which parameters reach a dispatch. With either, each dispatch of a command buffer
/// has parameters of its own. Writing them to one buffer through the queue would be wrong: all
/// dispatches would see the last write.
#[derive(Clone, Debug)]
pub(super) enum ParamsPath {
    /// Recorded in the pass: 0.5 to 0.7 microseconds a dispatch on the recording thread.
    Immediates,
    /// A new uniform buffer for each dispatch, in bind group 1: about 3.3 microseconds a dispatch.
    Uniform(wgpu::BindGroupLayout),
}

impl ParamsPath {
    /// Prepares `path` on `device` for `bytes` of parameters.
    pub fn new(device: &wgpu::Device, path: ParameterPath, label: &str, bytes: u32) -> Self {
        if path == ParameterPath::Immediates {
            return Self::Immediates;
        }
        Self::Uniform(
            device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label: Some(&format!("{label}: params")),
                entries: &[wgpu::BindGroupLayoutEntry {
                    binding: 0,
                    visibility: wgpu::ShaderStages::COMPUTE,
                    ty: wgpu::BindingType::Buffer {
                        ty: wgpu::BufferBindingType::Uniform,
                        has_dynamic_offset: false,
                        min_binding_size: wgpu::BufferSize::new(bytes.into()),
                    },
                    count: None,
                }],
            }),
        )
    }

    /// Sets the parameters of the next dispatch of `pass`.
    pub fn set(
        &self,
        device: &wgpu::Device,
        pass: &mut wgpu::ComputePass<'_>,
        label: &str,
        params: &[u8],
    ) {
        let layout = match self {
            Self::Immediates => return pass.set_immediates(0, params),
            Self::Uniform(layout) => layout,
        };
        let buffer = uniform_buffer(device, label, params);
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(label),
            layout,
            entries: &[wgpu::BindGroupEntry {
                binding: 0,
                resource: buffer.as_entire_binding(),
            }],
        });
        pass.set_bind_group(1, &group, &[]);
    }
}

/// A uniform buffer that holds `content`. It is mapped at creation, since there is no queue to
/// write it by.
pub(crate) fn uniform_buffer(device: &wgpu::Device, label: &str, content: &[u8]) -> wgpu::Buffer {
    let buffer = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size: content.len() as u64,
        usage: wgpu::BufferUsages::UNIFORM,
        mapped_at_creation: true,
    });
    // This fails only if the buffer could not be created, and the device has reported that already.
    if let Ok(mut view) = buffer.get_mapped_range_mut(..) {
        view.copy_from_slice(content);
    }
    buffer.unmap();
    buffer
}
