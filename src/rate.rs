//! The probability of dropping an element, as the integers and the factor that the kernels use.

use crate::error::RateError;

/// 2^32: the number of values of a mask's uniform u(i).
const UNIFORMS: f64 = 4_294_967_296.0;

/// The probability `p` of **dropping** an element (PyTorch's `p`, Keras's `rate`).
///
/// # Precision
///
/// The kernels compare a 32-bit uniform with [`drop_threshold`](Self::drop_threshold), `p * 2^32`
/// rounded to nearest \[M8\], so the realised probability differs from `p` by at most 2^-33;
/// [`realized`](Self::realized) tells it. Behaviour follows the threshold: a `p` below 1 may drop
/// everything and a `p` above 0 nothing. Under one key a larger `p` drops a superset of what a
/// smaller one drops.
///
/// ```
/// use wgpu_dropout::DropoutRate;
///
/// let rate = DropoutRate::new(0.1)?;
/// assert_eq!(rate.drop_threshold(), 429_496_730);
/// assert_eq!(rate.realized(), 429_496_730.0 / 4_294_967_296.0);
/// assert_eq!(rate.keep_scale(), (1.0 / (1.0 - rate.realized())) as f32);
/// # Ok::<(), wgpu_dropout::RateError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DropoutRate {
    p: f64,
}

impl DropoutRate {
    /// Drops nothing: what inference uses.
    pub const ZERO: Self = Self { p: 0.0 };

    /// A rate of `p`.
    ///
    /// # Errors
    ///
    /// [`RateError::OutOfRange`] if `p` is NaN, negative or above 1.
    pub fn new(p: f64) -> Result<Self, RateError> {
        if (0.0..=1.0).contains(&p) {
            Ok(Self { p })
        } else {
            Err(RateError::OutOfRange { p })
        }
    }

    /// The `p` that was asked for.
    pub fn p(self) -> f64 {
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

    /// The factor on kept elements, 1 / (1 - D / 2^32) rounded once to f32; 0 where everything is
    /// dropped \[M10\].
    pub fn keep_scale(self) -> f32 {
        if self.drops_all() {
            0.0
        } else {
            (1.0 / (1.0 - self.realized())) as f32
        }
    }

    /// D = 0: the result is the input, bit for bit \[M11\].
    pub fn drops_nothing(self) -> bool {
        self.drop_threshold() == 0
    }

    /// D = 2^32: the result is +0 everywhere.
    pub fn drops_all(self) -> bool {
        self.drop_threshold() == 1 << 32
    }
}
