//! No import of the library points from a lower layer to a higher one, or in a circle.
//! ARCHITECTURE.md says what the layers are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Each layer, and those that it may import.
const LAYERS: &[(&str, &str)] = &[
    ("contract", ""),
    ("kernel", "contract"),
    ("plan", "contract kernel"),
    ("launch", "contract kernel plan"),
    ("cpu", "contract"),
    ("host", "contract kernel plan"),
    ("act_dropout", "contract kernel plan host"),
    ("column_sums", "contract kernel plan host"),
    ("dropout", "contract kernel plan host"),
    ("dropout_add", "contract kernel plan host column_sums"),
    ("dropout_add_norm", "contract kernel plan host column_sums"),
    ("keep_mask", "contract kernel plan host"),
    ("softmax_dropout", "contract kernel plan host"),
    ("philox_blocks", "contract kernel plan host"),
    ("gaussian", "contract plan host dropout"),
    ("blocking", "contract host dropout keep_mask philox_blocks"),
];

/// The layer that may import every other, and names of the root.
const TOP: &str = "audit";

/// Modules and what they import, as paths: `plan::cut` imports `kernel::axes`. The root's path is
/// empty.
type Imports = BTreeMap<String, BTreeSet<String>>;

#[test]
fn the_library_keeps_its_layers() {
    let mut texts = BTreeMap::new();
    read(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        "",
        &mut texts,
    );
    assert!(texts.len() > 20);
    assert_eq!(wrong(&imports(&texts)), [""; 0]);
}

#[test]
fn an_import_that_points_up_is_seen() {
    let files = [
        (
            "contract::call",
            "use crate::plan::cut::Segment;\nuse super::rate::Rate;\n// crate::host::device",
        ),
        (
            "contract::rate",
            "#[cfg(test)]\nmod tests {\n    use crate::host::device;\n}",
        ),
        ("plan::cut", "use crate::contract::call::DropoutCall;"),
        ("host::device", "use crate::Dropout;"),
        ("audit", "use crate::{Dropout, cpu};"),
    ];
    let texts = files.map(|(module, text)| (module.to_owned(), text.to_owned()));
    assert_eq!(
        wrong(&imports(&texts.into())),
        [
            "contract::call imports plan::cut, which contract must not know",
            "host::device imports the root, which host must not know",
            "a circle, and what imports it: [\"contract::call\", \"plan::cut\"]",
        ]
    );
}

/// The texts of a folder by their modules.
fn read(folder: &Path, module: &str, texts: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let inner = match &*name {
            "mod" | "lib" => module.to_owned(),
            name => join(module, name),
        };
        if path.is_dir() {
            read(&path, &inner, texts);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            texts.insert(inner, fs::read_to_string(path).unwrap());
        }
    }
}

fn join(module: &str, name: &str) -> String {
    format!("{module}::{name}").trim_matches(':').to_owned()
}

fn imports(texts: &BTreeMap<String, String>) -> Imports {
    let one = |(module, text): (&String, &String)| {
        // A module's tests may know more than it does.
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or("");
        let mut lines = code.lines().collect::<Vec<_>>();
        lines.retain(|line| !line.trim_start().starts_with("//"));
        let code = lines.join("\n");
        let outer = module.rsplit_once("::").map_or("", |(outer, _)| outer);
        let mut imported = BTreeSet::new();
        for (start, base) in [("crate::", ""), ("super::", outer)] {
            for path in code.split(start).skip(1) {
                let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
                let path = path.split(|c| !is_path(c)).next().unwrap_or("");
                let mut path = join(base, path);
                while !path.is_empty() && !texts.contains_key(&path) {
                    path = path
                        .rsplit_once("::")
                        .map_or("", |(outer, _)| outer)
                        .to_owned();
                }
                imported.insert(path);
            }
        }
        imported.remove(module);
        (module.clone(), imported)
    };
    texts.iter().map(one).collect()
}

fn wrong(imports: &Imports) -> Vec<String> {
    let layer = |module: &str| module.split("::").next().unwrap_or("").to_owned();
    let mut wrong = Vec::new();
    for (module, imported) in imports {
        let own = layer(module);
        // The root puts the layers together.
        if own.is_empty() || own == TOP {
            continue;
        }
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == own) else {
            wrong.push(format!(
                "{module} is in no layer: name it in tests/cpu/layers.rs"
            ));
            continue;
        };
        for other in imported {
            let is_allowed = allowed.split(' ').any(|name| name == layer(other));
            if layer(other) != own && (other.is_empty() || !is_allowed) {
                let other = if other.is_empty() { "the root" } else { other };
                wrong.push(format!(
                    "{module} imports {other}, which {own} must not know"
                ));
            }
        }
    }
    // Removes the modules that import none of the others that are left, until nothing changes. What
    // stays is a circle and the modules that import it.
    let mut left: Vec<_> = imports.keys().filter(|module| !module.is_empty()).collect();
    loop {
        let before = left.len();
        let others = left.clone();
        left.retain(|module| others.iter().any(|other| imports[*module].contains(*other)));
        match left.len() {
            0 => return wrong,
            after if after == before => break,
            _ => {}
        }
    }
    wrong.push(format!("a circle, and what imports it: {left:?}"));
    wrong
}
