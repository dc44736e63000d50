//! Runs the test suite, showing its output as it comes and counting it.

use std::io::{self, BufRead, BufReader, Write};

use crate::Result;
use crate::command::{announce, cargo};
use crate::report::Report;

/// The option for the crate for Burn, which is a workspace of its own.
pub const BURN: &str = "--manifest-path burn/Cargo.toml";

/// The option for the training by MPI, which is a workspace of its own too.
pub const MPI: &str = "--manifest-path mpi/Cargo.toml";

/// Runs `cargo test` over the workspace, with the library's optional features, and prints the table of
/// what passed. Failed tests are no error here: they are in the report.
pub fn run(args: &[String], variables: &[(&str, &str)]) -> Result<Report> {
    cargo_test("--workspace --all-features", args, variables)
}

/// The features with which the crate for Burn is checked: the default ones and Burn's SPIR-V compiler, which Vulkan
/// devices then use; OpenGL keeps WGSL.
pub const BURN_FEATURES: &str = "--features vulkan";

/// The same with the crate for Burn: with Burn's fusion and SPIR-V, and without both.
pub fn run_burn(args: &[String], variables: &[(&str, &str)]) -> Result<[Report; 2]> {
    let run = |features: &str| cargo_test(&format!("{BURN} {features}"), args, variables);
    Ok([
        run(BURN_FEATURES)?,
        run("--no-default-features --features wgpu,flex")?,
    ])
}

/// The same with the training by MPI.
pub fn run_mpi(args: &[String], variables: &[(&str, &str)]) -> Result<Report> {
    cargo_test(MPI, args, variables)
}

fn cargo_test(selection: &str, args: &[String], variables: &[(&str, &str)]) -> Result<Report> {
    let mut command = cargo(&format!("test {selection} --no-fail-fast"));
    command.args(args).envs(variables.iter().copied());
    announce(&command);
    // Only plain text is counted.
    command.env("CARGO_TERM_COLOR", "never");

    // Cargo names the binaries on standard error and they name their tests on standard output: one
    // pipe for both keeps the order.
    let (reader, writer) = io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    // The command holds the pipe's writing ends; the reader sees no end while they are open.
    drop(command);

    let mut report = Report::default();
    let mut reader = BufReader::new(reader);
    let mut stdout = io::stdout();
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        stdout.write_all(&line)?;
        stdout.flush()?;
        report.read(&String::from_utf8_lossy(&line));
        line.clear();
    }
    report.close(child.wait()?.success());
    println!("\n{}", report.table());
    Ok(report)
}
