//! The layer.

use burn::config::Config;
use burn::module::{Content, DisplaySettings, Flag, Module, ModuleDisplay, Param};
use burn::tensor::Tensor;
use wgpu_dropout::{DropoutCall, DropoutRate, MaskLayout, MaskPattern, RateError};

use crate::error::DropoutError;
use crate::operation::dropout;
use crate::run::TrainingRun;

/// What a [`FusedDropout`] is made of.
#[derive(Config, Debug)]
pub struct FusedDropoutConfig {
    /// The probability of dropping an element, 0 to 1.
    pub prob: f64,
    /// A number that no other dropout of the model has.
    pub layer: u32,
    /// What is dropped together.
    #[config(default = "MaskPattern::Elementwise")]
    pub pattern: MaskPattern,
}

/// Dropout with masks of a [`TrainingRun`], in the place of [`burn::nn::Dropout`].
///
/// Like that one it passes its input through unless the device is one for autodiff, the layer is in
/// `training` and `prob` is not 0; its record has no mask, no seed and no counter. `prob` may be 1:
/// all zeros, as are the gradients.
///
/// Made by [`FusedDropoutConfig`].
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct FusedDropout {
    /// The probability of dropping an element.
    pub prob: f64,
    /// Whether to drop. Cleared by [`freeze`](Module::freeze) and its relatives.
    pub training: Param<Flag>,
    /// A number that no other dropout of the model has.
    pub layer: u32,
    /// What is dropped together.
    #[module(skip)]
    pub pattern: MaskPattern,
    /// Where seed and step come from.
    #[module(skip)]
    pub run: TrainingRun,
}

impl FusedDropoutConfig {
    /// The layer, with the masks of `run`.
    ///
    /// # Panics
    ///
    /// If `prob` is NaN, negative or above 1, as Burn's own; [`try_init`](Self::try_init) does not.
    pub fn init(&self, run: &TrainingRun) -> FusedDropout {
        self.try_init(run).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The layer, with the masks of `run`.
    ///
    /// # Errors
    ///
    /// [`RateError`] if `prob` is NaN, negative or above 1.
    pub fn try_init(&self, run: &TrainingRun) -> Result<FusedDropout, RateError> {
        DropoutRate::new(self.prob)?;
        Ok(FusedDropout {
            prob: self.prob,
            training: Param::from_bool(true),
            layer: self.layer,
            pattern: self.pattern.clone(),
            run: run.clone(),
        })
    }
}

impl FusedDropout {
    /// The output for this step, of any shape that the pattern takes.
    ///
    /// # Panics
    ///
    /// Where [`forward_with`](Self::forward_with) has an error.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        if !self.training.is_enabled() || !input.device().is_autodiff() || self.prob == 0.0 {
            return input;
        }
        let output = self
            .call()
            .map_err(DropoutError::from)
            .and_then(|call| self.forward_with(input, &call));
        output.unwrap_or_else(|error| panic!("{error}"))
    }

    /// The output for `call`, on any device and whether in training or not: to see the mask of an
    /// earlier step again, for Monte-Carlo dropout, for shards that begin at another origin.
    ///
    /// # Errors
    ///
    /// See [`DropoutError`].
    pub fn forward_with<const D: usize>(
        &self,
        input: Tensor<D>,
        call: &DropoutCall,
    ) -> Result<Tensor<D>, DropoutError> {
        let shape = input.dims().map(|size| size as u64);
        let layout = match &self.pattern {
            // Of any number of dimensions.
            MaskPattern::Elementwise => MaskLayout::linear(shape.iter().product()),
            pattern => pattern.layout(&shape)?,
        };
        dropout(input, &layout, call)
    }

    /// What [`forward`](Self::forward) applies at this step.
    ///
    /// # Errors
    ///
    /// [`RateError`] if `prob` was set to no probability.
    pub fn call(&self) -> Result<DropoutCall, RateError> {
        let rate = DropoutRate::new(self.prob)?;
        Ok(DropoutCall::new(rate, self.run.key(self.layer)))
    }
}

impl ModuleDisplay for FusedDropout {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new()
            .with_new_line_after_attribute(false)
            .optional()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        let content = content.add("prob", &self.prob).add("layer", &self.layer);
        match self.training.is_enabled() {
            true => content.optional(),
            false => content.add("training", &self.training).optional(),
        }
    }
}
