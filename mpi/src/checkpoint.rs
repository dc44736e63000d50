//! A saved run: two lines of text, then the numbers of the whole network as little-endian f32, as
//! if one process had trained it. A file is complete or not there.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::hash::Hash;
use crate::mlp::State;

const MAGIC: &str = "wgpu-dropout-mpi checkpoint 1";
const F32_BYTES: usize = 4;

#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Number of epochs behind the saved state.
    pub epoch: u32,
    /// The hash of all losses so far.
    pub curve: Hash,
    pub state: State,
}

impl Checkpoint {
    /// Writes a partial file beside `path` and renames it. A process that is killed in between
    /// leaves the old file.
    pub fn save(&self, path: &Path, settings: &str) -> Result<()> {
        let Self {
            epoch,
            curve,
            state,
        } = self;
        let mut bytes = format!("{MAGIC} epoch={epoch} curve={curve}\n{settings}\n").into_bytes();
        let numbers = state.0.iter().flatten();
        bytes.extend(numbers.flat_map(|number| number.to_le_bytes()));
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let write = || {
            let mut file = File::create(&partial)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&partial, path)?;
            // The rename survives a power failure only after the folder is synced.
            #[cfg(unix)]
            File::open(folder(path))?.sync_all()?;
            Ok::<_, std::io::Error>(())
        };
        write().with_context(|| path.display().to_string())
    }

    pub fn parse(bytes: &[u8], settings: &str) -> Result<Self> {
        let mut parts = bytes.splitn(3, |&byte| byte == b'\n');
        let mut line = || parts.next().and_then(|line| str::from_utf8(line).ok());
        let header = line().and_then(|line| {
            let (epoch, curve) = line
                .strip_prefix(MAGIC)?
                .strip_prefix(" epoch=")?
                .split_once(" curve=")?;
            Some((epoch.parse().ok()?, u64::from_str_radix(curve, 16).ok()?))
        });
        let (epoch, curve) =
            header.context("not a checkpoint of this version; give a file that --save made")?;
        let saved = line().unwrap_or_default();
        ensure!(
            saved == settings,
            "saved with other settings:\n  {saved}\nnow they are\n  {settings}\ngive the saved ones"
        );
        let numbers = parts.next().unwrap_or_default();
        ensure!(
            numbers.len().is_multiple_of(3 * F32_BYTES),
            "{} bytes are not three times as many f32; the file was cut: save it again",
            numbers.len()
        );
        let numbers: Vec<f32> = bytemuck::pod_collect_to_vec(numbers);
        let len = numbers.len() / 3;
        let part = |i: usize| numbers[i * len..(i + 1) * len].to_vec();
        Ok(Self {
            epoch,
            curve: Hash(curve),
            state: State([part(0), part(1), part(2)]),
        })
    }
}

#[cfg(unix)]
fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_is_loaded_and_a_cut_file_refused() {
        let saved = Checkpoint {
            epoch: 7,
            curve: Hash(0x0123),
            state: State([vec![1.5], vec![-0.0], vec![f32::MIN_POSITIVE]]),
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        saved.save(&path, "seed=1").unwrap();
        let bytes = fs::read(path).unwrap();
        assert_eq!(Checkpoint::parse(&bytes, "seed=1").unwrap(), saved);
        let error = Checkpoint::parse(&bytes, "seed=2").unwrap_err().to_string();
        assert!(
            error.contains("seed=1") && error.contains("seed=2"),
            "{error}"
        );
        for len in [0, 10, 50, bytes.len() - 4, bytes.len() - 1] {
            assert!(Checkpoint::parse(&bytes[..len], "seed=1").is_err(), "{len}");
        }
    }
}
