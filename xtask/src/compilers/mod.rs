//! `compilers`: other people's compilers and validators read the text of every kernel and of the functions for others'
//! kernels, a browser's compiler all other WGSL of the repository too, and hosts in other languages run some. Each first
//! has to refuse something broken: a judge that accepts everything fails.

pub mod gpus;
mod others;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::Result;
use crate::adapters::{self, apt_install};
use crate::command::{
    announce, cargo, command_line, fetch, npm_package, on_path, output, root, run as run_command,
    table,
};
use crate::debian::SWIFTSHADER;

/// The examples in other languages.
const HOSTS: &str = "examples/hosts";

/// Compilers, the numbers of texts that they took, and the seconds.
type Rows = Vec<Vec<String>>;

/// Fails where a text is refused.
pub fn run(install: bool) -> Result {
    let command_line = command_line()?;
    // Python's host needs an adapter.
    adapters::ensure(&[], &command_line, install)?;
    let root = root()?;
    let folder = root.join("target/compilers");
    let texts = folder.join("wgsl");
    let _ = fs::remove_dir_all(&texts);
    fs::create_dir_all(&folder)?;
    let (dawn, hosts) = (root.join("xtask/dawn"), root.join(HOSTS));
    npm_package("webgpu", &dawn, install)?;
    npm_package("webgpu", &hosts, install)?;
    let python = python(&folder.join("python"), &hosts, install)?;
    let spirv_val = spirv_val(install)?;
    let tools = kernel_tools(&root)?;
    let mut write = Command::new(&command_line);
    run_command(write.args(["wgsl", "--output-dir"]).arg(&texts))?;
    let functions = output(Command::new(&command_line).args(["wgsl", "--functions"]))?;
    others::write(&texts.join("others"), &root, &functions)?;

    let heads = ["compiler", "texts", "seconds"];
    let mut rows = vec![heads.map(String::from).to_vec()];
    let mut judge = |name: &str, command: &mut Command| {
        rows.push(judge(name, command)?);
        Ok::<_, Box<dyn std::error::Error>>(())
    };
    let node = |folder: &Path, script: &str| {
        let mut node = Command::new("node");
        node.arg(folder.join(script));
        node
    };
    judge("Tint", node(&dawn, "tint.mjs").arg(&texts))?;
    let mut translate = Command::new(&tools);
    translate.arg("translate").args([&texts, &spirv_val]);
    judge("naga: SPIR-V by spirv-val, GLSL, HLSL, MSL", &mut translate)?;
    judge(
        "naga_oil, an import",
        Command::new(&tools).arg("compose").arg(&root),
    )?;

    // The hosts find the command line on their path. They fail where a bit of a mask is not the command line's.
    let path = env::var_os("PATH").unwrap_or_default();
    let own = command_line.parent().map(PathBuf::from).into_iter();
    let path = env::join_paths(own.chain(env::split_paths(&path)))?;
    let mut mask_py = Command::new(python);
    run_command(mask_py.arg(hosts.join("mask.py")).env("PATH", &path))?;
    match SWIFTSHADER.unpack(&root) {
        Err(reason) => println!("without Dawn's results: {reason}"),
        Ok(variables) => {
            let answers = folder.join("answers.json");
            fs::write(&answers, output(Command::new(&tools).arg("answers"))?)?;
            let mut dawn = node(&dawn, "answers.mjs");
            judge(
                "Dawn on SwiftShader, results",
                dawn.arg(answers).envs(variables.clone()),
            )?;
            // Dawn takes no old lavapipe.
            run_command(mask_py.envs(variables.clone()))?;
            run_command(node(&hosts, "mask.mjs").env("PATH", &path).envs(variables))?;
        }
    }
    if install {
        rows.extend(gpus::judge(&root, &texts)?);
    }
    fs::remove_dir_all(&texts)?;
    println!("\n{}", table(&rows, 2));
    Ok(())
}

/// Builds the program that has naga in it.
fn kernel_tools(root: &Path) -> Result<PathBuf> {
    let target = root.join("target/kernel-tools");
    let mut build = cargo("build --release --locked --manifest-path xtask/kernel_tools/Cargo.toml");
    run_command(build.current_dir(root).arg("--target-dir").arg(&target))?;
    Ok(target.join("release/kernel-tools"))
}

fn spirv_val(install: bool) -> Result<PathBuf> {
    const PACKAGE: &str = "spirv-tools";
    if on_path("spirv-val").is_none() {
        apt_install("there is no spirv-val", &[PACKAGE], install, PACKAGE)?;
    }
    Ok(on_path("spirv-val").ok_or("spirv-tools has no spirv-val")?)
}

/// A virtual environment with what `hosts` asks for.
fn python(environment: &Path, hosts: &Path, install: bool) -> Result<PathBuf> {
    let python = environment.join("bin/python");
    let mut create = Command::new("python3");
    fetch(
        &python,
        create.args(["-m", "venv"]).arg(environment),
        install,
    )?;
    let mut packages = Command::new(&python);
    packages.args(["-m", "pip", "install", "--quiet", "--require-hashes", "-r"]);
    packages.arg(hosts.join("requirements.txt"));
    // Packages that are there already are not fetched.
    if install {
        run_command(&mut packages)?;
    }
    Ok(python)
}

/// Runs a program, which prints a line for each complaint, a text's name and a colon, and last how much it looked at.
/// Dawn prints its log there too.
fn judge(name: &str, command: &mut Command) -> Result<Vec<String>> {
    announce(command);
    let start = Instant::now();
    let said = output(command)?;
    let seconds = format!("{:.0}", start.elapsed().as_secs_f64());
    let complaints = said.lines().filter(|line| line.contains(".wgsl: "));
    let complaints: Vec<_> = complaints.collect();
    let last = said.lines().last().unwrap_or_default();
    match (complaints.len(), last.parse().unwrap_or(0)) {
        (_, 0) => Err(format!("{name} read no text: {last}").into()),
        (0, texts) => Ok(vec![name.to_owned(), texts.to_string(), seconds]),
        (count, texts) => {
            let some = complaints[..count.min(3)].join("\n");
            Err(format!("{name}: {count} complaints about {texts} texts\n{some}").into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn translations_are_by_the_naga_of_wgpu() {
        let naga = |lock: &str| {
            let lock = fs::read_to_string(root().unwrap().join(lock)).unwrap();
            let (_, rest) = lock.split_once("name = \"naga\"\nversion = ").unwrap();
            rest.lines().next().unwrap().to_owned()
        };
        assert_eq!(naga("Cargo.lock"), naga("xtask/kernel_tools/Cargo.lock"));
    }

    #[test]
    fn a_complaint_and_a_judge_that_read_nothing_are_errors() {
        let judge = |said: &str| judge("tint", Command::new("printf").arg(said));
        assert_eq!(judge("a log\\n3\\n").unwrap()[1], "3");
        let error = judge("a.wgsl: bad\\n3\\n").unwrap_err().to_string();
        assert!(error.ends_with("a.wgsl: bad"), "{error}");
        assert!(judge("0\\n").is_err() && judge("").is_err());
    }
}
