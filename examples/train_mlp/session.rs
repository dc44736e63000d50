//! A network and its sets on the device, and the loop over epochs.

use core::ops::Range;
use std::fmt;
use std::path::Path;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use wgpu_dropout::DropoutRate;

use crate::checkpoint;
use crate::early_stopping::EarlyStopping;
use crate::idx::Data;
use crate::mlp::predictions::Score;
use crate::mlp::{Architecture, DeviceExamples, Mlp, Optimizer, device};
use crate::options::Setup;

/// With early stopping, one in this many training images validates.
const VALIDATION_SHARE: u32 = 5;

pub struct Session<'a> {
    setup: &'a Setup,
    adapter: String,
    pub data: Data,
    pub mlp: Mlp,
    train: DeviceExamples,
    /// The validation images, with early stopping or for the choice of a rate.
    validation: Option<DeviceExamples>,
    test: DeviceExamples,
}

impl<'a> Session<'a> {
    /// Opens a session. It has validation images if training may stop early.
    pub fn open(setup: &'a Setup) -> Result<Self> {
        Self::open_for(setup, setup.early_stopping.is_some())
    }

    /// Opens a session. If it `validates`, some of the training images are not trained on.
    pub fn open_for(setup: &'a Setup, validates: bool) -> Result<Self> {
        let data = Data::load(&setup.data, setup.train_images)?;
        let (device, queue, adapter) = device::open()?;
        let mut widths = vec![data.train.features];
        widths.extend(&setup.hidden);
        widths.push(data.classes());
        let architecture = Architecture {
            widths,
            batch: setup.batch,
        };
        let optimizer = Optimizer {
            learning_rate: setup.learning_rate,
            l1: setup.l1,
            l2: setup.l2,
        };
        let mlp = Mlp::new(&device, &queue, architecture, optimizer)?;
        let len = data.train.len();
        let trained = match validates {
            true => len - len / VALIDATION_SHARE,
            false => len,
        };
        let validation = (trained < len)
            .then(|| mlp.upload(&data.train.slice(trained..len)))
            .transpose()?;
        Ok(Self {
            setup,
            adapter,
            train: mlp.upload(&data.train.slice(0..trained))?,
            validation,
            test: mlp.upload(&data.test)?,
            data,
            mlp,
        })
    }

    /// A run with one rate for the input and one for all hidden layers.
    pub fn run(&self, input: DropoutRate, hidden: DropoutRate, seed: u64) -> Run<'_> {
        let mut rates = vec![hidden; self.setup.hidden.len() + 1];
        rates[0] = input;
        Run {
            session: self,
            rates,
            seed,
        }
    }

    /// Scores of the training set and of the test set, without dropout.
    pub fn scores(&self) -> Result<[Score; 2]> {
        Ok([self.score(&self.train)?, self.score(&self.test)?])
    }

    /// The score of the validation images, or of the training images if there are none.
    pub fn validation_score(&self) -> Result<Score> {
        self.score(self.validation.as_ref().unwrap_or(&self.train))
    }

    fn score(&self, set: &DeviceExamples) -> Result<Score> {
        Ok(self.mlp.evaluate(set)?.score(&set.labels))
    }
}

impl fmt::Display for Session<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths: Vec<_> = self
            .mlp
            .architecture()
            .widths
            .iter()
            .map(u32::to_string)
            .collect();
        write!(
            f,
            "{} on {}: {} training images",
            widths.join("-"),
            self.adapter,
            self.train.len()
        )?;
        if let Some(validation) = &self.validation {
            write!(f, ", {} for validation", validation.len())?;
        }
        write!(f, ", {} test images", self.test.len())
    }
}

/// Rates and a seed. With the session's settings, they determine every bit.
pub struct Run<'a> {
    session: &'a Session<'a>,
    /// The rate on the input of each dense layer.
    pub rates: Vec<DropoutRate>,
    pub seed: u64,
}

impl Run<'_> {
    /// Draws the weights. Returns the first epoch, 0.
    pub fn start(&self) -> Result<u32> {
        self.session.mlp.initialize(self.seed)?;
        Ok(0)
    }

    /// Loads a saved run. Returns the next epoch.
    pub fn resume(&self, path: &Path) -> Result<u32> {
        let (epoch, state) = checkpoint::load(path, &self.settings())?;
        self.session.mlp.restore(&state)?;
        Ok(epoch)
    }

    /// Trains from `first_epoch` to the last, and calls `after` after each epoch. Returns how many
    /// epochs made the final weights.
    pub fn train(&self, first_epoch: u32, after: impl FnMut(u32) -> Result<()>) -> Result<u32> {
        self.train_epochs(first_epoch..self.session.setup.epochs, after)
    }

    /// Like [`train`](Self::train), for these epochs.
    pub fn train_epochs(
        &self,
        epochs: Range<u32>,
        mut after: impl FnMut(u32) -> Result<()>,
    ) -> Result<u32> {
        let Session {
            setup,
            mlp,
            train,
            validation,
            ..
        } = self.session;
        let mut stopping = setup.early_stopping.map(EarlyStopping::new);
        let end = epochs.end.max(epochs.start);
        for epoch in epochs {
            mlp.train_epoch(train, &self.rates, self.seed, epoch)?;
            after(epoch)?;
            if let (Some(stopping), Some(validation)) = (&mut stopping, validation) {
                let loss = self.session.score(validation)?.loss;
                if stopping.stops(epoch, loss, || mlp.state())? {
                    break;
                }
            }
        }
        match stopping.and_then(EarlyStopping::best) {
            Some(best) => {
                mlp.restore(&best.state)?;
                Ok(best.epoch + 1)
            }
            None => Ok(end),
        }
    }

    /// Like [`train`](Self::train), with a progress bar.
    pub fn train_alone(&self, first_epoch: u32) -> Result<u32> {
        let epochs = self.session.setup.epochs.saturating_sub(first_epoch);
        let bar = progress(epochs.into())?;
        let end = self.train(first_epoch, |_| {
            bar.inc(1);
            Ok(())
        })?;
        bar.finish_and_clear();
        Ok(end)
    }

    /// The settings that a resumed run must share with the saved one, to continue as if it had not
    /// stopped.
    pub fn settings(&self) -> String {
        let Session { setup, mlp, .. } = self.session;
        let Architecture { widths, batch } = mlp.architecture();
        let rates: Vec<_> = self.rates.iter().map(|rate| rate.p()).collect();
        format!(
            "widths={widths:?} batch={batch} rates={rates:?} learning_rate={} l1={} l2={} train_images={} seed={}",
            setup.learning_rate, setup.l1, setup.l2, setup.train_images, self.seed
        )
    }
}

/// A progress bar on the terminal. indicatif hides it if standard error is not a terminal.
pub fn progress(epochs: u64) -> Result<ProgressBar> {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} epochs, {eta} left  {msg}")?;
    Ok(ProgressBar::new(epochs).with_style(style))
}
