//! Devices with low limits. A limit below one workgroup is refused; other limits split the tensor.

use wgpu::{Features, Limits};
use wgpu_dropout::{
    ActDropout, Activation, CreateError, Dropout, DropoutAdd, KeepMask, KernelDescriptor, Limit,
    MaskLayout, PhiloxBlocks,
};

use super::device::{Noop, device, limits, refused, whole};
use crate::common::inputs::call;

/// A limit and its name, a function that sets it, and the values that dropout, masks, blocks,
/// column sums and activations need.
type Row = ((Limit, &'static str), fn(&mut Limits, u32), [u32; 5]);

macro_rules! rows {
    ($($limit:ident, $field:ident: $required:expr;)*) => {
        [$((
            (Limit::$limit, stringify!($field)),
            |limits, value| limits.$field = value.into(),
            $required,
        )),*]
    };
}

const ROWS: [Row; 9] = rows! {
    StorageBuffersPerShaderStage, max_storage_buffers_per_shader_stage: [3, 2, 1, 4, 4];
    ComputeInvocationsPerWorkgroup, max_compute_invocations_per_workgroup: [256; 5];
    ComputeWorkgroupSizeX, max_compute_workgroup_size_x: [256; 5];
    // One window of 256 bytes, the alignment of storage offsets.
    StorageBufferBindingSize, max_storage_buffer_binding_size: [256; 5];
    ComputeWorkgroupsPerDimension, max_compute_workgroups_per_dimension: [1; 5];
    BindGroups, max_bind_groups: [2; 5];
    BindingsPerBindGroup, max_bindings_per_bind_group: [4, 3, 1, 6, 6];
    UniformBuffersPerShaderStage, max_uniform_buffers_per_shader_stage: [2; 5];
    // Eight dimensions of eight words each.
    UniformBufferBindingSize, max_uniform_buffer_binding_size: [256; 5];
};

#[test]
fn a_limit_too_low_is_named_with_both_numbers() {
    let descriptor = KernelDescriptor::default();
    for ((limit, name), set, required) in ROWS {
        for (kind, required) in required.into_iter().enumerate() {
            let create = |value| {
                let limits = limits(|limits| set(limits, value));
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
                let error = CreateError::Limit {
                    limit,
                    required: required.into(),
                    available: available.into(),
                };
                let message = format!(
                    "the device's {name} is {available}, {required} needed: \
                     request the device with a higher limit, or another adapter"
                );
                refused(create(available), error, &message);
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
        let message = format!("Philox with {rounds} rounds is not offered: ask for 7 or 10");
        refused(new(rounds), CreateError::Rounds { rounds }, &message);
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
        let separate = noop.bind(whole(&input), whole(&output), len).unwrap();
        let in_place = noop.bind_in_place(whole(&output), len).unwrap();
        let mask = noop.keep_mask.bind(whole(&output), len).unwrap();
        let blocks = noop.philox.bind(whole(&output), len / 4).unwrap();
        let runs = MaskLayout::strided(&[len / 32, 32], &[1, 0]).unwrap();
        let runs = noop.bind(whole(&input), whole(&output), &runs).unwrap();
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
        let limits = limits(|limits| limits.max_storage_buffer_binding_size = bytes);
        assert_eq!(dispatches(limits, len), expected, "{bytes}, {len}");
    }
}

#[test]
fn a_dispatch_too_small_cuts() {
    // One workgroup takes 8192 elements.
    for (workgroups, len, expected) in [
        (1, 8192, 1),
        (1, 8193, 2),
        (2, 16_384, 1),
        (2, 16_385, 2),
        (2, 163_840, 10),
    ] {
        let limits = limits(|limits| limits.max_compute_workgroups_per_dimension = workgroups);
        assert_eq!(dispatches(limits, len), expected, "{workgroups}, {len}");
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
