//! `verify`: runs the library's audit on adapters, and prints tables, or JSON for a bug report.

mod markdown;

use std::env::consts::{ARCH, OS};
use std::fmt::Write as _;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::{Context, Result, anyhow, bail};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use wgpu::{Adapter, AdapterInfo};
use wgpu_dropout::audit::{self, AuditOptions, AuditReport, CHECKS, MASK_HASH, Outcome};
use wgpu_dropout::mask::MASK_VERSION;

use crate::adapters;
use crate::engine::{AdapterArgs, Gpu};
use crate::number;
use crate::output::{self, Output};

/// The width of tables, in columns of a terminal.
const WIDTH: u16 = 100;
/// Version of the JSON. It changes if a reader of the old version would misunderstand the new one.
const JSON_VERSION: u32 = 1;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Verify every adapter that matches, one after the other
    #[arg(long)]
    all: bool,
    /// Write the results as JSON, for a bug report; `-` is standard output, instead of the tables
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write rows for a table of adapters in Markdown; `-` is standard output, instead of the
    /// tables
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Check nothing, and make the rows of --markdown from a file of --json or of the web page
    #[arg(
        long,
        value_name = "FILE",
        requires = "markdown",
        conflicts_with_all = ["json", "all", "long", "seed", "AdapterArgs"]
    )]
    from: Option<PathBuf>,
    /// Dispatch every kernel that the adapter can run, and the largest ranges that it can bind.
    /// This takes minutes, on a software adapter more than 25
    #[arg(long)]
    long: bool,
    /// The seed of keys, lengths, layouts and values; by default a fixed one, with --long a random
    /// one
    #[arg(long, value_name = "SEED", value_parser = number::integer::<u64>, allow_hyphen_values = true)]
    seed: Option<u64>,
    #[command(flatten)]
    adapter: AdapterArgs,
}

impl Args {
    fn options(&self) -> AuditOptions {
        match (self.long, self.seed) {
            // This hasher's keys are the random numbers with which std seeds its maps.
            (true, seed) => {
                AuditOptions::long(seed.unwrap_or_else(|| RandomState::new().hash_one(())))
            }
            (false, Some(seed)) => AuditOptions::default().with_seed(seed),
            (false, None) => AuditOptions::default(),
        }
    }
}

/// An adapter and the result of its audit.
struct Audited {
    info: AdapterInfo,
    /// The report, or the reason why there was no device to audit.
    report: Result<AuditReport, String>,
}

pub fn run(args: &Args) -> Result<()> {
    if let (Some(from), Some(to)) = (&args.from, &args.markdown) {
        let wrong = || format!("{} is no record of an audit", from.display());
        let record = serde_json::from_slice(&fs::read(from).with_context(wrong)?);
        let mut output = Output::create(to)?;
        markdown::write(&mut output, &record.with_context(wrong)?).with_context(wrong)?;
        return output.finish();
    }
    let adapters = args.adapter.adapters(args.all)?;
    // The file is opened first, so that an error comes before the work and not after it.
    let json = args.json.as_deref().map(Output::create).transpose()?;
    let markdown = args.markdown.as_deref().map(Output::create).transpose()?;
    let style = ProgressStyle::with_template("{bar:40} {pos:>3} of {len} checks  {msg}")?;
    let bar = ProgressBar::new((adapters.len() * CHECKS.len()) as u64).with_style(style);
    let options = args.options();
    let audits: Vec<_> = adapters
        .iter()
        .map(|adapter| Audited::new(adapter, &options, &bar))
        .collect();
    bar.finish_and_clear();

    let written = json.map_or(Ok(()), |mut json| {
        output::write_json(&mut json, &Record::new(&audits))?;
        json.finish()
    });
    let rows = markdown.map_or(Ok(()), |mut markdown| {
        markdown::write(&mut markdown, &serde_json::to_value(Record::new(&audits))?)?;
        markdown.finish()
    });
    let written = output::both(written, rows);
    let mut files = args.json.iter().chain(&args.markdown);
    let printed = match files.any(|path| output::is_stdout(path)) {
        true => Ok(()),
        false => write!(io::stdout(), "{}", text(&audits)),
    };
    let results = output::both(written, printed.map_err(Into::into));
    match (verdict(&audits), results) {
        // The audit failed, and its record could not be written: report both errors.
        (Err(failed), Err(lost)) if !output::is_closed_pipe(&lost) => {
            Err(anyhow!("{failed:#}\n{lost:#}"))
        }
        (verdict, results) => verdict.and(results),
    }
}

