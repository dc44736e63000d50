//! `layers`: does an import of the library point from a lower layer to a higher one, or in a circle?
//! ARCHITECTURE.md says what the layers are.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::Result;
use crate::command::root;

/// Each layer, and those that it may import.
const LAYERS: &[(&str, &[&str])] = &[
    ("contract", &[]),
    ("kernel", &["contract"]),
    ("plan", &["contract", "kernel"]),
    ("launch", &["contract", "kernel", "plan"]),
    ("cpu", &["contract"]),
    ("host", &["contract", "kernel", "plan"]),
    ("act_dropout", &["contract", "kernel", "plan", "host"]),
    ("column_sums", &["contract", "kernel", "plan", "host"]),
    ("dropout", &["contract", "kernel", "plan", "host"]),
    (
        "dropout_add",
        &["contract", "kernel", "plan", "host", "column_sums"],
    ),
    (
        "dropout_add_norm",
        &["contract", "kernel", "plan", "host", "column_sums"],
    ),
    ("keep_mask", &["contract", "kernel", "plan", "host"]),
    ("softmax_dropout", &["contract", "kernel", "plan", "host"]),
    ("philox_blocks", &["contract", "kernel", "plan", "host"]),
    ("gaussian", &["contract", "plan", "host", "dropout"]),
    (
        "blocking",
        &["contract", "host", "dropout", "keep_mask", "philox_blocks"],
    ),
];

/// The layer that may import every other, and names of the root.
const TOP: &str = "audit";

/// Modules and what they import, as paths: `plan::cut` imports `kernel::axes`.
type Imports = BTreeMap<String, Vec<String>>;

/// Prints how many imports there are.
///
/// # Errors
///
/// Each import that points up, and a circle.
pub fn run() -> Result {
    let imports = read(&root()?.join("src"))?;
    let wrong = wrong(&imports);
    let count: usize = imports.values().map(Vec::len).sum();
    println!("{} modules, {count} imports between them", imports.len());
    if wrong.is_empty() {
        return Ok(());
    }
    Err(wrong.join("\n").into())
}

fn read(src: &Path) -> Result<Imports> {
    let mut texts = BTreeMap::new();
    let mut folders = vec![(src.to_owned(), Vec::new())];
    while let Some((folder, path)) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let mut path = path.clone();
            if entry.file_type()?.is_dir() {
                path.push(name);
                folders.push((entry.path(), path));
            } else if let Some(name) = name.strip_suffix(".rs") {
                if !["mod", "lib"].contains(&name) {
                    path.push(name.to_owned());
                }
                texts.insert(path.join("::"), fs::read_to_string(entry.path())?);
            }
        }
    }
    Ok(imports(&texts))
}

fn imports(texts: &BTreeMap<String, String>) -> Imports {
    let one = |(module, text): (&String, &String)| {
        // A module's tests may know more than it does.
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or("");
        let lines = code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        let mut imported: Vec<_> = lines
            .flat_map(|line| paths(module, line))
            .map(|path| longest_module(&path, texts))
            .filter(|path| path != module)
            .collect();
        imported.sort();
        imported.dedup();
        (module.clone(), imported)
    };
    texts.iter().map(one).collect()
}

/// The paths in a line that begin with `crate::` or `super::`, from the root on.
fn paths(module: &str, line: &str) -> Vec<String> {
    let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let of = |start: &str, base: &str| -> Vec<String> {
        line.match_indices(start)
            .map(|(at, _)| {
                let rest = &line[at + start.len()..];
                let end = rest.find(|c| !is_path(c)).unwrap_or(rest.len());
                let path = rest[..end].trim_end_matches(':');
                [base, path]
                    .iter()
                    .filter(|part| !part.is_empty())
                    .copied()
                    .collect::<Vec<_>>()
                    .join("::")
            })
            .collect()
    };
    let mut found = of("crate::", "");
    found.extend(of("super::", parent));
    found
}

