//! What becomes of a value: one map for GPU and CPU, chosen by kind and direction.

use super::kind::DropoutKind;

/// Which way a tensor passes a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum Direction {
    /// `output = dropout(input)`.
    Forward,
    /// `grad_input = dropout'(grad_output)`.
    Backward,
}

/// What becomes of a kept and of a dropped value. The factors are the call's.
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
