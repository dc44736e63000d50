//! Where results go: standard output, or files that are there whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Seek, StdoutLock, Write};
use std::path::{Path, PathBuf, absolute};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use tempfile::{Builder, NamedTempFile, TempDir};

use crate::{fifo, quote};

/// As many as Linux follows; behind more of them opening fails.
const MAX_LINKS: usize = 40;

/// The path that is standard output.
const STDOUT: &str = "-";

/// Unix's modes, before the umask.
const NEW_FILE: u32 = 0o666;
const NEW_FOLDER: u32 = 0o777;
const PRIVATE: u32 = 0o600;

/// A destination under construction; [`finish`](Self::finish) makes it real.
#[derive(Debug)]
pub struct Output(BufWriter<Destination>);

#[derive(Debug)]
enum Destination {
    Stdout(StdoutLock<'static>),
    /// Named by a path, but no regular file: a pipe, a terminal, a device.
    Special(File),
    Regular(Replacement),
}

/// Written aside; gone if [`finish`](Self::finish) never comes.
#[derive(Debug)]
struct Replacement {
    file: NamedTempFile,
    /// The file that comes into being.
    path: PathBuf,
    /// The contents alone are replaced: the old file has more names, or an owner that a new one
    /// cannot have.
    in_place: bool,
}

/// A text of a driver or of the system as code of Markdown. A character that could end the code or a table's cell, or
/// deceive a reader, becomes `?`.
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

    /// Buffered anew, since standard output's own buffer ends at each line feed.
    fn new(destination: Destination) -> Self {
        Self(BufWriter::new(destination))
    }

    /// Ends the output; a file appears under its name now.
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
        // Opened although it may be replaced: a file that may not be written stays as it is.
        let old = match fifo::open(&path, File::options().write(true)) {
            Ok(file) if !file.metadata()?.is_file() => return Ok(Self::Special(file)),
            // Opened anew, it would be written from its begin and not from where the descriptor is.
            Ok(_) if descriptor.is_some() => {
                bail!("it is a descriptor of a file: give `-` and redirect that, `--output - >&3`")
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
    /// Takes the place of `old`, the file at `path`, if there is one.
    fn new(old: Option<&File>, path: PathBuf) -> io::Result<Self> {
        let folder = folder(&path);
        let (file, in_place) = match old {
            None => (partial(NEW_FILE).tempfile_in(folder)?, false),
            Some(old) => match partial(PRIVATE).tempfile_in(folder) {
                Ok(file) => {
                    let in_place = !can_stand_for(file.as_file(), old)?;
                    (file, in_place)
                }
                // A file can be written in a folder that cannot.
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
        // The file it replaces may be the input: that goes when this one is on the disk.
        file.as_file().sync_all()?;
        if !in_place {
            let Err(refused) = file.persist(&path) else {
                return Ok(());
            };
            // A mount point, or another's file in a sticky folder, keeps its name.
            if !path.is_file() {
                return Err(refused.error.into());
            }
            file = refused.file;
        }
        overwrite(file, &path)
    }
}

/// Puts the contents of `file` into that at `path`. No other step can end halfway, on a full disk: the
/// whole is kept then.
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
    Err(error).with_context(|| format!("it may be incomplete; {kept} is whole"))
}

/// A folder of files that are there together or not at all.
#[derive(Debug)]
pub struct OutputFolder {
    /// Has the files until all are there.
    staged: TempDir,
    names: Vec<String>,
    path: PathBuf,
    /// There is such a folder already, without a file.
    exists: bool,
}

impl OutputFolder {
    /// A new folder, or one that is empty.
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
                    bail!("it has {name}: give a new folder, or empty this one");
                }
                true
            }
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => return Err(error.into()),
        };
        // On the file system that the folder will be on.
        let above = path.ancestors().find(|folder| folder.is_dir());
        let staged = partial(NEW_FOLDER).tempdir_in(above.unwrap_or(&path))?;
        Ok(Self {
            staged,
            names: Vec::new(),
            path,
            exists,
        })
    }

    /// Writes a file of the folder.
    pub fn write(&mut self, name: String, text: &str) -> Result<()> {
        fs::write(self.staged.path().join(&name), text)
            .with_context(|| format!("cannot write {name}"))?;
        self.names.push(name);
        Ok(())
    }

    /// Makes all files appear, where there is no folder yet in one step; the last one that was
    /// written comes last.
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

/// A process that is ended from outside leaves it: the name says whose it is.
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

/// Where the links at `path` lead, to a file that need not be there.
fn resolve(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        // A descriptor looks like a link to its file.
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

/// An open file that has a name of its own: `/dev/fd/1`, `/proc/self/fd/1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Descriptor {
    Stdout,
    Stderr,
    /// Another one, of this process or not.
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

/// Tells whether `path` leads to standard output.
pub fn is_stdout(path: &Path) -> bool {
    path == Path::new(STDOUT) || Descriptor::of(&resolve(path)) == Some(Descriptor::Stdout)
}

/// Gives `new` the owner and the mode of `old`. `false` where it cannot have them, and where `old`
/// has names that would not be those of `new`.
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
        // A folder has no contents of this kind.
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
