//! Outputs of commands: standard output, or files that are written as a whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Seek, StdoutLock, Write};
use std::path::{Path, PathBuf, absolute};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use tempfile::{Builder, NamedTempFile, TempDir};

use crate::{fifo, quote};

/// The number of symbolic links that Linux follows before opening fails.
const MAX_LINKS: usize = 40;

/// The path that is standard output.
const STDOUT: &str = "-";

/// Unix modes, before the umask is applied.
const NEW_FILE: u32 = 0o666;
const NEW_FOLDER: u32 = 0o777;
const PRIVATE: u32 = 0o600;

/// An output that is being written. A file gets its name in [`finish`](Self::finish).
#[derive(Debug)]
pub struct Output(BufWriter<Destination>);

#[derive(Debug)]
enum Destination {
    Stdout(StdoutLock<'static>),
    /// A path that is no regular file: a pipe, a terminal, a device.
    Special(File),
    Regular(Replacement),
}

/// A temporary file beside the one that it replaces. It is deleted unless [`finish`](Self::finish)
/// is called.
#[derive(Debug)]
struct Replacement {
    file: NamedTempFile,
    /// The file that is made or replaced.
    path: PathBuf,
    /// True if only the contents of the old file are replaced, because it has several names, or an
    /// owner that a new file cannot have.
    in_place: bool,
}

/// Formats a text from a driver or the system as code in Markdown. A character becomes `?` if it
/// could end the code or a table's cell, or deceive a reader.
pub fn code(text: &str) -> String {
    let is_known = |c: char| (c.is_ascii_graphic() || c == ' ') && c != '`' && c != '|';
    let text = text.trim().chars();
    let text: String = text.map(|c| if is_known(c) { c } else { '?' }).collect();
    format!("`{text}`")
}

impl Output {
    /// Standard output.
    pub fn stdout() -> Self {
        Self::new(Destination::Stdout(io::stdout().lock()))
    }

    /// The file at `path`, or standard output for `-`.
    pub fn create(path: &Path) -> Result<Self> {
        if is_stdout(path) {
            return Ok(Self::stdout());
        }
        let destination = Destination::open(path);
        let destination =
            destination.with_context(|| format!("cannot write {}", quote::path(path)))?;
        Ok(Self::new(destination))
    }

    /// Adds a buffer, since standard output's own buffer is flushed at each line feed.
    fn new(destination: Destination) -> Self {
        Self(BufWriter::new(destination))
    }

    /// Ends the output. A file now gets its name.
    pub fn finish(self) -> Result<()> {
        let written = self.0.into_inner().map_err(|error| error.into_error());
        let written = written.and_then(|mut destination| {
            destination.flush()?;
            Ok(destination)
        });
        match written.context("cannot write the output")? {
            Destination::Regular(replacement) => replacement.finish(),
            _ => Ok(()),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Destination {
    fn open(path: &Path) -> Result<Self> {
        let path = resolve(path);
        let descriptor = Descriptor::of(&path);
        match descriptor {
            Some(Descriptor::Stdout) => return Ok(Self::Stdout(io::stdout().lock())),
            #[cfg(unix)]
            Some(Descriptor::Stderr) => {
                use std::os::fd::AsFd;
                let stderr = io::stderr().as_fd().try_clone_to_owned()?;
                return Ok(Self::Special(stderr.into()));
            }
            _ => {}
        }
        // Opening the old file fails if it may not be written. It must not be replaced then.
        let old = match fifo::open(&path, File::options().write(true)) {
            Ok(file) if !file.metadata()?.is_file() => return Ok(Self::Special(file)),
            // Opened by this path, the file would be written from its beginning and not from the
            // descriptor's position.
            Ok(_) if descriptor.is_some() => {
                bail!(
                    "it is an open file's descriptor: give `-` and redirect standard output, \
                     `--output - >&3`"
                )
            }
            Ok(file) => Some(file),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Self::Regular(Replacement::new(old.as_ref(), path)?))
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::Stdout(stdout) => stdout,
            Self::Special(file) => file,
            Self::Regular(Replacement { file, .. }) => file,
        }
    }
}

impl Write for Destination {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer().flush()
    }
}

impl Replacement {
    /// Makes the temporary file that will replace `old`, the file at `path`, if there is one.
    fn new(old: Option<&File>, path: PathBuf) -> io::Result<Self> {
        let folder = folder(&path);
        let (file, in_place) = match old {
            None => (partial(NEW_FILE).tempfile_in(folder)?, false),
            Some(old) => match partial(PRIVATE).tempfile_in(folder) {
                Ok(file) => {
                    let in_place = !can_stand_for(file.as_file(), old)?;
                    (file, in_place)
                }
                // The folder may refuse new files although the old file may be written.
                Err(_) => (partial(PRIVATE).tempfile()?, true),
            },
        };
        Ok(Self {
            file,
            path,
            in_place,
        })
    }

