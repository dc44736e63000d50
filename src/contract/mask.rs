#![doc = include_str!("../../MASK_CONTRACT.md")]
#![expect(
    rustdoc::broken_intra_doc_links,
    reason = "the contract is plain text, its numbers are no links"
)]

/// The version of the mask contract. A changed mask bit is a new version and a new major release.
pub const MASK_VERSION: u32 = 1;

/// Mask indices that share one Philox block \[M4\].
pub const ELEMENTS_PER_BLOCK: u32 = 8;

/// Mask indices in one word of a packed mask \[M15\].
pub const ELEMENTS_PER_MASK_WORD: u32 = 32;

/// Words of a packed mask of `len` elements \[M15\].
pub const fn mask_words(len: u64) -> u64 {
    len.div_ceil(ELEMENTS_PER_MASK_WORD as u64)
}

/// The position of a mask index in the generator's output \[M4\].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MaskPosition {
    /// Number of the block, below 2^61.
    pub block: u64,
    /// Lane of the block, 0 to 7.
    pub lane: u32,
}

impl MaskPosition {
    pub fn of(index: u64) -> Self {
        let elements = u64::from(ELEMENTS_PER_BLOCK);
        Self {
            block: index / elements,
            lane: (index % elements) as u32,
        }
    }
}

/// The low and the high word of `value`.
pub(crate) const fn split(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}
