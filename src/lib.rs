//! Fused GPU dropout for [wgpu]. A kernel makes the mask by the counter-based Philox generator and
//! applies it in the same pass over memory, forward and backward, so that no mask is ever stored. A
//! mask is a function of a small [`DropoutCall`] and the element's index alone. It therefore has
//! the same bits on every adapter and on the CPU, in forward, backward and recomputation, whether a
//! tensor is computed whole or in pieces. The [mask contract](mask) defines it to the bit.
//!
//! # Three steps
//!
//! 1. [`Dropout::new`] prepares the kernels for the caller's [`wgpu::Device`].
//! 2. [`Dropout::bind`] and [`Dropout::bind_in_place`] check the caller's buffers once and make the
//!    bind groups.
//! 3. [`Dropout::encode_forward`] and [`Dropout::encode_backward`] record into the caller's
//!    compute pass, in microseconds.
//!
//! The caller keeps device, queue, buffers, encoder and submission. `examples/quickstart.rs` is a
//! whole program.
//!
//! Dropout costs least inside a kernel that reads the values anyway. [`wgsl::functions`] gives the
//! mask as WGSL functions to include in your own kernels, and [`DropoutCall::mask_params`] gives
//! the parameters that these functions read.
//!
//! [`DropoutAdd`] adds a residual in the same pass: `residual + dropout((input + bias) * scale)`.
//! [`DropoutAddNorm`] norms the sum too: `norm(residual + dropout(input + bias))`. [`ActDropout`]
//! applies an activation first: `dropout(gelu(input + bias))`, optionally with a gate.
//! [`SoftmaxDropout`] takes a softmax first: `dropout(softmax(factor * scores + mask))`.
//! [`GaussianDropout`] multiplies by Gaussian noise instead of a mask. [`KeepMask`] writes the
//! packed mask itself, [`PhiloxBlocks`] writes the generator's raw blocks.
//!
//! # Blocking
//!
//! For scripts and tests, [`Dropout::run_blocking`], [`KeepMask::run_blocking`] and
//! [`PhiloxBlocks::run_blocking`] take and return slices, on native targets. They need the device's
//! own queue and refuse another with [`RunError::ForeignQueue`].
//!
//! # The CPU, checking a device, and other runtimes
//!
//! The [`cpu`] module computes the same results on slices. [`audit`](mod@audit) checks that a
//! device computes them. [`wgsl`] gives the kernels' texts to other tools, and [`launch`] tells
//! other runtimes which kernels to launch.
//!
//! # Cargo features
//!
//! - `wgpu` (default): the handles on a [`wgpu::Device`]. Without it the crate has the contract,
//!   the kernels' texts, [`launch`] and [`cpu`].
//! - `cpu` (default): the module [`cpu`], which uses rayon; together with `wgpu` also
//!   [`audit`](mod@audit).
//! - `ndarray`: `cpu::apply_to_arrays`, for arrays of any memory order.
//! - `serde`: rates, keys, calls, layouts, patterns and audit reports can be serialized.
//!
//! This crate enables no backend of wgpu. Enable one in your own dependency on wgpu, in the version
//! that this crate re-exports as [`wgpu`]. Name wgpu's types through your dependency, not through
//! the re-export. If the two major versions differ, the compiler then reports it. With types named
//! through the re-export, the program would compile but find no adapter, since your backends belong
//! to the other version.

#![deny(missing_docs)]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]
// Links to the handles and to the CPU path lead nowhere in a build without them.
#![cfg_attr(
    not(all(feature = "cpu", feature = "wgpu")),
    allow(rustdoc::broken_intra_doc_links)
)]

#[cfg(feature = "wgpu")]
mod act_dropout;
#[cfg(all(feature = "cpu", feature = "wgpu"))]
pub mod audit;
#[cfg(all(feature = "wgpu", not(target_arch = "wasm32")))]
mod blocking;
#[cfg(feature = "wgpu")]
mod column_sums;
mod contract;
#[cfg(feature = "cpu")]
pub mod cpu;
#[cfg(feature = "wgpu")]
mod dropout;
#[cfg(feature = "wgpu")]
mod dropout_add;
#[cfg(feature = "wgpu")]
mod dropout_add_norm;
#[cfg(feature = "wgpu")]
mod gaussian;
#[cfg(feature = "wgpu")]
mod host;
#[cfg(feature = "wgpu")]
mod keep_mask;
mod kernel;
pub mod launch;
#[cfg(feature = "wgpu")]
mod philox_blocks;
mod plan;
#[cfg(feature = "wgpu")]
mod softmax_dropout;

