//! Runs the test suite, showing its output as it comes, and counts what each test binary's harness says.

use std::io::{self, BufRead, BufReader, Write};

use crate::Result;
use crate::command::{announce, cargo, table};

/// The option for the crate for Burn, which is a workspace of its own.
pub const BURN: &str = "--manifest-path burn/Cargo.toml";

/// The option for the training by MPI, which is a workspace of its own too.
pub const MPI: &str = "--manifest-path mpi/Cargo.toml";

/// The workspace, with the library's optional features.
const WORKSPACE: &str = "--workspace --all-features";

/// Tests that passed, failed and were skipped.
pub type Counts = [usize; 3];

/// The counts of one run of `cargo test` by binary.
#[derive(Default)]
pub struct Report {
    rows: Vec<(String, Counts)>,
    binary: String,
    cargo_succeeded: bool,
}

/// Runs `cargo test` over the workspace and prints the table of what passed. Failed tests are no error here: they are
/// in the report.
pub fn run(args: &[String], variables: &[(&str, &str)]) -> Result<Report> {
    cargo_test(WORKSPACE, args, variables)
}

/// The features with which the crate for Burn is checked: the default ones, NdArray, remote devices, and Burn's SPIR-V
/// compiler, which Vulkan devices then use; OpenGL keeps WGSL.
pub const BURN_FEATURES: &str = "--features vulkan,ndarray,remote-server,remote-websocket";

/// The same with the crate for Burn: with Burn's fusion and SPIR-V, and without both.
pub fn run_burn(args: &[String], variables: &[(&str, &str)]) -> Result<[Report; 2]> {
    let run = |features: &str| cargo_test(&format!("{BURN} {features}"), args, variables);
    Ok([
        run(BURN_FEATURES)?,
        run("--no-default-features --features wgpu,flex")?,
    ])
}

/// The same with the training by MPI.
pub fn run_mpi(args: &[String]) -> Result<Report> {
    cargo_test(MPI, args, &[])
}

fn cargo_test(selection: &str, args: &[String], variables: &[(&str, &str)]) -> Result<Report> {
    let mut command = cargo(&format!("test {selection} --no-fail-fast"));
    command.args(args).envs(variables.iter().copied());
    announce(&command);
    // Only plain text is counted.
    command.env("CARGO_TERM_COLOR", "never");

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
    println!("\n{}", report.table());
    Ok(report)
}

impl Report {
    fn read(&mut self, line: &str) {
        if let Some(binary) = announced(line) {
            self.binary = binary;
        } else if let Some(counts) = counted(line) {
            self.rows.push((self.binary.clone(), counts));
        }
    }

    /// All tests together.
    pub fn counts(&self) -> Counts {
        let sum = |end: usize| self.rows.iter().map(|(_, counts)| counts[end]).sum();
        [sum(0), sum(1), sum(2)]
    }

    /// An error unless cargo was content and no failure was counted: neither alone is enough.
    pub fn verdict(&self) -> Result {
        match self.counts() {
            [_, 0, _] if !self.cargo_succeeded => {
                Err("`cargo test` failed, though no test it counted did".into())
            }
            [_, 0, _] => Ok(()),
            [_, failed, _] => Err(format!("tests failed: {failed}").into()),
        }
    }

    /// `9 passed, 0 failed, 2 skipped`.
    pub fn sum(&self) -> String {
        let [passed, failed, skipped] = self.counts();
        format!("{passed} passed, {failed} failed, {skipped} skipped")
    }

    fn table(&self) -> String {
        let heads = ["binary", "passed", "failed", "skipped"];
        let mut rows = vec![heads.map(String::from).to_vec()];
        rows.extend(self.rows.iter().map(|(binary, counts)| {
            let counts = counts.map(|count| count.to_string());
            [vec![binary.clone()], counts.to_vec()].concat()
        }));
        table(&rows, 3)
    }
}

/// The binary and its source in `Running tests/gpu/main.rs (target/debug/deps/gpu-0123456789abcdef)`, or the line
/// `Doc-tests name`.
fn announced(line: &str) -> Option<String> {
    if line.starts_with("Doc-tests ") {
        return Some(line.to_owned());
    }
    let (source, path) = line.strip_prefix("Running ")?.split_once(" (")?;
    let (_, file) = path.rsplit_once(['/', '\\'])?;
    let (name, _hash) = file.rsplit_once('-')?;
    Some(format!("{name}, {source}"))
}

/// The numbers of `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
fn counted(line: &str) -> Option<Counts> {
    let (_, numbers) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let numbers = numbers.split("; ").take(3);
    let numbers = numbers.map(|part| part.split_once(' ')?.0.parse().ok());
    numbers.collect::<Option<Vec<_>>>()?.try_into().ok()
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
    fn rows_are_binaries() {
        let report = report(RUN, true);
        let expected = "\
binary                              passed  failed  skipped
wgpu_dropout, unittests src/lib.rs       1       0        1
cpu, tests/cpu/main.rs                   2       0        0
Doc-tests wgpu_dropout                   1       0        0
";
        assert_eq!(report.table(), expected);
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
