//! The page in headless Chromium, driven by playwright-core: `web/tests`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::{FOLDER, server};
use crate::Result;
use crate::adapters::ensure_programs;
use crate::command::{command_line, root, run};
use crate::programs::{npm_package, on_path};
use crate::report::Counts;

/// Names of the browser's program; the first is Debian's.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// How the page fared.
pub struct Trial {
    pub counts: Counts,
    pub time: Duration,
    /// The JSON that the page saved of its audit.
    pub audit: PathBuf,
    outcome: Result,
}

impl Trial {
    /// An error unless the tests ran and passed.
    pub fn verdict(self) -> Result {
        self.outcome?;
        if self.counts.ran() {
            Ok(())
        } else {
            Err("no test ran in the browser".into())
        }
    }
}

/// Serves the page to a browser that tries everything on it. Screenshots go to `target/web/screenshots`.
pub fn try_in_browser(site: &Path, install: bool) -> Result<Trial> {
    let root = root()?;
    let folder = root.join(FOLDER);
    let tests = root.join("web/tests");
    let browser = browser(install)?;
    npm_package("playwright-core", &tests, install)?;
    // The tests compare the page's files with the command line's.
    let native = command_line()?;

    let url = server::serve_aside(site.to_owned())?;
    let tap = folder.join("tests.tap");
    let audit = folder.join("audit.json");
    // A run that ends early leaves none, and must not find the last one's.
    for file in [&tap, &audit] {
        let _ = fs::remove_file(file);
    }
    let start = Instant::now();
    let mut node = Command::new("node");
    node.args(["--test", "--test-reporter=spec", "--test-reporter=tap"])
        .arg("--test-reporter-destination=stdout")
        .arg(format!("--test-reporter-destination={}", tap.display()))
        .current_dir(&tests)
        .env("PAGE", url)
        .env("BROWSER", browser)
        .env("NATIVE", native)
        .env("AUDIT", &audit)
        .env("SCREENSHOTS", folder.join("screenshots"));
    let outcome = run(&mut node);
    Ok(Trial {
        counts: counts(&fs::read_to_string(tap)?),
        time: start.elapsed(),
        audit,
        outcome,
    })
}

/// Where the browser is.
fn browser(install: bool) -> Result<PathBuf> {
    if let Some(path) = BROWSERS.iter().find_map(|name| on_path(name)) {
        return Ok(path);
    }
    ensure_programs(&BROWSERS[..1], install)?;
    on_path(BROWSERS[0]).ok_or_else(|| "chromium is installed but not to be found".into())
}

/// The totals at the end of node's TAP: `# pass 9`.
fn counts(tap: &str) -> Counts {
    let total = |name: &str| {
        let line = |line: &str| line.strip_prefix(name)?.trim().parse().ok();
        tap.lines().rev().find_map(line).unwrap_or(0)
    };
    Counts::new(
        total("# pass "),
        total("# fail ") + total("# cancelled "),
        total("# skipped ") + total("# todo "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_stand_at_the_end() {
        let tap = "ok 1 - x\n# a diagnostic\n1..2\n# tests 4\n# pass 1\n# fail 2\n# cancelled 0\n# skipped 1\n";
        assert_eq!(counts(tap).numbers(), [1, 2, 1]);
        assert!(!counts("").ran());
    }
}
