//! The call as data: everything that decides a mask, and small enough to be kept instead of it.

use core::fmt;
use core::str::FromStr;

use super::error::{CallError, IndexOverflow, Operation};
use super::key::MaskKey;
use super::kind::DropoutKind;
use super::layout::MaskLayout;
use super::rate::DropoutRate;
use crate::contract::error::ParseCallError;

/// The value of a dropped element in alpha dropout: -lambda * alpha of SELU (Klambauer et al.
/// 2017), as in PyTorch's `nn.AlphaDropout`.
const ALPHA_PRIME: f64 = -1.758_099_340_847_376_6;

/// One application of dropout. Keep this value instead of the mask: forward, backward,
/// recomputation, the CPU path and a bug report all need nothing else.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct DropoutCall {
    /// The probability of dropping.
    pub rate: DropoutRate,
    /// The kind of dropout, which says how kept and dropped elements change.
    pub kind: DropoutKind,
    /// The key of the mask.
    pub key: MaskKey,
    /// Mask index of the first element \[M13\]: 0, or for a shard, chunk or micro-batch the index
    /// at which it begins in the whole tensor.
    pub origin: u64,
}

impl DropoutCall {
    /// A call of inverted dropout whose first element has mask index 0.
    pub const fn new(rate: DropoutRate, key: MaskKey) -> Self {
        Self {
            rate,
            kind: DropoutKind::Inverted,
            key,
            origin: 0,
        }
    }

    /// The same call with its first element at mask index `origin`.
    pub const fn with_origin(self, origin: u64) -> Self {
        Self { origin, ..self }
    }

    /// The same call of another kind of dropout.
    pub const fn with_kind(self, kind: DropoutKind) -> Self {
        Self { kind, ..self }
    }

    /// Checks that the call can be applied to a tensor of `layout`. Every use of the call begins
    /// with the same check.
    ///
    /// # Errors
    ///
    /// [`CallError::IndexOverflow`] if a mask index passes the largest one, [`CallError::Rate`] if
    /// Gaussian noise would have no finite variance.
    pub fn check(&self, layout: &MaskLayout) -> Result<(), CallError> {
        self.base(layout.first_index(), layout.last_index())
            .map(drop)
    }

    /// Mask index of the first element, given a layout's first and largest index.
    pub(crate) fn base(&self, first: u64, last: Option<u64>) -> Result<u64, CallError> {
        let origin = self.origin;
        let max = self.largest_index();
        let Some(last) = last else {
            return Ok(origin.wrapping_add(first));
        };
        if origin.checked_add(last).is_none_or(|last| last > max) {
            let len = last.saturating_add(1);
            return Err(IndexOverflow::Call { origin, len, max }.into());
        }
        if self.kind == DropoutKind::Gaussian && self.rate.drops_all() {
            return Err(CallError::Rate { rate: self.rate });
        }
        Ok(origin + first)
    }

    /// The largest mask index that the kind of dropout allows.
    pub(crate) fn largest_index(&self) -> u64 {
        match self.kind {
            // [M18]
            DropoutKind::Gaussian => (1 << 63) - 1,
            _ => u64::MAX,
        }
    }

    /// Refuses Gaussian noise where only a mask makes sense.
    pub(crate) fn refuse_noise(&self, operation: Operation) -> Result<(), CallError> {
        match self.kind {
            kind @ DropoutKind::Gaussian => Err(CallError::Kind { kind, operation }),
            _ => Ok(()),
        }
    }

    /// Refuses kinds that change a kept value in another way than by a factor.
    pub(crate) fn refuse_but_scaling(&self, operation: Operation) -> Result<(), CallError> {
        match self.kind {
            DropoutKind::Inverted | DropoutKind::Classic => Ok(()),
            kind => Err(CallError::Kind { kind, operation }),
        }
    }

