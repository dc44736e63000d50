//! `params`: the parameters of users' own kernels, for hosts in any language.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use wgpu_dropout::{DropoutMask, MaskLayout};

use crate::call::CallArgs;
use crate::layout::{ElementsArgs, LayoutArgs};
use crate::output::{Output, write_numbers};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    elements: ElementsArgs,
    /// Write the 48 bytes of the struct DropoutMask to a file instead of JSON; `-` is standard
    /// output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten, next_help_heading = crate::CALL)]
    call: CallArgs,
    #[command(flatten, next_help_heading = "Layout")]
    layout: LayoutArgs,
}

pub fn run(args: &Args) -> Result<()> {
    let call = args.call.call();
    let shape = args.elements.shape();
    let tensor = args.layout.tensor(shape, call)?;
    let layout = match tensor.layout {
        Some(layout) => layout,
        None => MaskLayout::elementwise(shape)?,
    };
    let mask = call.mask_params_of(&layout)?;
    if let Some(path) = &args.output {
        let mut output = Output::create(path)?;
        write_numbers(&mut output, &mut words(&mask))?;
        return output.finish();
    }
    let strides = (args.elements.shape.as_ref())
        .map(|_| layout.index_strides())
        .transpose()?;
    let mut output = Output::stdout();
    writeln!(output, "{:#}", description(&mask, strides)?).context("cannot write the output")?;
    output.finish()
}

/// The struct's members in order, as words.
fn words(mask: &DropoutMask) -> [u32; 12] {
    bytemuck::cast(*mask)
}

/// The struct's members by name, its words, and the strides of a shape, as JSON.
fn description(mask: &DropoutMask, strides: Option<[u32; 4]>) -> Result<Value> {
    let mut all = json!({ "mask": serde_json::to_value(mask)?, "words": words(mask) });
    if let Some(strides) = strides {
        all["strides"] = json!(strides);
    }
    Ok(all)
}
