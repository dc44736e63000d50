//! `mask --rule` against masks that other frameworks made.

use crate::command::{assert_success, binary, refused};
use crate::compare::assert_same;
use crate::vectors;

/// Standard output of a run that may use no adapter.
fn mask(line: &str) -> Vec<u8> {
    let mut command = binary();
    command.args(line.split_whitespace());
    let output = command.env("WGPU_BACKEND", "none").output().unwrap();
    assert_success(&output);
    output.stdout
}

#[test]
fn the_frameworks_vectors() {
    let mut rows = 0;
    for row in include_str!("../../../tests/data/foreign.kat").lines() {
        let columns: Vec<_> = row.split(" | ").collect();
        let [rule, numbers, p, "0", elements, hex] = columns[..] else {
            continue;
        };
        let (seed, offset) = numbers.split_once(',').unwrap();
        let key = match rule {
            "jax" => format!("--key {numbers}"),
            "tensorflow" => format!("--seeds {numbers}"),
            _ => format!("--seed {seed} --offset {offset}"),
        };
        let mut expected = vectors::hex(hex);
        // The output is padded to whole words [M15].
        expected.resize(expected.len().next_multiple_of(4), 0);
        let given = mask(&format!(
            "mask --rule {rule} {key} --p {p} --len {elements} --output -"
        ));
        assert_same(row, &given, &expected);
        rows += 1;
    }
    assert_eq!(rows, 64);
}

#[test]
fn a_shape_is_its_elements() {
    let line = |elements| format!("mask --rule jax --key 1,2 --p 0.5 {elements} --output -");
    let [shape, len] = ["--shape 3,5,7", "--len 105"].map(|elements| mask(&line(elements)));
    assert_same("shape", &shape, &len);
    assert!(mask(&line("--shape 3,0")).is_empty());
    // Negative control: another key. `--engine cpu` is allowed, since the CPU makes these masks
    // anyway.
    let other = mask("mask --rule jax --key 1,3 --p 0.5 --len 105 --output - --engine cpu");
    assert_ne!(other, mask(&line("--len 105")));
}

#[test]
fn options_of_other_masks_are_refused() {
    let cases = "--rule jax | --key
        --rule tensorflow | --seeds
        --rule triton | --seed
        --rule jax --key 1,2 --seed 3 | takes only --key
        --rule tensorflow --seeds 1,2 --offset 3 | takes only --seeds
        --rule triton --seed 1 --key 1,2 | takes only --seed and --offset
        --rule triton --seed 1 --stream 2 | --stream
        --rule triton --seed 1 --origin 2 | --origin
        --rule jax --key 1,2 --call x | --call
        --rule jax --key 1,2 --adapter x | --adapter
        --rule jax --key 1,2,3 | give 2 numbers
        --rule tensorflow --seeds 1 | give 2 numbers
        --rule triton --seed 9223372036854775808 | 2^63 - 1
        --rule triton --seed -9223372036854775809 | 2^63 - 1
        --seed 1 --stream 2 --key 1,2 | --rule
        --seed -1 --stream 2 | an integer from 0 on
        --rule numpy | jax, tensorflow, triton";
    for case in cases.lines() {
        refused(
            2,
            &format!("mask --p 0.5 --len 9 --output - {}", case.trim()),
        );
    }
    refused(2, "mask --rule jax --key 1,2 --len 9 --output - | --p");
}
