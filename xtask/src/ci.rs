//! Everything that CI checks, in the order that fails soonest.

use std::env;
use std::fs;
use std::process::Command;
use std::time::Instant;

use crate::Result;
use crate::adapters::{self, SOFTWARE};
use crate::command::{self, announce, cargo, output, root, table};
use crate::compilers::gpus;
use crate::suite::{self, BURN, BURN_FEATURES, MPI};
use crate::web;

/// The value of REQUIRE_GPU: the adapters on which no trial may be skipped.
const REQUIRED: (&str, &str) = match SOFTWARE {
    [] => ("REQUIRE_GPU", "1"),
    _ => ("REQUIRE_GPU", "vulkan,gl"),
};

/// Examples that would train for a minute or more, and what makes them short.
const LONG_EXAMPLES: [(&str, [&str; 2]); 2] = [
    ("train_mlp", ["--epochs", "2"]),
    ("transformer_block", ["--steps", "2"]),
];

/// The library first alone: the workspace's other members and the tests switch features on.
const SELECTIONS: [&str; 8] = [
    "--package wgpu-dropout",
    "--package wgpu-dropout --no-default-features",
    "--package wgpu-dropout --no-default-features --features cpu",
    "--package wgpu-dropout --no-default-features --features wgpu",
    "--package wgpu-dropout --no-default-features --all-targets",
    "--package wgpu-dropout --no-default-features --features cpu --all-targets",
    "--workspace --all-targets --all-features",
    "--release --manifest-path xtask/kernel_tools/Cargo.toml --target-dir target/kernel-tools",
];

/// Runs every step, stopping at the first that fails.
pub fn run() -> Result {
    let mut steps = Steps(vec![
        ["step", "result", "seconds"].map(String::from).to_vec(),
    ]);
    let start = Instant::now();
    let outcome = check(&mut steps);
    steps.note("all", "", start);
    println!("\n{}", table(&steps.0, 1));
    println!("{}", outcome?);
    Ok(())
}

/// Returns the counts of the tests.
fn check(steps: &mut Steps) -> Result<String> {
    steps.step("toolchain", || {
        command::run(Command::new("rustc").args(["--version", "--verbose"]))?;
        command::run(&mut cargo("--version"))
    })?;
    for manifest in ["Cargo.toml", "xtask/kernel_tools/Cargo.toml"] {
        let mut format = cargo("fmt --all --check --manifest-path");
        steps.step("format", || command::run(format.arg(manifest)))?;
    }
    for selection in SELECTIONS {
        let mut clippy = cargo(&format!("clippy {selection} -- -D warnings"));
        steps.step("lint", || command::run(&mut clippy))?;
    }
    for selection in [SELECTIONS[2], "--workspace --all-features"] {
        let mut docs = cargo(&format!("doc --no-deps {selection}"));
        docs.env("RUSTDOCFLAGS", "-D warnings");
        steps.step("docs", || command::run(&mut docs))?;
    }
    steps.step("adapters", || {
        adapters::ensure(SOFTWARE, &command::command_line()?, true)
    })?;
    let counts = steps.step("tests", || {
        let report = suite::run(&[], &[REQUIRED])?;
        report.verdict()?;
        match report.counts() {
            [0, ..] => Err("no test ran".into()),
            _ => Ok(report.sum()),
        }
    })?;
    let folder = steps.step("examples", command::examples)?;
    for name in examples()? {
        let mut example = Command::new(folder.join(&name));
        if let Some((_, short)) = LONG_EXAMPLES.iter().find(|(long, _)| *long == name) {
            example.args(short);
        }
        steps.step("example", || command::run(&mut example))?;
    }
    steps.step("bench", || {
        let mut bench = Command::new(command::release()?);
        command::run(bench.args(["bench", "--sizes", "65536"]))
    })?;
    steps.step("page", || web::try_in_browser(&web::build(true)?, true))?;
    steps.step("GPU compilers", || gpus::run(false))?;
    steps.step("package", package)?;
    steps.step("burn", burn)?;
    steps.step("mpi", mpi)?;
    Ok(counts)
}

