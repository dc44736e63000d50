//! `DropoutCall` as text and as counters, and how `MaskKey` packs layer and step.

use proptest::prelude::*;
use std::collections::HashSet;

use wgpu_dropout::{
    CallError, DropoutCall, DropoutKind, DropoutRate, FoldOverflow, MaskKey, MaskLayout,
    ParseCallError, RateError, advance_counter, mask,
};

use crate::common::inputs::past_last;
use crate::common::{reference, vectors};

const KINDS: [DropoutKind; 4] = [
    DropoutKind::Inverted,
    DropoutKind::Classic,
    DropoutKind::Alpha,
    DropoutKind::Gaussian,
];

#[test]
fn layer_and_step_are_the_words_of_the_stream() {
    let key = MaskKey::layer_step(9, 3, 7);
    assert_eq!(key, MaskKey::new(9, 0x3_0000_0007));
    let key = MaskKey::layer_step(u64::MAX, u32::MAX, u32::MAX);
    assert_eq!(key, MaskKey::new(u64::MAX, u64::MAX));
}

#[test]
fn fold_vectors() {
    vectors::check_folds(|seed, stream, n| {
        let MaskKey { seed, stream } = MaskKey::new(seed, stream).fold_in(n).unwrap();
        (seed, stream)
    })
    .unwrap();
}

#[test]
fn numbers_to_fold_in_end_below_two_to_61() {
    let key = MaskKey::new(1, 2);
    key.fold_in((1 << 61) - 1).unwrap();
    for n in [1 << 61, 3 << 61, u64::MAX] {
        assert_eq!(key.fold_in(n), Err(FoldOverflow { n }));
        assert_eq!(
            FoldOverflow { n }.to_string(),
            format!("{n} passes 2^61 - 1, the largest number to fold in: lower it, or fold twice")
        );
    }
}

/// The keys of one run all differ: each layer at each step, each use, each member of an ensemble.
#[test]
fn keys_of_one_run_do_not_meet() {
    let mut keys = HashSet::new();
    for layer in 0..8 {
        for step in 0..64 {
            let key = MaskKey::layer_step(42, layer, step);
            let uses = (0..16).map(|n| key.fold_in(n).unwrap());
            let members = (0..16).map(|n| key.fold_in(1 << 32).unwrap().fold_in(n).unwrap());
            for key in [key].into_iter().chain(uses).chain(members) {
                assert!(keys.insert(key), "{key:?} twice");
            }
        }
    }
}

#[test]
fn a_folded_call_is_told_by_its_seed_and_stream() {
    let key = MaskKey::layer_step(42, 3, 7).fold_in(1).unwrap();
    let call = DropoutCall::new(DropoutRate::new(0.1).unwrap(), key);
    let text = "p=0.1 seed=10070614895191512371 stream=0x94d843c379002df7 origin=0";
    assert_eq!(call.to_string(), text);
    assert_eq!(text.parse(), Ok(call));
}

#[test]
fn a_call_begins_at_index_zero() {
    let call = DropoutCall::new(DropoutRate::ZERO, MaskKey::new(1, 2));
    assert_eq!(call.origin, 0);
    assert_eq!(call.with_origin(5), DropoutCall { origin: 5, ..call });
}

#[test]
fn mask_words_are_counted_without_a_wrap() {
    for (len, words) in [(0, 0), (1, 1), (32, 1), (33, 2), (u64::MAX, 1 << 59)] {
        assert_eq!(mask::mask_words(len), words);
    }
}

#[test]
fn fields_come_in_any_order_and_integers_in_two_notations() {
    let rate = DropoutRate::new(0.25).unwrap();
    let call = DropoutCall::new(rate, MaskKey::new(255, 16));
    for text in [
        "p=0.25 seed=255 stream=0x10 origin=0",
        "  origin=0x0\tstream=16\nseed=0xfF p=25e-2 ",
        "p=.25 seed=00255 stream=0x0010",
    ] {
        assert_eq!(text.parse(), Ok(call), "{text}");
    }
}

