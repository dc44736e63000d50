//! Negative controls: each comparison of this tier fails on wrong results of a GPU.

use wgpu_dropout::{DropoutCall, MaskKey};

use crate::case::{Case, must_differ, text};
use crate::common::inputs::{KEY, call, check_dropout, check_mask};
use crate::gpu::Gpu;
use crate::image::{Image, binding};
use crate::philox;
use crate::run::{self, Item, MODES};

pub const CASES: &[Case] = &[
    Case::new("another_call_differs", another_call),
    Case::new("another_mask_differs", another_mask),
    Case::new("bytes_outside_are_seen", bytes_outside),
    Case::new("other_blocks_differ", other_blocks),
];

const LEN: u64 = 2000;

/// Calls that differ from this call in one thing, with a name for the difference.
fn neighbours(call: &DropoutCall) -> [(&'static str, DropoutCall); 8] {
    let key = |seed, stream| DropoutCall {
        key: MaskKey::new(seed, stream),
        ..*call
    };
    let rate = |p| DropoutCall {
        rate: crate::common::inputs::call(p, 0).rate,
        ..*call
    };
    [
        ("another seed", key(KEY.seed ^ 1, KEY.stream)),
        (
            "another seed's high word",
            key(KEY.seed ^ 1 << 32, KEY.stream),
        ),
        ("another stream", key(KEY.seed, KEY.stream ^ 1)),
        (
            "another stream's high word",
            key(KEY.seed, KEY.stream ^ 1 << 32),
        ),
        ("the next origin", call.with_origin(call.origin + 1)),
        ("the next block", call.with_origin(call.origin + 8)),
        ("a lower rate", rate(0.49)),
        ("the rate of keeping", rate(0.9)),
    ]
}

fn another_call(gpu: &Gpu) -> Result<(), String> {
    let right = call(0.1, 40);
    for mode in MODES {
        let item = Item::new(right, LEN);
        let got = &run::dropout(gpu, mode, std::slice::from_ref(&item))?[0];
        check_dropout(&right, &item.x, got)?;
        for (what, wrong) in neighbours(&right) {
            must_differ(what, check_dropout(&wrong, &item.x, got))?;
        }
    }
    Ok(())
}

fn another_mask(gpu: &Gpu) -> Result<(), String> {
    let right = call(0.1, 40);
    let got = &run::masks(gpu, &[(right, LEN)])?[0];
    check_mask(&right, LEN, got)?;
    for (what, wrong) in neighbours(&right) {
        must_differ(what, check_mask(&wrong, LEN, got))?;
    }
    let swapped: Vec<u32> = got.iter().map(|word| !word).collect();
    must_differ("a swapped mask", check_mask(&right, LEN, &swapped))
}

/// A kernel that is told one element too many writes past the tensor.
fn bytes_outside(gpu: &Gpu) -> Result<(), String> {
    for len in [1, 8, 100] {
        let mut image = Image::new(gpu);
        let place = image.place(&vec![0; len as usize]);
        let buffer = image.upload(gpu);
        let too_long = gpu
            .dropout
            .bind_in_place(binding(&buffer, &place, false), len + 1)
            .map_err(text)?;
        gpu.submit(|pass| MODES[0].encode(gpu, pass, &too_long, &call(0.5, 0)))?;
        let outside = image.check_outside(&gpu.download(&buffer)?, &[place]);
        must_differ("a canary overwritten", outside)?;
    }
    Ok(())
}

fn other_blocks(gpu: &Gpu) -> Result<(), String> {
    let (counter, key) = ([1, 2, 3, 4], [5, 6]);
    let got = &run::blocks(gpu, 10, &[(counter, key, 100)])?[0];
    philox::compare(10, (counter, key, 100), got)?;
    for (what, rounds, blocks) in [
        ("7 rounds", 7, (counter, key, 100)),
        ("the next counter", 10, ([2, 2, 3, 4], key, 100)),
        ("another counter word", 10, ([1, 2, 3, 5], key, 100)),
        ("another key", 10, (counter, [6, 5], 100)),
        ("another length", 10, (counter, key, 101)),
    ] {
        must_differ(what, philox::compare(rounds, blocks, got))?;
    }
    Ok(())
}
