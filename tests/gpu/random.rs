//! Random lengths, offsets, origins, rates and layouts, from a fixed seed.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use wgpu_dropout::{DropoutCall, DropoutRate, MaskKey};

use crate::case::Case;
use crate::gpu::Gpu;
use crate::run::{self, Item, MODES, Mode};

pub const CASES: &[Case] = &[Case::new("dropout_and_masks", dropout_and_masks)];

/// Tensors of one pass. Their number and lengths change the offsets at which they are bound.
fn items() -> impl Strategy<Value = Vec<(DropoutCall, u64)>> {
    let p = prop_oneof![
        4 => 0.0..=1.0,
        1 => (0_u64..=1 << 32).prop_map(|threshold| threshold as f64 / 4_294_967_296.0),
        1 => (1_u64..=1 << 16).prop_map(|threshold| (threshold << 16) as f64 / 4_294_967_296.0),
        1 => Just(0.0),
        1 => Just(1.0),
    ];
    let len = prop_oneof![
        0_u64..300,
        0_u64..5000,
        (0_u64..600).prop_map(|blocks| 8 * blocks)
    ];
    let origin = prop_oneof![
        any::<u64>(),
        0_u64..100,
        (0_u64..5000).prop_map(|below| (1 << 35) - below),
        Just(u64::MAX),
    ];
    let item =
        (p, any::<u64>(), any::<u64>(), len, origin).prop_map(|(p, seed, stream, len, origin)| {
            let rate = DropoutRate::new(p).expect("a probability");
            let call = DropoutCall::new(rate, MaskKey::new(seed, stream));
            // The last origin that leaves room for `len` indices.
            (call.with_origin(origin.min(u64::MAX - len)), len)
        });
    prop::collection::vec(item, 1..6)
}

fn mode() -> impl Strategy<Value = Mode> {
    prop::sample::select(&MODES[..])
}

fn dropout_and_masks(gpu: &Gpu) -> Result<(), String> {
    let config = Config {
        cases: 64,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(0x5EED),
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    runner
        .run(&(mode(), items()), |(mode, items)| {
            let tensors: Vec<Item> = items
                .iter()
                .map(|&(call, len)| Item::new(call, len))
                .collect();
            run::check_dropout(gpu, mode, &tensors)
                .and_then(|()| run::check_masks(gpu, &items))
                .map_err(TestCaseError::fail)
        })
        .map_err(|failure| failure.to_string())
}
