//! A saved run: two lines of text, then the numbers of the state as little-endian f32.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::mlp::State;

const MAGIC: &str = "train_mlp checkpoint 1";
const F32_BYTES: usize = 4;

/// Saves the state after `epoch` epochs of a run with `settings`.
pub fn save(path: &Path, settings: &str, epoch: u32, state: &State) -> Result<()> {
    let mut bytes = format!("{MAGIC} epoch={epoch}\n{settings}\n").into_bytes();
    let numbers = state.0.iter().flatten();
    bytes.extend(numbers.flat_map(|number| number.to_le_bytes()));
    fs::write(path, bytes).with_context(|| path.display().to_string())
}

/// Loads the epoch and the state. They must come from a run with the same `settings`.
pub fn load(path: &Path, settings: &str) -> Result<(u32, State)> {
    let read = || {
        let bytes = fs::read(path)?;
        parse(&bytes, settings)
    };
    read().with_context(|| path.display().to_string())
}

fn parse(bytes: &[u8], settings: &str) -> Result<(u32, State)> {
    let mut parts = bytes.splitn(3, |&byte| byte == b'\n');
    let mut line = || parts.next().and_then(|line| str::from_utf8(line).ok());
    let epoch = line()
        .and_then(|line| {
            line.strip_prefix(MAGIC)?
                .strip_prefix(" epoch=")?
                .parse()
                .ok()
        })
        .context("not a checkpoint of this version; give a file that --save made")?;
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
    let numbers: Vec<_> = numbers
        .chunks_exact(F32_BYTES)
        .map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]]))
        .collect();
    let len = numbers.len() / 3;
    let part = |i: usize| numbers[i * len..(i + 1) * len].to_vec();
    Ok((epoch, State([part(0), part(1), part(2)])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved() -> (Vec<u8>, State) {
        let state = State([
            vec![1.5, 10.0],
            vec![-0.0, 3.0],
            vec![4.0, f32::MIN_POSITIVE],
        ]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        save(&path, "seed=1", 7, &state).unwrap();
        (fs::read(path).unwrap(), state)
    }

    #[test]
    fn what_was_saved_is_loaded() {
        let (bytes, state) = saved();
        let (epoch, loaded) = parse(&bytes, "seed=1").unwrap();
        assert_eq!((epoch, &loaded), (7, &state));
        assert!(loaded.0[1][0].is_sign_negative());
    }

    #[test]
    fn other_settings_and_cut_files_are_refused() {
        let (bytes, _) = saved();
        let error = parse(&bytes, "seed=2").unwrap_err().to_string();
        assert!(
            error.contains("seed=1") && error.contains("seed=2"),
            "{error}"
        );
        for len in [0, 10, 30, bytes.len() - 4, bytes.len() - 1] {
            assert!(parse(&bytes[..len], "seed=1").is_err(), "{len}");
        }
    }
}
