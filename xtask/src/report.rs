//! The output of a run of `cargo test`, counted by binary, tier and adapter.

use std::fmt;

use crate::Result;
use crate::table::table;

/// The integration test whose modules are tiers of their own: contract, validation and so on.
const BINARY_OF_TIERS: &str = "cpu";

/// The counts of one run, read line by line.
#[derive(Debug, Default)]
pub struct Report {
    rows: Vec<(Group, Counts)>,
    binary: Binary,
    /// Counted since the last `test result:`.
    unconfirmed: Counts,
    /// A test whose result has yet to come.
    open: Option<Group>,
    cargo_succeeded: bool,
}

/// How many tests ended in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    passed: usize,
    failed: usize,
    skipped: usize,
}

/// A test binary, or a crate's doc tests.
#[derive(Clone, Debug, Default)]
struct Binary {
    name: String,
    tier: String,
}

/// The columns that identify a row of the table.
#[derive(Clone, Debug, PartialEq)]
struct Group {
    binary: String,
    tier: String,
    adapter: String,
}

impl Report {
    /// Takes in one line of output.
    pub fn read(&mut self, line: &str) {
        let line = line.trim();
        if let Some(binary) = Binary::announced(line) {
            self.binary = binary;
        } else if let Some(counts) = Counts::confirmed(line) {
            self.confirm(counts);
        } else if let Some((name, result)) = line
            .strip_prefix("test ")
            .and_then(|test| test.split_once(" ... "))
        {
            let group = self.binary.group_of(name.trim_end());
            match Counts::of_one(result) {
                Some(one) => self.count(group, one),
                None => self.open = Some(group),
            }
        } else if let Some(one) = Counts::of_one(line)
            && let Some(group) = self.open.take()
        {
            self.count(group, one);
        }
    }

    /// Notes how `cargo test` itself ended.
    pub fn close(&mut self, cargo_succeeded: bool) {
        self.cargo_succeeded = cargo_succeeded;
    }

    /// All tests together.
    pub fn counts(&self) -> Counts {
        self.rows
            .iter()
            .fold(Counts::default(), |sum, (_, counts)| sum.plus(*counts))
    }

    /// An error unless cargo was content and no failure was seen: neither alone is enough.
    pub fn verdict(&self) -> Result {
        match self.counts().failed {
            0 if self.cargo_succeeded => Ok(()),
            0 => Err("`cargo test` failed, though no test it named did".into()),
            failed => Err(format!("tests failed: {failed}").into()),
        }
    }

    /// One row for each binary, tier and adapter.
    pub fn table(&self) -> String {
        let heads = ["binary", "tier", "adapter", "passed", "failed", "skipped"];
        let mut rows = vec![heads.map(String::from).to_vec()];
        rows.extend(self.rows.iter().map(|(group, counts)| {
            let names = [&group.binary, &group.tier, &group.adapter].map(String::clone);
            let numbers = [counts.passed, counts.failed, counts.skipped];
            [names, numbers.map(|number| number.to_string())].concat()
        }));
        table(&rows, 3)
    }

    fn count(&mut self, group: Group, one: Counts) {
        self.unconfirmed = self.unconfirmed.plus(one);
        self.add(group, one);
    }

    /// A driver's message can break a test's line in a way that hides it; the harness still counted
    /// it, so what it counted beyond the lines gets a row of its own.
    fn confirm(&mut self, confirmed: Counts) {
        let hidden = confirmed.minus(self.unconfirmed);
        if hidden != Counts::default() {
            let group = Group {
                tier: "(not named)".into(),
                ..self.binary.group_of("")
            };
            self.add(group, hidden);
        }
        self.unconfirmed = Counts::default();
        self.open = None;
    }

    fn add(&mut self, group: Group, counts: Counts) {
        match self.rows.iter_mut().find(|(known, _)| *known == group) {
            Some((_, sum)) => *sum = sum.plus(counts),
            None => self.rows.push((group, counts)),
        }
    }
}

impl Binary {
    /// Reads `Running tests/gpu/main.rs (target/debug/deps/gpu-0123456789abcdef)` and `Doc-tests name`.
    fn announced(line: &str) -> Option<Self> {
        if let Some(name) = line.strip_prefix("Doc-tests ") {
            return Some(Self::new(name, "doc"));
        }
        let (source, path) = line.strip_prefix("Running ")?.split_once(" (")?;
        let (_, file) = path.rsplit_once(['/', '\\'])?;
        let (name, _hash) = file.rsplit_once('-')?;
        Some(match source.strip_prefix("unittests ") {
            // The library's and the command line's unit tests are in binaries of the same name.
            Some(source) => Self::new(&format!("{name} ({source})"), "unit"),
            None => Self::new(name, name),
        })
    }

    fn new(name: &str, tier: &str) -> Self {
        Self {
            name: name.into(),
            tier: tier.into(),
        }
    }

    /// The row of a test by its name, `path::of::test` or `path::of::test [adapter]`.
    fn group_of(&self, test: &str) -> Group {
        let (path, adapter) = test
            .strip_suffix(']')
            .and_then(|test| test.split_once(" ["))
            .unwrap_or((test, ""));
        let tier = match path.split_once("::") {
            Some((module, _)) if self.name == BINARY_OF_TIERS => module,
            _ => &self.tier,
        };
        Group {
            binary: self.name.clone(),
            tier: tier.into(),
            adapter: adapter.into(),
        }
    }
}

