//! The page in headless Chromium, driven by playwright-core: `web/tests`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use xshell::{Shell, cmd};

use super::{FOLDER, server};
use crate::Result;
use crate::adapters::apt_install;
use crate::command::{command_line, npm_package, on_path};

/// Names of the browser's program; the first is Debian's.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// Serves the page to a browser that tries everything on it. Screenshots go to `target/web/screenshots`.
pub fn try_in_browser(sh: &Shell, site: &Path, install: bool) -> Result {
    let browser = || BROWSERS.iter().find_map(|name| on_path(name));
    if browser().is_none() {
        let missing = "there is no Chromium";
        apt_install(sh, missing, BROWSERS[0], install, "Chrome will do too.")?;
    }
    npm_package(sh, "playwright-core", "web/tests", install)?;
    let folder = sh.current_dir().join(FOLDER);
    // A run that ends early leaves none, and must not find the last one's.
    let audit = folder.join("audit.json");
    sh.remove_path(&audit)?;
    let browser = browser().ok_or("Chromium is installed but not to be found")?;
    // The tests compare the page's files with the command line's.
    let native = command_line(sh)?;
    let mut server = Command::from(server(sh, site, 0))
        .stdout(Stdio::piped())
        .spawn()?;
    let mut address = String::new();
    let stdout = server.stdout.take().ok_or("no standard output")?;
    BufReader::new(stdout).read_line(&mut address)?;
    let _tests = sh.push_dir("web/tests");
    let node = cmd!(sh, "node --test --test-reporter=spec")
        .env("PAGE", address.trim())
        .env("BROWSER", browser)
        .env("NATIVE", native)
        .env("AUDIT", &audit)
        .env("SCREENSHOTS", folder.join("screenshots"));
    let outcome = node.run();
    server.kill()?;
    server.wait()?;
    outcome?;
    match audit.exists() {
        true => Ok(()),
        false => Err("no test ran in the browser: none saved the page's audit".into()),
    }
}