#[test]
fn fields_are_refused_by_name() {
    let words = "q=1 p seed =1 P=0.5 p= p=half p=0.5, seed=-1 seed=+1 seed=0x seed=0x+1 seed=0xg \
                 seed=1.0 seed=1_000 seed=18446744073709551616 stream= stream=0X1 origin=x \
                 origin=0x10000000000000000 kind= kind=Alpha kind=Gaussian kind";
    for word in words.split(' ') {
        let expected = ParseCallError::Field {
            field: word.to_owned(),
        };
        let message = format!(
            "`{word}` is not one of p=…, seed=…, stream=…, origin=…, each once and with a number, \
             integers up to 2^64 - 1, or kind=inverted|classic|alpha|gaussian"
        );
        assert_eq!(expected.to_string(), message);
        assert_eq!(word.parse::<DropoutCall>(), Err(expected), "{word}");
    }
}

#[test]
fn each_field_comes_once() {
    let whole = ["p=0.5", "seed=1", "stream=2", "origin=3", "kind=alpha"];
    for repeated in whole {
        let text = format!("{} {repeated}", whole.join(" "));
        let field = repeated.to_owned();
        assert_eq!(
            text.parse::<DropoutCall>(),
            Err(ParseCallError::Field { field })
        );
    }
    for (text, name) in [
        ("", "p"),
        ("seed=1 stream=2", "p"),
        ("p=0.5 stream=2", "seed"),
        ("p=0.5 seed=1 origin=4", "stream"),
    ] {
        let expected = ParseCallError::Missing { name };
        assert_eq!(expected.to_string(), format!("`{name}=…` is missing"));
        assert_eq!(text.parse::<DropoutCall>(), Err(expected));
    }
}

#[test]
fn a_p_that_is_no_probability_is_the_rates_error() {
    let call = |p: &str| format!("p={p} seed=1 stream=2").parse::<DropoutCall>();
    for (text, p) in [("1.5", 1.5), ("-1", -1.0), ("inf", f64::INFINITY)] {
        let expected = ParseCallError::Rate(RateError::OutOfRange { p });
        assert_eq!(call(text), Err(expected));
    }
    assert!(matches!(
        call("NaN"),
        Err(ParseCallError::Rate(RateError::OutOfRange { p })) if p.is_nan()
    ));
}

#[test]
fn a_kind_has_a_name_and_inverted_need_not_be_told() {
    let call = DropoutCall::new(DropoutRate::new(0.5).unwrap(), MaskKey::new(1, 2));
    assert_eq!(call.kind, DropoutKind::Inverted);
    for (kind, name, field) in [
        (DropoutKind::Inverted, "inverted", ""),
        (DropoutKind::Classic, "classic", " kind=classic"),
        (DropoutKind::Alpha, "alpha", " kind=alpha"),
        (DropoutKind::Gaussian, "gaussian", " kind=gaussian"),
    ] {
        assert_eq!(kind.to_string(), name);
        assert_eq!(name.parse(), Ok(kind));
        let call = call.with_kind(kind);
        assert_eq!(call.kind, kind);
        assert_eq!(
            call.to_string(),
            format!("p=0.5 seed=1 stream=0x2 origin=0{field}")
        );
        let told = format!("kind={name} p=0.5 seed=1 stream=2");
        assert_eq!(told.parse(), Ok(call));
    }
    for text in ["Classic", "", " alpha", "noise"] {
        let error = text.parse::<DropoutKind>().unwrap_err();
        assert_eq!((error.text.as_str(), error.what), (text, "kind of dropout"));
        assert_eq!(
            error.to_string(),
            format!(
                "`{text}` is no kind of dropout: give one of inverted, classic, alpha, gaussian"
            )
        );
    }
}

