//! Other people's programs: where they are, and of which version they must be.

use std::env;
use std::path::PathBuf;
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
    fn nothing_is_fetched_unless_it_may_be() {
        let mut command = Command::new("no-such-program");
        let error = fetch("x", command.arg("y"), false).unwrap_err();
        assert!(error.to_string().ends_with("\n  no-such-program y"));
        assert!(on_path("no-such-program").is_none());
    }
}
