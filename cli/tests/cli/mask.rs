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

/// Negative control: a neighbouring stream does not give the vector's mask.
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

/// The array has NumPy's header, then a byte for each bit of the packed mask.
#[test]
fn an_array_of_booleans_is_the_words() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mask.npy");
    let line = "mask --shape 3,50 --p 0.5 --seed 1 --stream 2 --output";
    assert!(cpu(&format!("{line} {}", word(&file))).is_empty());
    let written = std::fs::read(&file).unwrap();
    let words = cpu(&format!("{line} -"));
    let bits = (0..150).map(|e| words[e / 8] >> (e % 8) & 1);
    let text = "{'descr': '|b1', 'fortran_order': False, 'shape': (3, 50, )}";
    let header = format!("{text:<117}\n");
    let expected: Vec<u8> = b"\x93NUMPY\x01\0"
        .iter()
        .copied()
        .chain([118, 0])
        .chain(header.bytes())
        .chain(bits)
        .collect();
    assert_same("array", &written, &expected);
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
fn a_folded_key_is_the_contracts() {
    let mask = |options: &str| cpu(&format!("mask --len 99 --p 0.5 {options} --output -"));
    for vectors::FoldVector { key, n, folded } in vectors::folds() {
        assert_same(&key, &mask(&format!("{key} --fold-in {n}")), &mask(&folded));
    }
}

/// The vectors fold 1 and then 2 into a key.
#[test]
fn folds_go_from_left_to_right() {
    let mask = |options: &str| cpu(&format!("mask --len 99 --p 0.5 {options} --output -"));
    let vectors = vectors::folds();
    let once = vectors
        .iter()
        .find(|vector| vector.n.ends_with("0001") && vector.key.contains("2a"));
    let once = once.unwrap();
    let twice = vectors
        .iter()
        .find(|vector| vector.key == once.folded)
        .unwrap();
    let both = mask(&format!("{} --fold-in 1 --fold-in 2", once.key));
    assert_same("twice", &both, &mask(&twice.folded));
    assert_ne!(mask(&format!("{} --fold-in 2 --fold-in 1", once.key)), both);
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
