//! `dist`: the files of a release for people without cargo: the command line with its completions, and the kernels'
//! texts, each an archive, with their SHA-256.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::command::{announce, cargo, root, run as run_command};

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
pub fn run(mut args: impl Iterator<Item = String>) -> Result {
    if let Some(arg) = args.next() {
        return Err(format!("`dist` has no option `{arg}`").into());
    }
    let root = root()?;
    run_command(&mut cargo("build --release --package wgpu-dropout-cli"))?;
    let name = format!("wgpu-dropout{}", std::env::consts::EXE_SUFFIX);
    let program = root.join("target/release").join(&name);
    let folder = root.join("target/dist");
    let _ = fs::remove_dir_all(&folder);

    let commands = folder.join("wgpu-dropout");
    let completions = commands.join("completions");
    fs::create_dir_all(&completions)?;
    fs::copy(&program, commands.join(&name))?;
    for file in BESIDE.map(Path::new) {
        let to = file.file_name().ok_or("a folder beside the command line")?;
        fs::copy(root.join(file), commands.join(to))?;
    }
    for (shell, file) in COMPLETIONS {
        let mut print = Command::new(&program);
        announce(print.args(["completions", shell]));
        let output = print.output()?;
        if !output.status.success() || output.stdout.is_empty() {
            return Err(format!("no completions of {shell}: {}", output.status).into());
        }
        fs::write(completions.join(file), output.stdout)?;
    }
    let texts = folder.join("wgsl");
    let mut write = Command::new(&program);
    run_command(write.args(["wgsl", "--output-dir"]).arg(&texts))?;

    let target = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    let archives = [
        archive(
            &folder,
            "wgpu-dropout",
            &format!("wgpu-dropout-{target}.tar.gz"),
        )?,
        archive(&folder, "wgsl", "wgpu-dropout-wgsl.tar.gz")?,
    ];
    let mut hash = Command::new("sha256sum");
    announce(hash.current_dir(&folder).args(&archives));
    let output = hash
        .output()
        .map_err(|error| format!("cannot start sha256sum, of GNU coreutils: {error}"))?;
    if !output.status.success() {
        return Err(format!("sha256sum: {}", output.status).into());
    }
    fs::write(folder.join("SHA256SUMS"), &output.stdout)?;
    print!("{}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}

/// Packs a folder, of which the archive alone is left.
fn archive(folder: &Path, name: &str, file: &str) -> Result<PathBuf> {
    run_command(
        Command::new("tar")
            .current_dir(folder)
            .args(["-czf", file, name]),
    )?;
    fs::remove_dir_all(folder.join(name))?;
    Ok(PathBuf::from(file))
}
