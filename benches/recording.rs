//! CPU time to record a thousand dispatches, compared with the same wgpu calls by hand.

mod common;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use wgpu::{ComputePass, Features};
use wgpu_dropout::{Dropout, DropoutRate, KernelDescriptor, wgpu};

use common::{Gpu, call};

const DISPATCHES: u64 = 1000;
/// The length does not matter, since nothing is submitted.
const ELEMENTS: u64 = 4096;

/// A kernel with two buffers and the same parameters as the library's.
const BY_HAND: &str = concat!(
    include_str!("../shaders/mask/mask.wgsl"),
    include_str!("../shaders/params/mask.wgsl"),
    "
var<immediate> params: Params;
@group(0) @binding(0) var<storage, read> input: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> output: array<vec4f>;

@compute @workgroup_size(256)
fn by_hand(@builtin(global_invocation_id) id: vec3u) {
    output[id.x] = input[id.x] * params.mask.keep_scale;
}"
);

fn recording(criterion: &mut Criterion) {
    let Some(gpu) = Gpu::open() else { return };
    if gpu.device.features().contains(Features::IMMEDIATES) {
        by_hand(criterion, &gpu);
        library(criterion, &gpu, "immediates", Features::empty());
    }
    library(criterion, &gpu, "uniforms", Features::IMMEDIATES);
}

fn library(criterion: &mut Criterion, gpu: &Gpu, name: &str, avoid: Features) {
    let descriptor = KernelDescriptor {
        avoid,
        ..Default::default()
    };
    let dropout = Dropout::new(&gpu.device, &descriptor).unwrap();
    let [input, output] = [(); 2].map(|()| gpu.storage_buffer(ELEMENTS));
    let binding = dropout
        .bind(
            input.as_entire_buffer_binding(),
            output.as_entire_buffer_binding(),
            ELEMENTS,
        )
        .unwrap();
    let call = call(DropoutRate::new(0.1).unwrap());
    measure(criterion, gpu, name, |pass| {
        dropout.encode_forward(pass, &binding, &call).unwrap();
    });
}

fn by_hand(criterion: &mut Criterion, gpu: &Gpu) {
    let device = &gpu.device;
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some("by hand"),
        source: wgpu::ShaderSource::Wgsl(BY_HAND.into()),
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some("by hand"),
        layout: None,
        module: &module,
        entry_point: None,
        compilation_options: Default::default(),
        cache: None,
    });
    let buffers = [(); 2].map(|()| gpu.storage_buffer(ELEMENTS));
    let entries = [0, 1].map(|binding| wgpu::BindGroupEntry {
        binding,
        resource: buffers[binding as usize].as_entire_binding(),
    });
    let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("by hand"),
        layout: &pipeline.get_bind_group_layout(0),
        entries: &entries,
    });
    measure(criterion, gpu, "by hand", |pass| {
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.set_immediates(0, &[0; 64]);
        pass.dispatch_workgroups(1, 1, 1);
    });
}

fn measure(
    criterion: &mut Criterion,
    gpu: &Gpu,
    name: &str,
    mut record: impl FnMut(&mut ComputePass<'_>),
) {
    let mut group = criterion.benchmark_group(format!("recording, {}", gpu.label));
    group.throughput(Throughput::Elements(DISPATCHES));
    group.bench_function(name, |bencher| {
        bencher.iter_with_large_drop(|| {
            let mut encoder = gpu.device.create_command_encoder(&Default::default());
            let mut pass = encoder.begin_compute_pass(&Default::default());
            for _ in 0..DISPATCHES {
                record(&mut pass);
            }
            drop(pass);
            encoder.finish()
        });
    });
    group.finish();
}

criterion_group!(benches, recording);
criterion_main!(benches);
