//! An auditor that finds out whether a device computes dropout right. Run it on a new GPU or
//! driver, or at the start of a training program.
//!
//! [`audit`] runs every check of [`CHECKS`] on a device. It dispatches about 110 kernels. For any
//! two options that select a kernel, such as the element type and the layout, they have every pair
//! of values. It also calls each of the [functions](crate::wgsl::functions).
//!
//! Every element is compared with the [contract](crate::mask) by a reference that shares no code
//! with the kernels. Canaries around each result show stray stores. Each kernel runs with origins
//! of all remainders modulo 8, with carries out of each word, at rates where one element's decision
//! depends on D's last bit, with NaNs, infinities, zeros and subnormals, and on tensors that are
//! cut into several dispatches. Dispatches of more than 4096 workgroups are compared too, one
//! part in 16 of those of Gaussian noise. Two checks test masks for their keep rate and for
//! correlations. Keys and cases come from a fixed seed, so a right device always passes, with the
//! same figures and the same [mask hash](AuditReport::mask_hash).
//!
//! The driver takes most of the time, to compile the kernels. On two cores Mesa's software adapter
//! for Vulkan takes 83 s without a shader cache and 23 s with one, that for OpenGL 286 s and 12 s.
//! A GPU should take 2 to 10 s, estimated from 20 to 100 ms per kernel.
//!
//! [`AuditOptions::long`] is for a new kind of hardware. It runs every kernel that this library
//! dispatches on the device, each in one of its [ways](crate::wgsl::Way), on ranges as large as the
//! device binds.
//!
//! ```no_run
//! # async fn start(device: &wgpu::Device, queue: &wgpu::Queue) {
//! let report = wgpu_dropout::audit::audit(device, queue, |_| {}).await;
//! assert!(report.passed(), "{report}");
//! # }
//! ```

mod activations;
mod checks;
mod columns;
mod conversions;
mod functions;
mod gpu;
mod kernels;
mod norms;
mod random;
mod reference;
mod rows;
mod run;
mod softmaxes;
mod statistics;
#[cfg(test)]
mod tests;
mod vectors;
mod work;

use core::fmt;
use core::ops::ControlFlow;
use std::borrow::Cow;

use checks::Audit;
pub use conversions::f16_conversions;
use gpu::Gpu;
use kernels::Group;

/// A check in [`CHECKS`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CheckInfo {
    /// The check's name, which no other check has.
    pub name: &'static str,
    /// The property of a device that passes.
    pub proves: &'static str,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    KnownAnswers,
    ContractVectors,
    Kernels(Group),
    Columns,
    Activations,
    Norms,
    Softmaxes,
    Functions,
    OnePass,
    FullSize,
    KeepRate,
    Correlation,
}

