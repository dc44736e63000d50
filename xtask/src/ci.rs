//! Everything that CI checks, in the order that fails soonest.

use std::env;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;
use crate::adapters::{self, Need, Profile};
use crate::command::{self, cargo, root};
use crate::compilers::gpus;
use crate::report::Report;
use crate::suite::{self, BURN, BURN_FEATURES, MPI};
use crate::table::table;
use crate::web;

/// The value of REQUIRE_GPU: the adapters on which no trial may be skipped.
const REQUIRED: &str = match Need::SOFTWARE {
    Need::VulkanAndGl => "vulkan,gl",
    Need::Any => "1",
};

/// Examples that would train for a minute or more, and what makes them short.
const LONG_EXAMPLES: [(&str, [&str; 2]); 2] = [
    ("train_mlp", ["--epochs", "2"]),
    ("transformer_block", ["--steps", "2"]),
];

/// Runs every step, stopping at the first that fails.
pub fn run() -> Result {
    let mut steps = Steps::default();
    let outcome = check(&mut steps);
    println!("\n{}", steps.table());
    println!("{}", outcome?.counts());
    Ok(())
}

fn check(steps: &mut Steps) -> Result<Report> {
    steps.step("toolchain", || {
        command::run(Command::new("rustc").args(["--version", "--verbose"]))?;
        command::run(&mut cargo("--version"))
    })?;
    steps.step("format", || command::run(&mut cargo("fmt --all --check")))?;
    // The library first alone: the workspace's other members and the tests switch features on.
    for selection in [
        "--package wgpu-dropout",
        "--package wgpu-dropout --no-default-features",
        "--package wgpu-dropout --no-default-features --features cpu",
        "--package wgpu-dropout --no-default-features --features wgpu",
        "--package wgpu-dropout --no-default-features --all-targets",
        "--package wgpu-dropout --no-default-features --features cpu --all-targets",
        "--workspace --all-targets --all-features",
    ] {
        let mut clippy = cargo(&format!("clippy {selection} -- -D warnings"));
        steps.step("lint", || command::run(&mut clippy))?;
    }
    steps.step("oldest Rust", oldest_rust)?;
    steps.step("layers", crate::layers::run)?;
    for selection in [
        "--package wgpu-dropout --no-default-features --features cpu",
        "--workspace --all-features",
    ] {
        let mut docs = cargo(&format!("doc --no-deps {selection}"));
        docs.env("RUSTDOCFLAGS", "-D warnings");
        steps.step("docs", || command::run(&mut docs))?;
    }

    steps.step("adapters", || {
        adapters::ensure(Need::SOFTWARE, Profile::Dev, true)
    })?;
    let report = steps.step("tests", || tests(REQUIRED))?;
    let folder = steps.step("examples", command::examples)?;
    for name in examples()? {
        let mut example = Command::new(folder.join(&name));
        if let Some((_, short)) = LONG_EXAMPLES.iter().find(|(long, _)| *long == name) {
            example.args(short);
        }
        steps.step("example", || command::run(&mut example))?;
    }
    let mut bench = cargo("run --release --package wgpu-dropout-cli -- bench --sizes 65536");
    steps.step("bench", || command::run(&mut bench))?;
    steps.step("page", || {
        web::try_in_browser(&web::build(true)?, true)?.verdict()
    })?;

    steps.step("GPU compilers", || gpus::main_kernels(false, false))?;
    steps.step("package", package)?;
    steps.step("burn", || burn(REQUIRED))?;
    steps.step("mpi", mpi)?;
    Ok(report)
}

/// Compiles the library with the Rust that its manifest promises. Where rustup can fetch none, the
/// workflow in `.github` is left to do it.
fn oldest_rust() -> Result {
    let manifest = fs::read_to_string(root()?.join("Cargo.toml"))?;
    let value = |line: &str| {
        Some(
            line.strip_prefix("rust-version = \"")?
                .strip_suffix('"')?
                .to_owned(),
        )
    };
    let rust = manifest
        .lines()
        .find_map(value)
        .ok_or("Cargo.toml has no rust-version")?;
    let mut install = Command::new("rustup");
    install.args(["toolchain", "install", &rust, "--profile", "minimal"]);
    if let Err(error) = command::run(&mut install) {
        println!("{error}: the library was not compiled with Rust {rust}");
        return Ok(());
    }
    let mut check = Command::new("rustup");
    check.args([
        "run",
        &rust,
        "cargo",
        "check",
        "--package",
        "wgpu-dropout",
        "--all-features",
    ]);
    // Another compiler's build would throw this one's away.
    check.args(["--target-dir", "target/oldest-rust"]);
    command::run(&mut check)
}

