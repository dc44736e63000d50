//! The tests of a copy of the tree, and whether one of them notices a change.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::fates::Fate;
use crate::Result;
use crate::command::{announce, cargo};

/// How the library takes in a shader, and how its copy here does.
const INCLUDED: &str = r#"include_str!(concat!("../../shaders/", $name, ".wgsl"))"#;
const READ: &str = r#"&*std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $name, ".wgsl")).expect("a shader").leak()"#;

/// The audit's tests: many times what the others take, and they seldom see more of the rest.
const AUDIT: &str = "audit::";

/// The tests of the cpu tier that take longer than its others together.
const PAIRS: &str = "contract::pairs::";

/// The test binaries of the copy.
pub struct Tests {
    pub tree: PathBuf,
    target: PathBuf,
    /// By tier.
    binaries: [PathBuf; 3],
    /// By tier, those that failed last: most mutants die by the same few.
    killers: [Vec<String>; 3],
    /// Selects one adapter's trials.
    adapter: String,
    /// The time limit of one test: much more than all of them take with the right library.
    limit: Duration,
}

/// A test binary of the library.
#[derive(Clone, Copy)]
enum Tier {
    Unit,
    Cpu,
    Gpu,
}

impl Tier {
    const ALL: [Self; 3] = [Self::Unit, Self::Cpu, Self::Gpu];

    /// How cargo is told to build it, and the source by which it names it.
    fn cargo_names(self) -> (&'static str, &'static str) {
        match self {
            Self::Unit => ("--lib", "src/lib.rs"),
            Self::Cpu => ("--test=cpu", "tests/cpu/main.rs"),
            Self::Gpu => ("--test=gpu", "tests/gpu/main.rs"),
        }
    }
}

/// How a run of a test binary ended.
enum Run {
    Passed,
    /// The test, and whether it says that a shader does not parse; only one run alone does.
    Failed(String, bool),
    TimedOut,
}

/// The first killers: they use every function of the mask contract, and take seconds.
const FIRST: [&str; 2] = [
    "functions::every_function_by_halves",
    "functions::every_function_by_u64",
];

/// How many tests are tried before all are.
const KILLERS: usize = 8;

impl Tests {
    /// Copies the tree and builds it, with shaders that are read when the tests run.
    pub fn build(root: &Path) -> Result<Self> {
        let folder = root.join("target/mutants");
        let tree = folder.join("tree");
        copy_tree(root, &tree)?;
        let source = tree.join("src/kernel/text.rs");
        let text = fs::read_to_string(&source)?;
        fs::write(&source, text.replacen(INCLUDED, READ, 1))?;
        let mut tests = Self {
            tree,
            target: folder.join("target"),
            binaries: Default::default(),
            killers: Default::default(),
            adapter: String::new(),
            limit: Duration::from_secs(600),
        };
        announce(&tests.cargo(&Tier::ALL));
        tests.rebuild(&Tier::ALL)?;

        let listing = Command::new(tests.binary(Tier::Gpu))
            .arg("--list")
            .stderr(Stdio::null())
            .output()?;
        tests.adapter = adapter(&String::from_utf8_lossy(&listing.stdout))
            .ok_or("there is no adapter to run mutants on: see `cargo xtask test`")?;
        let on_adapter = |test| format!("{test} {}", tests.adapter);
        tests.killers[Tier::Gpu as usize] = FIRST.map(on_adapter).into();
        println!("on {}", tests.adapter);
        let start = Instant::now();
        let fate = tests.rust_fate(false)?;
        if fate != Fate::Survived {
            return Err(format!("without a mutant: {}", fate.describe()).into());
        }
        println!(
            "without a mutant all pass, in {:.1} s\n",
            start.elapsed().as_secs_f64()
        );
        tests.limit = Duration::from_secs(30) + start.elapsed();
        Ok(tests)
    }

    fn cargo(&self, tiers: &[Tier]) -> Command {
        let mut cargo = cargo("test --package wgpu-dropout --no-run");
        cargo
            .args(tiers.iter().map(|tier| tier.cargo_names().0))
            // It compiles the kernels for every mutant.
            .args(["--config", "profile.dev.package.naga.opt-level=2"])
            .current_dir(&self.tree)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .env("CARGO_TERM_COLOR", "never");
        cargo
    }

