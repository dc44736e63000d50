//! The entry in Burn's registry of fusers.

use std::sync::{Mutex, PoisonError};

use burn_cubecl::CubeDevice;
use burn_cubecl::fusion::{CubeFuser, OptimizationProvider, RegistryError, register};

use super::execution::DropoutFusion;
use super::fuser::DropoutFuser;

/// [`install`] could not register dropout with Burn's fusion. Dropout works all the same, as an
/// operation of its own with the same bits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// A GPU tensor was made before.
    #[error(
        "Burn's fusion is already running: call install() first in main, before the first operation \
         on a GPU"
    )]
    TooLate,
    /// Burn's registry has another entry of this name.
    #[error(
        "{name} is already registered with Burn's fusion, as by another version of this crate: \
         depend on one version"
    )]
    NameTaken {
        /// The name.
        name: String,
    },
}

static INSTALLED: Mutex<bool> = Mutex::new(false);

/// Lets Burn's fusion take the element-wise operations before and after dropout into one kernel
/// with it, in forward and in backward. Call it first in `main`. Masks and results keep their bits,
/// except where a compiler contracts or reorders the operations of one kernel.
///
/// A second call does nothing.
///
/// # Errors
///
/// [`InstallError`], after which dropout is not fused.
pub fn install() -> Result<(), InstallError> {
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if !*installed {
        register(DropoutProvider).map_err(|error| match error {
            RegistryError::ServiceRunning => InstallError::TooLate,
            RegistryError::DuplicateOptimization { name } => InstallError::NameTaken { name },
        })?;
        *installed = true;
    }
    Ok(())
}

/// True if Burn's fusion takes dropout into its kernels, after [`install`] returned `Ok`.
pub fn installed() -> bool {
    *INSTALLED.lock().unwrap_or_else(PoisonError::into_inner)
}

struct DropoutProvider;

impl OptimizationProvider for DropoutProvider {
    type Operation = DropoutFusion;

    fn fuser(&self, device: &CubeDevice) -> CubeFuser {
        CubeFuser::new(DropoutFuser::new(device.clone()))
    }
}
