//! Refused uses of `DropoutAddNorm`. A refused call records nothing.

use wgpu_dropout::wgsl::Role;
use wgpu_dropout::{
    BindError, CallError, DropoutAddNorm, DropoutKind, ElementType, Elements, GammaBuffers,
    KernelDescriptor, MaskLayout, MaskPlace, Norm, NormVectors, Operation, PlanError, ShapeError,
};

use super::device::{Noop, range};
use crate::common::inputs::{call, kind_call};

fn layer_norm(noop: &Noop) -> DropoutAddNorm {
    let norm = Norm::layer(1e-5).unwrap();
    let descriptor = KernelDescriptor::default();
    DropoutAddNorm::new(&noop.device, &descriptor, norm, MaskPlace::Branch).unwrap()
}

#[test]
fn rows_that_are_none_and_vectors_that_do_not_fit_are_refused() {
    let noop = Noop::downlevel();
    let kernels = layer_norm(&noop);
    let [x, stream, y, numbers] = [(); 4].map(|()| noop.buffer(4096));
    let bind = |columns, bias: Option<u32>, bytes, elements: u64| {
        let [x, stream, y] = [&x, &stream, &y].map(|buffer| range(buffer, 0, 0));
        let numbers = range(&numbers, 0, bytes);
        let vectors = match bias {
            None => NormVectors::new(numbers, columns),
            Some(len) => NormVectors::with_bias(numbers, columns, len),
        };
        noop.without_errors(|| kernels.bind_in_place(x, stream, y, vectors, elements))
    };
    bind(12, None, 96, 60).unwrap();
    bind(12, Some(60), 336, 60).unwrap();
    bind(12, None, 0, 0).unwrap();
    let max = Norm::MAX_COLUMNS;
    for columns in [0, 7, 120, max + 1] {
        let elements = 60;
        let error = bind(columns, None, 0, elements).unwrap_err();
        assert_eq!(
            error,
            ShapeError::NormColumns {
                elements,
                columns,
                max
            }
            .into()
        );
    }
    assert_eq!(
        bind(7, None, 0, 60).unwrap_err().to_string(),
        "60 elements do not divide into rows of 7 (1 to 16777216 are allowed): \
         give the columns of the last dimension"
    );
    let (elements, len) = (60, 7);
    let error = bind(12, Some(len), 0, elements).unwrap_err();
    assert_eq!(error, ShapeError::VectorLength { elements, len }.into());
    // 36 numbers: a bias, γ and β, of 12 each.
    let error = bind(12, Some(12), 140, 60).unwrap_err();
    let (role, range_bytes, required_bytes, len) = (Role::Vectors, 140, 144, 36);
    assert_eq!(
        error,
        BindError::RangeTooShort {
            role,
            range_bytes,
            required_bytes,
            len
        }
    );
    let error = bind(12, None, 0, 1200).unwrap_err();
    assert!(matches!(
        error,
        BindError::RangeTooShort {
            role: Role::Input,
            ..
        }
    ));
}

#[test]
fn in_place_takes_four_storage_buffers_and_apart_five() {
    let noop = Noop::downlevel();
    assert_eq!(noop.device.limits().max_storage_buffers_per_shader_stage, 4);
    let kernels = layer_norm(&noop);
    let buffers = [(); 6].map(|()| noop.buffer(4096));
    let [a, b, c, d, numbers, ids] = [0, 1, 2, 3, 4, 5].map(|i| range(&buffers[i], 0, 0));
    let vectors = || NormVectors::new(numbers.clone(), 8);
    let layout = MaskLayout::drop_path(&[4, 8]).unwrap();
    let (required, available) = (5, 4);
    let too_many = BindError::TooManyBuffers {
        required,
        available,
    };
    noop.without_errors(|| {
        let [a, b, c, d] = [&a, &b, &c, &d].map(|range| || range.clone());
        kernels.bind_in_place(a(), b(), c(), vectors(), 32).unwrap();
        kernels
            .bind(a(), Some(b()), None, c(), vectors(), &layout)
            .unwrap();
        kernels
            .bind(a(), None, Some(b()), c(), vectors(), 32)
            .unwrap();
        kernels.bind(a(), None, None, c(), vectors(), 32).unwrap();
        kernels
            .bind_backward_in_place(a(), b(), c(), vectors(), &layout)
            .unwrap();
        let error = kernels.bind(a(), Some(b()), Some(c()), d(), vectors(), 32);
        assert_eq!(error.unwrap_err(), too_many);
        let error = kernels.bind_backward(a(), b(), c(), d(), vectors(), 32);
        assert_eq!(error.unwrap_err(), too_many);
        let with_ids = Elements::samples(&layout, ids.clone());
        let error = kernels.bind_in_place(a(), b(), c(), vectors(), with_ids);
        assert_eq!(error.unwrap_err(), too_many);
    });
}

