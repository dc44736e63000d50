//! The functions for kernels of one's own, imported by a kernel that calls each, with the default prefix and another.

use std::fs;
use std::path::Path;

use naga::valid::Capabilities;
use naga_oil::compose::{ComposableModuleDescriptor, Composer, NagaModuleDescriptor};
use wgpu_dropout::wgsl::{FunctionsOptions, Multiply, functions};

use crate::Result;

/// The default prefix and another, and what the struct's name is with each.
const PREFIXES: [(&str, &str); 2] = [("dropout_", "DropoutMask"), ("abc_", "AbcMask")];

const MULTIPLY: [Multiply; 2] = [Multiply::Halves, Multiply::U64];

/// Composes a kernel with the functions that it imports, as Bevy does, and validates what comes out.
pub fn compose(root: &str) -> Result {
    for (prefix, mask) in PREFIXES {
        let kernel = fs::read_to_string(Path::new(root).join("tests/gpu/functions.wgsl"))?;
        let kernel = kernel.replace("dropout_", &format!("masks::{prefix}"));
        let kernel = kernel.replace("DropoutMask", &format!("masks::{mask}"));
        let kernel = format!("#import my::masks as masks\n{kernel}");
        for multiply in MULTIPLY {
            let options = FunctionsOptions::default()
                .with_multiply(multiply)
                .with_prefix(prefix);
            let text = functions(&options.with_import_path("my::masks"))?;
            if let Err(complaint) = composed(&text, &kernel) {
                let complaint = complaint.replace('\n', " ");
                println!("{prefix}-{multiply:?}.wgsl: {complaint}");
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
