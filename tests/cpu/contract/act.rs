//! Activations before a dropout on the CPU path, and their gradients [M24].

use wgpu_dropout::cpu::{
    Gated, GatedSlices, Slices, activate, activate_backward, activate_gated,
    activate_gated_backward,
};
use wgpu_dropout::half::{bf16, f16};
use wgpu_dropout::{
    Activation, CallError, CpuError, DropoutKind, Element, ElementType, MaskSource, Operation,
    SourceError,
};

use super::ways::vector_length;
use crate::common::act::{Case, every_input, slope, traps, value};
use crate::common::add::{Source, sources};
use crate::common::elements::{bits, typed};
use crate::common::inputs::{LENGTHS, call, kind_call, origins};

/// The output and the gradient. Each is computed into another slice and in place, which must agree.
fn run<T: Element + PartialEq>(case: &Case) -> Result<[Vec<u32>; 2], CpuError> {
    let (input, grad) = (typed::<T>(&case.input), typed(&case.grad_output));
    let mut results = Vec::new();
    for backward in [false, true] {
        let mut in_place = input.clone();
        let mut output = vec![T::from_f32(7.0); input.len()];
        for slices in [
            Slices::from((&input, &mut output)),
            Slices::from(&mut in_place),
        ] {
            let (activation, source) = (case.activation, case.source.mask_source());
            if backward {
                activate_backward(activation, source, &case.bias, &grad, slices, &case.call)?;
            } else {
                activate(activation, source, &case.bias, slices, &case.call)?;
            }
        }
        assert_eq!(bits(&output), bits(&in_place));
        results.push(bits(&output));
    }
    let [output, gradient] = results.try_into().expect("two results");
    Ok([output, gradient])
}

/// The output and both gradients, from gate and up as two slices and as halves of rows of
/// `columns`.
fn run_gated<T: Element + PartialEq>(
    case: &Case,
    columns: usize,
) -> Result<[Vec<u32>; 3], CpuError> {
    let (gate, up) = (
        typed::<T>(&case.input),
        typed(case.up.as_ref().expect("a gate")),
    );
    let rows = typed::<T>(&case.halves(columns));
    let grad = typed(&case.grad_output);
    let (activation, bias, call) = (case.activation, &case.bias, &case.call);
    let mut outputs = [gate.clone(), gate.clone()];
    let forms = [
        Gated::Two {
            gate: &gate,
            up: &up,
        },
        Gated::Halves {
            rows: &rows,
            columns,
        },
    ];
    for (gated, output) in forms.into_iter().zip(&mut outputs) {
        activate_gated(
            activation,
            case.source.mask_source(),
            bias,
            gated,
            output,
            call,
        )?;
    }
    let [output, other] = outputs.map(|output| bits(&output));
    assert_eq!(output, other);
    let (mut grad_gate, mut grad_up) = (gate, up);
    let (mut in_place, mut grad_rows) = (rows.clone(), vec![T::from_f32(7.0); rows.len()]);
    for gated in [
        GatedSlices::Two {
            gate: &mut grad_gate,
            up: &mut grad_up,
        },
        GatedSlices::Halves {
            rows: Slices::from(&mut in_place),
            columns,
        },
        GatedSlices::Halves {
            rows: Slices::from((&rows, &mut grad_rows)),
            columns,
        },
    ] {
        activate_gated_backward(
            activation,
            case.source.mask_source(),
            bias,
            &grad,
            gated,
            call,
        )?;
    }
    let both = [bits(&grad_gate), bits(&grad_up)];
    for rows in [in_place, grad_rows] {
        assert_eq!(Case::apart(&bits(&rows), columns), both);
    }
    let [gate, up] = both;
    Ok([output, gate, up])
}

