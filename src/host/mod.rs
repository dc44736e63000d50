//! The plan as wgpu objects.

pub mod bound;
pub mod device;
pub mod error;
pub mod params;
pub mod range;
#[cfg(any(not(target_arch = "wasm32"), feature = "cpu"))]
pub mod round_trip;
