//! `web`: the page with the library in it. Built, then served on this machine or tried in a browser.

mod browser;
mod server;
mod toolchain;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::Result;
use crate::command::{cargo, root, run as run_command};
pub use browser::try_in_browser;
use toolchain::{TARGET, Toolchain};

/// Everything that this makes, below the repository's root.
const FOLDER: &str = "target/web";
const PROFILE: &str = "web";

/// The options of `web`.
#[derive(Debug, PartialEq)]
struct Options {
    /// The use of the page when it is built.
    then: Then,
    /// True if packages may be fetched and installed.
    install: bool,
    port: u16,
}

#[derive(Debug, PartialEq)]
enum Then {
    Serve,
    Test,
    Nothing,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            then: Then::Serve,
            install: true,
            port: 8080,
        };
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--build" => options.then = Then::Nothing,
                "--test" => options.then = Then::Test,
                "--no-install" => options.install = false,
                "--port" => {
                    let port = args.next().unwrap_or_default();
                    options.port = port
                        .parse()
                        .map_err(|_| format!("`--port {port}` is none: 1 to 65535"))?;
                }
                _ => return Err(format!("`web` has no option `{arg}`").into()),
            }
        }
        Ok(options)
    }
}

pub fn run(args: impl Iterator<Item = String>) -> Result {
    let options = Options::parse(args)?;
    let site = build(options.install)?;
    match options.then {
        Then::Serve => server::serve(&site, options.port),
        Then::Test => try_in_browser(&site, options.install)?.verdict(),
        Then::Nothing => Ok(()),
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
    let wasm = folder
        .join("build")
        .join(TARGET)
        .join(PROFILE)
        .join("wgpu_dropout_web.wasm");
    let mut bind = cargo("run --quiet --package wgpu-dropout-web-bindgen --");
    run_command(bind.arg(wasm).arg(&site))?;
    for entry in fs::read_dir(root.join("web/page"))? {
        let entry = entry?;
        fs::copy(entry.path(), site.join(entry.file_name()))?;
    }
    print_sizes(&site)?;
    Ok(site)
}

/// Prints the sizes that a visitor loads, as they are and as a server would compress them.
fn print_sizes(site: &Path) -> Result {
    for entry in fs::read_dir(site)? {
        let path = entry?.path();
        if path.extension() == Some(OsStr::new("wasm")) {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
            let raw = io::copy(&mut File::open(&path)?, &mut gzip)?;
            let compressed = gzip.finish()?.len();
            let mut stdout = io::stdout();
            let name = path.file_name().unwrap_or_default().display();
            writeln!(stdout, "{name}: {raw} bytes, {compressed} with gzip")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Options> {
        Options::parse(args.iter().map(ToString::to_string))
    }

    #[test]
    fn it_serves_unless_told_otherwise() {
        let options = parse(&["--port", "9000", "--no-install"]).unwrap();
        assert_eq!(
            options,
            Options {
                then: Then::Serve,
                install: false,
                port: 9000
            }
        );
        assert_eq!(parse(&["--build"]).unwrap().then, Then::Nothing);
        assert_eq!(parse(&["--test"]).unwrap().then, Then::Test);
    }

    #[test]
    fn what_is_no_port_or_option_is_refused_by_name() {
        for (args, named) in [
            (&["--port", "70000"][..], "70000"),
            (&["--port"], "--port"),
            (&["--release"], "--release"),
        ] {
            let error = parse(args).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
