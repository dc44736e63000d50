//! `hardware`: an archive for one visit to a machine with a GPU, without cargo there: the programs, a Vulkan loader and
//! the script that starts them.

use std::env::consts::ARCH;

use xshell::{Shell, cmd};

use crate::Result;
use crate::command::{release, test_binary};
use crate::debian::{self, With};

/// Writes `target/hardware.tar.gz`.
pub fn run(sh: &Shell) -> Result {
    sh.remove_path("target/hardware")?;
    let folder = sh.create_dir("target/hardware")?;
    let libraries = sh.create_dir(folder.join("loader"))?;
    let [program, tests] = ["wgpu-dropout", "gpu-tests"].map(|name| folder.join(name));
    sh.copy_file(release(sh)?, &program)?;
    let build = "test --workspace --all-features --test gpu --no-run";
    sh.copy_file(test_binary(sh, build, "tests/gpu/main.rs")?, &tests)?;
    cmd!(sh, "strip {program} {tests}").run()?;
    for script in ["benches/hardware.py", "benches/peers.py"] {
        sh.copy_file(script, &folder)?;
    }
    let loader = debian::unpack(sh, debian::FOLDER, "loader", &["libvulkan1"], With::Nothing)?;
    for library in sh.read_dir(loader.join(format!("usr/lib/{ARCH}-linux-gnu")))? {
        if library.is_file() {
            sh.copy_file(library, &libraries)?;
        }
    }
    cmd!(sh, "tar -C target -czf target/hardware.tar.gz hardware").run()?;
    println!(
        "Copy target/hardware.tar.gz to the machine with the GPU, unpack it and start python3 hardware/hardware.py."
    );
    Ok(())
}
