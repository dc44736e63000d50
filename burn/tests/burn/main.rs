//! Tests the crate on the backends of Burn that the features enable. Each case is a trial on each
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
#[cfg(all(feature = "remote-server", feature = "remote-websocket"))]
mod remote;
mod replicas;
mod transformer;
mod transformer_masks;

use std::env;
use std::error::Error;

use burn::tensor::Device;
#[cfg(feature = "vulkan")]
use burn::tensor::wgpu::WgpuBackend;
use libtest_mimic::{Arguments, Failed, Trial};

/// A claim that is tested on a device. It fails by a panic.
pub type Case = (&'static str, fn(&Device));

const CASES: &[(&str, &[Case])] = &[
    ("forward", forward::CASES),
    ("gradients", gradients::CASES),
    ("patterns", patterns::CASES),
    ("layer", layer::CASES),
    ("independence", independence::CASES),
    ("replicas", replicas::CASES),
    ("fused", fused::CASES),
    ("fused", fused::elementwise::CASES),
    ("fused", fused::softmax::CASES),
    ("fused", fused::norm::CASES),
    ("fused", fused::layer::CASES),
    #[cfg(feature = "fusion")]
    ("fusion", fusion::CASES),
    ("transformer", transformer::CASES),
    ("transformer", transformer_masks::CASES),
    ("learner", learner::CASES),
    ("checkpointing", checkpointing::CASES),
    ("errors", errors::CASES),
];

/// Cases that fail for a fault that is not this crate's.
fn is_broken_below(device: &str, module: &str, name: &str) -> bool {
    match device {
        // Kernels that use workgroup memory crash Mesa 22.3's lavapipe, as some of Burn's own
        // reductions do. On a GPU, `--include-ignored` runs them.
        "spirv" => {
            let row_cases = [
                "softmaxes",
                "softmaxes_in_16_bits",
                "norms",
                "norms_in_16_bits",
            ];
            let is_fused = row_cases.contains(&name) || name == "checkpoints";
            module == "transformer"
                || module == "fused" && is_fused
                || name == "behind_a_matrix_product"
        }
        // Burn-fusion 0.22.1 sends the flip of a float tensor as that of an integer tensor.
        "remote" => name == "layouts_in_memory",
        _ => false,
    }
}

fn main() {
    let mut arguments = Arguments::from_args();
    // One thread, since a case reads the memory of the pools, which all threads share.
    arguments.test_threads.get_or_insert(1);
    log::install();
    let required = !matches!(env::var("REQUIRE_GPU").as_deref(), Err(_) | Ok("" | "0"));
    let mut devices = vec![("flex", Ok(Device::flex()))];
    // Early, since the session to this device was closed in long runs before its first case.
    #[cfg(all(feature = "remote-server", feature = "remote-websocket"))]
    devices.push(("remote", remote::device()));
    #[cfg(feature = "ndarray")]
    #[expect(deprecated, reason = "Burn deprecates the backend, and still has it")]
    devices.push(("ndarray", Ok(Device::ndarray())));
    // With this feature Burn compiles SPIR-V for Vulkan. For other graphics APIs it compiles WGSL.
    #[cfg(feature = "vulkan")]
    devices.extend([
        (
            "spirv",
            Device::wgpu_options()
                .graphics_api(WgpuBackend::Vulkan)
                .init()
                .map_err(Into::into),
        ),
        (
            "wgsl",
            Device::wgpu_options()
                .graphics_api(WgpuBackend::Gl)
                .init()
                .map_err(Into::into),
        ),
    ]);
    #[cfg(not(feature = "vulkan"))]
    devices.push(("wgsl", Device::wgpu_options().init().map_err(Into::into)));
    let devices = devices.into_iter().map(|(name, device)| {
        let device = device.map_err(|error: Box<dyn Error>| error.to_string());
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
                let is_broken = is_broken_below(device_name, module, name);
                trials.push(trial.with_ignored_flag(is_broken || is_missing && !required));
            }
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}
