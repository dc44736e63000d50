//! The dropout layer and its configuration.

use core::fmt;

use burn::config::{Config, config_to_json};
use burn::module::{Content, DisplaySettings, Flag, Module, ModuleDisplay, Param};
use burn::serde::{Deserialize, Serialize};
use burn::tensor::Tensor;
use wgpu_dropout::{DropoutCall, DropoutRate, MaskLayout, MaskPattern, RateError};

use crate::error::DropoutError;
use crate::operation::dropout;
use crate::site::Site;

/// The configuration of a [`FusedDropout`]. A saved [`burn::nn::DropoutConfig`] loads as one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(crate = "burn::serde")]
pub struct FusedDropoutConfig {
    /// The probability of dropping an element, 0 to 1.
    pub prob: f64,
    /// The elements that are dropped together.
    #[serde(default)]
    pub pattern: MaskPattern,
    /// A name that stands for the layer's number in the run, so that its masks do not depend on how
    /// many layers were built before it. Layers of one name count their calls together.
    #[serde(default)]
    pub site: Option<String>,
    /// True if all calls of a step have one mask.
    #[serde(default)]
    pub shared_mask: bool,
}

// Not derived, since the derived `Config` loads no file in which a field is missing.
impl Config for FusedDropoutConfig {}

impl fmt::Display for FusedDropoutConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&config_to_json(self))
    }
}

/// A layer that replaces [`burn::nn::Dropout`].
///
/// Like Burn's layer it drops only if the device is one for autodiff, `training` is on and `prob`
/// is not 0. Otherwise it returns its input. Each call has a mask of its own. The record is the
/// same as that of Burn's layer: it holds no mask, no seed and no counter. With a `prob` of 1 the
/// output and the gradients are all zeros.
///
/// [`FusedDropoutConfig::init`] makes it. Masks are a function of the [run](crate::TrainingRun)'s
/// seed and step, the layer, the number of the call in the step and the replica.
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct FusedDropout {
    /// The probability of dropping an element.
    pub prob: f64,
    /// True if the layer drops. [`freeze`](Module::freeze) and its relatives clear it.
    pub training: Param<Flag>,
    /// The elements that are dropped together.
    #[module(skip)]
    pub pattern: MaskPattern,
    /// True if all calls of a step have one mask.
    pub shared_mask: bool,
    site: Site,
}

impl FusedDropoutConfig {
    /// A configuration that drops single elements with probability `prob`, by a new mask in each
    /// call.
    pub fn new(prob: f64) -> Self {
        Self {
            prob,
            pattern: MaskPattern::Elementwise,
            site: None,
            shared_mask: false,
        }
    }

    /// The same configuration with another pattern of elements that are dropped together.
    pub fn with_pattern(self, pattern: MaskPattern) -> Self {
        Self { pattern, ..self }
    }

    /// The same configuration with a [name](Self::site).
    pub fn with_site(self, name: impl Into<String>) -> Self {
        let site = Some(name.into());
        Self { site, ..self }
    }

    /// The same configuration with one mask for all calls of a training step on one device, as a
    /// recurrent cell needs for its time steps. Layers at [sites](Self::with_site) of one name also
    /// share this mask.
    pub fn shared_mask(self) -> Self {
        Self {
            shared_mask: true,
            ..self
        }
    }

    /// Makes the layer as the next one of the [current run](crate::TrainingRun::current).
    ///
    /// # Panics
    ///
    /// If `prob` is NaN, negative or above 1, as in Burn. [`try_init`](Self::try_init) returns an
    /// error instead.
    pub fn init(&self) -> FusedDropout {
        self.try_init().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Makes the layer as the next one of the [current run](crate::TrainingRun::current).
    ///
    /// # Errors
    ///
    /// [`RateError`] if `prob` is NaN, negative or above 1.
    pub fn try_init(&self) -> Result<FusedDropout, RateError> {
        DropoutRate::new(self.prob)?;
        Ok(FusedDropout {
            prob: self.prob,
            training: Param::from_bool(true),
            pattern: self.pattern.clone(),
            shared_mask: self.shared_mask,
            site: Site::new(self.site.as_deref()),
        })
    }
}

impl FusedDropout {
    /// Applies dropout with the mask of the layer's next call. The input may have any shape that
    /// the pattern takes.
    ///
    /// # Panics
    ///
    /// If [`forward_with`](Self::forward_with) would return an error, or if `prob` was set to a
    /// number that is not a probability.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        if !self.drops(&input) {
            return input;
        }
        let output = self.next_call(&input).and_then(|call| {
            let output = self.forward_with(input, &call)?;
            self.applied(call);
            Ok(output)
        });
        output.unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn drops<const D: usize>(&self, input: &Tensor<D>) -> bool {
        self.training.is_enabled() && input.device().is_autodiff() && self.prob != 0.0
    }

    pub(crate) fn applied(&self, call: DropoutCall) {
        self.site.set_last(call);
    }

    pub(crate) fn next_call<const D: usize>(
        &self,
        input: &Tensor<D>,
    ) -> Result<DropoutCall, DropoutError> {
        let rate = DropoutRate::new(self.prob)?;
        let Site { number, run, .. } = &self.site;
        let key = run.next_key(*number, &input.device(), self.shared_mask)?;
        Ok(DropoutCall::new(rate, key))
    }

    /// Applies `call`, on any device, in training or not. Use it to repeat a mask, for Monte-Carlo
    /// dropout, or for shards that begin at another origin. It does not count as a call of the
    /// layer.
    ///
    /// # Errors
    ///
    /// See [`DropoutError`].
    pub fn forward_with<const D: usize>(
        &self,
        input: Tensor<D>,
        call: &DropoutCall,
    ) -> Result<Tensor<D>, DropoutError> {
        let layout = self.layout(&input)?;
        dropout(input, &layout, call)
    }

    pub(crate) fn layout<const D: usize>(
        &self,
        input: &Tensor<D>,
    ) -> Result<MaskLayout, DropoutError> {
        let shape = input.dims().map(|size| size as u64);
        Ok(match &self.pattern {
            // A linear layout takes any number of dimensions; the layout of a pattern takes at most
            // 8.
            MaskPattern::Elementwise => MaskLayout::linear(shape.iter().product()),
            pattern => pattern.layout(&shape)?,
        })
    }

    /// The call that the last [`forward`](Self::forward) of this layer or of a clone applied. A
    /// fork has a last call of its own. `None` before the first call.
    pub fn call(&self) -> Option<DropoutCall> {
        self.site.last()
    }
}

impl ModuleDisplay for FusedDropout {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new()
            .with_new_line_after_attribute(false)
            .optional()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        let content = content.add("prob", &self.prob).add("layer", &self.site);
        match self.training.is_enabled() {
            true => content.optional(),
            false => content.add("training", &self.training).optional(),
        }
    }
}
