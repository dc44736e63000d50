//! Runs the test suite, showing its output as it comes and counting it by binary, tier and adapter.

use std::io::{self, BufRead, BufReader, Write};

use crate::Result;
use crate::command::{announce, cargo, table};

/// The option for the crate for Burn, which is a workspace of its own.
pub const BURN: &str = "--manifest-path burn/Cargo.toml";

/// The option for the training by MPI, which is a workspace of its own too.
pub const MPI: &str = "--manifest-path mpi/Cargo.toml";

/// The workspace, with the library's optional features.
const WORKSPACE: &str = "--workspace --all-features";

/// The integration test whose modules are tiers of their own: contract, validation and so on.
const BINARY_OF_TIERS: &str = "cpu";

/// Tests that passed, failed and were skipped.
pub type Counts = [usize; 3];

/// The counts of one run of `cargo test`, read line by line.
#[derive(Default)]
pub struct Report {
    /// Binary, tier and adapter.
    rows: Vec<([String; 3], Counts)>,
    binary: String,
    tier: String,
    /// Counted by their lines since the last `test result:`.
    named: Counts,
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

    // Cargo names the binaries on standard error and they name their tests on standard output: one pipe for both keeps
    // the order.
    let (reader, writer) = io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    // The command holds the pipe's writing ends; the reader sees no end while they are open.
    drop(command);

    let mut report = Report::default();
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        io::stdout().write_all(&line)?;
        io::stdout().flush()?;
        report.read(&String::from_utf8_lossy(&line));
        line.clear();
    }
    report.cargo_succeeded = child.wait()?.success();
    println!("\n{}", report.table());
    Ok(report)
}

impl Report {
    fn read(&mut self, line: &str) {
        let line = line.trim();
        if let Some((binary, tier)) = announced(line) {
            (self.binary, self.tier) = (binary, tier);
        } else if let Some(all) = confirmed(line) {
            // A driver's message can break a test's line in a way that hides it. The harness still counted it.
            let hidden = [0, 1, 2].map(|end| all[end].saturating_sub(self.named[end]));
            if hidden != [0; 3] {
                self.count("(not named)".into(), "", hidden);
            }
            self.named = [0; 3];
        } else if let Some((name, result)) = test(line)
            && let Some(end) = ["ok", "FAILED", "ignored"]
                .iter()
                .position(|word| result.split([',', ' ']).next() == Some(word))
        {
            let (path, adapter) = name
                .strip_suffix(']')
                .and_then(|name| name.split_once(" ["))
                .unwrap_or((name, ""));
            let tier = match path.split_once("::") {
                Some((module, _)) if self.binary == BINARY_OF_TIERS => module,
                _ => &self.tier,
            };
            let mut one = [0; 3];
            one[end] = 1;
            self.named[end] += 1;
            self.count(tier.to_owned(), adapter, one);
        }
    }

    fn count(&mut self, tier: String, adapter: &str, counts: Counts) {
        let group = [self.binary.clone(), tier, adapter.to_owned()];
        match self.rows.iter_mut().find(|(known, _)| *known == group) {
            Some((_, sum)) => *sum = plus(*sum, counts),
            None => self.rows.push((group, counts)),
        }
    }

    /// All tests together.
    pub fn counts(&self) -> Counts {
        let counts = self.rows.iter().map(|(_, counts)| *counts);
        counts.fold([0; 3], plus)
    }

