//! `cargo xtask`: everything a developer or CI runs, and the set-up it needs.

mod adapters;
mod ci;
mod command;
mod compilers;
mod debian;
mod dist;
mod hardware;
mod matrix;
mod mutants;
mod suite;
mod web;

use std::env;
use std::error::Error;
use std::process::ExitCode;

use adapters::{Need, Profile};
use command::cargo;
use suite::Report;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

const HELP: &str = "\
What developers and CI of wgpu-dropout run.

Usage: cargo xtask <COMMAND>

Commands:
  test [--no-install] [--all] [-- ARGS]
                                  Run every test; ARGS go to `cargo test`
  bench [--no-install] [-- ARGS]  Measure dropout; ARGS go to `wgpu-dropout bench`
  ci                              Run all that CI checks
  faults [NAME]                   Plant every fault of src/audit/tests/ into the kernels and the host, or those
                                  whose name has NAME, one after the other; the auditor must find each. An hour
  mutants [--list] [--file NAME]… Change each constant, operator, lane and statement of the shaders,
                                  or of some, and see whether a test fails
  matrix [--no-install] [--record]
                                  Run the gpu tests and `verify` on every adapter, Debian's newer Mesa and
                                  SwiftShader among them; --record keeps the audits under adapters/
  compilers [--no-install]        Give every kernel's text and the mask functions to other compilers and
                                  validators, the repository's other WGSL to a browser's, and run some by
                                  JavaScript and Python
  gpus [--record]                 Compile the main kernels with Mesa's drivers for seven GPUs that need not be
                                  there, and print instructions and registers; Debian only. --record writes
                                  docs/gpu-costs.md
  dist                            Write a release's files to target/dist: the command line with its completions,
                                  the kernels' texts, and their SHA-256
  hardware                        Write target/hardware.tar.gz: all that a machine with a GPU needs to answer every
                                  open question in eight minutes, without cargo; on Debian
  web [--port N] [--build | --test] [--no-install]
                                  Build the page with the library in it and serve it at localhost:8080;
                                  --build stops there, --test tries the page in headless Chromium

`test` and `bench` need a wgpu adapter. Where there is none and apt is at hand
they install Mesa's software Vulkan, as root or through sudo, printing each
command first. Without an adapter `test` skips the GPU trials and `bench` fails.
`ci` installs software Vulkan and OpenGL in the same way, Chromium for the page
and an MPI too, and skips nothing.
The crate for Burn compiles 243 others, and the training in mpi/ needs an MPI and
libclang: `test` passes over both without --all, which installs Debian's Open MPI.

Options:
      --no-install  Install nothing; say which commands would
      --all         Test the crate for Burn and the training by MPI too
  -h, --help        Print this help

Examples:
  cargo xtask test
  cargo xtask test -- --test gpu -- forward
  cargo xtask bench -- --sizes 65536,16777216";

/// A command's name, its options, and what it does. `=` ends an option that takes a value, NAME allows a word without
/// dashes, and `--` allows arguments for another program behind it.
type Command = (&'static str, &'static str, fn(&Args) -> Result);

const COMMANDS: [Command; 11] = [
    ("test", "--no-install --all --", test),
    ("bench", "--no-install --", bench),
    ("ci", "", |_| ci::run()),
    ("faults", "NAME", faults),
    ("mutants", "--list --file=", mutants::run),
    ("matrix", "--no-install --record", matrix::run),
    ("compilers", "--no-install", |args| {
        compilers::run(args.install())
    }),
    ("gpus", "--record", |args| {
        compilers::gpus::run(args.has("--record"))
    }),
    ("dist", "", |_| dist::run()),
    ("hardware", "", |_| hardware::run()),
    ("web", "--port= --build --test --no-install", web::run),
];

/// The arguments behind a command's name.
#[derive(Default)]
struct Args {
    /// Options and their values.
    given: Vec<(String, String)>,
    /// For the program that the command starts.
    rest: Vec<String>,
}

