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
    pub fn keeps(&self, element: usize) -> bool {
        self.mask[element / 8] >> (element % 8) & 1 == 1
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
    let mut vectors = all_masks();
    vectors.retain(|vector| vector.strides == "1");
    assert!(vectors.len() > 30, "only {} vectors", vectors.len());
    vectors
}

/// The vectors with other layouts.
pub fn layouts() -> Vec<MaskVector> {
    let mut vectors = all_masks();
    vectors.retain(|vector| vector.strides != "1");
    assert!(vectors.len() >= 8, "only {} vectors", vectors.len());
    vectors
}

/// Reads the columns: what, seed, stream, p, drop_threshold, keep_scale_bits, shape, strides,
/// origin, kept, mask.
fn all_masks() -> Vec<MaskVector> {
    let vector = |row: &Vec<String>| MaskVector {
        what: row[0].clone(),
        len: row[6]
            .split(' ')
            .map(|size| size.parse::<usize>().unwrap())
            .product(),
        shape: row[6].replace(' ', ","),
        strides: row[7].replace(' ', ","),
        options: format!(
            "--p {} --seed 0x{} --stream 0x{} --origin {}",
            row[3], row[1], row[2], row[8]
        ),
        keep_scale: f32::from_bits(u32::from_str_radix(&row[5], 16).unwrap()),
        mask: hex(&row[10]),
    };
    rows("mask_v1.kat").iter().map(vector).collect()
}

/// Reads the columns: rounds, counter, key, words, source.
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

/// A key, a number, and the key that folding the number in gives. Keys are `--seed … --stream …`.
pub struct FoldVector {
    pub key: String,
    pub n: String,
    pub folded: String,
}

/// Reads the columns: what, seed, stream, n, folded seed, folded stream.
pub fn folds() -> Vec<FoldVector> {
    let vector = |row: &Vec<String>| FoldVector {
        key: format!("--seed 0x{} --stream 0x{}", row[1], row[2]),
        n: format!("0x{}", row[3]),
        folded: format!("--seed 0x{} --stream 0x{}", row[4], row[5]),
    };
    let vectors: Vec<_> = rows("fold_in_v1.kat").iter().map(vector).collect();
    assert!(vectors.len() > 30, "only {} vectors", vectors.len());
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
