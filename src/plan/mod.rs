//! The plan: where a tensor is cut, which kernel takes which part, what it is told. No wgpu.

#[cfg(feature = "wgpu")]
pub mod activated;
#[cfg(feature = "wgpu")]
pub mod columns;
pub mod cut;
pub mod dispatch;
pub mod error;
#[cfg(feature = "wgpu")]
pub mod fused;
pub mod index_map;
#[cfg(feature = "wgpu")]
pub mod keep_mask;
#[cfg(feature = "wgpu")]
pub mod normed;
pub mod params;
#[cfg(feature = "wgpu")]
pub mod rows;
#[cfg(feature = "wgpu")]
pub mod softmaxed;
