//! `compilers`: other people's compilers and validators read the text of every kernel and of the functions for others'
//! kernels, a browser's compiler all other WGSL of the repository too, and hosts in other languages run some. Each first
//! has to refuse something broken: a judge that accepts everything fails.

pub mod gpus;
mod others;

use std::env;
use std::path::{Path, PathBuf};
use std::time::Instant;

use xshell::{Cmd, Shell, cmd};

use crate::Result;
use crate::adapters::{self, apt_install};
use crate::command::{command_line, fetch, npm_package, on_path, write_texts};
use crate::debian::SWIFTSHADER;

/// The examples in other languages.
const HOSTS: &str = "examples/hosts";

/// Fails where a text is refused.
pub fn run(sh: &Shell, install: bool) -> Result {
    let program = command_line(sh)?;
    // Python's host needs an adapter.
    adapters::ensure(sh, &[], &program, install)?;
    let folder = sh.create_dir("target/compilers")?;
    let texts = folder.join("wgsl");
    npm_package(sh, "webgpu", "xtask/dawn", install)?;
    npm_package(sh, "webgpu", HOSTS, install)?;
    let python = python(sh, &folder.join("python"), install)?;
    let spirv_val = spirv_val(sh, install)?;
    let tools = kernel_tools(sh)?;
    write_texts(sh, &program, &texts)?;
    let functions = cmd!(sh, "{program} wgsl --functions").read()?;
    others::write(sh, &texts.join("others"), &(functions + "\n"))?;

    let mut rows = Vec::new();
    for (name, command) in [
        ("Tint", cmd!(sh, "node xtask/dawn/tint.mjs {texts}")),
        (
            "naga: SPIR-V by spirv-val, GLSL, HLSL, MSL",
            cmd!(sh, "{tools} translate {texts} {spirv_val}"),
        ),
        ("naga_oil, an import", cmd!(sh, "{tools} compose .")),
    ] {
        rows.push(judge(name, &command)?);
    }

    // The hosts find the command line on their path. They fail where a bit of a mask is not the command line's.
    let path = env::var_os("PATH").unwrap_or_default();
    let own = program.parent().map(PathBuf::from).into_iter();
    let _path = sh.push_env("PATH", env::join_paths(own.chain(env::split_paths(&path)))?);
    let mask_py = || cmd!(sh, "{python} {HOSTS}/mask.py");
    mask_py().run()?;
    match SWIFTSHADER.unpack(sh) {
        Err(reason) => println!("without Dawn's results: {reason}"),
        Ok(variables) => {
            let answers = folder.join("answers.json");
            sh.write_file(&answers, cmd!(sh, "{tools} answers").read()?)?;
            let dawn = cmd!(sh, "node xtask/dawn/answers.mjs {answers}").envs(variables.clone());
            rows.push(judge("Dawn on SwiftShader, results", &dawn)?);
            // Dawn takes no old lavapipe.
            mask_py().envs(variables.clone()).run()?;
            cmd!(sh, "node {HOSTS}/mask.mjs").envs(variables).run()?;
        }
    }
    if install {
        rows.extend(gpus::judge(sh, &texts)?);
    }
    sh.remove_path(&texts)?;
    println!("\n{}", rows.join("\n"));
    Ok(())
}

/// Builds the program that has naga in it.
fn kernel_tools(sh: &Shell) -> Result<PathBuf> {
    let target = sh.current_dir().join("target/kernel-tools");
    let build = cmd!(sh, "cargo build --release --locked --target-dir {target}");
    build
        .args(["--manifest-path", "xtask/kernel_tools/Cargo.toml"])
        .run()?;
    Ok(target.join("release/kernel-tools"))
}

fn spirv_val(sh: &Shell, install: bool) -> Result<PathBuf> {
    const PACKAGE: &str = "spirv-tools";
    if on_path("spirv-val").is_none() {
        apt_install(sh, "there is no spirv-val", PACKAGE, install, PACKAGE)?;
    }
    Ok(on_path("spirv-val").ok_or("spirv-tools has no spirv-val")?)
}

/// A virtual environment with what the hosts ask for.
fn python(sh: &Shell, environment: &Path, install: bool) -> Result<PathBuf> {
    let python = environment.join("bin/python");
    let create = cmd!(sh, "python3 -m venv {environment}");
    fetch(sh, &python, &create, install)?;
    let packages = cmd!(sh, "{python} -m pip install --quiet --require-hashes -r");
    // Packages that are there already are not fetched.
    if install {
        packages.arg(format!("{HOSTS}/requirements.txt")).run()?;
    }
    Ok(python)
}

/// Runs a program, which prints a line for each complaint, a text's name and a colon, and last how much it looked at.
/// Dawn prints its log there too.
fn judge(name: &str, command: &Cmd) -> Result<String> {
    println!("$ {command}");
    let start = Instant::now();
    let said = command.read()?;
    let complaints = said.lines().filter(|line| line.contains(".wgsl: "));
    let complaints: Vec<_> = complaints.collect();
    let last = said.lines().last().unwrap_or_default();
    match (complaints.len(), last.parse().unwrap_or(0)) {
        (_, 0) => Err(format!("{name} read no text: {last}").into()),
        (0, texts) => Ok(row(name, texts, start)),
        (count, texts) => {
            let some = complaints[..count.min(3)].join("\n");
            Err(format!("{name}: {count} complaints about {texts} texts\n{some}").into())
        }
    }
}

/// A line of the table: a compiler, the number of texts that it took, and the time.
fn row(compiler: &str, texts: usize, start: Instant) -> String {
    let seconds = start.elapsed().as_secs_f64();
    format!("{compiler:<70} {texts:>5} texts {seconds:>5.0} s")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::shell;

    #[test]
    fn translations_are_by_the_naga_of_wgpu() {
        let naga = |lock: &str| {
            let lock = shell().unwrap().read_file(lock).unwrap();
            let (_, rest) = lock.split_once("name = \"naga\"\nversion = ").unwrap();
            rest.lines().next().unwrap().to_owned()
        };
        assert_eq!(naga("Cargo.lock"), naga("xtask/kernel_tools/Cargo.lock"));
    }

    #[test]
    fn a_complaint_and_a_judge_that_read_nothing_are_errors() {
        let sh = &shell().unwrap();
        let judge = |said: &str| judge("tint", &cmd!(sh, "printf {said}"));
        assert!(judge("a log\\n3\\n").unwrap().contains(" 3 texts "));
        let error = judge("a.wgsl: bad\\n3\\n").unwrap_err().to_string();
        assert!(error.ends_with("a.wgsl: bad"), "{error}");
        assert!(judge("0\\n").is_err() && judge("").is_err());
    }
}
