//! A softmax before a dropout on the CPU path, and its gradient [M26].

use wgpu_dropout::cpu::{Slices, apply, softmax, softmax_backward};
use wgpu_dropout::half::{bf16, f16};
use wgpu_dropout::{
    AttentionMask, CallError, CpuError, Direction, DropoutKind, Element, ElementType, Operation,
    SavedSoftmax, Softmax, SoftmaxError, SoftmaxShapeError,
};

use crate::common::add::{Source, sources};
use crate::common::elements::{bits, typed};
use crate::common::inputs::{call, kind_call};
use crate::common::softmax::{Case, masks};

/// The output, the probabilities, the gradient from scores and the gradient from probabilities.
type Results = [Vec<u32>; 4];

fn mask(case: &Case) -> AttentionMask<&[f32]> {
    match &case.mask {
        AttentionMask::Additive(mask) => AttentionMask::Additive(mask),
        AttentionMask::Causal {
            rows_per_matrix,
            offset,
        } => AttentionMask::Causal {
            rows_per_matrix: *rows_per_matrix,
            offset: *offset,
        },
        _ => AttentionMask::None,
    }
}

/// The results of `case`. Each is computed into another slice and in place.
fn run<T: Element>(case: &Case) -> Result<Results, CpuError> {
    let (rows, source, call) = (case.softmax, case.add.source.mask_source(), &case.add.call);
    let (scores, grad) = (typed::<T>(&case.add.input), typed::<T>(&case.add.residual));
    let zeros = || vec![T::zeroed(); scores.len()];
    let (mut output, mut kept, mut apart) = (scores.clone(), zeros(), zeros());
    softmax(
        rows,
        mask(case),
        source,
        &mut output,
        Some(&mut kept[..]),
        call,
    )?;
    softmax(
        rows,
        mask(case),
        source,
        Slices::from((&scores, &mut apart)),
        None,
        call,
    )?;
    assert_eq!(bits(&output), bits(&apart));
    let backward = |saved: SavedSoftmax<&[T]>| {
        let (mut in_place, mut apart) = (grad.clone(), zeros());
        softmax_backward(rows, mask(case), source, saved, &mut in_place, call)?;
        let slices = Slices::from((&grad, &mut apart));
        softmax_backward(rows, mask(case), source, saved, slices, call)?;
        assert_eq!(bits(&in_place), bits(&apart));
        Ok::<_, CpuError>(bits(&apart))
    };
    let from_scores = backward(SavedSoftmax::Scores(&scores))?;
    let from_kept = backward(SavedSoftmax::Probabilities(&kept))?;
    Ok([bits(&output), bits(&kept), from_scores, from_kept])
}

fn of_type(case: &Case) -> Result<Results, CpuError> {
    match case.add.element {
        ElementType::F16 => run::<f16>(case),
        ElementType::Bf16 => run::<bf16>(case),
        _ => run::<f32>(case),
    }
}

fn compare(case: &Case, results: &Results) -> Result<[f64; 2], String> {
    let [output, kept, from_scores, from_kept] = results;
    let of_output = case.check_output(output, true)?;
    let of_kept = case.check_output(kept, false)?;
    let of_gradient = case.check_gradient(None, from_scores)?;
    let from_kept = case.check_gradient(Some(kept), from_kept)?;
    Ok([of_output.max(of_kept), of_gradient.max(from_kept)])
}

/// The largest errors of outputs and gradients, as fractions of their bounds.
#[track_caller]
fn check(case: &Case) -> [f64; 2] {
    compare(case, &of_type(case).unwrap()).unwrap()
}

fn plain(rows: usize, columns: usize, element: ElementType) -> Case {
    let softmax = Softmax::new(columns as u32, 0.7).unwrap();
    let source = Source::Len((rows * columns) as u64);
    Case::new(softmax, AttentionMask::None, element, call(0.3, 5), source)
}

#[test]
fn rows_of_any_length_under_each_mask_lie_within_the_bound() {
    let mut worst = [0.0f64; 2];
    for (columns, rows) in [
        (1, 6),
        (2, 4),
        (3, 8),
        (32, 9),
        (33, 15),
        (255, 4),
        (768, 12),
        (1_023, 4),
        (8_193, 2),
        (65_536, 2),
    ] {
        for (number, mask) in masks(rows, columns).into_iter().enumerate() {
            for (of_type, &element) in ElementType::ALL.iter().enumerate() {
                // Long rows are slow: each type gets some of the masks, and each mask some of the
                // types.
                if columns > 8_000 && (number + of_type) % 3 > 0 {
                    continue;
                }
                let mut case = plain(rows, columns, element);
                case.mask = mask.clone();
                case.softmax = Softmax::new(columns as u32, [0.7, -3.0][number % 2]).unwrap();
                case.spread([8.0, 300.0, 1e-3][number % 3]);
                let ratios = check(&case);
                worst = [0, 1].map(|i| worst[i].max(ratios[i]));
            }
        }
    }
    println!("worst error / bound: {worst:.2?}");
}