#[test]
fn ranges_of_a_norm_share_no_byte_and_its_numbers_no_buffer() {
    let noop = Noop::downlevel();
    let (kernels, buffer) = (layer_norm(&noop), noop.buffer(4096));
    let (other, third) = (noop.buffer(4096), noop.buffer(4096));
    let at = |offset| range(&buffer, offset, 0);
    let vectors = || NormVectors::new(range(&other, 0, 0), 8);
    noop.without_errors(|| {
        kernels
            .bind_in_place(at(0), at(256), at(512), vectors(), 64)
            .unwrap();
        let error = kernels.bind_in_place(at(0), at(256), at(256), vectors(), 64);
        let roles = [Role::Sum, Role::Output];
        let range = 256..512;
        assert_eq!(error.unwrap_err(), BindError::SameRange { roles, range });
        let error = kernels.bind_backward_in_place(at(0), at(256), at(512), vectors(), 72);
        assert!(matches!(error, Err(BindError::Overlap { .. })));
        let error =
            kernels.bind_in_place(at(0), at(256), at(512), NormVectors::new(at(1024), 8), 64);
        let role = Role::Vectors;
        assert_eq!(error.unwrap_err(), BindError::WrittenBuffer { role });
    });
    let gamma = |moments, scratch, grad_gamma| {
        let buffers = GammaBuffers {
            grad_normed: at(0),
            sum: at(256),
            moments,
            scratch,
            grad_gamma,
        };
        noop.without_errors(|| kernels.bind_gamma_gradient(buffers, (8, 8), ElementType::F32))
    };
    let fourth = noop.buffer(4096);
    let [a, b, c] = [&other, &third, &fourth].map(|buffer| range(buffer, 0, 0));
    gamma(a.clone(), b.clone(), c.clone()).unwrap();
    for (moments, scratch, sums, role) in [
        (at(1024), b.clone(), c.clone(), Role::Moments),
        (a.clone(), a.clone(), c.clone(), Role::Scratch),
        (a.clone(), b.clone(), b.clone(), Role::Scratch),
        (a.clone(), b.clone(), at(1024), Role::Sums),
    ] {
        let error = gamma(moments, scratch, sums).unwrap_err();
        assert_eq!(error, BindError::WrittenBuffer { role });
    }
    let error = gamma(range(&other, 0, 92), b, c).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the moments range is 92 bytes, 96 needed for 24 numbers: bind a longer range, or fewer numbers"
    );
    assert_eq!(DropoutAddNorm::moments_bytes(8), 96);
    assert_eq!(DropoutAddNorm::moments_bytes(u64::MAX), u64::MAX);
}

#[test]
fn rows_longer_than_a_dispatch_takes_have_no_norm() {
    let limits = wgpu::Limits {
        max_storage_buffer_binding_size: 1 << 12,
        ..wgpu::Limits::downlevel_defaults()
    };
    let noop = Noop::new(wgpu::Features::empty(), limits);
    let kernels = layer_norm(&noop);
    let [x, stream, y, numbers] = [(); 4].map(|()| noop.buffer(1 << 16));
    let bind = |columns: u32, rows: u64| {
        let [x, stream, y, numbers] = [&x, &stream, &y, &numbers].map(|buffer| range(buffer, 0, 0));
        let vectors = NormVectors::new(numbers, columns);
        let elements = rows * u64::from(columns);
        noop.without_errors(|| kernels.bind_in_place(x, stream, y, vectors, elements))
    };
    bind(512, 20).unwrap();
    bind(15, 64).unwrap();
    bind(17, 60).unwrap();
    let error = bind(17, 64).unwrap_err();
    let (columns, max_columns) = (17, 16);
    let expected = PlanError::WholeRowTooLong {
        columns,
        max_columns,
    };
    assert_eq!(error, expected.into());
    assert_eq!(
        error.to_string(),
        "a row has 17 elements, the device takes rows of 16 at most: give fewer rows at a time, columns that a \
         higher power of two divides, or request the device with higher limits"
    );
    // γ and β must fit into one binding.
    let error = bind(513, 1).unwrap_err();
    assert!(matches!(
        error,
        BindError::TooLong {
            role: Role::Vectors,
            ..
        }
    ));
}

#[test]
fn a_norm_takes_dropout_that_scales() {
    let noop = Noop::downlevel();
    let kernels = layer_norm(&noop);
    let buffers = [(); 4].map(|()| noop.buffer(4096));
    let [a, b, c, numbers] = [0, 1, 2, 3].map(|i| range(&buffers[i], 0, 0));
    let vectors = NormVectors::new(numbers, 8);
    let forward = kernels
        .bind_in_place(a.clone(), b.clone(), c.clone(), vectors.clone(), 64)
        .unwrap();
    let backward = kernels
        .bind_backward_in_place(a, b, c, vectors, 64)
        .unwrap();
    for p in [0.0, 0.5, 1.0] {
        for kind in [DropoutKind::Alpha, DropoutKind::Gaussian] {
            let (call, operation) = (kind_call(p, 0, kind), Operation::DropoutAddNorm);
            let error = CallError::Kind { kind, operation };
            assert!(!noop.records(|pass| {
                assert_eq!(kernels.encode_forward(pass, &forward, &call), Err(error));
                let backward = kernels.encode_backward(pass, &backward, &call, false);
                assert_eq!(backward, Err(error));
            }));
        }
        let call = kind_call(p, 0, DropoutKind::Classic);
        assert!(noop.records(|pass| kernels.encode_forward(pass, &forward, &call).unwrap()));
        assert!(noop.records(|pass| {
            kernels
                .encode_backward(pass, &backward, &call, true)
                .unwrap();
        }));
    }
    let late = call(0.5, u64::MAX - 62);
    assert!(!noop.records(|pass| {
        let error = kernels.encode_forward(pass, &forward, &late);
        assert!(matches!(error, Err(CallError::IndexOverflow(_))));
    }));
}
