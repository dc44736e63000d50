//! Sums of a residual and a dropped branch on the CPU path, and their gradients [M23].

use wgpu_dropout::cpu::{Slices, Vectors, add, add_backward, add_backward_from_f32};
use wgpu_dropout::half::{bf16, f16};
use wgpu_dropout::{
    CallError, CpuError, DropoutCall, DropoutKind, Element, ElementType, MaskSource, Operation,
    SourceError,
};

use super::ways::{mismatch, vector_length};
use crate::common::add::{Case, Source, TYPES, sources};
use crate::common::elements::{bits, typed};
use crate::common::inputs::{LENGTHS, call, kind_call, origins};

/// The sum and the gradient, where residual and sum are `f32`.
fn run_wide<T: Element>(case: &Case) -> Result<[Vec<u32>; 2], CpuError> {
    let (input, mut sum) = (typed::<T>(&case.input), typed::<f32>(&case.residual));
    let vectors = Vectors {
        bias: &case.bias,
        scale: &case.scale,
    };
    let mut gradient = vec![T::from_f32(7.0); sum.len()];
    let grad_output = sum.clone();
    add_backward_from_f32(
        case.source.mask_source(),
        &case.scale,
        &grad_output,
        &mut gradient,
        &case.call,
    )?;
    add(
        case.source.mask_source(),
        &input,
        vectors,
        &mut sum,
        &case.call,
    )?;
    Ok([bits(&sum), bits(&gradient)])
}

/// The sum and the gradient. Each is computed into another slice and in place.
fn run<T: Element + PartialEq>(case: &Case) -> Result<[Vec<u32>; 2], CpuError> {
    let source = case.source.mask_source();
    let vectors = Vectors {
        bias: &case.bias,
        scale: &case.scale,
    };
    let (input, residual) = (typed::<T>(&case.input), typed::<T>(&case.residual));
    let mut results = Vec::new();
    for backward in [false, true] {
        let mut in_place = residual.clone();
        let mut output = vec![T::from_f32(7.0); residual.len()];
        for slices in [
            Slices::from((&residual, &mut output)),
            Slices::from(&mut in_place),
        ] {
            if backward {
                add_backward(source, &case.scale, slices, &case.call)?;
            } else {
                add(source, &input, vectors, slices, &case.call)?;
            }
        }
        assert_eq!(bits(&output), bits(&in_place));
        results.push(bits(&output));
    }
    let [sum, gradient] = results.try_into().expect("two results");
    Ok([sum, gradient])
}

fn of_type(case: &Case) -> Result<[Vec<u32>; 2], CpuError> {
    match case.element {
        ElementType::F16 if case.stream == ElementType::F32 => run_wide::<f16>(case),
        ElementType::Bf16 if case.stream == ElementType::F32 => run_wide::<bf16>(case),
        ElementType::F16 => run::<f16>(case),
        ElementType::Bf16 => run::<bf16>(case),
        _ => run::<f32>(case),
    }
}

#[track_caller]
fn check(case: &Case) {
    let [sum, gradient] = of_type(case).unwrap();
    case.check_sum(&sum).unwrap();
    case.check_gradient(&gradient).unwrap();
}

#[test]
fn sums_of_any_length_and_origin() {
    for [element, stream] in TYPES {
        for len in LENGTHS {
            for origin in origins(len) {
                check(
                    &Case::new(element, call(0.3, origin), Source::Len(len), [0, 0]).beside(stream),
                );
            }
        }
        for p in [0.0, 0.1, 0.5, 1.0] {
            for kind in [DropoutKind::Inverted, DropoutKind::Classic] {
                check(
                    &Case::new(element, kind_call(p, 3, kind), Source::Len(70_001), [0, 0])
                        .beside(stream),
                );
            }
        }
    }
}

#[test]
fn vectors_repeat_over_the_elements() {
    for [element, stream] in TYPES {
        for columns in [1, 2, 3, 8, 31, 32, 33, 768, 5000] {
            let len = 12 * columns as u64;
            for lens in [
                [columns, 0],
                [0, columns],
                [columns, columns],
                [4 * columns, columns],
            ] {
                for p in [0.0, 0.4, 1.0] {
                    check(&Case::new(element, call(p, 5), Source::Len(len), lens).beside(stream));
                }
            }
        }
    }
}

#[test]
fn sums_of_layouts_samples_and_packed_masks() {
    for (source, columns) in sources() {
        for [element, stream] in TYPES {
            for p in [0.0, 0.4, 1.0] {
                let lens = [columns, columns];
                check(&Case::new(element, call(p, 5), source.clone(), lens).beside(stream));
            }
        }
    }
}

#[test]
fn a_fault_in_a_sum_is_seen() {
    let source = Source::Len(999);
    let case = Case::new(ElementType::F32, call(0.4, 5), source, [9, 9]);
    let [sum, gradient] = of_type(&case).unwrap();
    for (name, faulty) in case.faults() {
        assert!(faulty.check_sum(&sum).is_err(), "{name}");
        if name != "a neighbour's bias" {
            assert!(faulty.check_gradient(&gradient).is_err(), "{name}");
        }
    }
}

#[test]
fn what_does_not_fit_a_sum_is_refused_and_writes_nothing() {
    let (input, residual) = ([1.0f32; 12], [2.0f32; 12]);
    let good = call(0.5, 0);
    let refused = |source: MaskSource<'_>,
                   input: &[f32],
                   bias: &[f32],
                   call: DropoutCall,
                   error: CpuError| {
        let mut sum = residual;
        let vectors = Vectors { bias, scale: &[] };
        assert_eq!(
            add(source, input, vectors, &mut sum[..], &call),
            Err(error.clone())
        );
        assert_eq!(sum, residual);
        error.to_string()
    };
    let message = refused(
        MaskSource::Len(12),
        &input,
        &[0.0; 5],
        good,
        vector_length(12, 5),
    );
    assert_eq!(
        message,
        "5 numbers do not repeat over 12 elements: give as many as the last dimension has, or whole rows of them"
    );
    let error = mismatch(11, 12);
    refused(MaskSource::Len(12), &input[..11], &[], good, error);
    let error = SourceError::Length {
        elements: 12,
        required: 13,
    };
    refused(MaskSource::Len(13), &input, &[], good, error.into());
    for kind in [DropoutKind::Alpha, DropoutKind::Gaussian] {
        let operation = Operation::DropoutAdd;
        let error = CallError::Kind { kind, operation };
        let message = refused(
            MaskSource::Len(12),
            &input,
            &[],
            good.with_kind(kind),
            error.into(),
        );
        let expected = "dropout does not go with a residual: use DropoutKind::Inverted or Classic";
        assert_eq!(message, format!("{kind} {expected}"));
    }
}
