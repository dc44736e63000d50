//! Refused uses of `ActDropout`. A refused call records nothing.

use wgpu_dropout::wgsl::Role;
use wgpu_dropout::{
    ActDropout, ActInput, Activation, Bias, BindError, CallError, DropoutKind, ElementType,
    Elements, KernelDescriptor, MaskLayout, Operation, ShapeError,
};

use super::device::{Noop, range, too_short, whole};
use crate::common::inputs::{call, kind_call};

fn act(noop: &Noop) -> ActDropout {
    let descriptor = KernelDescriptor::default();
    ActDropout::new(&noop.device, &descriptor, Activation::Silu).unwrap()
}

#[test]
fn a_bias_that_does_not_repeat_over_the_elements_is_refused() {
    let noop = Noop::downlevel();
    let (act, data, numbers) = (act(&noop), noop.buffer(4096), noop.buffer(4096));
    let bias = |len| Some(Bias::new(whole(&numbers), len));
    noop.without_errors(|| {
        for (elements, len) in [(12, 5), (12, 24), (12, 0)] {
            let error = act.bind_in_place(whole(&data), bias(len), elements);
            assert_eq!(
                error.unwrap_err(),
                ShapeError::VectorLength { elements, len }.into()
            );
        }
        act.bind_in_place(whole(&data), bias(6), 12).unwrap();
        // Halves need twice 600 elements, more than the buffer holds.
        let rows = whole(&data);
        let input = ActInput::Halves { rows, columns: 300 };
        let output = noop.buffer(4096);
        let error = act.bind(input.clone(), whole(&output), bias(600), 600);
        assert_eq!(error.unwrap_err(), too_short(Role::Input, 4096, 4800, 600));
        let input = ActInput::Halves {
            rows: whole(&data),
            columns: 512,
        };
        act.bind(input.clone(), whole(&output), bias(512), 512)
            .unwrap();
        let short = Some(Bias::new(range(&numbers, 0, 4092), 512));
        let error = act.bind(input, whole(&output), short, 512).unwrap_err();
        assert_eq!(error, too_short(Role::Vectors, 4092, 4096, 1024));
    });
}

#[test]
fn halves_that_are_none_are_refused() {
    let noop = Noop::downlevel();
    let (act, rows, grad) = (act(&noop), noop.buffer(4096), noop.buffer(4096));
    let input = |columns| ActInput::Halves {
        rows: whole(&rows),
        columns,
    };
    let of = |element| Elements::from(60).of_type(element);
    let refused = |columns, element, error: BindError, message: &str| {
        noop.without_errors(|| {
            let out = whole(&grad);
            let bound = act.bind(input(columns), out.clone(), None, of(element));
            assert_eq!(bound.unwrap_err(), error);
            let bound = act.bind_backward_in_place(out, input(columns), None, of(element));
            assert_eq!(bound.unwrap_err(), error);
        });
        assert_eq!(error.to_string(), message);
    };
    for columns in [0, 7, 120] {
        let error = ShapeError::Columns {
            elements: 60,
            columns,
        }
        .into();
        let message =
            format!("60 elements are not whole rows of {columns}: give the size of half a row");
        refused(columns, ElementType::F32, error, &message);
    }
    let message = "halves of 15 elements of 16 bits share a u32: give an even number of columns, or gate \
                   and up in two ranges";
    for element in [ElementType::F16, ElementType::Bf16] {
        refused(
            15,
            element,
            ShapeError::OddHalves { columns: 15 }.into(),
            message,
        );
    }
    let out = whole(&grad);
    act.bind(input(15), out, None, of(ElementType::F32))
        .unwrap();
}

#[test]
fn rows_too_long_to_be_cut_are_refused() {
    let noop = Noop::limited(|limits| limits.max_storage_buffer_binding_size = 4096);
    let (act, rows, output) = (act(&noop), noop.buffer(1 << 16), noop.buffer(1 << 16));
    let bind = |columns, elements: u64| {
        let input = ActInput::Halves {
            rows: whole(&rows),
            columns,
        };
        noop.without_errors(|| act.bind(input, whole(&output), None, elements))
    };
    // A binding holds 512 elements of each half and begins at multiples of 64 elements.
    bind(511, 511).unwrap();
    bind(64, 6400).unwrap();
    let error = bind(9, 900).unwrap_err();
    assert_eq!(error, ShapeError::LongHalves { columns: 9 }.into());
    assert_eq!(
        error.to_string(),
        "rows of two halves of 9 elements are too long to be cut where the device's bindings may begin: give a \
         number of columns that a higher power of two divides, or gate and up in two ranges"
    );
}