/// Gaussian noise has half of the indices [M18] and needs a finite variance. An empty layout passes
/// with any call.
#[test]
fn a_call_is_checked_with_its_layout() {
    let call = |p, origin| {
        let rate = DropoutRate::new(p).unwrap();
        DropoutCall::new(rate, MaskKey::new(1, 2)).with_origin(origin)
    };
    let rows = MaskLayout::strided(&[2, 3], &[10, 1]).unwrap();
    let rows = rows.offset(100).unwrap();
    let empty = MaskLayout::elementwise(&[2, 0]).unwrap();
    for kind in KINDS {
        let max = match kind {
            DropoutKind::Gaussian => (1 << 63) - 1,
            _ => u64::MAX,
        };
        let rate = DropoutRate::new(1.0).unwrap();
        for (p, fits) in [
            (0.0, Ok(())),
            (0.5, Ok(())),
            (
                1.0,
                match kind {
                    DropoutKind::Gaussian => Err(CallError::Rate { rate }),
                    _ => Ok(()),
                },
            ),
        ] {
            let check = |layout, origin| call(p, origin).with_kind(kind).check(layout);
            assert_eq!(check(&rows, 0), fits, "{kind}, p {p}");
            assert_eq!(check(&rows, max - 112), fits, "{kind}, p {p}");
            for origin in [max - 111, u64::MAX] {
                let overflow = past_last(origin, 113, max);
                let error = Err(CallError::IndexOverflow(overflow));
                assert_eq!(check(&rows, origin), error, "{kind}, p {p}");
            }
            assert_eq!(check(&empty, u64::MAX), Ok(()), "{kind}, p {p}");
        }
    }
    for (error, message) in [
        (
            CallError::IndexOverflow(past_last(7, 113, (1 << 63) - 1)),
            "113 mask indices from 7 on pass the largest one, 2^63 - 1: \
             lower the origin, the number of elements, or a layout's strides and offset",
        ),
        (
            CallError::Rate {
                rate: DropoutRate::new(1.0).unwrap(),
            },
            "p = 1 drops everything, and Gaussian noise has no finite variance: give a smaller p",
        ),
    ] {
        assert_eq!(error.to_string(), message);
    }
}

/// Random p: by its bits, so that small numbers are frequent, and uniform from 0 to 1.
fn p() -> impl Strategy<Value = f64> {
    let last = 1.0_f64.to_bits();
    prop_oneof![(0..=last).prop_map(f64::from_bits), 0.0..=1.0, Just(-0.0)]
}

proptest! {
    #[test]
    fn text_reads_back_to_the_same_bits(
        p in p(),
        seed in any::<u64>(),
        stream in any::<u64>(),
        origin in any::<u64>(),
        kind in prop::sample::select(KINDS.to_vec()),
    ) {
        let rate = DropoutRate::new(p).unwrap();
        let call = DropoutCall::new(rate, MaskKey::new(seed, stream));
        let call = call.with_kind(kind).with_origin(origin);
        let read: DropoutCall = call.to_string().parse().unwrap();
        prop_assert_eq!(read, call);
        prop_assert_eq!(read.rate.p().to_bits(), (p + 0.0).to_bits());
    }

    #[test]
    fn a_fold_is_the_twins(seed in any::<u64>(), stream in any::<u64>(), n in 0_u64..1 << 61) {
        let folded = MaskKey::new(seed, stream).fold_in(n).unwrap();
        prop_assert_eq!((folded.seed, folded.stream), reference::fold_in(seed, stream, n));
    }

    /// The test cannot fail by chance: with one seed, a block is a bijection of its counter.
    #[test]
    fn folds_of_one_seed_are_different(
        seed in any::<u64>(),
        streams in prop::collection::hash_set(any::<u64>(), 1..20),
        numbers in prop::collection::hash_set(0_u64..1 << 61, 1..50),
    ) {
        let folds: HashSet<MaskKey> = streams
            .iter()
            .map(|&stream| MaskKey::new(seed, stream))
            .flat_map(|key| numbers.iter().map(move |&n| key.fold_in(n).unwrap()))
            .collect();
        prop_assert_eq!(folds.len(), streams.len() * numbers.len());
    }

    #[test]
    fn no_text_panics(text in "[ psedtramorigin=0-9x.e+]{0,40}") {
        let _ = text.parse::<DropoutCall>();
    }

    #[test]
    fn counters_advance_as_128_bits(counter in any::<u128>(), blocks in any::<u64>()) {
        let words = |c: u128| [c as u32, (c >> 32) as u32, (c >> 64) as u32, (c >> 96) as u32];
        prop_assert_eq!(
            advance_counter(words(counter), blocks),
            words(counter.wrapping_add(u128::from(blocks)))
        );
    }
}

#[test]
fn counters_carry_and_wrap() {
    const ONES: u32 = u32::MAX;
    for (counter, blocks, expected) in [
        ([1, 2, 3, 4], 0, [1, 2, 3, 4]),
        ([ONES, 5, 5, 5], 1, [0, 6, 5, 5]),
        ([ONES, ONES, 5, 5], 1, [0, 0, 6, 5]),
        ([ONES, ONES, ONES, 5], 1, [0, 0, 0, 6]),
        ([ONES, ONES, ONES, ONES], 2, [1, 0, 0, 0]),
        ([0, 1, 5, 5], u64::MAX, [ONES, 0, 6, 5]),
    ] {
        assert_eq!(advance_counter(counter, blocks), expected);
    }
}
