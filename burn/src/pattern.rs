//! Which elements of a tensor share a decision.

use serde::{Deserialize, Serialize};
use wgpu_dropout::{LayoutError, MaskLayout};

/// What is dropped together. Each is the [`MaskLayout`] of that name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum MaskPattern {
    /// Each element for itself.
    #[default]
    Elementwise,
    /// Whole channels of `[samples, channels, …]`.
    FeatureChannelsFirst,
    /// Whole channels of `[samples, …, channels]`.
    FeatureChannelsLast,
    /// One mask for all time steps of `[samples, time, …]`.
    TimeLockedBatchFirst,
    /// One mask for all time steps of `[time, samples, …]`.
    TimeLockedTimeFirst,
    /// Whole samples of `[samples, …]`: stochastic depth.
    DropPath,
    /// A decision for each element of a shape that broadcasts to the tensor's; `None` is the tensor's
    /// size.
    NoiseShape(Vec<Option<u64>>),
}

impl MaskPattern {
    /// The layout of a tensor of `shape`.
    ///
    /// # Errors
    ///
    /// [`LayoutError`] if the shape has too few dimensions for the pattern, or too many.
    pub fn layout(&self, shape: &[u64]) -> Result<MaskLayout, LayoutError> {
        match self {
            // Any number of dimensions.
            Self::Elementwise => Ok(MaskLayout::linear(shape.iter().product())),
            Self::FeatureChannelsFirst => MaskLayout::feature_channels_first(shape),
            Self::FeatureChannelsLast => MaskLayout::feature_channels_last(shape),
            Self::TimeLockedBatchFirst => MaskLayout::time_locked_batch_first(shape),
            Self::TimeLockedTimeFirst => MaskLayout::time_locked_time_first(shape),
            Self::DropPath => MaskLayout::drop_path(shape),
            Self::NoiseShape(noise) => MaskLayout::noise_shape(shape, noise),
        }
    }
}
