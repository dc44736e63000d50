//! `mutants`: does some test notice each small change of the shaders, or of the library's Rust?
//!
//! A copy of the tree under the target folder is built; then each mutant is a changed file and a
//! run up to the first failure.

mod equivalent;
mod fates;
mod rules;
mod runner;
mod rust;

use std::fs;
use std::path::Path;

use crate::Result;
use crate::command::root;
use equivalent::{EQUIVALENT, Equivalent};
use fates::{Fate, Tried, conclude};
use rules::Mutant;
use runner::Tests;

/// The options of `mutants`.
#[derive(Debug, Default, PartialEq)]
struct Options {
    /// Lists the mutants and runs nothing.
    list: bool,
    /// Only these files' mutants; an empty list is for all.
    files: Vec<String>,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self::default();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--list" => options.list = true,
                "--file" => options
                    .files
                    .push(args.next().ok_or("--file needs a name")?),
                _ => return Err(format!("`mutants` has no option `{arg}`").into()),
            }
        }
        Ok(options)
    }
}

/// A shader and its mutants.
struct Shader {
    name: String,
    text: String,
    mutants: Vec<Mutant>,
}

pub fn run(args: impl Iterator<Item = String>) -> Result {
    let args: Vec<_> = args.collect();
    if let Some((first, filters)) = args.split_first()
        && first == "--rust"
    {
        return rust::run(filters);
    }
    let options = Options::parse(args.into_iter())?;
    let root = root()?;
    let shaders = shaders(&root.join("shaders"), &options.files)?;
    if options.list {
        for shader in &shaders {
            for mutant in &shader.mutants {
                println!("{}", describe(shader, mutant));
            }
        }
        return Ok(());
    }
    let mut tests = Tests::build(&root)?;
    let mut tried = Vec::new();
    let mut wrong = stale(&shaders, &options.files);
    for shader in &shaders {
        let path = tests.tree.join("shaders").join(&shader.name);
        for mutant in &shader.mutants {
            fs::write(&path, mutant.apply(&shader.text))?;
            let reason = equivalence(shader, mutant);
            let fate = match (tests.shader_fate()?, reason) {
                (Fate::Survived, Some(reason)) => Fate::Equivalent(reason),
                (fate, None) => fate,
                (fate, Some(_)) => {
                    let mutant = describe(shader, mutant);
                    wrong.push(format!(
                        "listed as equivalent, but it does not survive: {mutant}"
                    ));
                    fate
                }
            };
            println!("{}  {}", describe(shader, mutant), fate.describe());
            tried.push(Tried {
                file: shader.name.clone(),
                kind: mutant.kind.name().to_owned(),
                fate,
            });
        }
        fs::write(&path, &shader.text)?;
    }
    conclude(&tried, &wrong)
}

/// The shaders in the order of `only`, or all in alphabetical order.
fn shaders(folder: &Path, only: &[String]) -> Result<Vec<Shader>> {
    let mut shaders = Vec::new();
    for name in names(folder)? {
        if only.is_empty() || only.contains(&name) {
            let text = fs::read_to_string(folder.join(&name))?;
            let mutants = rules::mutants(&text);
            shaders.push(Shader {
                name,
                text,
                mutants,
            });
        }
    }
    if shaders.len() < only.len() {
        return Err("shaders/ has not all these files".into());
    }
    let place = |shader: &Shader| only.iter().position(|name| *name == shader.name);
    shaders.sort_by(|a, b| (place(a), &a.name).cmp(&(place(b), &b.name)));
    Ok(shaders)
}

/// The shaders of each folder of `folder`: `mask/keep.wgsl`.
fn names(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for part in fs::read_dir(folder)? {
        let part = part?;
        if !part.file_type()?.is_dir() {
            continue;
        }
        for file in fs::read_dir(part.path())? {
            let file = file?.file_name();
            names.push(format!("{}/{}", part.file_name().display(), file.display()));
        }
    }
    Ok(names)
}

fn describe(shader: &Shader, mutant: &Mutant) -> String {
    let place = format!("{}:{}", shader.name, mutant.line);
    let to = match mutant.to.as_str() {
        "" => "nothing",
        to => to.trim_start(),
    };
    let kind = mutant.kind.name();
    let change = format!("{} -> {to}", mutant.from);
    format!("{place:<27} {kind:<10}  {change}")
}

/// Why the mutant changes no result, if the list has it.
fn equivalence(shader: &Shader, mutant: &Mutant) -> Option<&'static str> {
    EQUIVALENT
        .iter()
        .find(|listed| is(listed, shader, mutant))
        .map(|listed| listed.reason)
}

fn is(listed: &Equivalent, shader: &Shader, mutant: &Mutant) -> bool {
    let [above, line, changed] = mutant.lines(&shader.text);
    listed.file == shader.name
        && [listed.above, listed.line, listed.changed] == [above, line, changed]
}

/// Stale entries: listed as equivalent, but no longer generated.
fn stale(shaders: &[Shader], only: &[String]) -> Vec<String> {
    let is_mutant = |listed: &&Equivalent| {
        shaders.iter().any(|shader| {
            let mut mutants = shader.mutants.iter();
            mutants.any(|mutant| is(listed, shader, mutant))
        })
    };
    EQUIVALENT
        .iter()
        .filter(|listed| only.is_empty() || only.iter().any(|only| only == listed.file))
        .filter(|listed| !is_mutant(listed))
        .map(|listed| {
            format!(
                "listed as equivalent, but no mutant: {}: {}",
                listed.file, listed.changed
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Options> {
        Options::parse(args.iter().map(ToString::to_string))
    }

    #[test]
    fn options_are_read() {
        let options = parse(&["--list", "--file", "mask/keep.wgsl"]).unwrap();
        assert!(options.list);
        assert_eq!(options.files, ["mask/keep.wgsl"]);
        assert!(parse(&["--file"]).is_err());
        assert!(parse(&["mask/keep.wgsl"]).is_err());
    }

    #[test]
    fn every_listed_equivalent_is_a_mutant() {
        let shaders = shaders(&root().unwrap().join("shaders"), &[]).unwrap();
        assert_eq!(stale(&shaders, &[]), [""; 0]);
    }
}
