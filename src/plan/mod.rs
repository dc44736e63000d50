//! The plan: where a tensor is cut, which kernel takes which part, what it is told. No wgpu.

pub mod choice;
pub mod cut;
pub mod index_map;
