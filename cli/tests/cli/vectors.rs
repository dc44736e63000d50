//! The repository's known answers, as command lines and bytes.

use std::fs;

/// A mask vector of the contract.
pub struct MaskVector {
    pub what: String,
    pub len: usize,
    /// Comma separated.
    pub shape: String,
    /// Comma separated.
    pub strides: String,
    /// `--p … --seed … --stream … --origin …`
    pub options: String,
    pub keep_scale: f32,
    /// The packed mask [M15].
    pub mask: Vec<u8>,
}

impl MaskVector {
    /// Numbers of both signs, and the vector's dropout of them.
    pub fn dropout(&self) -> [Vec<f32>; 2] {
        let x: Vec<f32> = (0..self.len).map(|e| 0.1 * e as f32 - 3.0).collect();
        let keeps = |e: usize| self.mask[e / 8] >> (e % 8) & 1 == 1;
        let dropped = |e: usize| {
            if keeps(e) {
                x[e] * self.keep_scale
            } else {
                0.0
            }
        };
        let y = (0..self.len).map(dropped).collect();
        [x, y]
    }
}

/// A known answer of the Philox generator.
pub struct BlockVector {
    /// `--rounds … --counter … --key …`
    pub options: String,
    /// The four words as `words` prints them.
    pub words: String,
}

/// The vectors with consecutive mask indices.
pub fn masks() -> Vec<MaskVector> {
    at_least(31, all_masks().filter(|vector| vector.strides == "1"))
}

/// The vectors with other layouts.
pub fn layouts() -> Vec<MaskVector> {
    at_least(8, all_masks().filter(|vector| vector.strides != "1"))
}

fn at_least<T>(count: usize, vectors: impl Iterator<Item = T>) -> Vec<T> {
    let vectors: Vec<_> = vectors.collect();
    assert!(vectors.len() >= count, "only {} vectors", vectors.len());
    vectors
}

fn sizes(text: &str) -> impl Iterator<Item = usize> {
    text.split(' ').map(|size| size.parse::<usize>().unwrap())
}

/// Reads the columns: what, seed, stream, p, drop_threshold, keep_scale_bits, shape, strides,
/// origin, kept, mask.
fn all_masks() -> impl Iterator<Item = MaskVector> {
    let vector = |row: Vec<String>| MaskVector {
        what: row[0].clone(),
        len: sizes(&row[6]).product(),
        shape: row[6].replace(' ', ","),
        strides: row[7].replace(' ', ","),
        options: format!(
            "--p {} --seed 0x{} --stream 0x{} --origin {}",
            row[3], row[1], row[2], row[8]
        ),
        keep_scale: f32::from_bits(u32::from_str_radix(&row[5], 16).unwrap()),
        mask: hex(&row[10]),
    };
    rows("mask_v1.kat").into_iter().map(vector)
}

/// Reads the columns: rounds, counter, key, words, source.
pub fn blocks() -> Vec<BlockVector> {
    let numbers = |words: &str| format!("0x{}", words.replace(' ', ",0x"));
    let vector = |row: Vec<String>| {
        let (counter, key) = (numbers(&row[1]), numbers(&row[2]));
        BlockVector {
            options: format!("--rounds {} --counter {counter} --key {key}", row[0]),
            words: row[3].clone(),
        }
    };
    at_least(6, rows("philox4x32.kat").into_iter().map(vector))
}

/// A key, a number, and the key that folding the number in gives. Keys are `--seed … --stream …`.
pub struct FoldVector {
    pub key: String,
    pub n: String,
    pub folded: String,
}

/// Reads the columns: what, seed, stream, n, folded seed, folded stream.
pub fn folds() -> Vec<FoldVector> {
    let vector = |row: Vec<String>| FoldVector {
        key: format!("--seed 0x{} --stream 0x{}", row[1], row[2]),
        n: format!("0x{}", row[3]),
        folded: format!("--seed 0x{} --stream 0x{}", row[4], row[5]),
    };
    at_least(31, rows("fold_in_v1.kat").into_iter().map(vector))
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

pub fn hex(text: &str) -> Vec<u8> {
    let bytes = (0..text.len()).step_by(2);
    bytes
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}
