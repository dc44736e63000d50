//! `dist`: the files of a release for people without cargo: the command line with its completions, and the kernels'
//! texts, each an archive.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::command::{output, release, root, run as run_command};

/// The shells whose completions are written, and the files that they look for.
const COMPLETIONS: [(&str, &str); 4] = [
    ("bash", "wgpu-dropout.bash"),
    ("zsh", "_wgpu-dropout"),
    ("fish", "wgpu-dropout.fish"),
    ("powershell", "_wgpu-dropout.ps1"),
];

/// Files of the repository that go beside the command line.
const BESIDE: [&str; 4] = [
    "README.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "docs/command-line.md",
];

/// Writes the archives to `target/dist`.
pub fn run() -> Result {
    let root = root()?;
    let program = release()?;
    let folder = root.join("target/dist");
    let _ = fs::remove_dir_all(&folder);

    let commands = folder.join("wgpu-dropout");
    let completions = commands.join("completions");
    fs::create_dir_all(&completions)?;
    let name = program.file_name().ok_or("a folder for a command line")?;
    fs::copy(&program, commands.join(name))?;
    for file in BESIDE.map(Path::new) {
        let to = file.file_name().ok_or("a folder beside the command line")?;
        fs::copy(root.join(file), commands.join(to))?;
    }
    for (shell, file) in COMPLETIONS {
        match output(Command::new(&program).args(["completions", shell]))? {
            text if text.is_empty() => return Err(format!("no completions of {shell}").into()),
            text => fs::write(completions.join(file), text)?,
        }
    }
    let texts = folder.join("wgsl");
    let mut write = Command::new(&program);
    run_command(write.args(["wgsl", "--output-dir"]).arg(&texts))?;

    let target = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    let archives = [
        ("wgpu-dropout", format!("wgpu-dropout-{target}.tar.gz")),
        ("wgsl", "wgpu-dropout-wgsl.tar.gz".to_owned()),
    ];
    for (packed, file) in &archives {
        let mut tar = Command::new("tar");
        run_command(tar.current_dir(&folder).args(["-czf", file, packed]))?;
        fs::remove_dir_all(folder.join(packed))?;
    }
    Ok(())
}
