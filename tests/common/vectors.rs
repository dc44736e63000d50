//! The known answers of `tests/data`, and three checks that compare an implementation with all of
//! them.
//!
//! A bad line in a file panics and names the line.

use std::error::Error;
use std::str::FromStr;

use super::compare;

/// A known block of Philox4x32: `rounds` rounds of `counter` under `key` give `words`.
#[derive(Clone, Debug)]
pub struct PhiloxVector {
    /// 7 or 10.
    pub rounds: u32,
    /// Word 0 first.
    pub counter: [u32; 4],
    /// Word 0 first.
    pub key: [u32; 2],
    /// The answer, word 0 first.
    pub words: [u32; 4],
    /// The program it comes from.
    pub source: String,
}

/// A keep mask of the contract.
#[derive(Clone, Debug)]
pub struct MaskVector {
    /// The purpose of the vector.
    pub what: String,
    /// Together with `stream`, the mask's key [M1].
    pub seed: u64,
    /// Together with `seed`, the mask's key [M1].
    pub stream: u64,
    /// The probability of dropping.
    pub p: f64,
    /// The threshold D of `p` [M8].
    pub drop_threshold: u64,
    /// The scale's f32 as bits [M10].
    pub keep_scale_bits: u32,
    /// Size of each dimension.
    pub shape: Vec<u64>,
    /// Stride of the mask index in each dimension [M13].
    pub strides: Vec<u64>,
    /// Mask index of the first element [M13].
    pub origin: u64,
    /// Number of kept elements.
    pub kept: u64,
    /// The packed mask [M15].
    pub mask: Vec<u32>,
}

/// A key folded from a key [M21].
#[derive(Clone, Debug)]
pub struct FoldVector {
    /// The purpose of the vector.
    pub what: String,
    /// The seed of the key before folding; `stream` is its stream.
    pub seed: u64,
    pub stream: u64,
    /// The number that is folded in.
    pub n: u64,
    /// The answer: the seed and stream of the folded key.
    pub folded: (u64, u64),
}

/// All vectors of `philox4x32.kat`.
pub fn philox() -> Vec<PhiloxVector> {
    parse_philox(include_str!("../data/philox4x32.kat"))
}

/// All vectors of `mask_v1.kat`.
pub fn masks() -> Vec<MaskVector> {
    parse_masks(include_str!("../data/mask_v1.kat"))
}

/// All vectors of `fold_in_v1.kat`.
pub fn folds() -> Vec<FoldVector> {
    let hex = |number: &str| u64::from_str_radix(number, 16);
    rows(
        "fold_in_v1.kat",
        include_str!("../data/fold_in_v1.kat"),
        |[what, seed, stream, n, folded_seed, folded_stream]| {
            Ok(FoldVector {
                what: what.to_owned(),
                seed: hex(seed)?,
                stream: hex(stream)?,
                n: hex(n)?,
                folded: (hex(folded_seed)?, hex(folded_stream)?),
            })
        },
    )
}

/// Compares a Philox, a function of (rounds, counter, key), with every vector.
pub fn check_philox(
    philox4x32: impl Fn(u32, [u32; 4], [u32; 2]) -> [u32; 4],
) -> Result<(), String> {
    for vector in philox() {
        let words = philox4x32(vector.rounds, vector.counter, vector.key);
        if words != vector.words {
            return Err(format!("got {words:08x?} for {vector:08x?}"));
        }
    }
    Ok(())
}

/// Compares a folding of keys, a function of (seed, stream, n), with every vector.
pub fn check_folds(fold_in: impl Fn(u64, u64, u64) -> (u64, u64)) -> Result<(), String> {
    for vector in folds() {
        let folded = fold_in(vector.seed, vector.stream, vector.n);
        if folded != vector.folded {
            return Err(format!("got {folded:016x?} for {vector:016x?}"));
        }
    }
    Ok(())
}