impl Audited {
    fn new(adapter: &Adapter, options: &AuditOptions, bar: &ProgressBar) -> Self {
        let info = adapter.get_info();
        bar.set_message(adapters::label(&info));
        let end = bar.position() + CHECKS.len() as u64;
        let report = Gpu::open(adapter)
            .map(|gpu| {
                let audit = audit::audit_with(&gpu.device, &gpu.queue, options, |_| bar.inc(1));
                pollster::block_on(audit)
            })
            .map_err(|error| format!("{error:#}"));
        bar.set_position(end);
        Self { info, report }
    }

    fn passed(&self) -> bool {
        self.report.as_ref().is_ok_and(AuditReport::passed)
    }

    /// A check for each of [`CHECKS`]. Empty without a device.
    fn checks(&self) -> &[audit::Check] {
        self.report.as_ref().map_or(&[], |report| &report.checks)
    }

    /// The expected and the found mask hash, if they differ.
    fn wrong_hash(&self) -> Option<(String, String)> {
        let hash = self.report.as_ref().ok()?.mask_hash;
        let got = hash.map_or("none".to_owned(), hex);
        (hash != Some(MASK_HASH)).then(|| (hex(MASK_HASH), got))
    }
}

fn hex(hash: u64) -> String {
    format!("{hash:016x}")
}

/// A word for the outcome, and its details.
fn describe(outcome: &Outcome) -> (&'static str, String) {
    match outcome {
        Outcome::Passed { figure } => ("ok", figure.clone()),
        Outcome::Failed { expected, got } => ("FAILED", difference(expected, got)),
        Outcome::NotApplicable { reason } => ("n/a", reason.clone()),
        other => ("?", format!("{other:?}")),
    }
}

fn difference(expected: &str, got: &str) -> String {
    format!("expected {expected}\ngot {got}")
}

/// Fails if any adapter failed, with an error that lists every failure.
fn verdict(audits: &[Audited]) -> Result<()> {
    let mut wrong = String::new();
    for audited in audits {
        let label = adapters::label(&audited.info);
        if let Err(error) = &audited.report {
            write!(wrong, "\n{label}: {error}")?;
        }
        for check in audited.checks() {
            if let Outcome::Failed { expected, got } = &check.outcome {
                let name = &check.name;
                write!(wrong, "\n{label}: {name}: expected {expected}; got {got}")?;
            }
        }
        if let Some((expected, got)) = audited.wrong_hash() {
            write!(
                wrong,
                "\n{label}: mask hash: expected {expected}; got {got}"
            )?;
        }
    }
    if !wrong.is_empty() {
        let failed = audits.iter().filter(|audited| !audited.passed()).count();
        bail!("{failed} of {} adapters failed:{wrong}", audits.len());
    }
    Ok(())
}

/// The text for standard output: a row for each adapter, then the figures of each.
fn text(audits: &[Audited]) -> String {
    let mut text = format!("{}\n", overview(audits).trim_fmt());
    for audited in audits {
        let _ = write!(text, "\n{}", details(audited));
    }
    let right = audits.iter().filter(|a| a.passed()).count();
    let _ = writeln!(
        text,
        "\n{right} of {} adapters passed. Mask hash of contract version {MASK_VERSION}: {}",
        audits.len(),
        hex(MASK_HASH),
    );
    text
}

fn new_table() -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH);
    table
}

/// A table with a row for each adapter: its verdict, the number of checks that passed, and the
/// numbers of those that failed.
fn overview(audits: &[Audited]) -> Table {
    let mut table = new_table();
    table.set_header(["adapter", "verdict", "passed", "n/a", "failed"]);
    for audited in audits {
        let verdict = if audited.passed() { "ok" } else { "FAILED" };
        let checks = audited.checks().iter();
        let words: Vec<_> = checks.map(|check| describe(&check.outcome).0).collect();
        let count = |word| words.iter().filter(|other| **other == word).count();
        let failed = (1..).zip(&words).filter(|(_, word)| **word == "FAILED");
        let failed: Vec<_> = failed.map(|(number, _)| number.to_string()).collect();
        table.add_row([
            adapters::label(&audited.info),
            verdict.to_owned(),
            count("ok").to_string(),
            count("n/a").to_string(),
            failed.join(", "),
        ]);
    }
    pad(&mut table);
    table
}

