//! Outputs are the library's, to the bit.

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::tensor::{DType, Device, Element as BurnElement, Tensor};
use wgpu_dropout::half::{bf16, f16};
use wgpu_dropout::{DropoutCall, DropoutKind, Element, MaskKey, MaskLayout};
use wgpu_dropout_burn::dropout;

use crate::Case;
use crate::oracle::{assert_bits, call, forward, supports, tensor, values};

pub const CASES: &[Case] = &[
    ("lengths_and_rates", lengths_and_rates),
    ("types_of_16_bits", types_of_16_bits),
    ("shapes", shapes),
    ("layouts_in_memory", layouts_in_memory),
    ("empty_tensors", empty_tensors),
    ("special_values", special_values),
    ("rates_0_and_1", rates_0_and_1),
    ("kinds", kinds),
    ("origins", origins),
    ("another_call_differs", another_call_differs),
    ("a_bit_of_an_element_is_seen", a_bit_of_an_element_is_seen),
    (
        "an_input_still_in_use_is_kept",
        an_input_still_in_use_is_kept,
    ),
];

/// Lengths near whole words, blocks and vectors; one whose last part has a dispatch of its own; and
/// some that take many workgroups.
const LENGTHS: [usize; 14] = [
    1,
    2,
    3,
    7,
    8,
    9,
    31,
    32,
    33,
    1000,
    1024,
    65_537,
    100_000,
    1 << 18,
];

fn compare<T: Element + BurnElement>(len: usize, call: &DropoutCall, device: &Device) {
    let layout = MaskLayout::linear(len as u64);
    let input = values::<T>(len);
    let output = dropout(tensor(&input, [len], device), &layout, call).unwrap();
    assert_bits(output, &forward(&input, &layout, call));
}

fn lengths_and_rates(device: &Device) {
    for len in LENGTHS {
        for p in [0.1, 0.5, 0.75] {
            compare::<f32>(len, &call(p), device);
        }
    }
}

fn types_of_16_bits(device: &Device) {
    for len in LENGTHS {
        if supports(device, DType::F16) {
            compare::<f16>(len, &call(0.3), device);
        }
        if supports(device, DType::BF16) {
            compare::<bf16>(len, &call(0.3), device);
        }
    }
}

fn shapes(device: &Device) {
    fn check<const D: usize>(shape: [usize; D], device: &Device) {
        let len = shape.iter().product();
        let (input, layout) = (values::<f32>(len), MaskLayout::linear(len as u64));
        let output = dropout(tensor(&input, shape, device), &layout, &call(0.5)).unwrap();
        assert_eq!(output.dims(), shape);
        assert_bits(output, &forward(&input, &layout, &call(0.5)));
    }
    check([37], device);
    check([3, 5], device);
    check([1, 1, 1], device);
    check([2, 3, 4, 5], device);
    check([2, 1, 3, 1, 7], device);
    check([2, 2, 2, 2, 2, 3], device);
}

fn layouts_in_memory(device: &Device) {
    let base = || tensor(&values::<f32>(24 * 36), [24, 36], device);
    let views: [Tensor<2>; 5] = [
        base().transpose(),
        base().slice([3..20, 5..31]),
        base().slice([3..20, 5..31]).transpose(),
        base().flip([1]),
        base().narrow(0, 0, 1).expand([24, 36]),
    ];
    // A slice of whole rows is not copied: its data begin at an offset of 1 KiB.
    let rows = tensor(&values::<f32>(64 * 64), [64, 64], device).slice([4..20, 0..64]);
    for view in views.into_iter().chain([rows]) {
        let input = view.clone().into_data().try_to_vec::<f32>().unwrap();
        let layout = MaskLayout::linear(input.len() as u64);
        let output = dropout(view, &layout, &call(0.5)).unwrap();
        assert_bits(output, &forward(&input, &layout, &call(0.5)));
    }
}

fn empty_tensors(device: &Device) {
    let layout = MaskLayout::linear(0);
    let empty = Tensor::<1>::empty([0], device);
    assert_eq!(dropout(empty, &layout, &call(0.5)).unwrap().dims(), [0]);
    let empty = Tensor::<3>::empty([3, 0, 2], device);
    let output = dropout(empty, &layout, &call(0.5)).unwrap();
    assert_eq!(output.dims(), [3, 0, 2]);
}

