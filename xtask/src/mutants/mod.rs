//! `mutants`: does some test notice each small change of the shaders?
//!
//! A copy of the tree under the target folder is built once, with shaders that are read when the
//! tests run; then each mutant is a changed shader file and a run up to the first failure.

mod equivalent;
mod rules;

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::command::{self, cargo, root};
use crate::table::table;
use equivalent::{EQUIVALENT, Equivalent};
use rules::{Kind, Mutant};

/// Mutants that may survive for want of a test, of those that change a result.
const SURVIVORS_PERCENT: usize = 5;
/// How the library takes in a shader, and how its copy here does.
const INCLUDED: &str = r#"include_str!(concat!("../shaders/", $name, ".wgsl"))"#;
const READ: &str = r#"&*std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $name, ".wgsl")).expect("a shader").leak()"#;

/// What `mutants` accepts.
#[derive(Debug, Default, PartialEq)]
struct Options {
    /// Lists the mutants and runs nothing.
    list: bool,
    /// Only these files' mutants; none for all.
    files: Vec<String>,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self::default();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--list" => options.list = true,
                "--file" => options
                    .files
                    .push(args.next().ok_or("--file needs a name")?),
                _ => return Err(format!("`mutants` has no option `{arg}`").into()),
            }
        }
        Ok(options)
    }
}

/// A shader and its mutants.
struct Shader {
    name: String,
    text: String,
    mutants: Vec<Mutant>,
}

/// How a mutant ended.
#[derive(Clone, Debug, PartialEq)]
enum Fate {
    /// The first test that failed.
    Killed(String),
    /// No WGSL any more.
    Invalid,
    TimedOut,
    Survived,
    /// Survived, as the list says it must, for this reason.
    Equivalent(&'static str),
}

pub fn run(args: impl Iterator<Item = String>) -> Result {
    let options = Options::parse(args)?;
    let root = root()?;
    let shaders = shaders(&root.join("shaders"), &options.files)?;
    if options.list {
        for shader in &shaders {
            for mutant in &shader.mutants {
                println!("{}", describe(shader, mutant));
            }
        }
        return Ok(());
    }
    let tests = Tests::build(&root)?;
    let mut fates = Vec::new();
    let mut wrong = stale(&shaders, &options.files);
    for shader in &shaders {
        let path = tests.tree.join("shaders").join(&shader.name);
        for mutant in &shader.mutants {
            fs::write(&path, mutant.apply(&shader.text))?;
            let reason = equivalence(shader, mutant);
            let fate = match (tests.fate()?, reason) {
                (Fate::Survived, Some(reason)) => Fate::Equivalent(reason),
                (fate, None) => fate,
                (fate, Some(_)) => {
                    let mutant = describe(shader, mutant);
                    wrong.push(format!(
                        "listed as equivalent, but it does not survive: {mutant}"
                    ));
                    fate
                }
            };
            println!("{}  {}", describe(shader, mutant), fate.describe());
            fates.push((shader.name.clone(), mutant.kind, fate));
        }
        fs::write(&path, &shader.text)?;
    }
    println!("\n{}", by_kind(&fates));
    println!("{}", by_file(&fates));
    verdict(&fates, &wrong)
}

/// The shaders in alphabetical order.
fn shaders(folder: &Path, only: &[String]) -> Result<Vec<Shader>> {
    let mut shaders = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".wgsl") && (only.is_empty() || only.contains(&name)) {
            let text = fs::read_to_string(entry.path())?;
            let mutants = rules::mutants(&text);
            shaders.push(Shader {
                name,
                text,
                mutants,
            });
        }
    }
    if shaders.len() < only.len() {
        return Err("shaders/ has not all these files".into());
    }
    shaders.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(shaders)
}

fn describe(shader: &Shader, mutant: &Mutant) -> String {
    let place = format!("{}:{}", shader.name, mutant.line);
    let to = match mutant.to.as_str() {
        "" => "nothing",
        to => to.trim_start(),
    };
    let kind = mutant.kind.name();
    let change = format!("{} -> {to}", mutant.from);
    format!("{place:<27} {kind:<10}  {change}")
}

/// Why the mutant changes no result, if the list has it.
fn equivalence(shader: &Shader, mutant: &Mutant) -> Option<&'static str> {
    EQUIVALENT
        .iter()
        .find(|listed| is(listed, shader, mutant))
        .map(|listed| listed.reason)
}

fn is(listed: &Equivalent, shader: &Shader, mutant: &Mutant) -> bool {
    let [above, line, changed] = mutant.lines(&shader.text);
    listed.file == shader.name
        && [listed.above, listed.line, listed.changed] == [above, line, changed]
}