/// The checks in the order in which [`audit`] runs them.
pub const CHECKS: &[CheckInfo] = &[
    CheckInfo {
        name: "known answers",
        proves: "raw Philox blocks of 7 and 10 rounds equal Random123's",
        what: What::KnownAnswers,
    },
    CheckInfo {
        name: "contract vectors",
        proves: "masks equal the contract's golden masks",
        what: What::ContractVectors,
    },
    CheckInfo {
        name: "raw blocks",
        proves: "counters carry through 128 bits",
        what: What::Kernels(Group::Blocks),
    },
    CheckInfo {
        name: "exported masks",
        proves: "packed masks of all layouts follow the contract",
        what: What::Kernels(Group::Masks),
    },
    CheckInfo {
        name: "dropout",
        proves: "forward and backward of every kind and type follow the contract",
        what: What::Kernels(Group::Linear),
    },
    CheckInfo {
        name: "layouts",
        proves: "rows, runs and any strides, in one to eight dimensions, follow the contract",
        what: What::Kernels(Group::Layouts),
    },
    CheckInfo {
        name: "sample ids",
        proves: "each sample has the mask of its id",
        what: What::Kernels(Group::Samples),
    },
    CheckInfo {
        name: "packed masks",
        proves: "a packed mask decides, whatever the key",
        what: What::Kernels(Group::Packed),
    },
    CheckInfo {
        name: "copies",
        proves: "a rate of 0 copies every bit",
        what: What::Kernels(Group::Copies),
    },
    CheckInfo {
        name: "gaussian",
        proves: "noise is within its bound of the exact value",
        what: What::Kernels(Group::Gaussian),
    },
    CheckInfo {
        name: "neighbours",
        proves: "dropout with residuals, biases and scales in one pass follows the contract",
        what: What::Kernels(Group::Neighbours),
    },
    CheckInfo {
        name: "columns",
        proves: "sums of columns and the gradients of scales are within their bounds",
        what: What::Columns,
    },
    CheckInfo {
        name: "activations",
        proves: "dropout of activations and gates, and its gradients, are within their bounds",
        what: What::Activations,
    },
    CheckInfo {
        name: "norms",
        proves: "norms of a residual and a branch, and their gradients, are within their bounds",
        what: What::Norms,
    },
    CheckInfo {
        name: "softmax",
        proves: "dropout of a softmax under each mask, and its gradients, are within their bounds",
        what: What::Softmaxes,
    },
    CheckInfo {
        name: "functions",
        proves: "the functions for your own kernels follow the contract",
        what: What::Functions,
    },
    CheckInfo {
        name: "one pass",
        proves: "each dispatch of a pass sees its own parameters and the results of earlier ones",
        what: What::OnePass,
    },
    CheckInfo {
        name: "full size",
        proves: "the last workgroups of the largest dispatches are as right as the first",
        what: What::FullSize,
    },
    CheckInfo {
        name: "keep rate",
        proves: "the number of kept elements agrees with p",
        what: What::KeepRate,
    },
    CheckInfo {
        name: "correlation",
        proves: "masks at lags 1 to 64, of neighbouring seeds and streams, are independent",
        what: What::Correlation,
    },
];

/// The [mask hash](AuditReport::mask_hash) of a right device, for version 1 of the contract.
pub const MASK_HASH: u64 = 0xa086_d68c_9cf1_f04c;

/// The outcome of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(tag = "outcome", rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Outcome {
    /// Nothing is wrong. The figure says how much was compared.
    Passed {
        /// A count or a statistic with its bound.
        figure: String,
    },
    /// The device computed something wrong.
    Failed {
        /// The result that the contract requires, and its element.
        expected: String,
        /// The device's result.
        got: String,
    },
    /// The device lacks the feature that would have been compared.
    NotApplicable {
        /// The missing feature.
        reason: String,
    },
}

/// One check of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Check {
    /// A name in [`CHECKS`], as in the release that made the report.
    pub name: Cow<'static, str>,
    /// Its outcome.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub outcome: Outcome,
}

/// The result of [`audit`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct AuditReport {
    /// A check for each of [`CHECKS`].
    pub checks: Vec<Check>,
    /// FNV-1a over a fixed set of masks that the device made: [`MASK_HASH`] on every right device.
    /// `None` if it could not make them.
    pub mask_hash: Option<u64>,
    /// The options of the run: [`audit_with`] does the same again.
    pub options: AuditOptions,
}

impl Check {
    /// Makes a check of this name and outcome.
    pub fn new(name: impl Into<Cow<'static, str>>, outcome: Outcome) -> Self {
        let name = name.into();
        Self { name, outcome }
    }
}

impl AuditReport {
    /// Makes a report of these checks, as [`audit`] does.
    pub fn new(checks: Vec<Check>, mask_hash: Option<u64>) -> Self {
        Self {
            checks,
            mask_hash,
            options: AuditOptions::default(),
        }
    }

    /// Returns true if no check failed and the mask hash is right.
    pub fn passed(&self) -> bool {
        let failed = |check: &Check| matches!(check.outcome, Outcome::Failed { .. });
        self.mask_hash == Some(MASK_HASH) && !self.checks.iter().any(failed)
    }
}

