//! Dropout for [Burn](burn) in one fused pass over memory, with no mask kept.
//!
//! [`FusedDropout`] stands where [`burn::nn::Dropout`] stood. Its masks are those of
//! [`wgpu_dropout`]: a function of a seed, the layer, the step and the element's index, with the
//! same bits on every GPU and on the CPU.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use wgpu_dropout_burn::{FusedDropoutConfig, TrainingRun};
//!
//! let run = TrainingRun::new(42);
//! let dropout = FusedDropoutConfig::new(0.5, 0).init(&run);
//!
//! let device = Device::flex().autodiff();
//! let input = Tensor::<2>::ones([2, 4], &device);
//! for step in 0..2 {
//!     run.set_step(step);
//!     let output = dropout.forward(input.clone());
//!     // The layer's call says it all: forward, backward, and whoever has to see the mask again.
//!     let again = dropout.forward_with(input.clone(), &dropout.call()?)?;
//!     assert_eq!(output.into_data(), again.into_data());
//! }
//! # Ok::<(), wgpu_dropout_burn::DropoutError>(())
//! ```
//!
//! # Cargo features
//!
//! - `wgpu` (default): GPUs, through Burn's `wgpu` backend.
//! - `flex` (default): the CPU, through Burn's `flex` backend.
//! - `fusion` (default): Burn's fusion of the operations around dropout; on wherever Burn's is.
//! - `vulkan`: Burn's SPIR-V compiler. It runs no WGSL: on devices that use it dropout is an
//!   [error](DropoutError::Compiler).

#![deny(missing_docs)]
#![forbid(unsafe_code)]

#[cfg(feature = "wgpu")]
mod cube;
mod dropout;
mod error;
#[cfg(feature = "flex")]
mod host;
mod operation;
mod run;

pub use dropout::{FusedDropout, FusedDropoutConfig};
pub use error::DropoutError;
pub use operation::dropout;
pub use run::TrainingRun;
pub use wgpu_dropout;
pub use wgpu_dropout::MaskPattern;
