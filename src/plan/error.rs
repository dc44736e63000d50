//! What can be wrong with a device or a tensor, before anything is created.

use crate::contract::error::IndexOverflow;

/// A layout that the kernels cannot take. Nothing was created.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A dimension that the strided kernels cannot count.
    #[error(
        "a dimension, or neighbours that the mask treats alike, has {size} elements, at most {max}: \
         bind it in shards"
    )]
    DimensionTooLong {
        /// Its elements.
        size: u64,
        /// What the kernels count to.
        max: u64,
    },
    /// Sample ids could lead past mask index 2^64 - 1.
    #[error(transparent)]
    IndexOverflow(#[from] IndexOverflow),
}

/// A device that cannot run the kernels.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// A limit of the device is too low.
    #[error(
        "the device's {limit} is {available}, {required} needed: \
         request the device with a higher limit, or another adapter"
    )]
    Limit {
        /// The field of [`wgpu::Limits`].
        limit: &'static str,
        /// What the kernels need.
        required: u64,
        /// What the device has.
        available: u64,
    },
    /// A Philox variant that does not exist.
    #[error("Philox with {rounds} rounds is not offered: ask for 7 or 10")]
    Rounds {
        /// What was asked for.
        rounds: u32,
    },
}