fn details(audited: &Audited) -> String {
    let info = &audited.info;
    let driver = format!("{} {}", info.driver, info.driver_info);
    let head = format!(
        "{}: {}, {}",
        adapters::label(info),
        adapters::type_name(info.device_type),
        driver.trim(),
    );
    let report = match &audited.report {
        Ok(report) => report,
        Err(error) => return format!("{head}\nFAILED: {error}\n"),
    };
    let mut table = new_table();
    for (check, number) in report.checks.iter().zip(1..) {
        let (word, figure) = describe(&check.outcome);
        table.add_row([&number.to_string(), &*check.name, word, &figure]);
    }
    let (word, figure) = match audited.wrong_hash() {
        Some((expected, got)) => ("FAILED", difference(&expected, &got)),
        None => ("ok", hex(MASK_HASH)),
    };
    table.add_row(["", "mask hash", word, &figure]);
    if report.options != AuditOptions::default() {
        let AuditOptions { long, seed, .. } = report.options;
        let command = format!("verify {}--seed {seed}", if long { "--long " } else { "" });
        table.add_row(["", "run again by", "", &command]);
    }
    pad(&mut table);
    if let Some(column) = table.column_mut(0) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{head}\n{}\n", table.trim_fmt())
}

fn pad(table: &mut Table) {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
}

/// The results as JSON.
#[derive(Debug, Serialize)]
struct Record<'a> {
    version: u32,
    command: &'static str,
    date: String,
    library: &'static str,
    contract: u32,
    os: &'static str,
    architecture: &'static str,
    passed: bool,
    mask_hash_of_contract: String,
    adapters: Vec<RecordedAdapter<'a>>,
}

#[derive(Debug, Serialize)]
struct RecordedAdapter<'a> {
    backend: &'static str,
    name: &'a str,
    device_type: &'static str,
    driver: &'a str,
    driver_info: &'a str,
    /// PCI numbers, 0 if the backend does not tell them.
    vendor_id: u32,
    device_id: u32,
    passed: bool,
    mask_hash: Option<String>,
    /// The options, if they are not the default.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    options: Option<AuditOptions>,
    /// The reason why no check could run.
    error: Option<&'a str>,
    checks: &'a [audit::Check],
}

impl<'a> Record<'a> {
    fn new(audits: &'a [Audited]) -> Self {
        Self {
            version: JSON_VERSION,
            command: "verify",
            date: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            // All packages of the workspace have the same version.
            library: env!("CARGO_PKG_VERSION"),
            contract: MASK_VERSION,
            os: OS,
            architecture: ARCH,
            passed: audits.iter().all(Audited::passed),
            mask_hash_of_contract: hex(MASK_HASH),
            adapters: audits.iter().map(RecordedAdapter::new).collect(),
        }
    }
}

impl<'a> RecordedAdapter<'a> {
    fn new(audited: &'a Audited) -> Self {
        let Audited { info, report } = audited;
        Self {
            backend: info.backend.to_str(),
            name: &info.name,
            device_type: adapters::type_name(info.device_type),
            driver: &info.driver,
            driver_info: &info.driver_info,
            vendor_id: info.vendor,
            device_id: info.device,
            passed: audited.passed(),
            mask_hash: report.as_ref().ok().and_then(|r| r.mask_hash).map(hex),
            options: report
                .as_ref()
                .ok()
                .map(|report| report.options)
                .filter(|options| *options != AuditOptions::default()),
            error: report.as_ref().err().map(String::as_str),
            checks: audited.checks(),
        }
    }
}

#[cfg(test)]
mod tests {
    use wgpu::{Backend, DeviceType};

    use super::*;

    /// An audit whose first check has this outcome, and whose other checks passed.
    fn audited(name: &str, first: Outcome) -> Audited {
        let mut info = AdapterInfo::new(DeviceType::DiscreteGpu, Backend::Vulkan);
        info.name = name.to_owned();
        let figure = "1 vector".to_owned();
        let mut checks: Vec<_> = CHECKS
            .iter()
            .map(|check| {
                let figure = figure.clone();
                audit::Check::new(check.name, Outcome::Passed { figure })
            })
            .collect();
        checks[0].outcome = first;
        Audited {
            info,
            report: Ok(AuditReport::new(checks, Some(MASK_HASH))),
        }
    }

    pub fn right() -> Audited {
        let reason = "the device has none".to_owned();
        audited("Right", Outcome::NotApplicable { reason })
    }

    pub fn wrong() -> Audited {
        let (expected, got) = ("0x00000001 in element 5".to_owned(), "0x2".to_owned());
        audited("Wrong", Outcome::Failed { expected, got })
    }

    fn without_hash() -> Audited {
        let mut audited = right();
        audited.report.as_mut().unwrap().mask_hash = None;
        audited
    }

