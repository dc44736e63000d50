//! Negative controls: each comparison and each known answer fails on the mistakes that it must
//! find.

use wgpu_dropout::DropoutKind;

use crate::common::compare;
use crate::common::inputs::{call, kind_call, values};
use crate::common::kinds::{self, Direction};
use crate::common::layers::layers;
use crate::common::reference::{self, dropout, indices, packed_mask, philox4x32, uniform};
use crate::common::vectors::{self, MaskVector};

#[track_caller]
fn differs(result: Result<(), String>, message: &str) {
    assert_eq!(
        result.expect_err("the comparison let a mistake pass"),
        message
    );
}

const NAN: f32 = f32::NAN;
const OTHER_NAN: f32 = f32::from_bits(0xFFC0_0001);
const SUBNORMAL: f32 = f32::from_bits(0x8000_0001);

mod comparisons {
    use super::*;

    #[test]
    fn f32_bits() {
        let x = [1.0, 0.0, NAN, SUBNORMAL];
        assert_eq!(compare::f32_bits(&x, &x), Ok(()));
        assert_eq!(compare::f32_bits(&[NAN], &[OTHER_NAN]), Ok(()));
        assert_eq!(compare::f32_bits(&[], &[]), Ok(()));

        differs(
            compare::f32_bits(&[1.0, 1.0, 0.0], &[1.0, 1.0_f32.next_up(), -0.0]),
            "element 1: expected 0x3f800000 (1e0), got 0x3f800001 (1.0000001e0); 2 of 3 differ; lengths: expected 3, got 3",
        );
        differs(compare::f32_bits(&x, &x[..3]), "lengths: expected 4, got 3");
        differs(compare::f32_bits(&[], &x), "lengths: expected 0, got 4");
        for (expected, got) in [
            (0.0, -0.0),
            (-0.0, 0.0),
            (NAN, 1.0),
            (1.0, NAN),
            (0.0, NAN),
            (SUBNORMAL, -0.0),
        ] {
            compare::f32_bits(&[expected], &[got]).unwrap_err();
        }
    }

    #[test]
    fn f32_bits_find_any_flipped_bit() {
        let expected = [1.5_f32; 9];
        for element in 0..expected.len() {
            for bit in 0..32 {
                let mut got = expected;
                got[element] = f32::from_bits(got[element].to_bits() ^ 1 << bit);
                compare::f32_bits(&expected, &got).unwrap_err();
                compare::f32_bits_or_flushed(&expected, &expected, &got).unwrap_err();
                compare::f32_copies(&expected, &got).unwrap_err();
            }
        }
    }

    #[test]
    fn f32_bits_or_flushed() {
        let check = |x, expected, got| compare::f32_bits_or_flushed(&[x], &[expected], &[got]);
        let product = 2.0 * SUBNORMAL;
        for got in [product, 0.0, -0.0] {
            assert_eq!(check(SUBNORMAL, product, got), Ok(()));
        }
        // The largest subnormal times 2 is normal, but a device may flush it before the product.
        let largest = f32::MIN_POSITIVE.next_down();
        assert_eq!(check(largest, 2.0 * largest, 0.0), Ok(()));
        // Alpha dropout's factor may be below 1, so a normal number can have a subnormal product.
        assert_eq!(
            check(f32::MIN_POSITIVE, 0.9 * f32::MIN_POSITIVE, 0.0),
            Ok(())
        );
        check(f32::MIN_POSITIVE, f32::MIN_POSITIVE, 0.0).unwrap_err();
        assert_eq!(check(NAN, NAN, OTHER_NAN), Ok(()));

        for (x, expected, got) in [
            (SUBNORMAL, product, SUBNORMAL),
            (SUBNORMAL, product, NAN),
            // A dropped element is +0, whatever x is.
            (SUBNORMAL, 0.0, -0.0),
            (SUBNORMAL, 0.0, product),
            (1.0, 2.0, 0.0),
            (0.0, 0.0, -0.0),
            (-0.0, -0.0, 0.0),
            (NAN, NAN, 0.0),
        ] {
            check(x, expected, got).unwrap_err();
        }
        differs(
            compare::f32_bits_or_flushed(&[], &[1.0], &[1.0]),
            "0 inputs for 1 expected elements",
        );
        differs(
            compare::f32_bits_or_flushed(&[1.0], &[1.0], &[]),
            "lengths: expected 1, got 0",
        );
    }

