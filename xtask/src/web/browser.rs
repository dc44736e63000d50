//! The page in headless Chromium, driven by playwright-core: `web/tests`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use super::{FOLDER, server};
use crate::Result;
use crate::adapters::apt_install;
use crate::command::{command_line, npm_package, on_path, root, run};

/// Names of the browser's program; the first is Debian's.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// Serves the page to a browser that tries everything on it. Screenshots go to `target/web/screenshots`.
pub fn try_in_browser(site: &Path, install: bool) -> Result {
    let root = root()?;
    let folder = root.join(FOLDER);
    let tests = root.join("web/tests");
    let browser = || BROWSERS.iter().find_map(|name| on_path(name));
    if browser().is_none() {
        let packages = &BROWSERS[..1];
        apt_install(
            "there is no Chromium",
            packages,
            install,
            "Chrome will do too.",
        )?;
    }
    npm_package("playwright-core", &tests, install)?;
    // A run that ends early leaves none, and must not find the last one's.
    let audit = folder.join("audit.json");
    let _ = fs::remove_file(&audit);
    let browser = browser().ok_or("Chromium is installed but not to be found")?;
    let mut server = server(site, 0)?.stdout(Stdio::piped()).spawn()?;
    let mut address = String::new();
    let stdout = server.stdout.take().ok_or("no standard output")?;
    BufReader::new(stdout).read_line(&mut address)?;
    let mut node = Command::new("node");
    node.args(["--test", "--test-reporter=spec"])
        .current_dir(&tests)
        .env("PAGE", address.trim())
        .env("BROWSER", browser)
        // The tests compare the page's files with the command line's.
        .env("NATIVE", command_line()?)
        .env("AUDIT", &audit)
        .env("SCREENSHOTS", folder.join("screenshots"));
    let outcome = run(&mut node);
    server.kill()?;
    server.wait()?;
    outcome?;
    match audit.exists() {
        true => Ok(()),
        false => Err("no test ran in the browser: none saved the page's audit".into()),
    }
}
