//! `hardware`: an archive for one visit to a machine with a GPU, without cargo there: the programs, a Vulkan loader and
//! the script that starts them.

use std::fs;
use std::process::Command;

use crate::Result;
use crate::command::{cargo, release, root, run as run_command, test_binary};
use crate::debian::{self, With};

/// Debian's folder of libraries for this processor.
const LIBRARIES: &str = match cfg!(target_arch = "aarch64") {
    true => "usr/lib/aarch64-linux-gnu",
    false => "usr/lib/x86_64-linux-gnu",
};

/// Writes `target/hardware.tar.gz`.
pub fn run() -> Result {
    let root = root()?;
    let folder = root.join("target/hardware");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("loader"))?;
    let program = folder.join("wgpu-dropout");
    fs::copy(release()?, &program)?;
    let tests = folder.join("gpu-tests");
    let mut build = cargo("test --workspace --all-features --test gpu --no-run");
    fs::copy(test_binary(&mut build, "tests/gpu/main.rs")?, &tests)?;
    run_command(Command::new("strip").args([&program, &tests]))?;
    for script in ["hardware.py", "peers.py"] {
        fs::copy(root.join("benches").join(script), folder.join(script))?;
    }
    let parent = root.join(debian::FOLDER);
    let loader = debian::unpack(&parent, "loader", &["libvulkan1"], With::Nothing)?;
    for entry in fs::read_dir(loader.join(LIBRARIES))? {
        let library = entry?.path();
        if library.is_file() {
            let name = library.file_name().ok_or("a library without a name")?;
            fs::copy(&library, folder.join("loader").join(name))?;
        }
    }
    let mut tar = Command::new("tar");
    tar.current_dir(root.join("target"));
    run_command(tar.args(["-czf", "hardware.tar.gz", "hardware"]))?;
    println!(
        "Copy target/hardware.tar.gz to the machine with the GPU, unpack it and start python3 hardware/hardware.py."
    );
    Ok(())
}