    fn binary(&self, tier: Tier) -> &Path {
        &self.binaries[tier as usize]
    }

    /// Builds these tests of the copy as it is now.
    fn rebuild(&mut self, tiers: &[Tier]) -> Result {
        let output = self.cargo(tiers).output()?;
        let messages = String::from_utf8_lossy(&output.stderr);
        for &tier in tiers {
            let path = executable(&messages, tier.cargo_names().1)
                .ok_or_else(|| format!("the tests do not build:\n{messages}"))?;
            self.binaries[tier as usize] = self.tree.join(path);
        }
        Ok(())
    }

    /// The result of the copy with another shader.
    pub fn shader_fate(&mut self) -> Result<Fate> {
        let adapter = self.adapter.clone();
        let run = match self.run_tier(Tier::Gpu, &[&adapter])? {
            Run::Passed => self.run_tier(Tier::Unit, &["--skip", AUDIT])?,
            run => run,
        };
        Ok(self.fate(run))
    }

    /// The result of the copy with another line of Rust. A tier is built when the tiers before it
    /// have passed.
    pub fn rust_fate(&mut self, audit: bool) -> Result<Fate> {
        let adapter = self.adapter.clone();
        let tiers = if audit {
            vec![(Tier::Unit, vec![AUDIT]), (Tier::Gpu, vec![AUDIT])]
        } else {
            vec![
                (Tier::Cpu, vec!["--skip", PAIRS]),
                (Tier::Unit, vec!["--skip", AUDIT]),
                (Tier::Gpu, vec![&adapter, "--skip", AUDIT]),
                (Tier::Cpu, vec![PAIRS]),
                (Tier::Gpu, vec![AUDIT]),
            ]
        };
        for (tier, args) in tiers {
            if self.rebuild(&[tier]).is_err() {
                return Ok(Fate::Invalid);
            }
            match self.run_tier(tier, &args)? {
                Run::Passed => {}
                other => return Ok(self.fate(other)),
            }
        }
        Ok(Fate::Survived)
    }

    fn fate(&self, run: Run) -> Fate {
        match run {
            Run::Passed => Fate::Survived,
            Run::Failed(_, true) => Fate::Invalid,
            Run::Failed(test, false) => {
                Fate::Killed(test.replace(&self.adapter, "").trim().to_owned())
            }
            Run::TimedOut => Fate::TimedOut,
        }
    }

    /// Runs a tier's tests up to the first failure, the killers before the others.
    fn run_tier(&mut self, tier: Tier, args: &[&str]) -> Result<Run> {
        for place in 0..self.killers[tier as usize].len() {
            let run = self.alone(tier, &self.killers[tier as usize][place])?;
            if !matches!(run, Run::Passed) {
                self.killers[tier as usize][..=place].rotate_right(1);
                return Ok(run);
            }
        }
        let run = self.run(self.binary(tier), args)?;
        let Run::Failed(test, _) = run else {
            return Ok(run);
        };
        match self.alone(tier, &test)? {
            // It was the binary that ended.
            Run::Passed => Ok(Run::Failed(test, false)),
            run => {
                // Tests of the audit would only hold up the mutants of other files.
                if !test.starts_with(AUDIT) {
                    let killers = &mut self.killers[tier as usize];
                    killers.insert(0, test);
                    killers.truncate(KILLERS);
                }
                Ok(run)
            }
        }
    }

    fn alone(&self, tier: Tier, test: &str) -> Result<Run> {
        self.run(self.binary(tier), &["--exact", test])
    }

