//! `records`: the pages of docs/ that are made from records.
//!
//! A record may come from a stranger, so its texts are checked and shown as code, and no page is compiled
//! as a doc test.

mod adapters;
mod benchmarks;

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::Result;
use crate::command::root;

/// A file, and what the records give for it.
type Page = (&'static str, fn(&Path) -> Result<String>);

const PAGES: [Page; 2] = [
    ("docs/adapters.md", adapters::page_in),
    ("docs/benchmarks.md", benchmarks::page_in),
];

/// Vulkan's limit on the names of adapters and drivers.
const MAX_TEXT_CHARACTERS: usize = 256;

/// The characters of names and versions of adapters, drivers, processors and systems beside letters
/// and digits.
const PUNCTUATION: &str = " ()+-,.:;/_~=#@&%'";

/// `records [--check]`: writes the pages, or fails where they are not what the records give.
pub fn run(args: impl Iterator<Item = String>) -> Result {
    let check = match args.collect::<Vec<_>>().as_slice() {
        [] => false,
        [option] if option == "--check" => true,
        _ => return Err("`records` takes no option but --check".into()),
    };
    let root = root()?;
    for (page, page_in) in PAGES {
        let (path, text) = (root.join(page), page_in(&root)?);
        if !check {
            fs::write(path, text)?;
        } else if fs::read_to_string(path)? != text {
            return Err(format!("{page} is not its records': run `cargo xtask records`").into());
        }
    }
    Ok(())
}

/// The record in a file. The error names the file.
fn read(root: &Path, name: &str) -> Result<Value> {
    let text = fs::read_to_string(root.join(name)).map_err(|error| format!("{name}: {error}"))?;
    Ok(serde_json::from_str(&text).map_err(|error| format!("{name}: {error}"))?)
}

/// Texts of the record of this name with `between` between them, as code: Markdown and HTML find nothing in
/// it.
fn code<const TEXTS: usize>(values: [&Value; TEXTS], between: &str, name: &str) -> Result<String> {
    let mut texts = Vec::new();
    for value in values {
        texts.push(checked(value, name)?.trim());
    }
    texts.retain(|text| !text.is_empty());
    Ok(match &texts[..] {
        [] => String::new(),
        texts => format!("`{}`", texts.join(between)),
    })
}

fn checked<'a>(value: &'a Value, name: &str) -> Result<&'a str> {
    let text = value
        .as_str()
        .ok_or_else(|| format!("{name} lacks a text, or has something else in its place"))?;
    let characters = text.chars().count();
    if characters > MAX_TEXT_CHARACTERS {
        return Err(format!(
            "{name} has a text of {characters} characters, of at most {MAX_TEXT_CHARACTERS}: shorten it"
        )
        .into());
    }
    let is_known = |c: char| c.is_ascii_alphanumeric() || PUNCTUATION.contains(c);
    if let Some(other) = text.chars().find(|&c| !is_known(c)) {
        return Err(format!(
            "{name} has {other:?} in the text {text:?}: write letters and digits of ASCII, spaces and{PUNCTUATION}"
        )
        .into());
    }
    Ok(text)
}

/// The day of a record, `2026-11-22`.
fn day<'a>(record: &'a Value, name: &str) -> Result<&'a str> {
    let date = record["date"].as_str().unwrap_or_default();
    let day = date.split('T').next().unwrap_or_default();
    let digits: String = day
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    if digits == "0000-00-00" {
        Ok(day)
    } else {
        Err(format!("{name} has the date {date:?}: write 2026-11-22T14:27:52Z").into())
    }
}

/// A row of a table.
fn line(name: &str, cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<_> = cells.collect();
    format!("| {name} | {} |\n", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Texts that would end a cell, a line or a code span, be a link or HTML, or deceive a reader.
    pub const HOSTILE: [&str; 12] = [
        "X\n\n```\nstd::process::abort();\n```\n",
        "X\r\n~~~rust",
        "X` [a link](https://example.com) `",
        "[a link](https://example.com)",
        "![an image](https://example.com/x.png)",
        "<img src=x onerror=alert(1)>",
        "X | 18 passed",
        r"X \| X",
        "\u{1b}[31mred",
        "\u{202e}backwards",
        "\u{0}",
        "X\u{2028}X",
    ];

    #[test]
    fn the_pages_have_what_the_records_give() {
        run([String::from("--check")].into_iter()).unwrap();
    }

    #[test]
    fn a_text_has_known_characters_and_an_end() {
        let text = |value: Value| code([&value], "", "adapters/x.json");
        for known in [
            "ANGLE (NVIDIA, NVIDIA GeForce RTX 3060 (0x00002504) Direct3D11 vs_5_0 ps_5_0, D3D11)",
            "Intel(R) Core(TM) i7-8700 CPU @ 3.20GHz",
            "llvmpipe Mesa 25.0.7-2~bpo12+1 (LLVM 15.0.6)",
        ] {
            assert_eq!(text(json!(known)).unwrap(), format!("`{known}`"));
        }
        assert_eq!(text(json!(" ")).unwrap(), "");
        for hostile in HOSTILE {
            let message = text(json!(hostile)).unwrap_err().to_string();
            assert!(message.starts_with("adapters/x.json has '"), "{message}");
            assert!(!message.contains(char::is_control), "{message:?}");
        }
        assert!(text(json!("x".repeat(MAX_TEXT_CHARACTERS))).is_ok());
        assert!(text(json!("x".repeat(MAX_TEXT_CHARACTERS + 1))).is_err());
        assert!(text(json!(7)).is_err());
    }

    #[test]
    fn a_day_is_digits() {
        let day = |date: &str| day(&json!({ "date": date }), "x").map(str::to_owned);
        assert_eq!(day("2026-11-22T14:27:52Z").unwrap(), "2026-11-22");
        for wrong in ["", "today", "2026-11-2T", "2026-11-22 T", "www.example.com"] {
            assert!(day(wrong).is_err(), "{wrong}");
        }
    }

    /// The names of files that become doc comments, in the sources below a folder.
    fn doc_tested(folder: &Path) -> Vec<String> {
        let mut files = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files.extend(doc_tested(&path));
            } else {
                files.extend(included(&fs::read_to_string(path).unwrap()));
            }
        }
        files
    }

    fn included(source: &str) -> Vec<String> {
        let docs = source.split("doc = include_str!(\"").skip(1);
        docs.map(|rest| rest.split('"').next().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn no_page_of_records_is_compiled_as_a_doc_test() {
        assert_eq!(
            included("#[doc = include_str!(\"../docs/adapters.md\")]"),
            ["../docs/adapters.md"]
        );
        let root = root().unwrap();
        let files = ["src", "burn/src"].map(|folder| doc_tested(&root.join(folder)));
        let files = files.concat();
        assert!(files.iter().any(|file| file.ends_with("README.md")));
        for (page, _) in PAGES {
            assert!(!files.iter().any(|file| file.ends_with(page)), "{page}");
        }
    }
}
