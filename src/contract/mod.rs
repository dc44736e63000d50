//! The contract: what a mask is, and what becomes of a value. No wgpu, no WGSL, no devices.

pub mod activation;
pub mod call;
pub mod counter;
pub mod dropout_mask;
pub mod effect;
pub mod element;
pub mod error;
pub mod key;
pub mod kind;
pub mod layout;
pub mod mask;
pub mod mesh;
pub mod name;
#[cfg(feature = "cpu")]
pub mod noise;
pub mod norm;
pub mod pattern;
pub mod philox;
pub mod rate;
#[cfg(any(feature = "cpu", all(feature = "wgpu", not(target_arch = "wasm32"))))]
pub mod slices;
pub mod softmax;
pub mod source;