    fn not_opened() -> Audited {
        let mut audited = right();
        audited.report = Err("cannot open".to_owned());
        audited
    }

    pub fn json(audits: &[Audited]) -> serde_json::Value {
        serde_json::to_value(Record::new(audits)).unwrap()
    }

    #[test]
    fn right_adapters_pass() {
        let audits = [right(), right()];
        assert!(verdict(&audits).is_ok());
        let text = text(&audits);
        assert!(!text.contains("FAILED"), "{text}");
        assert!(text.contains("vulkan/Right  ok       19      1"), "{text}");
        assert!(text.contains("2 of 2 adapters passed"), "{text}");
        assert_eq!(json(&audits)["passed"], true);
    }

    #[test]
    fn a_failed_check_is_in_every_form_with_what_was_expected_and_what_came() {
        let audits = [right(), wrong()];
        let message = verdict(&audits).unwrap_err().to_string();
        let expected = "1 of 2 adapters failed:\n\
            vulkan/Wrong: known answers: expected 0x00000001 in element 5; got 0x2";
        assert_eq!(message, expected);

        let text = text(&audits);
        for part in [
            "vulkan/Wrong  FAILED   19      0    1",
            "known answers     FAILED  expected 0x00000001 in element 5\n",
            "   got 0x2\n",
            "1 of 2 adapters passed",
        ] {
            assert!(text.contains(part), "no `{part}` in\n{text}");
        }

        let json = json(&audits);
        assert_eq!(json["passed"], false);
        let [right, wrong] = [&json["adapters"][0], &json["adapters"][1]];
        assert_eq!([&right["passed"], &wrong["passed"]], [true, false]);
        let check = &wrong["checks"][0];
        assert_eq!(check["name"], "known answers");
        assert_eq!(check["outcome"], "failed");
        assert_eq!(check["expected"], "0x00000001 in element 5");
        assert_eq!(check["got"], "0x2");
    }

    #[test]
    fn an_adapter_without_the_contract_s_hash_fails() {
        let audits = [without_hash()];
        let message = verdict(&audits).unwrap_err().to_string();
        assert!(message.contains("mask hash: expected a086d68c9cf1f04c; got none"));
        let text = text(&audits);
        assert!(text.contains("mask hash         FAILED"), "{text}");
        assert_eq!(
            json(&audits)["adapters"][0]["mask_hash"],
            serde_json::Value::Null
        );
    }

    #[test]
    fn an_adapter_that_does_not_open_fails() {
        let audits = [not_opened()];
        let message = verdict(&audits).unwrap_err().to_string();
        assert!(message.contains("vulkan/Right: cannot open"), "{message}");
        let text = text(&audits);
        assert!(text.contains("FAILED: cannot open"), "{text}");
        assert_eq!(json(&audits)["adapters"][0]["error"], "cannot open");
        assert_eq!(json(&audits)["passed"], false);
    }

    #[test]
    fn another_run_than_the_default_one_tells_how_to_repeat_it() {
        let mut audited = right();
        let report = audited.report.as_mut().unwrap();
        report.options = AuditOptions::long(7);
        let audits = [audited, right()];
        let text = text(&audits);
        assert_eq!(text.matches("run again by").count(), 1, "{text}");
        assert!(text.contains("verify --long --seed 7"), "{text}");
        let json = json(&audits);
        let [long, default] = [&json["adapters"][0], &json["adapters"][1]];
        assert_eq!((&long["long"], &long["seed"]), (&true.into(), &7.into()));
        assert!(default.get("seed").is_none(), "{default}");
    }

    #[test]
    fn a_long_run_has_a_seed_of_its_own_unless_one_is_given() {
        let options = |long, seed| {
            let adapter = AdapterArgs::default();
            let args = Args {
                markdown: None,
                from: None,
                all: false,
                json: None,
                long,
                seed,
                adapter,
            };
            args.options()
        };
        assert_eq!(options(false, None), AuditOptions::default());
        assert_eq!(options(true, Some(7)), AuditOptions::long(7));
        assert_eq!(options(false, Some(7)).seed, 7);
        assert_ne!(options(true, None).seed, options(true, None).seed);
    }

    #[test]
    fn tables_fit_the_width_where_all_goes_well() {
        let mut audits = [right()];
        audits[0].info.name = "llvmpipe (LLVM 15.0.6, 256 bits)".to_owned();
        let text = text(&audits);
        for line in text.lines() {
            assert!(line.chars().count() <= usize::from(WIDTH), "{line}");
        }
    }
}
