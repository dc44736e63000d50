//! `params` and `wgsl --functions`, which hosts in other languages use.

use serde_json::Value;

use crate::command::{refused, succeeds, text};

const CALL: &str = "--p 0.5 --seed 0x100000002 --stream 7";

#[test]
fn words_and_bytes_are_the_struct() {
    let line = format!("params {CALL} --origin 9 --len 100");
    let json: Value = serde_json::from_str(&text(&line)).unwrap();
    let words: Vec<u32> = serde_json::from_value(json["words"].clone()).unwrap();
    let two = 2.0_f32.to_bits();
    let one = 1.0_f32.to_bits();
    assert_eq!(words, [2, 1, 7, 0, 9, 0, 0x8000, 0, two, 0, 0, one]);
    assert_eq!(json["mask"]["keep_scale"], 2.0);
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    assert_eq!(succeeds(&format!("{line} --output -")), bytes);
}

#[test]
fn a_shape_has_strides() {
    let line = format!("params {CALL} --shape 8,16,28,28 --pattern feature-channels-first");
    let json: Value = serde_json::from_str(&text(&line)).unwrap();
    assert_eq!(json["strides"], serde_json::json!([16, 1, 0, 0]));
}

#[test]
fn what_does_not_fit_is_refused() {
    let cases = format!(
        "params {CALL} --origin 0xffffffffffffffff --len 2 | pass the largest one
        params {CALL} --shape 2,3 --mask-strides 0x100000000,1 | dropout_index_after"
    );
    refused(1, &cases);
    refused(
        2,
        "wgsl --functions --prefix 1a | identifier
        wgsl --functions --dtype f16 | cannot be used with
        wgsl --prefix abc_ | --functions",
    );
}

#[test]
fn the_functions_are_text() {
    let functions = text("wgsl --functions --prefix abc_ --import-path my::masks");
    assert!(functions.starts_with("#define_import_path my::masks\n"));
    assert!(functions.contains("fn abc_keep(mask: AbcMask, element: u32) -> bool"));
    assert!(!functions.contains("u64"));
    assert!(text("wgsl --functions --multiply u64").contains("u64("));
}
