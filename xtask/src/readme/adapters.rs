//! The README's table of adapters, a row for each record of `wgpu-dropout verify --json`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{day, line, read, text};
use crate::Result;
use crate::matrix::RECORDS;

/// The form of records that is understood here.
const VERSION: u64 = 1;

/// A row for each adapter of each record.
pub fn section_in(root: &Path) -> Result<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root.join(RECORDS))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".json") {
            names.push(format!("{RECORDS}/{name}"));
        }
    }
    names.sort();
    let records: Result<Vec<_>> = names
        .into_iter()
        .map(|name| Ok((read(root, &name)?, name)))
        .collect();
    section(&records?)
}

fn section(records: &[(Value, String)]) -> Result<String> {
    let heads = ["driver", "system", "date", "library", "checks", "mask hash"];
    let mut table = line("adapter", heads.map(str::to_owned).into_iter());
    table += &line("---", heads.map(|_| "---".to_owned()).into_iter());
    for (record, name) in records {
        let text = |value| text(value, name);
        if record["version"] != VERSION || record["command"] != "verify" {
            return Err(format!("{name} is not of `verify --json`, version {VERSION}").into());
        }
        let adapters = record["adapters"].as_array();
        for adapter in adapters.ok_or_else(|| format!("{name} has no adapters"))? {
            let label = format!(
                "[{}/{}]({name})",
                text(&adapter["backend"])?,
                text(&adapter["name"])?
            );
            let driver = format!(
                "{} {}",
                text(&adapter["driver"])?,
                text(&adapter["driver_info"])?
            );
            let cells = [
                driver.trim().to_owned(),
                format!(
                    "{} {}",
                    text(&record["os"])?,
                    text(&record["architecture"])?
                ),
                day(record, name)?.to_owned(),
                text(&record["library"])?.to_owned(),
                checks(adapter),
                format!("`{}`", adapter["mask_hash"].as_str().unwrap_or("none")),
            ];
            table += &line(&label, cells.into_iter());
        }
    }
    Ok(table)
}

/// `18 passed`, with what failed and what does not apply.
fn checks(adapter: &Value) -> String {
    let count = |outcome: &str| {
        let checks = adapter["checks"].as_array().into_iter().flatten();
        checks.filter(|check| check["outcome"] == outcome).count()
    };
    let mut text = format!("{} passed", count("passed"));
    for (outcome, word) in [("failed", "FAILED"), ("not_applicable", "n/a")] {
        match count(outcome) {
            0 => {}
            number => text += &format!(", {number} {word}"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record() -> Value {
        json!({
            "version": 1,
            "command": "verify",
            "date": "2026-11-22T00:00:00Z",
            "library": "0.1.0",
            "os": "linux",
            "architecture": "x86_64",
            "adapters": [{
                "backend": "vulkan",
                "name": "X",
                "driver": "",
                "driver_info": "2.0",
                "mask_hash": "ab",
                "checks": [{ "outcome": "passed" }, { "outcome": "not_applicable" }],
            }],
        })
    }

    #[test]
    fn an_adapter_has_a_row() {
        let section = section(&[(record(), "adapters/x.json".into())]).unwrap();
        let row = "| [vulkan/X](adapters/x.json) | 2.0 | linux x86_64 | 2026-11-22 | 0.1.0 | \
                   1 passed, 1 n/a | `ab` |\n";
        assert!(section.ends_with(row), "{section}");
    }

    #[test]
    fn a_failed_check_shows() {
        let mut record = record();
        record["adapters"][0]["checks"][0]["outcome"] = json!("failed");
        let section = section(&[(record, "x".into())]).unwrap();
        assert!(section.contains("0 passed, 1 FAILED, 1 n/a"), "{section}");
    }

    #[test]
    fn a_record_that_lacks_something_is_refused() {
        for field in [
            "/version",
            "/command",
            "/adapters",
            "/adapters/0/name",
            "/date",
        ] {
            let mut record = record();
            *record.pointer_mut(field).unwrap() = Value::Null;
            assert!(section(&[(record, "x".into())]).is_err(), "{field}");
        }
    }
}
