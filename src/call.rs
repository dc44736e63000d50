//! The call as data: everything that decides a mask, small enough to keep in its place.

use core::fmt;
use core::str::FromStr;

use crate::error::{FoldOverflow, IndexOverflow, ParseCallError};
use crate::philox::mask_block;
use crate::rate::{DropoutKind, DropoutRate};

/// Which mask: two 64-bit numbers of the caller's choice \[M1\].
///
/// Any numbers do: masks of neighbouring seeds and streams are independent. One `(seed, stream)`
/// pair is one mask, so a training run gives each dropout layer at each step a stream of its own,
/// by [`layer_step`](Self::layer_step). Other masks, such as an ensemble's, take keys that no step
/// has, by [`fold_in`](Self::fold_in): `MaskKey::new(seed, member)` is layer 0's at step `member`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MaskKey {
    /// The run.
    pub seed: u64,
    /// Which layer at which step.
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

    /// A key of its own for each `n` below 2^61 \[M21\]: for each use of a layer in a step, or each
    /// member of an ensemble. Two numbers never give one key. Any other key is met by chance alone,
    /// 2^-128 a pair.
    ///
    /// Let the folds of one key count one thing, and fold again for the next: use `n` of a layer in
    /// member `m` has the key `key.fold_in(m)?.fold_in(n)?`.
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
    /// [`FoldOverflow`] from 2^61 on.
    pub fn fold_in(self, n: u64) -> Result<Self, FoldOverflow> {
        if n >> 61 != 0 {
            return Err(FoldOverflow { n });
        }
        let [seed, stream] = mask_block(self, n, 3);
        Ok(Self { seed, stream })
    }
}

/// One application of dropout. Keep it instead of the mask: forward, backward, recomputation, the
/// CPU path and a bug report all take the same value.
///
/// Its text form reads back to an equal value:
///
/// ```
/// use wgpu_dropout::{DropoutCall, DropoutRate, MaskKey};
///
/// let call = DropoutCall::new(DropoutRate::new(0.1)?, MaskKey::layer_step(42, 3, 7));
/// assert_eq!(call.to_string(), "p=0.1 seed=42 stream=0x300000007 origin=0");
/// assert_eq!(call.to_string().parse(), Ok(call));
/// # Ok::<(), wgpu_dropout::RateError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DropoutCall {
    /// The probability of dropping.
    pub rate: DropoutRate,
    /// The mask.
    pub key: MaskKey,
    /// Mask index of the first element \[M13\]: 0, or where a shard, chunk or micro-batch begins
    /// in the whole tensor.
    pub origin: u64,
}

impl DropoutCall {
    /// A call whose first element has mask index 0.
    pub const fn new(rate: DropoutRate, key: MaskKey) -> Self {
        Self {
            rate,
            key,
            origin: 0,
        }
    }

    /// The same call with its first element at mask index `origin`.
    pub const fn with_origin(self, origin: u64) -> Self {
        Self { origin, ..self }
    }

    /// Checks that `len` elements from `origin` on have mask indices up to 2^64 - 1 \[M13\], as
    /// every use of the call does first.
    ///
    /// # Errors
    ///
    /// [`IndexOverflow`] if the last one's passes that.
    pub fn check_indices(self, len: u64) -> Result<(), IndexOverflow> {
        self.check_last(len.checked_sub(1))
    }

    /// Checks that the origin plus `last`, a layout's [`last_index`](crate::MaskLayout::last_index),
    /// is at most 2^64 - 1, as every use of the call does first.
    ///
    /// # Errors
    ///
    /// [`IndexOverflow`] if it passes that.
    pub fn check_last(self, last: Option<u64>) -> Result<(), IndexOverflow> {
        let origin = self.origin;
        match last {
            Some(last) if origin.checked_add(last).is_none() => Err(IndexOverflow {
                origin,
                len: last.saturating_add(1),
            }),
            _ => Ok(()),
        }
    }

    /// The first mask index of elements whose layout has these, if all of them are indices.
    pub(crate) fn base(self, first: u64, last: Option<u64>) -> Result<u64, IndexOverflow> {
        self.check_last(last)?;
        // It wraps only where there is no element.
        Ok(self.origin.wrapping_add(first))
    }
}

impl fmt::Display for DropoutKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inverted => "inverted",
            Self::Classic => "classic",
            Self::Alpha => "alpha",
        })
    }
}

impl FromStr for DropoutKind {
    type Err = ParseCallError;

    /// Reads `inverted`, `classic` or `alpha`.
    fn from_str(text: &str) -> Result<Self, ParseCallError> {
        match text {
            "inverted" => Ok(Self::Inverted),
            "classic" => Ok(Self::Classic),
            "alpha" => Ok(Self::Alpha),
            _ => Err(ParseCallError::Field {
                field: format!("kind={text}"),
            }),
        }
    }
}

impl fmt::Display for DropoutCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rate, key, origin } = self;
        write!(
            f,
            "p={} seed={} stream={:#x} origin={origin}",
            rate.p(),
            key.seed,
            key.stream
        )?;
        match rate.kind() {
            DropoutKind::Inverted => Ok(()),
            kind => write!(f, " kind={kind}"),
        }
    }
}

impl FromStr for DropoutCall {
    type Err = ParseCallError;

    /// Reads `p=… seed=… stream=… origin=… kind=…` in any order; `origin` and `kind` may be absent.
    /// Integers are decimal or 0x hexadecimal.
    fn from_str(text: &str) -> Result<Self, ParseCallError> {
        let (mut p, mut seed, mut stream, mut origin, mut kind) = (None, None, None, None, None);
        for field in text.split_whitespace() {
            let invalid = || ParseCallError::Field {
                field: field.to_owned(),
            };
            let (name, value) = field.split_once('=').ok_or_else(invalid)?;
            let repeated = match name {
                "p" => p
                    .replace(value.parse::<f64>().map_err(|_| invalid())?)
                    .is_some(),
                "seed" => seed
                    .replace(parse_u64(value).ok_or_else(invalid)?)
                    .is_some(),
                "stream" => stream
                    .replace(parse_u64(value).ok_or_else(invalid)?)
                    .is_some(),
                "origin" => origin
                    .replace(parse_u64(value).ok_or_else(invalid)?)
                    .is_some(),
                "kind" => kind.replace(value.parse::<DropoutKind>()?).is_some(),
                _ => return Err(invalid()),
            };
            if repeated {
                return Err(invalid());
            }
        }
        let missing = |name| ParseCallError::Missing { name };
        Ok(Self {
            rate: DropoutRate::new(p.ok_or(missing("p"))?)?.with_kind(kind.unwrap_or_default()),
            key: MaskKey {
                seed: seed.ok_or(missing("seed"))?,
                stream: stream.ok_or(missing("stream"))?,
            },
            origin: origin.unwrap_or(0),
        })
    }
}

/// Digits alone, decimal or behind 0x: `u64::from_str` would take a sign too.
fn parse_u64(text: &str) -> Option<u64> {
    let (digits, radix) = match text.strip_prefix("0x") {
        Some(hex) => (hex, 16),
        None => (text, 10),
    };
    if digits.starts_with('+') {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}
