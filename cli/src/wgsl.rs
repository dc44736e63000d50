//! `wgsl`: prints the text of a kernel, for other tools and for readers who want to see the code
//! that runs.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use wgpu_dropout::wgsl::{BufferAccess, FunctionsOptions, Multiply, Variant, Way, functions};

use crate::output::{Output, OutputFolder};

/// Each option narrows the choice. The first kernel that is left is printed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The kind of kernel; `copy` is dropout at a rate of 0
    #[arg(long, value_parser = [
        "dropout", "copy", "activated", "keep-mask", "column-tiles", "column-totals", "norm",
        "norm-moments", "softmax", "philox-blocks",
    ])]
    kernel: Option<String>,
    /// The type of the elements
    #[arg(long, value_parser = ["f32", "f16", "bf16"])]
    dtype: Option<String>,
    /// Input and output in two buffers, in two ranges of one, or in one range
    #[arg(long, value_parser = ["separate", "pooled", "in-place"])]
    layout: Option<String>,
    /// The source of the mask. A layout has rows if its innermost stride is 1, and runs if it is 0.
    /// Kernels of activations take `drawn` for any layout, and `by-side` for sample ids or a packed
    /// mask
    #[arg(long, value_parser = ["linear", "packed", "rows", "runs", "scattered", "drawn", "by-side"])]
    mask: Option<String>,
    /// The most dimensions of the mask's layout that the kernel takes, after adjacent ones are
    /// merged
    #[arg(long, value_parser = ["2", "3", "4", "8"])]
    dimensions: Option<String>,
    /// Yes if rows or runs are multiples of 32 elements
    #[arg(long, value_parser = ["yes", "no"])]
    whole_words: Option<String>,
    /// Yes if samples have ids
    #[arg(long, value_parser = ["yes", "no"])]
    sample_ids: Option<String>,
    /// Kept elements are scaled (`scale`), unchanged (`keep`) or scaled and shifted (`affine`);
    /// with `noise` every element is multiplied by noise
    #[arg(long, value_parser = ["scale", "keep", "affine", "noise"])]
    value: Option<String>,
    /// Operands that are fused with dropout: a residual, with or without a bias and a scale; or, in
    /// the gradient, a scale
    #[arg(long, value_parser = ["residual", "residual-and-vectors", "scale"])]
    beside: Option<String>,
    /// The type of the residual, the sum and its gradient
    #[arg(long, value_parser = ["f32", "f16", "bf16"])]
    stream: Option<String>,
    /// The terms that column-tiles adds: stored elements, or those of the gradient of a scale or of
    /// γ
    #[arg(long, value_parser = [
        "stored", "scale", "biased-scale", "wide-scale", "biased-wide-scale", "norm",
    ])]
    terms: Option<String>,
    /// The output or the gradient of an activation, a norm or a softmax. A norm's `-apart` writes
    /// its sum or its gradient to a range of its own and not in place. A softmax's gradient is
    /// computed from scores or `-from-probabilities`
    #[arg(long, value_parser = [
        "forward", "gradient", "gated", "gated-gradient", "forward-apart", "gradient-apart",
        "gradient-from-probabilities",
    ])]
    form: Option<String>,
    /// The operand of dropout in a norm: the branch before it, or its output
    #[arg(long, value_parser = ["branch", "output"])]
    place: Option<String>,
    /// The activation function
    #[arg(long, value_parser = [
        "identity", "relu", "squared-relu", "gelu", "gelu-tanh", "silu", "quick-gelu",
    ])]
    activation: Option<String>,
    /// The unit of loads and stores: blocks and vectors take 16 bytes, u64-blocks 8, words 4
    #[arg(long, value_parser = ["blocks", "u64-blocks", "vectors", "words"])]
    access: Option<String>,
    /// The conversions of f16 that is scaled by blocks: `hardware` is not exact on every device
    #[arg(long, value_parser = ["integers", "hardware"])]
    conversion: Option<String>,
    /// The rounds of philox-blocks
    #[arg(long, value_parser = ["10", "7"])]
    rounds: Option<String>,
    /// The 64-bit product of two words: `u64` needs SHADER_INT64, `halves` does not
    #[arg(long, value_parser = ["u64", "halves"])]
    multiply: Option<String>,
    /// The source of parameters: `immediates` needs IMMEDIATES; `bound` is a storage buffer, for
    /// other runtimes
    #[arg(long, value_parser = ["immediates", "uniform", "bound"])]
    params: Option<String>,
    /// Only kernels that need no feature of wgpu, whose WGSL every implementation of WebGPU takes
    #[arg(long)]
    portable: bool,
    /// Print no kernel, but the mask contract as functions for your own kernel. --multiply is
    /// halves by default
    #[arg(long, conflicts_with_all = [
        "kernel", "dtype", "layout", "mask", "dimensions", "whole_words", "sample_ids", "value",
        "beside", "stream", "terms", "form", "place", "activation", "access", "conversion", "rounds", "params", "portable", "list", "output_dir",
    ])]
    functions: bool,
    /// The prefix of the functions' names, `dropout_` by default
    #[arg(long, value_name = "PREFIX", value_parser = prefix, requires = "functions")]
    prefix: Option<String>,
    /// Begin the text with #define_import_path, for naga_oil
    #[arg(long, value_name = "PATH", value_parser = import_path, requires = "functions")]
    import_path: Option<String>,
    /// Print the options of each kernel that is left, one per line, and no text
    #[arg(long, conflicts_with = "output_dir")]
    list: bool,
    /// Write each kernel that is left to a file in this new or empty folder, with kernels.json,
    /// which has what a host must know of each. All files are written, or none
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
}

