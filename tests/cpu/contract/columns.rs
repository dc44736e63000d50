//! Column sums and gradients of scales on the CPU path [M23].

use wgpu_dropout::cpu::{column_sums, scale_gradient};
use wgpu_dropout::{CallError, DropoutKind, ElementType, Operation};

use super::ways::{mismatch, vector_length};
use crate::common::add::{Case, Source, check_columns, sources};
use crate::common::inputs::{call, kind_call};

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

fn numbers(bits: &[u32]) -> Vec<f32> {
    bits.iter().map(|bits| f32::from_bits(*bits)).collect()
}

#[test]
fn sums_of_any_shape_are_within_their_bound() {
    for (rows, columns) in [
        (0, 3),
        (1, 1),
        (1, 5_000),
        (63, 5),
        (64, 7),
        (65, 7),
        (9_000, 3),
    ] {
        let source = Source::Len((rows * columns) as u64);
        let case = Case::new(ElementType::F32, call(0.4, 5), source, [0, 0]).tame();
        let numbers = numbers(&case.input);
        let terms: Vec<f64> = numbers.iter().map(|number| (*number).into()).collect();
        let mut sums = vec![3.5; columns];
        column_sums(&numbers, &mut sums, true).unwrap();
        check_columns(&terms, &bits(&sums), 3.5).unwrap();
        column_sums(&numbers, &mut sums, false).unwrap();
        check_columns(&terms, &bits(&sums), 0.0).unwrap();
        if rows > 0 {
            assert!(check_columns(&terms, &bits(&sums), 0.5).is_err());
        }
    }
    column_sums::<f32>(&[], &mut [], false).unwrap();
}

#[test]
fn gradients_of_scales_are_within_their_bound() {
    for (source, columns) in sources() {
        for p in [0.0, 0.4, 1.0] {
            for kind in [DropoutKind::Inverted, DropoutKind::Classic] {
                let lens = [4 * columns, columns];
                let case = Case::new(
                    ElementType::F32,
                    kind_call(p, 5, kind),
                    source.clone(),
                    lens,
                );
                let case = case.tame();
                let [input, gradient] = [&case.input, &case.residual].map(|data| numbers(data));
                let source = case.source.mask_source();
                let mut sums = vec![0.0; columns];
                let bias = &case.bias;
                scale_gradient(
                    source, &input, bias, &gradient, &mut sums, &case.call, false,
                )
                .unwrap();
                case.check_scale_gradient(&bits(&sums), 0.0).unwrap();
            }
        }
    }
}

#[test]
fn a_fault_in_the_gradient_of_a_scale_is_seen() {
    let source = Source::Len(999);
    let case = Case::new(ElementType::F32, call(0.4, 5), source, [9, 9]).tame();
    let [input, gradient] = [&case.input, &case.residual].map(|data| numbers(data));
    let mut sums = [0.0; 9];
    scale_gradient(
        999u64, &input, &case.bias, &gradient, &mut sums, &case.call, false,
    )
    .unwrap();
    case.check_scale_gradient(&bits(&sums), 0.0).unwrap();
    for (name, faulty) in case.faults() {
        let is_seen = faulty.check_scale_gradient(&bits(&sums), 0.0).is_err();
        assert_eq!(is_seen, name != "a neighbour's scale", "{name}");
    }
}

#[test]
fn what_does_not_fit_a_sum_of_columns_is_refused_and_writes_nothing() {
    let mut sums = [7.0; 5];
    let error = vector_length(12, 5);
    assert_eq!(
        column_sums(&[1.0f32; 12], &mut sums, false),
        Err(error.clone())
    );
    let error_without = vector_length(12, 0);
    assert_eq!(
        column_sums(&[1.0f32; 12], &mut [], false),
        Err(error_without)
    );
    let good = call(0.5, 0);
    let mut gradient = |len: usize, bias: &[f32], grads: usize, call| {
        let (input, output) = (vec![1.0f32; len], vec![1.0f32; grads]);
        scale_gradient(len as u64, &input, bias, &output, &mut sums, &call, false)
    };
    assert_eq!(gradient(12, &[], 12, good), Err(error));
    let bias = vector_length(10, 4);
    assert_eq!(gradient(10, &[0.0; 4], 10, good), Err(bias));
    let lengths = mismatch(10, 9);
    assert_eq!(gradient(10, &[], 9, good), Err(lengths));
    for kind in [DropoutKind::Alpha, DropoutKind::Gaussian] {
        let operation = Operation::DropoutAdd;
        let error = CallError::Kind { kind, operation };
        assert_eq!(
            gradient(10, &[], 10, good.with_kind(kind)),
            Err(error.into())
        );
    }
    assert_eq!(sums, [7.0; 5]);
}
