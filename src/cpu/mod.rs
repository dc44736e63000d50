//! The same dropout on slices: for machines without a GPU, for checking a GPU, and as the baseline
//! of benchmarks.
//!
//! Masks are those of the kernels to the bit. So are values, with three exceptions: an adapter may
//! flush subnormals, alpha dropout may differ by one rounding, and Gaussian dropout by a stated
//! bound. Work is split over the threads of the current [rayon] pool. To use one thread, install a
//! pool of one. On wasm32, and where the system gives rayon no threads for its global pool, all
//! work runs on the calling thread, with the same bits.

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
mod value;

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
