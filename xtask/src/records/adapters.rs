//! The page of adapters, a row for each record of `wgpu-dropout verify --json`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{code, day, line, read};
use crate::Result;
use crate::matrix::RECORDS;

/// The form of records that is understood here.
const VERSION: u64 = 1;

/// The mask contract's version, and the mask hash that every adapter has under it.
const CONTRACT: (u64, &str) = (1, "a086d68c9cf1f04c");

/// A row for each adapter of each record.
pub fn page_in(root: &Path) -> Result<String> {
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
    page(&records?)
}

fn page(records: &[(Value, String)]) -> Result<String> {
    let mut page = "\
# Adapters that it was tried on
What `wgpu-dropout verify` found, by `cargo xtask records` from a file for each. To add yours, run
`wgpu-dropout verify --json adapters/NAME.json` and send us that file. Checks are those of the auditor of that date.

"
    .to_owned();
    let heads = ["driver", "system", "date", "library", "checks", "mask hash"];
    page += &line("adapter", heads.map(str::to_owned).into_iter());
    page += &line("---", heads.map(|_| "---".to_owned()).into_iter());
    for (record, name) in records {
        if record["version"] != VERSION || record["command"] != "verify" {
            return Err(format!("{name} is not of `verify --json`, version {VERSION}").into());
        }
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-_.".contains(c);
        if !name.chars().all(is_plain) {
            return Err(format!("{name:?} is no name: take letters, digits, - and _").into());
        }
        let adapters = record["adapters"].as_array();
        for adapter in adapters.ok_or_else(|| format!("{name} has no adapters"))? {
            let label = code([&adapter["backend"], &adapter["name"]], "/", name)?;
            let cells = [
                code([&adapter["driver"], &adapter["driver_info"]], " ", name)?,
                code([&record["os"], &record["architecture"]], " ", name)?,
                day(record, name)?.to_owned(),
                code([&record["library"]], "", name)?,
                checks(adapter),
                format!("`{}`", mask_hash(record, adapter, name)?),
            ];
            page += &line(&format!("[{label}](../{name})"), cells.into_iter());
        }
    }
    Ok(page)
}

/// The contract's: an adapter with another one computes other masks.
fn mask_hash(record: &Value, adapter: &Value, name: &str) -> Result<&'static str> {
    let (version, expected) = CONTRACT;
    if record["contract"] == version && adapter["mask_hash"] == expected {
        return Ok(expected);
    }
    let [contract, hash] = [&record["contract"], &adapter["mask_hash"]];
    Err(format!(
        "{name} has the mask hash {hash} of contract {contract}, not {expected:?} of contract {version}: an \
         adapter that fails belongs in an issue"
    )
    .into())
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

    use super::super::tests::HOSTILE;
    use super::*;

    fn record() -> Value {
        json!({
            "version": 1,
            "command": "verify",
            "date": "2026-11-22T00:00:00Z",
            "library": "0.1.0",
            "contract": 1,
            "os": "linux",
            "architecture": "x86_64",
            "adapters": [{
                "backend": "vulkan",
                "name": "X",
                "driver": "",
                "driver_info": "2.0",
                "mask_hash": "a086d68c9cf1f04c",
                "checks": [{ "outcome": "passed" }, { "outcome": "not_applicable" }],
            }],
        })
    }

    #[test]
    fn an_adapter_has_a_row() {
        let page = page(&[(record(), "adapters/x.json".into())]).unwrap();
        let row = "| [`vulkan/X`](../adapters/x.json) | `2.0` | `linux x86_64` | 2026-11-22 | `0.1.0` | \
                   1 passed, 1 n/a | `a086d68c9cf1f04c` |\n";
        assert!(page.ends_with(row), "{page}");
    }

    #[test]
    fn a_failed_check_shows() {
        let mut record = record();
        record["adapters"][0]["checks"][0]["outcome"] = json!("failed");
        let page = page(&[(record, "x".into())]).unwrap();
        assert!(page.contains("0 passed, 1 FAILED, 1 n/a"), "{page}");
    }

    #[test]
    fn a_record_that_lacks_something_is_refused() {
        for field in [
            "/version",
            "/command",
            "/adapters",
            "/adapters/0/name",
            "/date",
            "/contract",
            "/adapters/0/mask_hash",
        ] {
            let mut record = record();
            *record.pointer_mut(field).unwrap() = Value::Null;
            assert!(page(&[(record, "x".into())]).is_err(), "{field}");
        }
    }

    #[test]
    fn a_hostile_text_is_refused() {
        for hostile in HOSTILE {
            for field in [
                "/date",
                "/library",
                "/os",
                "/architecture",
                "/adapters/0/backend",
                "/adapters/0/name",
                "/adapters/0/driver",
                "/adapters/0/driver_info",
                "/adapters/0/mask_hash",
            ] {
                let mut record = record();
                *record.pointer_mut(field).unwrap() = json!(hostile);
                let page = page(&[(record, "x".into())]);
                assert!(page.is_err(), "{field}: {hostile:?}");
            }
            assert!(page(&[(record(), hostile.into())]).is_err(), "{hostile:?}");
        }
    }

    #[test]
    fn a_wrong_mask_hash_is_refused() {
        for wrong in ["a086d68c9cf1f04d", "A086D68C9CF1F04C", "none", ""] {
            let mut record = record();
            record["adapters"][0]["mask_hash"] = json!(wrong);
            let error = page(&[(record, "x".into())]).unwrap_err().to_string();
            assert!(error.contains("a086d68c9cf1f04c"), "{error}");
        }
    }
}
