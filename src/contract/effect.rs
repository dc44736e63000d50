//! The map that dropout applies to a value. GPU and CPU share it, and kind and direction choose it.

use core::fmt;
use core::str::FromStr;

use super::kind::DropoutKind;
use super::name::{self, ParseNameError};

/// The direction in which a tensor passes a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum Direction {
    /// `output = dropout(input)`.
    Forward,
    /// `grad_input = dropout'(grad_output)`.
    Backward,
}

impl Direction {
    /// Both directions.
    pub const ALL: &'static [Self] = &[Self::Forward, Self::Backward];
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Forward => "forward",
            Self::Backward => "backward",
        })
    }
}

impl FromStr for Direction {
    type Err = ParseNameError;

    /// Reads `forward` or `backward`.
    fn from_str(text: &str) -> Result<Self, ParseNameError> {
        name::parse(text, "direction", Self::ALL)
    }
}

/// The map of a kept and of a dropped value. The factors are the call's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Effect {
    /// Kept: one product with [`keep_scale`](crate::DropoutCall::keep_scale) \[M11\]. Dropped: +0.
    Scale,
    /// Kept: the same bits. Dropped: +0.
    Keep,
    /// Kept: `x * keep_scale + keep_shift`. Dropped: `dropped_value` \[M17\].
    Affine,
    /// All elements: `x * (1 + sigma * z)` with a normal number z \[M20\].
    Noise,
    /// All elements: the same bits. No mask is made.
    Copy,
}

impl Effect {
    /// The effect of dropout that drops something.
    pub const fn of(kind: DropoutKind, direction: Direction) -> Self {
        match (kind, direction) {
            (DropoutKind::Inverted, _) | (DropoutKind::Alpha, Direction::Backward) => Self::Scale,
            (DropoutKind::Classic, _) => Self::Keep,
            (DropoutKind::Alpha, Direction::Forward) => Self::Affine,
            (DropoutKind::Gaussian, _) => Self::Noise,
        }
    }
}
