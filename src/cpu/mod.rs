//! The same dropout on slices: for machines without a GPU, for checking one, and as what a GPU
//! is measured against.
//!
//! Masks are those of the kernels to the bit, and so are values, but for subnormals that an adapter
//! flushes, alpha dropout, which may be off by a rounding, and Gaussian dropout, which has a bound.
//! Work is split over the threads of the current [rayon] pool: install a pool of one thread for one.
//! In a browser wasm32 has one thread, and it all runs there.

mod dropout;
mod gaussian;
mod mask;
mod philox;

pub use dropout::{
    backward, backward_in_place, backward_layout, backward_packed, backward_samples, forward,
    forward_in_place, forward_layout, forward_packed, forward_samples,
};
pub use gaussian::gaussian;
pub use mask::{keep_mask, keep_mask_layout, keep_mask_samples};
pub use philox::philox_blocks;
