//! A progress bar. indicatif hides it if standard error is no terminal.

use std::io::{self, Write};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};

use crate::output;

/// Steps of the bar per part.
const STEPS: u64 = 100;

/// The progress through the parts of a run: the sizes, then the further tables.
pub struct Progress {
    bar: ProgressBar,
    has_tables: bool,
    has_files: bool,
}

impl Progress {
    /// `has_tables` is false if standard output has another use. If the tables are the only output,
    /// a run ends as soon as their reader closes the pipe.
    pub fn new(parts: usize, has_tables: bool, has_files: bool) -> Result<Self> {
        let style = ProgressStyle::with_template("{bar:40} {percent:>3} %  {msg}")?;
        let bar = ProgressBar::new(STEPS * parts as u64).with_style(style);
        Ok(Self {
            bar,
            has_tables,
            has_files,
        })
    }

    /// Shows a message for the next step.
    pub fn say(&self, message: String) {
        self.bar.set_message(message);
        self.bar.tick();
    }

    /// Moves the bar to a `share` of the part after the first `parts`.
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

/// Removes the bar. Printed results stay.
impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
