//! Composes a kernel with the module that it imports, as Bevy does, and validates what comes out.
//! Usage: compose MODULE KERNEL

use std::error::Error;
use std::{env, fs};

use naga::valid::Capabilities;
use naga_oil::compose::{ComposableModuleDescriptor, Composer, NagaModuleDescriptor};

fn main() -> Result<(), Box<dyn Error>> {
    let paths: Vec<_> = env::args().skip(1).collect();
    let [module, kernel] = &paths[..] else {
        return Err("give a module and a kernel".into());
    };
    let [source, importing] = [fs::read_to_string(module)?, fs::read_to_string(kernel)?];
    let mut composer = Composer::default().with_capabilities(Capabilities::SHADER_INT64);
    let added = composer.add_composable_module(ComposableModuleDescriptor {
        source: &source,
        file_path: module,
        ..Default::default()
    });
    let refused = match added.err() {
        None => composer
            .make_naga_module(NagaModuleDescriptor {
                source: &importing,
                file_path: kernel,
                ..Default::default()
            })
            .err(),
        refused => refused,
    };
    match refused {
        Some(error) => Err(error.emit_to_string(&composer).into()),
        None => Ok(()),
    }
}
