//! The CPU path, compared with memcpy and with loops that users write: on one thread in a cache, and
//! in memory on one thread and on all.

use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rayon::ThreadPoolBuilder;
use wgpu_dropout::half::{bf16, f16};
use wgpu_dropout::mask::mask_words;
use wgpu_dropout::{
    CpuError, Direction, DropoutCall, DropoutKind, DropoutRate, Element, MaskKey, MaskLayout,
    MaskSource, cpu,
};

/// Both tensors fit into most second-level caches, so computing takes the time, not the memory.
const LEN: usize = 1 << 16;
const LONG_LEN: usize = 1 << 24;

fn call() -> DropoutCall {
    let rate = DropoutRate::new(0.1).unwrap();
    DropoutCall::new(rate, MaskKey::layer_step(42, 3, 7))
}

fn one_thread(criterion: &mut Criterion) {
    let this_one = ThreadPoolBuilder::new().num_threads(1).use_current_thread();
    this_one.build_global().unwrap();
    let mut group = criterion.benchmark_group("cpu, 1 thread");
    group.throughput(Throughput::Elements(LEN as u64));
    element_type::<f32>(&mut group);
    element_type::<f16>(&mut group);
    element_type::<bf16>(&mut group);
    masks(&mut group);
    rivals(&mut group);
    group.finish();
}

/// Tensors that no cache holds, on one thread and on as many as the processor has.
fn in_memory(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cpu, 2^24");
    group.throughput(Throughput::Elements(LONG_LEN as u64));
    in_memory_type::<f32>(&mut group);
    in_memory_type::<f16>(&mut group);
    in_memory_type::<bf16>(&mut group);
    group.finish();
}

fn in_memory_type<T: Element>(group: &mut BenchmarkGroup<'_, WallTime>) {
    let (input, mut output) = tensors::<T>(LONG_LEN);
    let call = call();
    group.bench_function(format!("memcpy {}", T::TYPE), |bencher| {
        bencher.iter(|| black_box(&mut output).copy_from_slice(black_box(&input)));
    });
    for (threads, name) in [(1, "1 thread"), (0, "all threads")] {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.unwrap();
        group.bench_function(format!("forward {}, {name}", T::TYPE), |bencher| {
            bencher
                .iter(|| pool.install(|| forward(LONG_LEN, &input, black_box(&mut output), &call)));
        });
    }
}

/// Input and output tensors. Products of the inputs are never subnormal.
fn tensors<T: Element>(len: usize) -> (Vec<T>, Vec<T>) {
    let input = (0..len).map(|i| T::from_f32((i % 1000) as f32 - 499.5));
    (input.collect(), vec![T::from_f32(1.0); len])
}

fn element_type<T: Element>(group: &mut BenchmarkGroup<'_, WallTime>) {
    let (input, mut output) = tensors::<T>(LEN);
    let call = call();
    let name = |what| format!("{what} {}", T::TYPE);
    for (what, kind) in [
        ("forward", DropoutKind::Inverted),
        ("alpha", DropoutKind::Alpha),
        ("noise", DropoutKind::Gaussian),
    ] {
        let call = call.with_kind(kind);
        group.bench_function(name(what), |bencher| {
            bencher.iter(|| forward(LEN, &input, black_box(&mut output), &call));
        });
    }
    group.bench_function(name("memcpy"), |bencher| {
        bencher.iter(|| black_box(&mut output).copy_from_slice(black_box(&input)));
    });
    group.bench_function(name("in place"), |bencher| {
        let direction = Direction::Forward;
        bencher.iter(|| cpu::apply(direction, LEN, black_box(&mut output), &call));
    });
}

fn forward<'a, T: Element>(
    source: impl Into<MaskSource<'a>>,
    input: &Vec<T>,
    output: &mut Vec<T>,
    call: &DropoutCall,
) -> Result<(), CpuError> {
    cpu::apply(Direction::Forward, source, (input, output), call)
}

fn masks(group: &mut BenchmarkGroup<'_, WallTime>) {
    let (input, mut output) = tensors::<f32>(LEN);
    let call = call();
    let mut mask = vec![0; mask_words(LEN as u64) as usize];
    let square = MaskLayout::elementwise(&[256, LEN as u64 / 256]).unwrap();
    let layouts = [
        (
            "features f32",
            MaskLayout::feature_channels_first(&[4, 16, LEN as u64 / 64]),
        ),
        (
            "time-locked f32",
            MaskLayout::time_locked_batch_first(&[4, 16, LEN as u64 / 64]),
        ),
        ("transposed f32", square.permuted(&[1, 0])),
    ];
    group.bench_function("keep mask", |bencher| {
        bencher.iter(|| cpu::keep_mask(LEN, black_box(&mut mask), &call));
    });
    group.bench_function("packed f32", |bencher| {
        let packed = MaskSource::Packed {
            mask: &mask,
            len: LEN as u64,
        };
        bencher.iter(|| forward(packed, &input, black_box(&mut output), &call));
    });
    for (name, layout) in layouts {
        let layout = layout.unwrap();
        group.bench_function(name, |bencher| {
            bencher.iter(|| forward(&layout, &input, black_box(&mut output), &call));
        });
    }
}

fn rivals(group: &mut BenchmarkGroup<'_, WallTime>) {
    let (input, mut output) = tensors::<f32>(LEN);
    let (rate, keep_scale) = (call().rate, call().keep_scale());
    group.bench_function("rand loop", |bencher| {
        bencher.iter(|| {
            let mut rng = SmallRng::seed_from_u64(42);
            for (y, x) in black_box(&mut output).iter_mut().zip(&input) {
                let drop = rng.random_bool(rate.p());
                *y = if drop { 0.0 } else { x * keep_scale };
            }
        });
    });
    // The work of `(rng.random(n, dtype=float32) >= p) * x * scale`, without its allocations.
    let mut uniforms = vec![0.0_f32; LEN];
    let mut keep = vec![false; LEN];
    group.bench_function("numpy style", |bencher| {
        bencher.iter(|| {
            let mut rng = SmallRng::seed_from_u64(42);
            uniforms.fill_with(|| rng.random());
            for (keep, uniform) in keep.iter_mut().zip(&uniforms) {
                *keep = f64::from(*uniform) >= rate.p();
            }
            let output = black_box(&mut output);
            for ((y, x), keep) in output.iter_mut().zip(&input).zip(&keep) {
                *y = x * f32::from(u8::from(*keep));
            }
            for y in output {
                *y *= keep_scale;
            }
        });
    });
}

criterion_group!(benches, one_thread, in_memory);
criterion_main!(benches);
