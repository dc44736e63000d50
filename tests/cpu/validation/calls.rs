//! Refused recordings, and accepted calls that have nothing to record.

use wgpu_dropout::{
    CallError, Direction, Dropout, DropoutBinding, DropoutCall, DropoutKind, Elements,
    GaussianDropout, IndexOverflow, Operation,
};

use super::device::{Noop, range, whole};
use crate::common::inputs::{call, kind_call, past_last};

type Encode = fn(
    &Dropout,
    &mut wgpu::ComputePass<'_>,
    &DropoutBinding,
    &DropoutCall,
) -> Result<(), CallError>;

/// The two names of each direction.
const BOTH: [Encode; 4] = [
    Dropout::encode_forward,
    Dropout::encode_backward,
    |dropout, pass, binding, call| dropout.encode(pass, binding, call, Direction::Forward),
    |dropout, pass, binding, call| dropout.encode(pass, binding, call, Direction::Backward),
];

/// Runs `encode`. Returns its result, and true if it left a command in its pass.
#[track_caller]
fn run(
    noop: &Noop,
    encode: Encode,
    binding: &DropoutBinding,
    call: DropoutCall,
) -> (Result<(), CallError>, bool) {
    let mut result = Ok(());
    let recorded = noop.records(|pass| result = encode(&noop.dropout, pass, binding, &call));
    (result, recorded)
}

#[test]
fn the_last_index_is_taken_and_the_next_refused() {
    let noop = Noop::downlevel();
    let (input, output) = (noop.buffer(1024), noop.buffer(1024));
    for len in [1, 7, 8, 9, 256] {
        let separate = noop.bind(whole(&input), whole(&output), len).unwrap();
        let in_place = noop.bind_in_place(whole(&output), len).unwrap();
        let mask = noop.keep_mask.bind(whole(&output), len).unwrap();
        let last = u64::MAX - (len - 1);
        for p in [0.0, 0.5, 1.0] {
            let past_last = (last..=u64::MAX).skip(1);
            for origin in past_last {
                let bad = call(p, origin);
                let max = u64::MAX;
                let overflow = Err(IndexOverflow::Call { origin, len, max }.into());
                for encode in BOTH {
                    assert_eq!(run(&noop, encode, &separate, bad), (overflow, false));
                    assert_eq!(run(&noop, encode, &in_place, bad), (overflow, false));
                }
                let recorded = noop.records(|pass| {
                    assert_eq!(noop.keep_mask.encode(pass, &mask, &bad), overflow);
                });
                assert!(!recorded);
                assert_eq!(noop.dropout.compile(&separate, &bad), overflow);
                assert_eq!(noop.dropout.compile(&in_place, &bad), overflow);
            }
            let good = call(p, last);
            for encode in BOTH {
                assert_eq!(run(&noop, encode, &separate, good), (Ok(()), true));
                assert_eq!(run(&noop, encode, &in_place, good), (Ok(()), p > 0.0));
            }
            assert!(noop.records(|pass| noop.keep_mask.encode(pass, &mask, &good).unwrap()));
        }
    }
    let overflow = past_last(u64::MAX, 2, u64::MAX);
    let message = "2 mask indices from 18446744073709551615 on pass the largest one, 2^64 - 1: \
         lower the origin, the number of elements, or a layout's strides and offset";
    assert_eq!(overflow.to_string(), message);
    assert_eq!(CallError::from(overflow).to_string(), message);
}

/// Gaussian noise has half of the indices [M18].
#[test]
fn the_last_index_of_noise_is_taken_and_the_next_refused() {
    let noop = Noop::downlevel();
    let noise = GaussianDropout::new(&noop.device, &Default::default()).unwrap();
    let (input, output) = (noop.buffer(1024), noop.buffer(1024));
    let max = (1 << 63) - 1;
    for len in [1, 7, 8, 9, 256] {
        let (input, output) = (whole(&input), whole(&output));
        let binding = noop.bind(input.clone(), output, len).unwrap();
        let in_place = noop.bind_in_place(input, len).unwrap();
        for p in [0.0, 0.5] {
            let call = |origin| kind_call(p, origin, DropoutKind::Gaussian);
            let good = call(max - (len - 1));
            for origin in [good.origin + 1, 1 << 63, u64::MAX - (len - 1), u64::MAX] {
                let overflow = Err(IndexOverflow::Call { origin, len, max }.into());
                for encode in BOTH {
                    assert_eq!(
                        run(&noop, encode, &binding, call(origin)),
                        (overflow, false)
                    );
                    assert_eq!(
                        run(&noop, encode, &in_place, call(origin)),
                        (overflow, false)
                    );
                }
                assert!(!noop.records(|pass| {
                    assert_eq!(noise.encode(pass, &binding, &call(origin)), overflow);
                }));
            }
            for encode in BOTH {
                assert_eq!(run(&noop, encode, &binding, good), (Ok(()), true));
                assert_eq!(run(&noop, encode, &in_place, good), (Ok(()), p > 0.0));
            }
            assert!(noop.records(|pass| noise.encode(pass, &binding, &good).unwrap()));
        }
    }
}

