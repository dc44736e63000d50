//! The command line of wgpu-dropout. It applies dropout to files, writes masks and random words,
//! checks adapters and measures speed, all through the library's public API.

mod adapters;
mod apply;
mod bench;
mod call;
mod engine;
mod fifo;
mod layout;
mod mask;
mod npy;
mod number;
mod output;
mod params;
mod quote;
mod rule;
mod verify;
mod wgsl;
mod words;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser, Subcommand};

use engine::EngineArgs;

/// The heading of the options of a call.
const CALL: &str = "Call: --p, --seed and --stream are required, or --call";

/// The usage of a command that takes a call. Clap's own usage would show --p, --seed and --stream
/// as optional, because --call can replace them.
macro_rules! usage {
    ($start:literal) => {
        concat!(
            "wgpu-dropout ",
            $start,
            " --p <P> --seed <S> --stream <T> [OPTIONS]\n       wgpu-dropout ",
            $start,
            " --call <CALL> [OPTIONS]"
        )
    };
}

/// Dropout on any GPU by one mask contract: the same bits on every adapter and on the CPU.
///
/// Integers are decimal or 0x hexadecimal. WGPU_BACKEND (vulkan, gl, metal, dx12) and
/// WGPU_ADAPTER_NAME choose an adapter if --adapter is not given.
#[derive(Debug, Parser)]
#[command(name = "wgpu-dropout", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the adapters and say which one would be taken
    #[command(
        after_help = "Examples:\n  wgpu-dropout adapters\n  wgpu-dropout adapters --adapter gl --json"
    )]
    Adapters(adapters::Args),
    /// Apply dropout to the tensor of a .npy file
    #[command(
        after_help = "Examples:\n  wgpu-dropout apply --input x.npy --output y.npy --p 0.1 --seed 42 --stream 7\n  wgpu-dropout apply --input x.npy --output y.npy --call \"p=0.1 seed=42 stream=0x7 origin=0\" --engine cpu"
    )]
    #[command(override_usage = usage!("apply --input <X.npy> --output <Y.npy>"))]
    Apply {
        #[command(flatten)]
        args: apply::Args,
        #[command(flatten)]
        engine: EngineArgs,
    },
    /// Write a packed keep mask: little-endian words, element e in bit e & 31 of word e >> 5
    #[command(
        after_help = "Examples:\n  wgpu-dropout mask --len 1000 --p 0.5 --seed 42 --stream 7 --output mask.bin\n  wgpu-dropout mask --shape 32,1000 --pattern drop-path --p 0.1 --seed 42 --stream 7 --output mask.npy\n  wgpu-dropout mask --rule jax --key 0,42 --p 0.1 --shape 32,1000 --output mask.bin"
    )]
    #[command(
        override_usage = concat!(
            usage!("mask <--len <N>|--shape <N,…>> --output <FILE>"),
            "\n       wgpu-dropout mask <--len <N>|--shape <N,…>> --output <FILE>",
            " --p <P> --rule <RULE> [OPTIONS]"
        ),
        mut_arg("seed", |seed| {
            seed.value_parser(call::any_seed)
                .required_unless_present("rule")
                .required_if_eq("rule", "triton")
        }),
        mut_arg("stream", |stream| stream.required_unless_present("rule"))
    )]
    Mask {
        #[command(flatten)]
        args: mask::Args,
        #[command(flatten)]
        engine: EngineArgs,
    },
    /// Write Philox4x32 blocks of consecutive counters
    #[command(
        after_help = "Examples:\n  wgpu-dropout words --key 0,0 --counter 0,0,0,0 --blocks 2"
    )]
    Words {
        #[command(flatten)]
        args: words::Args,
        #[command(flatten)]
        engine: EngineArgs,
    },
    /// Check whether an adapter computes dropout right, to the bit
    #[command(
        after_help = "Examples:\n  wgpu-dropout verify --all\n  wgpu-dropout verify --adapter vulkan --json report.json"
    )]
    Verify(verify::Args),
    /// Print the parameters of the functions of `wgsl --functions` for your own kernel; with
    /// --shape also the strides for dropout_index
    #[command(
        after_help = "Examples:\n  wgpu-dropout params --shape 32,1000 --p 0.1 --seed 42 --stream 7"
    )]
    #[command(override_usage = usage!("params <--len <N>|--shape <N,…>>"))]
    Params(params::Args),
    /// Print the WGSL of a kernel, by default dropout's, or of the functions for your own kernels
    #[command(
        after_help = "Examples:\n  wgpu-dropout wgsl --dtype f16\n  wgpu-dropout wgsl --functions --prefix my_\n  wgpu-dropout wgsl --output-dir kernels"
    )]
    Wgsl(Box<wgsl::Args>),
    /// Measure dropout on the GPU and the CPU, and compare it with a copy
    #[command(
        after_help = "Examples:\n  wgpu-dropout bench --sizes 65536,16777216\n  wgpu-dropout bench --op add,act --dtype bf16 --seconds 5"
    )]
    Bench {
        #[command(flatten)]
        args: bench::Args,
        #[command(flatten)]
        engine: EngineArgs,
    },
    /// Print the completions of a shell
    #[command(hide = true)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage_error(error),
    };
    if let Command::Mask { args, .. } = &cli.command
        && let Err(message) = args.foreign()
    {
        return usage_error(Cli::command().error(ErrorKind::ArgumentConflict, message));
    }
    let result = match &cli.command {
        Command::Adapters(args) => adapters::run(args),
        Command::Apply { args, engine } => apply::run(args, engine),
        Command::Mask { args, engine } => mask::run(args, engine),
        Command::Words { args, engine } => words::run(args, engine),
        Command::Verify(args) => verify::run(args),
        Command::Params(args) => params::run(args),
        Command::Wgsl(args) => wgsl::run(args),
        Command::Bench { args, engine } => bench::run(args, engine),
        Command::Completions { shell } => completions(*shell),
    };
    exit_code(result)
}

