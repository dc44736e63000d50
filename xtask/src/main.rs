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
use std::process::{Command, ExitCode};

use command::cargo;
use pico_args::Arguments;
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
                                  and the kernels' texts
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

/// The work that a command line asks for.
type Task = Box<dyn FnOnce() -> Result>;

fn main() -> ExitCode {
    match task(env::args().skip(1).collect()).and_then(|run| run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Refuses what the command does not take, before it does anything.
fn task(mut args: Vec<String>) -> Result<Task> {
    // The arguments behind `--` are another program's.
    let own = args.iter().take_while(|arg| *arg != "--").count();
    let rest = args.split_off(own);
    let mut args = Arguments::from_vec(args.into_iter().map(Into::into).collect());
    let name = args.subcommand()?.unwrap_or_default();
    if name == "help" || args.contains(["-h", "--help"]) {
        println!("{HELP}");
        return Ok(Box::new(|| Ok(())));
    }
    if !rest.is_empty() && !["test", "bench"].contains(&&*name) {
        return Err(format!("`{name}` starts no program that takes `{}`", rest.join(" ")).into());
    }
    let rest: Vec<_> = rest.into_iter().skip(1).collect();
    let mut has = |option| args.contains(option);
    let task: Task = match &*name {
        "test" => {
            let (install, all) = (!has("--no-install"), has("--all"));
            Box::new(move || test(install, all, &rest))
        }
        "bench" => {
            let install = !has("--no-install");
            Box::new(move || bench(install, &rest))
        }
        "ci" => Box::new(ci::run),
        "faults" => {
            let name: Option<String> = args.opt_free_from_str()?;
            Box::new(|| faults(name))
        }
        "mutants" => {
            let list = has("--list");
            let files: Vec<String> = args.values_from_str("--file")?;
            Box::new(move || mutants::run(list, &files))
        }
        "matrix" => {
            let (install, record) = (!has("--no-install"), has("--record"));
            Box::new(move || matrix::run(install, record))
        }
        "compilers" => {
            let install = !has("--no-install");
            Box::new(move || compilers::run(install))
        }
        "gpus" => {
            let record = has("--record");
            Box::new(move || compilers::gpus::run(record))
        }
        "dist" => Box::new(dist::run),
        "hardware" => Box::new(hardware::run),
        "web" => {
            let (install, build, test) = (!has("--no-install"), has("--build"), has("--test"));
            let port = args.opt_value_from_str("--port")?.unwrap_or(8080);
            Box::new(move || web::run(install, build, test, port))
        }
        _ => return Err(format!("there is no command `{name}`\n\n{HELP}").into()),
    };
    match args.finish().first() {
        None => Ok(task),
        Some(arg) => {
            let arg = arg.display();
            Err(format!("`{arg}` is no option here: see `cargo xtask --help`").into())
        }
    }
}

fn test(install: bool, all: bool, args: &[String]) -> Result {
    let adapter = adapters::ensure(&[], &command::command_line()?, install);
    if all {
        // Said before the tests that do without.
        adapters::ensure_mpi(install)?;
    }
    let mut reports = vec![suite::run(args, &[])?];
    if all {
        reports.extend(suite::run_burn(args, &[])?);
        reports.push(suite::run_mpi(args)?);
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
fn faults(name: Option<String>) -> Result {
    let mut test = cargo("test --package wgpu-dropout --lib -- planted_faults --nocapture");
    let wanted = name.as_deref().unwrap_or("all");
    command::run(test.env("FAULTS", wanted).env("REQUIRE_GPU", "1"))
}

fn bench(install: bool, args: &[String]) -> Result {
    let program = command::release()?;
    adapters::ensure(&[], &program, install)?;
    command::run(Command::new(program).arg("bench").args(args))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_takes_its_own_options_and_no_others() {
        let task = |line: &str| task(line.split_whitespace().map(str::to_owned).collect());
        for line in [
            "test --no-install -- --test gpu -- --all",
            "mutants --list --file a.wgsl --file b.wgsl",
            "faults seed",
            "ci",
        ] {
            assert!(task(line).is_ok(), "{line}");
        }
        for (line, named) in [
            ("bench --sizes 1024", "`--sizes`"),
            ("ci --no-install", "`--no-install`"),
            ("ci -- --list", "`-- --list`"),
            ("faults one two", "`two`"),
            ("mutants --file", "'--file'"),
            ("web --port x", "'x'"),
        ] {
            let error = task(line).err().unwrap().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
