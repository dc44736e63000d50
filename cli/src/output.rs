//! Where results go: standard output, or a file that is there whole or not at all.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, ErrorKind, StdoutLock, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;
use tempfile::NamedTempFile;

use crate::quote;

/// A destination under construction; [`finish`](Self::finish) makes it real.
#[derive(Debug)]
pub enum Output {
    /// Buffered anew, since standard output's own buffer ends at each line feed.
    Stdout(BufWriter<StdoutLock<'static>>),
    /// What a path names that is no regular file: a pipe, a terminal, a device.
    Special(File),
    /// Written beside `path`, then put in its place; gone if that never comes.
    Replacement {
        /// In the folder of `path`.
        file: NamedTempFile,
        /// The file that comes into being.
        path: PathBuf,
    },
}

impl Output {
    /// Standard output.
    pub fn stdout() -> Self {
        Self::Stdout(BufWriter::new(io::stdout().lock()))
    }

    /// The file at `path`, or standard output for `-`.
    pub fn create(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::stdout());
        }
        Self::create_file(path).with_context(|| format!("cannot write {}", quote::path(path)))
    }

    fn create_file(path: &Path) -> io::Result<Self> {
        // Opened although it will be replaced: a file that may not be written stays as it is.
        let permissions = match OpenOptions::new().write(true).open(path) {
            Ok(file) => {
                let metadata = file.metadata()?;
                if !metadata.is_file() {
                    return Ok(Self::Special(file));
                }
                Some(metadata.permissions())
            }
            Err(error) if error.kind() == ErrorKind::NotFound => new_file_permissions(),
            Err(error) => return Err(error),
        };
        // Of a symbolic link the target is replaced, not the link.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        // A process that is ended from outside leaves it: the name says whose it is.
        builder.prefix(".wgpu-dropout.").suffix(".partial");
        if let Some(permissions) = permissions {
            builder.permissions(permissions);
        }
        let file = builder.tempfile_in(folder)?;
        Ok(Self::Replacement { file, path })
    }

    /// Ends the output; a file appears under its name now.
    pub fn finish(mut self) -> Result<()> {
        self.flush().context("cannot write the output")?;
        if let Self::Replacement { file, path } = self {
            let name = quote::path(&path);
            // The file it replaces may be the input: that goes when this one is on the disk.
            file.as_file()
                .sync_all()
                .and_then(|()| Ok(file.persist(path)?))
                .with_context(|| format!("cannot write {name}"))?;
        }
        Ok(())
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::Stdout(stdout) => stdout,
            Self::Special(file) => file,
            Self::Replacement { file, .. } => file,
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer().flush()
    }
}

/// What a new file gets, less the umask; a temporary file would be its owner's alone.
#[cfg(unix)]
fn new_file_permissions() -> Option<Permissions> {
    use std::os::unix::fs::PermissionsExt;
    Some(Permissions::from_mode(0o666))
}

#[cfg(not(unix))]
fn new_file_permissions() -> Option<Permissions> {
    None
}

/// Writes a record, for people to read too.
pub fn write_json(output: &mut Output, record: &impl Serialize) -> Result<()> {
    serde_json::to_writer_pretty(&mut *output, record)?;
    Ok(writeln!(output)?)
}

/// Writes numbers, little-endian.
pub fn write_numbers<T: bytemuck::Pod>(output: &mut impl Write, numbers: &mut [T]) -> Result<()> {
    little_endian(numbers);
    output
        .write_all(bytemuck::cast_slice(numbers))
        .context("cannot write the output")
}

/// Between the order of this machine's bytes and little-endian.
pub fn little_endian<T: bytemuck::Pod>(numbers: &mut [T]) {
    if cfg!(target_endian = "big") {
        for number in numbers {
            bytemuck::bytes_of_mut(number).reverse();
        }
    }
}

/// Both, or the first error that is more than a reader who has gone.
pub fn both(first: Result<()>, second: Result<()>) -> Result<()> {
    match first {
        Err(error) if second.is_ok() || !is_closed_pipe(&error) => Err(error),
        _ => second,
    }
}

/// Whether the reader of the output has gone.
pub fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>().map(io::Error::kind);
    let json = error.downcast_ref::<serde_json::Error>();
    io.or_else(|| json?.io_error_kind()) == Some(ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_reader_that_has_gone_hides_no_other_error() {
        let closed = || Err(io::Error::from(ErrorKind::BrokenPipe).into());
        let other = || Err(anyhow!("other"));
        for (first, second, error) in [
            (Ok(()), Ok(()), None),
            (other(), closed(), Some("other")),
            (closed(), other(), Some("other")),
            (Ok(()), other(), Some("other")),
            (other(), Ok(()), Some("other")),
            (closed(), Ok(()), Some("broken pipe")),
            (Ok(()), closed(), Some("broken pipe")),
        ] {
            let got = both(first, second).map_err(|error| error.to_string());
            assert_eq!(got.err().as_deref(), error);
        }
    }
}