    fn finish(self) -> Result<()> {
        let name = quote::path(&self.path);
        self.persist()
            .with_context(|| format!("cannot write {name}"))
    }

    fn persist(self) -> Result<()> {
        let Self {
            mut file,
            path,
            in_place,
        } = self;
        // The old file may be the input, so it is replaced only once the new one is on the disk.
        file.as_file().sync_all()?;
        if !in_place {
            let Err(refused) = file.persist(&path) else {
                return Ok(());
            };
            // A mount point, or another user's file in a sticky folder, cannot be renamed over.
            if !path.is_file() {
                return Err(refused.error.into());
            }
            file = refused.file;
        }
        overwrite(file, &path)
    }
}

/// Copies the contents of `file` into the file at `path`. This is the only step that a full disk
/// can stop halfway. `file` is kept then.
fn overwrite(mut file: NamedTempFile, path: &Path) -> Result<()> {
    let copy = |from: &mut File| {
        from.rewind()?;
        let mut to = File::options().write(true).open(path)?;
        let bytes = io::copy(from, &mut to)?;
        to.set_len(bytes)?;
        to.sync_all()
    };
    let Err(error) = copy(file.as_file_mut()) else {
        return Ok(());
    };
    let (_, kept) = file.keep()?;
    let kept = quote::path(&kept);
    Err(error).with_context(|| format!("it may be incomplete; {kept} is complete"))
}

/// A folder of files, of which all appear or none.
#[derive(Debug)]
pub struct OutputFolder {
    /// A temporary folder that holds the files until all are written.
    staged: TempDir,
    names: Vec<String>,
    path: PathBuf,
    /// True if the folder exists. It is empty then.
    exists: bool,
}

impl OutputFolder {
    /// Makes an output to a new folder or to an empty one.
    pub fn create(path: &Path) -> Result<Self> {
        let folder = Self::stage(path);
        folder.with_context(|| format!("cannot write to the folder {}", quote::path(path)))
    }

    fn stage(path: &Path) -> Result<Self> {
        let path = absolute(resolve(path))?;
        let exists = match fs::read_dir(&path) {
            Ok(mut entries) => {
                if let Some(entry) = entries.next() {
                    let name = quote::path(Path::new(&entry?.file_name()));
                    bail!("it contains {name}: give a new folder, or empty this one");
                }
                true
            }
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => return Err(error.into()),
        };
        // The temporary folder must be on the same file system.
        let above = path.ancestors().find(|folder| folder.is_dir());
        let staged = partial(NEW_FOLDER).tempdir_in(above.unwrap_or(&path))?;
        Ok(Self {
            staged,
            names: Vec::new(),
            path,
            exists,
        })
    }

    /// Writes a file of the folder, which appears in [`finish`](Self::finish).
    pub fn write(&mut self, name: String, text: &str) -> Result<()> {
        fs::write(self.staged.path().join(&name), text)
            .with_context(|| format!("cannot write {name}"))?;
        self.names.push(name);
        Ok(())
    }

    /// Makes all files appear, in one step if the folder is new. Otherwise the file that was
    /// written last appears last.
    pub fn finish(self) -> Result<()> {
        let appear = || match self.exists {
            true => self.move_files(),
            false => {
                fs::create_dir_all(folder(&self.path))?;
                fs::rename(self.staged.path(), &self.path)
            }
        };
        appear().with_context(|| format!("cannot write to the folder {}", quote::path(&self.path)))
    }