    #[test]
    fn f32_copies() {
        let x = [1.0, -0.0, OTHER_NAN, SUBNORMAL];
        assert_eq!(compare::f32_copies(&x, &x), Ok(()));
        for (expected, got) in [(NAN, OTHER_NAN), (0.0, -0.0), (SUBNORMAL, -0.0), (NAN, 0.0)] {
            compare::f32_copies(&[expected], &[got]).unwrap_err();
        }
        differs(
            compare::f32_copies(&x, &x[1..1]),
            "lengths: expected 4, got 0",
        );
    }

    #[test]
    fn f32_within() {
        let check = |exact, bound, got| compare::f32_within(&[(exact, bound)], &[got]);
        for (exact, bound, got) in [
            (1.0, 0.0, 1.0),
            (1.0, 0.5, 1.5),
            (1.0, 0.5, 0.5),
            (0.0, 0.0, -0.0),
            (f64::NAN, 0.0, NAN),
            (f64::INFINITY, f64::INFINITY, f32::INFINITY),
            (1e39, 1.0, f32::INFINITY),
        ] {
            assert_eq!(check(exact, bound, got), Ok(()));
        }
        for (exact, bound, got) in [
            (1.0, 0.0, 1.0_f32.next_up()),
            (1.0, 0.5, 1.5_f32.next_up()),
            (1.0, 0.5, NAN),
            (1.0, f64::NAN, 1.0),
            (f64::NAN, 1.0, 1.0),
            (f64::INFINITY, f64::INFINITY, f32::MAX),
            (1e39, 1e39, f32::MAX),
            (-1e39, 1e39, f32::INFINITY),
        ] {
            check(exact, bound, got).unwrap_err();
        }
        differs(
            compare::f32_within(&[(1.0, 0.5), (2.0, 0.5)], &[1.0, 3.0]),
            "element 1: expected 2e0 within 5e-1, got 0x40400000 (3e0); 1 of 2 differ",
        );
        differs(
            compare::f32_within(&[(1.0, 1.0)], &[]),
            "lengths: expected 1, got 0",
        );
    }

    #[test]
    fn packed_masks() {
        let expected = packed_mask(0.5, 42, 1, 0..100);
        assert_eq!(compare::packed_masks(&expected, &expected), Ok(()));

        differs(
            compare::packed_masks(&[u32::MAX, 0b0110], &[u32::MAX, 0b1010]),
            "element 34: expected kept (1), got dropped (0); 2 of 64 differ; lengths: expected 64, got 64",
        );
        differs(
            compare::packed_masks(&expected, &expected[..3]),
            "lengths: expected 128, got 96",
        );
        for bit in 0..128 {
            let mut got = expected.clone();
            got[bit / 32] ^= 1 << (bit % 32);
            compare::packed_masks(&expected, &got).unwrap_err();
        }
        let swapped: Vec<u32> = expected.iter().map(|word| !word).collect();
        compare::packed_masks(&expected, &swapped).unwrap_err();
        compare::packed_masks(&expected, &packed_mask(0.5, 42, 1, 1..101)).unwrap_err();
        compare::packed_masks(&expected, &[u32::MAX; 4]).unwrap_err();
        compare::packed_masks(&expected, &[0; 4]).unwrap_err();
    }

    #[test]
    fn bytes() {
        assert_eq!(compare::bytes(b"mask", b"mask"), Ok(()));
        differs(
            compare::bytes(b"mask", b"musk"),
            "element 1: expected 0x61, got 0x75; 1 of 4 differ; lengths: expected 4, got 4",
        );
        differs(
            compare::bytes(b"mask", b"masks"),
            "lengths: expected 4, got 5",
        );
        for bit in 0..32 {
            let mut got = *b"mask";
            got[bit / 8] ^= 1 << (bit % 8);
            compare::bytes(b"mask", &got).unwrap_err();
        }
    }
}

