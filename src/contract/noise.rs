//! Gaussian noise: the random words of a mask index.

use super::mask::MaskPosition;

/// Indices that share a block of four words \[M18\].
const INDICES_PER_BLOCK: u64 = 4;

/// The block and lane of an index below 2^63. Noise takes them from domain 2 of the key \[M18\].
pub(crate) fn position(index: u64) -> MaskPosition {
    MaskPosition {
        block: index / INDICES_PER_BLOCK,
        lane: (index % INDICES_PER_BLOCK) as u32,
    }
}
