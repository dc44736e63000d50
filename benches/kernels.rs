//! Forward and in place on the GPU, and each family of strided layouts, compared with a copy
//! kernel. Times run from submission to completion.
//!
//! Two sizes are enough to compare a change with the code before it. Use `wgpu-dropout bench` to
//! learn what an adapter can do beyond its caches.

mod common;

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use wgpu_dropout::{
    Dropout, DropoutBinding, DropoutCall, DropoutKind, DropoutRate, Elements, KernelDescriptor,
    MaskLayout, wgpu,
};

use common::{Gpu, call};

const SIZES: [u64; 2] = [1 << 16, 1 << 22];

/// The most dispatches to record in one pass.
const MAX_DISPATCHES: u64 = 1000;

fn kernels(criterion: &mut Criterion) {
    let Some(gpu) = Gpu::open() else { return };
    let dropout = Dropout::new(&gpu.device, &KernelDescriptor::default()).unwrap();
    let half = call(DropoutRate::new(0.5).unwrap());
    let noise = half.with_kind(DropoutKind::Gaussian);
    let copy = call(DropoutRate::ZERO);
    let mut group = criterion.benchmark_group(format!("kernels, {}", gpu.label));
    for len in SIZES {
        group.throughput(Throughput::Elements(len));
        let [input, output] = [(); 2].map(|()| gpu.storage_buffer(len));
        let [input, output] = [&input, &output].map(|buffer| buffer.as_entire_buffer_binding());
        let separate = dropout.bind(input, output.clone(), len).unwrap();
        let in_place = dropout.bind_in_place(output, len).unwrap();
        for (name, binding, call) in [
            ("forward", &separate, &half),
            ("noise", &separate, &noise),
            ("in place", &in_place, &half),
            ("copy", &separate, &copy),
        ] {
            group.bench_function(BenchmarkId::new(name, len), |bencher| {
                bencher.iter_custom(|dispatches| time(&gpu, &dropout, binding, call, dispatches));
            });
        }
    }
    group.finish();
}

/// The kernel families of strided layouts and a packed mask, compared with the linear kernel and
/// the copy.
fn families(criterion: &mut Criterion) {
    const LEN: u64 = SIZES[1];
    let Some(gpu) = Gpu::open() else { return };
    let dropout = Dropout::new(&gpu.device, &KernelDescriptor::default()).unwrap();
    let [input, output] = [(); 2].map(|()| gpu.storage_buffer(LEN));
    let mask = gpu.storage_buffer(LEN / 32);
    let call = |p| call(DropoutRate::new(p).unwrap());
    let rows = |columns, stride| MaskLayout::strided(&[LEN / columns, columns], &[stride, 1]);
    let runs = |columns| MaskLayout::drop_path(&[LEN / columns, columns]);
    let linear = MaskLayout::linear(LEN);
    let transposed = MaskLayout::elementwise(&[2048, LEN / 2048]).unwrap();
    let packed = Elements::packed(mask.as_entire_buffer_binding(), LEN);
    let mut group = criterion.benchmark_group(format!("families, {}", gpu.label));
    group.throughput(Throughput::Elements(LEN));
    for (name, elements, call) in [
        ("copy", (&linear).into(), call(0.0)),
        ("linear", (&linear).into(), call(0.1)),
        (
            "linear, unaligned",
            (&linear).into(),
            call(0.1).with_origin(3),
        ),
        ("rows of 64", (&rows(64, 128).unwrap()).into(), call(0.1)),
        (
            "rows of 1024",
            (&rows(1024, 2048).unwrap()).into(),
            call(0.1),
        ),
        (
            "rows of 64, unaligned",
            (&rows(64, 67).unwrap()).into(),
            call(0.1),
        ),
        (
            "rows of 1024, unaligned",
            (&rows(1024, 1027).unwrap()).into(),
            call(0.1),
        ),
        ("runs of 64", (&runs(64).unwrap()).into(), call(0.1)),
        ("runs of 1024", (&runs(1024).unwrap()).into(), call(0.1)),
        (
            "drop path, p = 0.01",
            (&runs(65_536).unwrap()).into(),
            call(0.01),
        ),
        (
            "drop path, p = 0.5",
            (&runs(65_536).unwrap()).into(),
            call(0.5),
        ),
        (
            "drop path, p = 0.99",
            (&runs(65_536).unwrap()).into(),
            call(0.99),
        ),
        (
            "transposed",
            (&transposed.permuted(&[1, 0]).unwrap()).into(),
            call(0.1),
        ),
        ("packed mask", packed, call(0.1)),
    ] {
        let [input, output] = [&input, &output].map(|buffer| buffer.as_entire_buffer_binding());
        let binding = dropout.bind(input, output, elements).unwrap();
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|dispatches| time(&gpu, &dropout, &binding, &call, dispatches));
        });
    }
    group.finish();
}

fn time(
    gpu: &Gpu,
    dropout: &Dropout,
    binding: &DropoutBinding,
    call: &DropoutCall,
    mut dispatches: u64,
) -> Duration {
    let mut total = Duration::ZERO;
    while dispatches > 0 {
        let count = dispatches.min(MAX_DISPATCHES);
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        for _ in 0..count {
            dropout.encode_forward(&mut pass, binding, call).unwrap();
        }
        drop(pass);
        let commands = encoder.finish();
        let start = Instant::now();
        gpu.queue.submit([commands]);
        gpu.device
            .poll(wgpu::PollType::wait_indefinitely())
            .unwrap();
        total += start.elapsed();
        dispatches -= count;
    }
    total
}

criterion_group!(benches, kernels, families);
criterion_main!(benches);