/// Builds the library's package, and looks for the examples' data in each.
fn package() -> Result {
    for selection in ["--package wgpu-dropout", "--package wgpu-dropout-cli", BURN] {
        let mut list = cargo(&format!("package --list --allow-dirty {selection}"));
        announce(&list);
        let files = output(&mut list)?;
        // The examples' data, or MNIST's under another path.
        let is_foreign = |file: &&str| file.contains("examples/data/") || file.contains("-ubyte");
        if let Some(file) = files.lines().find(is_foreign) {
            let message = "a package has data under CC BY-SA 3.0; leave it out in Cargo.toml";
            return Err(format!("{message}: {file}").into());
        }
    }
    let mut package = cargo("package --package wgpu-dropout");
    // A developer checks before committing; in CI a changed file is a step's doing, and an error.
    if env::var_os("CI").is_none() {
        package.arg("--allow-dirty");
    }
    command::run(&mut package)
}

/// The crate for Burn: the same steps in its own workspace.
fn burn() -> Result {
    command::run(cargo(&format!("fmt --check {BURN}")).arg("--all"))?;
    // Always the same features: Burn is compiled once for them, and once without fusion.
    let on = |words: &str| cargo(&format!("{words} {BURN} {BURN_FEATURES}"));
    command::run(on("clippy --all-targets").args(["--", "-D", "warnings"]))?;
    command::run(on("doc --no-deps").env("RUSTDOCFLAGS", "-D warnings"))?;
    for report in suite::run_burn(&[], &[REQUIRED])? {
        report.verdict()?;
    }
    command::run(on("run --example bench").args(["--", "1"]))
}

/// The training by MPI: the same in its own workspace.
fn mpi() -> Result {
    adapters::ensure_mpi(true)?;
    let on = |words: &str| cargo(&format!("{words} {MPI}"));
    command::run(on("fmt --check").arg("--all"))?;
    command::run(on("clippy --all-targets").args(["--", "-D", "warnings"]))?;
    suite::run_mpi(&[])?.verdict()
}

/// The names of `examples/*.rs` and of `examples/*/main.rs`, as cargo finds them.
fn examples() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root()?.join("examples"))? {
        let path = entry?.path();
        let is_file = path.extension().is_some_and(|extension| extension == "rs");
        if (is_file || path.join("main.rs").exists())
            && let Some(name) = path.file_stem()
        {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// A table of the steps done so far, with their wall time.
struct Steps(Vec<Vec<String>>);

impl Steps {
    /// Runs one step and notes how long it took; its error names it.
    fn step<T>(&mut self, name: &str, run: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("\n== {name} ==");
        let start = Instant::now();
        let outcome = run();
        let word = if outcome.is_ok() { "ok" } else { "FAILED" };
        self.note(name, word, start);
        outcome.map_err(|error| format!("step `{name}`: {error}").into())
    }

    fn note(&mut self, name: &str, word: &str, start: Instant) {
        let seconds = format!("{:.1}", start.elapsed().as_secs_f64());
        self.0.push(vec![name.into(), word.into(), seconds]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_is_named_and_listed() {
        let mut steps = Steps(Vec::new());
        let failed = steps.step("lint", || Err::<(), _>("a warning".into()));
        assert_eq!(failed.unwrap_err().to_string(), "step `lint`: a warning");
        assert_eq!(steps.0[0][..2], ["lint", "FAILED"]);
    }

    #[test]
    fn examples_are_files_and_folders_with_a_main() {
        let names = examples().unwrap();
        let has = |name: &str| names.iter().any(|found| found == name);
        assert!(has("quickstart") && LONG_EXAMPLES.iter().all(|(name, _)| has(name)));
        // Data, and a module of several examples.
        assert!(!has("data") && !has("mlp"));
    }
}
