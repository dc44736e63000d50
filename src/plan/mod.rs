//! The plan: where a tensor is cut, which kernel takes which part, what it is told. No wgpu.

pub mod activated;
#[cfg(feature = "wgpu")]
pub mod columns;
pub mod cut;
pub mod dispatch;
pub mod error;
pub mod fused;
pub mod index_map;
#[cfg(feature = "wgpu")]
pub mod keep_mask;
pub mod normed;
pub mod params;
pub mod rows;
pub mod softmaxed;
