//! Forward and in place on the GPU, beside the copy kernel: from submission to completion.
//!
//! For comparing a change with what was before it, at two sizes; what a user may expect of an
//! adapter, beyond its caches, measures `wgpu-dropout bench`.

mod common;

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use wgpu_dropout::{Dropout, DropoutBinding, DropoutCall, DropoutRate, KernelDescriptor, wgpu};

use common::{Gpu, call};

const SIZES: [u64; 2] = [1 << 16, 1 << 22];

/// Recorded in one pass at most.
const MAX_DISPATCHES: u64 = 1000;

fn kernels(criterion: &mut Criterion) {
    let Some(gpu) = Gpu::open() else { return };
    let dropout = Dropout::new(&gpu.device, &KernelDescriptor::default()).unwrap();
    let half = call(DropoutRate::new(0.5).unwrap());
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

criterion_group!(benches, kernels);
criterion_main!(benches);
