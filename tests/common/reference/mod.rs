//! The naive reference: the mask contract written once more, as plainly as possible.
//!
//! It checks every shader and the CPU path, so it shares nothing with them: no code, no products of
//! 16-bit halves, no skipped draw, no merged dimensions. `[M1]` to `[M15]`, `[M19]` and `[M21]`
//! cite `MASK_CONTRACT.md`.

mod dropout;
mod mask;
mod noise;
mod pairs;
mod philox;

pub use dropout::{dropout, keep_scale};
pub use mask::{drop_threshold, fold_in, indices, keeps, packed_mask, uniform};
pub use noise::normal;
pub use pairs::{BF16, F16, Format};
pub use philox::{philox_blocks, philox4x32};