#[track_caller]
fn check(case: &Case) -> [f64; 2] {
    let results = match case.element {
        ElementType::F16 => run::<f16>(case),
        ElementType::Bf16 => run::<bf16>(case),
        _ => run::<f32>(case),
    };
    let [output, gradient] = results.unwrap();
    [
        case.check_output(&output).unwrap(),
        case.check_gradient(&gradient).unwrap(),
    ]
}

#[track_caller]
fn check_gated(case: &Case, columns: usize) {
    let results = match case.element {
        ElementType::F16 => run_gated::<f16>(case, columns),
        ElementType::Bf16 => run_gated::<bf16>(case, columns),
        _ => run_gated::<f32>(case, columns),
    };
    let [output, gate, up] = results.unwrap();
    case.check_output(&output).unwrap();
    case.check_gradient(&gate).unwrap();
    case.check_up_gradient(&up).unwrap();
}

#[test]
fn derivatives_are_limits_of_differences() {
    for &activation in Activation::ALL {
        for step in -4000..4000 {
            let x = f64::from(step) / 300.0 + 1e-3;
            let h = 1e-5;
            let [above, below] = [x + h, x - h].map(|x| value(activation, x));
            let difference = (above - below) / (2.0 * h);
            let error = (difference - slope(activation, x)).abs();
            assert!(error < 1e-8, "{activation} at {x}: {error:e}");
        }
    }
}

#[test]
fn values_and_gradients_of_every_input_lie_within_their_bounds() {
    for &activation in Activation::ALL {
        for &element in ElementType::ALL {
            let mut worst = [0.0f64; 2];
            for case in every_input(activation, element) {
                let ratios = check(&case);
                worst = [0, 1].map(|i| worst[i].max(ratios[i]));
            }
            if element == ElementType::F32 {
                let [value, slope] = worst;
                println!(
                    "{activation}: worst error / bound {value:.2}, of the gradient {slope:.2}"
                );
            }
        }
    }
}

#[test]
fn activations_of_any_length_and_origin() {
    for &element in ElementType::ALL {
        for len in LENGTHS {
            for origin in origins(len) {
                let source = Source::Len(len);
                let case = Case::new(Activation::Gelu, element, call(0.3, origin), source, 0);
                check(&case);
                check_gated(&case.gated(), 1);
            }
        }
        for &activation in Activation::ALL {
            for p in [0.0, 0.1, 0.5, 1.0] {
                for kind in [DropoutKind::Inverted, DropoutKind::Classic] {
                    let (call, source) = (kind_call(p, 3, kind), Source::Len(70_001));
                    let case = Case::new(activation, element, call, source, 0);
                    check(&case);
                    check_gated(&case.gated(), 70_001);
                }
            }
        }
    }
}

#[test]
fn biases_repeat_over_the_elements() {
    for &element in ElementType::ALL {
        for columns in [1, 2, 3, 8, 31, 32, 33, 768, 5000, 65_536] {
            let source = Source::Len(12 * columns as u64);
            for activation in [Activation::Identity, Activation::Silu] {
                let call = call(0.4, 5);
                let case = Case::new(activation, element, call, source.clone(), columns);
                check(&case);
                check_gated(&case.gated(), columns);
            }
        }
    }
}

#[test]
fn activations_of_layouts_samples_and_packed_masks() {
    for (source, columns) in sources() {
        for &element in ElementType::ALL {
            for p in [0.0, 0.4, 1.0] {
                let activation = Activation::QuickGelu;
                let case = Case::new(activation, element, call(p, 5), source.clone(), columns);
                check(&case);
                check_gated(&case.gated(), columns);
            }
        }
    }
}

#[test]
fn specials_have_the_values_of_the_contract() {
    for &activation in Activation::ALL {
        for &element in ElementType::ALL {
            let mut case = Case::new(activation, element, call(0.4, 5), Source::Len(4099), 0);
            let traps = traps(element);
            for (element, x) in case.input.iter_mut().enumerate() {
                *x = traps[element % traps.len()];
            }
            check(&case);
            check_gated(&case.gated(), 4099);
        }
    }
}

