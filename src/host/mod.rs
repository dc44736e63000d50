//! Carries out a plan with wgpu's objects.

pub mod bound;
pub mod device;
pub mod driver;
pub mod elements;
pub mod error;
#[cfg(all(test, feature = "cpu"))]
pub mod faults;
pub mod params;
pub mod range;
#[cfg(any(not(target_arch = "wasm32"), feature = "cpu"))]
pub mod round_trip;
pub mod vectors;