fn special_values(device: &Device) {
    let layout = MaskLayout::linear(64);
    let input = [f32::NAN; 64];
    let output = dropout(tensor(&input, [64], device), &layout, &call(0.5)).unwrap();
    let output = output.into_data().try_to_vec::<f32>().unwrap();
    let expected = forward(&[1.0f32; 64], &layout, &call(0.5));
    for (x, expected) in output.iter().zip(expected) {
        let right = if expected == 0.0 {
            x.to_bits() == 0
        } else {
            x.is_nan()
        };
        assert!(right, "a NaN became {x}, where 1 becomes {expected}");
    }
}

fn rates_0_and_1(device: &Device) {
    let layout = MaskLayout::linear(1000);
    let input = values::<f32>(1000);
    let output = |p| dropout(tensor(&input, [1000], device), &layout, &call(p)).unwrap();
    assert_bits(output(0.0), &input);
    assert_bits(output(1.0), &[0.0f32; 1000]);
}

fn kinds(device: &Device) {
    let layout = MaskLayout::linear(1000);
    let input: Vec<f32> = (0..1000).map(|i| i as f32 / 100.0).collect();
    let classic = call(0.5).with_kind(DropoutKind::Classic);
    let output = dropout(tensor(&input, [1000], device), &layout, &classic).unwrap();
    assert_bits(output, &forward(&input, &layout, &classic));
    // An adapter may fuse alpha dropout's product and sum.
    let alpha = call(0.5).with_kind(DropoutKind::Alpha);
    let output = dropout(tensor(&input, [1000], device), &layout, &alpha).unwrap();
    let output = output.into_data().try_to_vec::<f32>().unwrap();
    for (got, expected) in output.iter().zip(forward(&input, &layout, &alpha)) {
        assert!((got - expected).abs() <= 1e-6 * expected.abs().max(1.0));
    }
    // Adapters differ in log, sin and cos [M20].
    let noise = call(0.5).with_kind(DropoutKind::Gaussian);
    let rows = MaskLayout::time_locked_batch_first(&[10, 4, 25]).unwrap();
    for layout in [layout, rows] {
        let output = dropout(tensor(&input, [1000], device), &layout, &noise).unwrap();
        let output = output.into_data().try_to_vec::<f32>().unwrap();
        let expected = forward(&input, &layout, &noise);
        for ((x, got), expected) in input.iter().zip(output).zip(expected) {
            let bound = x * noise.rate.sigma() / 256.0 + expected.abs() / 4_194_304.0;
            assert!((got - expected).abs() <= bound, "{x} became {got}");
        }
    }
}

fn origins(device: &Device) {
    for origin in [1, 8, 1 << 33, u64::MAX - 2000] {
        compare::<f32>(1000, &call(0.5).with_origin(origin), device);
    }
}

/// The negative control of all other cases.
fn another_call_differs(device: &Device) {
    let layout = MaskLayout::linear(1000);
    let input = vec![1.0f32; 1000];
    let right = call(0.5);
    let expected = forward(&input, &layout, &right);
    let mut calls = vec![right.with_origin(1), call(0.5001), call(0.4)];
    calls.extend(
        [
            MaskKey::layer_step(43, 3, 7),
            MaskKey::layer_step(42, 4, 7),
            MaskKey::layer_step(42, 3, 8),
        ]
        .map(|key| DropoutCall { key, ..right }),
    );
    for wrong in calls {
        let output = dropout(tensor(&input, [1000], device), &layout, &wrong).unwrap();
        assert_ne!(
            output.into_data().as_slice::<f32>().unwrap(),
            expected,
            "{wrong}"
        );
    }
}

/// The negative control of the comparison: it must see one wrong decision and one wrong last bit.
fn a_bit_of_an_element_is_seen(device: &Device) {
    let layout = MaskLayout::linear(1000);
    let input = values::<f32>(1000);
    let expected = forward(&input, &layout, &call(0.5));
    for change in [|x: f32| if x == 0.0 { 1.0 } else { 0.0 }, f32::next_up] {
        let mut wrong = expected.clone();
        wrong[777] = change(wrong[777]);
        let output = dropout(tensor(&input, [1000], device), &layout, &call(0.5)).unwrap();
        let compare = AssertUnwindSafe(|| assert_bits(output, &wrong));
        assert!(catch_unwind(compare).is_err());
    }
}

fn an_input_still_in_use_is_kept(device: &Device) {
    let layout = MaskLayout::linear(1000);
    let input = values::<f32>(1000);
    let x = tensor(&input, [1000], device);
    let output = dropout(x.clone(), &layout, &call(0.5)).unwrap();
    assert_bits(output, &forward(&input, &layout, &call(0.5)));
    assert_bits(x, &input);
}