/// Entries of the list that no mutant is.
fn stale(shaders: &[Shader], only: &[String]) -> Vec<String> {
    let is_mutant = |listed: &&Equivalent| {
        shaders.iter().any(|shader| {
            let mut mutants = shader.mutants.iter();
            mutants.any(|mutant| is(listed, shader, mutant))
        })
    };
    EQUIVALENT
        .iter()
        .filter(|listed| only.is_empty() || only.iter().any(|only| only == listed.file))
        .filter(|listed| !is_mutant(listed))
        .map(|listed| {
            format!(
                "listed as equivalent, but no mutant: {}: {}",
                listed.file, listed.changed
            )
        })
        .collect()
}

/// The test binaries of the copy.
struct Tests {
    tree: PathBuf,
    /// The library's unit tests.
    unit: PathBuf,
    /// The gpu tier.
    gpu: PathBuf,
    /// Selects one adapter's trials.
    adapter: String,
    /// Many times what a right shader takes.
    limit: Duration,
}

/// How a run of a test binary ended.
enum Run {
    Passed,
    Failed(String),
    TimedOut,
}

impl Tests {
    fn build(root: &Path) -> Result<Self> {
        let folder = root.join("target/mutants");
        let tree = folder.join("tree");
        copy_tree(root, &tree)?;
        let source = tree.join("src/source.rs");
        let text = fs::read_to_string(&source)?;
        fs::write(&source, text.replacen(INCLUDED, READ, 1))?;

        let mut build = cargo("test --package wgpu-dropout --lib --test gpu --no-run");
        build
            // It compiles the kernels for every mutant.
            .args(["--config", "profile.dev.package.naga.opt-level=2"])
            .current_dir(&tree)
            .env("CARGO_TARGET_DIR", folder.join("target"))
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .env("CARGO_TERM_COLOR", "never");
        command::announce(&build);
        let output = build.stderr(Stdio::piped()).output()?;
        let messages = String::from_utf8_lossy(&output.stderr);
        let executable = |source: &str| executable(&messages, source).map(|path| tree.join(path));
        let (Some(unit), Some(gpu)) = (executable("src/lib.rs"), executable("tests/gpu/main.rs"))
        else {
            return Err(format!("the tests do not build:\n{messages}").into());
        };

        let listing = Command::new(&gpu)
            .arg("--list")
            .stderr(Stdio::null())
            .output()?;
        let adapter = adapter(&String::from_utf8_lossy(&listing.stdout))
            .ok_or("there is no adapter to run mutants on: see `cargo xtask test`")?;
        println!("on {adapter}");
        let mut tests = Self {
            tree,
            unit,
            gpu,
            adapter,
            limit: Duration::from_secs(600),
        };
        let start = Instant::now();
        let fate = tests.fate()?;
        if fate != Fate::Survived {
            return Err(format!("without a mutant: {}", fate.describe()).into());
        }
        println!(
            "without a mutant all pass, in {:.1} s\n",
            start.elapsed().as_secs_f64()
        );
        tests.limit = Duration::from_secs(30) + 10 * start.elapsed();
        Ok(tests)
    }

    /// What becomes of the shaders as they are in the copy.
    fn fate(&self) -> Result<Fate> {
        let run = match self.run(Command::new(&self.gpu).arg(&self.adapter))? {
            Run::Failed(test) if self.refuses_shaders(&test)? => return Ok(Fate::Invalid),
            // The audit's unit tests run on the CPU.
            Run::Passed => self.run(Command::new(&self.unit).args(["--skip", "audit::"]))?,
            other => other,
        };
        Ok(match run {
            Run::Passed => Fate::Survived,
            Run::Failed(test) => Fate::Killed(test.replace(&self.adapter, "").trim().to_owned()),
            Run::TimedOut => Fate::TimedOut,
        })
    }

