//! A multi-layer perceptron trained with wgpu alone: dense layers, ReLU, dropout before each dense
//! layer, softmax cross-entropy, Adam. The programs `train_mlp` and `textbook` and the tests share
//! it.
//!
//! A step is one compute pass. The host uploads the order of the examples before an epoch, and
//! reads results after it.

#![allow(dead_code, unused_imports, reason = "each program uses a part")]

mod architecture;
pub mod device;
mod examples;
pub mod kernels;
mod layer;
mod network;
pub mod predictions;
pub mod random;
pub mod steps;

pub use architecture::{Architecture, TILE};
pub use examples::{DeviceExamples, Examples};
pub use network::{Mlp, Optimizer, State};
