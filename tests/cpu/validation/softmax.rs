//! Refusals of a softmax before a dropout. They record nothing.

use wgpu_dropout::wgsl::Role;
use wgpu_dropout::{
    AdditiveMask, AttentionMask, BindError, CallError, DropoutKind, Elements, KernelDescriptor,
    MaskLayout, Operation, PlanError, SavedSoftmax, Softmax, SoftmaxDropout, SoftmaxShapeError,
};

use super::device::{Noop, range};
use crate::common::inputs::{call, kind_call};

fn softmax_dropout(noop: &Noop) -> SoftmaxDropout {
    SoftmaxDropout::new(&noop.device, &KernelDescriptor::default()).unwrap()
}

fn rows(columns: u32) -> Softmax {
    Softmax::new(columns, 0.125).unwrap()
}

#[test]
fn rows_and_masks_that_do_not_fit_are_refused() {
    let noop = Noop::downlevel();
    let kernels = softmax_dropout(&noop);
    let [x, y, numbers] = [(); 3].map(|()| noop.buffer(4096));
    let bind = |columns, mask: AttentionMask<u32>, bytes, elements: u64| {
        let mask = match mask {
            AttentionMask::Additive(len) => {
                AttentionMask::Additive(AdditiveMask::new(range(&numbers, 0, bytes), len))
            }
            AttentionMask::Causal {
                rows_per_matrix,
                offset,
            } => AttentionMask::Causal {
                rows_per_matrix,
                offset,
            },
            _ => AttentionMask::None,
        };
        let [x, y] = [&x, &y].map(|buffer| range(buffer, 0, 0));
        noop.without_errors(|| kernels.bind(rows(columns), mask, x, y, None, elements))
    };
    bind(12, AttentionMask::None, 0, 60).unwrap();
    bind(12, AttentionMask::None, 0, 0).unwrap();
    bind(12, AttentionMask::Additive(12), 48, 60).unwrap();
    bind(12, AttentionMask::Additive(60), 240, 60).unwrap();
    let (elements, columns) = (60, 7);
    let error = bind(columns, AttentionMask::None, 0, elements).unwrap_err();
    assert_eq!(error, SoftmaxShapeError::Rows { elements, columns }.into());
    assert_eq!(
        error.to_string(),
        "60 elements are not whole rows of 7: give the size of the last dimension"
    );
    let columns = 12;
    for len in [0, 6, 24, 120] {
        let error = bind(columns, AttentionMask::Additive(len), 0, elements).unwrap_err();
        let len = len.into();
        let expected = SoftmaxShapeError::Mask {
            len,
            elements,
            columns,
        };
        assert_eq!(error, expected.into());
        assert_eq!(
            error.to_string(),
            format!(
                "a mask of {len} numbers does not repeat over 60 elements in rows of 12: \
                 give whole rows, whose number divides that of the tensor's rows"
            )
        );
    }
    let max = Softmax::MAX_COLUMNS;
    for rows_per_matrix in [0, 2, 10, max + 1] {
        let causal = AttentionMask::Causal {
            rows_per_matrix,
            offset: 0,
        };
        let expected = SoftmaxShapeError::Matrices {
            rows_per_matrix,
            max,
            rows: 5,
        };
        let error = bind(columns, causal, 0, elements).unwrap_err();
        assert_eq!(error, expected.into());
    }
    let error = bind(12, AttentionMask::Additive(12), 44, 60).unwrap_err();
    let (role, range_bytes, required_bytes, len) = (Role::Vectors, 44, 48, 12);
    let too_short = BindError::RangeTooShort {
        role,
        range_bytes,
        required_bytes,
        len,
    };
    assert_eq!(error, too_short);
    let error = bind(12, AttentionMask::None, 0, 1200).unwrap_err();
    assert!(matches!(
        error,
        BindError::RangeTooShort {
            role: Role::Input,
            ..
        }
    ));
}

#[test]
fn four_storage_buffers_are_enough_without_a_side() {
    let noop = Noop::downlevel();
    assert_eq!(noop.device.limits().max_storage_buffers_per_shader_stage, 4);
    let kernels = softmax_dropout(&noop);
    let buffers = [(); 5].map(|()| noop.buffer(4096));
    let [a, b, c, numbers, ids] = [0, 1, 2, 3, 4].map(|i| range(&buffers[i], 0, 0));
    let mask = || AttentionMask::Additive(AdditiveMask::new(numbers.clone(), 8));
    let layout = MaskLayout::drop_path(&[4, 8]).unwrap();
    noop.without_errors(|| {
        let [a, b, c] = [&a, &b, &c].map(|range| || range.clone());
        let of = rows(8);
        kernels
            .bind(of, mask(), a(), b(), Some(c()), &layout)
            .unwrap();
        kernels
            .bind_in_place(of, mask(), a(), Some(b()), 32)
            .unwrap();
        for saved in [SavedSoftmax::Scores(a()), SavedSoftmax::Probabilities(a())] {
            let again = saved.clone();
            kernels
                .bind_backward(of, mask(), saved, b(), c(), &layout)
                .unwrap();
            kernels
                .bind_backward_in_place(of, mask(), again, b(), 32)
                .unwrap();
        }
        let with_ids = Elements::samples(&layout, ids.clone());
        let error = kernels.bind(of, AttentionMask::None, a(), b(), None, with_ids);
        let (required, available) = (5, 4);
        let too_many = BindError::TooManyBuffers {
            required,
            available,
        };
        assert_eq!(error.unwrap_err(), too_many);
    });
}

