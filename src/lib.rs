//! Fused GPU dropout for [wgpu]: the mask is made by the counter-based Philox generator and
//! applied in one pass over memory, forward and backward, and none is kept. A mask is a function
//! of a small [`DropoutCall`] and the element's index alone, so it has the same bits on every
//! adapter and on the CPU, in forward, backward and recomputation, whole or in pieces. What a
//! mask is, to the bit, says the [mask contract](mask).
//!
//! # Three steps
//!
//! 1. [`Dropout::new`] prepares the kernels for the caller's [`wgpu::Device`].
//! 2. [`Dropout::bind`] and [`Dropout::bind_in_place`] check the caller's buffers, once for a set
//!    of them, and own the bind groups.
//! 3. [`Dropout::encode_forward`] and [`Dropout::encode_backward`] record into the caller's
//!    compute pass, in microseconds.
//!
//! The caller keeps device, queue, buffers, encoder and submission. `examples/quickstart.rs` is a
//! whole program.
//!
//! Dropout costs least inside a kernel that reads the values anyway: [`wgsl::functions`] gives the masks as
//! WGSL to include in your own kernels, and [`DropoutCall::mask_params`] what to tell them.
//!
//! [`DropoutAdd`] adds a residual in the same pass: `residual + dropout((input + bias) * scale)`.
//! [`DropoutAddNorm`] norms the sum too: `norm(residual + dropout(input + bias))`.
//! [`ActDropout`] applies an activation before: `dropout(gelu(input + bias))`, with a gate too.
//! [`SoftmaxDropout`] takes a softmax before: `dropout(softmax(factor * scores + mask))`.
//! [`GaussianDropout`] multiplies by noise instead. [`KeepMask`] writes the packed mask itself, [`PhiloxBlocks`] the generator's raw blocks.
//!
//! # Blocking
//!
//! For scripts and tests, [`Dropout::run_blocking`], [`KeepMask::run_blocking`] and
//! [`PhiloxBlocks::run_blocking`] take and give slices, on native targets. Their queue is the device's own;
//! another's is [`RunError::ForeignQueue`].
//!
//! # Without a GPU, and with a doubtful one
//!
//! The [`cpu`] module does the same on slices. [`audit`](mod@audit) checks a device. [`wgsl`] gives the
//! kernels' texts to other tools, [`launch`] gives them to other runtimes.
//!
//! # Cargo features
//!
//! - `wgpu` (default): the handles on a [`wgpu::Device`]. Without it the crate has the contract, the
//!   kernels' texts, [`launch`] and [`cpu`].
//! - `cpu` (default): the module [`cpu`], and rayon with it; with `wgpu` also [`audit`](mod@audit).
//! - `ndarray`: `cpu::apply_to_arrays`, for arrays of any memory order.
//! - `serde`: rates, keys, calls, layouts, patterns and audit reports in files.
//!
//! wgpu's backends are not chosen here: enable them in your own dependency on wgpu, of the
//! version that this crate re-exports as [`wgpu`]. Name its types by that dependency: another major
//! version is then an error of the compiler, where by the re-export it is a missing adapter.

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

/// Handles and bindings are shared by threads. In a browser wgpu's objects belong to one.
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

/// The code of the README and of the pages is compiled with the tests; what needs no device runs.
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