/// The module that a path leads to; the root's is empty.
fn longest_module(path: &str, texts: &BTreeMap<String, String>) -> String {
    let mut path = path;
    while !path.is_empty() && !texts.contains_key(path) {
        path = path.rsplit_once("::").map_or("", |(outer, _)| outer);
    }
    path.to_owned()
}

fn layer(module: &str) -> &str {
    module.split("::").next().unwrap_or(module)
}

fn wrong(imports: &Imports) -> Vec<String> {
    let mut wrong = Vec::new();
    for (module, imported) in imports {
        let own = layer(module);
        // The root puts the layers together.
        if own.is_empty() || own == TOP {
            continue;
        }
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == own) else {
            wrong.push(format!(
                "{module} is in no layer: name it in xtask/src/layers.rs"
            ));
            continue;
        };
        for other in imported {
            if layer(other) != own && !allowed.contains(&layer(other)) {
                let other = if other.is_empty() { "the root" } else { other };
                wrong.push(format!(
                    "{module} imports {other}, which {own} must not know"
                ));
            }
        }
    }
    wrong.extend(circle(imports).map(|circle| format!("a circle: {}", circle.join(" -> "))));
    wrong
}

/// Modules that import each other in turn.
fn circle(imports: &Imports) -> Option<Vec<String>> {
    fn visit(
        module: &str,
        imports: &Imports,
        path: &mut Vec<String>,
        done: &mut Vec<String>,
    ) -> Option<Vec<String>> {
        if done.iter().any(|other| other == module) {
            return None;
        }
        if let Some(start) = path.iter().position(|other| other == module) {
            let mut circle = path[start..].to_vec();
            circle.push(module.to_owned());
            return Some(circle);
        }
        path.push(module.to_owned());
        for other in imports.get(module).into_iter().flatten() {
            if let Some(circle) = visit(other, imports, path, done) {
                return Some(circle);
            }
        }
        path.pop();
        done.push(module.to_owned());
        None
    }
    let mut done = Vec::new();
    imports
        .keys()
        // A folder's own file lists its parts.
        .filter(|module| !module.is_empty())
        .find_map(|module| visit(module, imports, &mut Vec::new(), &mut done))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(files: &[(&str, &str)]) -> BTreeMap<String, String> {
        let own = |&(module, text): &(&str, &str)| (module.to_owned(), text.to_owned());
        files.iter().map(own).collect()
    }

    #[test]
    fn the_library_keeps_its_layers() {
        let imports = read(&root().unwrap().join("src")).unwrap();
        assert_eq!(wrong(&imports), [""; 0]);
        assert!(imports.len() > 20);
    }

    #[test]
    fn an_import_that_points_up_is_seen() {
        let files = texts(&[
            (
                "contract::call",
                "use crate::plan::cut::Segment;\nuse super::rate::Rate;",
            ),
            ("contract::rate", ""),
            ("plan::cut", "use crate::contract::call::DropoutCall;"),
        ]);
        let wrong = wrong(&imports(&files));
        assert_eq!(
            wrong[0],
            "contract::call imports plan::cut, which contract must not know"
        );
        assert_eq!(
            wrong[1],
            "a circle: contract::call -> plan::cut -> contract::call"
        );
        assert_eq!(wrong.len(), 2);
    }

    #[test]
    fn names_of_the_root_are_the_audits_alone() {
        let files = texts(&[
            ("host::device", "use crate::Dropout;"),
            ("audit", "use crate::{Dropout, cpu};"),
            ("cpu", ""),
        ]);
        assert_eq!(
            wrong(&imports(&files)),
            ["host::device imports the root, which host must not know"]
        );
    }

    #[test]
    fn tests_and_comments_import_what_they_like() {
        let text =
            "// crate::host::device\n#[cfg(test)]\nmod tests {\n    use crate::host::device;\n}";
        let files = texts(&[("contract::call", text), ("host::device", "")]);
        assert_eq!(wrong(&imports(&files)), [""; 0]);
    }
}
