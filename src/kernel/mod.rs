//! The kernels: which WGSL text computes the contract. No wgpu, no device.

pub mod axes;
pub mod text;
pub mod wgsl;
