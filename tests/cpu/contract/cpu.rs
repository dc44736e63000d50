//! The CPU path gives the reference's dropout, also for subnormals.

use std::env;
use std::process::Command;
use std::thread;

use proptest::prelude::*;
use wgpu_dropout::cpu::{apply, keep_mask, philox_blocks};
use wgpu_dropout::mask::mask_words;
use wgpu_dropout::{
    CpuError, DropoutCall, DropoutKind, DropoutRate, IndexOverflow, MaskKey, MaskLayout,
    SourceError,
};

use super::ways::{CANARY, both_ways, mask_length, mismatch, refuses};
use crate::common::compare;
use crate::common::inputs::{
    LENGTHS, RATES, SPECIALS, call, check_dropout, check_mask, linear_vectors, origins, values,
};
use crate::common::kinds::Direction;
use crate::common::{reference, vectors};

/// More elements than one task of the thread pool takes.
const LONG: u64 = 100_003;

/// Compares both directions, with an output and in place, with the reference.
fn check(call: &DropoutCall, x: &[f32]) -> Result<(), String> {
    for &direction in Direction::ALL {
        for got in both_ways(direction, x.len(), x, call)? {
            check_dropout(call, x, &got)?;
        }
    }
    Ok(())
}

fn packed(call: &DropoutCall, len: u64) -> Result<Vec<u32>, String> {
    let mut mask = vec![0x5555_5555; mask_words(len) as usize];
    keep_mask(len, &mut mask, call).map_err(|error| error.to_string())?;
    Ok(mask)
}

fn check_packed(call: &DropoutCall, len: u64) -> Result<(), String> {
    check_mask(call, len, &packed(call, len)?)
}

#[test]
fn philox_vectors() {
    vectors::check_philox(|rounds, counter, key| {
        let mut block = [[0; 4]];
        philox_blocks(&mut block, counter, key, rounds).unwrap();
        block[0]
    })
    .unwrap();
}

#[test]
fn philox_blocks_of_every_length_and_carry() {
    const ONES: u32 = u32::MAX;
    for counter in [
        [1, 2, 3, 4],
        [ONES - 70, 5, 5, 5],
        [ONES - 70, ONES, 5, 5],
        [ONES - 70, ONES, ONES, 5],
        [ONES - 70, ONES, ONES, ONES],
    ] {
        for len in [0, 1, 2, 63, 64, 65, 1000, 4097] {
            for rounds in [7, 10] {
                let mut blocks = vec![[0; 4]; len as usize];
                philox_blocks(&mut blocks, counter, [8, 9], rounds).unwrap();
                assert!(blocks == reference::philox_blocks(rounds, counter, [8, 9], len));
            }
        }
    }
}

#[test]
fn linear_mask_vectors() {
    for (vector, call) in linear_vectors() {
        let len = vector.shape[0];
        compare::packed_masks(&vector.mask, &packed(&call, len).unwrap()).unwrap();
        check(&call, &values(len)).unwrap();
    }
}

#[test]
fn lengths_and_origins() {
    for len in LENGTHS.into_iter().chain([511, 512, 513, LONG]) {
        for origin in origins(len) {
            let call = call(0.3, origin);
            check(&call, &values(len)).unwrap();
            check_packed(&call, len).unwrap();
        }
    }
}

#[test]
fn rates() {
    for p in RATES {
        for origin in [0, 5] {
            check(&call(p, origin), &values(LONG)).unwrap();
            check_packed(&call(p, origin), LONG).unwrap();
        }
    }
}

/// The decision changes exactly at u(i) [M8], which needs both draws, and at its upper half, where
/// the first draw decides alone [M9].
#[test]
fn elements_turn_at_their_uniform() {
    let mut mask_of_two = [0];
    for element in 0..200 {
        let call = |threshold| call(threshold / 4_294_967_296.0, 0);
        let key = call(0.0).key;
        let u = f64::from(reference::uniform(key.seed, key.stream, element));
        let upper = (u / 65_536.0).floor() * 65_536.0;
        for (threshold, kept) in [(u, 1), (u + 1.0, 0), (upper, 1), (upper + 65_536.0, 0)] {
            let mask = packed(&call(threshold), 200).unwrap();
            let bit = mask[element as usize / 32] >> (element % 32) & 1;
            assert_eq!(bit, kept, "element {element}, threshold {threshold}");
            check(&call(threshold), &values(200)).unwrap();
            for stride in [0, 1, 3] {
                let layout = MaskLayout::strided(&[2], &[stride]).unwrap();
                let layout = layout.offset(element).unwrap();
                keep_mask(&layout, &mut mask_of_two, &call(threshold)).unwrap();
                assert_eq!(
                    mask_of_two[0] & 1,
                    kept,
                    "element {element}, stride {stride}"
                );
            }
        }
    }
}

