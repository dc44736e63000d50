//! The kernels: which WGSL text computes the contract. No wgpu, no device.

pub mod source;
pub mod wgsl;
