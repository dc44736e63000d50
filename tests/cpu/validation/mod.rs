//! Checks that run before anything is recorded. wgpu's noop device validates like any other and
//! computes nothing.

#[cfg(feature = "wgpu")]
mod act;
#[cfg(feature = "wgpu")]
mod add;
#[cfg(feature = "wgpu")]
mod binding;
#[cfg(feature = "wgpu")]
mod calls;
#[cfg(feature = "wgpu")]
mod columns;
#[cfg(feature = "wgpu")]
mod device;
mod launches;
#[cfg(feature = "wgpu")]
mod layouts;
#[cfg(feature = "wgpu")]
mod limits;
#[cfg(feature = "wgpu")]
mod norm;
#[cfg(feature = "wgpu")]
mod pipelines;
#[cfg(feature = "wgpu")]
mod recording;
#[cfg(feature = "wgpu")]
mod scale;
#[cfg(feature = "wgpu")]
mod softmax;
