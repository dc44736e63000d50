//! Gaussian noise: where an index finds its words.

use super::mask::MaskPosition;

/// Indices that share a block of four words \[M18\].
const INDICES_PER_BLOCK: u64 = 4;

/// Where an index below 2^63 lies in domain 2 \[M18\].
pub(crate) fn position(index: u64) -> MaskPosition {
    MaskPosition {
        block: index / INDICES_PER_BLOCK,
        lane: (index % INDICES_PER_BLOCK) as u32,
    }
}
