//! The library's own audit passes, with and without the features that kernels use.

use wgpu_dropout::audit::{CHECKS, Check, Outcome, audit};

use crate::adapters::Variant;
use crate::case::Case;
use crate::gpu::Gpu;

pub const CASES: &[Case] = &[
    Case::new("passes", passes),
    Case::new(
        "passes_without_features_on_downlevel_limits",
        without_features,
    )
    .on(Variant::Bare),
];

/// The mask hash of contract version 1. Another hash would mean other masks.
const MASK_HASH: u64 = 0xa086_d68c_9cf1_f04c;

fn passes(gpu: &Gpu) -> Result<(), String> {
    let mut seen = Vec::new();
    let audit = audit(&gpu.device, &gpu.queue, |check| {
        seen.push(check.name.clone());
    });
    let report = pollster::block_on(audit);
    if !report.passed() || report.mask_hash != Some(MASK_HASH) {
        return Err(report.to_string());
    }
    if !seen.iter().eq(CHECKS.iter().map(|check| &check.name)) {
        return Err(format!("progress through {seen:?}"));
    }
    let passed = |check: &Check| matches!(check.outcome, Outcome::Passed { .. });
    match report.checks.iter().find(|check| !passed(check)) {
        Some(check) => Err(format!("{}: {:?}", check.name, check.outcome)),
        None => Ok(()),
    }
}

fn without_features(gpu: &Gpu) -> Result<(), String> {
    let storage_buffers = gpu.device.limits().max_storage_buffers_per_shader_stage;
    if storage_buffers != 4 {
        return Err(format!(
            "{storage_buffers} storage buffers, downlevel are 4"
        ));
    }
    passes(gpu)
}
