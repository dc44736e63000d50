//! Norms after a residual and a dropped branch on the CPU path, and their gradients [M25].

use wgpu_dropout::cpu::{
    AddNorm, Slices, Vectors, add, add_norm, add_norm_backward, gamma_gradient,
};
use wgpu_dropout::half::{bf16, f16};
use wgpu_dropout::{
    CallError, CpuError, DropoutKind, Element, ElementType, MaskPlace, Norm, NormError, Operation,
};

use crate::common::add::{Source, sources};
use crate::common::elements::{bits, typed};
use crate::common::inputs::{call, kind_call};
use crate::common::norm::Case;

/// The sum, the output, the gradient of the sum, the gradient after dropout's backward, and the
/// gradient of γ.
type Results = [Vec<u32>; 5];

const PLACES: [MaskPlace; 2] = [MaskPlace::Branch, MaskPlace::Output];

fn norms() -> [Norm; 2] {
    [Norm::layer(1e-5).unwrap(), Norm::rms(1e-6).unwrap()]
}

fn norm_of(case: &Case) -> AddNorm<'_> {
    AddNorm {
        norm: case.norm,
        place: case.place,
        bias: &case.add.bias,
        gamma: &case.gamma,
        beta: &case.beta,
    }
}

/// The results of `case`. Each is computed into another slice and in place, which must agree.
fn run<T: Element + PartialEq>(case: &Case) -> Result<Results, CpuError> {
    let (norm, source, call) = (norm_of(case), case.add.source.mask_source(), &case.add.call);
    let (input, residual) = (typed::<T>(&case.add.input), typed::<T>(&case.add.residual));
    let zeros = || vec![T::zeroed(); residual.len()];
    let (mut sum, mut output, mut other) = (residual.clone(), zeros(), zeros());
    add_norm(&norm, source, &input, &mut sum, &mut output, call)?;
    let mut apart = zeros();
    let slices = Slices::from((&residual, &mut apart));
    add_norm(&norm, source, &input, slices, &mut other, call)?;
    assert_eq!((bits(&sum), bits(&output)), (bits(&apart), bits(&other)));

    let grad_output = typed::<T>(&case.grad_output);
    let before = || match &case.before {
        Some(before) => typed::<T>(before),
        None => zeros(),
    };
    let accumulate = case.before.is_some();
    let (mut masked, mut grad_sum) = (grad_output.clone(), before());
    add_norm_backward(
        &norm,
        source,
        &sum,
        &mut masked,
        &mut grad_sum,
        call,
        accumulate,
    )?;
    let (mut apart, mut other) = (zeros(), before());
    let slices = Slices::from((&grad_output, &mut apart));
    add_norm_backward(&norm, source, &sum, slices, &mut other, call, accumulate)?;
    assert_eq!(
        (bits(&masked), bits(&grad_sum)),
        (bits(&apart), bits(&other))
    );

    let grad_normed = match case.place {
        MaskPlace::Output => &masked,
        _ => &grad_output,
    };
    let mut gamma = vec![0.5; case.columns()];
    gamma_gradient(case.norm, &sum, grad_normed, &mut gamma, true)?;
    Ok([
        bits(&sum),
        bits(&output),
        bits(&grad_sum),
        bits(&masked),
        bits(&gamma),
    ])
}

fn of_type(case: &Case) -> Result<Results, CpuError> {
    match case.add.element {
        ElementType::F16 => run::<f16>(case),
        ElementType::Bf16 => run::<bf16>(case),
        _ => run::<f32>(case),
    }
}

/// The largest errors of output and gradient, as fractions of their bounds.
#[track_caller]
fn check(case: &Case) -> [f64; 2] {
    let [sum, output, grad_sum, masked, gamma] = of_type(case).unwrap();
    case.check_sum(&sum).unwrap();
    let of_output = case.check_output(&sum, &output).unwrap();
    let of_gradient = case.check_gradients(&sum, &grad_sum, &masked).unwrap();
    let grad_normed = match case.place {
        MaskPlace::Output => &masked,
        _ => &case.grad_output,
    };
    case.check_gamma(&sum, grad_normed, &gamma, 0.5).unwrap();
    [of_output, of_gradient]
}

