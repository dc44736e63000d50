//! The known answers of the repository, as command lines and bytes.

use std::fs;

/// A contract vector of a contiguous tensor.
pub struct MaskVector {
    pub len: usize,
    /// `--p … --seed … --stream … --origin …`
    pub options: String,
    pub keep_scale: f32,
    /// Packed as M15.
    pub mask: Vec<u8>,
}

impl MaskVector {
    pub fn keeps(&self, element: usize) -> bool {
        self.mask[element / 8] >> (element % 8) & 1 == 1
    }
}

/// A known answer of the generator.
pub struct BlockVector {
    /// `--rounds … --counter … --key …`
    pub options: String,
    /// Four words as the command writes them.
    pub words: String,
}

/// Columns: what, seed, stream, p, drop_threshold, keep_scale_bits, shape, strides, origin, kept,
/// mask.
pub fn masks() -> Vec<MaskVector> {
    let rows = rows("mask_v1.kat");
    let vectors: Vec<_> = rows
        .iter()
        .filter(|row| !row[6].contains(' ') && row[7] == "1")
        .map(|row| MaskVector {
            len: row[6].parse().unwrap(),
            options: format!(
                "--p {} --seed 0x{} --stream 0x{} --origin {}",
                row[3], row[1], row[2], row[8]
            ),
            keep_scale: f32::from_bits(u32::from_str_radix(&row[5], 16).unwrap()),
            mask: hex(&row[10]),
        })
        .collect();
    assert!(vectors.len() > 30, "only {} vectors", vectors.len());
    vectors
}

/// Columns: rounds, counter, key, words, source.
pub fn blocks() -> Vec<BlockVector> {
    let numbers = |words: &str| format!("0x{}", words.replace(' ', ",0x"));
    let vectors: Vec<_> = rows("philox4x32.kat")
        .iter()
        .map(|row| BlockVector {
            options: format!(
                "--rounds {} --counter {} --key {}",
                row[0],
                numbers(&row[1]),
                numbers(&row[2])
            ),
            words: row[3].clone(),
        })
        .collect();
    assert!(vectors.len() > 5, "only {} vectors", vectors.len());
    vectors
}

fn rows(file: &str) -> Vec<Vec<String>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data");
    fs::read_to_string(format!("{folder}/{file}"))
        .unwrap()
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(" | ").map(str::to_owned).collect())
        .collect()
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}
