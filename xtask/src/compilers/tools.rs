//! Finds the compilers, or brings them under the target folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::adapters::{self, Need, Profile};
use crate::command::{cargo, run};
use crate::debian::Apt;
use crate::matrix::FOLDER;
use crate::matrix::stacks::SWIFTSHADER;
use crate::programs::{fetch, has_version, locked, npm_package, on_path};

/// The examples in other languages.
pub const HOSTS: &str = "examples/hosts";

/// Where to find each.
pub struct Tools {
    pub naga: PathBuf,
    /// The version of wgpu's naga.
    pub naga_version: String,
    pub spirv_val: PathBuf,
    pub glslang: PathBuf,
    /// The scripts for Dawn, and Dawn.
    pub dawn: PathBuf,
    /// Python with the packages of the example in it.
    pub python: PathBuf,
    /// How the Vulkan loader finds a driver that Dawn takes.
    pub swiftshader: Option<[(&'static str, PathBuf); 2]>,
}

impl Tools {
    /// Finds the tools, and builds those that must be built in `folder`.
    pub fn find(root: &Path, folder: &Path, install: bool) -> Result<Self> {
        // The Python hosts need an adapter.
        adapters::ensure(Need::Any, Profile::Dev, install)?;
        let lock = fs::read_to_string(root.join("Cargo.lock"))?;
        let naga_version = locked(&lock, "naga").ok_or("Cargo.lock has no naga")?;
        let naga = naga(folder, naga_version, install)?;
        let dawn = root.join("xtask/dawn");
        npm_package("webgpu", &dawn, install)?;
        let hosts = root.join(HOSTS);
        npm_package("webgpu", &hosts, install)?;
        // Only on Debian.
        let apt = install.then(|| Apt::new(&root.join(FOLDER)));
        let apt = apt.as_ref().and_then(|apt| apt.as_ref().ok());
        let debian = |program, package| debian(root, apt, program, package, install);
        Ok(Self {
            naga,
            naga_version: naga_version.to_owned(),
            spirv_val: debian("spirv-val", "spirv-tools")?,
            glslang: debian("glslangValidator", "glslang-tools")?,
            dawn,
            python: python(folder, &hosts, install)?,
            swiftshader: apt.and_then(|apt| SWIFTSHADER.unpack(apt).ok()),
        })
    }
}

/// A program of one of Debian's packages: the system's, or unpacked on Debian, or installed.
fn debian(
    root: &Path,
    apt: Option<&Apt>,
    program: &str,
    package: &str,
    install: bool,
) -> Result<PathBuf> {
    let unpacked = root
        .join(FOLDER)
        .join(package)
        .join("usr/bin")
        .join(program);
    let is_there = || on_path(program).or(unpacked.exists().then(|| unpacked.clone()));
    if let Some(path) = is_there() {
        return Ok(path);
    }
    let missing = format!("there is no {program}");
    match apt {
        Some(apt) => drop(apt.unpack(package, &[package])?),
        None => adapters::apt_install(&missing, &[package], install)?,
    }
    is_there().ok_or_else(|| format!("{missing} in Debian's {package}").into())
}

/// naga's command line, of the version that wgpu has.
fn naga(folder: &Path, version: &str, install: bool) -> Result<PathBuf> {
    let built = folder.join("bin/naga");
    let mut known = on_path("naga").into_iter().chain([built.clone()]);
    if let Some(naga) = known.find(|naga| has_version(naga, version)) {
        return Ok(naga);
    }
    let mut command = cargo("install naga-cli --locked --version");
    command.arg(version).arg("--root").arg(folder);
    fetch(&format!("naga {version}"), &mut command, install)?;
    Ok(built)
}

/// A virtual environment with what `hosts` asks for.
fn python(folder: &Path, hosts: &Path, install: bool) -> Result<PathBuf> {
    let environment = folder.join("python");
    let python = environment.join("bin/python");
    let mut create = Command::new("python3");
    create.args(["-m", "venv"]).arg(environment);
    if !python.exists() {
        fetch("virtual environment of Python", &mut create, install)?;
    }
    let mut packages = Command::new(&python);
    packages.args(["-m", "pip", "install", "--quiet", "--require-hashes", "-r"]);
    packages.arg(hosts.join("requirements.txt"));
    // Packages that are there already are not fetched.
    if install {
        run(&mut packages)?;
    }
    Ok(python)
}
