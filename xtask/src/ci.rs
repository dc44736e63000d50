//! Everything that CI checks, in the order that fails soonest.

use std::env;
use std::time::Instant;

use xshell::{Shell, cmd};

use crate::adapters::{self, SOFTWARE};
use crate::command::{self, cargo};
use crate::compilers::gpus;
use crate::suite::{self, BURN, BURN_FEATURES, MPI};
use crate::{Result, web};

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
pub fn run(sh: &Shell) -> Result {
    let mut steps = Steps(Vec::new());
    let start = Instant::now();
    let outcome = check(sh, &mut steps);
    steps.note("all", "", start);
    println!("\n{}", steps.0.join("\n"));
    println!("{}", outcome?);
    Ok(())
}

/// Returns the counts of the tests.
fn check(sh: &Shell, steps: &mut Steps) -> Result<String> {
    let run = |words: &str| Ok(cargo(sh, words).run()?);
    let document = |words: &str| {
        let doc = cargo(sh, &format!("doc --no-deps {words}"));
        Ok(doc.env("RUSTDOCFLAGS", "-D warnings").run()?)
    };
    let lint = |words: &str| run(&format!("clippy {words} -- -D warnings"));
    steps.step("toolchain", || {
        cmd!(sh, "rustc --version --verbose").run()?;
        run("--version")
    })?;
    for manifest in ["Cargo.toml", "xtask/kernel_tools/Cargo.toml"] {
        let words = format!("fmt --all --check --manifest-path {manifest}");
        steps.step("format", || run(&words))?;
    }
    for selection in SELECTIONS {
        steps.step("lint", || lint(selection))?;
    }
    for selection in [SELECTIONS[2], "--workspace --all-features"] {
        steps.step("docs", || document(selection))?;
    }
    let program = steps.step("command line", || command::command_line(sh))?;
    let ensure = || adapters::ensure(sh, SOFTWARE, &program, true);
    steps.step("adapters", ensure)?;
    let counts = steps.step("tests", || {
        let report = suite::run(sh, suite::WORKSPACE, &[], &[REQUIRED])?;
        report.verdict()?;
        match report.counts {
            [0, ..] => Err("no test ran".into()),
            _ => Ok(report.sum()),
        }
    })?;
    let folder = steps.step("examples", || command::examples(sh))?;
    for name in examples(sh)? {
        let short = LONG_EXAMPLES.iter().find(|(long, _)| *long == name);
        let short = short.into_iter().flat_map(|(_, short)| short);
        let example = sh.cmd(folder.join(&name)).args(short);
        steps.step("example", || Ok(example.run()?))?;
    }
    steps.step("bench", || {
        let program = command::release(sh)?;
        Ok(cmd!(sh, "{program} bench --sizes 65536").run()?)
    })?;
    let page = || web::try_in_browser(sh, &web::build(sh, true)?, true);
    steps.step("page", page)?;
    steps.step("GPU compilers", || gpus::run(sh, false))?;
    steps.step("package", || package(sh))?;
    // The crate for Burn: the same steps in its own workspace, and always the same features: Burn is compiled once for
    // them, and once without fusion.
    steps.step("burn", || {
        let selection = format!("{BURN} {BURN_FEATURES}");
        run(&format!("fmt --check {BURN} --all"))?;
        lint(&format!("{selection} --all-targets"))?;
        document(&selection)?;
        for report in suite::run_burn(sh, &[], &[REQUIRED])? {
            report.verdict()?;
        }
        run(&format!("run --example bench {selection} -- 1"))
    })?;
    // The training by MPI: the same in its own workspace.
    steps.step("mpi", || {
        adapters::ensure_mpi(sh, true)?;
        run(&format!("fmt --check {MPI} --all"))?;
        lint(&format!("--all-targets {MPI}"))?;
        suite::run(sh, MPI, &[], &[])?.verdict()
    })?;
    Ok(counts)
}

/// Builds the library's package, and looks for the examples' data in each.
fn package(sh: &Shell) -> Result {
    for selection in ["--package wgpu-dropout", "--package wgpu-dropout-cli", BURN] {
        let files = cargo(sh, &format!("package --list --allow-dirty {selection}")).read()?;
        // The examples' data, or MNIST's under another path.
        let is_foreign = |file: &&str| file.contains("examples/data/") || file.contains("-ubyte");
        if let Some(file) = files.lines().find(is_foreign) {
            let message = "a package has data under CC BY-SA 3.0; leave it out in Cargo.toml";
            return Err(format!("{message}: {file}").into());
        }
    }
    // A developer checks before committing; in CI a changed file is a step's doing, and an error.
    let dirty = env::var_os("CI").is_none().then_some("--allow-dirty");
    Ok(cmd!(sh, "cargo package --package wgpu-dropout {dirty...}").run()?)
}

/// The names of `examples/*.rs` and of `examples/*/main.rs`, as cargo finds them.
fn examples(sh: &Shell) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for path in sh.read_dir("examples")? {
        let is_file = path.extension().is_some_and(|extension| extension == "rs");
        if (is_file || path.join("main.rs").exists())
            && let Some(name) = path.file_stem()
        {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    Ok(names)
}

/// A table of the steps done so far, with their wall time.
struct Steps(Vec<String>);

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
        let seconds = start.elapsed().as_secs_f64();
        self.0
            .push(format!("{name:<14} {word:<7} {seconds:>7.1} s"));
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
        assert!(steps.0[0].starts_with("lint           FAILED "));
    }

    #[test]
    fn examples_are_files_and_folders_with_a_main() {
        let names = examples(&command::shell().unwrap()).unwrap();
        let has = |name: &str| names.iter().any(|found| found == name);
        assert!(has("quickstart") && LONG_EXAMPLES.iter().all(|(name, _)| has(name)));
        // Data, and a module of several examples.
        assert!(!has("data") && !has("mlp"));
    }
}
