//! The contract: what a mask is, and what becomes of a value. No wgpu, no WGSL, no devices.

pub mod call;
pub mod element;
pub mod layout;
pub mod mask;
pub mod rate;
