//! The reference itself, compared with the known answers before other tests rely on it.

use crate::common::reference::{
    drop_threshold, dropout, fold_in, indices, keep_scale, keeps, packed_mask, philox_blocks,
    philox4x32, uniform,
};
use crate::common::{compare, vectors};

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
fn philox_vectors() {
    vectors::check_philox(philox4x32).unwrap();
}

#[test]
fn fold_vectors() {
    vectors::check_folds(fold_in).unwrap();
}

#[test]
#[should_panic(expected = "2305843009213693952 has no block")]
fn a_number_without_a_block_is_refused() {
    fold_in(SEED, STREAM, 1 << 61);
}

#[test]
fn mask_vectors() {
    vectors::check_masks(|vector| {
        let indices = indices(&vector.shape, &vector.strides, vector.origin);
        packed_mask(vector.p, vector.seed, vector.stream, indices.into_iter())
    })
    .unwrap();
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

/// These numbers come from Random123's `philox4x32_R` (commit 9545ff6), called as M3 to M7 say, in
/// C.
#[test]
fn uniforms_at_the_edges_of_the_index() {
    let uniforms = [
        (0, [0xE8D5_C734, 0x0CDB_297C, 0xE307_266D]),
        (1, [0x6627_2A24, 0xDB23_E074, 0x3D3B_23A4]),
        (7, [0x9B00_B095, 0x5C54_2A35, 0x36C3_8C92]),
        (8, [0xCCA4_97AE, 0xB1DE_0897, 0x84C8_C433]),
        (u64::from(u32::MAX), [0x42E9_52A9, 0x175D_77EF, 0xE33B_CD91]),
        // The last index whose block number fits into 32 bits, and the next index.
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

#[test]
fn counters_carry_through_every_word_and_wrap() {
    const ONES: u32 = u32::MAX;
    let key = [0xA409_3822, 0x299F_31D0];
    for (counter, next) in [
        ([6, 0, 0, 0], [7, 0, 0, 0]),
        ([ONES, 5, 5, 5], [0, 6, 5, 5]),
        ([ONES, ONES, 5, 5], [0, 0, 6, 5]),
        ([ONES, ONES, ONES, 5], [0, 0, 0, 6]),
        ([ONES, ONES, ONES, ONES], [0, 0, 0, 0]),
    ] {
        for rounds in [7, 10] {
            let blocks = philox_blocks(rounds, counter, key, 2);
            assert_eq!(
                blocks,
                [
                    philox4x32(rounds, counter, key),
                    philox4x32(rounds, next, key)
                ]
            );
        }
    }
    assert!(philox_blocks(10, [0; 4], key, 0).is_empty());
}

/// The expected numbers are worked out by hand from M8 and M10.
#[test]
fn rates_at_the_edges() {
    let ulp = 1.0 / TWO_POW_32;
    for (p, threshold, scale) in [
        (0.0, 0, 1.0),
        (f64::from_bits(1), 0, 1.0),
        (0.25 * ulp, 0, 1.0),
        // Ties go to even thresholds: 0.5 to 0, 1.5 to 2, 2.5 to 2.
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

/// The decision changes exactly at u(i) [M8]. No vector with a fixed p tests that.
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

#[test]
fn indices_are_row_major_and_reach_the_last() {
    assert_eq!(indices(&[], &[], 7), [7]);
    assert_eq!(
        indices(&[2, 3], &[10, 1], 100),
        [100, 101, 102, 110, 111, 112]
    );
    assert_eq!(indices(&[2, 2, 2], &[1, 0, 4], 0), [0, 4, 0, 4, 1, 5, 1, 5]);
    assert_eq!(
        indices(&[3], &[1], u64::MAX - 2),
        [u64::MAX - 2, u64::MAX - 1, u64::MAX]
    );
    assert_eq!(indices(&[2], &[u64::MAX], 0), [0, u64::MAX]);
    assert_eq!(indices(&[3, 0], &[u64::MAX, 1], 1), [0; 0]);
}

#[test]
#[should_panic(expected = "index above 2^64 - 1")]
fn an_index_past_the_last_is_refused() {
    indices(&[2, 2], &[u64::MAX, 1], 0);
}

#[test]
fn masks_are_words_with_spare_bits_of_zero() {
    let ones = |len| packed_mask(0.0, SEED, STREAM, 0..len);
    assert_eq!(ones(0), [0; 0]);
    assert_eq!(ones(1), [1]);
    assert_eq!(ones(32), [u32::MAX]);
    assert_eq!(ones(33), [u32::MAX, 1]);
    assert_eq!(packed_mask(1.0, SEED, STREAM, 0..33), [0, 0]);
}

#[test]
fn values_follow_the_mask() {
    let x = [
        1.5,
        -1.5,
        -0.0,
        f32::NAN,
        f32::INFINITY,
        f32::MAX,
        f32::from_bits(1),
        f32::from_bits(0xFF80_0001),
    ];
    let kept = [
        3.0,
        -3.0,
        -0.0,
        f32::NAN,
        f32::INFINITY,
        f32::INFINITY,
        f32::from_bits(2),
        f32::NAN,
    ];
    let (index_kept, index_dropped) =
        (0..100).partition::<Vec<u64>, _>(|&index| keeps(0.5, SEED, STREAM, index));

    compare::f32_bits(
        &kept,
        &dropout(0.5, SEED, STREAM, index_kept.into_iter(), &x),
    )
    .unwrap();
    compare::f32_copies(
        &[0.0; 8],
        &dropout(0.5, SEED, STREAM, index_dropped.into_iter(), &x),
    )
    .unwrap();
    compare::f32_copies(&[0.0; 8], &dropout(1.0, SEED, STREAM, 0..8, &x)).unwrap();
    compare::f32_copies(&x, &dropout(0.0, SEED, STREAM, 0..8, &x)).unwrap();
}
