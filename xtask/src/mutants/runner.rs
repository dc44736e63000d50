//! The tests of a copy of the tree, and whether one of them notices a change.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use xshell::{Shell, cmd};

use crate::Result;
use crate::command::test_binary;

/// How the library takes in a shader, and how its copy here does.
const INCLUDED: &str = r#"include_str!(concat!("../../shaders/", $name, ".wgsl"))"#;
const READ: &str = r#"&*std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $name, ".wgsl")).expect("a shader").leak()"#;

/// The audit's tests: many times what the others take, and they seldom see more of the rest.
const AUDIT: &str = "audit::";

/// How many tests are tried before all are.
const KILLERS: usize = 8;

/// The test binaries of the copy.
pub struct Tests {
    pub tree: PathBuf,
    unit: PathBuf,
    gpu: PathBuf,
    /// Trials that failed last: most mutants die by the same few.
    killers: Vec<String>,
    /// Selects one adapter's trials.
    adapter: String,
    /// The time limit of one test: much more than all of them take with the right shaders.
    limit: Duration,
}

/// How a run of a test binary ended.
#[derive(PartialEq)]
pub enum Run {
    Passed,
    /// The test, and whether it says that a shader does not parse; only one run alone does.
    Failed(String, bool),
    TimedOut,
}

impl Tests {
    /// Copies the tree and builds it, with shaders that are read when the tests run.
    pub fn build(sh: &Shell) -> Result<Self> {
        let folder = sh.create_dir("target/mutants")?;
        let tree = folder.join("tree");
        copy_tree(sh, &tree)?;
        let source = tree.join("src/kernel/text.rs");
        let text = sh.read_file(&source)?;
        sh.write_file(&source, text.replacen(INCLUDED, READ, 1))?;
        let _tree = sh.push_dir(&tree);
        let _target = sh.push_env("CARGO_TARGET_DIR", folder.join("target"));
        let _debug = sh.push_env("CARGO_PROFILE_DEV_DEBUG", "0");
        // naga compiles the kernels for every mutant.
        let build = "test --package wgpu-dropout --no-run --lib --test gpu \
                     --config profile.dev.package.naga.opt-level=2";
        let binary = |source| test_binary(sh, build, source);
        let mut tests = Self {
            unit: binary("src/lib.rs")?,
            gpu: binary("tests/gpu/main.rs")?,
            killers: Vec::new(),
            adapter: String::new(),
            limit: Duration::from_secs(600),
            tree,
        };
        let listing = sh.cmd(&tests.gpu).arg("--list").read()?;
        tests.adapter = adapter(&listing)
            .ok_or("there is no adapter to run mutants on: see `cargo xtask test`")?;
        println!("on {}", tests.adapter);
        let start = Instant::now();
        if let Run::Failed(test, _) = tests.try_shaders()? {
            return Err(format!("without a mutant {test} fails").into());
        }
        let seconds = start.elapsed().as_secs_f64();
        println!("without a mutant all pass, in {seconds:.1} s\n");
        tests.limit = Duration::from_secs(30) + start.elapsed();
        Ok(tests)
    }

    /// Runs the gpu tier, the killers before the others, and then the unit tests, up to the first failure.
    pub fn try_shaders(&mut self) -> Result<Run> {
        let alone = |tests: &Self, test: &str| tests.run(&tests.gpu, &["--exact", test]);
        for place in 0..self.killers.len() {
            let run = alone(self, &self.killers[place])?;
            if run != Run::Passed {
                self.killers[..=place].rotate_right(1);
                return Ok(run);
            }
        }
        let run = match self.run(&self.gpu, &[&self.adapter])? {
            Run::Passed => return self.run(&self.unit, &["--skip", AUDIT]),
            Run::TimedOut => return Ok(Run::TimedOut),
            Run::Failed(test, _) => match alone(self, &test)? {
                // It was the binary that ended.
                Run::Passed => return Ok(Run::Failed(test, false)),
                run => run,
            },
        };
        if let Run::Failed(test, _) = &run
            && !test.starts_with(AUDIT)
        {
            // Tests of the audit would hold up the mutants of other files.
            self.killers.insert(0, test.clone());
            self.killers.truncate(KILLERS);
        }
        Ok(run)
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
        let stdout = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        let (sender, lines) = mpsc::channel();
        // It ends with the child, or once nobody receives.
        thread::spawn(move || {
            let mut lines = stdout.lines().map_while(std::result::Result::ok);
            lines.try_for_each(|line| sender.send(line))
        });
        let is_alone = args.contains(&"--exact");
        let mut run = Run::Passed;
        loop {
            match lines.recv_timeout(self.limit) {
                Ok(line) => {
                    if let Some(test) = failed_test(&line) {
                        run = Run::Failed(test.to_owned(), false);
                        if !is_alone {
                            break;
                        }
                    }
                    if let Run::Failed(_, refused) = &mut run {
                        *refused |= line.contains("Device::create_shader_module");
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    run = Run::TimedOut;
                    break;
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let status = child.wait()?;
                    if run == Run::Passed && !status.success() {
                        run = Run::Failed(format!("({status})"), false);
                    }
                    return Ok(run);
                }
            }
        }
        child.kill()?;
        child.wait()?;
        Ok(run)
    }
}

/// The name in `test NAME ... FAILED`.
fn failed_test(line: &str) -> Option<&str> {
    let (name, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
    result.ends_with("FAILED").then_some(name.trim_end())
}

/// `[backend/name]` of the first trial.
fn adapter(listing: &str) -> Option<String> {
    let mut lines = listing.lines();
    let name = lines.find_map(|line| line.strip_suffix(": test"))?;
    let adapter = &name[name.find(" [")? + 1..];
    adapter.contains('/').then(|| adapter.trim_end().to_owned())
}

/// Copies what git tracks or would track.
fn copy_tree(sh: &Shell, tree: &Path) -> Result {
    sh.remove_path(tree)?;
    let files = cmd!(sh, "git ls-files -co --exclude-standard").read()?;
    // A file may be deleted and still tracked.
    for file in files.lines().filter(|file| sh.path_exists(file)) {
        let to = tree.join(file);
        sh.create_dir(to.parent().unwrap_or(tree))?;
        sh.copy_file(file, to)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::shell;

    #[test]
    fn the_library_takes_in_shaders_as_this_expects() {
        let source = shell().unwrap().read_file("src/kernel/text.rs").unwrap();
        assert_eq!(source.matches(INCLUDED).count(), 1);
        // The copy reads files, which no constant can.
        let constant = |line: &&str| line.contains("const ") && line.contains("shader!");
        assert_eq!(source.lines().find(constant), None);
    }
}
