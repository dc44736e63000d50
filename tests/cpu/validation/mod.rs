//! What is checked before anything is recorded, on wgpu's noop device, which validates as others do
//! and computes nothing.

mod binding;
mod calls;
mod device;
mod launches;
mod layouts;
mod limits;
mod pipelines;
mod recording;
