//! `matrix`: the gpu tier and the auditor on every adapter that can be had here, a process each.

pub mod stacks;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Result;
use crate::adapters::{self, Need, Profile};
use crate::command::{command_line, root, run as run_command};
use crate::debian::Apt;
use crate::report::Counts;
use crate::suite;
use crate::table::table;
use crate::web;
use stacks::STACKS;

/// One file an adapter: what `verify --json` writes. docs/adapters.md has a row for each.
pub const RECORDS: &str = "adapters";

/// Where drivers are unpacked, below the root.
pub const FOLDER: &str = "target/matrix";

/// Variables that a process gets.
type Variables<'a> = [(&'a str, &'a str)];

/// The options of `matrix`.
#[derive(Debug, PartialEq)]
struct Options {
    /// True if drivers may be installed and fetched.
    install: bool,
    /// True if the audits become records.
    record: bool,
}

impl Options {
    fn parse(args: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            install: true,
            record: false,
        };
        for arg in args {
            match arg.as_str() {
                "--no-install" => options.install = false,
                "--record" => options.record = true,
                _ => return Err(format!("`matrix` has no option `{arg}`").into()),
            }
        }
        Ok(options)
    }
}

/// An adapter's row.
struct Row {
    /// The driver stack; `None` is this machine's own.
    stack: Option<&'static str>,
    label: String,
    /// Trials of the gpu tier.
    trials: Counts,
    /// True if the trials ended as tests do. A driver's crash fails no trial.
    ended: bool,
    trials_time: Duration,
    /// `None` where the audit is one of the trials.
    audit_time: Option<Duration>,
    audit: Value,
}

/// Fails where a trial, a check or a mask hash does.
pub fn run(args: impl Iterator<Item = String>) -> Result {
    let options = Options::parse(args)?;
    let root = root()?;
    let folder = root.join(FOLDER);
    let records = if options.record {
        root.join(RECORDS)
    } else {
        folder.clone()
    };
    fs::create_dir_all(&records)?;
    adapters::ensure(Need::SOFTWARE, Profile::Dev, options.install)?;

    let mut rows = Vec::new();
    for label in labels(&[], "")? {
        rows.push(Row::try_on(None, label, &[], &records)?);
    }
    let mut without = Vec::new();
    if options.install {
        let apt = Apt::new(&folder);
        for stack in &STACKS {
            let found = match &apt {
                Ok(apt) => stack.unpack(apt),
                Err(reason) => Err(reason.to_string().into()),
            };
            match found {
                Ok(found) => {
                    let found = found.map(|(name, path)| (name, path.display().to_string()));
                    let variables = found.each_ref().map(|(name, path)| (*name, path.as_str()));
                    let labels = labels(&variables, "vulkan/")?;
                    if labels.is_empty() {
                        return Err(format!("{} has no adapter", stack.name).into());
                    }
                    for label in labels {
                        rows.push(Row::try_on(Some(stack.name), label, &variables, &records)?);
                    }
                }
                Err(reason) => without.push(format!("{}: {reason}", stack.name)),
            }
        }
    }
    rows.push(Row::try_in_browser(&records, options.install)?);
    println!("\n{}", matrix(&rows));
    for line in without {
        println!("without {line}");
    }
    verdict(&rows)
}

impl Row {
    fn try_on(
        stack: Option<&'static str>,
        label: String,
        variables: &Variables<'_>,
        records: &Path,
    ) -> Result<Self> {
        let start = Instant::now();
        // The name alone would be part of another's with ` #2` behind it.
        let filter = format!("[{label}]");
        let report = suite::run(
            &["--test", "gpu", "--", &filter].map(String::from),
            variables,
        )?;
        let trials_time = start.elapsed();

        let start = Instant::now();
        let file = records.join(file_name(stack, &label));
        let mut verify = Command::new(command_line()?);
        verify
            .args(["verify", "--adapter"])
            .arg(&label)
            .arg("--json")
            .arg(&file);
        // The findings are in the file.
        let found = run_command(verify.envs(variables.iter().copied()));
        let audit = serde_json::from_str(&fs::read_to_string(&file)?)?;
        if let Err(error) = found {
            println!("{error}");
        }
        Ok(Self {
            stack,
            label,
            trials: report.counts(),
            ended: report.verdict().is_ok(),
            trials_time,
            audit_time: Some(start.elapsed()),
            audit,
        })
    }

    /// The page's tests are its trials, and one of them saves the page's audit.
    fn try_in_browser(records: &Path, install: bool) -> Result<Self> {
        let stack = Some("browser");
        let trial = web::try_in_browser(&web::build(install)?, install)?;
        let text = fs::read_to_string(&trial.audit)
            .map_err(|error| format!("the page saved no audit: {error}"))?;
        let audit: Value = serde_json::from_str(&text)?;
        let name = audit["adapters"][0]["name"].as_str().unwrap_or("unnamed");
        let label = format!("webgpu/{name}");
        fs::write(records.join(file_name(stack, &label)), text)?;
        let (trials, trials_time) = (trial.counts, trial.time);
        let outcome = trial.verdict();
        if let Err(error) = &outcome {
            println!("{error}");
        }
        Ok(Self {
            stack,
            label,
            trials,
            ended: outcome.is_ok(),
            trials_time,
            audit_time: None,
            audit,
        })
    }

