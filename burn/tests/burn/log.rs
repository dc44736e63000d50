//! The crate's records in the log.

use std::sync::Mutex;

use ::log::{LevelFilter, Log, Metadata, Record};

struct Lines;

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

pub fn install() {
    ::log::set_logger(&Lines).unwrap();
    ::log::set_max_level(LevelFilter::Trace);
}

/// Returns the lines that were logged since the last call.
pub fn take() -> Vec<String> {
    std::mem::take(&mut LINES.lock().unwrap())
}

impl Log for Lines {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.target().starts_with("wgpu_dropout_burn")
    }

    fn log(&self, record: &Record) {
        if self.enabled(record.metadata()) {
            let line = format!("{} {}", record.level(), record.args());
            LINES.lock().unwrap().push(line);
        }
    }

    fn flush(&self) {}
}