#[test]
fn ranges_of_a_softmax_share_no_byte_and_its_mask_no_buffer() {
    let noop = Noop::downlevel();
    let (kernels, buffer, other) = (softmax_dropout(&noop), noop.buffer(4096), noop.buffer(4096));
    let at = |offset| range(&buffer, offset, 0);
    let none = || AttentionMask::None;
    let of = rows(8);
    noop.without_errors(|| {
        kernels
            .bind(of, none(), at(0), at(256), Some(at(512)), 64)
            .unwrap();
        let error = kernels.bind(of, none(), at(0), at(256), Some(at(256)), 64);
        let roles = [Role::Output, Role::Probabilities];
        let shared = BindError::SameRange {
            roles,
            range: 256..512,
        };
        assert_eq!(error.unwrap_err(), shared);
        let saved = SavedSoftmax::Scores(at(0));
        let error = kernels.bind_backward_in_place(of, none(), saved, at(256), 72);
        assert!(matches!(error, Err(BindError::Overlap { .. })));
        let mask = AttentionMask::Additive(AdditiveMask::new(at(1024), 8));
        let error = kernels.bind(of, mask, at(0), range(&other, 0, 0), None, 64);
        let role = Role::Vectors;
        assert_eq!(error.unwrap_err(), BindError::WrittenBuffer { role });
    });
}

#[test]
fn rows_longer_than_a_dispatch_takes_have_no_softmax() {
    let limits = wgpu::Limits {
        max_storage_buffer_binding_size: 1 << 12,
        ..wgpu::Limits::downlevel_defaults()
    };
    let noop = Noop::new(wgpu::Features::empty(), limits);
    let kernels = softmax_dropout(&noop);
    let [x, numbers] = [(); 2].map(|()| noop.buffer(1 << 16));
    let bind = |columns: u32, rows_of: u64, mask| {
        let elements = rows_of * u64::from(columns);
        let x = range(&x, 0, 0);
        noop.without_errors(|| kernels.bind_in_place(rows(columns), mask, x, None, elements))
    };
    bind(512, 20, AttentionMask::None).unwrap();
    bind(1024, 1, AttentionMask::None).unwrap();
    let (columns, max_columns) = (17, 16);
    let expected = PlanError::WholeRowTooLong {
        columns,
        max_columns,
    };
    let error = bind(17, 64, AttentionMask::None).unwrap_err();
    assert_eq!(error, expected.into());
    // An additive mask is bound whole.
    let mask = AttentionMask::Additive(AdditiveMask::new(range(&numbers, 0, 0), 2048));
    let error = bind(512, 20, mask).unwrap_err();
    assert!(matches!(
        error,
        BindError::TooLong {
            role: Role::Vectors,
            ..
        }
    ));
}

#[test]
fn a_softmax_takes_dropout_that_scales() {
    let noop = Noop::downlevel();
    let kernels = softmax_dropout(&noop);
    let buffers = [(); 2].map(|()| noop.buffer(4096));
    let [a, b] = [0, 1].map(|i| range(&buffers[i], 0, 0));
    let none = || AttentionMask::None;
    let forward = kernels
        .bind_in_place(rows(8), none(), a.clone(), None, 64)
        .unwrap();
    let saved = SavedSoftmax::Scores(b);
    let backward = kernels
        .bind_backward_in_place(rows(8), none(), saved, a, 64)
        .unwrap();
    for p in [0.0, 0.5, 1.0] {
        for kind in [DropoutKind::Alpha, DropoutKind::Gaussian] {
            let (call, operation) = (kind_call(p, 0, kind), Operation::SoftmaxDropout);
            let error = CallError::Kind { kind, operation };
            assert!(!noop.records(|pass| {
                assert_eq!(kernels.encode_forward(pass, &forward, &call), Err(error));
                assert_eq!(kernels.encode_backward(pass, &backward, &call), Err(error));
            }));
        }
        let call = kind_call(p, 0, DropoutKind::Classic);
        assert!(noop.records(|pass| kernels.encode_forward(pass, &forward, &call).unwrap()));
        assert!(noop.records(|pass| kernels.encode_backward(pass, &backward, &call).unwrap()));
    }
    let late = call(0.5, u64::MAX - 62);
    assert!(!noop.records(|pass| {
        let error = kernels.encode_forward(pass, &forward, &late);
        assert!(matches!(error, Err(CallError::IndexOverflow(_))));
    }));
}