fn completions(shell: clap_complete::Shell) -> Result<()> {
    let mut text = Vec::new();
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    clap_complete::generate(shell, &mut command, name, &mut text);
    Ok(io::stdout().write_all(&text)?)
}

/// Prints help, or clap's message about wrong options. Options are quoted, since clap repeats them
/// as they are.
fn usage_error(mut error: clap::Error) -> ExitCode {
    if !error.use_stderr() {
        error.exit();
    }
    let quoted = |(kind, value): (ContextKind, &ContextValue)| match value {
        ContextValue::String(text) => Some((kind, ContextValue::String(quote::quote(text)))),
        _ => None,
    };
    for (kind, value) in error.context().filter_map(quoted).collect::<Vec<_>>() {
        error.insert(kind, value);
    }
    let text = quote::message(&error.render().to_string());
    let _ = writeln!(io::stderr(), "{text}");
    ExitCode::from(error.exit_code() as u8)
}

fn exit_code(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // The reader closed the pipe, as in `words … | head`.
        Err(error) if output::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let text = quote::message(&format!("error: {error:#}"));
            // If standard error fails too, nothing can be reported.
            let _ = writeln!(io::stderr(), "{text}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Splits a line at blanks that are not in quotation marks.
    fn words(line: &str) -> Vec<String> {
        let parts = line.split('"').enumerate();
        parts
            .flat_map(|(number, part)| match number % 2 {
                0 => part.split_whitespace().map(str::to_owned).collect(),
                _ => vec![part.to_owned()],
            })
            .collect()
    }

    #[test]
    fn each_command_has_examples_that_it_takes() {
        let command = Cli::command();
        let shown = command.get_subcommands();
        for command in shown.filter(|command| !command.is_hide_set()) {
            let name = command.get_name();
            let text = command.get_after_help().unwrap_or_else(|| panic!("{name}"));
            let text = text.to_string();
            let (_, examples) = text.split_once("Examples:\n").unwrap();
            for line in examples.lines() {
                let words = words(line);
                assert_eq!(words[1], name);
                if let Err(error) = Cli::try_parse_from(&words) {
                    panic!("{line}: {error}");
                }
            }
        }
        // Negative control: an unknown option is refused.
        assert!(Cli::try_parse_from(words("wgpu-dropout adapters --jsn")).is_err());
    }
}