#[test]
fn rows_of_any_length_and_offset_lie_within_the_bound() {
    let mut worst = [0.0f64; 2];
    for norm in norms() {
        for (columns, rows) in [
            (1, 5),
            (2, 3),
            (3, 7),
            (32, 9),
            (33, 9),
            (255, 3),
            (768, 12),
            (1_023, 5),
            (8_193, 2),
            (65_536, 1),
        ] {
            for (number, offset) in [0.0, 1.0, 1e3, 1e5].into_iter().enumerate() {
                for &element in ElementType::ALL {
                    let place = PLACES[number % 2];
                    let source = Source::Len((columns * rows) as u64);
                    let case = Case::new(norm, place, element, call(0.3, 5), source, [columns; 2]);
                    // 1e5 overflows f16.
                    let case = match element {
                        ElementType::F16 => case.about(0.1 * offset, 1.0),
                        _ => case.about(offset, 1.0),
                    };
                    let case = if number < 2 { case } else { case.accumulated() };
                    let ratios = check(&case);
                    worst = [0, 1].map(|i| worst[i].max(ratios[i]));
                }
            }
        }
    }
    println!("worst error / bound: {worst:.2?}");
}

#[test]
fn norms_of_layouts_samples_and_packed_masks() {
    for (source, columns) in sources() {
        for place in PLACES {
            for (number, norm) in norms().into_iter().enumerate() {
                for (of_type, &element) in ElementType::ALL.iter().enumerate() {
                    let p = [0.4, 0.0, 1.0][(number + of_type) % 3];
                    let kind = [DropoutKind::Inverted, DropoutKind::Classic][number];
                    let bias = columns * [0, 1, 4][of_type];
                    let call = kind_call(p, 5, kind);
                    check(&Case::new(
                        norm,
                        place,
                        element,
                        call,
                        source.clone(),
                        [columns, bias],
                    ));
                }
            }
        }
    }
}

#[test]
fn a_sum_has_the_bits_of_a_sum_without_a_norm() {
    let [norm, _] = norms();
    let source = Source::Len(70 * 33);
    let case = Case::new(
        norm,
        MaskPlace::Branch,
        ElementType::F32,
        call(0.4, 5),
        source,
        [33, 33],
    );
    let [sum, ..] = of_type(&case).unwrap();
    let mut alone = typed::<f32>(&case.add.residual);
    let vectors = Vectors {
        bias: &case.add.bias,
        scale: &[],
    };
    let input = typed::<f32>(&case.add.input);
    add(70u64 * 33, &input, vectors, &mut alone, &case.add.call).unwrap();
    assert_eq!(sum, bits(&alone));
}

#[test]
fn a_row_has_the_same_bits_in_each_batch() {
    for &element in ElementType::ALL {
        // Different tasks of the thread pool take these rows.
        let (columns, rows) = (333, 1_000);
        let [norm, _] = norms();
        let of = |rows: usize| {
            let source = Source::Len((rows * columns) as u64);
            let case = Case::new(
                norm,
                MaskPlace::Branch,
                element,
                call(0.4, 5),
                source,
                [columns; 2],
            );
            of_type(&case).unwrap()
        };
        let (many, few) = (of(rows), of(2));
        for (many, few) in many.iter().zip(&few).take(4) {
            assert_eq!(many[..2 * columns], few[..]);
        }
    }
}

#[test]
fn a_fault_in_a_norm_is_seen() {
    let norm = Norm::layer(0.1).unwrap();
    for place in PLACES {
        let source = Source::Len(90 * 11);
        let case = Case::new(
            norm,
            place,
            ElementType::F32,
            call(0.4, 5),
            source,
            [11, 11],
        );
        let [sum, output, grad_sum, masked, gamma] = of_type(&case).unwrap();
        for (name, faulty) in case.faults() {
            let of_sum = faulty.check_sum(&sum).is_err();
            let of_output = faulty.check_output(&sum, &output).is_err();
            let of_gradient = faulty.check_gradients(&sum, &grad_sum, &masked).is_err();
            let of_branch = place == MaskPlace::Branch;
            let expected = match name {
                "another stream" => [of_branch, !of_branch, true],
                "a neighbour's bias" => [true, false, false],
                "a neighbour's β" => [false, true, false],
                _ => [false, true, true],
            };
            assert_eq!(
                [of_sum, of_output, of_gradient],
                expected,
                "{name}, {place:?}"
            );
        }
        let other = &case.grad_output.iter().rev().copied().collect::<Vec<_>>();
        assert!(case.check_gamma(&sum, other, &gamma, 0.5).is_err());
    }
}

