//! The crate on Burn's GPU backend and on its CPU backend, one trial each.
//!
//! The library's CPU path is the oracle. `REQUIRE_GPU` says whether there must be an adapter: unset,
//! the trials of a machine without one count as ignored; else they fail.

mod checkpointing;
mod errors;
mod forward;
mod gradients;
mod independence;
mod layer;
mod learner;
mod log;
mod oracle;
mod patterns;
mod replicas;

use std::env;

use burn::tensor::Device;
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
    ("learner", learner::CASES),
    ("checkpointing", checkpointing::CASES),
    ("errors", errors::CASES),
];

fn main() {
    let mut arguments = Arguments::from_args();
    // One: a case reads the account of the pools, which all threads share.
    arguments.test_threads.get_or_insert(1);
    log::install();
    let gpu = Device::wgpu_options();
    // Vulkan would be SPIR-V.
    #[cfg(feature = "vulkan")]
    let gpu = gpu.graphics_api(burn::tensor::wgpu::WgpuBackend::Gl);
    let gpu = gpu.init();
    let required = !matches!(env::var("REQUIRE_GPU").as_deref(), Err(_) | Ok("" | "0"));
    let mut trials = Vec::new();
    for &(module, cases) in CASES {
        for &(name, case) in cases {
            let on = |device: &str| format!("{module}::{name} [{device}]");
            trials.push(Trial::test(on("flex"), move || {
                case(&Device::flex());
                Ok(())
            }));
            trials.push(match &gpu {
                Ok(device) => {
                    let device = device.clone();
                    Trial::test(on("wgpu"), move || {
                        case(&device);
                        Ok(())
                    })
                }
                Err(error) => {
                    let error = error.to_string();
                    Trial::test(on("wgpu"), move || Err(Failed::from(error)))
                        .with_ignored_flag(!required)
                }
            });
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}
