//! The probability of dropping an element, and the integer that decisions compare with.

use core::fmt;
use core::hash::{Hash, Hasher};
use core::str::FromStr;

/// 2^32, the number of values that a mask's uniform u(i) can take.
const UNIFORMS: f64 = 4_294_967_296.0;

/// An invalid probability of dropping.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RateError {
    /// NaN, negative or above 1.
    #[error("the probability of dropping is {p}; give a number from 0 to 1")]
    OutOfRange {
        /// The number given.
        p: f64,
    },
    /// A text that is no number.
    #[error("`{text}` is no number; give a number from 0 to 1")]
    NotANumber {
        /// The text.
        text: String,
    },
}

/// The probability `p` of **dropping** an element (PyTorch's `p`, Keras's `rate`).
///
/// # Precision
///
/// The kernels compare a 32-bit uniform with [`drop_threshold`](Self::drop_threshold), `p * 2^32`
/// rounded to nearest \[M8\], so the realised probability differs from `p` by at most 2^-33;
/// [`realized`](Self::realized) returns it. The threshold decides, so that a `p` just below 1 may
/// drop everything and a `p` just above 0 may drop nothing. Under one key a larger `p` drops all
/// elements that a smaller one drops, and more.
///
/// ```
/// use wgpu_dropout::DropoutRate;
///
/// let rate = DropoutRate::new(0.1)?;
/// assert_eq!(rate.drop_threshold(), 429_496_730);
/// assert_eq!(rate.realized(), 429_496_730.0 / 4_294_967_296.0);
/// assert_eq!("0.1".parse(), Ok(rate));
/// # Ok::<(), wgpu_dropout::RateError>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "f64", into = "f64"))]
pub struct DropoutRate {
    /// From +0 to 1, never NaN or -0, so that equality and hash agree.
    p: f64,
}

impl DropoutRate {
    /// The rate that drops nothing, for inference.
    pub const ZERO: Self = Self { p: 0.0 };

    /// A rate of `p`.
    ///
    /// # Errors
    ///
    /// [`RateError::OutOfRange`] if `p` is NaN, negative or above 1.
    pub fn new(p: f64) -> Result<Self, RateError> {
        if (0.0..=1.0).contains(&p) {
            // -0 becomes +0, so that equal rates have equal bits.
            Ok(Self { p: p + 0.0 })
        } else {
            Err(RateError::OutOfRange { p })
        }
    }

    /// The `p` that was asked for.
    pub const fn p(self) -> f64 {
        self.p
    }

    /// D = `p * 2^32` rounded to nearest, ties to even, 0 to 2^32: an element is dropped iff its
    /// uniform is below D \[M8\].
    pub fn drop_threshold(self) -> u64 {
        // At most 2^32: exact in both types.
        (self.p * UNIFORMS).round_ties_even() as u64
    }

    /// The realised probability D / 2^32 of dropping an element.
    pub fn realized(self) -> f64 {
        self.drop_threshold() as f64 / UNIFORMS
    }

    /// The standard deviation of Gaussian noise, sqrt(p / (1 - p)) with the realised p \[M20\].
    /// Infinite if the rate drops everything.
    pub fn sigma(self) -> f32 {
        let p = self.realized();
        (p / (1.0 - p)).sqrt() as f32
    }

    /// Returns true if D = 0: the result is the input, bit for bit \[M11\].
    pub fn drops_nothing(self) -> bool {
        self.drop_threshold() == 0
    }

    /// Returns true if D = 2^32: the result is +0 everywhere.
    pub fn drops_all(self) -> bool {
        self.drop_threshold() == 1 << 32
    }
}

impl PartialEq for DropoutRate {
    fn eq(&self, other: &Self) -> bool {
        self.p.to_bits() == other.p.to_bits()
    }
}

impl Eq for DropoutRate {}

impl Hash for DropoutRate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.p.to_bits().hash(state);
    }
}

impl TryFrom<f64> for DropoutRate {
    type Error = RateError;

    fn try_from(p: f64) -> Result<Self, RateError> {
        Self::new(p)
    }
}

impl From<DropoutRate> for f64 {
    fn from(rate: DropoutRate) -> Self {
        rate.p
    }
}

impl fmt::Display for DropoutRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.p.fmt(f)
    }
}

impl FromStr for DropoutRate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        match text.parse() {
            Ok(p) => Self::new(p),
            Err(_) => Err(RateError::NotANumber {
                text: text.to_owned(),
            }),
        }
    }
}
