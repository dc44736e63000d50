//! Sees to it that there is a wgpu adapter, or another program, installing Debian's packages where apt
//! can: for an adapter Mesa's software drivers.

use std::process::{Command, Stdio};

use crate::Result;
use crate::command::{cargo, command_line, line, run};
use crate::programs::on_path;

/// The backends of wgpu, as the command line's `adapters` names them.
const BACKENDS: [&str; 4] = ["vulkan", "gl", "metal", "dx12"];

const MESA_VULKAN: [&str; 2] = ["mesa-vulkan-drivers", "libvulkan1"];
const MESA_GL: [&str; 3] = ["libegl1", "libgl1-mesa-dri", "libegl-mesa0"];

const ELSEWHERE: &str = "\
wgpu needs a driver for Vulkan or OpenGL (Linux), Metal (macOS) or Direct3D 12 (Windows).
A software one will do: Mesa's lavapipe on Linux (package mesa-vulkan-drivers or vulkan-swrast), WARP on Windows.";

const MPI_ELSEWHERE: &str = "\
The training in mpi/ needs mpicc and mpirun of Open MPI or MPICH, and libclang: packages open-mpi and llvm of
Homebrew, openmpi-devel and clang-devel of Fedora, openmpi and clang of Arch.";

/// The adapters that must be there.
#[derive(Clone, Copy, Debug)]
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

    fn is_met_by(self, backends: &[&str]) -> bool {
        match self {
            Self::Any => !backends.is_empty(),
            Self::VulkanAndGl => ["vulkan", "gl"].iter().all(|b| backends.contains(b)),
        }
    }

    fn packages(self) -> Vec<&'static str> {
        match self {
            Self::Any => MESA_VULKAN.to_vec(),
            Self::VulkanAndGl => [&MESA_VULKAN[..], &MESA_GL[..]].concat(),
        }
    }
}

/// Which build of the command line looks for adapters: the one that is needed afterwards anyway.
#[derive(Clone, Copy, Debug)]
pub enum Profile {
    /// As `cargo test` builds it.
    Dev,
    /// As `bench` runs it.
    Release,
}

/// Looks for adapters, installs software ones if they are missing and `install` allows it, and looks
/// again. The error says what is missing and what to do.
pub fn ensure(need: Need, profile: Profile, install: bool) -> Result {
    if need.is_met_by(&look(profile)?) {
        return Ok(());
    }
    let missing = match need {
        Need::Any => "there is no wgpu adapter",
        Need::VulkanAndGl => "there is not both a Vulkan and an OpenGL adapter",
    };
    if !has_apt() {
        return Err(format!("{missing}.\n{ELSEWHERE}").into());
    }
    apt_install(missing, &need.packages(), install)?;
    if need.is_met_by(&look(profile)?) {
        Ok(())
    } else {
        Err(format!("{missing}, not even after installing Mesa's.\n{ELSEWHERE}").into())
    }
}

/// Sees to it that Debian's programs are there, whose packages have their names.
pub fn ensure_programs(names: &[&str], install: bool) -> Result {
    let is_missing = |name: &&str| {
        let mut found = Command::new("sh");
        found.args(["-c", "command -v \"$0\" > /dev/null", name]);
        !found.status().is_ok_and(|status| status.success())
    };
    let missing: Vec<_> = names.iter().copied().filter(is_missing).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!("there is no {}", missing.join(" and no "));
    apt_install(&message, &missing, install)
}

/// Sees to it that there are an MPI and what the crate `mpi` reads its header with.
pub fn ensure_mpi(install: bool) -> Result {
    let mut missing = Vec::new();
    if on_path("mpicc").is_none() {
        missing.push("libopenmpi-dev");
    }
    if on_path("mpirun").is_none() {
        missing.push("openmpi-bin");
    }
    if !has_libclang() {
        missing.push("libclang-dev");
    }
    if missing.is_empty() {
        return Ok(());
    }
    if !has_apt() {
        return Err(format!("there is no MPI or no libclang.\n{MPI_ELSEWHERE}").into());
    }
    apt_install("there is no MPI or no libclang", &missing, install)
}

/// Elsewhere than on Debian bindgen says itself what it lacks.
fn has_libclang() -> bool {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat=${db:Status-Status}", "libclang-dev"]);
    query
        .output()
        .map_or(true, |query| query.stdout == b"installed")
}

/// Installs packages, or says which commands would.
pub fn apt_install(missing: &str, packages: &[&str], install: bool) -> Result {
    if !has_apt() {
        return Err(format!("{missing}, and no apt-get to install it with").into());
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

/// The backends that have an adapter, by the project's own command line: what it sees is what counts.
fn look(profile: Profile) -> Result<Vec<&'static str>> {
    let mut adapters = match profile {
        Profile::Dev => Command::new(command_line()?),
        // Built apart, so that its progress shows and a compile error is not taken for a missing adapter.
        Profile::Release => {
            run(&mut cargo("build --release --package wgpu-dropout-cli"))?;
            cargo("run --quiet --release --package wgpu-dropout-cli --")
        }
    };
    let output = adapters.arg("adapters").stderr(Stdio::inherit()).output()?;
    let listing = String::from_utf8_lossy(&output.stdout);
    print!("{listing}");
    Ok(backends_in(&listing))
}

/// The backends of the lines `backend/adapter name`.
fn backends_in(listing: &str) -> Vec<&'static str> {
    let has_row = |backend: &&str| {
        listing.lines().any(|row| {
            row.split_once('/')
                .is_some_and(|(word, _)| word == *backend)
        })
    };
    BACKENDS.into_iter().filter(has_row).collect()
}

fn has_apt() -> bool {
    cfg!(target_os = "linux") && Command::new("apt-get").arg("--version").output().is_ok()
}

/// An `apt-get` command, through sudo unless root runs it.
fn apt(args: &[&str]) -> Command {
    let is_root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|id| id.stdout == b"0\n");
    let mut command = if is_root {
        Command::new("apt-get")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.arg("apt-get");
        sudo
    };
    command.args(args);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = "\
vulkan/llvmpipe (LLVM 15.0.6, 256 bits)
  driver      llvmpipe Mesa 22.3.6 (LLVM 15.0.6)

gl/llvmpipe (LLVM 15.0.6, 256 bits)
  driver      4.5 (Core Profile) Mesa 22.3.6

vulkan/llvmpipe (LLVM 15.0.6, 256 bits) would be taken: it is the first by type
";

    #[test]
    fn rows_name_their_backends() {
        assert_eq!(backends_in(LISTING), ["vulkan", "gl"]);
    }

    #[test]
    fn other_lines_name_none() {
        assert!(backends_in("no adapter: install a vulkan/gl driver\nnoop/x\n").is_empty());
    }

    #[test]
    fn one_backend_is_not_both() {
        assert!(Need::Any.is_met_by(&["gl"]));
        assert!(!Need::Any.is_met_by(&[]));
        assert!(Need::VulkanAndGl.is_met_by(&["vulkan", "gl"]));
        assert!(!Need::VulkanAndGl.is_met_by(&["vulkan"]));
    }
}
