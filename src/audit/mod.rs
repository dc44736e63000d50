//! Does this device compute dropout right? The question of a person with a new GPU or driver, and
//! of a training program before it starts.
//!
//! [`audit`] runs every check of [`CHECKS`] on a device: exact ones, against the contract's own
//! numbers and against the [CPU path](crate::cpu), and statistical ones, against what a fair mask
//! must do. It takes some seconds on a software adapter. Keys and cases are fixed, so a right
//! device passes always, with the same figures and the same [mask hash](AuditReport::mask_hash).
//!
//! ```no_run
//! # async fn start(device: &wgpu::Device, queue: &wgpu::Queue) {
//! let report = wgpu_dropout::audit::audit(device, queue, |_| {}).await;
//! assert!(report.passed(), "{report}");
//! # }
//! ```

mod exact;
mod statistics;
mod subject;
mod vectors;

use core::fmt;

use subject::{Gpu, Subject};

/// The checks in the order in which [`audit`] runs them: a name and what it proves.
pub const CHECKS: [(&str, &str); 18] = [
    (
        "known answers",
        "raw Philox blocks of 7 and 10 rounds are Random123's",
    ),
    ("contract vectors", "masks are the contract's golden ones"),
    (
        "counter carry",
        "block counters carry through 128 bits, mask blocks through 61",
    ),
    ("gpu = cpu", "dropout equals the CPU path, bit for bit"),
    ("one mask", "forward, backward and export make one mask"),
    (
        "untouched bytes",
        "nothing outside the bound range is written",
    ),
    (
        "special values",
        "NaN, infinities, -0, p = 0 and p = 1 are as the contract says",
    ),
    (
        "in place",
        "in place and within one buffer equal out of place",
    ),
    (
        "layouts",
        "feature, time-locked, drop path, views and shards equal the CPU path",
    ),
    (
        "kinds",
        "classic and alpha dropout equal the CPU path, alpha's sums within their roundings",
    ),
    ("gaussian", "noise is within its bound of the exact one"),
    (
        "sample ids",
        "samples have the masks of their ids, as on the CPU path",
    ),
    (
        "packed masks",
        "masks from outside decide alone, as on the CPU path",
    ),
    (
        "types",
        "f16 and bf16 equal the CPU path, an odd length's spare half stays",
    ),
    ("multiply", "u64 and 16-bit products give the same bits"),
    ("parameters", "immediates and uniforms give the same bits"),
    ("keep rate", "kept elements are as many as p says"),
    (
        "correlation",
        "masks at lags 1 to 64, of neighbouring seeds and streams, are independent",
    ),
];

/// The [mask hash](AuditReport::mask_hash) of a right device, for version 1 of the contract.
pub const MASK_HASH: u64 = 0xa086_d68c_9cf1_f04c;

/// What became of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Nothing wrong; the figure says how much was looked at.
    Passed {
        /// A count or a statistic with its bound.
        figure: String,
    },
    /// The device is wrong.
    Failed {
        /// What the contract asks for, and where.
        expected: String,
        /// What the device gave.
        got: String,
    },
    /// The device lacks the feature that would have been compared.
    NotApplicable {
        /// Which.
        reason: String,
    },
}

/// One check of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// A name out of [`CHECKS`].
    pub name: &'static str,
    /// What became of it.
    pub outcome: Outcome,
}

/// What [`audit`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditReport {
    /// One for each of [`CHECKS`].
    pub checks: Vec<Check>,
    /// FNV-1a over a fixed set of masks that the device made: [`MASK_HASH`] on every right device.
    /// `None` if it could not make them.
    pub mask_hash: Option<u64>,
}

impl AuditReport {
    /// Whether no check failed and the mask hash is right.
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

/// Runs every check on `device` and calls `progress` after each.
///
/// On native targets it waits for the device; buffers take some megabytes. Errors of the device
/// are failures of the check that met them.
pub async fn audit(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    progress: impl FnMut(&Check),
) -> AuditReport {
    run(&Gpu::new(device, queue), progress).await
}

async fn run(subject: &impl Subject, mut progress: impl FnMut(&Check)) -> AuditReport {
    let mut checks = Vec::with_capacity(CHECKS.len());
    for (name, _) in CHECKS {
        let outcome = match name {
            "known answers" => exact::known_answers(subject).await,
            "contract vectors" => exact::contract_vectors(subject).await,
            "counter carry" => exact::counter_carry(subject).await,
            "gpu = cpu" => exact::gpu_equals_cpu(subject).await,
            "one mask" => exact::one_mask(subject).await,
            "untouched bytes" => exact::untouched_bytes(subject).await,
            "special values" => exact::special_values(subject).await,
            "in place" => exact::in_place(subject).await,
            "layouts" => exact::layouts(subject).await,
            "kinds" => exact::kinds(subject).await,
            "gaussian" => exact::gaussian_noise(subject).await,
            "sample ids" => exact::sample_ids(subject).await,
            "packed masks" => exact::packed_masks(subject).await,
            "types" => exact::types(subject).await,
            "multiply" => exact::variants(subject, wgpu::Features::SHADER_INT64).await,
            "parameters" => exact::variants(subject, wgpu::Features::IMMEDIATES).await,
            "keep rate" => statistics::keep_rate(subject).await,
            "correlation" => statistics::correlation(subject).await,
            _ => Err(Failure::new("a check of this name", "none")),
        };
        let check = Check {
            name,
            outcome: outcome.unwrap_or_else(|failure| failure.0),
        };
        progress(&check);
        checks.push(check);
    }
    AuditReport {
        checks,
        mask_hash: exact::mask_hash(subject).await.ok(),
    }
}

/// How a check ends early.
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
