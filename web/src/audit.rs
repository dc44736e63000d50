//! The library's audit of the browser's GPU. The page gets each check as it ends.

use js_sys::Function;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wgpu_dropout::audit::{self, CHECKS, MASK_HASH, Outcome};

use crate::gpu::Gpu;

/// A check. After it ran it has its outcome, in the words of `verify --json`.
#[wasm_bindgen(getter_with_clone)]
#[derive(Clone, Debug, Default)]
pub struct Check {
    pub name: String,
    pub proves: String,
    /// `passed`, `failed` or `not_applicable`.
    pub outcome: Option<String>,
    pub figure: Option<String>,
    pub expected: Option<String>,
    pub got: Option<String>,
    pub reason: Option<String>,
}

impl From<&audit::Check> for Check {
    fn from(check: &audit::Check) -> Self {
        let info = CHECKS.iter().find(|info| info.name == check.name);
        let mut row = Self {
            name: check.name.to_string(),
            proves: info.map_or("", |info| info.proves).to_owned(),
            ..Self::default()
        };
        let outcome = match check.outcome.clone() {
            Outcome::Passed { figure } => {
                row.figure = Some(figure);
                "passed"
            }
            Outcome::Failed { expected, got } => {
                (row.expected, row.got) = (Some(expected), Some(got));
                "failed"
            }
            Outcome::NotApplicable { reason } => {
                row.reason = Some(reason);
                "not_applicable"
            }
            _ => "other",
        };
        row.outcome = Some(outcome.to_owned());
        row
    }
}

/// The checks of the audit, in its order.
#[wasm_bindgen]
pub fn checks() -> Vec<Check> {
    let check = |info: &audit::CheckInfo| Check {
        name: info.name.to_owned(),
        proves: info.proves.to_owned(),
        ..Check::default()
    };
    CHECKS.iter().map(check).collect()
}

/// The mask hash that a device must have.
#[wasm_bindgen(js_name = contractHash)]
pub fn contract_hash() -> String {
    hex(MASK_HASH)
}

/// The result of an audit.
#[wasm_bindgen(getter_with_clone)]
#[derive(Debug)]
pub struct Verdict {
    pub passed: bool,
    #[wasm_bindgen(js_name = maskHash)]
    pub mask_hash: Option<String>,
}

#[wasm_bindgen]
impl Gpu {
    /// Runs every check, and calls `progress` with each as it ends.
    pub async fn audit(&self, progress: Function) -> Verdict {
        let report = audit::audit(&self.device, &self.queue, |check| {
            // If the page's function throws, the audit goes on.
            let _ = progress.call1(&JsValue::NULL, &Check::from(check).into());
        })
        .await;
        Verdict {
            passed: report.passed(),
            mask_hash: report.mask_hash.map(hex),
        }
    }
}

fn hex(hash: u64) -> String {
    format!("{hash:016x}")
}
