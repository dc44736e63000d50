//! The README's sections that are made from records.

mod adapters;
mod benchmark;

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::Result;
use crate::command::root;

/// What stands between the markers of this name.
type Section = (&'static str, fn(&Path) -> Result<String>);

const SECTIONS: [Section; 2] = [
    ("adapters", adapters::section_in),
    ("benchmark", benchmark::section_in),
];

/// `readme [--check]`: writes the sections, or fails where they are not what the records give.
pub fn run(args: impl Iterator<Item = String>) -> Result {
    let check = match args.collect::<Vec<_>>().as_slice() {
        [] => false,
        [option] if option == "--check" => true,
        _ => return Err("`readme` takes no option but --check".into()),
    };
    let root = root()?;
    let path = root.join("README.md");
    let mut readme = fs::read_to_string(&path)?;
    for (name, section_in) in SECTIONS {
        let updated = with_section(&readme, name, &section_in(&root)?)?;
        if check && updated != readme {
            return Err(format!(
                "the README's section `{name}` is not its records': run `cargo xtask readme`"
            )
            .into());
        }
        readme = updated;
    }
    if check {
        return Ok(());
    }
    Ok(fs::write(path, readme)?)
}

/// `readme` with `section` between the markers of `name`.
fn with_section(readme: &str, name: &str, section: &str) -> Result<String> {
    let [begin, end] = ["begin", "end"].map(|place| format!("<!-- {name}:{place} -->\n"));
    let missing = || format!("the README lacks {} or {}", begin.trim(), end.trim());
    let (before, rest) = readme.split_once(&begin).ok_or_else(missing)?;
    let (_, after) = rest.split_once(&end).ok_or_else(missing)?;
    Ok(format!("{before}{begin}{section}{end}{after}"))
}

/// The record in a file; `name` says which if it is none.
fn read(root: &Path, name: &str) -> Result<Value> {
    let text = fs::read_to_string(root.join(name)).map_err(|error| format!("{name}: {error}"))?;
    Ok(serde_json::from_str(&text).map_err(|error| format!("{name}: {error}"))?)
}

/// A text in the record of this name.
fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str> {
    let text = value.as_str();
    Ok(text.ok_or_else(|| format!("{name} has {value} where a text should be"))?)
}

/// The day of a record.
fn day<'a>(record: &'a Value, name: &str) -> Result<&'a str> {
    Ok(text(&record["date"], name)?
        .split('T')
        .next()
        .unwrap_or_default())
}

/// A row of a table.
fn line(name: &str, cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<_> = cells.collect();
    format!("| {name} | {} |\n", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_has_what_the_records_give() {
        assert!(run([String::from("--check")].into_iter()).is_ok());
    }

    #[test]
    fn only_what_is_between_the_markers_is_replaced() {
        let readme = "before\n<!-- x:begin -->\nold\n<!-- x:end -->\nafter\n";
        let updated = with_section(readme, "x", "new\n").unwrap();
        assert_eq!(updated, readme.replace("old", "new"));
        assert!(with_section(readme, "y", "").is_err());
        assert!(with_section(&readme.replace("<!-- x:end -->\n", ""), "x", "").is_err());
    }
}
