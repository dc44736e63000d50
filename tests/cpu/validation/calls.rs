//! What recording refuses, and when it records nothing.

use wgpu_dropout::{Dropout, DropoutBinding, DropoutCall, IndexOverflow};

use super::device::{Noop, range};
use crate::common::inputs::call;

type Encode = fn(
    &Dropout,
    &mut wgpu::ComputePass<'_>,
    &DropoutBinding,
    &DropoutCall,
) -> Result<(), IndexOverflow>;

const BOTH: [Encode; 2] = [Dropout::encode_forward, Dropout::encode_backward];

/// What the method returns, and whether it left anything in its pass.
#[track_caller]
fn run(
    noop: &Noop,
    encode: Encode,
    binding: &DropoutBinding,
    call: DropoutCall,
) -> (Result<(), IndexOverflow>, bool) {
    let mut result = Ok(());
    let recorded = noop.records(|pass| result = encode(&noop.dropout, pass, binding, &call));
    (result, recorded)
}

#[test]
fn the_last_index_is_taken_and_the_next_refused() {
    let noop = Noop::downlevel();
    let (input, output) = (noop.buffer(1024), noop.buffer(1024));
    for len in [1, 7, 8, 9, 256] {
        let separate = noop
            .dropout
            .bind(range(&input, 0, 0), range(&output, 0, 0), len)
            .unwrap();
        let in_place = noop
            .dropout
            .bind_in_place(range(&output, 0, 0), len)
            .unwrap();
        let mask = noop.keep_mask.bind(range(&output, 0, 0), len).unwrap();
        let last = u64::MAX - (len - 1);
        for p in [0.0, 0.5, 1.0] {
            let past_last = (last..=u64::MAX).skip(1);
            for origin in past_last {
                let bad = call(p, origin);
                let overflow = Err(IndexOverflow { origin, len });
                for encode in BOTH {
                    assert_eq!(run(&noop, encode, &separate, bad), (overflow, false));
                    assert_eq!(run(&noop, encode, &in_place, bad), (overflow, false));
                }
                let recorded = noop.records(|pass| {
                    assert_eq!(noop.keep_mask.encode(pass, &mask, &bad), overflow);
                });
                assert!(!recorded);
            }
            let good = call(p, last);
            for encode in BOTH {
                assert_eq!(run(&noop, encode, &separate, good), (Ok(()), true));
                assert_eq!(run(&noop, encode, &in_place, good), (Ok(()), p > 0.0));
            }
            assert!(noop.records(|pass| noop.keep_mask.encode(pass, &mask, &good).unwrap()));
        }
    }
    let overflow = IndexOverflow {
        origin: u64::MAX,
        len: 2,
    };
    assert_eq!(
        overflow.to_string(),
        "2 mask indices from 18446744073709551615 on pass the largest one, 2^64 - 1: \
         lower the origin, the length, or a layout's strides and offset"
    );
}

#[test]
fn nothing_has_no_index_to_overflow() {
    let noop = Noop::downlevel();
    let buffer = noop.buffer(1024);
    let whole = || range(&buffer, 0, 0);
    let call = call(0.5, u64::MAX);
    let pooled = noop.dropout.bind(whole(), whole(), 0).unwrap();
    let in_place = noop.dropout.bind_in_place(whole(), 0).unwrap();
    for encode in BOTH {
        assert_eq!(run(&noop, encode, &pooled, call), (Ok(()), false));
        assert_eq!(run(&noop, encode, &in_place, call), (Ok(()), false));
    }
    let mask = noop.keep_mask.bind(whole(), 0).unwrap();
    assert!(!noop.records(|pass| noop.keep_mask.encode(pass, &mask, &call).unwrap()));
    let blocks = noop.philox.bind(whole(), 0).unwrap();
    assert!(!noop.records(|pass| noop.philox.encode(pass, &blocks, [0; 4], [0; 2])));
}

/// A rate of 0 is no work in place and a copy elsewhere; behaviour follows the threshold [M8].
#[test]
fn inference_in_place_records_nothing() {
    let noop = Noop::downlevel();
    let buffer = noop.buffer(2048);
    let in_place = noop
        .dropout
        .bind_in_place(range(&buffer, 0, 0), 100)
        .unwrap();
    let pooled = noop
        .dropout
        .bind(range(&buffer, 0, 0), range(&buffer, 512, 0), 100)
        .unwrap();
    let half_ulp = 0.5 / 4_294_967_296.0;
    for encode in BOTH {
        for p in [0.0, -0.0, half_ulp] {
            assert_eq!(run(&noop, encode, &in_place, call(p, 0)), (Ok(()), false));
            assert_eq!(run(&noop, encode, &pooled, call(p, 0)), (Ok(()), true));
        }
        let call = call(half_ulp.next_up(), 0);
        assert_eq!(run(&noop, encode, &in_place, call), (Ok(()), true));
    }
}