/// Runs in processes of their own, since a process can start the global pool only once.
#[cfg(all(unix, target_pointer_width = "64"))]
#[test]
fn without_threads_the_bits_are_the_same() {
    const CHILD: &str = "WGPU_DROPOUT_CHILD";
    let Ok(first) = env::var(CHILD) else {
        for first in ["the library", "the program"] {
            let mut child = Command::new(env::current_exe().unwrap());
            child.args([
                "--exact",
                "contract::cpu::without_threads_the_bits_are_the_same",
            ]);
            // A thread's stack of 2^47 bytes is all that a process can address: no thread starts.
            child.env("RUST_MIN_STACK", (1_u64 << 47).to_string());
            let output = child.env(CHILD, first).output().unwrap();
            let stdout = String::from_utf8_lossy(&output.stdout);
            assert!(
                output.status.success() && stdout.contains("1 passed"),
                "{output:?}"
            );
        }
        return;
    };
    thread::Builder::new().spawn(|| ()).unwrap_err();
    if first == "the program" {
        rayon::ThreadPoolBuilder::new().build_global().unwrap_err();
    }
    for p in RATES {
        check(&call(p, 5), &values(LONG)).unwrap();
        check_packed(&call(p, 5), LONG).unwrap();
    }
    let (mut blocks, mut noise) = (vec![[0; 4]; 10_000], vec![0.0; LONG as usize]);
    philox_blocks(&mut blocks, [1; 4], [8, 9], 10).unwrap();
    assert!(blocks == reference::philox_blocks(10, [1; 4], [8, 9], 10_000));
    let make_noise = |noise: &mut Vec<f32>| {
        let call = call(0.3, 5).with_kind(DropoutKind::Gaussian);
        apply(Direction::Forward, LONG, (&values(LONG), noise), &call)
    };
    make_noise(&mut noise).unwrap();
    let mut in_pool = noise.clone();
    rayon::ThreadPoolBuilder::new()
        .use_current_thread()
        .num_threads(1)
        .build()
        .unwrap()
        .install(|| make_noise(&mut in_pool))
        .unwrap();
    assert_eq!(noise, in_pool);
}

#[test]
fn specials_and_subnormals() {
    let mut x = SPECIALS.repeat(100);
    x.extend((0..1000_u32).map(|i| f32::from_bits(i.wrapping_mul(0x9E37_79B9) & 0x807F_FFFF)));
    for p in RATES {
        check(&call(p, 0), &x).unwrap();
        check(&call(p, 3), &x).unwrap();
    }
}

#[test]
fn lengths_that_differ_write_nothing() {
    for (input, output) in [(3, 4), (4, 3), (0, 1), (1, 0)] {
        let x = values(input);
        let mut y = vec![CANARY; output];
        let expected = Err(mismatch(input as usize, output));
        for &direction in Direction::ALL {
            // The source may have either length.
            for len in [input, output as u64] {
                let got = apply(direction, len, (&x, &mut y), &call(0.5, 0));
                assert_eq!(got, expected);
            }
        }
        assert_eq!(y, vec![CANARY; output]);
    }
    let error = mismatch(3, 4);
    assert_eq!(
        error.to_string(),
        "the input has 3 elements, the output 4: make them equal"
    );
}

#[test]
fn slices_of_another_length_than_the_source_are_not_written() {
    for (elements, required) in [(3, 4), (4, 3), (0, 1), (1, 0), (3, u64::MAX)] {
        let error = CpuError::Source(SourceError::Length { elements, required });
        assert_eq!(
            error.to_string(),
            format!(
                "the slices have {elements} elements, the length or layout has {required}: \
                 make them equal"
            )
        );
        refuses(required, elements, &call(0.5, 0), &error);
    }
}

#[test]
fn a_mask_of_another_length_is_not_written() {
    for (len, words) in [(0, 1), (1, 0), (32, 2), (33, 1), (33, 3)] {
        let mut mask = vec![7; words];
        let required = mask_words(len);
        let error = CpuError::Source(mask_length(words, required, len));
        assert_eq!(
            error.to_string(),
            format!(
                "the mask has {words} words, {required} needed for {len} elements: make them equal"
            )
        );
        assert_eq!(keep_mask(len, &mut mask, &call(0.5, 0)), Err(error));
        assert_eq!(mask, vec![7; words]);
    }
}

#[test]
fn indices_past_the_last_write_nothing() {
    for p in RATES {
        let origin = u64::MAX - 98;
        let (len, max) = (100, u64::MAX);
        let error = CpuError::Call(IndexOverflow::Call { origin, len, max }.into());
        let (call, mut mask) = (call(p, origin), vec![7; 4]);
        refuses(len, 100, &call, &error);
        assert_eq!(keep_mask(len, &mut mask, &call), Err(error));
        assert_eq!(mask, vec![7; 4]);
        // One element fewer ends at the last index.
        check(&call, &values(99)).unwrap();
        check_packed(&call, 99).unwrap();
    }
    check(&call(0.5, u64::MAX), &[1.0]).unwrap();
    check(&call(0.5, u64::MAX), &[]).unwrap();
}

#[test]
fn other_rounds_write_nothing() {
    for rounds in [0, 1, 6, 8, 9, 11, u32::MAX] {
        let mut blocks = [[7; 4]; 3];
        let error = CpuError::Rounds { rounds };
        assert_eq!(
            error.to_string(),
            format!("Philox with {rounds} rounds is not offered: ask for 7 or 10")
        );
        assert_eq!(
            philox_blocks(&mut blocks, [0; 4], [0; 2], rounds),
            Err(error)
        );
        assert_eq!(blocks, [[7; 4]; 3]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_call(
        p in prop_oneof![0.0..=1.0, (0_u64..=1 << 32).prop_map(|d| d as f64 / 4_294_967_296.0)],
        seed in any::<u64>(),
        stream in any::<u64>(),
        origin in any::<u64>(),
        len in prop_oneof![4 => 0_u64..3000, 1 => 30_000_u64..70_000],
        shift in 0_usize..4,
    ) {
        let rate = DropoutRate::new(p).unwrap();
        let call = DropoutCall::new(rate, MaskKey::new(seed, stream));
        let call = call.with_origin(origin.min(u64::MAX - len));
        let x = values(len + shift as u64);
        // Slices that begin at any element, aligned or not.
        check(&call, &x[shift..]).map_err(TestCaseError::fail)?;
        check_packed(&call, len).map_err(TestCaseError::fail)?;
    }
}
