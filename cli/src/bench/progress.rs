//! A bar on the terminal. indicatif hides it where standard error is no terminal.

use std::io::{self, Write};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};

use crate::output;

/// Steps of the bar a part.
const STEPS: u64 = 100;

/// How far the parts are: the sizes, then what else is measured.
pub struct Progress {
    bar: ProgressBar,
    has_tables: bool,
    has_files: bool,
}

impl Progress {
    /// Tables are printed unless standard output has another use. Where they are all that comes of
    /// the run, it ends when nobody reads them any more.
    pub fn new(parts: usize, has_tables: bool, has_files: bool) -> Result<Self> {
        let style = ProgressStyle::with_template("{bar:40} {percent:>3} %  {msg}")?;
        let bar = ProgressBar::new(STEPS * parts as u64).with_style(style);
        Ok(Self {
            bar,
            has_tables,
            has_files,
        })
    }

    /// Shows the next step.
    pub fn say(&self, message: String) {
        self.bar.set_message(message);
        self.bar.tick();
    }

    /// `share` of the part after the first `parts`.
    pub fn set(&self, parts: usize, share: f64) {
        let of_part = (STEPS as f64 * share) as u64;
        self.bar.set_position(STEPS * parts as u64 + of_part);
    }

    /// Prints results above the bar, on standard output.
    pub fn print(&self, text: &str) -> Result<()> {
        if !self.has_tables {
            return Ok(());
        }
        let printed = self.bar.suspend(|| writeln!(io::stdout(), "{text}"));
        match printed.map_err(Into::into) {
            Err(error) if self.has_files && output::is_closed_pipe(&error) => Ok(()),
            printed => printed,
        }
    }
}

/// The results stay, the bar goes.
impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
