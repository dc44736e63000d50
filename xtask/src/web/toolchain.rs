//! A compiler with a standard library for wasm.
//!
//! Users have it after `rustup target add wasm32-unknown-unknown`. Where rustup can fetch nothing, as
//! on this project's own machines, Debian's compiler for its browsers builds its own standard library:
//! packages rustc-web and rust-web-src of the security suite, unpacked under the target folder. Their
//! version moves with the browsers, and is read and not said here.

use std::env::consts::ARCH;
use std::path::{Path, PathBuf};

use xshell::{Cmd, Shell, cmd};

use crate::Result;
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
    pub fn find(sh: &Shell, folder: &Path, install: bool) -> Result<Self> {
        let libraries = cmd!(sh, "rustc --print target-libdir --target {TARGET}").read()?;
        if sh.path_exists(libraries) {
            return Ok(Self(None));
        }
        const REMEDY: &str = "`rustup target add wasm32-unknown-unknown` brings it";
        let missing = format!("there is no standard library for {TARGET}: {REMEDY}");
        if !install {
            return Err(missing.into());
        }
        let debian = || -> Result<Debian> {
            let apt = folder.join("apt");
            let unpacked = unpack(sh, &apt, "rustc-web", &PACKAGES, With::Dependencies)?;
            let own = PathBuf::from(cmd!(sh, "rustc --print sysroot").read()?);
            Ok(Debian {
                rustc: unpacked.join("usr/bin/rustc"),
                libraries: unpacked.join(format!("usr/lib/{ARCH}-linux-gnu")),
                linker: find(sh, &own.join("lib/rustlib"), "rust-lld")?,
            })
        };
        let debian = debian().map_err(|error| format!("{missing}. Without rustup: {error}"))?;
        Ok(Self(Some(debian)))
    }

    /// Tells cargo of it. Builds go to a folder of their own: another compiler's would be thrown away.
    pub fn set<'a>(&self, build: Cmd<'a>, target_dir: &Path) -> Cmd<'a> {
        let build = build.arg("--target-dir").arg(target_dir);
        let Some(debian) = &self.0 else { return build };
        build
            .arg("-Zbuild-std=std,panic_abort")
            .env("RUSTC", &debian.rustc)
            // For -Z on a stable compiler.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("LD_LIBRARY_PATH", &debian.libraries)
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", &debian.linker)
    }
}
