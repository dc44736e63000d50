//! `mask` and `apply` with layouts, on the CPU and on each adapter, against the contract's vectors.

use crate::apply::{bytes, folder_with, npy, vector};
use crate::command::cpu;
use crate::compare::assert_same;
use crate::gpu::everywhere;
use crate::vectors::{self, MaskVector};

const NCHW: &str = "feature dropout, NCHW (2,6,5,7)";

fn layout(what: &str) -> MaskVector {
    vectors::layouts()
        .into_iter()
        .find(|vector| vector.what == what)
        .unwrap()
}

#[test]
fn contract_vectors() {
    for known in vectors::layouts() {
        let MaskVector {
            shape,
            strides,
            options,
            ..
        } = &known;
        let line = format!("mask --shape {shape} --mask-strides {strides} {options} --output -");
        for (place, mask) in everywhere(&line) {
            assert_same(&format!("{} on {place}", known.what), &mask, &known.mask);
        }
    }
}

/// Negative control: other strides do not give the vector's mask.
#[test]
#[should_panic(expected = "byte ")]
fn other_strides_are_found() {
    let known = layout(NCHW);
    let (shape, options) = (&known.shape, &known.options);
    let line = format!("mask --shape {shape} --mask-strides 6,1,1,0 {options} --output -");
    assert_same("strides", &cpu(&line), &known.mask);
}

#[test]
fn noise_shapes_are_strides() {
    for (what, noise_shape) in [
        (NCHW, "2,6,1,1"),
        (NCHW, "None,none,1,1"),
        (NCHW, "*,6,1,1"),
        (NCHW, "6,1,1"),
        ("spatial over channels-last NHWC (2,5,7,6)", "2,1,1,6"),
        ("time-locked, batch x time x features (3,9,20)", "3,1,20"),
        ("drop path, (16,3,11)", "16,1,1"),
    ] {
        let known = layout(what);
        let (shape, options) = (&known.shape, &known.options);
        let line = |layout| format!("mask --shape {shape} {options} {layout} --output -");
        let mask = cpu(&line(format!("--noise-shape {noise_shape}")));
        if noise_shape == "6,1,1" {
            // A leading dimension that the noise shape omits is shared.
            let shared = cpu(&line("--mask-strides 0,1,0,0".to_owned()));
            assert_same(what, &mask, &shared);
        } else {
            assert_same(what, &mask, &known.mask);
        }
    }
}

#[test]
fn a_shape_alone_is_its_elements() {
    let options = "--p 0.3 --seed 1 --stream 2 --output -";
    let shaped = cpu(&format!("mask --shape 3,5,7 {options}"));
    assert_same("shape", &shaped, &cpu(&format!("mask --len 105 {options}")));
}

/// A file with signs, zeros and large values, and the vector's dropout of it.
fn applied(known: &MaskVector) -> (Vec<u8>, Vec<u8>) {
    let shape = format!("({},)", known.shape);
    let [input, output] = known.dropout();
    let file = |values: &[f32]| npy("'<f4'", "False", &shape, &bytes(values));
    (file(&input), file(&output))
}

#[test]
fn tensors_get_the_layouts_masks() {
    for known in vectors::layouts() {
        let ((input, expected), call) = (applied(&known), &known.options);
        let (_folder, x, _) = folder_with(&input);
        let mut layouts = vec![format!("--mask-strides {}", known.strides)];
        if known.what == NCHW {
            layouts.push("--noise-shape 2,6,1,1".to_owned());
        }
        for options in layouts {
            for direction in ["", "--backward"] {
                let line = format!("apply --input {x} --output - {call} {options} {direction}");
                for (place, output) in everywhere(&line) {
                    assert_same(&format!("{line} on {place}"), &output, &expected);
                }
            }
        }
    }
}

/// Negative control: without a layout, the file gets another mask.
#[test]
#[should_panic(expected = "byte ")]
fn a_missing_layout_is_found() {
    let known = layout(NCHW);
    let (input, expected) = applied(&known);
    let (_folder, x, _) = folder_with(&input);
    let line = format!("apply --input {x} --output - {}", known.options);
    assert_same("no layout", &cpu(&line), &expected);
}

#[test]
fn pieces_of_a_tensor_join_without_a_seam() {
    // The first piece ends at the end of a row.
    let (rows, columns) = (3, 3 << 20);
    let data = bytes(&vec![1.0; rows * columns]);
    let input = npy("'<f4'", "False", &format!("({rows}, {columns})"), &data);
    let (_folder, x, _) = folder_with(&input);
    let options = "--p 0.5 --seed 1 --stream 3 --output -";
    let line = format!("apply --input {x} {options} --mask-strides {columns},1");
    let linear = cpu(&format!("apply --input {x} {options}"));
    for (place, output) in everywhere(&line) {
        assert_same(&place, &output, &linear);
    }
    let other = cpu(&format!("{line} --origin 1"));
    assert_ne!(other, linear);
}

#[test]
fn pieces_of_a_mask_join_within_a_word() {
    // A piece is at most 2^27 elements. Two rows fit, and their bits end within a word.
    let (rows, columns) = (3, (1 << 27) / 3 + 1);
    let options = "--p 0.5 --seed 1 --stream 2 --output -";
    let cut = cpu(&format!(
        "mask --shape {rows},{columns} --mask-strides {columns},1 {options}"
    ));
    let len = rows * columns;
    assert_same("rows", &cut, &cpu(&format!("mask --len {len} {options}")));
}

#[test]
fn no_elements_are_a_header_or_nothing() {
    let options = "--p 0.5 --seed 1 --stream 2 --output -";
    let line = format!("mask --shape 2,0,3 --noise-shape 2,1,3 {options}");
    for (place, mask) in everywhere(&line) {
        assert!(mask.is_empty(), "{place}");
    }
    let input = vector(&[]);
    let (_folder, x, _) = folder_with(&input);
    let line = format!("apply --input {x} --mask-strides 1 {options}");
    for (place, output) in everywhere(&line) {
        assert_same(&place, &output, &input);
    }
}