    /// The factor on kept elements, and on their gradients, rounded once to f32. It is 1 / (1 - D /
    /// 2^32) for [`Inverted`](DropoutKind::Inverted) \[M10\], 1 for
    /// [`Classic`](DropoutKind::Classic) and [`Gaussian`](DropoutKind::Gaussian), and the `a` of
    /// [`keep_shift`](Self::keep_shift) for [`Alpha`](DropoutKind::Alpha). If the rate drops
    /// everything, the factor is 0. A packed mask may keep elements even then. They are multiplied
    /// by this 0; under `Classic` they stay as they are.
    pub fn keep_scale(&self) -> f32 {
        if self.rate.drops_all() {
            return 0.0;
        }
        match self.kind {
            DropoutKind::Inverted => (1.0 / (1.0 - self.rate.realized())) as f32,
            DropoutKind::Classic | DropoutKind::Gaussian => 1.0,
            DropoutKind::Alpha => self.alpha_scale() as f32,
        }
    }

    /// The factor on kept elements for the kinds that only scale. It differs from
    /// [`keep_scale`](Self::keep_scale) for [`Classic`](DropoutKind::Classic) at a rate of 1:
    /// elements that a packed mask keeps stay as they are.
    pub(crate) fn scaling_factor(&self) -> f32 {
        match self.kind {
            DropoutKind::Classic => 1.0,
            _ => self.keep_scale(),
        }
    }

    /// The number that is added to kept elements after scaling \[M17\]. It is 0 for every kind but
    /// [`Alpha`](DropoutKind::Alpha). There it is b = -a p α', where a = ((1 - p) (1 + p
    /// α'^2))^(-1/2), α' = -1.7580993… and p is the realised probability; if the rate drops
    /// everything, it is 0.
    pub fn keep_shift(&self) -> f32 {
        if self.kind == DropoutKind::Alpha && !self.rate.drops_all() {
            (-self.alpha_scale() * self.rate.realized() * ALPHA_PRIME) as f32
        } else {
            0.0
        }
    }

    /// The value of dropped elements. It is a α' + b for [`Alpha`](DropoutKind::Alpha), unless the
    /// rate drops everything, and +0 otherwise.
    pub fn dropped_value(&self) -> f32 {
        if self.kind == DropoutKind::Alpha && !self.rate.drops_all() {
            (self.alpha_scale() * ALPHA_PRIME * (1.0 - self.rate.realized())) as f32
        } else {
            0.0
        }
    }

    /// The factor on all elements at inference: 1, and for [`Classic`](DropoutKind::Classic) the
    /// probability of keeping, 1 - D / 2^32. Multiply by it in the kernel or the weights that
    /// follow.
    pub fn inference_scale(&self) -> f32 {
        match self.kind {
            DropoutKind::Classic => (1.0 - self.rate.realized()) as f32,
            DropoutKind::Inverted | DropoutKind::Alpha | DropoutKind::Gaussian => 1.0,
        }
    }

    /// `a` of alpha dropout, for a rate that keeps some elements.
    fn alpha_scale(&self) -> f64 {
        let p = self.rate.realized();
        ((1.0 - p) * (1.0 + p * ALPHA_PRIME * ALPHA_PRIME)).powf(-0.5)
    }
}

impl fmt::Display for DropoutCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rate,
            kind,
            key,
            origin,
        } = self;
        write!(
            f,
            "p={rate} seed={} stream={:#x} origin={origin}",
            key.seed, key.stream
        )?;
        match kind {
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
                "kind" => kind
                    .replace(value.parse::<DropoutKind>().map_err(|_| invalid())?)
                    .is_some(),
                _ => return Err(invalid()),
            };
            if repeated {
                return Err(invalid());
            }
        }
        let missing = |name| ParseCallError::Missing { name };
        Ok(Self {
            rate: DropoutRate::new(p.ok_or(missing("p"))?)?,
            kind: kind.unwrap_or_default(),
            key: MaskKey {
                seed: seed.ok_or(missing("seed"))?,
                stream: stream.ok_or(missing("stream"))?,
            },
            origin: origin.unwrap_or(0),
        })
    }
}

/// Accepts digits alone, decimal or after 0x. The sign is refused here, since `from_str_radix`
/// accepts one.
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
