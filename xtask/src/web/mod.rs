//! `web`: the page with the library in it. Built, then served on this machine or tried in a browser.

mod browser;
mod server;
mod toolchain;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::command::{cargo, output, root, run as run_command};
use crate::{Args, Result};
pub use browser::try_in_browser;
use toolchain::{TARGET, Toolchain};

/// Everything that this makes, below the repository's root.
const FOLDER: &str = "target/web";
const PROFILE: &str = "web";

pub fn run(args: &Args) -> Result {
    let port = args.values("--port").pop().unwrap_or("8080".into());
    let port = port
        .parse()
        .map_err(|_| format!("`--port {port}` is none: 1 to 65535"))?;
    let site = build(args.install())?;
    if args.has("--test") {
        try_in_browser(&site, args.install())
    } else if args.has("--build") {
        Ok(())
    } else {
        server::serve(&site, port)
    }
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
    // The sizes that a visitor loads, as they are and as a server would compress them.
    let mut sizes = Command::new("sh");
    sizes.args([
        "-c",
        "for f in *.wasm; do echo $f: $(wc -c < $f) bytes, $(gzip -9c $f | wc -c) with gzip; done",
    ]);
    print!("{}", output(sizes.current_dir(&site)).unwrap_or_default());
    Ok(site)
}
