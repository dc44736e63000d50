//! What `--help` says of each command.

use crate::command::{assert_success, run};

fn help(command: &str) -> String {
    let output = run(&format!("{command} --help"));
    assert_success(&output);
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_values_of_wgsl_are_listed() {
    let text = help("wgsl");
    for values in [
        "dropout, copy, gaussian, keep-mask, philox-blocks",
        "f32, f16, bf16",
        "linear, packed, rows, runs, scattered",
        "1, 2, 3, 4, 5, 6, 7, 8",
        "immediates, uniform, bound",
    ] {
        assert!(
            text.contains(&format!("[possible values: {values}]")),
            "{text}"
        );
    }
}