/// Compares a function that makes packed masks with every vector.
pub fn check_masks(packed_mask: impl Fn(&MaskVector) -> Vec<u32>) -> Result<(), String> {
    for vector in masks() {
        compare::packed_masks(&vector.mask, &packed_mask(&vector)).map_err(|difference| {
            let MaskVector { what, seed, stream, p, shape, strides, origin, .. } = &vector;
            format!(
                "{difference}; {what}: seed {seed:#x}, stream {stream:#x}, p {p}, shape {shape:?}, strides {strides:?}, \
                 origin {origin}"
            )
        })?;
    }
    Ok(())
}

/// Parses the text of a `philox4x32.kat`.
pub fn parse_philox(text: &str) -> Vec<PhiloxVector> {
    rows(
        "philox4x32.kat",
        text,
        |[rounds, counter, key, words, source]| {
            Ok(PhiloxVector {
                rounds: rounds.parse()?,
                counter: hex_words(counter)?,
                key: hex_words(key)?,
                words: hex_words(words)?,
                source: source.to_owned(),
            })
        },
    )
}

/// Parses the text of a `mask_v1.kat`.
pub fn parse_masks(text: &str) -> Vec<MaskVector> {
    rows(
        "mask_v1.kat",
        text,
        |[
            what,
            seed,
            stream,
            p,
            drop_threshold,
            keep_scale_bits,
            shape,
            strides,
            origin,
            kept,
            mask,
        ]| {
            let vector = MaskVector {
                what: what.to_owned(),
                seed: u64::from_str_radix(seed, 16)?,
                stream: u64::from_str_radix(stream, 16)?,
                p: p.parse()?,
                drop_threshold: drop_threshold.parse()?,
                keep_scale_bits: u32::from_str_radix(keep_scale_bits, 16)?,
                shape: numbers(shape)?,
                strides: numbers(strides)?,
                origin: origin.parse()?,
                kept: kept.parse()?,
                mask: packed_words(mask)?,
            };
            let elements: u64 = vector.shape.iter().product();
            if vector.mask.len() as u64 != elements.div_ceil(32) {
                return Err(
                    format!("{} mask words for {elements} elements", vector.mask.len()).into(),
                );
            }
            Ok(vector)
        },
    )
}

type Parsed<T> = Result<T, Box<dyn Error>>;

/// The results of `parse` for each line's columns.
fn rows<const COLUMNS: usize, T>(
    file: &str,
    text: &str,
    parse: impl Fn([&str; COLUMNS]) -> Parsed<T>,
) -> Vec<T> {
    let mut rows = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.starts_with('#') {
            continue;
        }
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let row = match columns.try_into() {
            Ok(columns) => parse(columns),
            Err(columns) => Err(format!("{} columns, not {COLUMNS}", columns.len()).into()),
        };
        rows.push(row.unwrap_or_else(|error| panic!("{file}:{number}: {error}")));
    }
    rows
}

/// Parses `"1 2 3"`.
fn numbers(text: &str) -> Parsed<Vec<u64>> {
    Ok(text
        .split_whitespace()
        .map(u64::from_str)
        .collect::<Result<_, _>>()?)
}

/// Parses `"0000ffff 89abcdef"`.
fn hex_words<const WORDS: usize>(text: &str) -> Parsed<[u32; WORDS]> {
    let words: Vec<u32> = text
        .split_whitespace()
        .map(|word| u32::from_str_radix(word, 16))
        .collect::<Result<_, _>>()?;
    words
        .try_into()
        .map_err(|words: Vec<u32>| format!("{} words, not {WORDS}", words.len()).into())
}

/// Parses `"ffff000089abcdef"`: the bytes of little-endian words.
fn packed_words(text: &str) -> Parsed<Vec<u32>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(8) {
        return Err(format!("{} hex digits are not whole words", digits.len()).into());
    }
    digits
        .chunks(8)
        .map(|word| Ok(u32::from_str_radix(str::from_utf8(word)?, 16)?.swap_bytes()))
        .collect()
}