/// Parses a prefix of the functions' names.
fn prefix(text: &str) -> Result<String, String> {
    checked(FunctionsOptions::default().with_prefix(text), text)
}

/// Parses an import path of naga_oil.
fn import_path(text: &str) -> Result<String, String> {
    checked(FunctionsOptions::default().with_import_path(text), text)
}

/// Returns `text` if the functions can be written with these options.
fn checked(options: FunctionsOptions, text: &str) -> Result<String, String> {
    let written = functions(&options);
    written
        .map(|_| text.to_owned())
        .map_err(|error| error.to_string())
}

/// A kernel, and the way in which a device runs it.
type Text = (Variant, Way);

fn texts() -> impl Iterator<Item = Text> {
    Variant::all().flat_map(|variant| variant.ways().map(move |way| (variant, way)))
}

/// A field of a kernel and the wanted value.
type Wish<'a> = (&'static str, &'a str);

pub fn run(args: &Args) -> Result<()> {
    if args.functions {
        let mut output = Output::stdout();
        write!(output, "{}", functions(&args.functions_options())?)
            .context("cannot write the output")?;
        return output.finish();
    }
    let wishes = args.wishes();
    let mut variants = texts().filter(|(variant, way)| {
        let fields = variant.fields(*way);
        let has = |&(name, value): &Wish<'_>| fields.iter().any(|(n, v)| *n == name && v == value);
        wishes.iter().all(has) && (!args.portable || way.features().is_empty())
    });
    let Some(first) = variants.next() else {
        let portable = if args.portable { "--portable " } else { "" };
        bail!(
            "no kernel has all of {portable}{}: leave one out; `wgsl --list` prints which options \
             go together",
            options(wishes)
        );
    };
    let mut left = [first].into_iter().chain(variants);
    if let Some(folder) = &args.output_dir {
        return write_all(left, folder);
    }
    let mut output = Output::stdout();
    if args.list {
        for (variant, way) in left {
            let fields = variant.fields(way);
            let line = options(fields.iter().map(|(name, value)| (*name, &value[..])));
            writeln!(output, "{line}").context("cannot write the output")?;
        }
    } else {
        // A line of `--list` names one text, even if others have all its options and more.
        let is_named = |(variant, way): &Text| variant.fields(*way).len() == wishes.len();
        let (variant, way) = left.find(is_named).unwrap_or(first);
        write!(output, "{}", variant.text(way)).context("cannot write the output")?;
    }
    output.finish()
}