#[test]
fn wrong_dropouts() {
    let x: Vec<f32> = (0..1000).map(|element| element as f32 - 500.5).collect();
    let expected = dropout(0.3, 42, 1, 0..1000, &x);
    for wrong in [
        // Kept and dropped elements swapped.
        expected
            .iter()
            .zip(&x)
            .map(|(&y, &x)| if y == 0.0 { x / 0.7 } else { 0.0 })
            .collect(),
        // Dropped elements that are -0, or products with 0.
        expected
            .iter()
            .map(|&y| if y == 0.0 { -0.0 } else { y })
            .collect(),
        expected
            .iter()
            .zip(&x)
            .map(|(&y, &x)| if y == 0.0 { 0.0 * x } else { y })
            .collect(),
        // Kept elements that are not scaled.
        expected
            .iter()
            .zip(&x)
            .map(|(&y, &x)| if y == 0.0 { y } else { x })
            .collect(),
        // The decisions of neighbouring indices, streams, seeds and rates.
        dropout(0.3, 42, 1, 1..1001, &x),
        dropout(0.3, 42, 2, 0..1000, &x),
        dropout(0.3, 43, 1, 0..1000, &x),
        dropout(0.31, 42, 1, 0..1000, &x),
    ] as [Vec<f32>; 8]
    {
        compare::f32_bits(&expected, &wrong).unwrap_err();
    }
}

/// The right results of each kind pass. A mistake in the scale, the shift or the dropped value
/// fails.
#[test]
fn wrong_kinds() {
    let x: Vec<f32> = (0..1000).map(|element| element as f32 - 500.5).collect();
    let make = |p: f64, kind, scale: f32, shift: f32, dropped: f32| {
        let call = kind_call(p, 0, kind);
        let kept = kinds::kept(&call, 0..1000);
        let one = |(&kept, &x): (&bool, &f32)| if kept { x * scale + shift } else { dropped };
        let y: Vec<f32> = kept.iter().zip(&x).map(one).collect();
        (call, kept, y)
    };
    let check = |direction, (call, kept, y): &(_, Vec<bool>, Vec<f32>)| {
        kinds::check(call, direction, kept, &x, y)
    };
    use Direction::{Backward, Forward};
    use DropoutKind::{Alpha, Classic, Inverted};
    let kinds::Alpha { a, b, dropped } = kinds::Alpha::new(0.3);
    let (a, b, dropped) = (a as f32, b as f32, dropped as f32);
    let scale = (1.0 / (1.0 - call(0.3, 0).rate.realized())) as f32;
    for (kind, direction, right) in [
        (Inverted, Forward, (scale, 0.0, 0.0)),
        (Inverted, Backward, (scale, 0.0, 0.0)),
        (Classic, Forward, (1.0, 0.0, 0.0)),
        (Classic, Backward, (1.0, 0.0, 0.0)),
        (Alpha, Forward, (a, b, dropped)),
        (Alpha, Backward, (a, 0.0, 0.0)),
    ] {
        let made = |(scale, shift, dropped)| make(0.3, kind, scale, shift, dropped);
        assert_eq!(
            check(direction, &made(right)),
            Ok(()),
            "{kind}, {direction:?}"
        );
        let (s, t, d) = right;
        for wrong in [
            (s * 1.000_002, t, d),
            (1.000_002 - s, t, d),
            (s, t * 1.000_01 + 0.001, d),
            (s, -t - 0.001, d),
            (s, t, d.next_up()),
            (s, t, -0.1 - d),
        ] {
            check(direction, &made(wrong)).unwrap_err();
        }
        let (call, mut kept, y) = made(right);
        kept[500] = !kept[500];
        check(direction, &(call, kept, y)).unwrap_err();
        let (call, kept, mut y) = made(right);
        y.pop();
        check(direction, &(call, kept, y)).unwrap_err();
    }
    // Rates 0 and 1.
    check(Forward, &make(0.0, Alpha, 1.0, 0.0, 0.0)).unwrap();
    check(Forward, &make(0.0, Alpha, 1.0, 0.001, 0.0)).unwrap_err();
    check(Forward, &make(1.0, Alpha, 1.0, 0.0, 0.0)).unwrap();
    check(Forward, &make(1.0, Alpha, 1.0, 0.0, -0.0)).unwrap_err();
}