#[test]
fn moments_of_one_pass_are_seen() {
    let norm = Norm::layer(0.0).unwrap();
    let source = Source::Len(4 * 768);
    let case = Case::new(
        norm,
        MaskPlace::Branch,
        ElementType::F32,
        call(0.0, 0),
        source,
        [768, 768],
    );
    let case = case.about(1e3, 1.0);
    let [sum, output, ..] = of_type(&case).unwrap();
    case.check_output(&sum, &output).unwrap();
    let numbers = typed::<f32>(&sum);
    let rows = numbers.chunks(768).flat_map(|row| {
        let mean = row.iter().sum::<f32>() / 768.0;
        let square = row.iter().map(|x| x * x).sum::<f32>() / 768.0;
        let factor = 1.0 / (square - mean * mean).sqrt();
        let numbers = row.iter().zip(&case.gamma).zip(&case.beta);
        numbers.map(move |((x, gamma), beta)| (x - mean) * factor * gamma + beta)
    });
    let one_pass: Vec<_> = rows.map(f32::to_bits).collect();
    assert!(case.check_output(&sum, &one_pass).is_err());
}

#[test]
fn what_does_not_fit_a_norm_is_refused_and_writes_nothing() {
    for epsilon in [-1e-9, f32::NAN, f32::INFINITY] {
        for norm in [Norm::layer(epsilon), Norm::rms(epsilon)] {
            let error = norm.unwrap_err();
            assert!(matches!(error, NormError::Epsilon { .. }));
            let message = format!("epsilon is {epsilon}; give a number from 0 to 3.4e38, as 1e-5");
            assert_eq!(error.to_string(), message);
        }
    }
    let refused = |rms: bool, gamma: usize, beta: usize, bias: usize, output: usize, call| {
        let (gamma, beta, bias) = (vec![1.0; gamma], vec![1.0; beta], vec![1.0; bias]);
        let [layer, of_squares] = norms();
        let norm = AddNorm {
            norm: if rms { of_squares } else { layer },
            place: MaskPlace::Branch,
            bias: &bias,
            gamma: &gamma,
            beta: &beta,
        };
        let (mut sum, mut output) = ([7.0f32; 12], vec![7.0; output]);
        let error = add_norm(&norm, 12u64, &[1.0; 12], &mut sum[..], &mut output, &call);
        assert!(sum.iter().chain(&output).all(|x| *x == 7.0));
        error.unwrap_err()
    };
    let good = call(0.5, 0);
    let vector = |len| CpuError::VectorLength { elements: 12, len };
    assert_eq!(refused(false, 5, 5, 0, 12, good), vector(5));
    assert_eq!(refused(false, 4, 4, 8, 12, good), vector(8));
    let error = refused(false, 4, 3, 0, 12, good);
    assert_eq!(
        error.to_string(),
        "β has 3 numbers instead of 4: give as many as γ has, or none for an RMS norm"
    );
    assert!(matches!(
        refused(true, 4, 4, 0, 12, good),
        CpuError::NormLength { columns: 0, .. }
    ));
    let error = refused(false, 0, 0, 0, 12, good);
    assert_eq!(
        error.to_string(),
        "a norm does not take rows of 0 elements: give 1 to 16777216 columns"
    );
    let lengths = CpuError::LengthMismatch {
        input: 12,
        output: 11,
    };
    assert_eq!(refused(false, 4, 4, 0, 11, good), lengths);
    for kind in [DropoutKind::Alpha, DropoutKind::Gaussian] {
        let operation = Operation::DropoutAddNorm;
        let error = CallError::Kind { kind, operation };
        assert_eq!(
            refused(false, 4, 4, 0, 12, good.with_kind(kind)),
            error.into()
        );
    }
}