impl Args {
    fn parse(allowed: &str, mut args: impl Iterator<Item = String>) -> Result<Self> {
        let takes = |option: &str| allowed.split(' ').any(|allowed| allowed == option);
        let mut parsed = Self::default();
        while let Some(arg) = args.next() {
            if arg == "--" && takes("--") {
                parsed.rest = args.by_ref().collect();
            } else if takes(&format!("{arg}=")) {
                let value = args
                    .next()
                    .ok_or_else(|| format!("`{arg}` needs a value"))?;
                parsed.given.push((arg, value));
            } else if takes(&arg) {
                parsed.given.push((arg, String::new()));
            } else if takes("NAME") && !arg.starts_with('-') && !parsed.has("NAME") {
                parsed.given.push(("NAME".into(), arg));
            } else {
                return Err(format!("`{arg}` is no option here: see `cargo xtask --help`").into());
            }
        }
        Ok(parsed)
    }

    fn has(&self, option: &str) -> bool {
        self.given.iter().any(|(given, _)| given == option)
    }

    fn install(&self) -> bool {
        !self.has("--no-install")
    }

    fn values(&self, option: &str) -> Vec<String> {
        let given = self.given.iter().filter(|(given, _)| given == option);
        given.map(|(_, value)| value.clone()).collect()
    }
}

fn main() -> ExitCode {
    let args: Vec<_> = env::args().skip(1).collect();
    // The arguments behind `--` are another program's.
    let mut own = args.iter().take_while(|arg| *arg != "--");
    let name = args.first().map_or("", String::as_str);
    if name == "help" || own.any(|arg| ["-h", "--help"].contains(&arg.as_str())) {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let outcome = match COMMANDS.iter().find(|(known, ..)| *known == name) {
        Some((_, allowed, run)) => {
            Args::parse(allowed, args.into_iter().skip(1)).and_then(|args| run(&args))
        }
        None => Err(format!("there is no command `{name}`\n\n{HELP}").into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn test(args: &Args) -> Result {
    let adapter = adapters::ensure(Need::Any, Profile::Dev, args.install());
    let all = args.has("--all");
    if all {
        // Said before the tests that do without.
        adapters::ensure_mpi(args.install())?;
    }
    let mut reports = vec![suite::run(&args.rest, &[])?];
    if all {
        reports.extend(suite::run_burn(&args.rest, &[])?);
        reports.push(suite::run_mpi(&args.rest)?);
    }
    if let Err(reason) = adapter {
        eprintln!("\nwarning: no test ran on a GPU: {reason}\n");
    }
    for report in &reports {
        println!("{}", report.sum());
    }
    reports.iter().try_for_each(Report::verdict)
}

/// The test that CI runs for a sample.
fn faults(args: &Args) -> Result {
    let wanted = args.values("NAME").pop().unwrap_or("all".into());
    let mut test = cargo("test --package wgpu-dropout --lib -- planted_faults --nocapture");
    command::run(test.env("FAULTS", wanted).env("REQUIRE_GPU", "1"))
}

fn bench(args: &Args) -> Result {
    adapters::ensure(Need::Any, Profile::Release, args.install())?;
    let mut bench = cargo("run --release --package wgpu-dropout-cli -- bench");
    command::run(bench.args(&args.rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(command: &str, line: &str) -> Result<Args> {
        let (_, allowed, _) = COMMANDS.iter().find(|(name, ..)| *name == command).unwrap();
        Args::parse(allowed, line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn each_command_takes_its_own_options_and_no_others() {
        let args = parse("test", "--no-install -- --test gpu -- --all").unwrap();
        assert!(!args.install() && !args.has("--all"));
        assert_eq!(args.rest, ["--test", "gpu", "--", "--all"]);
        let args = parse("mutants", "--list --file a.wgsl --file b.wgsl").unwrap();
        assert_eq!(args.values("--file"), ["a.wgsl", "b.wgsl"]);
        assert_eq!(parse("faults", "seed").unwrap().values("NAME"), ["seed"]);
        for (command, line, named) in [
            ("bench", "--sizes 1024", "`--sizes`"),
            ("ci", "--no-install", "`--no-install`"),
            ("faults", "one two", "`two`"),
            ("mutants", "--file", "`--file`"),
        ] {
            let error = parse(command, line).err().unwrap().to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn the_help_names_every_command() {
        for (name, ..) in COMMANDS {
            assert!(HELP.contains(&format!("\n  {name} ")), "{name}");
        }
    }
}
