//! `web`: the page with the library in it. Built, then served on this machine or tried in a browser.

mod browser;
mod toolchain;

use std::path::{Path, PathBuf};

use xshell::{Cmd, Shell, cmd};

use crate::Result;
pub use browser::try_in_browser;
use toolchain::{TARGET, Toolchain};

/// Everything that this makes, below the repository's root.
const FOLDER: &str = "target/web";

pub fn run(sh: &Shell, install: bool, only_build: bool, test: bool, port: u16) -> Result {
    let site = build(sh, install)?;
    match (test, only_build) {
        (true, _) => try_in_browser(sh, &site, install),
        (_, true) => Ok(()),
        _ => Ok(server(sh, &site, port).run()?),
    }
}

/// Serves files with the headers that the page needs.
fn server<'a>(sh: &'a Shell, site: &Path, port: u16) -> Cmd<'a> {
    let port = port.to_string();
    cmd!(sh, "python3 web/serve.py {site} {port}")
}

/// Builds the page and returns its folder, which any server of files could serve.
pub fn build(sh: &Shell, install: bool) -> Result<PathBuf> {
    let folder = sh.current_dir().join(FOLDER);
    let site = sh.create_dir(folder.join("site"))?;
    let toolchain = Toolchain::find(sh, &folder, install)?;
    let built = folder.join("build");
    let build = cmd!(
        sh,
        "cargo build -p wgpu-dropout-web --profile web --target {TARGET}"
    );
    toolchain.set(build, &built).run()?;
    let wasm = built.join(TARGET).join("web/wgpu_dropout_web.wasm");
    cmd!(
        sh,
        "cargo run -q -p wgpu-dropout-web-bindgen -- {wasm} {site}"
    )
    .run()?;
    for file in sh.read_dir("web/page")? {
        sh.copy_file(file, &site)?;
    }
    Ok(site)
}
