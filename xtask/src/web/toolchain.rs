//! A compiler with a standard library for wasm.
//!
//! Users have it after `rustup target add wasm32-unknown-unknown`. Where rustup can fetch nothing, as
//! on this project's own machines, Debian's compiler for its browsers builds its own standard library:
//! packages rustc-web and rust-web-src of the security suite, unpacked under the target folder. Their
//! version moves with the browsers, and is read and not said here.

use std::env::consts::ARCH;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::command::output;
use crate::debian::{With, find, unpack};

pub const TARGET: &str = "wasm32-unknown-unknown";

const PACKAGES: [&str; 3] = ["rustc-web", "libstd-rust-web-dev", "rust-web-src"];

/// Debian's compiler, or nothing where cargo's own will do.
pub struct Toolchain(Option<Debian>);

struct Debian {
    rustc: PathBuf,
    libraries: PathBuf,
    /// rustup's, which every toolchain of its has.
    linker: PathBuf,
}

impl Toolchain {
    pub fn find(folder: &Path, install: bool) -> Result<Self> {
        if rustc(&["--print", "target-libdir", "--target", TARGET])?.exists() {
            return Ok(Self(None));
        }
        const REMEDY: &str = "`rustup target add wasm32-unknown-unknown` brings it";
        let missing = format!("there is no standard library for {TARGET}: {REMEDY}");
        if !install {
            return Err(missing.into());
        }
        let debian = || -> Result<Debian> {
            let apt = folder.join("apt");
            let unpacked = unpack(&apt, "rustc-web", &PACKAGES, With::Dependencies)?;
            Ok(Debian {
                rustc: unpacked.join("usr/bin/rustc"),
                libraries: unpacked.join(format!("usr/lib/{ARCH}-linux-gnu")),
                linker: find(
                    &rustc(&["--print", "sysroot"])?.join("lib/rustlib"),
                    "rust-lld",
                )?,
            })
        };
        let debian = debian().map_err(|error| format!("{missing}. Without rustup: {error}"))?;
        Ok(Self(Some(debian)))
    }

    /// Tells cargo of it. Builds go to a folder of their own: another compiler's would be thrown away.
    pub fn set<'a>(&self, build: &'a mut Command, target_dir: &Path) -> &'a mut Command {
        build.arg("--target-dir").arg(target_dir);
        if let Some(debian) = &self.0 {
            build
                .arg("-Zbuild-std=std,panic_abort")
                .env("RUSTC", &debian.rustc)
                // For -Z on a stable compiler.
                .env("RUSTC_BOOTSTRAP", "1")
                .env("LD_LIBRARY_PATH", &debian.libraries)
                .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", &debian.linker);
        }
        build
    }
}

/// A path that rustc prints.
fn rustc(args: &[&str]) -> Result<PathBuf> {
    Ok(output(Command::new("rustc").args(args))?.trim().into())
}
