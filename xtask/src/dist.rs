//! `dist`: the files of a release for people without cargo: the command line with its completions, and the kernels'
//! texts, each an archive.

use std::env::consts::{ARCH, OS};

use xshell::{Shell, cmd};

use crate::Result;
use crate::command::{release, write_texts};

/// The shells whose completions are written, and the files that they look for.
const COMPLETIONS: [(&str, &str); 4] = [
    ("bash", "wgpu-dropout.bash"),
    ("zsh", "_wgpu-dropout"),
    ("fish", "wgpu-dropout.fish"),
    ("powershell", "_wgpu-dropout.ps1"),
];

/// Files of the repository that go beside the command line.
const BESIDE: &str = "README.md LICENSE-APACHE LICENSE-MIT docs/command-line.md";

/// Writes the archives to `target/dist`.
pub fn run(sh: &Shell) -> Result {
    let program = release(sh)?;
    sh.remove_path("target/dist")?;
    let commands = sh.create_dir("target/dist/wgpu-dropout")?;
    sh.copy_file(&program, &commands)?;
    for file in BESIDE.split(' ') {
        sh.copy_file(file, &commands)?;
    }
    for (shell, file) in COMPLETIONS {
        match cmd!(sh, "{program} completions {shell}").read()? {
            text if text.is_empty() => return Err(format!("no completions of {shell}").into()),
            text => sh.write_file(commands.join("completions").join(file), text + "\n")?,
        }
    }
    let _dist = sh.push_dir("target/dist");
    write_texts(sh, &program, &sh.current_dir().join("wgsl"))?;
    for (packed, file) in [
        ("wgpu-dropout", format!("wgpu-dropout-{ARCH}-{OS}.tar.gz")),
        ("wgsl", "wgpu-dropout-wgsl.tar.gz".to_owned()),
    ] {
        cmd!(sh, "tar -czf {file} {packed}").run()?;
        sh.remove_path(packed)?;
    }
    Ok(())
}
