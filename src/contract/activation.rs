//! Activations, the functions that are applied to an element before dropout.

use core::fmt;
use core::str::FromStr;

use super::name::{self, ParseNameError};

/// A function that is applied to each element \[M24\]. σ is the logistic function, and Φ is the
/// distribution function of the standard normal distribution.
///
/// | | value at x | value at +infinity, at -infinity |
/// |---|---|---|
/// | [`Identity`](Self::Identity) | x | infinity, -infinity |
/// | [`Relu`](Self::Relu) | x if x is above 0, else +0, also at x = -0 | infinity, +0 |
/// | [`Gelu`](Self::Gelu) | x Φ(x) | infinity, a number below 1e-36 in magnitude |
/// | [`GeluTanh`](Self::GeluTanh) | x σ(1.5957691216 (x + 0.044715 x^3)), which is x/2 (1 + tanh(sqrt(2/π) (x + 0.044715 x^3))) | infinity, a number below 1e-35 |
/// | [`Silu`](Self::Silu) | x σ(x) | infinity, a number below 1e-35 |
/// | [`QuickGelu`](Self::QuickGelu) | x σ(1.702 x) | infinity, a number below 1e-35 |
/// | [`SquaredRelu`](Self::SquaredRelu) | relu's value, squared | infinity, +0 |
///
/// A NaN stays a NaN under every activation, also under relu. At a kink the derivative is the left
/// one: relu's at 0 is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Activation {
    /// The element itself. Only the bias and the dropout remain, in one pass.
    Identity,
    /// max(x, 0).
    Relu,
    /// GELU by the error function, which PyTorch, Keras and JAX-based models call plain `gelu`.
    Gelu,
    /// GELU by tanh: `gelu_new` of GPT-2, `gelu_pytorch_tanh`.
    GeluTanh,
    /// x σ(x), also called swish. With a gate it is SwiGLU.
    Silu,
    /// x σ(1.702 x), CLIP's approximation of GELU.
    QuickGelu,
    /// max(x, 0)^2, the activation of Primer and of Nemotron.
    SquaredRelu,
}

impl Activation {
    /// Every activation.
    pub const ALL: &'static [Self] = &[
        Self::Identity,
        Self::Relu,
        Self::Gelu,
        Self::GeluTanh,
        Self::Silu,
        Self::QuickGelu,
        Self::SquaredRelu,
    ];
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Identity => "identity",
            Self::Relu => "relu",
            Self::Gelu => "gelu",
            Self::GeluTanh => "gelu-tanh",
            Self::Silu => "silu",
            Self::QuickGelu => "quick-gelu",
            Self::SquaredRelu => "squared-relu",
        })
    }
}

impl FromStr for Activation {
    type Err = ParseNameError;

    /// Reads `identity`, `relu`, `gelu`, `gelu-tanh`, `silu`, `quick-gelu` or `squared-relu`.
    fn from_str(text: &str) -> Result<Self, ParseNameError> {
        name::parse(text, "activation", Self::ALL)
    }
}
