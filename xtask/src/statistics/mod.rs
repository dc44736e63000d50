//! `statistics`: what random-number suites say of the shipped streams and of masks.
//!
//! They find weak generators, not wrong ones: known answers do that. Minutes, so not in CI; the
//! record is in the repository.

mod bits;
mod streams;
mod suites;

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use crate::Result;
use crate::adapters;
use crate::command::{self, cargo, root};
use crate::table::table;
use bits::Bits;
use streams::{CommandLine, SOURCES, Source};
use suites::{Assessment, DIEHARDER_TESTS, Ent};

/// Elements of the masks whose bits are counted: 10^9, a multiple of 64.
const MASK_LEN: usize = 1_000_000_000;
const MASK_RATES: [&str; 2] = ["0.5", "0.1"];
/// dieharder says WEAK of one fair p-value in 100; its serial tests are correlated.
const WEAK_PERCENT: usize = 5;

/// The options of `statistics`.
#[derive(Debug, PartialEq)]
struct Options {
    /// True if missing packages may be installed.
    install: bool,
    /// Where the record goes too.
    record: Option<PathBuf>,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            install: true,
            record: None,
        };
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--no-install" => options.install = false,
                "--record" => {
                    let path = args.next().ok_or("--record needs a file")?;
                    options.record = Some(path.into());
                }
                _ => return Err(format!("`statistics` has no option `{arg}`").into()),
            }
        }
        Ok(options)
    }
}

pub fn run(args: impl Iterator<Item = String>) -> Result {
    let options = Options::parse(args)?;
    adapters::ensure_programs(&["dieharder", "ent"], options.install)?;
    command::run(&mut cargo("build --release --package wgpu-dropout-cli"))?;
    let target = env::var_os("CARGO_TARGET_DIR").map_or(root()?.join("target"), PathBuf::from);
    let cli = CommandLine(target.join("release").join("wgpu-dropout"));

    let mut record = Record::new(&cli)?;
    for source in &SOURCES {
        let start = Instant::now();
        println!("{}: {}", source.name, source.what);
        let mut stream = (source.open)(&cli)?;
        let ent = suites::ent(&mut stream)?;
        let assessment = suites::dieharder(&mut stream)?;
        record.source(source, &assessment, &ent);
        println!("{:.0} s", start.elapsed().as_secs_f64());
    }
    for p in MASK_RATES {
        println!("mask bits at p = {p}");
        let mut mask = cli.mask(p, &MASK_LEN.to_string())?;
        let bits = Bits::read(&mut mask, MASK_LEN, p.parse()?)?;
        record.mask(p, &bits.deviations());
    }
    let text = record.text();
    println!("\n{text}");
    if let Some(path) = options.record {
        fs::write(path, &text)?;
    }
    match record.wrong.as_slice() {
        [] => Ok(()),
        wrong => Err(wrong.join("\n").into()),
    }
}

/// The record of a run.
struct Record {
    head: String,
    suites: Vec<Vec<String>>,
    remarks: String,
    masks: Vec<Vec<String>>,
    /// Findings that a right generator would not give.
    wrong: Vec<String>,
}

fn row(cells: &[&str]) -> Vec<String> {
    cells.iter().map(ToString::to_string).collect()
}

impl Record {
    fn new(cli: &CommandLine) -> Result<Self> {
        let version = output(Command::new(&cli.0).arg("--version"))?;
        let date = output(Command::new("date").args(["-u", "+%Y-%m-%d"]))?;
        let commit = output(Command::new("git").args(["rev-parse", "--short", "HEAD"]))?;
        let query = ["-W", "-f", "${Package} ${Version}\n", "dieharder", "ent"];
        let packages = output(Command::new("dpkg-query").args(query))?.replace('\n', ", ");
        Ok(Self {
            head: format!(
                "Statistics of {version} at {commit}, {date}, by `cargo xtask statistics`\n\
                 with Debian's {packages}\n"
            ),
            suites: vec![row(&[
                "stream",
                "PASSED",
                "WEAK",
                "FAILED",
                "least p",
                "largest p",
                "bits/byte",
                "chi-square",
                "correlation",
            ])],
            remarks: String::new(),
            masks: vec![row(&["p", "keep rate z", "largest |z|", "at lag"])],
            wrong: Vec::new(),
        })
    }

