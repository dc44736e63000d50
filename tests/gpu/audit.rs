//! The library's own audit passes, with and without the features that kernels use.

use wgpu_dropout::audit::{AuditReport, CHECKS, Outcome, audit};

use crate::adapters::Variant;
use crate::case::Case;
use crate::gpu::Gpu;

pub const CASES: &[Case] = &[
    Case::new("passes", |gpu| passes(gpu).map(drop)),
    Case::new(
        "passes_without_features_on_downlevel_limits",
        without_features,
    )
    .on(Variant::Bare),
];

/// Of the mask contract, version 1: another hash is another mask.
const MASK_HASH: u64 = 0xa086_d68c_9cf1_f04c;

fn passes(gpu: &Gpu) -> Result<AuditReport, String> {
    let mut seen = Vec::new();
    let audit = audit(&gpu.device, &gpu.queue, |check| seen.push(check.name));
    let report = pollster::block_on(audit);
    if !report.passed() || report.mask_hash != Some(MASK_HASH) {
        return Err(report.to_string());
    }
    if seen != CHECKS.map(|(name, _)| name) {
        return Err(format!("progress through {seen:?}"));
    }
    Ok(report)
}

fn without_features(gpu: &Gpu) -> Result<(), String> {
    let storage_buffers = gpu.device.limits().max_storage_buffers_per_shader_stage;
    if storage_buffers != 4 {
        return Err(format!(
            "{storage_buffers} storage buffers, downlevel are 4"
        ));
    }
    let report = passes(gpu)?;
    let skipped: Vec<_> = report
        .checks
        .iter()
        .filter(|check| matches!(check.outcome, Outcome::NotApplicable { .. }))
        .map(|check| check.name)
        .collect();
    if skipped != ["multiply", "parameters"] {
        return Err(format!("not applicable without features: {skipped:?}"));
    }
    Ok(())
}
