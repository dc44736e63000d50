//! Refused uses of `DropoutAdd`. A refused call records nothing.

use wgpu_dropout::wgsl::Role;
use wgpu_dropout::{
    BindError, CallError, DropoutAdd, DropoutKind, Elements, KernelDescriptor, MaskLayout,
    Operation, ShapeError, Vectors,
};

use super::device::{Noop, range, too_short, whole};
use crate::common::inputs::{call, kind_call};

fn add(noop: &Noop) -> DropoutAdd {
    DropoutAdd::new(&noop.device, &KernelDescriptor::default()).unwrap()
}

#[test]
fn vectors_that_do_not_repeat_over_the_elements_are_refused() {
    let noop = Noop::downlevel();
    let (add, input, sum) = (add(&noop), noop.buffer(4096), noop.buffer(4096));
    let numbers = noop.buffer(4096);
    let bind = |vectors, elements: u64| {
        let (input, sum) = (whole(&input), whole(&sum));
        noop.without_errors(|| add.bind_in_place(input, sum, Some(vectors), elements))
    };
    let all = || whole(&numbers);
    for (vectors, elements, len) in [
        (Vectors::bias(all(), 5), 12, 5),
        (Vectors::scale(all(), 24), 12, 24),
        (Vectors::bias_and_scale(all(), 6, 7), 12, 7),
        (Vectors::bias(all(), 0), 12, 0),
    ] {
        let error = bind(vectors, elements).unwrap_err();
        assert_eq!(error, ShapeError::VectorLength { elements, len }.into());
        assert_eq!(
            error.to_string(),
            format!(
                "{len} numbers do not repeat over {elements} elements: give as many as the tensor's last \
                 dimension has, or whole rows of them"
            )
        );
    }
    bind(Vectors::bias_and_scale(all(), 12, 6), 12).unwrap();
    bind(Vectors::bias(all(), 5), 0).unwrap();
    // 1,025 numbers need 4,100 bytes, and the buffer has 4,096.
    let error = bind(Vectors::bias_and_scale(all(), 1000, 25), 1000).unwrap_err();
    assert_eq!(error, too_short(Role::Vectors, 4096, 4100, 1025));
    assert_eq!(
        error.to_string(),
        "the vectors range is 4096 bytes, 4100 needed for 1025 numbers: bind a longer range, or fewer numbers"
    );
}

#[test]
fn vectors_longer_than_a_binding_are_refused() {
    let noop = Noop::limited(|limits| limits.max_storage_buffer_binding_size = 1024);
    let (add, buffer, numbers) = (add(&noop), noop.buffer(8192), noop.buffer(4096));
    let (input, sum) = (whole(&buffer), range(&buffer, 4096, 0));
    let vectors = Some(Vectors::bias(whole(&numbers), 257));
    let error = noop.without_errors(|| add.bind_in_place(input, sum, vectors, 514));
    let error = error.unwrap_err();
    assert_eq!(
        error,
        BindError::TooLong {
            role: Role::Vectors,
            bytes: 1028,
            max_bytes: 1024,
        }
    );
    assert_eq!(
        error.to_string(),
        "the vectors take 1028 bytes, the device binds 1024: bind fewer numbers"
    );
}

