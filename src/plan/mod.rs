//! The plan: the parts into which a tensor is cut, and the kernel and the parameters of each.
//! Nothing here knows wgpu.

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