#[test]
fn softmaxes_of_layouts_samples_and_packed_masks() {
    for (number, (source, columns)) in sources().into_iter().enumerate() {
        for (of_type, &element) in ElementType::ALL.iter().enumerate() {
            for (turn, p) in [0.4, 0.0, 1.0].into_iter().enumerate() {
                let kind = [DropoutKind::Inverted, DropoutKind::Classic][(number + turn) % 2];
                let softmax = Softmax::new(columns as u32, 0.125).unwrap();
                let masks = masks(24, columns);
                let mask = masks[(number + of_type + turn) % masks.len()].clone();
                let call = kind_call(p, 5, kind);
                check(&Case::new(softmax, mask, element, call, source.clone()));
            }
        }
    }
}

/// Softmax, then dropout as a second call, with a rounding to the type between them.
#[test]
fn probabilities_that_are_dropped_apart_are_as_near() {
    for kind in [DropoutKind::Inverted, DropoutKind::Classic] {
        let mut case = plain(40, 33, ElementType::F32);
        case.add.call = kind_call(0.4, 5, kind);
        let [output, kept, ..] = of_type(&case).unwrap();
        let mut apart = typed::<f32>(&kept);
        apply(Direction::Forward, 40u64 * 33, &mut apart, &case.add.call).unwrap();
        // For f32 the two agree to the bit: both multiply the same probability once.
        assert_eq!(output, bits(&apart));
        case.check_output(&bits(&apart), true).unwrap();
    }
}

#[test]
fn numbers_without_a_softmax_have_one_as_stated() {
    const INF: f32 = f32::INFINITY;
    let of = |scores: &[f32], mask: AttentionMask<&[f32]>| {
        let mut output = scores.to_vec();
        let softmax_of = Softmax::new(4, 1.0).unwrap();
        softmax(softmax_of, mask, 4u64, &mut output, None, &call(0.0, 0)).unwrap();
        output
    };
    let none = AttentionMask::None;
    assert_eq!(of(&[-INF; 4], none), [0.25; 4]);
    assert_eq!(of(&[-INF, 2.0, -INF, 2.0], none), [0.0, 0.5, 0.0, 0.5]);
    assert_eq!(of(&[INF, 2.0, 3e38, -3e38], none), [0.5, 0.0, 0.5, 0.0]);
    assert!(
        of(&[1.0, f32::NAN, -INF, 0.0], none)
            .iter()
            .all(|x| x.is_nan())
    );
    let hidden = [-INF; 4];
    let numbers = [3.0, INF, -7.0, 1e30];
    assert_eq!(of(&numbers, AttentionMask::Additive(&hidden)), [0.25; 4]);
    let some = [-INF, f32::MIN, 0.0, -1.8e38];
    assert_eq!(
        of(&numbers, AttentionMask::Additive(&some)),
        [0.0, 0.0, 1.0, 0.0]
    );
    let nan = [0.0, 0.0, f32::NAN, 0.0];
    assert!(
        of(&[0.0; 4], AttentionMask::Additive(&nan))
            .iter()
            .all(|x| x.is_nan())
    );
    let causal = |offset| AttentionMask::Causal {
        rows_per_matrix: 1,
        offset,
    };
    // A masked NaN does not spread.
    assert_eq!(
        of(&[1.0, 1.0, f32::NAN, 0.0], causal(1)),
        [0.5, 0.5, 0.0, 0.0]
    );
    assert_eq!(bits(&of(&[1.0; 4], causal(-1))), [0; 4]);
}

/// Tensors with special numbers, and their gradients, have the results that the contract states.
#[test]
fn specials_in_many_rows_are_as_stated() {
    for &element in ElementType::ALL {
        for mask in masks(60, 37) {
            let mut case = plain(60, 37, element);
            case.softmax = Softmax::new(37, 0.125).unwrap();
            case.mask = mask;
            case.specials();
            check(&case);
        }
    }
}

