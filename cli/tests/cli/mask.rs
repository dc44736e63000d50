//! `mask` against the contract's vectors.

use crate::command::{cpu, word};
use crate::compare::assert_same;
use crate::vectors;

#[test]
fn contract_vectors() {
    for vector in vectors::masks() {
        let (len, options) = (vector.len, &vector.options);
        let mask = cpu(&format!("mask --len {len} {options} --output -"));
        assert_same(options, &mask, &vector.mask);
    }
}

/// Negative control: the vectors tell a neighbouring stream from theirs.
#[test]
#[should_panic(expected = "byte ")]
fn another_stream_is_found() {
    let mask = |stream| {
        cpu(&format!(
            "mask --len 1000 --p 0.5 --seed 0 --stream {stream} --output -"
        ))
    };
    assert_same("stream", &mask(1), &mask(0));
}

#[test]
fn a_file_is_what_standard_output_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mask");
    let line = "mask --len 1000 --p 0.5 --seed 1 --stream 2 --output";
    assert!(cpu(&format!("{line} {}", word(&file))).is_empty());
    let written = std::fs::read(&file).unwrap();
    assert_same("file", &written, &cpu(&format!("{line} -")));
}

#[test]
fn a_call_is_the_options_in_one() {
    let options = cpu("mask --len 99 --p 0.3 --seed 5 --stream 0x10 --origin 7 --output -");
    let mut call = crate::command::binary();
    call.args([
        "mask", "--len", "99", "--output", "-", "--engine", "cpu", "--call",
    ]);
    let call = call
        .arg("p=0.3 seed=5 stream=0x10 origin=7")
        .output()
        .unwrap();
    assert_same("call", &call.stdout, &options);
}

#[test]
fn pieces_join_without_a_seam() {
    let first = 1 << 27;
    let options = "--p 0.5 --seed 1 --stream 2 --output -";
    let mask = cpu(&format!("mask --len {} {options}", first + 40));
    let tail = cpu(&format!("mask --len 40 --origin {first} {options}"));
    assert_same("after the first piece", &mask[first / 8..], &tail);
}

#[test]
fn the_largest_index_is_valid() {
    let mask = cpu("mask --len 3 --p 0 --seed 1 --stream 2 --origin 0xfffffffffffffffd --output -");
    assert_same("last three", &mask, &[7, 0, 0, 0]);
}

#[test]
fn no_elements_are_no_words() {
    assert!(cpu("mask --len 0 --p 0.5 --seed 1 --stream 2 --output -").is_empty());
}
