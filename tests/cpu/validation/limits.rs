//! Devices with low limits. A limit below one workgroup is refused; other limits split the tensor.

use wgpu::{Features, Limits};
use wgpu_dropout::{
    ActDropout, Activation, CreateError, Dropout, DropoutAdd, KeepMask, KernelDescriptor, Limit,
    MaskLayout, PhiloxBlocks,
};

use super::device::{Noop, device, range};
use crate::common::inputs::call;

/// A limit and its name, a function that sets it, and the values that dropout, masks, blocks,
/// column sums and activations need.
type Row = ((Limit, &'static str), fn(&mut Limits, u32), [u32; 5]);

const ROWS: [Row; 9] = [
    (
        (
            Limit::StorageBuffersPerShaderStage,
            "max_storage_buffers_per_shader_stage",
        ),
        |limits, value| limits.max_storage_buffers_per_shader_stage = value,
        [3, 2, 1, 4, 4],
    ),
    (
        (
            Limit::ComputeInvocationsPerWorkgroup,
            "max_compute_invocations_per_workgroup",
        ),
        |limits, value| limits.max_compute_invocations_per_workgroup = value,
        [256; 5],
    ),
    (
        (Limit::ComputeWorkgroupSizeX, "max_compute_workgroup_size_x"),
        |limits, value| limits.max_compute_workgroup_size_x = value,
        [256; 5],
    ),
    // One window of 256 bytes, the alignment of storage offsets.
    (
        (
            Limit::StorageBufferBindingSize,
            "max_storage_buffer_binding_size",
        ),
        |limits, value| limits.max_storage_buffer_binding_size = value.into(),
        [256; 5],
    ),
    (
        (
            Limit::ComputeWorkgroupsPerDimension,
            "max_compute_workgroups_per_dimension",
        ),
        |limits, value| limits.max_compute_workgroups_per_dimension = value,
        [1; 5],
    ),
    (
        (Limit::BindGroups, "max_bind_groups"),
        |limits, value| limits.max_bind_groups = value,
        [2; 5],
    ),
    (
        (Limit::BindingsPerBindGroup, "max_bindings_per_bind_group"),
        |limits, value| limits.max_bindings_per_bind_group = value,
        [4, 3, 1, 6, 6],
    ),
    (
        (
            Limit::UniformBuffersPerShaderStage,
            "max_uniform_buffers_per_shader_stage",
        ),
        |limits, value| limits.max_uniform_buffers_per_shader_stage = value,
        [2; 5],
    ),
    // Eight dimensions of eight words each.
    (
        (
            Limit::UniformBufferBindingSize,
            "max_uniform_buffer_binding_size",
        ),
        |limits, value| limits.max_uniform_buffer_binding_size = value.into(),
        [256; 5],
    ),
];

#[test]
fn a_limit_too_low_is_named_with_both_numbers() {
    let descriptor = KernelDescriptor::default();
    for ((limit, name), set, required) in ROWS {
        for (kind, required) in required.into_iter().enumerate() {
            let create = |value| {
                let mut limits = Limits::downlevel_defaults();
                set(&mut limits, value);
                let (device, _queue) = device(Features::empty(), limits);
                match kind {
                    0 => Dropout::new(&device, &descriptor).map(drop),
                    1 => KeepMask::new(&device, &descriptor).map(drop),
                    2 => PhiloxBlocks::new(&device, &descriptor, 10).map(drop),
                    3 => DropoutAdd::new(&device, &descriptor).map(drop),
                    _ => ActDropout::new(&device, &descriptor, Activation::Relu).map(drop),
                }
            };
            for available in [0, required - 1] {
                let error = create(available).unwrap_err();
                assert_eq!(
                    error,
                    CreateError::Limit {
                        limit,
                        required: required.into(),
                        available: available.into()
                    }
                );
                assert_eq!(
                    error.to_string(),
                    format!(
                        "the device's {name} is {available}, {required} needed: \
                         request the device with a higher limit, or another adapter"
                    )
                );
            }
            assert_eq!(create(required), Ok(()), "{name}");
        }
    }
}

#[test]
fn philox_has_7_or_10_rounds() {
    let (device, _queue) = device(Features::empty(), Limits::downlevel_defaults());
    let new = |rounds| PhiloxBlocks::new(&device, &KernelDescriptor::default(), rounds);
    for rounds in [0, 1, 6, 8, 9, 11, u32::MAX] {
        let error = new(rounds).unwrap_err();
        assert_eq!(error, CreateError::Rounds { rounds });
        assert_eq!(
            error.to_string(),
            format!("Philox with {rounds} rounds is not offered: ask for 7 or 10")
        );
    }
    for rounds in [7, 10] {
        new(rounds).unwrap();
    }
}

/// Counts the dispatches of a tensor. Each of them must be valid under the limit that splits it.
fn dispatches(limits: Limits, len: u64) -> usize {
    let noop = Noop::new(Features::empty(), limits);
    let (input, output) = (noop.buffer(4 * len), noop.buffer(4 * len));
    noop.without_errors(|| {
        let whole = |buffer| range(buffer, 0, 0);
        let separate = noop
            .dropout
            .bind(whole(&input), whole(&output), len)
            .unwrap();
        let in_place = noop.dropout.bind_in_place(whole(&output), len).unwrap();
        let mask = noop.keep_mask.bind(whole(&output), len).unwrap();
        let blocks = noop.philox.bind(whole(&output), len / 4).unwrap();
        let runs = MaskLayout::strided(&[len / 32, 32], &[1, 0]).unwrap();
        let runs = noop
            .dropout
            .bind(whole(&input), whole(&output), &runs)
            .unwrap();
        assert_eq!(separate.dispatches(), in_place.dispatches());
        assert_eq!((separate.len(), separate.is_empty()), (len, false));

        let mut encoder = noop.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        for call in [call(0.0, 0), call(0.5, 7), call(1.0, u64::MAX - (len - 1))] {
            noop.dropout
                .encode_forward(&mut pass, &runs, &call)
                .unwrap();
            noop.dropout
                .encode_forward(&mut pass, &separate, &call)
                .unwrap();
            noop.dropout
                .encode_backward(&mut pass, &in_place, &call)
                .unwrap();
            noop.keep_mask.encode(&mut pass, &mask, &call).unwrap();
        }
        noop.philox.encode(&mut pass, &blocks, [1; 4], [2; 2]);
        drop(pass);
        encoder.finish();
        separate.dispatches()
    })
}

#[test]
fn a_binding_too_small_cuts() {
    let limits = |bytes| Limits {
        max_storage_buffer_binding_size: bytes,
        ..Limits::downlevel_defaults()
    };
    for (bytes, len, expected) in [
        (256, 64, 1),
        (256, 65, 2),
        (256, 640, 10),
        (4096, 1024, 1),
        (4096, 1025, 2),
        (4096, 10_240, 10),
        // Bindings begin at multiples of 256 bytes, so 4348 bytes hold no more elements than 4096.
        (4348, 1025, 2),
        (4352, 1025, 1),
    ] {
        assert_eq!(dispatches(limits(bytes), len), expected, "{bytes}, {len}");
    }
}

#[test]
fn a_dispatch_too_small_cuts() {
    let limits = |workgroups| Limits {
        max_compute_workgroups_per_dimension: workgroups,
        ..Limits::downlevel_defaults()
    };
    // One workgroup takes 8192 elements.
    for (workgroups, len, expected) in [
        (1, 8192, 1),
        (1, 8193, 2),
        (2, 16_384, 1),
        (2, 16_385, 2),
        (2, 163_840, 10),
    ] {
        assert_eq!(
            dispatches(limits(workgroups), len),
            expected,
            "{workgroups}, {len}"
        );
    }
}

#[test]
fn a_long_ragged_tensor_has_a_dispatch_for_its_end() {
    let limits = Limits::downlevel_defaults;
    for (len, expected) in [
        (65_535, 1),
        (65_536, 1),
        (65_537, 2),
        (65_543, 2),
        (65_544, 1),
        (1_000_001, 2),
    ] {
        assert_eq!(dispatches(limits(), len), expected, "{len}");
    }
}