fn write_all(texts: impl Iterator<Item = Text>, folder: &Path) -> Result<()> {
    let mut folder = OutputFolder::create(folder)?;
    let mut kernels = Vec::new();
    for text in texts {
        let (variant, way) = &text;
        folder.write(file_name(&text), &variant.text(*way))?;
        kernels.push(description(&text).to_string());
    }
    let list = format!("[\n{}\n]\n", kernels.join(",\n"));
    // kernels.json comes last, so a folder that has it has every text.
    folder.write("kernels.json".to_owned(), &list)?;
    folder.finish()?;
    let mut output = Output::stdout();
    writeln!(output, "{} kernels", kernels.len()).context("cannot write the output")?;
    output.finish()
}

/// The file name of a kernel: the values of its fields, each with the field's name if the value
/// alone is unclear:
/// `keep-mask-rows-2-dimensions-no-whole-words-yes-sample-ids-halves-uniform.wgsl`.
fn file_name((variant, way): &Text) -> String {
    let word = |(name, value): (&str, String)| match name {
        "dimensions" | "whole-words" | "sample-ids" | "rounds" => format!("{value}-{name}"),
        _ => value,
    };
    let words: Vec<_> = variant.fields(*way).into_iter().map(word).collect();
    words.join("-") + ".wgsl"
}

/// The JSON that a host needs for a kernel, in WebGPU's terms.
fn description(text: &Text) -> Value {
    let (variant, way) = text;
    let buffers: Vec<_> = variant
        .buffers(*way)
        .into_iter()
        .map(|buffer| {
            let ty = match buffer.access {
                BufferAccess::Uniform => "uniform",
                BufferAccess::Read => "read-only-storage",
                _ => "storage",
            };
            let name = buffer.role.name();
            json!({ "name": name, "group": buffer.group, "binding": buffer.binding, "type": ty })
        })
        .collect();
    json!({
        "file": file_name(text),
        "fields": variant.fields(*way).into_iter().collect::<BTreeMap<_, _>>(),
        "typical": variant.is_typical(),
        "features": way.features(),
        "entry_point": variant.entry_point(),
        "elements_per_workgroup": variant.elements_per_workgroup(),
        "buffers": buffers,
    })
}

impl Args {
    fn functions_options(&self) -> FunctionsOptions {
        let mut options = FunctionsOptions::default();
        if self.multiply.as_deref() == Some("u64") {
            options.multiply = Multiply::U64;
        }
        if let Some(prefix) = &self.prefix {
            options.prefix.clone_from(prefix);
        }
        options.import_path.clone_from(&self.import_path);
        options
    }

    fn wishes(&self) -> Vec<Wish<'_>> {
        let fields = [
            ("kernel", &self.kernel),
            ("dtype", &self.dtype),
            ("layout", &self.layout),
            ("mask", &self.mask),
            ("dimensions", &self.dimensions),
            ("whole-words", &self.whole_words),
            ("sample-ids", &self.sample_ids),
            ("value", &self.value),
            ("beside", &self.beside),
            ("stream", &self.stream),
            ("terms", &self.terms),
            ("form", &self.form),
            ("place", &self.place),
            ("activation", &self.activation),
            ("access", &self.access),
            ("conversion", &self.conversion),
            ("rounds", &self.rounds),
            ("multiply", &self.multiply),
            ("params", &self.params),
        ];
        fields
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_deref()?)))
            .collect()
    }
}

fn options<'a>(fields: impl IntoIterator<Item = Wish<'a>>) -> String {
    let option = |(name, value)| format!("--{name} {value}");
    fields.into_iter().map(option).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_options_values_are_those_of_the_kernels() {
        let command = <Args as clap::Args>::augment_args(clap::Command::new("wgsl"));
        let offered: BTreeSet<_> = command
            .get_arguments()
            .filter(|arg| arg.get_action().takes_values() && arg.get_id() != "output_dir")
            .flat_map(|arg| {
                let name = arg.get_long().unwrap_or_default();
                let values = arg.get_possible_values();
                values
                    .into_iter()
                    .map(move |value| (name.to_owned(), value.get_name().to_owned()))
            })
            .collect();
        let known: BTreeSet<_> = texts()
            .flat_map(|(variant, way)| variant.fields(way))
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        assert_eq!(offered, known);
    }
}