/// Mistakes in kept 16-bit elements. At a rate of 0.4 each one shows.
#[test]
fn wrong_pairs() {
    use reference::{BF16, F16};
    let call = call(0.4, 0);
    let scale = call.keep_scale();
    let x: Vec<u16> = (0..=u16::MAX).collect();
    let check = |format, y: Vec<u16>| {
        let kept = vec![true; x.len()];
        kinds::check_pairs(format, &call, Direction::Forward, &kept, &x, &y)
    };
    for (format, differing_once) in [(F16, 3944), (BF16, 4048)] {
        let map = |map: &dyn Fn(u16) -> u16| x.iter().map(|&bits| map(bits)).collect::<Vec<_>>();
        let product = |bits| format.number(bits) * scale;
        let right = |bits| format.nearest(product(bits).into());
        let once = |bits| format.nearest(f64::from(format.number(bits)) * f64::from(scale));
        let toward_zero = |bits| {
            let nearest = right(bits);
            let too_far = format.number(nearest).abs() > product(bits).abs();
            nearest - u16::from(too_far)
        };
        let away_on_ties = |bits| format.nearest(f64::from(product(bits)) * (1.0 + 1e-12));
        let saturating = |bits| {
            let nearest = right(bits);
            let overflows = format.number(nearest).is_infinite();
            nearest - u16::from(overflows && format.number(bits).is_finite())
        };
        let dropping = |bits| if bits == 0x3456 { 0 } else { right(bits) };
        check(format, map(&right)).unwrap();
        let differing = x.iter().filter(|&&bits| once(bits) != right(bits));
        assert_eq!(differing.count(), differing_once, "{format:?}");
        for wrong in
            [&once, &toward_zero, &away_on_ties, &saturating, &dropping] as [&dyn Fn(u16) -> u16; 5]
        {
            check(format, map(wrong)).unwrap_err();
        }
    }
}

/// A layer's decisions differ from those of other layers with its shape, and from its own at the
/// next origin.
#[test]
fn wrong_layers() {
    let right = call(0.3, 0);
    let layers = layers();
    let mut others = 0;
    for layer in &layers {
        let x = values(layer.layout.len());
        let kept = layer.kept(&right);
        let y = dropout_of(&kept, &x);
        kinds::check(&right, Direction::Forward, &kept, &x, &y).unwrap();
        let next = layer.kept(&right.with_origin(1));
        kinds::check(&right, Direction::Forward, &next, &x, &y).unwrap_err();
        for other in &layers {
            let same_shape = other.layout.shape() == layer.layout.shape();
            if same_shape && other.layout != layer.layout {
                others += 1;
                let kept = other.kept(&right);
                kinds::check(&right, Direction::Forward, &kept, &x, &y).unwrap_err();
            }
        }
    }
    assert_eq!(others, 6);
}

/// Inverted dropout at rate 0.3.
fn dropout_of(kept: &[bool], x: &[f32]) -> Vec<f32> {
    let scale = call(0.3, 0).keep_scale();
    let one = |(&kept, &x): (&bool, &f32)| if kept { x * scale } else { 0.0 };
    kept.iter().zip(x).map(one).collect()
}

/// Only a rate near 1 tells the two scales apart. At 0.3 they are the same f32.
#[test]
fn a_scale_from_p_in_place_of_the_realised_probability() {
    const P: f64 = 0.9999;
    let x = vec![1.0; 100_000];
    let expected = dropout(P, 42, 1, 0..100_000, &x);
    let wrong: Vec<f32> = expected
        .iter()
        .map(|&y| {
            if y == 0.0 {
                y
            } else {
                (1.0 / (1.0 - P)) as f32
            }
        })
        .collect();
    compare::f32_bits(&expected, &wrong).unwrap_err();
}

mod philox_vectors {
    use super::*;

    /// A second Philox, into which the tests build mistakes.
    #[derive(Clone, Copy)]
    struct Philox {
        multipliers: [u32; 2],
        weyl: [u32; 2],
        more_rounds: i32,
        words: [usize; 4],
    }

    const RIGHT: Philox = Philox {
        multipliers: [0xD251_1F53, 0xCD9E_8D57],
        weyl: [0x9E37_79B9, 0xBB67_AE85],
        more_rounds: 0,
        words: [0, 1, 2, 3],
    };

