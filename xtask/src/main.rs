//! `cargo xtask`: everything a developer or CI runs, and the set-up it needs.

mod adapters;
mod ci;
mod command;
mod compilers;
mod debian;
mod dist;
mod layers;
mod matrix;
mod mutants;
mod options;
mod programs;
mod records;
mod report;
mod suite;
mod table;
mod web;

use std::env;
use std::error::Error;
use std::process::ExitCode;

use adapters::{Need, Profile};
use command::cargo;
use options::Options;
use report::Report;

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
  layers                          Check that no import of the library points from a lower layer to a higher one
  records [--check]               Write the pages of docs/ that are made from records
  mutants [--list] [--file NAME]… Change each constant, operator, lane and statement of the shaders,
                                  or of some, and see whether a test fails
  mutants --rust [FILTERS]        The same with what cargo-mutants 27.1 changes in the library; FILTERS
                                  are its own: --file src/rate.rs, --shard 0/4 --sharding round-robin
  matrix [--no-install] [--record]
                                  Run the gpu tests and `verify` on every adapter, Debian's other software
                                  drivers among them, and the page's tests in Chromium; --record keeps the
                                  audits under adapters/
  compilers [--no-install]        Give every kernel's text and the mask functions to other compilers and
                                  validators, the repository's other WGSL to a browser's, and run some by
                                  JavaScript and Python
  gpus [--record]                 Compile the main kernels with Mesa's drivers for seven GPUs that need not be
                                  there, and print instructions and registers; Debian only. --record writes
                                  docs/gpu-costs.md
  dist                            Write a release's files to target/dist: the command line with its completions,
                                  the kernels' texts, and their SHA-256
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

fn main() -> ExitCode {
    let args: Vec<_> = env::args().skip(1).collect();
    if asks_for_help(&args) {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    match dispatch(args.into_iter()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The arguments behind `--` are another program's.
fn asks_for_help(args: &[String]) -> bool {
    let mut own = args.iter().take_while(|arg| *arg != "--");
    args.first().is_some_and(|name| name == "help")
        || own.any(|arg| ["-h", "--help"].contains(&arg.as_str()))
}

fn dispatch(mut args: impl Iterator<Item = String>) -> Result {
    let Some(name) = args.next() else {
        return Err(format!("no command given\n\n{HELP}").into());
    };
    if name == "mutants" {
        return mutants::run(args);
    }
    if name == "dist" {
        return dist::run(args);
    }
    if name == "gpus" {
        return compilers::gpus::run(args);
    }
    if name == "layers" {
        return layers::run();
    }
    if name == "faults" {
        return faults(args);
    }
    if name == "matrix" {
        return matrix::run(args);
    }
    if name == "compilers" {
        return compilers::run(args);
    }
    if name == "web" {
        return web::run(args);
    }
    if name == "records" {
        return records::run(args);
    }
    let options = Options::parse(args)?;
    match name.as_str() {
        "test" => test(&options),
        "bench" => bench(&options),
        "ci" => {
            options.refuse_for("ci")?;
            ci::run()
        }
        _ => Err(format!("there is no command `{name}`\n\n{HELP}").into()),
    }
}

fn test(options: &Options) -> Result {
    let adapter = adapters::ensure(Need::Any, Profile::Dev, options.install);
    if options.all {
        // Said before the tests that do without.
        adapters::ensure_mpi(options.install)?;
    }
    let mut reports = vec![suite::run(&options.rest, &[])?];
    if options.all {
        reports.extend(suite::run_burn(&options.rest, &[])?);
        reports.push(suite::run_mpi(&options.rest, &[])?);
    }
    if let Err(reason) = adapter {
        eprintln!("\nwarning: no test ran on a GPU: {reason}\n");
    }
    for report in &reports {
        println!("{}", report.counts());
    }
    reports.iter().try_for_each(Report::verdict)
}

/// The test that CI runs for a sample.
fn faults(mut args: impl Iterator<Item = String>) -> Result {
    let wanted = args.next().unwrap_or_else(|| "all".to_owned());
    if let Some(other) = args.next() {
        return Err(format!("`faults` takes one name, not `{other}` too").into());
    }
    let mut test = cargo("test --package wgpu-dropout --lib -- planted_faults --nocapture");
    command::run(test.env("FAULTS", wanted).env("REQUIRE_GPU", "1"))
}

fn bench(options: &Options) -> Result {
    adapters::ensure(Need::Any, Profile::Release, options.install)?;
    let mut bench = cargo("run --release --package wgpu-dropout-cli -- bench");
    command::run(bench.args(&options.rest))
}

#[cfg(test)]
mod tests {
    use super::asks_for_help;

    #[test]
    fn every_command_knows_the_options_of_help() {
        let asks = |line: &str| {
            let args: Vec<_> = line.split(' ').map(str::to_owned).collect();
            asks_for_help(&args)
        };
        assert!(
            ["help", "-h", "web --help", "test --all -h"]
                .iter()
                .all(|line| asks(line))
        );
        assert!(
            !["", "test", "bench -- --help", "test -- help"]
                .iter()
                .any(|line| asks(line))
        );
    }
}
