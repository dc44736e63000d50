//! Runs the test suite, showing its output as it comes, and counts what the harnesses say.

use std::io::{self, BufRead, BufReader, Write};
use std::process::Command;

use xshell::Shell;

use crate::Result;
use crate::command::cargo;

/// The option for the crate for Burn, which is a workspace of its own.
pub const BURN: &str = "--manifest-path burn/Cargo.toml";

/// The option for the training by MPI, which is a workspace of its own too.
pub const MPI: &str = "--manifest-path mpi/Cargo.toml";

/// The workspace, with the library's optional features.
pub const WORKSPACE: &str = "--workspace --all-features";

/// The counts of the harnesses in one run of `cargo test`.
#[derive(Default)]
pub struct Report {
    /// Tests that passed, failed and were skipped.
    pub counts: [usize; 3],
    cargo_succeeded: bool,
}

/// The features with which the crate for Burn is checked: the default ones, NdArray, remote devices, and Burn's SPIR-V
/// compiler, which Vulkan devices then use; OpenGL keeps WGSL.
pub const BURN_FEATURES: &str = "--features vulkan,ndarray,remote-server,remote-websocket";

/// [`run`] over the crate for Burn: with Burn's fusion and SPIR-V, and without both.
pub fn run_burn(sh: &Shell, args: &[String], variables: &[(&str, &str)]) -> Result<[Report; 2]> {
    let run = |features: &str| run(sh, &format!("{BURN} {features}"), args, variables);
    let plain = "--no-default-features --features wgpu,flex";
    Ok([run(BURN_FEATURES)?, run(plain)?])
}

/// Runs `cargo test` over a selection and counts what passed. Failed tests are no error here: they are in the report.
pub fn run(
    sh: &Shell,
    selection: &str,
    args: &[String],
    variables: &[(&str, &str)],
) -> Result<Report> {
    let command = cargo(sh, &format!("test {selection} --no-fail-fast"));
    let command = command.args(args).envs(variables.iter().copied());
    println!("$ {command}");
    // Only plain text is counted.
    let mut command = Command::from(command.env("CARGO_TERM_COLOR", "never"));

    // Cargo names the binaries on standard error and they count their tests on standard output: one pipe for both keeps
    // the order.
    let (reader, writer) = io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    // The command holds the pipe's writing ends; the reader sees no end while they are open.
    drop(command);

    let mut report = Report::default();
    for line in BufReader::new(reader).split(b'\n') {
        let line = [&line?[..], b"\n"].concat();
        io::stdout().write_all(&line)?;
        io::stdout().flush()?;
        report.read(String::from_utf8_lossy(&line).trim());
    }
    report.cargo_succeeded = child.wait()?.success();
    Ok(report)
}

impl Report {
    /// Adds the numbers of `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
    fn read(&mut self, line: &str) {
        let result = line.strip_prefix("test result: ").unwrap_or_default();
        let (_, numbers) = result.split_once(". ").unwrap_or_default();
        for (count, part) in self.counts.iter_mut().zip(numbers.split("; ")) {
            let number = part.split(' ').next().unwrap_or_default();
            *count += number.parse::<usize>().unwrap_or(0);
        }
    }

    /// An error unless cargo was content and no failure was counted: neither alone is enough.
    pub fn verdict(&self) -> Result {
        match self.counts {
            [_, 0, _] if !self.cargo_succeeded => {
                Err("`cargo test` failed, though no test it counted did".into())
            }
            [_, 0, _] => Ok(()),
            [_, failed, _] => Err(format!("tests failed: {failed}").into()),
        }
    }

    /// `9 passed, 0 failed, 2 skipped`.
    pub fn sum(&self) -> String {
        let [passed, failed, skipped] = self.counts;
        format!("{passed} passed, {failed} failed, {skipped} skipped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "\
Running unittests src/lib.rs (target/debug/deps/wgpu_dropout-7831d03d7e2e6aa1)
test rate::tests::slow ... ignored, takes minutes
test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.07s
Running tests/cpu/main.rs (target\\debug\\deps\\cpu-77f01a74b022139d.exe)
test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.07s
Doc-tests wgpu_dropout
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    fn report(output: &str, cargo_succeeded: bool) -> Report {
        let mut report = Report::default();
        output.lines().for_each(|line| report.read(line));
        report.cargo_succeeded = cargo_succeeded;
        report
    }

    #[test]
    fn all_binaries_are_counted() {
        let report = report(RUN, true);
        assert_eq!(report.sum(), "4 passed, 0 failed, 1 skipped");
        assert!(report.verdict().is_ok());
    }

    #[test]
    fn neither_a_failed_test_nor_a_failed_cargo_is_hidden() {
        let failed = RUN.replacen("ok. 2 passed; 0 failed", "FAILED. 1 passed; 1 failed", 1);
        assert!(report(&failed, true).verdict().is_err());
        assert!(report(RUN, false).verdict().is_err());
    }
}
