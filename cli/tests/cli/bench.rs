//! `bench` with the CPU engine alone.

use crate::command::{cpu, fails, refused};

#[test]
fn each_size_has_its_rows() {
    let output = cpu("bench --sizes 7,0x100 --seconds 0");
    let output = String::from_utf8(output).unwrap();
    for dtype in ["f32", "f16", "bf16"] {
        for operation in ["forward", "backward", "in place", "copy"] {
            let rows = output.lines().filter(|line| {
                line.strip_prefix("CPU, 1 thread")
                    .and_then(|rest| rest.trim_start().strip_prefix(dtype))
                    .is_some_and(|rest| rest.trim_start().starts_with(operation))
            });
            assert_eq!(rows.count(), 2, "{dtype} {operation} in:\n{output}");
        }
    }
    assert!(output.contains("\n7 elements\n5 rounds"), "{output}");
    assert!(output.contains("\n256 elements\n5 rounds"), "{output}");
    assert!(output.contains("\nrand loop, 1 thread"), "{output}");
}

#[test]
fn sizes_without_sense_are_refused() {
    refused(1, "bench --sizes 0 --engine cpu | --sizes from 1 on");
    refused(2, "bench --dtype f64 --engine cpu | f64 | f32, f16, bf16");
    refused(
        1,
        "bench --sizes 0x0fffffffffffffff --engine cpu | lower --sizes",
    );
}

#[test]
fn a_part_of_a_second_is_told_what_is_wrong() {
    refused(
        2,
        "bench --seconds 0.1 --engine cpu | '0.1' | --seconds | whole seconds",
    );
}

#[test]
fn a_file_that_cannot_be_written_is_refused_before_measuring() {
    for option in ["--json", "--csv", "--plot", "--markdown"] {
        // No test waits for these.
        let line = format!("bench --engine cpu --seconds 1000000 {option} no/such/folder/file");
        let output = fails(&line, 1, &["cannot write no/such/folder/file"]);
        assert!(output.stdout.is_empty());
    }
}