    fn source(&mut self, source: &Source, assessment: &Assessment, ent: &Ent) {
        let Assessment {
            passed,
            weak,
            failed,
            p_values,
            remarks,
        } = assessment;
        let least = p_values.iter().copied().fold(1.0, f64::min);
        let largest = p_values.iter().copied().fold(0.0, f64::max);
        self.suites.push(row(&[
            source.name,
            &passed.to_string(),
            &weak.to_string(),
            &failed.to_string(),
            &format!("{least:.4}"),
            &format!("{largest:.4}"),
            &format!("{:.6}", ent.bits_per_byte),
            &format!("{:.1}", ent.chi_square),
            &format!("{:+.6}", ent.serial_correlation),
        ]));
        if source.is_random {
            for remark in remarks {
                let _ = writeln!(self.remarks, "{}: {remark}", source.name);
            }
        }
        self.wrong.extend(judge(source, assessment, ent));
    }

    fn mask(&mut self, p: &str, deviations: &bits::Deviations) {
        let (z, lag) = deviations.worst();
        let rate = deviations.keep_rate;
        self.masks.push(row(&[
            p,
            &format!("{rate:+.2}"),
            &format!("{:.2}", z.abs()),
            &lag.to_string(),
        ]));
        if !deviations.are_fair() {
            self.wrong.push(format!(
                "mask bits at p = {p}: keep rate {rate:+.2}, lag {lag} {z:+.2}"
            ));
        }
    }

    fn text(&self) -> String {
        let what: Vec<_> = SOURCES
            .iter()
            .map(|source| row(&[source.name, source.what]))
            .collect();
        let verdict = match self.wrong.as_slice() {
            [] => "as it should be".to_owned(),
            wrong => wrong.join("\n"),
        };
        format!(
            "{head}\n\
             Streams: `wgpu-dropout ARGS --engine cpu`, words with --raw\n\
             {what}\n\
             dieharder -g 200 -d N for N = {tests}: assessments and the range of p-values;\n\
             ent -t of the first 16 MiB: chi-square has 255 degrees of freedom, correlation is of bytes\n\
             {suites}\n\
             {remarks}\n\
             10^9 mask bits (seed 42, stream 7): deviations from the keep rate and from no correlation\n\
             at lags 1 to 64, in standard deviations\n\
             {masks}\n\
             Verdict: {verdict}\n",
            head = self.head,
            what = table(&what, 0),
            tests = DIEHARDER_TESTS.join(", "),
            suites = table(&self.suites, 8),
            remarks = match self.remarks.as_str() {
                "" => "Nothing but the control was WEAK or FAILED.\n",
                remarks => remarks,
            },
            masks = table(&self.masks, 4),
        )
    }
}

/// Findings that a right generator would not give, and suites that pass a wrong generator.
fn judge(source: &Source, assessment: &Assessment, ent: &Ent) -> Vec<String> {
    let Assessment { weak, failed, .. } = *assessment;
    let total = assessment.total();
    let mut wrong = Vec::new();
    if source.is_random {
        if failed > 0 || 100 * weak > WEAK_PERCENT * total {
            wrong.push(format!("{weak} WEAK and {failed} FAILED of {total}"));
        }
        if !ent.is_random() {
            wrong.push(format!("{ent:?}"));
        }
    } else {
        if failed < total {
            wrong.push(format!("only {failed} of {total} FAILED"));
        }
        if ent.is_random() {
            wrong.push(format!("{ent:?} is random"));
        }
    }
    wrong
        .iter()
        .map(|what| format!("{}: {what}", source.name))
        .collect()
}

/// The output of a program, without the last line feed.
fn output(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    if !output.status.success() {
        return Err(format!("`{}` failed: {}", command::line(command), output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assessment(passed: usize, weak: usize, failed: usize) -> Assessment {
        Assessment {
            passed,
            weak,
            failed,
            ..Assessment::default()
        }
    }

    const FAIR: Ent = Ent {
        bits_per_byte: 8.0,
        chi_square: 255.0,
        serial_correlation: 0.0,
    };
    const TOO_EVEN: Ent = Ent {
        chi_square: 0.0,
        ..FAIR
    };

    #[test]
    fn options_are_read() {
        let parse = |args: &[&str]| Options::parse(args.iter().map(ToString::to_string));
        let options = parse(&["--no-install", "--record", "a.txt"]).unwrap();
        assert!(!options.install);
        assert_eq!(options.record, Some("a.txt".into()));
        assert!(parse(&["--record"]).is_err());
        assert!(parse(&["a.txt"]).is_err());
    }

    #[test]
    fn random_streams_must_pass_and_the_control_must_fail() {
        let [random, .., control] = &SOURCES;
        assert!(judge(random, &assessment(38, 2, 0), &FAIR).is_empty());
        assert_eq!(judge(random, &assessment(37, 3, 0), &FAIR).len(), 1);
        assert_eq!(judge(random, &assessment(39, 0, 1), &TOO_EVEN).len(), 2);
        assert!(judge(control, &assessment(0, 0, 40), &TOO_EVEN).is_empty());
        assert_eq!(judge(control, &assessment(1, 0, 39), &FAIR).len(), 2);
    }
}
