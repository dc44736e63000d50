//! The work of `cargo xtask compilers` and `gpus` with naga, naga_oil and a Vulkan driver: a program beside xtask, so that
//! neither `test` nor `bench` compiles them. Judges print a line for each complaint, a text's name and a colon, and last
//! how many texts they read.

mod answers;
mod costs;
mod functions;
mod translate;

use std::env;
use std::error::Error;
use std::process::ExitCode;

use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let args: Vec<_> = env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let outcome = match args[..] {
        ["answers"] => answers::print(),
        ["compose", root] => functions::compose(root),
        ["translate", folder, spirv_val] => translate::judge(folder, spirv_val),
        ["costs", ref files @ ..] => costs::print(files),
        _ => Err("usage: kernel-tools answers | compose | costs | translate".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A WGSL text with one entry point, and that entry point's name.
fn parse(text: &str) -> Result<(naga::Module, ModuleInfo, String)> {
    let module = naga::front::wgsl::parse_str(text)?;
    let mut validator = Validator::new(ValidationFlags::all(), Capabilities::all());
    let info = validator.validate(&module)?;
    let entry_point = module.entry_points.first().ok_or("no entry point")?;
    let name = entry_point.name.clone();
    Ok((module, info, name))
}