/// Builds the library's package, and looks for the examples' data in each.
fn package() -> Result {
    for selection in ["--package wgpu-dropout", "--package wgpu-dropout-cli", BURN] {
        let mut list = cargo(&format!("package --list --allow-dirty {selection}"));
        command::announce(&list);
        let output = list.stderr(Stdio::inherit()).output()?;
        let files = String::from_utf8(output.stdout)?;
        if !output.status.success() || !files.contains("Cargo.toml") {
            return Err("`cargo package --list` failed".into());
        }
        let foreign = foreign(&files);
        if !foreign.is_empty() {
            let foreign = foreign.join(", ");
            return Err(format!(
                "a package has data under CC BY-SA 3.0: {foreign}; leave it out in Cargo.toml"
            )
            .into());
        }
    }
    let mut package = cargo("package --package wgpu-dropout");
    // A developer checks before committing; in CI a changed file is a step's doing, and an error.
    if env::var_os("CI").is_none() {
        package.arg("--allow-dirty");
    }
    command::run(&mut package)
}

/// The package's files that are the examples' data, or MNIST's under another path.
fn foreign(files: &str) -> Vec<&str> {
    let is_foreign = |file: &&str| file.contains("examples/data/") || file.contains("-ubyte");
    files.lines().filter(is_foreign).collect()
}

/// The crate for Burn: the same steps in its own workspace.
fn burn(required: &str) -> Result {
    command::run(cargo(&format!("fmt --check {BURN}")).arg("--all"))?;
    // Always the same features: Burn is compiled once for them, and once without fusion.
    let on = |words: &str| cargo(&format!("{words} {BURN} {BURN_FEATURES}"));
    command::run(on("clippy --all-targets").args(["--", "-D", "warnings"]))?;
    command::run(on("doc --no-deps").env("RUSTDOCFLAGS", "-D warnings"))?;
    for report in suite::run_burn(&[], &[("REQUIRE_GPU", required)])? {
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
    suite::run_mpi(&[], &[])?.verdict()
}

fn tests(required: &str) -> Result<Report> {
    let report = suite::run(&[], &[("REQUIRE_GPU", required)])?;
    report.verdict()?;
    if report.counts().ran() {
        Ok(report)
    } else {
        Err("no test ran".into())
    }
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

/// The steps done so far, with their wall time.
#[derive(Default)]
struct Steps(Vec<(&'static str, Duration, &'static str)>);

impl Steps {
    /// Runs one step and notes how long it took; its error names it.
    fn step<T>(&mut self, name: &'static str, run: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("\n== {name} ==");
        let start = Instant::now();
        let outcome = run();
        let word = if outcome.is_ok() { "ok" } else { "FAILED" };
        self.0.push((name, start.elapsed(), word));
        outcome.map_err(|error| format!("step `{name}`: {error}").into())
    }

    fn table(&self) -> String {
        let total = self.0.iter().map(|(_, time, _)| *time).sum();
        let mut rows = vec![["step", "result", "seconds"].map(String::from).to_vec()];
        rows.extend(
            self.0
                .iter()
                .map(|&(name, time, word)| row(name, word, time)),
        );
        rows.push(row("all", "", total));
        table(&rows, 1)
    }
}

fn row(name: &str, word: &str, time: Duration) -> Vec<String> {
    vec![
        name.into(),
        word.into(),
        format!("{:.1}", time.as_secs_f64()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_is_named_and_listed() {
        let mut steps = Steps::default();
        steps.step("format", || Ok(())).unwrap();
        let error = steps
            .step("lint", || Err::<(), _>("a warning".into()))
            .unwrap_err();
        assert_eq!(error.to_string(), "step `lint`: a warning");
        let table = steps.table();
        assert!(table.contains("format  ok"), "{table}");
        assert!(table.contains("lint    FAILED"), "{table}");
    }

    #[test]
    fn the_data_of_the_examples_is_foreign_to_a_package() {
        let files = "Cargo.toml\nexamples/data/README.md\nexamples/train_mlp/idx.rs\ndata/t10k-images-idx3-ubyte.gz\n";
        let foreign = foreign(files);
        assert_eq!(
            foreign,
            ["examples/data/README.md", "data/t10k-images-idx3-ubyte.gz"]
        );
    }

    #[test]
    fn examples_are_files_and_folders_with_a_main() {
        let names = examples().unwrap();
        for name in ["quickstart", LONG_EXAMPLES[0].0, LONG_EXAMPLES[1].0] {
            assert!(names.iter().any(|found| found == name), "{name}");
        }
        // A module of several examples, and data.
        for name in ["mlp", "data"] {
            assert!(names.iter().all(|found| found != name), "{name}");
        }
    }
}
