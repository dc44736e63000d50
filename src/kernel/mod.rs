//! The kernels: the WGSL texts that compute the contract. Nothing here knows wgpu or a device.

pub mod activated;
pub mod axes;
mod functions;
pub mod normed;
pub mod softmaxed;
pub mod text;
pub mod wgsl;