#[test]
fn more_buffers_than_the_device_binds_are_refused_with_the_ways_out() {
    let noop = Noop::downlevel();
    assert_eq!(noop.device.limits().max_storage_buffers_per_shader_stage, 4);
    let add = add(&noop);
    let buffers = [(); 5].map(|()| noop.buffer(4096));
    let [input, residual, sum, numbers, ids] = [0, 1, 2, 3, 4].map(|i| whole(&buffers[i]));
    let layout = MaskLayout::drop_path(&[4, 8]).unwrap();
    let elements = || Elements::samples(&layout, ids.clone());
    let bias = || Some(Vectors::bias(numbers.clone(), 8));
    noop.without_errors(|| {
        let all = add.bind(input.clone(), residual.clone(), sum.clone(), bias(), elements());
        let error = all.unwrap_err();
        let (required, available) = (5, 4);
        assert_eq!(error, BindError::TooManyBuffers { required, available });
        assert_eq!(
            error.to_string(),
            "this binding takes 5 storage buffers, the device allows 4 (max_storage_buffers_per_shader_stage): \
             bind in place, leave sample ids or vectors out, or request the device with a higher limit"
        );
        // Each remedy that the error names works.
        add.bind_in_place(input.clone(), sum.clone(), bias(), elements()).unwrap();
        add.bind(input.clone(), residual.clone(), sum.clone(), None, elements()).unwrap();
        add.bind(input, residual, sum, bias(), &layout).unwrap();
    });
}

#[test]
fn ranges_of_a_sum_share_no_byte_and_vectors_no_buffer() {
    let noop = Noop::downlevel();
    let (add, buffer, other) = (add(&noop), noop.buffer(4096), noop.buffer(4096));
    let at = |offset| range(&buffer, offset, 0);
    noop.without_errors(|| {
        for (input, residual, sum, roles) in [
            (0, 0, 1024, [Role::Input, Role::Residual]),
            (1024, 0, 1024, [Role::Input, Role::Output]),
            (0, 1024, 1024, [Role::Residual, Role::Output]),
        ] {
            let error = add
                .bind(at(input), at(residual), at(sum), None, 64)
                .unwrap_err();
            let range = 1024 * u64::from(error.to_string().contains("1024"));
            let range = range..range + 256;
            assert_eq!(error, BindError::SameRange { roles, range });
        }
        let error = add.bind(at(0), at(256), at(1024), None, 65).unwrap_err();
        assert_eq!(
            error.to_string(),
            "input bytes 0..260 and residual bytes 256..516 of one buffer overlap: \
             move them apart, or use bind_in_place for one range"
        );
        add.bind(at(0), at(256), at(512), None, 64).unwrap();
        let bias = Some(Vectors::bias(at(1024), 8));
        let error = add
            .bind(at(0), whole(&other), at(512), bias, 64)
            .unwrap_err();
        assert_eq!(
            error,
            BindError::WrittenBuffer {
                role: Role::Vectors
            }
        );
    });
}

#[test]
fn a_sum_takes_dropout_that_scales() {
    let noop = Noop::downlevel();
    let (add, input, sum) = (add(&noop), noop.buffer(4096), noop.buffer(4096));
    let numbers = noop.buffer(4096);
    let (input, sum) = (whole(&input), whole(&sum));
    let scale = Vectors::scale(whole(&numbers), 8);
    let forward = add.bind_in_place(input, sum.clone(), None, 64).unwrap();
    let backward = add.bind_backward_in_place(sum, scale, 64).unwrap();
    for p in [0.0, 0.5, 1.0] {
        for kind in [DropoutKind::Alpha, DropoutKind::Gaussian] {
            let (call, operation) = (kind_call(p, 0, kind), Operation::DropoutAdd);
            let error = CallError::Kind { kind, operation };
            assert!(!noop.records(|pass| {
                assert_eq!(add.encode_forward(pass, &forward, &call), Err(error));
                assert_eq!(add.encode_backward(pass, &backward, &call), Err(error));
            }));
        }
        for kind in [DropoutKind::Inverted, DropoutKind::Classic] {
            let call = kind_call(p, 0, kind);
            assert!(noop.records(|pass| add.encode_forward(pass, &forward, &call).unwrap()));
            assert!(noop.records(|pass| add.encode_backward(pass, &backward, &call).unwrap()));
        }
    }
    let late = call(0.5, u64::MAX - 62);
    assert!(!noop.records(|pass| {
        let error = add.encode_forward(pass, &forward, &late);
        assert!(matches!(error, Err(CallError::IndexOverflow(_))));
    }));
}
