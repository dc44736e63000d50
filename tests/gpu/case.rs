//! Test cases, and the trials that run each of them on each adapter.

use std::env;
use std::fmt::Display;
use std::sync::Arc;

use libtest_mimic::{Completion, Failed, Trial};

use crate::adapters::{TestAdapter, Variant};
use crate::gpu::Gpu;

/// The body of a case. An error fails the case.
pub type Run = fn(&Gpu) -> Result<(), String>;

/// The text of an error.
pub fn text(error: impl Display) -> String {
    error.to_string()
}

/// Negative control: a comparison with something else must fail.
pub fn must_differ(what: impl Display, result: Result<(), String>) -> Result<(), String> {
    match result {
        Ok(()) => Err(format!("{what} was not noticed")),
        Err(_) => Ok(()),
    }
}

/// The body of a case that opens devices of its own.
type RunOnAdapter = fn(&TestAdapter) -> Result<(), String>;

#[derive(Clone, Copy)]
enum Body {
    Device(Run),
    Adapter(RunOnAdapter),
}

/// Tells which adapters a case is for, and says why another one is skipped.
type AdapterFilter = (fn(&TestAdapter) -> bool, &'static str);

/// A claim that is tested on each adapter.
#[derive(Clone, Copy)]
pub struct Case {
    name: &'static str,
    device: Variant,
    needs: wgpu::Features,
    only: AdapterFilter,
    body: Body,
}

impl Case {
    /// A case on a device with all that the adapter offers.
    pub const fn new(name: &'static str, run: Run) -> Self {
        Self::of(name, Body::Device(run))
    }

    /// A case that opens its own devices.
    pub const fn of_adapter(name: &'static str, run: RunOnAdapter) -> Self {
        Self::of(name, Body::Adapter(run))
    }

    const fn of(name: &'static str, body: Body) -> Self {
        Self {
            name,
            device: Variant::Full,
            needs: wgpu::Features::empty(),
            only: (|_| true, ""),
            body,
        }
    }

    /// This case on another kind of device.
    pub const fn on(self, device: Variant) -> Self {
        Self { device, ..self }
    }

    /// This case on adapters with these features only.
    pub const fn needing(self, needs: wgpu::Features) -> Self {
        Self { needs, ..self }
    }

    /// This case on software adapters only, since its memory limit is the process's.
    #[cfg(target_os = "linux")]
    pub const fn in_software(self) -> Self {
        let only: AdapterFilter = (TestAdapter::is_software, "not a software adapter");
        Self { only, ..self }
    }

    /// This case on Mesa's OpenGL only, since only Mesa can be given another text to compile.
    #[cfg(target_os = "linux")]
    pub const fn on_mesas_gl(self) -> Self {
        let only: AdapterFilter = (
            |adapter| adapter.backend() == "gl" && adapter.driver_info().contains("Mesa"),
            "not Mesa's OpenGL",
        );
        Self { only, ..self }
    }
}

/// A known defect of Mesa. The case must fail with this version of Mesa on adapters whose name
/// contains this text; if it passes, remove the entry. With later versions it may fail or pass.
struct Defect {
    adapter: &'static str,
    mesa: (u32, u32),
    case: &'static str,
    reason: &'static str,
}

const DEFECTS: &[Defect] = &[Defect {
    adapter: "vulkan/llvmpipe",
    mesa: (25, 0),
    case: "failures::memory_that_is_short_is_an_error",
    reason: "Mesa 25.0's lavapipe ends the process when memory is short",
}];

/// The value of `REQUIRE_GPU`.
fn requirement() -> String {
    env::var("REQUIRE_GPU").unwrap_or_default()
}

/// Returns true if `REQUIRE_GPU` names backends.
pub fn requires_backends() -> bool {
    !matches!(requirement().as_str(), "" | "0" | "1")
}

/// The backends of `adapters`, and those that `REQUIRE_GPU` names, each once.
pub fn backends(adapters: &[TestAdapter]) -> Vec<String> {
    let requirement = requirement();
    let required = match requires_backends() {
        true => requirement.as_str(),
        false => "",
    };
    let required = required.split(',').map(str::trim);
    let found = adapters.iter().map(TestAdapter::backend);
    let mut backends = Vec::new();
    for backend in required.chain(found).filter(|name| !name.is_empty()) {
        if !backends.iter().any(|other| other == backend) {
            backends.push(backend.to_owned());
        }
    }
    backends
}

/// One trial for each case and adapter.
pub fn trials(modules: &[(&str, &'static [Case])], adapters: Vec<TestAdapter>) -> Vec<Trial> {
    let missing: Vec<String> = backends(&adapters)
        .into_iter()
        .filter(|backend| adapters.iter().all(|adapter| adapter.backend() != backend))
        .map(|backend| format!("{backend}/missing"))
        .collect();
    let adapters: Vec<_> = adapters.into_iter().map(Arc::new).collect();

    let mut trials = Vec::new();
    for &(module, cases) in modules {
        for case in cases {
            let name = format!("{module}::{}", case.name);
            for adapter in &adapters {
                trials.push(trial(&name, case, adapter));
            }
            for missing in &missing {
                trials.push(Trial::test(format!("{name} [{missing}]"), move || {
                    Err(Failed::from(
                        "REQUIRE_GPU names a backend without an adapter",
                    ))
                }));
            }
            if adapters.is_empty() && missing.is_empty() {
                let required = requirement() == "1";
                let none = Trial::test(format!("{name} [no adapter]"), move || {
                    Err(Failed::from("there is no adapter"))
                });
                trials.push(none.with_ignored_flag(!required));
            }
        }
    }
    trials
}

fn trial(name: &str, case: &'static Case, adapter: &Arc<TestAdapter>) -> Trial {
    let adapter = Arc::clone(adapter);
    let full_name = format!("{name} [{}]", adapter.name());
    let name = name.to_owned();
    Trial::ignorable_test(full_name, move || {
        let lacking = case.needs - adapter.features();
        if !lacking.is_empty() {
            return Ok(Completion::ignored_with(format!("no {lacking}")));
        }
        let (is_for, other) = case.only;
        if !is_for(&adapter) {
            return Ok(Completion::ignored_with(other));
        }
        let result = match case.body {
            Body::Device(run) => adapter
                .gpu(case.device)
                .and_then(|gpu| scoped(gpu, || run(gpu))),
            Body::Adapter(run) => run(&adapter),
        };
        let defect = DEFECTS.iter().find(|defect| {
            defect.case == name
                && adapter.name().contains(defect.adapter)
                && adapter.mesa() >= Some(defect.mesa)
        });
        match (result, defect) {
            (Err(_), Some(defect)) => Ok(Completion::ignored_with(defect.reason)),
            (Ok(()), Some(defect)) if adapter.mesa() == Some(defect.mesa) => {
                Err(format!("passes: remove its known defect, {}", defect.reason).into())
            }
            (Ok(()), _) => Ok(Completion::Completed),
            (Err(failure), None) => Err(failure.into()),
        }
    })
}

/// Runs `run` and turns wgpu's errors into failures. Error scopes see the commands of this thread
/// only.
pub fn scoped(gpu: &Gpu, run: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    let memory = gpu.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
    let internal = gpu.device.push_error_scope(wgpu::ErrorFilter::Internal);
    let validation = gpu.device.push_error_scope(wgpu::ErrorFilter::Validation);
    let result = run();
    let validation = pollster::block_on(validation.pop());
    let internal = pollster::block_on(internal.pop());
    let memory = pollster::block_on(memory.pop());
    match memory.or(internal).or(validation) {
        Some(error) => Err(format!("wgpu reports: {error}; the case: {result:?}")),
        None => result,
    }
}
