//! The plan as wgpu objects.

pub mod device;
pub mod range;
#[cfg(any(not(target_arch = "wasm32"), feature = "cpu"))]
pub mod round_trip;
