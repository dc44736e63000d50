//! FIFOs: opening one waits for its other end, for ever where nobody opens that.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// The other end of a FIFO has this long to be opened.
const WAIT: Duration = Duration::from_millis(800);

/// Opens what `path` names, FIFO or not.
pub fn open(path: &Path, options: &OpenOptions) -> io::Result<File> {
    if !is_fifo(path) {
        return options.open(path);
    }
    let (sender, receiver) = mpsc::channel();
    let (path, options) = (path.to_owned(), options.clone());
    // It may wait for ever: it ends with the process.
    thread::Builder::new().spawn(move || sender.send(options.open(path)))?;
    receiver.recv_timeout(WAIT).unwrap_or_else(|_| {
        let message = "it is a FIFO whose other end nobody opens: start the other program first";
        Err(io::Error::new(io::ErrorKind::TimedOut, message))
    })
}

#[cfg(unix)]
fn is_fifo(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    path.metadata()
        .is_ok_and(|metadata| metadata.file_type().is_fifo())
}

#[cfg(not(unix))]
fn is_fifo(_: &Path) -> bool {
    false
}
