//! The same dropout on slices: for machines without a GPU, for checking one, and as what a GPU
//! is measured against.
//!
//! Masks are those of the kernels to the bit, and so are values, but for subnormals that an adapter
//! flushes, alpha dropout, which may be off by a rounding, and Gaussian dropout, which has a bound.
//! Work is split over the threads of the current [rayon] pool: install a pool of one thread for one.
//! In a browser wasm32 has one thread, and it all runs there. Where the system gives rayon no threads for
//! its global pool, it all runs on the calling thread, with the same bits.

mod activated;
mod activation;
mod add;
#[cfg(feature = "ndarray")]
mod array;
mod columns;
mod dropout;
mod error;
pub mod foreign;
mod gaussian;
mod mask;
mod normed;
mod philox;
mod softmax;
mod tasks;

pub use activated::{
    Gated, GatedSlices, activate, activate_backward, activate_gated, activate_gated_backward,
};
pub use add::{Vectors, add, add_backward, add_backward_from_f32};
#[cfg(feature = "ndarray")]
pub use array::{ArrayError, Arrays, apply_to_arrays};
pub use columns::{column_sums, scale_gradient};
pub use dropout::{Slices, apply};
pub use error::CpuError;
pub use mask::keep_mask;
pub use normed::{AddNorm, add_norm, add_norm_backward, gamma_gradient};
pub use philox::philox_blocks;
pub use softmax::{softmax, softmax_backward};
#[cfg(feature = "wgpu")]
pub(crate) use tasks::for_each_task;
