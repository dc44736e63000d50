//! Wide products by u64 or by halves, and parameters as immediates or as uniforms, give the same
//! bits.

use wgpu::Features;

use crate::adapters::Variant;
use crate::case::Case;
use crate::common::inputs::{RATES, call, origins};
use crate::common::vectors;
use crate::gpu::Gpu;
use crate::philox;
use crate::run::{self, Blocks, Item, MODES};

const INT64: Features = Features::SHADER_INT64;
const IMMEDIATES: Features = Features::IMMEDIATES;
const NONE: Features = Features::empty();

pub const CASES: &[Case] = &[
    Case::new("u64_immediates", |gpu| avoiding(gpu, NONE)).needing(INT64.union(IMMEDIATES)),
    Case::new("u64_uniform", |gpu| avoiding(gpu, IMMEDIATES)).needing(INT64),
    Case::new("halves_immediates", |gpu| avoiding(gpu, INT64)).needing(IMMEDIATES),
    Case::new("halves_uniform", |gpu| {
        avoiding(gpu, INT64.union(IMMEDIATES))
    }),
    Case::new("no_feature_and_downlevel_limits", all).on(Variant::Bare),
];

fn avoiding(gpu: &Gpu, avoid: Features) -> Result<(), String> {
    let (device, queue) = (gpu.device.clone(), gpu.queue.clone());
    all(&Gpu::new(gpu.adapter.clone(), device, queue, avoid)?)
}

fn all(gpu: &Gpu) -> Result<(), String> {
    let calls = |len: u64| {
        let by_origin = origins(len).into_iter().map(|origin| call(0.3, origin));
        by_origin.chain(RATES.map(|p| call(p, 5)))
    };
    for mode in MODES {
        let items: Vec<Item> = [1, 8, 257, 1024]
            .into_iter()
            .flat_map(|len| calls(len).map(move |call| Item::new(call, len)))
            .collect();
        run::check_dropout(gpu, mode, &items)?;
    }
    let masks: Vec<_> = calls(1000).map(|call| (call, 1000)).collect();
    run::check_masks(gpu, &masks)?;
    let blocks: Vec<Blocks> = vectors::philox()
        .iter()
        .map(|vector| (vector.counter, vector.key, 5))
        .collect();
    philox::check(gpu, &blocks)
}
