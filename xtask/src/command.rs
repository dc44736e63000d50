//! Starting other programs: each is printed before it runs, and its failure is an error.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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

/// Builds the command line with optimisations, and returns its path.
pub fn release() -> Result<PathBuf> {
    run(&mut cargo("build --release --package wgpu-dropout-cli"))?;
    let name = format!("wgpu-dropout{}", env::consts::EXE_SUFFIX);
    Ok(root()?.join("target/release").join(name))
}

/// The path of a test's binary: cargo prints `Executable tests/gpu/main.rs (PATH)`.
pub fn test_binary(build: &mut Command, source: &str) -> Result<PathBuf> {
    announce(build.env("CARGO_TERM_COLOR", "never"));
    let built = build.output()?;
    let messages = String::from_utf8_lossy(&built.stderr);
    let path = messages.lines().find_map(|line| {
        let (name, path) = line.trim().strip_prefix("Executable ")?.split_once('(')?;
        name.contains(source).then(|| path.strip_suffix(')'))?
    });
    let path = path.ok_or_else(|| format!("the tests do not build:\n{messages}"))?;
    let folder = build.get_current_dir().unwrap_or(Path::new(""));
    Ok(folder.join(path))
}

/// Builds the examples as the tests do, and returns the folder that they are in.
pub fn examples() -> Result<PathBuf> {
    run(&mut cargo(&format!("build {TESTED} --examples")))?;
    Ok(env::current_exe()?.with_file_name("examples"))
}

/// The repository's root, which cargo tells by the folder of this package.
pub fn root() -> Result<PathBuf> {
    let package = env::var_os("CARGO_MANIFEST_DIR").ok_or("start this as `cargo xtask`")?;
    let root = Path::new(&package).parent();
    Ok(root.ok_or("xtask has no parent folder")?.to_owned())
}

/// Prints the command, runs it and waits for it.
pub fn run(command: &mut Command) -> Result {
    announce(command);
    let line = line(command);
    let status = command
        .status()
        .map_err(|error| format!("cannot start `{line}`: {error}"))?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("`{line}` failed: {status}").into()),
    }
}

/// The command's standard output.
pub fn output(command: &mut Command) -> Result<String> {
    let line = line(command);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot start `{line}`: {error}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout)?),
        false => Err(format!("`{line}` failed: {}", output.status).into()),
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
    let words = [quoted(program)];
    let words = words.into_iter().chain(command.get_args().map(quoted));
    variables.chain(words).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    match word.is_empty() || word.contains(char::is_whitespace) {
        true => format!("'{word}'"),
        false => word.into_owned(),
    }
}

/// Where a program of this name is.
pub fn on_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// The npm package that `scripts` has its lock file for, beside them.
pub fn npm_package(package: &str, scripts: &Path, install: bool) -> Result {
    let mut npm = Command::new("npm");
    // A package's script could do anything here, and none of these needs its own.
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(scripts);
    fetch(
        &scripts.join("node_modules").join(package),
        &mut npm,
        install,
    )
}

/// Runs what brings `missing` under the checkout, or says that it would.
pub fn fetch(missing: &Path, command: &mut Command, install: bool) -> Result {
    if missing.exists() {
        Ok(())
    } else if install {
        run(command)
    } else {
        let (missing, line) = (missing.display(), line(command));
        Err(
            format!("there is no {missing}. Without --no-install, this would run:\n  {line}")
                .into(),
        )
    }
}

/// The rows with their cells padded to columns; the last `numbers` columns are right-aligned.
pub fn table(rows: &[Vec<String>], numbers: usize) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<_> = (0..columns).map(|at| width(at).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells.map(|(at, (cell, &width))| match at + numbers < columns {
            true => format!("{cell:<width$}"),
            false => format!("{cell:>width$}"),
        });
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
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
        assert!(output(&mut Command::new("no-such-program")).is_err());
    }
}
