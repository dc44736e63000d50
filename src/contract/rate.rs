//! The probability of dropping an element, as the integers and the factors that the kernels use.

use crate::error::RateError;

/// 2^32: the number of values of a mask's uniform u(i).
const UNIFORMS: f64 = 4_294_967_296.0;

/// What a dropped element becomes in alpha dropout: -lambda * alpha of SELU (Klambauer et al.
/// 2017), as in PyTorch's `nn.AlphaDropout`.
const ALPHA_PRIME: f64 = -1.758_099_340_847_376_6;

/// What becomes of kept and of dropped elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropoutKind {
    /// Kept elements are scaled by 1 / (1 - p) in training, and inference does nothing: what every
    /// framework means by dropout.
    #[default]
    Inverted,
    /// Kept elements stay as they are in training, and inference scales by
    /// [`inference_scale`](DropoutRate::inference_scale) (Srivastava et al. 2014).
    Classic,
    /// Dropped elements become the negative saturation of SELU, and an affine map keeps mean and
    /// variance (Klambauer et al. 2017, `nn.AlphaDropout`; `nn.FeatureAlphaDropout` with a feature
    /// layout). Values are `x * a + b` and may be off by one rounding, since an adapter may fuse
    /// the two steps; masks are exact.
    Alpha,
}

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
    kind: DropoutKind,
}

impl DropoutRate {
    /// Drops nothing: what inference uses.
    pub const ZERO: Self = Self {
        p: 0.0,
        kind: DropoutKind::Inverted,
    };

    /// A rate of `p`, with inverted scaling.
    ///
    /// # Errors
    ///
    /// [`RateError::OutOfRange`] if `p` is NaN, negative or above 1.
    pub fn new(p: f64) -> Result<Self, RateError> {
        if (0.0..=1.0).contains(&p) {
            Ok(Self {
                p,
                kind: DropoutKind::Inverted,
            })
        } else {
            Err(RateError::OutOfRange { p })
        }
    }

    /// The same rate for another kind of dropout.
    pub const fn with_kind(self, kind: DropoutKind) -> Self {
        Self { kind, ..self }
    }

    /// The `p` that was asked for.
    pub fn p(self) -> f64 {
        self.p
    }

    /// What becomes of the elements.
    pub fn kind(self) -> DropoutKind {
        self.kind
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

    /// The factor on kept elements, and on their gradients, rounded once to f32: for
    /// [`Inverted`](DropoutKind::Inverted) 1 / (1 - D / 2^32) \[M10\], for
    /// [`Classic`](DropoutKind::Classic) 1, for [`Alpha`](DropoutKind::Alpha) the `a` of
    /// [`keep_shift`](Self::keep_shift). 0 where everything is dropped; what a packed mask keeps
    /// all the same, Classic leaves as it is.
    pub fn keep_scale(self) -> f32 {
        if self.drops_all() {
            return 0.0;
        }
        match self.kind {
            DropoutKind::Inverted => (1.0 / (1.0 - self.realized())) as f32,
            DropoutKind::Classic => 1.0,
            DropoutKind::Alpha => self.alpha_scale() as f32,
        }
    }

    /// What is added to kept elements after scaling: 0, and for [`Alpha`](DropoutKind::Alpha)
    /// b = -a p α' with a = ((1 - p) (1 + p α'^2))^(-1/2), α' = -1.7580993… and the realised p.
    pub fn keep_shift(self) -> f32 {
        if self.kind == DropoutKind::Alpha && !self.drops_all() {
            (-self.alpha_scale() * self.realized() * ALPHA_PRIME) as f32
        } else {
            0.0
        }
    }

    /// What dropped elements become: +0, and for [`Alpha`](DropoutKind::Alpha) a α' + b, unless
    /// everything is dropped.
    pub fn dropped_value(self) -> f32 {
        if self.kind == DropoutKind::Alpha && !self.drops_all() {
            (self.alpha_scale() * ALPHA_PRIME * (1.0 - self.realized())) as f32
        } else {
            0.0
        }
    }

    /// The factor on all elements at inference: 1, and for [`Classic`](DropoutKind::Classic) the
    /// probability of keeping, 1 - D / 2^32. Multiply by it in the kernel or the weights that
    /// follow.
    pub fn inference_scale(self) -> f32 {
        match self.kind {
            DropoutKind::Classic => (1.0 - self.realized()) as f32,
            DropoutKind::Inverted | DropoutKind::Alpha => 1.0,
        }
    }

    /// `a` of alpha dropout; some element is kept.
    fn alpha_scale(self) -> f64 {
        let p = self.realized();
        ((1.0 - p) * (1.0 + p * ALPHA_PRIME * ALPHA_PRIME)).powf(-0.5)
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