#[test]
fn a_fault_in_an_activation_is_seen() {
    for &activation in Activation::ALL {
        let source = Source::Len(999);
        let case = Case::new(activation, ElementType::F32, call(0.4, 5), source, 9);
        let [output, gradient] = run::<f32>(&case).unwrap();
        for (name, faulty) in case.faults() {
            assert!(
                faulty.check_output(&output).is_err(),
                "{activation}, {name}"
            );
            // The identity's slope is the same everywhere, so no gradient shows a wrong bias.
            if name != "a neighbour's bias" || activation != Activation::Identity {
                assert!(
                    faulty.check_gradient(&gradient).is_err(),
                    "{activation}, {name}"
                );
            }
        }
        let case = case.gated();
        let [_, gate, up] = run_gated::<f32>(&case, 9).unwrap();
        for (name, faulty) in case.faults() {
            assert!(
                faulty.check_gradient(&gate).is_err(),
                "{activation}, {name}"
            );
            assert!(
                faulty.check_up_gradient(&up).is_err(),
                "{activation}, {name}"
            );
        }
    }
}

#[test]
fn what_does_not_fit_an_activation_is_refused_and_writes_nothing() {
    let data = [1.0f32; 12];
    let good = call(0.5, 0);
    let refused = |source: MaskSource<'_>, bias: &[f32], call, error: CpuError| {
        let mut output = data;
        let result = activate(Activation::Relu, source, bias, &mut output[..], &call);
        assert_eq!(result, Err(error.clone()));
        let result = activate_backward(
            Activation::Relu,
            source,
            bias,
            &data,
            &mut output[..],
            &call,
        );
        assert_eq!(result, Err(error.clone()));
        assert_eq!(output, data);
        error.to_string()
    };
    let (elements, len) = (12, 5);
    let error = CpuError::VectorLength { elements, len };
    refused(MaskSource::Len(12), &[0.0; 5], good, error);
    let error = SourceError::Length {
        elements: 12,
        required: 13,
    };
    refused(MaskSource::Len(13), &[], good, error.into());
    for kind in [DropoutKind::Alpha, DropoutKind::Gaussian] {
        let operation = Operation::ActDropout;
        let error = CallError::Kind { kind, operation };
        let message = refused(MaskSource::Len(12), &[], good.with_kind(kind), error.into());
        let expected =
            "dropout does not go with an activation: use DropoutKind::Inverted or Classic";
        assert_eq!(message, format!("{kind} {expected}"));
    }

    let (rows, mut output) = ([2.0f32; 24], data);
    let mut gated = |rows: &[f32], columns, biases: &[f32], error: CpuError| {
        let gated = Gated::Halves { rows, columns };
        let result = activate_gated(Activation::Silu, 12u64, biases, gated, &mut output, &good);
        assert_eq!(result, Err(error.clone()));
        let mut grad = rows.to_vec();
        let slices = GatedSlices::Halves {
            rows: Slices::from(&mut grad),
            columns,
        };
        let result = activate_gated_backward(Activation::Silu, 12u64, biases, &data, slices, &good);
        assert_eq!(result, Err(error.clone()));
        assert!(output == data && grad == rows);
        error.to_string()
    };
    for columns in [0, 5, 24] {
        let error = CpuError::Columns {
            elements: 12,
            columns,
        };
        assert_eq!(
            gated(&rows, columns, &[], error),
            format!("12 elements are not whole rows of {columns}: give the size of half a row")
        );
    }
    assert_eq!(
        gated(
            &rows[..23],
            4,
            &[],
            CpuError::Halves {
                rows: 23,
                elements: 12
            }
        ),
        "rows of two halves have 23 elements in all, the gate 12: give twice as many as the gate has"
    );
    let error = vector_length(12, 7);
    gated(&rows, 4, &[0.0; 7], error);
    let error = vector_length(12, 5);
    gated(&rows, 4, &[0.0; 10], error);
}
