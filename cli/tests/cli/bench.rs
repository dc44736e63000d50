//! `bench` on the CPU alone.

use crate::command::{assert_fails, cpu, run};

#[test]
fn each_size_has_its_rows() {
    let output = cpu("bench --sizes 7,0x100 --seconds 0");
    let output = String::from_utf8(output).unwrap();
    for operation in ["forward", "backward", "in place", "copy"] {
        let rows = output.lines().filter(|line| {
            line.strip_prefix("CPU, 1 thread")
                .is_some_and(|rest| rest.trim_start().starts_with(operation))
        });
        assert_eq!(rows.count(), 2, "{operation} in:\n{output}");
    }
    assert!(output.contains("\n7 elements, 5 rounds"), "{output}");
    assert!(output.contains("\n256 elements, 5 rounds"), "{output}");
}

#[test]
fn sizes_without_sense_are_refused() {
    let output = run("bench --sizes 0 --engine cpu");
    assert_fails(&output, 1, &["--sizes from 1 on"]);
    let output = run("bench --sizes 0x0fffffffffffffff --engine cpu");
    assert_fails(&output, 1, &["lower --sizes"]);
}
