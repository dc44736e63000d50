//! The functions for kernels of one's own, with a kernel that calls each.

use std::fs;
use std::path::Path;

use naga::valid::Capabilities;
use naga_oil::compose::{ComposableModuleDescriptor, Composer, NagaModuleDescriptor};
use serde_json::{Value, json};
use wgpu_dropout::wgsl::{FunctionsOptions, Multiply, functions};

use crate::Result;

/// The default prefix and another, and what the struct's name is with each.
const PREFIXES: [(&str, &str); 2] = [("dropout_", "DropoutMask"), ("abc_", "AbcMask")];

const MULTIPLY: [Multiply; 2] = [Multiply::Halves, Multiply::U64];

/// The kernel, with these names for the functions and the struct.
fn kernel(root: &str, prefix: &str, mask: &str) -> Result<String> {
    let text = fs::read_to_string(Path::new(root).join("tests/gpu/functions.wgsl"))?;
    Ok(text.replace("dropout_", prefix).replace("DropoutMask", mask))
}

/// Puts modules beside the kernels' texts, and into the list of these: of each wide product one with the default
/// prefix, one with another, and one with both.
pub fn write(folder: &str, root: &str) -> Result {
    let folder = Path::new(folder);
    let list = folder.join("kernels.json");
    let mut kernels: Vec<Value> = serde_json::from_slice(&fs::read(&list)?)?;
    let types = ["read-only-storage", "storage", "uniform"];
    let buffers: Vec<_> = (0..).zip(types).map(|(binding, ty)| json!({ "group": 0, "binding": binding, "type": ty })).collect();
    for multiply in MULTIPLY {
        let mut both = String::new();
        let mut add = |name: &str, text: &str| -> Result {
            let file = format!("functions-{name}-{multiply:?}.wgsl");
            fs::write(folder.join(&file), text)?;
            let features: &[_] = match multiply {
                Multiply::U64 => &["SHADER_INT64"],
                _ => &[],
            };
            kernels.push(json!({
                "file": file,
                "typical": true,
                "features": features,
                "entry_point": "call_each",
                "buffers": buffers,
            }));
            Ok(())
        };
        for (prefix, mask) in PREFIXES {
            let options = FunctionsOptions::default().with_multiply(multiply).with_prefix(prefix);
            let functions = functions(&options)?;
            let kernel = kernel(root, prefix, mask)?;
            add(mask, &(functions.clone() + &kernel))?;
            both = functions + &both + if both.is_empty() { "" } else { &kernel };
        }
        add("both", &both)?;
    }
    Ok(fs::write(list, serde_json::to_string(&kernels)?)?)
}

/// Composes a kernel with the functions that it imports, as Bevy does, and validates what comes out.
pub fn compose(root: &str) -> Result {
    for (prefix, mask) in PREFIXES {
        let kernel = kernel(root, &format!("masks::{prefix}"), &format!("masks::{mask}"))?;
        let kernel = format!("#import my::masks as masks\n{kernel}");
        for multiply in MULTIPLY {
            let options = FunctionsOptions::default().with_multiply(multiply).with_prefix(prefix);
            let text = functions(&options.with_import_path("my::masks"))?;
            if let Err(complaint) = composed(&text, &kernel) {
                println!("{prefix}-{multiply:?}.wgsl: {}", complaint.replace('\n', " "));
            } else if composed(&text.replace("sigma", "sigma1"), &kernel).is_ok() {
                return Err("naga_oil lets a member pass whose name ends in a digit".into());
            }
        }
    }
    println!("{}", PREFIXES.len() * MULTIPLY.len());
    Ok(())
}

fn composed(module: &str, kernel: &str) -> std::result::Result<(), String> {
    let mut composer = Composer::default().with_capabilities(Capabilities::SHADER_INT64);
    let added = composer.add_composable_module(ComposableModuleDescriptor {
        source: module,
        file_path: "masks.wgsl",
        ..Default::default()
    });
    let made = added.err().or_else(|| {
        let kernel = NagaModuleDescriptor {
            source: kernel,
            file_path: "kernel.wgsl",
            ..Default::default()
        };
        composer.make_naga_module(kernel).err()
    });
    made.map_or(Ok(()), |error| Err(error.emit_to_string(&composer)))
}
