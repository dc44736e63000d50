//! Programs that several tasks start. xshell prints each command before it runs, and its failure is an error.

use std::env;
use std::path::{Path, PathBuf};

use xshell::{Cmd, Shell, cmd};

use crate::Result;

/// The packages, features and targets that tests are built with. Another selection would give wgpu other features
/// and compile it again.
const TESTED: &str = "--workspace --all-features --test cli";

/// A shell at the repository's root, which cargo tells by the folder of this package.
pub fn shell() -> Result<Shell> {
    let package = env::var_os("CARGO_MANIFEST_DIR").ok_or("start this as `cargo xtask`")?;
    let sh = Shell::new()?;
    sh.change_dir(Path::new(&package).with_file_name(""));
    Ok(sh)
}

/// Cargo with the words of `args`.
pub fn cargo<'a>(sh: &'a Shell, args: &str) -> Cmd<'a> {
    sh.cmd("cargo").args(args.split_whitespace())
}

/// Builds the project's command line as the tests do, and returns its path.
pub fn command_line(sh: &Shell) -> Result<PathBuf> {
    cargo(sh, &format!("build {TESTED} --bin wgpu-dropout")).run()?;
    Ok(env::current_exe()?.with_file_name("wgpu-dropout"))
}

/// Builds the command line with optimisations, and returns its path.
pub fn release(sh: &Shell) -> Result<PathBuf> {
    cmd!(sh, "cargo build --release --package wgpu-dropout-cli").run()?;
    let name = format!("wgpu-dropout{}", env::consts::EXE_SUFFIX);
    Ok(sh.current_dir().join("target/release").join(name))
}

/// Writes all kernels' texts to a new folder by the command line `program`.
pub fn write_texts(sh: &Shell, program: &Path, folder: &Path) -> Result {
    sh.remove_path(folder)?;
    Ok(cmd!(sh, "{program} wgsl --output-dir {folder}").run()?)
}

/// The path of a test's binary: cargo prints `Executable tests/gpu/main.rs (PATH)`.
pub fn test_binary(sh: &Shell, build: &str, source: &str) -> Result<PathBuf> {
    println!("$ cargo {build}");
    let build = cargo(sh, build).env("CARGO_TERM_COLOR", "never");
    let messages = build.ignore_status().read_stderr()?;
    let path = messages.lines().find_map(|line| {
        let (name, path) = line.trim().strip_prefix("Executable ")?.split_once('(')?;
        name.contains(source).then(|| path.strip_suffix(')'))?
    });
    let path = path.ok_or_else(|| format!("the tests do not build:\n{messages}"))?;
    Ok(sh.current_dir().join(path))
}

/// Builds the examples as the tests do, and returns the folder that they are in.
pub fn examples(sh: &Shell) -> Result<PathBuf> {
    cargo(sh, &format!("build {TESTED} --examples")).run()?;
    Ok(env::current_exe()?.with_file_name("examples"))
}

/// Where a program of this name is.
pub fn on_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// The npm package that `scripts` has its lock file for, beside them.
pub fn npm_package(sh: &Shell, package: &str, scripts: &str, install: bool) -> Result {
    let _folder = sh.push_dir(scripts);
    // A package's script could do anything here, and none of these needs its own.
    let npm = cmd!(sh, "npm ci --ignore-scripts --no-audit --no-fund");
    fetch(sh, format!("node_modules/{package}"), &npm, install)
}

/// Runs what brings `missing` under the checkout, or says that it would.
pub fn fetch(sh: &Shell, missing: impl AsRef<Path>, bring: &Cmd, install: bool) -> Result {
    let missing = missing.as_ref().display().to_string();
    match (sh.path_exists(&missing), install) {
        (true, _) => Ok(()),
        (_, true) => Ok(bring.run()?),
        _ => {
            let would = format!("Without --no-install, this would run:\n  {bring}");
            Err(format!("there is no {missing}. {would}").into())
        }
    }
}
