//! `wgpu-dropout-web-bindgen WASM FOLDER` does what wasm-bindgen's own program does. Its
//! dependencies are locked by this workspace's lock file.

use std::env;

use anyhow::{Context, Result};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<()> {
    let mut args = env::args_os().skip(1);
    let mut arg = || args.next().context("give the wasm and a folder");
    let (wasm, folder) = (arg()?, arg()?);
    Bindgen::new()
        .input_path(wasm)
        .web(true)?
        // Keep the path of the wasm file in the JavaScript, which loads it.
        .omit_default_module_path(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(folder)
}
