//! `--markdown`: rows of docs/adapters.md.

use std::env::consts::{ARCH, OS};
use std::io::Write;
use std::time::SystemTime;

use anyhow::Result;
use wgpu_dropout::audit::Outcome;

use super::{Audited, adapters, hex};
use crate::output::{Output, code};

const HEAD: &str = "\
| adapter | driver | system | date | library | checks | mask hash |
| --- | --- | --- | --- | --- | --- | --- |
";

pub fn write(output: &mut Output, audits: &[Audited]) -> Result<()> {
    output.write_all(HEAD.as_bytes())?;
    for audited in audits {
        output.write_all(row(audited).as_bytes())?;
    }
    Ok(())
}

fn row(audited: &Audited) -> String {
    let info = &audited.info;
    let count = |is: fn(&Outcome) -> bool| {
        let checks = audited.checks().iter();
        checks.filter(|check| is(&check.outcome)).count()
    };
    let mut checks = format!(
        "{} passed",
        count(|one| matches!(one, Outcome::Passed { .. }))
    );
    for (count, word) in [
        (count(|one| matches!(one, Outcome::Failed { .. })), "FAILED"),
        (
            count(|one| matches!(one, Outcome::NotApplicable { .. })),
            "n/a",
        ),
    ] {
        if count > 0 {
            checks += &format!(", {count} {word}");
        }
    }
    let hash = audited
        .report
        .as_ref()
        .ok()
        .and_then(|report| report.mask_hash);
    let date = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let cells = [
        code(&adapters::label(info)),
        code(&format!("{} {}", info.driver, info.driver_info)),
        code(&format!("{OS} {ARCH}")),
        date.split('T').next().unwrap_or_default().to_owned(),
        code(env!("CARGO_PKG_VERSION")),
        checks,
        code(&hash.map_or("none".to_owned(), hex)),
    ];
    format!("| {} |\n", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{right, wrong};
    use super::*;

    #[test]
    fn a_row_has_the_adapter_its_checks_and_the_mask_hash() {
        let row_of = |audited: &Audited| row(audited).replace(env!("CARGO_PKG_VERSION"), "1.2.3");
        let row = row_of(&right());
        assert!(row.starts_with("| `vulkan/Right` |"), "{row}");
        assert!(
            row.contains(" | `1.2.3` | 19 passed, 1 n/a | `a086d68c9cf1f04c` |\n"),
            "{row}"
        );
        let row = row_of(&wrong());
        assert!(row.contains("| 19 passed, 1 FAILED |"), "{row}");
    }
}
