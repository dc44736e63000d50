//! Dropout as a part of Burn's fused kernels.
//!
//! The operation is registered with numbers that say all about its mask, so that a [fuser] sees
//! them. The fuser takes dropout for an element-wise operation without an effect, and
//! [`execution`] runs dropout in its place.

#[cfg(feature = "cubecl")]
mod described;
#[cfg(feature = "cubecl")]
mod execution;
#[cfg(feature = "cubecl")]
mod fuser;
#[cfg(feature = "cubecl")]
mod install;
mod operation;

#[cfg(feature = "cubecl")]
use described::described;
#[cfg(feature = "cubecl")]
pub use install::{InstallError, install, installed};

/// The name of the operation if no fuser is to take it.
const OPAQUE: &str = "wgpu_dropout";

/// The operation's name and numbers.
#[cfg(not(feature = "cubecl"))]
fn described(
    _: &dyn core::any::Any,
    _: &wgpu_dropout::MaskLayout,
    _: burn::tensor::DType,
    _: &wgpu_dropout::DropoutCall,
    _: wgpu_dropout::Direction,
) -> (String, Vec<burn::backend::fusion::custom::ScalarIr>) {
    (OPAQUE.into(), Vec::new())
}
