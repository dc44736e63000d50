//! The auditor finds each planted fault, and passes a right device.

mod host;
mod texts;

use core::ops::ControlFlow;
use std::collections::HashSet;
use std::env;
use std::sync::{Mutex, PoisonError};

use host::HOST;
use texts::{DEAD, TEXTS};

use super::checks::KERNELS_AT_ONCE;
use super::kernels::{Candidate, Load, candidates, cover, dispatched, in_one_way, is_pair};
use super::random::Random;
use super::work::Run;
use super::*;
use crate::host::faults::{self, Fault};
use crate::kernel::axes::{BlockAccess, F16Conversion, Multiply, ParamsSource, Way};
use crate::plan::cut::CutLimits;
use crate::wgsl::{FunctionsOptions, Variant, functions};

/// A name and the fault.
type Case = (&'static str, Fault);

/// A device of each adapter, with the name of its backend.
pub(super) fn devices() -> Vec<(String, wgpu::Device, wgpu::Queue)> {
    let descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    let instance = wgpu::Instance::new(descriptor);
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    let adapters = adapters
        .into_iter()
        .filter(|adapter| adapter.get_info().backend != wgpu::Backend::Noop);
    let devices = adapters.map(|adapter| {
        let features = wgpu::Features::SHADER_INT64 | wgpu::Features::IMMEDIATES;
        let descriptor = wgpu::DeviceDescriptor {
            required_features: adapter.features() & features,
            required_limits: adapter.limits(),
            ..Default::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).unwrap();
        (adapter.get_info().backend.to_string(), device, queue)
    });
    let devices: Vec<_> = devices.collect();
    assert!(!devices.is_empty() || env::var_os("REQUIRE_GPU").is_none());
    devices
}

fn is_failed(check: &Check) -> bool {
    matches!(check.outcome, Outcome::Failed { .. })
}

/// The first check that finds the fault, and the number of times that the fault took effect.
fn found_by(device: &wgpu::Device, queue: &wgpu::Queue, fault: Fault) -> (Option<String>, usize) {
    let options = AuditOptions::default();
    let work = || {
        pollster::block_on(run(device, queue, &options, |check| {
            if is_failed(check) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }))
    };
    let (report, met) = faults::with(fault, work);
    let found = report
        .checks
        .into_iter()
        .find_map(|check| match check.outcome {
            Outcome::Failed { expected, got } => {
                Some(format!("{} | {expected}; got {got}", check.name))
            }
            _ => None,
        });
    (found, met)
}

/// Held by a test that uses adapters: of two threads on a GL adapter one waits too long for the
/// other.
pub(super) static ADAPTERS: Mutex<()> = Mutex::new(());

/// Plants one fault after the other on each adapter: a sample of them, with FAULTS=all every one,
/// or with FAULTS=part those whose names contain it.
#[test]
fn planted_faults_are_found() {
    const SAMPLE: usize = 16;
    let _alone = ADAPTERS.lock().unwrap_or_else(PoisonError::into_inner);
    let wanted = env::var("FAULTS").unwrap_or_default();
    let mut missed = Vec::new();
    for (adapter, (backend, device, queue)) in devices().iter().enumerate() {
        for (place, (name, fault)) in TEXTS.iter().chain(HOST).enumerate() {
            let is_wanted = match wanted.as_str() {
                "" => place % SAMPLE == adapter % SAMPLE,
                "all" => true,
                part => name.contains(part),
            };
            let by_u64 = name.contains("by u64");
            let has_u64 = device.features().contains(wgpu::Features::SHADER_INT64);
            if !is_wanted || by_u64 && !has_u64 {
                continue;
            }
            let (found, met) = found_by(device, queue, *fault);
            // A fault that never took effect cannot have been found; the audit failed for another
            // reason.
            let found = found.filter(|_| met > 0);
            let by = found.as_deref().unwrap_or("NOBODY");
            println!("| {backend} | {name} | {by} |");
            if found.is_none() {
                missed.push(format!("{backend}: {name}, met {met} times"));
            }
        }
    }
    assert_eq!(missed, [""; 0]);
}

#[test]
fn no_check_passes_a_device_that_stores_nothing_or_zeros() {
    let _alone = ADAPTERS.lock().unwrap_or_else(PoisonError::into_inner);
    for (backend, device, queue) in devices() {
        for (name, fault) in DEAD {
            let audit = || pollster::block_on(audit(&device, &queue, |_| {}));
            let (report, _) = faults::with(fault, audit);
            let passed = report.checks.iter().filter(|check| !is_failed(check));
            let passed: Vec<_> = passed.map(|check| &*check.name).collect();
            assert_eq!(passed, [""; 0], "{backend}: {name}");
            assert_ne!(report.mask_hash, Some(MASK_HASH));
        }
    }
}

fn limits(offset_alignment_bytes: u32) -> CutLimits {
    CutLimits {
        max_binding_bytes: 128 << 20,
        offset_alignment_bytes,
        max_workgroups: 65_535,
    }
}

const WAYS: [Way; 4] = {
    const fn way(multiply: Multiply, params: ParamsSource) -> Way {
        Way {
            multiply,
            params,
            blocks: BlockAccess::Vectors,
            f16: F16Conversion::Integers,
        }
    }
    [
        way(Multiply::U64, ParamsSource::Immediates),
        way(Multiply::U64, ParamsSource::Uniform),
        way(Multiply::Halves, ParamsSource::Immediates),
        way(Multiply::Halves, ParamsSource::Uniform),
    ]
};

type Pair = [(&'static str, String); 2];

fn pairs(candidate: Candidate) -> Vec<Pair> {
    let fields = candidate.fields();
    let all = (0..fields.len()).flat_map(|b| (0..=b).map(move |a| (a, b)));
    let all = all.filter(|&(a, b)| is_pair(fields[a].0, fields[b].0));
    all.map(|(a, b)| [fields[a].clone(), fields[b].clone()])
        .collect()
}

#[test]
fn every_pair_of_values_that_selects_a_kernel_is_dispatched_at_a_rate_between_0_and_1() {
    for (alignment_bytes, ways, seed) in [
        (32, &WAYS[..], 42),
        (256, &WAYS[..], 7),
        (256, &WAYS[2..], 42),
        (64, &WAYS[3..], 1),
    ] {
        let limits = limits(alignment_bytes);
        let possible: HashSet<_> = candidates(ways).flat_map(pairs).collect();
        let covering = cover(candidates(ways).collect(), limits, seed);
        let is_between = |run: &&Run| !run.call.rate.drops_all();
        let runs = covering
            .iter()
            .flat_map(|(_, runs)| runs)
            .filter(is_between);
        let had: HashSet<_> = runs
            .flat_map(|run| dispatched(run, limits))
            .flat_map(pairs)
            .collect();
        let missing: Vec<_> = possible.difference(&had).collect();
        assert!(missing.is_empty(), "{missing:?}");
        let all: HashSet<_> = candidates(ways).map(|one| (one.kernel, one.way)).collect();
        let runs = covering.iter().flat_map(|(_, runs)| runs);
        let some: HashSet<_> = runs
            .flat_map(|run| dispatched(run, limits))
            .map(|one| (one.kernel, one.way))
            .collect();
        println!(
            "{} of {} texts have all of {} pairs, by {} kernels chosen",
            some.len(),
            all.len(),
            possible.len(),
            covering.len()
        );
        let unknown: Vec<_> = had.difference(&possible).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}

#[test]
fn a_long_audit_dispatches_every_kernel_that_a_tensor_has() {
    let limits = limits(256);
    for candidate in candidates(&WAYS[3..]) {
        let runs = candidate.runs(Load::Light, limits, 5);
        let has = |run: &Run| dispatched(run, limits).any(|other| other.kernel == candidate.kernel);
        assert!(runs.iter().any(has), "{candidate:?}");
    }
}

#[test]
fn a_long_audit_compiles_each_kernel_once() {
    let (limits, random) = (limits(32), &mut Random::new(7, 2));
    let all = in_one_way(candidates(&WAYS).collect(), random);
    let kernels: HashSet<_> = candidates(&WAYS).map(|one| one.kernel).collect();
    assert_eq!(all.len(), kernels.len());
    let parts = all.chunks(KERNELS_AT_ONCE);
    // A kernel by words and the one by vectors that its tensors also dispatch may be in two parts.
    let most = all.len() + parts.len();
    let compiled = parts.map(|part| {
        let runs: Vec<_> = part
            .iter()
            .flat_map(|candidate| candidate.runs(Load::Light, limits, random.next()))
            .collect();
        let texts = runs
            .iter()
            .flat_map(|run| dispatched(run, limits))
            .map(|one| (one.kernel, one.way));
        texts.collect::<HashSet<_>>().len()
    });
    let compiled: usize = compiled.sum();
    assert!(compiled <= most, "{compiled} of {} kernels", all.len());
}

#[test]
fn every_planted_text_is_in_a_kernel_that_a_device_runs() {
    let mut texts: Vec<_> = TEXTS
        .iter()
        .filter_map(|(name, fault)| match fault {
            Fault::Text { from, to, of } => Some((name, from, to, of)),
            _ => None,
        })
        .collect();
    for variant in Variant::all() {
        for way in WAYS
            .iter()
            .filter(|way| variant.ways().any(|other| other == **way))
        {
            let text = variant.text(*way);
            texts.retain(|(_, from, to, of)| {
                let changes = of(variant.kernel) && text.contains(*from);
                assert!(!changes || text.replace(*from, to) != text);
                !changes
            });
        }
    }
    let names: Vec<_> = texts.iter().map(|(name, ..)| name).collect();
    assert!(names.is_empty(), "{names:?}");
    let text = functions(&FunctionsOptions::default()).unwrap();
    for (name, fault) in TEXTS {
        if let Fault::Functions { from, .. } = fault {
            assert!(text.contains(from), "{name}");
        }
    }
}

#[test]
fn names_differ() {
    let names: HashSet<_> = TEXTS.iter().chain(HOST).map(|(name, _)| name).collect();
    assert_eq!(names.len(), TEXTS.len() + HOST.len());
}
