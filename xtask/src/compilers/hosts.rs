//! The examples in other languages. Each compares its mask with the command line's, and fails where a bit
//! differs.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use super::Row;
use super::tools::{HOSTS, Tools};
use crate::Result;

/// Python's on the adapter of wgpu's choice and on SwiftShader, JavaScript's on SwiftShader: Dawn takes no
/// old lavapipe.
pub fn masks(tools: &Tools, root: &Path) -> Result<Vec<Row>> {
    let hosts = root.join(HOSTS);
    let python = || command(&tools.python, &hosts.join("mask.py"));
    let mut rows = vec![row("Python's wgpu, a mask", python()?)?];
    if let Some(variables) = &tools.swiftshader {
        let javascript = command(Path::new("node"), &hosts.join("mask.mjs"))?;
        for (name, mut host) in [
            ("Python's wgpu on SwiftShader, a mask", python()?),
            ("Dawn on SwiftShader, a mask", javascript),
        ] {
            host.envs(variables.iter().map(|(name, path)| (name, path)));
            rows.push(row(name, host)?);
        }
    }
    Ok(rows)
}

/// An example that finds the command line, which cargo builds beside this program.
fn command(program: &Path, script: &Path) -> Result<Command> {
    let own = env::current_exe()?;
    let folders = own.parent().map(PathBuf::from).into_iter();
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(folders.chain(env::split_paths(&path)))?;
    let mut command = Command::new(program);
    command.arg(script).env("PATH", path);
    Ok(command)
}

fn row(compiler: &str, mut host: Command) -> Result<Row> {
    println!("{compiler}:");
    let start = Instant::now();
    let status = host.status()?;
    let complaint = (!status.success()).then(|| format!("the example's {status}"));
    Ok(Row {
        compiler: compiler.into(),
        texts: 1,
        complaints: complaint.into_iter().collect(),
        time: start.elapsed(),
    })
}