    /// Whether a trial fails because its shader does not parse; only a whole run prints why.
    fn refuses_shaders(&self, test: &str) -> Result<bool> {
        let output = Command::new(&self.gpu).args(["--exact", test]).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).contains("Device::create_shader_module"))
    }

    /// Runs a test binary up to its first failure.
    fn run(&self, command: &mut Command) -> Result<Run> {
        let end = Instant::now() + self.limit;
        let mut child = command
            .current_dir(&self.tree)
            .env("REQUIRE_GPU", "1")
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
        let mut run = Run::Passed;
        loop {
            match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    if let Some(test) = failed_test(&line) {
                        run = Run::Failed(test.to_owned());
                        break;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    run = Run::TimedOut;
                    break;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if !matches!(run, Run::Passed) {
            child.kill()?;
        }
        let status = child.wait()?;
        drop(lines);
        reader.join().map_err(|_| "the reader panicked")?;
        if matches!(run, Run::Passed) && !status.success() {
            return Ok(Run::Failed(format!("({status})")));
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

impl Fate {
    fn describe(&self) -> String {
        match self {
            Self::Killed(test) => format!("killed by {test}"),
            Self::Invalid => "not valid WGSL".into(),
            Self::TimedOut => "timed out".into(),
            Self::Survived => "SURVIVED".into(),
            Self::Equivalent(reason) => format!("equivalent: {reason}"),
        }
    }

    /// Its column of the tables.
    fn column(&self) -> usize {
        match self {
            Self::Killed(_) => 0,
            Self::Invalid => 1,
            Self::TimedOut => 2,
            Self::Survived => 3,
            Self::Equivalent(_) => 4,
        }
    }
}

type Fates = [(String, Kind, Fate)];

fn by_kind(fates: &Fates) -> String {
    let rows = Kind::ALL.map(|kind| {
        let fates = fates.iter().filter(move |(_, of, _)| *of == kind);
        (kind.name().to_owned(), counts(fates))
    });
    counts_table("kind", rows.to_vec())
}

fn by_file(fates: &Fates) -> String {
    let mut files: Vec<_> = fates.iter().map(|(file, ..)| file).collect();
    files.dedup();
    let rows = files.into_iter().map(|file| {
        let fates = fates.iter().filter(move |(of, ..)| of == file);
        (file.clone(), counts(fates))
    });
    counts_table("file", rows.collect())
}

fn counts<'a>(fates: impl Iterator<Item = &'a (String, Kind, Fate)>) -> [usize; 5] {
    let mut counts = [0; 5];
    for (_, _, fate) in fates {
        counts[fate.column()] += 1;
    }
    counts
}

fn counts_table(head: &str, mut rows: Vec<(String, [usize; 5])>) -> String {
    let all = rows.iter().fold([0; 5], |mut sum, (_, counts)| {
        sum.iter_mut()
            .zip(counts)
            .for_each(|(sum, count)| *sum += count);
        sum
    });
    rows.push(("all".into(), all));
    let heads = [
        "mutants",
        "killed",
        "not valid",
        "timed out",
        "survived",
        "equivalent",
    ];
    let mut cells = vec![
        [&[head], &heads[..]]
            .concat()
            .into_iter()
            .map(String::from)
            .collect(),
    ];
    cells.extend(rows.into_iter().map(|(name, counts)| {
        let total = counts.iter().sum::<usize>();
        let numbers = [total].into_iter().chain(counts).map(|n| n.to_string());
        [name].into_iter().chain(numbers).collect()
    }));
    table(&cells, heads.len())
}

fn verdict(fates: &Fates, wrong: &[String]) -> Result {
    let [killed, invalid, timed_out, survived, _] = counts(fates.iter());
    let counted = killed + invalid + timed_out + survived;
    let percent = 100.0 * (counted - survived) as f64 / counted as f64;
    println!("{percent:.1} % killed of the {counted} that change a result");
    io::stdout().flush()?;
    if !wrong.is_empty() {
        return Err(wrong.join("\n").into());
    }
    if 100 * survived > SURVIVORS_PERCENT * counted {
        return Err(format!("less than {} % killed", 100 - SURVIVORS_PERCENT).into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Options> {
        Options::parse(args.iter().map(ToString::to_string))
    }

    #[test]
    fn options_are_read() {
        let options = parse(&["--list", "--file", "mask.wgsl"]).unwrap();
        assert!(options.list);
        assert_eq!(options.files, ["mask.wgsl"]);
        assert!(parse(&["--file"]).is_err());
        assert!(parse(&["mask.wgsl"]).is_err());
    }

    #[test]
    fn the_library_takes_in_shaders_as_this_expects() {
        let source = fs::read_to_string(root().unwrap().join("src/source.rs")).unwrap();
        assert_eq!(source.matches(INCLUDED).count(), 1);
    }

    #[test]
    fn every_listed_equivalent_is_a_mutant() {
        let shaders = shaders(&root().unwrap().join("shaders"), &[]).unwrap();
        assert_eq!(stale(&shaders, &[]), [""; 0]);
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

    #[test]
    fn one_survivor_in_twenty_is_the_most() {
        let fates = |survived: usize| -> Vec<_> {
            (0..20)
                .map(|i| match i < survived {
                    true => Fate::Survived,
                    false => Fate::Killed("a test".into()),
                })
                .chain([Fate::Equivalent("a reason")])
                .map(|fate| ("mask.wgsl".to_owned(), Kind::Lane, fate))
                .collect()
        };
        assert!(verdict(&fates(1), &[]).is_ok());
        assert!(verdict(&fates(2), &[]).is_err());
        assert!(verdict(&fates(0), &["a stale entry".to_owned()]).is_err());
        let table = by_file(&fates(1));
        assert!(table.contains("mask.wgsl       21      19"), "{table}");
    }
}
