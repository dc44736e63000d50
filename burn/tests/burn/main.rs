//! Tests the crate on Burn's GPU backend and on its CPU backend. Each case is a trial on each
//! device.
//!
//! The library's CPU path is the oracle. `REQUIRE_GPU` says whether there must be an adapter. If it
//! is unset, trials that lack an adapter count as ignored. If it is set, they fail.

mod checkpointing;
mod errors;
mod forward;
mod fused;
#[cfg(feature = "fusion")]
mod fusion;
mod gradients;
mod independence;
mod layer;
mod learner;
mod log;
mod oracle;
mod patterns;
mod replicas;
mod transformer;

use std::env;

use burn::tensor::Device;
#[cfg(feature = "vulkan")]
use burn::tensor::wgpu::WgpuBackend;
use libtest_mimic::{Arguments, Failed, Trial};

/// Something to prove on a device. Panics are failures.
pub type Case = (&'static str, fn(&Device));

const CASES: &[(&str, &[Case])] = &[
    ("forward", forward::CASES),
    ("gradients", gradients::CASES),
    ("patterns", patterns::CASES),
    ("layer", layer::CASES),
    ("independence", independence::CASES),
    ("replicas", replicas::CASES),
    ("fused", fused::CASES),
    #[cfg(feature = "fusion")]
    ("fusion", fusion::CASES),
    ("transformer", transformer::CASES),
    ("learner", learner::CASES),
    ("checkpointing", checkpointing::CASES),
    ("errors", errors::CASES),
];

/// Cases that crash on SPIR-V in Mesa 22.3's lavapipe, as some of Burn's own reductions do. All
/// these kernels use workgroup memory. On a GPU, `--include-ignored` runs them.
fn needs_workgroup_memory(module: &str, name: &str) -> bool {
    let row_cases = ["softmaxes", "norms", "checkpoints"];
    module == "transformer"
        || module == "fused" && row_cases.contains(&name)
        || name == "behind_a_matrix_product"
}

fn main() {
    let mut arguments = Arguments::from_args();
    // One thread, since a case reads the memory of the pools, which all threads share.
    arguments.test_threads.get_or_insert(1);
    log::install();
    let required = !matches!(env::var("REQUIRE_GPU").as_deref(), Err(_) | Ok("" | "0"));
    let mut devices = vec![("flex", Ok(Device::flex()))];
    // With this feature Burn compiles SPIR-V for Vulkan. For other graphics APIs it compiles WGSL.
    #[cfg(feature = "vulkan")]
    devices.extend([
        (
            "spirv",
            Device::wgpu_options()
                .graphics_api(WgpuBackend::Vulkan)
                .init(),
        ),
        (
            "wgsl",
            Device::wgpu_options().graphics_api(WgpuBackend::Gl).init(),
        ),
    ]);
    #[cfg(not(feature = "vulkan"))]
    devices.push(("wgsl", Device::wgpu_options().init()));
    let devices = devices.into_iter().map(|(name, device)| {
        let device = device.map_err(|error| error.to_string());
        (name, device)
    });
    let devices: Vec<_> = devices.collect();
    #[cfg(feature = "fusion")]
    fusion::prepare(
        devices
            .iter()
            .filter_map(|(_, device)| device.as_ref().ok()),
    );
    let mut trials = Vec::new();
    #[cfg(feature = "fusion")]
    trials.push(Trial::test("fusion::too_late", fusion::too_late));
    for (device_name, device) in devices {
        for &(module, cases) in CASES {
            for &(name, case) in cases {
                let device = device.clone();
                let is_missing = device.is_err();
                let trial = Trial::test(format!("{module}::{name} [{device_name}]"), move || {
                    case(&device.map_err(Failed::from)?);
                    Ok(())
                });
                let crashes = device_name == "spirv" && needs_workgroup_memory(module, name);
                trials.push(trial.with_ignored_flag(crashes || is_missing && !required));
            }
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}