    /// Runs a test binary up to its first failure, or to its end if that is one test.
    fn run(&self, binary: &Path, args: &[&str]) -> Result<Run> {
        let mut child = Command::new(binary)
            .args(args)
            .current_dir(&self.tree)
            .env("REQUIRE_GPU", "1")
            // Chance must not decide about a mutant.
            .env("WGPU_DROPOUT_PROPERTY_SECONDS", "0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let (sender, lines) = mpsc::channel();
        let reader = thread::spawn(move || {
            // The receiver is gone once a test has failed.
            let lines = BufReader::new(stdout).lines().map_while(io::Result::ok);
            lines
                .into_iter()
                .try_for_each(|line| sender.send(line))
                .ok();
        });
        let alone = args.contains(&"--exact");
        let mut run = Run::Passed;
        let ended = loop {
            match lines.recv_timeout(self.limit) {
                Ok(line) => {
                    if let Some(test) = failed_test(&line) {
                        run = Run::Failed(test.to_owned(), false);
                        if !alone {
                            break false;
                        }
                    }
                    if let Run::Failed(_, refused) = &mut run {
                        *refused |= line.contains("Device::create_shader_module");
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    run = Run::TimedOut;
                    break false;
                }
                Err(RecvTimeoutError::Disconnected) => break true,
            }
        };
        if !ended {
            child.kill()?;
        }
        let status = child.wait()?;
        drop(lines);
        reader.join().map_err(|_| "the reader panicked")?;
        if matches!(run, Run::Passed) && !status.success() {
            return Ok(Run::Failed(format!("({status})"), false));
        }
        Ok(run)
    }
}

/// The name in `test NAME ... FAILED`.
fn failed_test(line: &str) -> Option<&str> {
    let (name, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
    result.ends_with("FAILED").then_some(name.trim_end())
}

/// The path in `Executable [unittests] SOURCE (PATH)`.
fn executable<'a>(messages: &'a str, source: &str) -> Option<&'a str> {
    let line = messages
        .lines()
        .find(|line| line.trim_start().starts_with("Executable ") && line.contains(source))?;
    line.split_once('(')?.1.strip_suffix(')')
}

/// `[backend/name]` of the first trial.
fn adapter(listing: &str) -> Option<String> {
    let name = listing
        .lines()
        .find_map(|line| line.strip_suffix(": test"))?;
    let adapter = &name[name.find(" [")? + 1..];
    adapter.contains('/').then(|| adapter.trim_end().to_owned())
}

/// Copies what git tracks or would track.
fn copy_tree(root: &Path, tree: &Path) -> Result {
    if tree.exists() {
        fs::remove_dir_all(tree)?;
    }
    let mut list = Command::new("git");
    list.current_dir(root);
    list.args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]);
    let output = list.output()?;
    if !output.status.success() {
        return Err("`git ls-files` failed: mutants are made in a clone".into());
    }
    for file in String::from_utf8(output.stdout)?.split_terminator('\0') {
        let (from, to) = (root.join(file), tree.join(file));
        // A file may be deleted and still tracked.
        if from.is_file() {
            fs::create_dir_all(to.parent().unwrap_or(tree))?;
            fs::copy(from, to)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::root;

    #[test]
    fn the_library_takes_in_shaders_as_this_expects() {
        let source = fs::read_to_string(root().unwrap().join("src/kernel/text.rs")).unwrap();
        assert_eq!(source.matches(INCLUDED).count(), 1);
        // The copy reads files, which no constant can.
        let constant = |line: &&str| line.contains("const ") && line.contains("shader!");
        assert_eq!(source.lines().find(constant), None);
    }

    #[test]
    fn failures_binaries_and_adapters_are_found_in_output() {
        let line = "test mask::golden [vulkan/llvmpipe (LLVM 15.0.6)]     ... FAILED";
        assert_eq!(
            failed_test(line),
            Some("mask::golden [vulkan/llvmpipe (LLVM 15.0.6)]")
        );
        assert_eq!(failed_test("test mask::golden ... ok"), None);
        assert_eq!(failed_test("test result: FAILED. 1 passed"), None);

        let messages = "\
    Finished `test` profile
  Executable unittests src/lib.rs (target/debug/deps/wgpu_dropout-0a)
  Executable tests/gpu/main.rs (target/debug/deps/gpu-0b)";
        assert_eq!(
            executable(messages, "tests/gpu/main.rs"),
            Some("target/debug/deps/gpu-0b")
        );
        assert_eq!(executable(messages, "tests/cpu/main.rs"), None);

        let listing = "forward::lengths [vulkan/llvmpipe (LLVM 15.0.6)]: test\n";
        assert_eq!(
            adapter(listing).as_deref(),
            Some("[vulkan/llvmpipe (LLVM 15.0.6)]")
        );
        assert_eq!(adapter("forward::lengths [no adapter]: test\n"), None);
    }
}
