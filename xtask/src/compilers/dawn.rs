//! Dawn, the WebGPU of Chromium, under Node: its compiler Tint, and masks that it computes.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::kernels::Kernel;
use super::tools::Tools;
use super::{OTHERS, Row};
use crate::Result;
use crate::command::announce;

/// Every portable text and its pipeline, and the repository's other texts.
pub fn tint(tools: &Tools, texts: &Path, kernels: &[Kernel]) -> Result<Row> {
    let mut node = Command::new("node");
    node.arg(tools.dawn.join("tint.mjs")).arg(texts);
    let portable = kernels.iter().filter(|kernel| kernel.is_portable()).count();
    let all = portable + fs::read_dir(texts.join(OTHERS))?.count();
    let row = row("Tint", &mut node)?;
    if row.texts == all {
        Ok(row)
    } else {
        Err(format!("Tint read {} of {all} texts", row.texts).into())
    }
}

/// Results of some portable texts on SwiftShader, bound and dispatched by JavaScript. None without
/// the driver.
pub fn masks(tools: &Tools, texts: &Path, root: &Path) -> Result<Option<Row>> {
    let Some(variables) = &tools.swiftshader else {
        return Ok(None);
    };
    let mut node = Command::new("node");
    node.arg(tools.dawn.join("masks.mjs")).args([texts, root]);
    node.envs(variables.iter().map(|(name, path)| (name, path)));
    row("Dawn on SwiftShader, results", &mut node).map(Some)
}

/// Runs a script, which prints a line for each complaint, a text's name and a colon, and last how
/// much it looked at. Dawn prints its log there too.
fn row(compiler: &str, node: &mut Command) -> Result<Row> {
    announce(node);
    let start = Instant::now();
    let output = node.stderr(Stdio::inherit()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let texts = text.lines().last().and_then(|line| line.parse().ok());
    let complaints = text.lines().filter(|line| line.contains(".wgsl: "));
    match (output.status.success(), texts) {
        (true, Some(texts)) => Ok(Row {
            compiler: compiler.into(),
            texts,
            complaints: complaints.map(str::to_owned).collect(),
            time: start.elapsed(),
        }),
        _ => Err(format!("{compiler}: {}\n{text}", output.status).into()),
    }
}
