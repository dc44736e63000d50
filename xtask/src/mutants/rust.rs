//! Mutants of the library's Rust: those that cargo-mutants lists.
//!
//! Its own runs build and finish every test of a mutant. Here a mutant ends with the first test
//! that fails, and the audit, which takes longer than the rest, is run for its own mutants alone.

use std::fs;

use serde_json::Value;

use super::fates::{Tried, conclude};
use super::runner::Tests;
use crate::Result;
use crate::command::{announce, cargo, root};

/// A change of one file.
#[derive(Debug, PartialEq)]
struct Mutant {
    /// File, place and change in words.
    name: String,
    file: String,
    kind: String,
    replacement: String,
    /// Line and column, from 1, of the first character that is replaced and of the first that stays.
    span: [(usize, usize); 2],
}

/// Tries the mutants that `cargo mutants --list` has with `filters`.
pub fn run(filters: &[String]) -> Result {
    let root = root()?;
    let mut list = cargo("mutants --list --json --package wgpu-dropout");
    list.args(filters).current_dir(&root);
    announce(&list);
    let output = list.output()?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        return Err(format!("cargo-mutants made no list (27.1 does): {message}").into());
    }
    let mutants =
        parse(&serde_json::from_slice(&output.stdout)?).ok_or("not cargo-mutants' list")?;
    let mut tests = Tests::build(&root)?;
    let mut tried = Vec::new();
    for mutant in mutants {
        let path = tests.tree.join(&mutant.file);
        let text = fs::read_to_string(&path)?;
        fs::write(&path, mutant.apply(&text).ok_or("not cargo-mutants' list")?)?;
        let fate = tests.rust_fate(mutant.file.starts_with("src/audit/"))?;
        fs::write(&path, text)?;
        println!("{}  {}", mutant.name, fate.describe());
        let Mutant { file, kind, .. } = mutant;
        tried.push(Tried { file, kind, fate });
    }
    conclude(&tried, &[])
}

fn parse(list: &Value) -> Option<Vec<Mutant>> {
    let parse = |mutant: &Value| {
        let text = |name: &str| Some(mutant[name].as_str()?.to_owned());
        let place = |end: &str| {
            let number = |name| Some(mutant["span"][end][name].as_u64()? as usize);
            Some((number("line")?, number("column")?))
        };
        Some(Mutant {
            name: text("name")?,
            file: text("file")?,
            kind: text("genre")?,
            replacement: text("replacement")?,
            span: [place("start")?, place("end")?],
        })
    };
    list.as_array()?.iter().map(parse).collect()
}

impl Mutant {
    fn apply(&self, text: &str) -> Option<String> {
        let [start, end] = self.span.map(|(line, column)| {
            let lines = text.split_inclusive('\n');
            let before: usize = lines.clone().take(line - 1).map(str::len).sum();
            let (within, _) = lines
                .clone()
                .nth(line - 1)?
                .char_indices()
                .nth(column - 1)?;
            Some(before + within)
        });
        Some([&text[..start?], &self.replacement, &text[end?..]].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listed_mutant_is_applied() {
        let list = r#"[{
            "file": "src/rate.rs",
            "function": null,
            "genre": "BinaryOperator",
            "name": "src/rate.rs:2:7: replace + with -",
            "package": "wgpu-dropout",
            "replacement": "-",
            "span": { "start": { "line": 2, "column": 7 }, "end": { "line": 2, "column": 8 } }
        }]"#;
        let mutants = parse(&serde_json::from_str(list).unwrap()).unwrap();
        let changed = mutants[0].apply("// …\nlet … + 1;\n+\n");
        assert_eq!(changed.as_deref(), Some("// …\nlet … - 1;\n+\n"));
        assert_eq!(parse(&serde_json::from_str("[{}]").unwrap()), None);
    }
}
