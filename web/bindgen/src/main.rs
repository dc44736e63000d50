//! `wgpu-dropout-web-bindgen WASM FOLDER`: what wasm-bindgen's own program does, with this workspace's lock
//! file for all that it is made of.

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
        // The JavaScript knows where the wasm is.
        .omit_default_module_path(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(folder)
}