#[test]
fn forms_of_four_buffers_need_no_limit_and_the_others_name_it() {
    let noop = Noop::downlevel();
    assert_eq!(noop.device.limits().max_storage_buffers_per_shader_stage, 4);
    let act = act(&noop);
    let buffers = [(); 5].map(|()| noop.buffer(4096));
    let [a, b, c, numbers, ids] = [0, 1, 2, 3, 4].map(|i| whole(&buffers[i]));
    let bias = || Some(Bias::new(numbers.clone(), 8));
    let two = || ActInput::Gated {
        gate: a.clone(),
        up: b.clone(),
    };
    let halves = |at: usize| ActInput::Halves {
        rows: whole(&buffers[at]),
        columns: 8,
    };
    let layout = MaskLayout::drop_path(&[4, 8]).unwrap();
    noop.without_errors(|| {
        act.bind(a.clone(), b.clone(), bias(), 32).unwrap();
        act.bind(two(), c.clone(), bias(), &layout).unwrap();
        act.bind(halves(0), c.clone(), bias(), &layout).unwrap();
        act.bind_backward(c.clone(), a.clone(), b.clone(), bias(), 32).unwrap();
        act.bind_backward(c.clone(), halves(0), b.clone(), bias(), 32).unwrap();
        act.bind_backward_in_place(c.clone(), two(), bias(), 32).unwrap();
        act.bind_backward_in_place(c.clone(), halves(0), bias(), 32).unwrap();
        // A forward needs one buffer fewer, so a binding is left for the ids.
        let with_ids = || Elements::samples(&layout, ids.clone());
        act.bind(a.clone(), b.clone(), bias(), with_ids()).unwrap();
        let error = act.bind_backward(c.clone(), a.clone(), b.clone(), bias(), with_ids());
        let (required, available) = (5, 4);
        let error = error.unwrap_err();
        assert_eq!(error, BindError::NoSideBuffer { required, available });
        assert_eq!(
            error.to_string(),
            "with sample ids or a packed mask this binding takes 5 storage buffers, the device allows 4 \
             (max_storage_buffers_per_shader_stage): \
             use a layout without them, or request the device with a higher limit"
        );
        let error = act.bind_backward(c.clone(), two(), a.clone(), bias(), 32).unwrap_err();
        assert_eq!(error, BindError::GradientsOfTwo);
        assert_eq!(
            error.to_string(),
            "if gate and up are two ranges, their gradients overwrite them: \
             use bind_backward_in_place, or the halves of rows"
        );
    });
}

#[test]
fn ranges_of_an_activation_share_no_byte_and_a_bias_no_buffer() {
    let noop = Noop::downlevel();
    let (act, buffer) = (act(&noop), noop.buffer(4096));
    let at = |offset| range(&buffer, offset, 0);
    noop.without_errors(|| {
        let error = act.bind(at(0), at(0), None, 64).unwrap_err();
        let roles = [Role::Input, Role::Output];
        assert_eq!(error, BindError::SameRange { roles, range: 0..256 });
        let error = act.bind_backward(at(0), at(256), at(256), None, 65).unwrap_err();
        let roles = [Role::Gradient, Role::Input];
        let ranges = [0..260, 256..516];
        assert_eq!(error, BindError::Overlap { roles, ranges });
        assert_eq!(
            error.to_string(),
            "gradient of the output bytes 0..260 and input bytes 256..516 of one buffer overlap: move them apart, \
             or use bind_in_place for one range"
        );
        act.bind_backward(at(0), at(256), at(512), None, 64).unwrap();
        let bias = Some(Bias::new(at(1024), 8));
        let error = act.bind_in_place(at(0), bias, 64).unwrap_err();
        let role = Role::Vectors;
        assert_eq!(error, BindError::WrittenBuffer { role });
    });
}

#[test]
fn an_activation_takes_dropout_that_scales() {
    let noop = Noop::downlevel();
    let (act, input, grad) = (act(&noop), noop.buffer(4096), noop.buffer(4096));
    let (input, grad) = (whole(&input), whole(&grad));
    let forward = act.bind(input.clone(), grad.clone(), None, 64).unwrap();
    let backward = act.bind_backward_in_place(grad, input, None, 64).unwrap();
    for p in [0.0, 0.5, 1.0] {
        for kind in [DropoutKind::Alpha, DropoutKind::Gaussian] {
            let (call, operation) = (kind_call(p, 0, kind), Operation::ActDropout);
            let error = CallError::Kind { kind, operation };
            assert!(!noop.records(|pass| {
                assert_eq!(act.encode_forward(pass, &forward, &call), Err(error));
                assert_eq!(act.encode_backward(pass, &backward, &call), Err(error));
            }));
        }
        for kind in [DropoutKind::Inverted, DropoutKind::Classic] {
            let call = kind_call(p, 0, kind);
            assert!(noop.records(|pass| act.encode_forward(pass, &forward, &call).unwrap()));
            assert!(noop.records(|pass| act.encode_backward(pass, &backward, &call).unwrap()));
        }
    }
    let late = call(0.5, u64::MAX - 62);
    assert!(!noop.records(|pass| {
        let error = act.encode_forward(pass, &forward, &late);
        assert!(matches!(error, Err(CallError::IndexOverflow(_))));
    }));
}
