//! Where tensors come from and where outputs go: files of every kind, pipes, standard input and
//! output by any of their names.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

use crate::apply::{bytes, folder_with, npy, vector};
use crate::command::{assert_fails, assert_success, binary, cpu, word};
use crate::compare::assert_same;

const CALL: &str = "--p 0.5 --seed 1 --stream 2 --engine cpu";

/// Runs it with `input` on standard input.
fn piped(line: &str, input: &[u8]) -> Output {
    let mut child = binary()
        .args(line.split_whitespace())
        .args(CALL.split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Where it is refused early nobody reads the rest.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().next().is_none()
}

#[test]
fn a_dash_is_standard_input_and_output() {
    for input in [
        vector(&[1.0; 1000]),
        vector(&[]),
        npy("'<f4'", "False", "(2, 3)", &bytes(&[-1.0; 6])),
    ] {
        let (_folder, x, _) = folder_with(&input);
        let of_file = cpu(&format!(
            "apply --input {} --output - --p 0.5 --seed 1 --stream 2",
            word(&x)
        ));
        let of_stdin = piped("apply --input - --output -", &input);
        assert_success(&of_stdin);
        assert_same("standard input", &of_stdin.stdout, &of_file);
    }
}

#[test]
fn a_stream_of_another_length_than_its_headers_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let y = folder.path().join("y");
    let line = format!("apply --input - --output {}", word(&y));
    let whole = vector(&[1.0; 1000]);
    for (input, parts) in [
        (
            &whole[..whole.len() - 1],
            ["cut off", "promises 4000 bytes", "3999 are there"],
        ),
        (
            &whole[..128],
            ["cut off", "promises 4000 bytes", " 0 are there"],
        ),
        (&whole[..100], ["cut off", "needs 128 bytes", "has 100"]),
        (
            &[&whole[..], b"!"].concat(),
            ["too long", "promises 4000 bytes", "4001 or more"],
        ),
    ] {
        let output = piped(&line, input);
        assert_fails(&output, 1, &[&["standard input"], &parts[..]].concat());
        assert!(is_empty(folder.path()), "{parts:?}");
    }
    // Negative control: the whole is taken.
    assert_success(&piped(&line, &whole));
    assert!(y.exists());
}
