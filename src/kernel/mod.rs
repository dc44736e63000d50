//! The kernels: which WGSL text computes the contract. No wgpu, no device.

pub mod activated;
pub mod axes;
mod functions;
pub mod normed;
pub mod softmaxed;
pub mod text;
pub mod wgsl;
