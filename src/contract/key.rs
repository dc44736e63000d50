//! Keys, which name a mask, and the folding of a number into a key.

use super::error::FoldOverflow;
use super::philox::mask_block;

/// The name of a mask: two 64-bit numbers of the caller's choice \[M1\].
///
/// Any two numbers are allowed, and masks of neighbouring seeds and streams are independent. One
/// `(seed, stream)` pair is one mask. A training run therefore gives each dropout layer at each
/// step a stream of its own, by [`layer_step`](Self::layer_step). Other masks, such as those of an
/// ensemble's members, need keys that no layer has at any step: make these by
/// [`fold_in`](Self::fold_in). Do not use `MaskKey::new(seed, member)` for a member: it is the key
/// of layer 0 at step `member`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MaskKey {
    /// Names the run.
    pub seed: u64,
    /// Names the layer and the step.
    pub stream: u64,
}

impl MaskKey {
    /// The mask `stream` of the run `seed`.
    pub const fn new(seed: u64, stream: u64) -> Self {
        Self { seed, stream }
    }

    /// The usual packing of a stream: layer in the high 32 bits, step in the low ones.
    pub const fn layer_step(seed: u64, layer: u32, step: u32) -> Self {
        Self::new(seed, (layer as u64) << 32 | step as u64)
    }

    /// A key of its own for each `n` below 2^61 \[M21\], such as each use of a layer in a step or
    /// each member of an ensemble. Two numbers never give the same key. A folded key equals some
    /// other key only by chance, with a probability of 2^-128 for each pair of keys.
    ///
    /// The numbers that are folded into one key should count one kind of thing only. To count a
    /// second kind, fold the result again: use `n` of a layer in member `m` has the key
    /// `key.fold_in(m)?.fold_in(n)?`.
    ///
    /// ```
    /// use wgpu_dropout::{DropoutCall, DropoutRate, MaskKey};
    ///
    /// // Layer 3 is used twice in step 7. Each use has a mask of its own, forward and backward.
    /// let key = MaskKey::layer_step(42, 3, 7);
    /// let rate = DropoutRate::new(0.1)?;
    /// let uses = [
    ///     DropoutCall::new(rate, key.fold_in(0)?),
    ///     DropoutCall::new(rate, key.fold_in(1)?),
    /// ];
    /// assert_ne!(uses[0].key, uses[1].key);
    /// // A folded key is a seed and a stream like any other, in a call's text too.
    /// assert_eq!(uses[1].key, MaskKey::new(0x8bc2_02e4_09a5_d533, 0x94d8_43c3_7900_2df7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`FoldOverflow`] if `n` is 2^61 or more.
    pub fn fold_in(self, n: u64) -> Result<Self, FoldOverflow> {
        if n >> 61 != 0 {
            return Err(FoldOverflow { n });
        }
        let [seed, stream] = mask_block(self.seed, self.stream, [n, n >> 32], 3);
        Ok(Self { seed, stream })
    }
}
