//! Named patterns: each says which elements of a tensor share a decision.

use core::fmt;
use core::str::FromStr;

use super::error::LayoutError;
use super::layout::MaskLayout;
use super::name::ParseNameError;

/// A named pattern of elements that share a decision. It stands for the [`MaskLayout`] of the same
/// name before the tensor's shape is known.
///
/// ```
/// use wgpu_dropout::{MaskLayout, MaskPattern};
///
/// let pattern: MaskPattern = "feature-channels-first".parse()?;
/// assert_eq!(pattern.layout(&[2, 6, 5, 7])?, MaskLayout::feature_channels_first(&[2, 6, 5, 7])?);
/// assert_eq!(MaskPattern::NoiseShape(vec![None, Some(1)]).to_string(), "noise-shape=*,1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum MaskPattern {
    /// A decision of its own for each element.
    #[default]
    Elementwise,
    /// Whole channels of `(samples, channels, …)`.
    FeatureChannelsFirst,
    /// Whole channels of `(samples, …, channels)`.
    FeatureChannelsLast,
    /// One mask for all time steps of `(samples, time, …)`.
    TimeLockedBatchFirst,
    /// One mask for all time steps of `(time, samples, …)`.
    TimeLockedTimeFirst,
    /// Whole samples of `(samples, …)`: stochastic depth.
    DropPath,
    /// A decision for each element of a shape that broadcasts to the tensor's; `None` is the
    /// tensor's size.
    NoiseShape(Vec<Option<u64>>),
}

/// The patterns without numbers of their own.
const NAMED: [(&str, MaskPattern); 6] = [
    ("elementwise", MaskPattern::Elementwise),
    ("feature-channels-first", MaskPattern::FeatureChannelsFirst),
    ("feature-channels-last", MaskPattern::FeatureChannelsLast),
    ("time-locked-batch-first", MaskPattern::TimeLockedBatchFirst),
    ("time-locked-time-first", MaskPattern::TimeLockedTimeFirst),
    ("drop-path", MaskPattern::DropPath),
];

const NOISE_SHAPE: &str = "noise-shape=";

impl MaskPattern {
    /// The layout of a tensor of `shape`.
    ///
    /// # Errors
    ///
    /// [`LayoutError`] if the shape has too few dimensions for the pattern, or too many, or a noise
    /// shape does not broadcast to it.
    pub fn layout(&self, shape: &[u64]) -> Result<MaskLayout, LayoutError> {
        match self {
            Self::Elementwise => MaskLayout::elementwise(shape),
            Self::FeatureChannelsFirst => MaskLayout::feature_channels_first(shape),
            Self::FeatureChannelsLast => MaskLayout::feature_channels_last(shape),
            Self::TimeLockedBatchFirst => MaskLayout::time_locked_batch_first(shape),
            Self::TimeLockedTimeFirst => MaskLayout::time_locked_time_first(shape),
            Self::DropPath => MaskLayout::drop_path(shape),
            Self::NoiseShape(noise_shape) => MaskLayout::noise_shape(shape, noise_shape),
        }
    }
}

impl fmt::Display for MaskPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::NoiseShape(sizes) = self {
            let size = |size: &Option<u64>| size.map_or("*".to_owned(), |size| size.to_string());
            let sizes: Vec<_> = sizes.iter().map(size).collect();
            return write!(f, "{NOISE_SHAPE}{}", sizes.join(","));
        }
        let named = NAMED.iter().find(|(_, pattern)| pattern == self);
        f.write_str(named.map_or("", |(name, _)| name))
    }
}

impl FromStr for MaskPattern {
    type Err = ParseNameError;

    /// Reads a name in small letters with hyphens, or `noise-shape=` with sizes and `*` for the
    /// tensor's size: `noise-shape=*,1,20`.
    fn from_str(text: &str) -> Result<Self, ParseNameError> {
        let size = |size: &str| match size {
            "*" => Some(None),
            // Signs are refused here, since `u64::from_str` accepts one.
            size if size.starts_with('+') => None,
            size => size.parse().ok().map(Some),
        };
        let parsed = match text.strip_prefix(NOISE_SHAPE) {
            Some("") => Some(Self::NoiseShape(Vec::new())),
            Some(sizes) => sizes
                .split(',')
                .map(size)
                .collect::<Option<_>>()
                .map(Self::NoiseShape),
            None => NAMED
                .iter()
                .find(|(name, _)| *name == text)
                .map(|(_, pattern)| pattern.clone()),
        };
        parsed.ok_or_else(|| ParseNameError {
            text: text.to_owned(),
            what: "pattern",
            names: NAMED.map(|(name, _)| name).join(", ") + ", noise-shape=*,1,20",
        })
    }
}
