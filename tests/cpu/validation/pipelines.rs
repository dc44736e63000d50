//! Every kernel compiles on every device: no wgpu error at the first use of each.

use wgpu::{Features, Limits};
use wgpu_dropout::{
    Dropout, GaussianDropout, KeepMask, KernelDescriptor, ParameterPath, PhiloxBlocks,
    UniformReason,
};

use super::device::{Noop, device, limits, range, two_devices, whole};
use crate::common::inputs::call;

/// A rate, origin and length for each kernel of a layout: by blocks and by elements, scaled and
/// copied.
const KERNELS: [(f64, u64, u64); 5] = [
    (0.5, 0, 16),
    (0.5, 0, 15),
    (0.5, 3, 16),
    (0.0, 0, 16),
    (0.0, 0, 15),
];

fn compile_all(features: Features, limits: Limits) {
    let noop = Noop::new(features, limits);
    let (input, output) = (noop.buffer(1024), noop.buffer(1024));
    noop.without_errors(|| {
        let mut encoder = noop.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        for (p, origin, len) in KERNELS {
            for binding in [
                noop.bind(whole(&input), whole(&output), len),
                noop.bind(whole(&input), range(&input, 512, 0), len),
                noop.bind_in_place(whole(&input), len),
            ] {
                let binding = binding.unwrap();
                noop.dropout
                    .encode_forward(&mut pass, &binding, &call(p, origin))
                    .unwrap();
            }
            let mask = noop.keep_mask.bind(whole(&output), len).unwrap();
            noop.keep_mask
                .encode(&mut pass, &mask, &call(p, origin))
                .unwrap();
        }
        for rounds in [7, 10] {
            let philox = PhiloxBlocks::new(&noop.device, &Default::default(), rounds).unwrap();
            let blocks = philox.bind(whole(&output), 3).unwrap();
            philox.encode(&mut pass, &blocks, [0; 4], [0; 2]);
        }
        drop(pass);
        encoder.finish();
    });
}

#[test]
fn with_any_features() {
    let immediates = limits(|limits| limits.max_immediate_size = 64);
    let (int64, immediate) = (Features::SHADER_INT64, Features::IMMEDIATES);
    compile_all(Features::empty(), Limits::downlevel_defaults());
    compile_all(int64, Limits::downlevel_defaults());
    compile_all(immediate, immediates.clone());
    compile_all(int64 | immediate, immediates);
}

/// IMMEDIATES with too small a limit cannot hold the parameters: they go into a uniform buffer.
#[test]
fn with_immediates_that_hold_too_little() {
    for max_immediate_size in [0, 4, 60] {
        let limits = limits(|limits| limits.max_immediate_size = max_immediate_size);
        compile_all(Features::IMMEDIATES, limits);
    }
}

#[test]
fn each_handle_tells_how_parameters_reach_its_kernels() {
    use ParameterPath::{Immediates, Uniform};
    let too_low = |available_bytes, required_bytes| {
        Uniform(UniformReason::Limit {
            available_bytes,
            required_bytes,
        })
    };
    let (none, immediates) = (Features::empty(), Features::IMMEDIATES);
    let (no_feature, avoided) = (
        Uniform(UniformReason::Feature),
        Uniform(UniformReason::Avoided),
    );
    for (features, avoid, max_immediate_size, of_calls, of_blocks) in [
        (none, none, 0, no_feature, no_feature),
        (none, immediates, 0, no_feature, no_feature),
        (immediates, immediates, 64, avoided, avoided),
        (immediates, none, 0, too_low(0, 64), too_low(0, 32)),
        (immediates, none, 28, too_low(28, 64), too_low(28, 32)),
        (immediates, none, 32, too_low(32, 64), Immediates),
        (immediates, none, 60, too_low(60, 64), Immediates),
        (immediates, none, 64, Immediates, Immediates),
    ] {
        let limits = limits(|limits| limits.max_immediate_size = max_immediate_size);
        let (device, _queue) = device(features, limits.clone());
        let descriptor = KernelDescriptor {
            avoid,
            ..Default::default()
        };
        let dropout = Dropout::new(&device, &descriptor).unwrap();
        let mask = KeepMask::new(&device, &descriptor).unwrap();
        let noise = GaussianDropout::new(&device, &descriptor).unwrap();
        for path in [
            dropout.parameter_path(),
            mask.parameter_path(),
            noise.parameter_path(),
        ] {
            assert_eq!(path, of_calls);
        }
        if avoid.is_empty() {
            assert_eq!(ParameterPath::of(features, &limits), of_calls);
        }
        let blocks = PhiloxBlocks::new(&device, &descriptor, 10).unwrap();
        assert_eq!(blocks.parameter_path(), of_blocks);
    }
    for (path, text) in [
        (Immediates, "immediates"),
        (no_feature, "uniforms: no IMMEDIATES"),
        (avoided, "uniforms: IMMEDIATES avoided"),
        (
            too_low(32, 64),
            "uniforms: max_immediate_size is 32, 64 needed",
        ),
    ] {
        assert_eq!(path.to_string(), text);
    }
}

#[test]
fn with_default_limits() {
    compile_all(Features::empty(), Limits::default());
}

/// The caller's pipeline cache reaches wgpu: a cache of another device is a wgpu error.
#[test]
fn with_a_cache_of_the_caller() {
    let [(own, _queue), (other, _other_queue)] = two_devices(Features::PIPELINE_CACHE);
    let buffer = own.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: 64,
        usage: wgpu::BufferUsages::STORAGE,
        mapped_at_creation: false,
    });
    let compile = |device: &wgpu::Device| {
        let descriptor = wgpu::PipelineCacheDescriptor {
            label: None,
            data: None,
            fallback: false,
        };
        // SAFETY: the cache starts without data.
        let cache = unsafe { device.create_pipeline_cache(&descriptor) };
        let descriptor = KernelDescriptor {
            pipeline_cache: Some(&cache),
            ..Default::default()
        };
        let dropout = Dropout::new(&own, &descriptor).unwrap();
        let binding = dropout.bind_in_place(whole(&buffer), 16).unwrap();
        let scope = own.push_error_scope(wgpu::ErrorFilter::Validation);
        dropout.compile(&binding, &call(0.5, 0)).unwrap();
        pollster::block_on(scope.pop()).map(|error| error.to_string())
    };
    assert_eq!(compile(&own), None);
    let error = compile(&other).unwrap();
    assert!(error.contains("PipelineCache"), "{error}");
}