    impl Philox {
        fn check(self) -> Result<(), String> {
            vectors::check_philox(|rounds, mut c, mut k| {
                for _ in 0..rounds.wrapping_add_signed(self.more_rounds) {
                    let a = u64::from(self.multipliers[0]) * u64::from(c[0]);
                    let b = u64::from(self.multipliers[1]) * u64::from(c[2]);
                    c = [
                        (b >> 32) as u32 ^ c[1] ^ k[0],
                        b as u32,
                        (a >> 32) as u32 ^ c[3] ^ k[1],
                        a as u32,
                    ];
                    k = [
                        k[0].wrapping_add(self.weyl[0]),
                        k[1].wrapping_add(self.weyl[1]),
                    ];
                }
                self.words.map(|word| c[word])
            })
        }
    }

    #[test]
    fn pass_the_right_one() {
        RIGHT.check().unwrap();
    }

    #[test]
    fn fail_one_round_too_few_or_too_many() {
        Philox {
            more_rounds: -1,
            ..RIGHT
        }
        .check()
        .unwrap_err();
        Philox {
            more_rounds: 1,
            ..RIGHT
        }
        .check()
        .unwrap_err();
    }

    #[test]
    fn fail_any_flipped_bit_of_a_constant() {
        for word in 0..2 {
            for bit in 0..32 {
                let (mut multiplier, mut weyl) = (RIGHT, RIGHT);
                multiplier.multipliers[word] ^= 1 << bit;
                weyl.weyl[word] ^= 1 << bit;
                multiplier.check().unwrap_err();
                weyl.check().unwrap_err();
            }
        }
    }

    #[test]
    fn fail_swapped_words() {
        for words in [[1, 0, 2, 3], [0, 1, 3, 2], [2, 1, 0, 3], [3, 2, 1, 0]] {
            Philox { words, ..RIGHT }.check().unwrap_err();
        }
        vectors::check_philox(|rounds, [c0, c1, c2, c3], key| {
            philox4x32(rounds, [c1, c0, c2, c3], key)
        })
        .unwrap_err();
        vectors::check_philox(|rounds, counter, [k0, k1]| philox4x32(rounds, counter, [k1, k0]))
            .unwrap_err();
    }

    #[test]
    fn fail_a_generator_that_ignores_the_rounds() {
        vectors::check_philox(|_, counter, key| philox4x32(10, counter, key)).unwrap_err();
        vectors::check_philox(|_, counter, key| philox4x32(7, counter, key)).unwrap_err();
    }
}

mod mask_vectors {
    use super::*;

    /// Compares a decision with the vectors. `keeps` is true if the element with this mask index is
    /// kept.
    fn check(keeps: impl Fn(&MaskVector, u64) -> bool) -> Result<(), String> {
        vectors::check_masks(|vector| {
            let indices = indices(&vector.shape, &vector.strides, vector.origin);
            pack(indices.into_iter().map(|index| keeps(vector, index)))
        })
    }

    fn pack(kept: impl Iterator<Item = bool>) -> Vec<u32> {
        let kept: Vec<bool> = kept.collect();
        kept.chunks(32)
            .map(|bits| {
                bits.iter()
                    .rev()
                    .fold(0, |word, &bit| word << 1 | u32::from(bit))
            })
            .collect()
    }

    /// Compares decisions with the vectors. They come from `uniform`, a function of (seed, stream,
    /// index).
    fn check_uniform(uniform: impl Fn(u64, u64, u64) -> u32) -> Result<(), String> {
        check(|vector, index| {
            u64::from(uniform(vector.seed, vector.stream, index)) >= vector.drop_threshold
        })
    }

    #[test]
    fn pass_the_right_one() {
        check_uniform(uniform).unwrap();
    }

    #[test]
    fn fail_wrong_uniforms() {
        check_uniform(|seed, stream, index| uniform(seed, stream, index).rotate_left(16))
            .unwrap_err();
        check_uniform(|seed, stream, index| uniform(seed, stream, index) & 0xFFFF_0000)
            .unwrap_err();
        check_uniform(|seed, stream, index| uniform(seed, stream, index) | 0xFFFF).unwrap_err();
        check_uniform(|seed, stream, index| !uniform(seed, stream, index)).unwrap_err();
    }