    /// An error unless cargo was content and no failure was seen: neither alone is enough.
    pub fn verdict(&self) -> Result {
        match self.counts() {
            [_, 0, _] if !self.cargo_succeeded => {
                Err("`cargo test` failed, though no test it named did".into())
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

    /// One row for each binary, tier and adapter.
    fn table(&self) -> String {
        let heads = ["binary", "tier", "adapter", "passed", "failed", "skipped"];
        let mut rows = vec![heads.map(String::from).to_vec()];
        let row = |(group, counts): &([String; 3], Counts)| {
            [group.clone(), counts.map(|count| count.to_string())].concat()
        };
        rows.extend(self.rows.iter().map(row));
        table(&rows, 3)
    }
}

fn plus(a: Counts, b: Counts) -> Counts {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

/// The binary and the tier of `Running tests/gpu/main.rs (target/debug/deps/gpu-0123456789abcdef)` and `Doc-tests name`.
fn announced(line: &str) -> Option<(String, String)> {
    if let Some(name) = line.strip_prefix("Doc-tests ") {
        return Some((name.to_owned(), "doc".to_owned()));
    }
    let (source, path) = line.strip_prefix("Running ")?.split_once(" (")?;
    let (_, file) = path.rsplit_once(['/', '\\'])?;
    let (name, _hash) = file.rsplit_once('-')?;
    Some(match source.strip_prefix("unittests ") {
        // The library's and the command line's unit tests are in binaries of the same name.
        Some(source) => (format!("{name} ({source})"), "unit".to_owned()),
        None => (name.to_owned(), name.to_owned()),
    })
}

/// The name and the result of `test NAME ... ok`.
fn test(line: &str) -> Option<(&str, &str)> {
    let (name, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
    Some((name.trim_end(), result))
}

/// Reads `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
fn confirmed(line: &str) -> Option<Counts> {
    let (_, numbers) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let numbers = numbers.split("; ").take(3);
    let numbers = numbers.map(|part| part.split_once(' ')?.0.parse().ok());
    numbers.collect::<Option<Vec<_>>>()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "
     Running unittests src/lib.rs (target/debug/deps/wgpu_dropout-7831d03d7e2e6aa1)
test rate::tests::realised ... ok
test rate::tests::slow ... ignored, takes minutes
test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.07s
     Running tests/cpu/main.rs (target\\debug\\deps\\cpu-77f01a74b022139d.exe)
test contract::rate::of_nan - should panic ... ok
test validation::binding::alignment ... ok
test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.07s
     Running tests/gpu/main.rs (target/debug/deps/gpu-77f01a74b022139d)
test forward::lengths [gl/Mesa [TGL GT2]]                        ... ok
test forward::lengths [gl/Mesa [TGL GT2]]                        ... ignored (no f16)
test forward::origins [gl/Mesa [TGL GT2]] ... libEGL warning: no display
ok
test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
   Doc-tests wgpu_dropout
test src/lib.rs - (line 7) - compile ... ok
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    fn report(output: &str, cargo_succeeded: bool) -> Report {
        let mut report = Report::default();
        output.lines().for_each(|line| report.read(line));
        report.cargo_succeeded = cargo_succeeded;
        report
    }

    #[test]
    fn rows_are_binary_tier_and_adapter() {
        let report = report(RUN, true);
        let expected = "\
binary                     tier         adapter            passed  failed  skipped
wgpu_dropout (src/lib.rs)  unit                                 1       0        1
cpu                        contract                             1       0        0
cpu                        validation                           1       0        0
gpu                        gpu          gl/Mesa [TGL GT2]       1       0        1
gpu                        (not named)                          1       0        0
wgpu_dropout               doc                                  1       0        0
";
        assert_eq!(report.table(), expected);
        assert_eq!(report.sum(), "6 passed, 0 failed, 2 skipped");
        assert!(report.verdict().is_ok());
    }

    #[test]
    fn neither_a_failed_test_nor_a_failed_cargo_is_hidden() {
        let failed = RUN.replacen("alignment ... ok", "alignment ... FAILED", 1);
        assert!(report(&failed, true).verdict().is_err());
        let hidden = RUN.replacen("ok. 2 passed; 0 failed", "FAILED. 2 passed; 1 failed", 1);
        assert!(report(&hidden, true).verdict().is_err());
        assert!(report(RUN, false).verdict().is_err());
        assert!(
            report("error: could not compile `cpu`", false)
                .verdict()
                .is_err()
        );
    }
}
