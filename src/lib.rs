//! x
#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod binding;
#[cfg(not(target_arch = "wasm32"))]
mod blocking;
mod call;
#[cfg(feature = "cpu")]
pub mod cpu;
mod dropout;
mod error;
mod geometry;
mod keep_mask;
mod kernel;
pub mod mask;
mod params;
mod philox_blocks;
mod rate;
mod source;

pub use call::{DropoutCall, MaskKey};
pub use dropout::{Dropout, DropoutBinding};
#[cfg(not(target_arch = "wasm32"))]
pub use error::BlockingError;
#[cfg(feature = "cpu")]
pub use error::CpuError;
pub use error::{BindError, CreateError, IndexOverflow, ParseCallError, RateError};
pub use keep_mask::{KeepMask, KeepMaskBinding};
pub use kernel::KernelDescriptor;
pub use philox_blocks::{PhiloxBlocks, PhiloxBlocksBinding, advance_counter};
pub use rate::DropoutRate;
pub use wgpu;
