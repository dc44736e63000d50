//! Sees to it that there is a wgpu adapter, or another program, installing Debian's packages where apt can: for an
//! adapter Mesa's software drivers.

use std::process::Command;

use crate::Result;
use crate::command::{cargo, command_line, line, on_path, output, run};

const MESA_VULKAN: &[&str] = &["mesa-vulkan-drivers", "libvulkan1"];
const MESA_GL: &[&str] = &["libegl1", "libgl1-mesa-dri", "libegl-mesa0"];

const ELSEWHERE: &str = "\
wgpu needs a driver for Vulkan or OpenGL (Linux), Metal (macOS) or Direct3D 12 (Windows).
A software one will do: Mesa's lavapipe on Linux (package mesa-vulkan-drivers or vulkan-swrast), WARP on Windows.";

const MPI_ELSEWHERE: &str = "\
The training in mpi/ needs mpicc and mpirun of Open MPI or MPICH, and libclang: packages open-mpi and llvm of
Homebrew, openmpi-devel and clang-devel of Fedora, openmpi and clang of Arch.";

/// The adapters that must be there.
#[derive(Clone, Copy)]
pub enum Need {
    /// One adapter of any backend.
    Any,
    /// Both backends that Mesa has software adapters for.
    VulkanAndGl,
}

impl Need {
    /// All that this system has software adapters for.
    pub const SOFTWARE: Self = if cfg!(target_os = "linux") {
        Self::VulkanAndGl
    } else {
        Self::Any
    };

    /// `listing` is what the command line's `adapters` prints: lines of `backend/adapter name`.
    fn is_met_by(self, listing: &str) -> bool {
        let has = |backend: &&str| {
            let mut lines = listing.lines();
            lines.any(|line| {
                line.split_once('/')
                    .is_some_and(|(word, _)| word == *backend)
            })
        };
        match self {
            Self::Any => ["vulkan", "gl", "metal", "dx12"].iter().any(has),
            Self::VulkanAndGl => ["vulkan", "gl"].iter().all(has),
        }
    }
}

/// Which build of the command line looks for adapters: the one that is needed afterwards anyway.
#[derive(Clone, Copy)]
pub enum Profile {
    /// As `cargo test` builds it.
    Dev,
    /// As `bench` runs it.
    Release,
}

/// Looks for adapters, installs software ones if they are missing and `install` allows it, and looks
/// again. The error says what is missing and what to do.
pub fn ensure(need: Need, profile: Profile, install: bool) -> Result {
    if need.is_met_by(&listing(profile)?) {
        return Ok(());
    }
    let (missing, packages) = match need {
        Need::Any => ("there is no wgpu adapter", MESA_VULKAN.to_vec()),
        Need::VulkanAndGl => (
            "there is not both a Vulkan and an OpenGL adapter",
            [MESA_VULKAN, MESA_GL].concat(),
        ),
    };
    apt_install(missing, &packages, install, ELSEWHERE)?;
    match need.is_met_by(&listing(profile)?) {
        true => Ok(()),
        false => Err(format!("{missing}, not even after installing Mesa's.\n{ELSEWHERE}").into()),
    }
}

/// Sees to it that there are an MPI and what the crate `mpi` reads its header with.
pub fn ensure_mpi(install: bool) -> Result {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat=${db:Status-Status}", "libclang-dev"]);
    // Elsewhere than on Debian bindgen says itself what it lacks.
    let has_libclang = query
        .output()
        .map_or(true, |query| query.stdout == b"installed");
    let missing: Vec<_> = [
        ("libopenmpi-dev", on_path("mpicc").is_some()),
        ("openmpi-bin", on_path("mpirun").is_some()),
        ("libclang-dev", has_libclang),
    ]
    .into_iter()
    .filter_map(|(package, is_there)| (!is_there).then_some(package))
    .collect();
    match missing[..] {
        [] => Ok(()),
        _ => apt_install(
            "there is no MPI or no libclang",
            &missing,
            install,
            MPI_ELSEWHERE,
        ),
    }
}

/// Installs Debian's packages, or says which commands would; without apt the error says what to do `elsewhere`.
pub fn apt_install(missing: &str, packages: &[&str], install: bool, elsewhere: &str) -> Result {
    if !cfg!(target_os = "linux") || on_path("apt-get").is_none() {
        return Err(format!("{missing}, and no apt-get to install it with.\n{elsewhere}").into());
    }
    let mut update = apt(&["update"]);
    let mut packages = apt(&[&["install", "-y", "--no-install-recommends"], packages].concat());
    if !install {
        let (update, packages) = (line(&update), line(&packages));
        return Err(format!(
            "{missing}. Without --no-install, these would run:\n  {update}\n  {packages}"
        )
        .into());
    }
    run(&mut update)?;
    if run(&mut packages).is_err() {
        run(&mut apt(&["-y", "-f", "install"]))?;
        run(&mut packages)?;
    }
    Ok(())
}

/// The adapters by the project's own command line: what it sees is what counts. Without one it fails.
fn listing(profile: Profile) -> Result<String> {
    let mut adapters = match profile {
        Profile::Dev => Command::new(command_line()?),
        // Built apart, so that its progress shows and a compile error is not taken for a missing adapter.
        Profile::Release => {
            run(&mut cargo("build --release --package wgpu-dropout-cli"))?;
            cargo("run --quiet --release --package wgpu-dropout-cli --")
        }
    };
    let listing = output(adapters.arg("adapters")).unwrap_or_default();
    print!("{listing}");
    Ok(listing)
}

/// An `apt-get` command, through sudo unless root runs it.
fn apt(args: &[&str]) -> Command {
    let is_root = output(Command::new("id").arg("-u")).is_ok_and(|id| id == "0\n");
    let mut command = Command::new(if is_root { "apt-get" } else { "sudo" });
    if !is_root {
        command.arg("apt-get");
    }
    command.args(args);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_backend_is_not_both() {
        let vulkan = "vulkan/llvmpipe (LLVM 15.0.6, 256 bits)\n  driver  llvmpipe Mesa 22.3.6\n";
        let both = format!("{vulkan}\ngl/llvmpipe (LLVM 15.0.6, 256 bits)\n");
        assert!(Need::Any.is_met_by(vulkan) && !Need::VulkanAndGl.is_met_by(vulkan));
        assert!(Need::VulkanAndGl.is_met_by(&both));
        assert!(!Need::Any.is_met_by("no adapter: install a vulkan/gl driver\nnoop/x\n"));
    }
}