impl fmt::Display for AuditReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Check { name, outcome } in &self.checks {
            match outcome {
                Outcome::Passed { figure } => writeln!(f, "passed  {name}: {figure}")?,
                Outcome::Failed { expected, got } => {
                    writeln!(f, "FAILED  {name}: expected {expected}; got {got}")?;
                }
                Outcome::NotApplicable { reason } => writeln!(f, "n/a     {name}: {reason}")?,
            }
        }
        match self.mask_hash {
            Some(MASK_HASH) => write!(f, "passed  mask hash: {MASK_HASH:016x}"),
            Some(hash) => write!(
                f,
                "FAILED  mask hash: expected {MASK_HASH:016x}; got {hash:016x}"
            ),
            None => write!(f, "FAILED  mask hash: expected {MASK_HASH:016x}; got none"),
        }
    }
}

/// The scope and the seed of [`audit_with`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct AuditOptions {
    /// True to dispatch every kernel that the device can dispatch, and to bind the largest range
    /// that it can bind. The audit then takes minutes instead of seconds, on a software adapter
    /// more than 25.
    pub long: bool,
    /// The seed of keys, lengths, layouts and values. The same seed gives the same audit.
    pub seed: u64,
}

impl Default for AuditOptions {
    /// The options of [`audit`].
    fn default() -> Self {
        Self {
            long: false,
            seed: 42,
        }
    }
}

impl AuditOptions {
    /// A long audit. Choose `seed` at random, so that audits differ.
    pub fn long(seed: u64) -> Self {
        Self { long: true, seed }
    }

    /// The same options with another seed.
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }
}

/// Runs every check on `device` and calls `progress` after each.
///
/// On native targets it blocks until the device is done. Buffers take up to 400 MB on the device,
/// and as much on the host. If the device reports an error, the current check fails with it.
pub async fn audit(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    progress: impl FnMut(&Check),
) -> AuditReport {
    audit_with(device, queue, &AuditOptions::default(), progress).await
}

/// Runs [`audit`] with `options`.
pub async fn audit_with(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    options: &AuditOptions,
    mut progress: impl FnMut(&Check),
) -> AuditReport {
    run(device, queue, options, |check| {
        progress(check);
        ControlFlow::Continue(())
    })
    .await
}

/// Runs the checks until `progress` breaks.
async fn run(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    options: &AuditOptions,
    mut progress: impl FnMut(&Check) -> ControlFlow<()>,
) -> AuditReport {
    let audit = Audit::new(Gpu::new(device, queue), *options);
    let mut checks = Vec::with_capacity(CHECKS.len());
    for info in CHECKS {
        let outcome = match info.what {
            What::KnownAnswers => audit.known_answers().await,
            What::ContractVectors => audit.contract_vectors().await,
            What::Kernels(group) => audit.kernels(group).await,
            What::Columns => audit.columns().await,
            What::Activations => audit.activations().await,
            What::Norms => audit.norms().await,
            What::Softmaxes => audit.softmaxes().await,
            What::Functions => audit.functions().await,
            What::OnePass => audit.one_pass().await,
            What::FullSize => audit.full_size().await,
            What::KeepRate => audit.keep_rate().await,
            What::Correlation => audit.correlation().await,
        };
        let check = Check::new(info.name, outcome.unwrap_or_else(|failure| failure.0));
        let flow = progress(&check);
        checks.push(check);
        if flow.is_break() {
            break;
        }
    }
    AuditReport {
        checks,
        mask_hash: audit.mask_hash().await.ok(),
        options: *options,
    }
}

/// The outcome of a check that ends early.
#[derive(Debug)]
struct Failure(Outcome);

impl Failure {
    fn new(expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self(Outcome::Failed {
            expected: expected.into(),
            got: got.into(),
        })
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new("the device to finish", error.to_string())
    }
}
