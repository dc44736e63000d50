//! `cpu::foreign` compared with masks that the other frameworks made.

use core::ops::Range;

use wgpu_dropout::DropoutRate;
use wgpu_dropout::cpu::{CpuError, foreign};

use super::ways::mask_length;

/// A row of tests/data/foreign.kat.
#[derive(Debug)]
struct Row {
    rule: &'static str,
    numbers: [i64; 2],
    rate: DropoutRate,
    first: u64,
    elements: u64,
    mask: Vec<u32>,
}

fn rows() -> Vec<Row> {
    let rows: Vec<_> = include_str!("../../data/foreign.kat")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| parse(line).unwrap_or_else(|| panic!("{line}")))
        .collect();
    let of = |rule| rows.iter().filter(|row: &&Row| row.rule == rule).count();
    assert_eq!(["jax", "tensorflow", "triton"].map(of), [32, 16, 19]);
    rows
}

fn parse(line: &'static str) -> Option<Row> {
    let columns: Vec<_> = line.split(" | ").collect();
    let [rule, numbers, p, first, elements, mask] = columns.try_into().ok()?;
    let (a, b) = numbers.split_once(',')?;
    let bytes = (0..mask.len()).step_by(2);
    let bytes: Vec<u8> = bytes
        .map(|i| u8::from_str_radix(&mask[i..i + 2], 16).ok())
        .collect::<Option<_>>()?;
    let word = |bytes: &[u8]| {
        (0..)
            .zip(bytes)
            .fold(0, |word, (i, &byte)| word | u32::from(byte) << (8 * i))
    };
    Some(Row {
        rule,
        numbers: [a.parse().ok()?, b.parse().ok()?],
        rate: p.parse().ok()?,
        first: first.parse().ok()?,
        elements: elements.parse().ok()?,
        mask: bytes.chunks(4).map(word).collect(),
    })
}

impl Row {
    fn range(&self) -> Range<u64> {
        self.first..self.first + self.elements
    }

    fn make(
        &self,
        numbers: [i64; 2],
        elements: Range<u64>,
        mask: &mut [u32],
    ) -> Result<(), CpuError> {
        match self.rule {
            "jax" => foreign::jax(numbers.map(|word| word as u32), self.rate, elements, mask),
            "tensorflow" => foreign::tensorflow(numbers, self.rate, elements, mask),
            "triton" => foreign::triton(numbers[0], numbers[1], self.rate, elements, mask),
            other => panic!("{other}"),
        }
    }

    fn mask(&self, numbers: [i64; 2], elements: Range<u64>) -> Vec<u32> {
        let mut mask = vec![u32::MAX; (elements.end - elements.start).div_ceil(32) as usize];
        self.make(numbers, elements, &mut mask).unwrap();
        mask
    }
}

#[test]
fn masks_are_those_of_the_frameworks() {
    for row in rows() {
        assert_eq!(row.mask(row.numbers, row.range()), row.mask, "{row:?}");
    }
}

#[test]
fn another_key_is_seen() {
    // 250 elements or more: two such masks are not equal by chance.
    let long = |row: &Row| row.elements >= 250 && (0.05..0.95).contains(&row.rate.p());
    let rows: Vec<_> = rows().into_iter().filter(long).collect();
    for rule in ["jax", "tensorflow", "triton"] {
        assert!(rows.iter().any(|row| row.rule == rule), "{rule}");
    }
    for row in rows {
        for numbers in [
            [row.numbers[0] ^ 1, row.numbers[1]],
            [row.numbers[0], row.numbers[1] + 1],
        ] {
            assert_ne!(row.mask(numbers, row.range()), row.mask, "{row:?}");
        }
        let next = row.first + 1..row.first + 1 + row.elements;
        assert_ne!(row.mask(row.numbers, next), row.mask, "{row:?}");
    }
}

#[test]
fn a_part_is_a_slice() {
    for row in rows() {
        let bit = |mask: &[u32], e: u64| mask[e as usize / 32] >> (e % 32) & 1;
        for (begin, end) in [
            (0, row.elements / 2),
            (1, row.elements),
            (row.elements / 3, row.elements),
        ] {
            let part = row.mask(row.numbers, row.first + begin..row.first + end);
            for e in begin..end {
                assert_eq!(
                    bit(&part, e - begin),
                    bit(&row.mask, e),
                    "{row:?} {begin} {e}"
                );
            }
        }
    }
}

#[test]
fn long_masks_are_the_same_in_tasks() {
    // Longer than one task of the thread pool.
    for row in rows().into_iter().filter(|row| row.elements > 4000) {
        let long = row.mask(row.numbers, 0..1 << 17);
        let last = row.mask(row.numbers, (1 << 17) - 320..1 << 17);
        assert_eq!(long[long.len() - 10..], last);
        let whole = row.mask.len() - 1;
        assert_eq!(long[..whole], row.mask[..whole]);
    }
}

#[test]
fn rates_of_0_and_1_drop_nothing_and_all() {
    let all = |rate, word| {
        let mut mask = [word ^ 1; 4];
        foreign::jax([1, 2], rate, 0..128, &mut mask).unwrap();
        assert_eq!(mask, [word; 4]);
        foreign::tensorflow([1, -2], rate, 5..133, &mut mask).unwrap();
        assert_eq!(mask, [word; 4]);
        foreign::triton(-1, -64, rate, 0..128, &mut mask).unwrap();
        assert_eq!(mask, [word; 4]);
    };
    all(DropoutRate::ZERO, u32::MAX);
    all(DropoutRate::new(1.0).unwrap(), 0);
}

#[test]
fn tritons_offset_moves_elements_and_wraps() {
    let rate = DropoutRate::new(0.5).unwrap();
    let mask = |offset: i64, elements: Range<u64>| {
        let mut mask = [0; 2];
        foreign::triton(3, offset, rate, elements, &mut mask).unwrap();
        mask
    };
    assert_eq!(mask(1 << 40, 0..64), mask(0, 1 << 40..(1 << 40) + 64));
    assert_eq!(mask(-32, 0..64)[1], mask(0, 0..64)[0]);
}

#[test]
fn a_mask_of_another_length_is_refused() {
    let refused = |elements, words, required, len| {
        let mut mask = vec![7; words];
        let error = foreign::jax([0, 0], DropoutRate::ZERO, elements, &mut mask).unwrap_err();
        let expected = mask_length(words, required, len);
        assert_eq!(error, CpuError::Source(expected));
        assert!(mask.iter().all(|&word| word == 7));
    };
    refused(0..33, 1, 2, 33);
    refused(0..32, 2, 1, 32);
    refused(9..9, 1, 0, 0);
    // A reversed range has no element.
    #[allow(clippy::reversed_empty_ranges)]
    foreign::jax([0, 0], DropoutRate::ZERO, 9..3, &mut []).unwrap();
}
