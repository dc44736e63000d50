//! Sees to it that there is a wgpu adapter, or another program, installing Debian's packages where apt can: for an
//! adapter Mesa's software drivers.

use std::path::Path;

use xshell::{Shell, cmd};

use crate::Result;
use crate::command::on_path;

const MESA: &str = "mesa-vulkan-drivers libvulkan1 libegl1 libgl1-mesa-dri libegl-mesa0";
const MPI: &str = "libopenmpi-dev openmpi-bin libclang-dev";

const ELSEWHERE: &str = "\
wgpu needs a driver for Vulkan or OpenGL (Linux), Metal (macOS) or Direct3D 12 (Windows).
A software one will do: Mesa's lavapipe on Linux (package mesa-vulkan-drivers or vulkan-swrast), WARP on Windows.";

const MPI_ELSEWHERE: &str = "\
The training in mpi/ needs mpicc and mpirun of Open MPI or MPICH, and libclang: packages open-mpi and llvm of
Homebrew, openmpi-devel and clang-devel of Fedora, openmpi and clang of Arch.";

/// The backends of this system's software adapters.
pub const SOFTWARE: &[&str] = match cfg!(target_os = "linux") {
    true => &["vulkan", "gl"],
    false => &[],
};

/// Looks for an adapter of each backend, or of any where `backends` has none, by the project's command line: what that
/// sees is what counts. Installs software ones if they are missing and `install` allows it, and looks again. The error
/// says what is missing and what to do.
pub fn ensure(sh: &Shell, backends: &[&str], command_line: &Path, install: bool) -> Result {
    let are_there = || {
        // Without an adapter it fails.
        let listing = cmd!(sh, "{command_line} adapters").read();
        let listing = listing.unwrap_or_default();
        println!("{listing}");
        has(&listing, backends)
    };
    if are_there() {
        return Ok(());
    }
    let missing = match backends {
        [] => "there is no wgpu adapter".to_owned(),
        _ => format!("there is no adapter for each of {}", backends.join(", ")),
    };
    apt_install(sh, &missing, MESA, install, ELSEWHERE)?;
    match are_there() {
        true => Ok(()),
        false => Err(format!("{missing}, not even after installing Mesa's.\n{ELSEWHERE}").into()),
    }
}

/// `listing` has lines of `backend/adapter name`.
fn has(listing: &str, backends: &[&str]) -> bool {
    let lines = listing.lines().filter_map(|line| line.split_once('/'));
    let found: Vec<_> = lines.map(|(backend, _)| backend).collect();
    let mut any = ["vulkan", "gl", "metal", "dx12"].iter();
    any.any(|backend| found.contains(backend)) && backends.iter().all(|one| found.contains(one))
}

/// Sees to it that there are an MPI and what the crate `mpi` reads its header with.
pub fn ensure_mpi(sh: &Shell, install: bool) -> Result {
    let status = "--showformat=${db:Status-Status}";
    let query = cmd!(sh, "dpkg-query --show {status} libclang-dev").ignore_status();
    // Elsewhere than on Debian bindgen says itself what it lacks.
    let has_libclang = query
        .ignore_stderr()
        .read()
        .map_or(true, |status| status == "installed");
    if has_libclang && on_path("mpicc").is_some() && on_path("mpirun").is_some() {
        return Ok(());
    }
    let missing = "there is no MPI or no libclang";
    apt_install(sh, missing, MPI, install, MPI_ELSEWHERE)
}

/// Installs Debian's packages, or says which commands would; without apt the error says what to do `elsewhere`.
pub fn apt_install(
    sh: &Shell,
    missing: &str,
    packages: &str,
    install: bool,
    elsewhere: &str,
) -> Result {
    if !cfg!(target_os = "linux") || on_path("apt-get").is_none() {
        return Err(format!("{missing}, and no apt-get to install it with.\n{elsewhere}").into());
    }
    // Through sudo unless root runs it.
    let is_root = cmd!(sh, "id -u").read().is_ok_and(|id| id == "0");
    let apt = || match is_root {
        true => sh.cmd("apt-get"),
        false => cmd!(sh, "sudo apt-get"),
    };
    let update = apt().arg("update");
    let packages = apt()
        .args(["install", "-y", "--no-install-recommends"])
        .args(packages.split(' '));
    if !install {
        let would = format!("Without --no-install, these would run:\n  {update}\n  {packages}");
        return Err(format!("{missing}. {would}").into());
    }
    update.run()?;
    if packages.run().is_err() {
        apt().args(["-y", "-f", "install"]).run()?;
        packages.run()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_backend_is_not_both() {
        let vulkan = "vulkan/llvmpipe (LLVM 15.0.6, 256 bits)\n  driver  llvmpipe Mesa 22.3.6\n";
        let both = format!("{vulkan}\ngl/llvmpipe (LLVM 15.0.6, 256 bits)\n");
        assert!(has(vulkan, &[]) && !has(vulkan, &["vulkan", "gl"]));
        assert!(has(&both, &["vulkan", "gl"]));
        let none = "no adapter: install a vulkan/gl driver\nnoop/x\n";
        assert!(!has(none, &[]));
    }
}
