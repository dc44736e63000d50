//! Dropout for [Burn](burn) in one fused pass over memory, with no mask kept.
//!
//! [`FusedDropout`] replaces [`burn::nn::Dropout`] and, like it, uses a new mask in each call. Its
//! masks are those of [`wgpu_dropout`]: a function of a seed, the step, the layer, the number of
//! the call in the step, the replica and the element's index, with the same bits on every GPU and
//! on the CPU.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use wgpu_dropout_burn::{FusedDropoutConfig, TrainingRun};
//!
//! let dropout = FusedDropoutConfig::new(0.5).init();
//! // Seed and step can be set. By default the seed comes from the operating system, and the step
//! // is 0.
//! let run = TrainingRun::current();
//! run.set_seed(42);
//!
//! let device = Device::flex().autodiff();
//! let input = Tensor::<2>::ones([2, 40], &device);
//! let first = dropout.forward(input.clone()).into_data();
//! // The applied call is all that is needed to repeat the mask.
//! let call = dropout.call().expect("forward was called");
//! assert_eq!(dropout.forward_with(input.clone(), &call)?.into_data(), first);
//! // The next call has another mask.
//! assert_ne!(dropout.forward(input).into_data(), first);
//! # Ok::<(), wgpu_dropout_burn::DropoutError>(())
//! ```
//!
//! # Fused with its neighbours
//!
//! After [`install`], Burn's fusion takes the element-wise operations around dropout into one
//! kernel with it. It cannot take dropout into the kernels of other operations, such as norms.
//! [`dropout_add`], [`act_dropout`], [`gated_dropout`], [`softmax_dropout`] and
//! [`dropout_add_norm`] compute dropout and its neighbours in one kernel in any case. [`FusedDropout`] has a method for each. [`FusedEncoder`] and its
//! relatives do the same for Burn's own transformer modules.
//!
//! # Cargo features
//!
//! - `wgpu` (default): GPUs, through Burn's `wgpu` backend.
//! - `flex` (default): the CPU, through Burn's `flex` backend.
//! - `fusion` (default): Burn's fusion of the operations around dropout. It must be on if
//!   Burn's `fusion` is.
//! - `vulkan`: Burn's SPIR-V compiler, for devices of Vulkan.
//! - `metal`, `cuda`, `rocm`, `cpu`: Burn's runtimes and compilers of these names.
//! - `ndarray`, `tch`: Burn's older backends, by the library's CPU path.
//! - `remote`: devices that another process hosts. That process needs `remote-server`, and calls
//!   `with_dropout`. `remote-websocket` adds Burn's transport of this name.

#![deny(missing_docs)]
#![deny(unsafe_code)]
#![cfg_attr(
    any(feature = "ndarray", feature = "tch"),
    allow(
        deprecated,
        reason = "Burn deprecates these backends, and still has them"
    )
)]

#[cfg(feature = "cubecl")]
mod cube;
mod dropout;
mod error;
mod fused;
#[cfg(feature = "fusion")]
mod fusion;
#[cfg(any(feature = "flex", feature = "ndarray", feature = "tch"))]
mod host;
#[cfg(feature = "cubecl")]
mod kernel;
mod operation;
#[cfg(feature = "remote")]
mod remote;
mod run;
mod site;
mod steps;
mod transformer;

pub use dropout::{FusedDropout, FusedDropoutConfig};
pub use error::DropoutError;
pub use fused::{
    AddVectors, NormVectors, ScoreMask, act_dropout, dropout_add, dropout_add_norm, gated_dropout,
    softmax_dropout,
};
#[cfg(all(feature = "cubecl", feature = "fusion"))]
pub use fusion::{InstallError, install, installed};
pub use operation::dropout;
#[cfg(feature = "remote-server")]
pub use remote::ServeDropout;
pub use run::TrainingRun;
pub use steps::StepCounter;
pub use transformer::{
    AttentionMasks, FusedAttention, FusedDecoder, FusedEncoder, FusedFeedForward, ModelPath,
};
pub use wgpu_dropout;
pub use wgpu_dropout::{Activation, MaskPattern, Norm};
