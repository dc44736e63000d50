//! Other people's programs: where they are, and of which version they must be.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::command::{line, run};

/// Where a program of this name is.
pub fn on_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// The version of a package in a Cargo.lock.
pub fn locked<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let name = format!("name = \"{package}\"\nversion = \"");
    let (_, rest) = lock.split_once(&name)?;
    Some(rest.split_once('"')?.0)
}

/// Returns true if a program says that it is of this version, alone or behind its name.
pub fn has_version(program: &Path, version: &str) -> bool {
    let output = Command::new(program).arg("--version").output();
    output.is_ok_and(|output| is_version(&String::from_utf8_lossy(&output.stdout), version))
}

fn is_version(said: &str, version: &str) -> bool {
    said.split_whitespace().last() == Some(version)
}

/// The npm package that `scripts` has its lock file for, beside them.
pub fn npm_package(package: &str, scripts: &Path, install: bool) -> Result {
    if scripts.join("node_modules").join(package).exists() {
        return Ok(());
    }
    let mut npm = Command::new("npm");
    // A package's script could do anything here, and neither of the two needs its own.
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(scripts);
    let missing = format!("{package} in {}", scripts.display());
    fetch(&missing, &mut npm, install)
}

/// Runs what brings `missing` under the checkout, or says that it would.
pub fn fetch(missing: &str, command: &mut Command, install: bool) -> Result {
    if install {
        run(command)
    } else {
        let line = line(command);
        Err(
            format!("there is no {missing}. Without --no-install, this would run:\n  {line}")
                .into(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_tells_a_version() {
        let lock = "[[package]]\nname = \"naga-types\"\nversion = \"1.0.0\"\n\n[[package]]\nname = \"naga\"\nversion = \"30.0.1\"\n";
        assert_eq!(locked(lock, "naga"), Some("30.0.1"));
        assert_eq!(locked(lock, "wgpu"), None);
    }

    #[test]
    fn a_version_is_the_last_word() {
        assert!(is_version("30.0.1\n", "30.0.1"));
        assert!(is_version("wasm-bindgen 0.2.130\n", "0.2.130"));
        assert!(!is_version("wasm-bindgen 0.2.130\n", "0.2.13"));
        assert!(!has_version(Path::new("no-such-program"), "1.0.0"));
    }

    #[test]
    fn nothing_is_fetched_unless_it_may_be() {
        let mut command = Command::new("no-such-program");
        let error = fetch("x", command.arg("y"), false).unwrap_err();
        assert!(error.to_string().ends_with("\n  no-such-program y"));
        assert!(on_path("no-such-program").is_none());
    }
}