#[test]
fn noise_without_a_finite_variance_is_refused() {
    let noop = Noop::downlevel();
    let noise = GaussianDropout::new(&noop.device, &Default::default()).unwrap();
    let buffer = noop.buffer(1024);
    let all = || whole(&buffer);
    let some = noop.bind_in_place(all(), 8).unwrap();
    let none = noop.bind_in_place(all(), 0).unwrap();
    let half_ulp = 0.5 / 4_294_967_296.0;
    for p in [1.0, 1.0 - half_ulp] {
        let call = kind_call(p, 0, DropoutKind::Gaussian);
        let error = CallError::Rate { rate: call.rate };
        for encode in BOTH {
            assert_eq!(run(&noop, encode, &some, call), (Err(error), false));
            assert_eq!(run(&noop, encode, &none, call), (Ok(()), false));
        }
        assert_eq!(noop.dropout.compile(&some, &call), Err(error));
        assert!(!noop.records(|pass| {
            assert_eq!(noise.encode(pass, &some, &call), Err(error));
        }));
    }
}

#[test]
fn kinds_that_do_not_go_with_an_operation_are_refused() {
    let noop = Noop::downlevel();
    let noise = GaussianDropout::new(&noop.device, &Default::default()).unwrap();
    let (data, mask) = (noop.buffer(1024), noop.buffer(1024));
    let packed = Elements::packed(whole(&mask), 64);
    let packed = noop.bind_in_place(whole(&data), packed).unwrap();
    let linear = noop.bind_in_place(whole(&data), 64).unwrap();
    let keep_mask = noop.keep_mask.bind(whole(&mask), 64).unwrap();
    for p in [0.0, 0.5, 1.0] {
        // The kind is checked first, so the origin's overflow is not the error.
        let call = kind_call(p, u64::MAX, DropoutKind::Gaussian);
        let error = |operation| CallError::Kind {
            kind: DropoutKind::Gaussian,
            operation,
        };
        let no_mask = error(Operation::PackedMask);
        for encode in BOTH {
            assert_eq!(run(&noop, encode, &packed, call), (Err(no_mask), false));
        }
        assert_eq!(noop.dropout.compile(&packed, &call), Err(no_mask));
        assert!(!noop.records(|pass| {
            let got = noop.keep_mask.encode(pass, &keep_mask, &call);
            assert_eq!(got, Err(error(Operation::KeepMask)));
        }));
        for kind in [DropoutKind::Classic, DropoutKind::Alpha] {
            let error = CallError::Kind {
                kind,
                operation: Operation::GaussianNoise,
            };
            assert!(!noop.records(|pass| {
                let got = noise.encode(pass, &linear, &call.with_kind(kind));
                assert_eq!(got, Err(error));
            }));
            assert_eq!(
                error.to_string(),
                format!(
                    "{kind} dropout does not go with Gaussian noise: use DropoutKind::Gaussian"
                )
            );
        }
        // `Inverted` is the default kind, and here it means noise.
        assert!(noop.records(|pass| {
            let call = kind_call(0.5, 0, DropoutKind::Inverted);
            noise.encode(pass, &linear, &call).unwrap();
        }));
    }
}

#[test]
fn nothing_has_no_index_to_overflow() {
    let noop = Noop::downlevel();
    let buffer = noop.buffer(1024);
    let all = || whole(&buffer);
    let call = call(0.5, u64::MAX);
    let pooled = noop.bind(all(), all(), 0).unwrap();
    let in_place = noop.bind_in_place(all(), 0).unwrap();
    for encode in BOTH {
        assert_eq!(run(&noop, encode, &pooled, call), (Ok(()), false));
        assert_eq!(run(&noop, encode, &in_place, call), (Ok(()), false));
    }
    let mask = noop.keep_mask.bind(all(), 0).unwrap();
    assert!(!noop.records(|pass| noop.keep_mask.encode(pass, &mask, &call).unwrap()));
    let blocks = noop.philox.bind(all(), 0).unwrap();
    assert!(!noop.records(|pass| noop.philox.encode(pass, &blocks, [0; 4], [0; 2])));
}

/// A rate of 0 does nothing in place and copies otherwise. The threshold decides, not p [M8].
#[test]
fn inference_in_place_records_nothing() {
    let noop = Noop::downlevel();
    let buffer = noop.buffer(2048);
    let in_place = noop.bind_in_place(whole(&buffer), 100).unwrap();
    let pooled = noop
        .bind(whole(&buffer), range(&buffer, 512, 0), 100)
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
