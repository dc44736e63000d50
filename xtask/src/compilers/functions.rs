//! The functions for kernels of one's own, as a host gets them from the command line, with a kernel that
//! calls each.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Row;
use crate::Result;
use crate::command::{announce, cargo, command_line};
use crate::programs::locked;

/// The kernel that calls each.
const KERNEL: &str = "tests/gpu/functions.wgsl";

/// The default prefix and another, and what the struct's name is with each.
const PREFIXES: [(&str, &str); 2] = [("dropout_", "DropoutMask"), ("abc_", "AbcMask")];

/// The output of `wgsl --functions`.
pub fn functions(options: &str) -> Result<String> {
    let mut command = Command::new(command_line()?);
    command
        .args(["wgsl", "--functions"])
        .args(options.split_whitespace());
    announce(&command);
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("wgsl --functions {options}: {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Puts modules beside the kernels' texts, and into the list of these: of each wide product one with the
/// default prefix, one with another, and one with both.
pub fn write(texts: &Path, root: &Path) -> Result {
    let kernel = fs::read_to_string(root.join(KERNEL))?;
    let [(own_prefix, _), (other_prefix, other_mask)] = PREFIXES;
    let other_kernel = renamed(&kernel, other_prefix, other_mask);
    let list = texts.join("kernels.json");
    let mut kernels: Vec<Value> = serde_json::from_str(&fs::read_to_string(&list)?)?;
    for (multiply, features) in [("halves", json!([])), ("u64", json!(["SHADER_INT64"]))] {
        let [own, other] = [own_prefix, other_prefix]
            .map(|prefix| functions(&format!("--multiply {multiply} --prefix {prefix}")));
        let [own, other] = [own?, other?];
        for (prefixes, text) in [
            ("dropout", format!("{own}{kernel}")),
            ("abc", format!("{other}{other_kernel}")),
            ("both", format!("{own}{other}{kernel}")),
        ] {
            let file = format!("functions-{prefixes}-{multiply}.wgsl");
            fs::write(texts.join(&file), text)?;
            kernels.push(description(&file, &features));
        }
    }
    Ok(fs::write(list, serde_json::to_string(&kernels)?)?)
}

/// The kernel's entry in the list, as `wgsl --output-dir` would write it.
fn description(file: &str, features: &Value) -> Value {
    let buffer =
        |(binding, (name, ty))| json!({ "name": name, "group": 0, "binding": binding, "type": ty });
    let buffers = [
        ("input", "read-only-storage"),
        ("output", "storage"),
        ("params", "uniform"),
    ];
    json!({
        "file": file,
        "fields": { "kernel": "functions" },
        "typical": true,
        "features": features,
        "entry_point": "call_each",
        "elements_per_workgroup": 64,
        "buffers": buffers.into_iter().enumerate().map(buffer).collect::<Vec<_>>(),
    })
}

/// The row of naga_oil, which composes a kernel that imports the functions.
pub fn imported(root: &Path, folder: &Path) -> Result<Row> {
    let project = root.join("xtask/naga_oil");
    let lock = fs::read_to_string(project.join("Cargo.lock"))?;
    let version = locked(&lock, "naga_oil").ok_or("its lock file has no naga_oil")?;
    let kernel = fs::read_to_string(root.join(KERNEL))?;
    let start = Instant::now();
    let [module, importing] = ["module.wgsl", "importing.wgsl"].map(|file| folder.join(file));
    let refused = |text: &str| -> Result<Option<String>> {
        fs::write(&module, text)?;
        let mut compose = cargo("run --quiet --locked --manifest-path");
        compose.arg(project.join("Cargo.toml"));
        compose.arg("--target-dir").arg(folder.join("naga_oil"));
        compose.arg("--").args([&module, &importing]);
        announce(&compose);
        let output = compose.output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        Ok((!output.status.success()).then(|| said.trim().to_owned()))
    };
    let mut row = Row {
        compiler: format!("naga_oil {version}, an import"),
        texts: 0,
        complaints: Vec::new(),
        time: Duration::ZERO,
    };
    for (prefix, mask) in PREFIXES {
        let path = "#import my::masks as masks\n";
        let kernel = renamed(
            &kernel,
            &format!("masks::{prefix}"),
            &format!("masks::{mask}"),
        );
        fs::write(&importing, path.to_owned() + &kernel)?;
        for multiply in ["halves", "u64"] {
            let options =
                format!("--multiply {multiply} --prefix {prefix} --import-path my::masks");
            let text = functions(&options)?;
            row.texts += 1;
            if let Some(complaint) = refused(&text)? {
                row.complaints.push(format!("{options}: {complaint}"));
            } else if refused(&text.replace("sigma", "sigma1"))?.is_none() {
                return Err("naga_oil lets a member pass whose name ends in a digit".into());
            }
        }
    }
    row.time = start.elapsed();
    Ok(row)
}

/// `kernel` with other names for the functions and the struct.
fn renamed(kernel: &str, prefix: &str, mask: &str) -> String {
    kernel
        .replace("dropout_", prefix)
        .replace("DropoutMask", mask)
}
