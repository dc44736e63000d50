//! Opening of FIFOs. It waits for another process to open the other end, which may never happen.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// The time that another process has to open the other end of a FIFO.
const WAIT: Duration = Duration::from_millis(800);

/// Opens the file at `path`, which may be a FIFO.
pub fn open(path: &Path, options: &OpenOptions) -> io::Result<File> {
    if !is_fifo(path) {
        return options.open(path);
    }
    let (sender, receiver) = mpsc::channel();
    let (path, options) = (path.to_owned(), options.clone());
    // The thread may wait for ever; it ends with the process.
    thread::Builder::new().spawn(move || sender.send(options.open(path)))?;
    receiver.recv_timeout(WAIT).unwrap_or_else(|_| {
        let message =
            "it is a FIFO whose other end no program opens: start the other program first";
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
