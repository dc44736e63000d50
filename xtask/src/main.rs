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

use pico_args::Arguments;
use suite::Report;
use xshell::{Shell, cmd};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

const HELP: &str = "\
What developers and CI of wgpu-dropout run.

Usage: cargo xtask <COMMAND>

Commands:
  test [--all] [-- ARGS]  Run every test; ARGS go to `cargo test`
  bench [-- ARGS]         Measure dropout; ARGS go to `wgpu-dropout bench`
  ci                      Run all that CI checks
  faults [NAME]           Plant every fault of src/audit/tests/, or those whose name has NAME, one after the other;
                          the auditor must find each. An hour
  mutants [--list] [--file NAME]…
                          Change each constant, operator, lane and statement of the shaders, or of some, and see
                          whether a test fails
  matrix [--record]       Run the gpu tests and `verify` on every adapter, Debian's newer Mesa and SwiftShader among
                          them; --record keeps the audits under adapters/
  compilers               Give every kernel's text and the mask functions to other compilers and validators, the
                          repository's other WGSL to a browser's, and run some by JavaScript and Python
  gpus [--record]         Compile the main kernels with Mesa's drivers for seven GPUs that need not be there, and print
                          instructions and registers; Debian only. --record writes docs/gpu-costs.md
  dist                    Write a release's files to target/dist: the command line with its completions, and the texts
  hardware                Write target/hardware.tar.gz: all that a machine with a GPU needs to answer every open
                          question in eight minutes, without cargo; on Debian
  web [--port N] [--build | --test]
                          Build the page with the library in it and serve it at localhost:8080; --build stops there,
                          --test tries the page in headless Chromium

`test` and `bench` need a wgpu adapter. Where there is none and apt is at hand they install Mesa's software
Vulkan, as root or through sudo. Without an adapter `test` skips the GPU trials and `bench` fails. `ci` installs
software Vulkan and OpenGL in the same way, Chromium for the page and an MPI too, and skips nothing.
The crate for Burn compiles 243 others, and the training in mpi/ needs an MPI and libclang: `test` passes over
both without --all, which installs Debian's Open MPI.

Options:
      --no-install  Install nothing; say which commands would: test, bench, matrix, compilers, web
      --all         Test the crate for Burn and the training by MPI too
  -h, --help        Print this help

Examples:
  cargo xtask test
  cargo xtask test -- --test gpu -- forward
  cargo xtask bench -- --sizes 65536,16777216";

/// The commands, and those options of each that take no value.
const COMMANDS: [(&str, &str); 11] = [
    ("test", "--no-install --all"),
    ("bench", "--no-install"),
    ("ci", ""),
    ("faults", ""),
    ("mutants", "--list"),
    ("matrix", "--no-install --record"),
    ("compilers", "--no-install"),
    ("gpus", "--record"),
    ("dist", ""),
    ("hardware", ""),
    ("web", "--build --test --no-install"),
];

/// The work that a command line asks for.
type Task = Box<dyn FnOnce(&Shell) -> Result>;

fn main() -> ExitCode {
    let task = task(env::args().skip(1).collect());
    match task.and_then(|run| run(&command::shell()?)) {
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
        return Ok(Box::new(|_| Ok(())));
    }
    if !rest.is_empty() && !["test", "bench"].contains(&&*name) {
        return Err(format!("`{name}` starts no program that takes `{}`", rest.join(" ")).into());
    }
    let rest: Vec<_> = rest.into_iter().skip(1).collect();
    let (_, options) = COMMANDS
        .iter()
        .find(|(command, _)| *command == name)
        .ok_or_else(|| format!("there is no command `{name}`\n\n{HELP}"))?;
    let options = options.split_whitespace();
    let given: Vec<_> = options.filter(|option| args.contains(*option)).collect();
    let (mut files, mut port, mut fault) = (Vec::<String>::new(), 8080, None::<String>);
    match &*name {
        "faults" => fault = args.opt_free_from_str()?,
        "mutants" => files = args.values_from_str("--file")?,
        "web" => port = args.opt_value_from_str("--port")?.unwrap_or(port),
        _ => {}
    }
    if let Some(arg) = args.finish().first() {
        let arg = arg.display();
        return Err(format!("`{arg}` is no option here: see `cargo xtask --help`").into());
    }
    Ok(Box::new(move |sh| {
        let has = |option| given.contains(&option);
        let (install, record) = (!has("--no-install"), has("--record"));
        match &*name {
            "test" => test(sh, install, has("--all"), &rest),
            "bench" => bench(sh, install, &rest),
            "ci" => ci::run(sh),
            "faults" => faults(sh, fault),
            "mutants" => mutants::run(sh, has("--list"), &files),
            "matrix" => matrix::run(sh, install, record),
            "compilers" => compilers::run(sh, install),
            "gpus" => compilers::gpus::run(sh, record),
            "dist" => dist::run(sh),
            "hardware" => hardware::run(sh),
            _ => web::run(sh, install, has("--build"), has("--test"), port),
        }
    }))
}

fn test(sh: &Shell, install: bool, all: bool, args: &[String]) -> Result {
    let adapter = adapters::ensure(sh, &[], &command::command_line(sh)?, install);
    if all {
        // Said before the tests that do without.
        adapters::ensure_mpi(sh, install)?;
    }
    let mut reports = vec![suite::run(sh, suite::WORKSPACE, args, &[])?];
    if all {
        reports.extend(suite::run_burn(sh, args, &[])?);
        reports.push(suite::run(sh, suite::MPI, args, &[])?);
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
fn faults(sh: &Shell, name: Option<String>) -> Result {
    let test = cmd!(
        sh,
        "cargo test -p wgpu-dropout --lib -- planted_faults --nocapture"
    );
    let wanted = name.as_deref().unwrap_or("all");
    Ok(test.env("FAULTS", wanted).env("REQUIRE_GPU", "1").run()?)
}

fn bench(sh: &Shell, install: bool, args: &[String]) -> Result {
    let program = command::release(sh)?;
    adapters::ensure(sh, &[], &program, install)?;
    Ok(cmd!(sh, "{program} bench {args...}").run()?)
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
