//! `web`: the page with the library in it. Built, then served on this machine or tried in a browser.

mod browser;
mod toolchain;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::command::{cargo, root, run as run_command};
pub use browser::try_in_browser;
use toolchain::{TARGET, Toolchain};

/// Everything that this makes, below the repository's root.
const FOLDER: &str = "target/web";
const PROFILE: &str = "web";

pub fn run(install: bool, only_build: bool, test: bool, port: u16) -> Result {
    let site = build(install)?;
    if test {
        try_in_browser(&site, install)
    } else if only_build {
        Ok(())
    } else {
        run_command(&mut server(&site, port)?)
    }
}

/// Serves files with the headers that the page needs.
fn server(site: &Path, port: u16) -> Result<Command> {
    let mut server = Command::new("python3");
    let script = root()?.join("web/serve.py");
    server.arg(script).arg(site).arg(port.to_string());
    Ok(server)
}

/// Builds the page and returns its folder, which any server of files could serve.
pub fn build(install: bool) -> Result<PathBuf> {
    let root = root()?;
    let folder = root.join(FOLDER);
    let site = folder.join("site");
    fs::create_dir_all(&site)?;
    let toolchain = Toolchain::find(&folder, install)?;

    let mut build = cargo(&format!(
        "build --package wgpu-dropout-web --profile {PROFILE} --target {TARGET}"
    ));
    run_command(toolchain.set(&mut build, &folder.join("build")))?;
    let wasm = folder.join("build").join(TARGET).join(PROFILE);
    let mut bind = cargo("run --quiet --package wgpu-dropout-web-bindgen --");
    run_command(bind.arg(wasm.join("wgpu_dropout_web.wasm")).arg(&site))?;
    for entry in fs::read_dir(root.join("web/page"))? {
        let entry = entry?;
        fs::copy(entry.path(), site.join(entry.file_name()))?;
    }
    Ok(site)
}
