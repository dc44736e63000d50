//! Starting other programs: each is printed before it runs, and its failure is an error.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;

/// The cargo that started this program, so that its toolchain stays in use, with the words of `args`.
pub fn cargo(args: &str) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args.split_whitespace());
    command
}

/// The packages, features and targets that tests are built with. Another selection would give wgpu other features
/// and compile it again.
const TESTED: &str = "--workspace --all-features --test cli";

/// Builds the project's command line as the tests do, and returns its path.
pub fn command_line() -> Result<PathBuf> {
    run(&mut cargo(&format!("build {TESTED} --bin wgpu-dropout")))?;
    Ok(env::current_exe()?.with_file_name("wgpu-dropout"))
}

/// Builds the examples as the tests do, and returns the folder that they are in.
pub fn examples() -> Result<PathBuf> {
    run(&mut cargo(&format!("build {TESTED} --examples")))?;
    Ok(env::current_exe()?.with_file_name("examples"))
}

/// The repository's root, which cargo tells by the folder of this package.
pub fn root() -> Result<PathBuf> {
    let package = env::var_os("CARGO_MANIFEST_DIR").ok_or("start this as `cargo xtask`")?;
    let root = Path::new(&package)
        .parent()
        .ok_or("xtask has no parent folder")?;
    Ok(root.to_owned())
}

/// Prints the command, runs it and waits for it.
pub fn run(command: &mut Command) -> Result {
    announce(command);
    let line = line(command);
    let status = command
        .status()
        .map_err(|error| format!("cannot start `{line}`: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{line}` failed: {status}").into())
    }
}

/// Prints the command as a shell would take it.
pub fn announce(command: &Command) {
    println!("$ {}", line(command));
}

/// The command as a shell would take it, the program without its folder.
pub fn line(command: &Command) -> String {
    let variables = command
        .get_envs()
        .filter_map(|(name, value)| Some(format!("{}={}", name.display(), quoted(value?))));
    let program = Path::new(command.get_program());
    let program = program.file_stem().unwrap_or(program.as_os_str());
    variables
        .chain([quoted(program)])
        .chain(command.get_args().map(quoted))
        .collect::<Vec<_>>()
        .join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    if word.is_empty() || word.contains(char::is_whitespace) {
        format!("'{word}'")
    } else {
        word.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    #[test]
    fn a_line_has_variables_and_quotes_but_no_folder() {
        let mut command = Command::new("/a/b/cargo");
        command
            .args(["doc", "two words"])
            .env("FLAGS", "-D warnings");
        assert_eq!(line(&command), "FLAGS='-D warnings' cargo doc 'two words'");
    }

    #[test]
    fn a_failing_program_is_an_error() {
        assert!(run(cargo("--version").stdout(Stdio::null())).is_ok());
        assert!(run(cargo("no-such-command").stderr(Stdio::null())).is_err());
        assert!(run(&mut Command::new("no-such-program")).is_err());
    }
}