#[test]
fn a_row_has_the_same_bits_in_each_batch() {
    for &element in ElementType::ALL {
        // Different tasks of the thread pool take these rows.
        let (columns, rows) = (333, 1_000);
        let (many, few) = (plain(rows, columns, element), plain(2, columns, element));
        let (many, few) = (of_type(&many).unwrap(), of_type(&few).unwrap());
        for (many, few) in many.iter().zip(&few) {
            assert_eq!(many[..2 * columns], few[..]);
        }
    }
}

#[test]
fn a_fault_in_a_softmax_is_seen() {
    for mask in masks(90, 11).into_iter().take(5) {
        let mut case = plain(90, 11, ElementType::F32);
        case.mask = mask;
        let results = of_type(&case).unwrap();
        compare(&case, &results).unwrap();
        for (name, faulty) in case.faults() {
            let of_output = faulty.check_output(&results[0], true).is_err();
            let of_gradient = faulty.check_gradient(None, &results[2]).is_err();
            assert_eq!([of_output, of_gradient], [true; 2], "{name}: {case}");
        }
    }
}

#[test]
fn a_softmax_that_does_not_subtract_the_largest_is_seen() {
    let mut case = plain(4, 64, ElementType::F32);
    case.spread(200.0);
    let scores = typed::<f32>(&case.add.input);
    let rows = scores.chunks(64).flat_map(|row| {
        let powers = row.iter().map(|x| (0.7 * x).exp());
        let sum: f32 = powers.clone().sum();
        powers.map(move |e| e / sum)
    });
    let without: Vec<_> = rows.map(f32::to_bits).collect();
    assert!(case.check_output(&without, false).is_err());
}

#[test]
fn what_does_not_fit_a_softmax_is_refused_and_writes_nothing() {
    let max = Softmax::MAX_COLUMNS;
    for columns in [0, max + 1] {
        let error = Softmax::new(columns, 1.0).unwrap_err();
        assert_eq!(error, SoftmaxError::Columns { columns, max });
    }
    assert_eq!(
        Softmax::new(0, 1.0).unwrap_err().to_string(),
        "rows of 0 elements have no softmax here: give 1 to 16777216 columns"
    );
    for factor in [f32::NAN, f32::INFINITY] {
        let message = format!(
            "the factor is {factor}; give a number of at most 3.4e38 in magnitude, as 1 / sqrt(64)"
        );
        assert_eq!(Softmax::new(4, factor).unwrap_err().to_string(), message);
    }
    let refused = |columns, mask: AttentionMask<&[f32]>, kept: usize, call| {
        let rows = Softmax::new(columns, 1.0).unwrap();
        let (mut data, mut kept) = ([7.0f32; 12], vec![7.0; kept]);
        let error = softmax(rows, mask, 12u64, &mut data[..], Some(&mut kept), &call).unwrap_err();
        let saved = SavedSoftmax::Probabilities(&kept[..]);
        let of_backward = softmax_backward(rows, mask, 12u64, saved, &mut data[..], &call);
        assert_eq!(
            of_backward.unwrap_err().to_string().len(),
            error.to_string().len()
        );
        assert!(data.iter().chain(&kept).all(|x| *x == 7.0));
        error
    };
    let good = call(0.5, 0);
    let (elements, none) = (12, AttentionMask::None);
    let error = SoftmaxShapeError::Rows {
        elements,
        columns: 5,
    };
    assert_eq!(refused(5, none, 12, good), error.into());
    let columns = 4;
    for len in [0, 2, 8, 24] {
        let numbers = vec![0.0; len];
        let len = len as u64;
        let error = SoftmaxShapeError::Mask {
            len,
            elements,
            columns,
        };
        assert_eq!(
            refused(4, AttentionMask::Additive(&numbers), 12, good),
            error.into()
        );
    }
    for rows_per_matrix in [0, 2, max + 1] {
        let causal = AttentionMask::Causal {
            rows_per_matrix,
            offset: 0,
        };
        let rows = 3;
        let error = SoftmaxShapeError::Matrices {
            rows_per_matrix,
            max,
            rows,
        };
        assert_eq!(refused(4, causal, 12, good), error.into());
        assert_eq!(
            error.to_string(),
            format!(
                "3 rows do not divide into matrices of {rows_per_matrix} rows \
                 (1 to 16777216 are allowed): give the rows of one matrix"
            )
        );
    }
    assert!(matches!(
        refused(4, none, 11, good),
        CpuError::LengthMismatch { .. }
    ));
    for kind in [DropoutKind::Alpha, DropoutKind::Gaussian] {
        let operation = Operation::SoftmaxDropout;
        let error = CallError::Kind { kind, operation };
        assert_eq!(refused(4, none, 12, good.with_kind(kind)), error.into());
    }
}