#[cfg(feature = "wgpu")]
pub use act_dropout::{ActBinding, ActDropout, ActGradient, ActInput, Bias};
#[cfg(feature = "wgpu")]
pub use column_sums::{ColumnSums, ColumnSumsBinding};
pub use contract::activation::Activation;
pub use contract::call::DropoutCall;
pub use contract::counter::advance_counter;
pub use contract::dropout_mask::DropoutMask;
pub use contract::effect::{Direction, Effect};
pub use contract::element::{Element, ElementType};
pub use contract::error::{
    CallError, DimensionList, FoldOverflow, IndexOverflow, LayoutError, Operation, ParseCallError,
    SourceError,
};
pub use contract::key::MaskKey;
pub use contract::kind::DropoutKind;
pub use contract::layout::MaskLayout;
pub use contract::mask;
pub use contract::name::ParseNameError;
pub use contract::norm::{MaskPlace, Norm, NormError};
pub use contract::pattern::MaskPattern;
pub use contract::rate::{DropoutRate, RateError};
pub use contract::softmax::{
    AttentionMask, SavedSoftmax, Softmax, SoftmaxError, SoftmaxShapeError,
};
pub use contract::source::MaskSource;
#[cfg(feature = "cpu")]
pub use cpu::CpuError;
#[cfg(feature = "wgpu")]
pub use dropout::{Dropout, DropoutBinding};
#[cfg(feature = "wgpu")]
pub use dropout_add::{DropoutAdd, DropoutAddBinding, DropoutAddGradient, ScaleGradient};
#[cfg(feature = "wgpu")]
pub use dropout_add_norm::{
    DropoutAddNorm, DropoutAddNormBinding, DropoutAddNormGradient, GammaBuffers, GammaGradient,
    NormVectors,
};
#[cfg(feature = "wgpu")]
pub use gaussian::GaussianDropout;
pub use half;
#[cfg(feature = "wgpu")]
pub use host::device::KernelDescriptor;
#[cfg(feature = "wgpu")]
pub use host::elements::Elements;
#[cfg(feature = "wgpu")]
pub use host::error::{BindError, RunError};
#[cfg(feature = "wgpu")]
pub use host::params::{ParameterPath, UniformReason};
#[cfg(feature = "wgpu")]
pub use host::vectors::Vectors;
#[cfg(feature = "wgpu")]
pub use keep_mask::{KeepMask, KeepMaskBinding};
pub use kernel::wgsl;
#[cfg(feature = "wgpu")]
pub use philox_blocks::{PhiloxBlocks, PhiloxBlocksBinding};
pub use plan::error::{CreateError, Limit, PlanError, ShapeError};
#[cfg(feature = "wgpu")]
pub use softmax_dropout::{
    AdditiveMask, SoftmaxDropout, SoftmaxDropoutBinding, SoftmaxDropoutGradient,
};
#[cfg(feature = "wgpu")]
pub use wgpu;

/// Threads may share handles and bindings, except in a browser, where each of wgpu's objects
/// belongs to one thread.
#[cfg(all(feature = "wgpu", not(target_arch = "wasm32")))]
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<ActDropout>();
    shared::<ActBinding>();
    shared::<Dropout>();
    shared::<DropoutBinding>();
    shared::<GaussianDropout>();
    shared::<KeepMask>();
    shared::<KeepMaskBinding>();
    shared::<PhiloxBlocks>();
    shared::<PhiloxBlocksBinding>();
};

/// The tests compile the code of the README and of these pages, and run what needs no device.
#[cfg(all(doctest, feature = "cpu", feature = "wgpu"))]
mod pages {
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[doc = include_str!("../docs/training-loop.md")]
    struct TrainingLoop;
    #[doc = include_str!("../docs/recipes.md")]
    struct Recipes;
    #[doc = include_str!("../docs/layers.md")]
    struct Layers;
    #[doc = include_str!("../docs/bring-your-mask.md")]
    struct BringYourMask;
    #[doc = include_str!("../docs/parallel-training.md")]
    struct ParallelTraining;
}
