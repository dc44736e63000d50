//! Kinds of dropout.

use core::fmt;
use core::str::FromStr;

use super::name::{self, ParseNameError};

/// The kind of dropout: how kept and dropped elements change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum DropoutKind {
    /// Kept elements are scaled by 1 / (1 - p) in training, and inference does nothing. Frameworks
    /// call this simply dropout.
    #[default]
    Inverted,
    /// Kept elements stay as they are in training, and inference scales by
    /// [`inference_scale`](crate::DropoutCall::inference_scale) (Srivastava et al. 2014).
    Classic,
    /// Dropped elements take the value that SELU has at minus infinity, and an affine map restores
    /// mean and variance (Klambauer et al. 2017). This is PyTorch's `nn.AlphaDropout`, and with a
    /// feature layout its `nn.FeatureAlphaDropout`. Values are `x * a + b` and may be off by one
    /// rounding, since an adapter may fuse the two steps. Masks are exact.
    Alpha,
    /// Every element is multiplied by a normal number of mean 1 and variance p / (1 - p)
    /// (Srivastava et al. 2014, section 10; Keras's `GaussianDropout`) \[M18\]-\[M20\].
    Gaussian,
}

impl DropoutKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[Self::Inverted, Self::Classic, Self::Alpha, Self::Gaussian];
}

impl fmt::Display for DropoutKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inverted => "inverted",
            Self::Classic => "classic",
            Self::Alpha => "alpha",
            Self::Gaussian => "gaussian",
        })
    }
}

impl FromStr for DropoutKind {
    type Err = ParseNameError;

    /// Reads `inverted`, `classic`, `alpha` or `gaussian`.
    fn from_str(text: &str) -> Result<Self, ParseNameError> {
        name::parse(text, "kind of dropout", Self::ALL)
    }
}
