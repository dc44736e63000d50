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
use crate::debian::{Apt, find};

pub const TARGET: &str = "wasm32-unknown-unknown";

const PACKAGES: [&str; 3] = ["rustc-web", "libstd-rust-web-dev", "rust-web-src"];

/// The compiler that cargo uses.
pub enum Toolchain {
    /// The one that runs this.
    Own,
    Debian {
        rustc: PathBuf,
        libraries: PathBuf,
        /// rustup's, which every toolchain of its has.
        linker: PathBuf,
    },
}

impl Toolchain {
    pub fn find(folder: &Path, install: bool) -> Result<Self> {
        let installed = rustc(&["--print", "target-libdir", "--target", TARGET])?;
        if Path::new(&installed).exists() {
            return Ok(Self::Own);
        }
        const REMEDY: &str = "`rustup target add wasm32-unknown-unknown` brings it";
        let missing = format!("there is no standard library for {TARGET}: {REMEDY}");
        if !install {
            return Err(missing.into());
        }
        Self::debian(folder).map_err(|error| format!("{missing}. Without rustup: {error}").into())
    }

    fn debian(folder: &Path) -> Result<Self> {
        let apt = folder.join("apt");
        let name = "rustc-web";
        let unpacked = Apt::new(&apt)?.unpack_with_dependencies(name, &PACKAGES)?;
        let sysroot = PathBuf::from(rustc(&["--print", "sysroot"])?);
        let linker = find(&sysroot.join("lib/rustlib"), "rust-lld")?
            .ok_or_else(|| format!("{} has no rust-lld", sysroot.display()))?;
        Ok(Self::Debian {
            rustc: unpacked.join("usr/bin/rustc"),
            libraries: unpacked.join(format!("usr/lib/{ARCH}-linux-gnu")),
            linker,
        })
    }

    /// Tells cargo of it. Builds go to a folder of their own: another compiler's would be thrown away.
    pub fn set<'a>(&self, build: &'a mut Command, target_dir: &Path) -> &'a mut Command {
        build.arg("--target-dir").arg(target_dir);
        let Self::Debian {
            rustc,
            libraries,
            linker,
        } = self
        else {
            return build;
        };
        build
            .arg("-Zbuild-std=std,panic_abort")
            .env("RUSTC", rustc)
            // For -Z on a stable compiler.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("LD_LIBRARY_PATH", libraries)
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker)
    }
}

/// A line of rustc's output.
fn rustc(args: &[&str]) -> Result<String> {
    let output = Command::new("rustc").args(args).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