    #[test]
    fn fail_wrong_keys() {
        check_uniform(|seed, stream, index| uniform(stream, seed, index)).unwrap_err();
        check_uniform(|seed, stream, index| uniform(seed.rotate_left(32), stream, index))
            .unwrap_err();
        check_uniform(|seed, stream, index| uniform(seed, stream.rotate_left(32), index))
            .unwrap_err();
        check_uniform(|seed, stream, index| uniform(seed as u32 as u64, stream, index))
            .unwrap_err();
        check_uniform(|seed, stream, index| uniform(seed, stream as u32 as u64, index))
            .unwrap_err();
    }

    #[test]
    fn fail_wrong_indices() {
        check_uniform(|seed, stream, index| uniform(seed, stream, index + 1)).unwrap_err();
        check_uniform(|seed, stream, index| uniform(seed, stream, index ^ 1)).unwrap_err();
        check_uniform(|seed, stream, index| uniform(seed, stream, index ^ 7)).unwrap_err();
        // The index without its upper 32 bits, then a block number without them.
        check_uniform(|seed, stream, index| uniform(seed, stream, index as u32 as u64))
            .unwrap_err();
        check_uniform(|seed, stream, index| uniform(seed, stream, index & 0x7_FFFF_FFFF))
            .unwrap_err();
    }

    /// Compares decisions with the vectors. They come from `counter`, a function of (block, domain,
    /// stream).
    fn check_counter(counter: impl Fn(u64, u32, u64) -> [u32; 4]) -> Result<(), String> {
        check_uniform(|seed, stream, index| {
            let half = |domain| {
                let words = philox4x32(
                    10,
                    counter(index / 8, domain, stream),
                    [seed as u32, (seed >> 32) as u32],
                );
                words.map(|word| [word & 0xFFFF, word >> 16]).as_flattened()[index as usize % 8]
            };
            half(0) << 16 | half(1)
        })
    }

    #[test]
    fn fail_wrong_counters() {
        let lo = |x: u64| x as u32;
        let hi = |x: u64| (x >> 32) as u32;
        check_counter(|b, d, s| [lo(b), hi(b) | d << 29, lo(s), hi(s)]).unwrap();
        check_counter(|b, _, s| [lo(b), hi(b), lo(s), hi(s)]).unwrap_err();
        check_counter(|b, d, s| [lo(b), hi(b) | d << 28, lo(s), hi(s)]).unwrap_err();
        check_counter(|b, d, s| [lo(b), hi(b) | d << 30, lo(s), hi(s)]).unwrap_err();
        check_counter(|b, d, s| [lo(b), hi(b) | (1 - d) << 29, lo(s), hi(s)]).unwrap_err();
        check_counter(|b, d, s| [lo(b), hi(b), lo(s), hi(s) | d << 29]).unwrap_err();
        check_counter(|b, d, s| [lo(b), d << 29, lo(s), hi(s)]).unwrap_err();
        check_counter(|b, d, s| [lo(b), (hi(b) + 1) | d << 29, lo(s), hi(s)]).unwrap_err();
        check_counter(|b, d, s| [lo(b + 1), hi(b) | d << 29, lo(s), hi(s)]).unwrap_err();
        check_counter(|b, d, s| [hi(b) | d << 29, lo(b), lo(s), hi(s)]).unwrap_err();
        check_counter(|b, d, s| [lo(s), hi(s), lo(b), hi(b) | d << 29]).unwrap_err();
    }

    #[test]
    fn fail_wrong_decisions() {
        let u = |vector: &MaskVector, index| u64::from(uniform(vector.seed, vector.stream, index));
        check(|vector, index| u(vector, index) < vector.drop_threshold).unwrap_err();
        check(|vector, index| u(vector, index) >> 16 >= vector.drop_threshold >> 16).unwrap_err();
        check(|vector, index| u(vector, index) >> 16 > vector.drop_threshold >> 16).unwrap_err();
        check(|vector, index| u(vector, index) >= (1 << 32) - vector.drop_threshold).unwrap_err();
        check(|vector, index| u(vector, index) >= u64::from(vector.drop_threshold as u32))
            .unwrap_err();
        check(|_, _| true).unwrap_err();
        check(|_, _| false).unwrap_err();
    }

