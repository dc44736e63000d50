//! The CPU path on one thread, beside memcpy and what a user would write with rand.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rayon::ThreadPoolBuilder;
use wgpu_dropout::mask::mask_words;
use wgpu_dropout::{DropoutCall, DropoutRate, MaskKey, cpu};

/// Two tensors that most second-level caches hold: what is computed counts, not the memory.
const LEN: usize = 1 << 16;

fn one_thread(criterion: &mut Criterion) {
    let this_one = ThreadPoolBuilder::new().num_threads(1).use_current_thread();
    this_one.build_global().unwrap();
    let rate = DropoutRate::new(0.1).unwrap();
    let call = DropoutCall::new(rate, MaskKey::layer_step(42, 3, 7));
    let input = vec![1.0; LEN];
    let mut output = vec![0.0; LEN];
    let mut mask = vec![0; mask_words(LEN as u64) as usize];

    let mut group = criterion.benchmark_group("cpu, 1 thread");
    group.throughput(Throughput::Elements(LEN as u64));
    group.bench_function("forward", |bencher| {
        bencher.iter(|| cpu::forward(&input, black_box(&mut output), &call));
    });
    group.bench_function("in place", |bencher| {
        bencher.iter(|| cpu::forward_in_place(black_box(&mut output), &call));
    });
    group.bench_function("keep mask", |bencher| {
        bencher.iter(|| cpu::keep_mask(black_box(&mut mask), LEN as u64, &call));
    });
    group.bench_function("memcpy", |bencher| {
        bencher.iter(|| black_box(&mut output).copy_from_slice(black_box(&input)));
    });
    group.bench_function("rand loop", |bencher| {
        bencher.iter(|| {
            let mut rng = SmallRng::seed_from_u64(42);
            for (y, x) in black_box(&mut output).iter_mut().zip(&input) {
                let drop = rng.random_bool(rate.p());
                *y = if drop { 0.0 } else { x * rate.keep_scale() };
            }
        });
    });
    group.finish();
}

criterion_group!(benches, one_thread);
criterion_main!(benches);