impl Counts {
    /// Reads what stands after `...`: `ok`, `FAILED`, `ignored`, `ignored, reason` or `ignored (reason)`.
    fn of_one(result: &str) -> Option<Self> {
        let mut one = Self::default();
        match result.split([',', ' ']).next()? {
            "ok" => one.passed = 1,
            "FAILED" => one.failed = 1,
            "ignored" => one.skipped = 1,
            _ => return None,
        }
        Some(one)
    }

    /// Reads `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
    pub fn confirmed(line: &str) -> Option<Self> {
        let (_, numbers) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let mut numbers = numbers
            .split("; ")
            .map_while(|part| part.split_once(' ')?.0.parse().ok());
        Some(Self {
            passed: numbers.next()?,
            failed: numbers.next()?,
            skipped: numbers.next()?,
        })
    }

    /// So many of each.
    pub fn new(passed: usize, failed: usize, skipped: usize) -> Self {
        Self {
            passed,
            failed,
            skipped,
        }
    }

    /// Passed, failed and skipped.
    pub fn numbers(&self) -> [usize; 3] {
        [self.passed, self.failed, self.skipped]
    }

    /// Returns true if any test was executed.
    pub fn ran(&self) -> bool {
        self.passed + self.failed > 0
    }

    fn plus(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            passed: self.passed.saturating_sub(other.passed),
            failed: self.failed.saturating_sub(other.failed),
            skipped: self.skipped.saturating_sub(other.skipped),
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            passed,
            failed,
            skipped,
        } = self;
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "
   Compiling wgpu-dropout v0.1.0
     Running unittests src/lib.rs (target/debug/deps/wgpu_dropout-7831d03d7e2e6aa1)

running 2 tests
test rate::tests::realised ... ok
test rate::tests::slow ... ignored, takes minutes
test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.07s

     Running tests/cpu/main.rs (target\\debug\\deps\\cpu-77f01a74b022139d.exe)
test contract::rate::of_nan - should panic ... ok
test validation::binding::alignment ... ok
test validation::binding::overlap ... ok
test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.07s

     Running tests/gpu/main.rs (target/debug/deps/gpu-77f01a74b022139d)
test forward::lengths [vulkan/llvmpipe (LLVM 15.0.6, 256 bits)] ... ok
test in_place::lengths [vulkan/llvmpipe (LLVM 15.0.6, 256 bits)] ... ok
test forward::lengths [gl/Mesa [TGL GT2]]                        ... ok
test forward::lengths [gl/Mesa [TGL GT2]]                        ... ignored (no f16)
test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s

   Doc-tests wgpu_dropout
test src/lib.rs - (line 7) - compile ... ok
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
test src/lib.rs - (line 9) - compile fail ... ok
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    fn report(output: &str, cargo_succeeded: bool) -> Report {
        let mut report = Report::default();
        output.lines().for_each(|line| report.read(line));
        report.close(cargo_succeeded);
        report
    }

    #[test]
    fn rows_are_binary_tier_and_adapter() {
        let report = report(RUN, true);
        let expected = "\
binary                     tier        adapter                                  passed  failed  skipped
wgpu_dropout (src/lib.rs)  unit                                                      1       0        1
cpu                        contract                                                  1       0        0
cpu                        validation                                                2       0        0
gpu                        gpu         vulkan/llvmpipe (LLVM 15.0.6, 256 bits)       2       0        0
gpu                        gpu         gl/Mesa [TGL GT2]                             1       0        1
wgpu_dropout               doc                                                       2       0        0
";
        assert_eq!(report.table(), expected);
        assert_eq!(report.counts().to_string(), "9 passed, 0 failed, 2 skipped");
        assert!(report.verdict().is_ok());
    }

    #[test]
    fn a_failed_test_is_seen_even_if_cargo_reports_success() {
        let one_failed = RUN.replacen(
            "lengths [gl/Mesa [TGL GT2]]                        ... ok",
            "lengths [gl/Mesa [TGL GT2]] ... FAILED",
            1,
        );
        let report = report(&one_failed, true);
        assert_eq!(report.counts().failed, 1);
        assert!(report.verdict().is_err());
    }

    #[test]
    fn a_failed_cargo_wins_over_clean_counts() {
        assert!(report(RUN, false).verdict().is_err());
        assert!(
            report("error: could not compile `cpu`", false)
                .verdict()
                .is_err()
        );
    }

    #[test]
    fn a_result_on_a_later_line_belongs_to_the_open_test() {
        let output = "
Running tests/gpu/main.rs (target/debug/deps/gpu-77f01a74b022139d)
test forward::lengths [gl/llvmpipe] ... libEGL warning: no display
ok
test forward::origins [gl/llvmpipe] ... libEGL warning: no display
FAILED
test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        let report = report(output, false);
        let adapters: Vec<_> = report
            .rows
            .iter()
            .map(|(group, _)| &group.adapter)
            .collect();
        assert_eq!(adapters, ["gl/llvmpipe"]);
        assert_eq!(report.counts().to_string(), "1 passed, 1 failed, 0 skipped");
    }

    #[test]
    fn what_the_lines_hide_is_counted_by_the_result() {
        let output = "
Running tests/gpu/main.rs (target/debug/deps/gpu-77f01a74b022139d)
test forward::lengths [gl/llvmpipe] ... noise without an endFAILED
test result: FAILED. 0 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        let report = report(output, false);
        assert_eq!(report.rows[0].0.tier, "(not named)");
        assert_eq!(report.counts().to_string(), "0 passed, 1 failed, 2 skipped");
    }
}
