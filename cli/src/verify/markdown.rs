//! `--markdown`: rows of docs/adapters.md.

use std::io::Write;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::JSON_VERSION;
use crate::output::{Output, code};

const HEAD: &str = "\
| adapter | driver | system | date | library | checks | mask hash |
| --- | --- | --- | --- | --- | --- | --- |
";

/// Takes the JSON of this program or of the page, which has the same format.
pub fn write(output: &mut Output, record: &Value) -> Result<()> {
    output.write_all(rows(record)?.as_bytes())?;
    Ok(())
}

fn rows(record: &Value) -> Result<String> {
    let version = &record["version"];
    ensure!(
        record["command"] == "verify" && *version == JSON_VERSION,
        "the command is {} and the version {version}, not \"verify\" and {JSON_VERSION}: give a \
        file of `verify --json` or of the page",
        record["command"]
    );
    let adapters = record["adapters"].as_array().context("no `adapters`")?;
    let rows = adapters.iter().map(|adapter| row(record, adapter));
    Ok(HEAD.to_owned() + &rows.collect::<Result<String>>()?)
}

fn row(record: &Value, adapter: &Value) -> Result<String> {
    let text = |of: &Value, key: &str| -> Result<String> {
        let text = of[key].as_str();
        Ok(text
            .with_context(|| format!("`{key}` is not text"))?
            .to_owned())
    };
    let joined = |of: &Value, first: &str, second: &str| -> Result<String> {
        let text = format!("{} {}", text(of, first)?, text(of, second)?);
        Ok(code(text.trim()))
    };
    let checks = adapter["checks"].as_array().context("no `checks`")?;
    let count = |outcome: &str| {
        let outcomes = checks.iter().map(|check| &check["outcome"]);
        outcomes.filter(|found| **found == outcome).count()
    };
    let mut counts = format!("{} passed", count("passed"));
    for (outcome, word) in [("failed", "FAILED"), ("not_applicable", "n/a")] {
        if count(outcome) > 0 {
            counts += &format!(", {} {word}", count(outcome));
        }
    }
    let (backend, name) = (text(adapter, "backend")?, text(adapter, "name")?);
    let date = text(record, "date")?;
    let cells = [
        code(&format!("{backend}/{name}")),
        joined(adapter, "driver", "driver_info")?,
        joined(record, "os", "architecture")?,
        date.split('T').next().unwrap_or_default().to_owned(),
        code(&text(record, "library")?),
        counts,
        code(adapter["mask_hash"].as_str().unwrap_or("none")),
    ];
    Ok(format!("| {} |\n", cells.join(" | ")))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{json, right, wrong};
    use super::*;

    #[test]
    fn a_row_has_the_adapter_its_checks_and_the_mask_hash() {
        let row_of = |audited| {
            let rows = rows(&json(&[audited])).unwrap();
            rows.replace(env!("CARGO_PKG_VERSION"), "1.2.3")
        };
        let row = row_of(right());
        assert!(row.contains("\n| `vulkan/Right` |"), "{row}");
        assert!(
            row.contains(" | `1.2.3` | 19 passed, 1 n/a | `a086d68c9cf1f04c` |\n"),
            "{row}"
        );
        let row = row_of(wrong());
        assert!(row.contains("| 19 passed, 1 FAILED |"), "{row}");
    }

    #[test]
    fn another_file_is_refused() {
        let mut record = json(&[right()]);
        record["version"] = 2.into();
        let error = rows(&record).unwrap_err().to_string();
        assert!(error.contains("the version 2"), "{error}");
        record["version"] = JSON_VERSION.into();
        record["adapters"][0]["driver"] = Value::Null;
        assert_eq!(
            rows(&record).unwrap_err().to_string(),
            "`driver` is not text"
        );
    }
}