    #[test]
    fn fail_wrong_index_maps() {
        let check_map = |indices: fn(&MaskVector) -> Vec<u64>| {
            vectors::check_masks(|vector| {
                packed_mask(
                    vector.p,
                    vector.seed,
                    vector.stream,
                    indices(vector).into_iter(),
                )
            })
        };
        check_map(|vector| indices(&vector.shape, &vector.strides, vector.origin)).unwrap();
        // Without the origin, at the next origin, without the strides, and in column-major order.
        check_map(|vector| indices(&vector.shape, &vector.strides, 0)).unwrap_err();
        check_map(|vector| indices(&vector.shape, &vector.strides, vector.origin + 1)).unwrap_err();
        check_map(|vector| indices(&[vector.shape.iter().product()], &[1], vector.origin))
            .unwrap_err();
        check_map(|vector| {
            let reversed = |list: &[u64]| list.iter().rev().copied().collect::<Vec<u64>>();
            indices(
                &reversed(&vector.shape),
                &reversed(&vector.strides),
                vector.origin,
            )
        })
        .unwrap_err();
    }
}

mod fold_vectors {
    use super::*;
    use crate::common::reference::fold_in;

    type FoldIn = fn(u64, u64, u64) -> (u64, u64);

    #[test]
    fn fail_wrong_folds() {
        vectors::check_folds(fold_in).unwrap();
        let wrong: [FoldIn; 8] = [
            |seed, stream, _| (seed, stream),
            |seed, stream, n| fold_in(stream, seed, n),
            |seed, stream, n| fold_in(seed, stream, n ^ 1),
            |seed, stream, n| fold_in(seed, stream, n & 0xFFFF_FFFF),
            |seed, stream, n| fold_in(seed, stream + n, 0),
            |seed, stream, n| (fold_in(seed, stream, n).0, stream),
            |seed, stream, n| (fold_in(seed, stream, n).1, fold_in(seed, stream, n).0),
            |seed, stream, n| {
                let (seed, stream) = fold_in(seed, stream, n);
                (seed.rotate_left(32), stream.rotate_left(32))
            },
        ];
        for fold_in in wrong {
            vectors::check_folds(fold_in).unwrap_err();
        }
        let of_domain = |domain: u32, seed: u64, stream: u64, n: u64| {
            let [seed, stream, n] = [seed, stream, n].map(|x| [x as u32, (x >> 32) as u32]);
            let counter = [n[0], n[1] | domain << 29, stream[0], stream[1]];
            let [w0, w1, w2, w3] = philox4x32(10, counter, seed).map(u64::from);
            (w0 | w1 << 32, w2 | w3 << 32)
        };
        vectors::check_folds(|seed, stream, n| of_domain(3, seed, stream, n)).unwrap();
        for domain in [0, 1, 2, 7] {
            vectors::check_folds(|seed, stream, n| of_domain(domain, seed, stream, n)).unwrap_err();
        }
    }
}

mod vector_files {
    use super::*;

    #[test]
    #[should_panic(expected = "philox4x32.kat:2: 4 columns, not 5")]
    fn a_missing_column_is_named() {
        vectors::parse_philox("# comment\n7 | 0 0 0 0 | 0 0 | 0 0 0 0\n");
    }

    #[test]
    #[should_panic(expected = "philox4x32.kat:1: 3 words, not 4")]
    fn a_missing_word_is_named() {
        vectors::parse_philox("7 | 0 0 0 | 0 0 | 0 0 0 0 | source");
    }

    #[test]
    #[should_panic(expected = "philox4x32.kat:1: invalid digit found in string")]
    fn a_bad_digit_is_named() {
        vectors::parse_philox("7 | 0 0 0 g | 0 0 | 0 0 0 0 | source");
    }

    #[test]
    #[should_panic(expected = "mask_v1.kat:1: 1 mask words for 33 elements")]
    fn a_short_mask_is_named() {
        vectors::parse_masks(
            "what | 0 | 0 | 0.5 | 80000000 | 40000000 | 33 | 1 | 0 | 0 | 00000000",
        );
    }
}
