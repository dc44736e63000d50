//! Compares the reference with the known answers, since every other test trusts the reference.
//! tests/cpu/negative.rs has more of these comparisons.

use crate::common::reference::{drop_threshold, indices, keep_scale, keeps, uniform};
use crate::common::vectors;

const SEED: u64 = 0x0123_4567_89AB_CDEF;
const STREAM: u64 = 0x0000_0007_0000_04B0;
const TWO_POW_32: f64 = 4_294_967_296.0;

#[test]
fn no_vector_is_lost() {
    let rounds = |rounds| {
        vectors::philox()
            .iter()
            .filter(|vector| vector.rounds == rounds)
            .count()
    };
    assert_eq!(
        (rounds(7), rounds(10), vectors::philox().len()),
        (12, 21, 33)
    );
    assert_eq!(vectors::masks().len(), 52);
    assert_eq!(vectors::folds().len(), 35);
}

#[test]
fn mask_vectors_numbers() {
    for vector in vectors::masks() {
        let indices = indices(&vector.shape, &vector.strides, vector.origin);
        let kept = indices
            .iter()
            .filter(|&&index| keeps(vector.p, vector.seed, vector.stream, index))
            .count();
        assert_eq!(kept as u64, vector.kept, "{vector:?}");
        assert_eq!(
            drop_threshold(vector.p),
            vector.drop_threshold,
            "{vector:?}"
        );
        assert_eq!(
            keep_scale(vector.p).to_bits(),
            vector.keep_scale_bits,
            "{vector:?}"
        );
    }
}

/// A C program made these numbers: it applies M3 to M7 to Random123's `philox4x32_R` (commit
/// 9545ff6).
#[test]
fn uniforms_at_the_edges_of_the_index() {
    let uniforms = [
        (0, [0xE8D5_C734, 0x0CDB_297C, 0xE307_266D]),
        (1, [0x6627_2A24, 0xDB23_E074, 0x3D3B_23A4]),
        (7, [0x9B00_B095, 0x5C54_2A35, 0x36C3_8C92]),
        (8, [0xCCA4_97AE, 0xB1DE_0897, 0x84C8_C433]),
        (u64::from(u32::MAX), [0x42E9_52A9, 0x175D_77EF, 0xE33B_CD91]),
        // The last index whose block number has 32 bits, and the next.
        (0x7_FFFF_FFFF, [0x2A1E_5160, 0x1486_CCBB, 0xCD81_D4A8]),
        (0x8_0000_0000, [0xC5EC_4EA4, 0x02A8_5197, 0x9C0B_0DDF]),
        (1 << 63, [0x281E_E838, 0x7E12_B662, 0x9AC4_DFBE]),
        (u64::MAX - 1, [0xEA2F_18F7, 0x4CA7_1889, 0x1AC1_CEFD]),
        (u64::MAX, [0x8A37_31EB, 0xD5F7_95E8, 0x69DA_411F]),
    ];
    for (index, expected) in uniforms {
        let got = [(0, 0), (SEED, STREAM), (u64::MAX, u64::MAX)]
            .map(|(seed, stream)| uniform(seed, stream, index));
        assert_eq!(got, expected, "index {index:#x}");
    }
}

/// Worked out by hand from M8 and M10.
#[test]
fn rates_at_the_edges() {
    let ulp = 1.0 / TWO_POW_32;
    for (p, threshold, scale) in [
        (0.0, 0, 1.0),
        (f64::from_bits(1), 0, 1.0),
        (0.25 * ulp, 0, 1.0),
        // Ties go to the even neighbour: half to 0, three halves to 2, five halves to 2.
        (0.5 * ulp, 0, 1.0),
        ((0.5 * ulp).next_up(), 1, 1.0),
        (ulp, 1, 1.0),
        (1.5 * ulp, 2, 1.0),
        (2.5 * ulp, 2, 1.0),
        (0.5, 1 << 31, 2.0),
        (0.75, 3 << 30, 4.0),
        (1.0 - 1.5 * ulp, (1 << 32) - 2, 2_147_483_648.0),
        (1.0 - ulp, (1 << 32) - 1, 4_294_967_296.0),
        (1.0 - 0.5 * ulp, 1 << 32, 0.0),
        (1.0 - 0.25 * ulp, 1 << 32, 0.0),
        (1.0_f64.next_down(), 1 << 32, 0.0),
        (1.0, 1 << 32, 0.0),
    ] {
        assert_eq!(
            (drop_threshold(p), keep_scale(p)),
            (threshold, scale),
            "p {p:e}"
        );
    }
}

/// M8 to the last bit of u(i), on which no vector with a fixed p depends.
#[test]
fn a_uniform_is_dropped_below_the_threshold_and_kept_at_it() {
    for index in (0..1000).chain(u64::MAX - 999..=u64::MAX) {
        let u = f64::from(uniform(SEED, STREAM, index));
        assert!(keeps(u / TWO_POW_32, SEED, STREAM, index), "index {index}");
        assert!(
            !keeps((u + 1.0) / TWO_POW_32, SEED, STREAM, index),
            "index {index}"
        );
    }
}
