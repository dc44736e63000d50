//! Runs the binary for the tests.

use std::path::Path;
use std::process::{Command, Output};

/// The binary, without the variables that choose adapters.
pub fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wgpu-dropout"));
    command.env_remove("WGPU_BACKEND");
    command.env_remove("WGPU_ADAPTER_NAME");
    command
}

/// Runs the binary with the words of `line`.
pub fn run(line: &str) -> Output {
    binary().args(line.split_whitespace()).output().unwrap()
}

/// Standard output of a run with the CPU engine. It must succeed.
pub fn cpu(line: &str) -> Vec<u8> {
    succeeds(&format!("{line} --engine cpu"))
}

#[track_caller]
pub fn assert_success(output: &Output) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {stderr}", output.status);
}

/// Standard output of a run with the words of `line`. It must succeed.
#[track_caller]
pub fn succeeds(line: &str) -> Vec<u8> {
    let output = run(line);
    assert_success(&output);
    output.stdout
}

/// [`succeeds`] as text.
#[track_caller]
pub fn text(line: &str) -> String {
    String::from_utf8(succeeds(line)).unwrap()
}

/// Runs the binary with the words of `line`. It must fail as [`assert_fails`] says.
#[track_caller]
pub fn fails(line: &str, code: i32, parts: &[&str]) -> Output {
    let output = run(line);
    assert_fails(&output, code, parts);
    output
}

/// Runs each line of `cases`, which has a command line and behind ` | ` parts of the message with
/// which it must fail.
#[track_caller]
pub fn refused(code: i32, cases: &str) {
    for case in cases.trim().lines() {
        let mut parts = case.split(" | ").map(str::trim);
        let line = parts.next().unwrap();
        fails(line, code, &parts.collect::<Vec<_>>());
    }
}

/// Checks that a run failed with this exit code and that its message has all `parts`.
#[track_caller]
pub fn assert_fails(output: &Output, code: i32, parts: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    for part in parts {
        assert!(stderr.contains(part), "no `{part}` in: {stderr}");
    }
}

/// A path as one word of a command line. Temporary folders have no spaces in their names.
pub fn word(path: &Path) -> &str {
    path.to_str().unwrap()
}