    fn stack(&self) -> &'static str {
        self.stack.unwrap_or("this machine's")
    }

    fn adapter(&self) -> &Value {
        &self.audit["adapters"][0]
    }

    fn passed(&self) -> bool {
        let [passed, failed, _] = self.trials.numbers();
        passed > 0 && failed == 0 && self.ended && self.adapter()["passed"] == true
    }
}

/// `vulkan-llvmpipe-llvm-15-0-6-256-bits.json`, with the stack in front if it was brought here.
fn file_name(stack: Option<&str>, label: &str) -> PathBuf {
    let words = label
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase);
    let stack = stack.map(str::to_owned);
    PathBuf::from(stack.into_iter().chain(words).collect::<Vec<_>>().join("-") + ".json")
}

/// `backend/name` of the adapters that are found with these variables.
fn labels(variables: &Variables<'_>, backend: &str) -> Result<Vec<String>> {
    let output = Command::new(command_line()?)
        .args(["adapters", "--json"])
        .envs(variables.iter().copied())
        .stderr(Stdio::inherit())
        .output()?;
    // Without an adapter nothing is printed.
    let adapters: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let label = |adapter: &Value| {
        let label = format!(
            "{}/{}",
            adapter["backend"].as_str()?,
            adapter["name"].as_str()?
        );
        label.starts_with(backend).then_some(label)
    };
    Ok(adapters.iter().filter_map(label).collect())
}

fn matrix(rows: &[Row]) -> String {
    let heads = [
        "stack",
        "adapter",
        "driver",
        "mask hash",
        "audit",
        "seconds",
        "passed",
        "failed",
        "skipped",
        "seconds",
    ];
    let mut cells = vec![heads.map(String::from).to_vec()];
    cells.extend(rows.iter().map(|row| {
        let adapter = row.adapter();
        let text = |name: &str| adapter[name].as_str().unwrap_or("-").to_owned();
        let word = if adapter["passed"] == true {
            "ok"
        } else {
            "FAILED"
        };
        let [passed, failed, skipped] = row.trials.numbers();
        let seconds = |time: Duration| format!("{:.0}", time.as_secs_f64());
        vec![
            row.stack().to_owned(),
            row.label.clone(),
            text("driver_info"),
            text("mask_hash"),
            word.to_owned(),
            row.audit_time.map_or("-".to_owned(), seconds),
            passed.to_string(),
            failed.to_string(),
            skipped.to_string(),
            seconds(row.trials_time),
        ]
    }));
    table(&cells, 5)
}

fn verdict(rows: &[Row]) -> Result {
    let wrong: Vec<_> = rows
        .iter()
        .filter(|row| !row.passed())
        .map(|row| format!("{} on {}", row.label, row.stack()))
        .collect();
    if !wrong.is_empty() {
        return Err(format!("wrong: {}", wrong.join(", ")).into());
    }
    let hash = |row: &Row| row.adapter()["mask_hash"].clone();
    let mut hashes: Vec<_> = rows.iter().map(hash).collect();
    hashes.dedup();
    match &hashes[..] {
        [one] => {
            println!("{} adapters passed, with one mask hash: {one}", rows.len());
            Ok(())
        }
        _ => Err(format!("not one mask hash: {hashes:?}").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_after_stack_and_adapter() {
        let label = "vulkan/SwiftShader Device (Subzero)";
        assert_eq!(
            file_name(Some("swiftshader"), label),
            Path::new("swiftshader-vulkan-swiftshader-device-subzero.json")
        );
        assert_eq!(
            file_name(None, "gl/llvmpipe"),
            Path::new("gl-llvmpipe.json")
        );
    }

    #[test]
    fn a_wrong_adapter_and_a_second_hash_are_errors() {
        let row = |passed: bool, hash: &str, trials: &str| Row {
            stack: None,
            label: "gl/x".into(),
            trials: Counts::confirmed(trials).unwrap(),
            ended: true,
            trials_time: Duration::ZERO,
            audit_time: None,
            audit: serde_json::json!({ "adapters": [{ "passed": passed, "mask_hash": hash }] }),
        };
        let ok = "test result: ok. 3 passed; 0 failed; 1 ignored;";
        let failed = "test result: FAILED. 3 passed; 1 failed; 1 ignored;";
        let none = "test result: ok. 0 passed; 0 failed; 1 ignored;";
        assert!(verdict(&[row(true, "a", ok), row(true, "a", ok)]).is_ok());
        assert!(verdict(&[row(true, "a", ok), row(true, "b", ok)]).is_err());
        assert!(verdict(&[row(false, "a", ok)]).is_err());
        assert!(verdict(&[row(true, "a", failed)]).is_err());
        assert!(verdict(&[row(true, "a", none)]).is_err());
        let crashed = Row {
            ended: false,
            ..row(true, "a", ok)
        };
        assert!(verdict(&[crashed]).is_err());
        assert!(verdict(&[]).is_err());
    }
}