    fn move_files(&self) -> io::Result<()> {
        let (from, to) = (self.staged.path(), &self.path);
        for (index, name) in self.names.iter().enumerate() {
            if let Err(error) = fs::rename(from.join(name), to.join(name)) {
                for moved in &self.names[..index] {
                    let _ = fs::remove_file(to.join(moved));
                }
                return Err(error);
            }
        }
        Ok(())
    }
}

/// Temporary files. A process that is killed leaves them, so their names say which program made
/// them.
#[cfg_attr(not(unix), allow(unused_variables))]
fn partial(mode: u32) -> Builder<'static, 'static> {
    let mut builder = Builder::new();
    builder.prefix(".wgpu-dropout.").suffix(".partial");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
    builder
}

/// The folder of the file at `path`.
fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Follows symbolic links from `path`. The file at their end need not exist.
fn resolve(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        // The path of a descriptor looks like a link to its file, which must not be followed.
        if Descriptor::of(&path).is_some() {
            break;
        }
        let Ok(target) = fs::read_link(&path) else {
            break;
        };
        path = folder(&path).join(target);
    }
    path
}

/// An open file that has a path: `/dev/fd/1`, `/proc/self/fd/1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Descriptor {
    Stdout,
    Stderr,
    /// Another descriptor, of this process or of another.
    Other,
}

impl Descriptor {
    fn of(path: &Path) -> Option<Self> {
        let number: u32 = path.file_name()?.to_str()?.parse().ok()?;
        let folder = fs::canonicalize(folder(path)).ok()?;
        let is_own = ["/dev/fd", "/proc/self/fd"]
            .iter()
            .any(|own| fs::canonicalize(own).is_ok_and(|own| own == folder));
        match number {
            1 if is_own => Some(Self::Stdout),
            2 if is_own => Some(Self::Stderr),
            _ if is_own => Some(Self::Other),
            _ => (folder.starts_with("/proc") && folder.ends_with("fd")).then_some(Self::Other),
        }
    }
}

/// Returns true if `path` leads to standard output.
pub fn is_stdout(path: &Path) -> bool {
    path == Path::new(STDOUT) || Descriptor::of(&resolve(path)) == Some(Descriptor::Stdout)
}

/// Gives `new` the owner and the mode of `old`. Returns false if that fails, or if `old` has
/// several names (hard links), which a new file would not get.
#[cfg(unix)]
fn can_stand_for(new: &File, old: &File) -> io::Result<bool> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let [before, after] = [old.metadata()?, new.metadata()?];
    let (owner, group) = (before.uid(), before.gid());
    let has_owner = || {
        (owner, group) == (after.uid(), after.gid())
            || fchown(new, Some(owner), Some(group)).is_ok()
    };
    Ok(before.nlink() == 1 && has_owner() && new.set_permissions(before.permissions()).is_ok())
}

#[cfg(not(unix))]
fn can_stand_for(_: &File, _: &File) -> io::Result<bool> {
    Ok(true)
}

/// Writes a record as indented JSON.
pub fn write_json(output: &mut Output, record: &impl Serialize) -> Result<()> {
    serde_json::to_writer_pretty(&mut *output, record)?;
    Ok(writeln!(output)?)
}

/// Writes numbers in little-endian order.
pub fn write_numbers<T: bytemuck::Pod>(output: &mut impl Write, numbers: &mut [T]) -> Result<()> {
    little_endian(numbers);
    output
        .write_all(bytemuck::cast_slice(numbers))
        .context("cannot write the output")
}

/// Converts between this machine's byte order and little-endian.
pub fn little_endian<T: bytemuck::Pod>(numbers: &mut [T]) {
    if cfg!(target_endian = "big") {
        for number in numbers {
            bytemuck::bytes_of_mut(number).reverse();
        }
    }
}

/// Combines two results. A closed pipe never hides another error.
pub fn both(first: Result<()>, second: Result<()>) -> Result<()> {
    match first {
        Err(error) if second.is_ok() || !is_closed_pipe(&error) => Err(error),
        _ => second,
    }
}

/// Returns true if the reader of the output has closed its end.
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
    fn contents_that_cannot_be_put_in_place_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = partial(PRIVATE).tempfile_in(folder.path()).unwrap();
        file.write_all(b"whole").unwrap();
        let name = file.path().to_owned();
        // A folder cannot be overwritten as a file.
        let error = overwrite(file, folder.path()).unwrap_err().to_string();
        assert!(error.contains(name.to_str().unwrap()), "{error}");
        assert_eq!(fs::read(name).unwrap(), b"whole");
    }

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
