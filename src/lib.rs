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
//! [`GaussianDropout`] multiplies by noise instead. [`KeepMask`] writes the packed mask itself, [`PhiloxBlocks`] the generator's raw blocks.
//!
//! # Blocking
//!
//! For scripts and tests, [`Dropout::apply_blocking`], [`KeepMask::generate_blocking`] and their
//! siblings take and give slices, on native targets. Their queue is the device's own; another's is
//! [`RunError::ForeignQueue`].
//!
//! # Without a GPU, and with a doubtful one
//!
//! The [`cpu`] module does the same on slices. [`audit`](mod@audit) checks a device. [`wgsl`] gives the
//! kernels' texts to other tools, [`launch`] gives them to other runtimes.
//!
//! # Cargo features
//!
//! - `cpu` (default): the modules [`cpu`] and [`audit`], and rayon with them.
//!
//! wgpu's backends are not chosen here: enable them in your own dependency on wgpu, of the
//! version that this crate re-exports as [`wgpu`].

#![deny(missing_docs)]
#![forbid(unsafe_code)]

#[cfg(feature = "cpu")]
pub mod audit;
mod binding;
#[cfg(not(target_arch = "wasm32"))]
mod blocking;
mod call;
mod choice;
#[cfg(feature = "cpu")]
pub mod cpu;
mod dropout;
mod element;
mod error;
mod gaussian;
mod geometry;
#[cfg(any(not(target_arch = "wasm32"), feature = "cpu"))]
mod job;
mod keep_mask;
mod kernel;
pub mod launch;
mod layout;
pub mod mask;
mod params;
mod philox_blocks;
mod rate;
mod source;
mod strided;
pub mod wgsl;

pub use call::{DropoutCall, MaskKey};
pub use dropout::{Dropout, DropoutBinding, Elements, TypedElements};
pub use element::{Element, ElementType};
#[cfg(feature = "cpu")]
pub use error::CpuError;
pub use error::{
    BindError, CreateError, GaussianError, IndexOverflow, LayoutError, ParseCallError, RateError,
    RunError, SampleOverflow,
};
pub use gaussian::{GaussianBinding, GaussianDropout};
pub use keep_mask::{KeepMask, KeepMaskBinding};
pub use kernel::KernelDescriptor;
pub use layout::MaskLayout;
pub use params::{ParameterPath, UniformReason};
pub use philox_blocks::{PhiloxBlocks, PhiloxBlocksBinding, advance_counter};
pub use rate::{DropoutKind, DropoutRate};
pub use {half, wgpu};

/// The README's code is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
