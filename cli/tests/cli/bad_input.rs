//! Bad input: the message names the fault and the remedy, and nothing is written.

use std::fs;
use std::path::Path;

use crate::apply::{folder_with, npy};
use crate::command::{assert_fails, fails, refused, succeeds, word};

const CALL: &str = "--p 0.5 --seed 1 --stream 2 --engine cpu";

/// Runs `apply` on this file. It must fail with `parts` in its message, and make no file in the
/// folder.
#[track_caller]
fn assert_refused(input: &[u8], parts: &[&str]) {
    let (folder, x, y) = folder_with(input);
    let line = format!("apply --input {x} --output {y} {CALL}");
    fails(&line, 1, &[&["in.npy"], parts].concat());
    assert_eq!(entries(folder.path()), ["in.npy"]);
}

fn entries(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn f32s(shape: &str, bytes: usize) -> Vec<u8> {
    npy("'<f4'", "False", shape, &vec![0; bytes])
}

/// Negative control of all tests below: a file without a fault is accepted.
#[test]
#[should_panic(expected = "Some(0)")]
fn a_good_file_is_not_refused() {
    assert_refused(&f32s("(2,)", 8), &[]);
}

#[test]
fn missing_files() {
    let line = format!("apply --input no/such.npy --output out.npy {CALL}");
    fails(&line, 1, &["no/such.npy"]);
}

#[test]
fn folders() {
    let folder = tempfile::tempdir().unwrap();
    let path = word(folder.path());
    let line = format!("apply --input {path} --output {path}/out.npy {CALL}");
    fails(&line, 1, &[path]);
}

#[test]
fn foreign_files() {
    assert_refused(b"", &["numpy.save"]);
    assert_refused(
        b"\x89PNG\r\n\x1a\n and more",
        &["no .npy file", "numpy.save"],
    );
    assert_refused(b"\x93NUMPY\x09\x00\x00\x00", &["version is 9.0"]);
    assert_refused(b"\x93NUMPY\x01\x00\x03\x00abc", &["damaged", "abc"]);
}

#[test]
fn truncated_files() {
    let whole = f32s("(2, 3)", 24);
    for bytes in [9, 10, 100, 127] {
        let held = format!("the file has {bytes}");
        assert_refused(&whole[..bytes], &["cut off", &held]);
    }
    for bytes in [128, 129, 151] {
        let held = format!("{} are there", bytes - 128);
        assert_refused(&whole[..bytes], &["promises 24 bytes", &held]);
    }
}

#[test]
fn headers_that_promise_more_than_there_is() {
    // Headers that promise 4 TiB, a size in bytes above 2^64, and a header of 4 GiB.
    assert_refused(
        &f32s("(1099511627776,)", 8),
        &["4398046511104", "8 are there"],
    );
    assert_refused(&f32s("(4294967296, 4294967296)", 8), &["passes 64 bits"]);
}

/// NumPy's limit on the length of a header holds in every version of the format.
#[test]
fn long_headers() {
    let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }";
    let file = |version: u8, bytes: u32| {
        let length = bytes.to_le_bytes();
        let length = &length[..if version == 1 { 2 } else { 4 }];
        let text = format!("{text:0$}", bytes.min(20_000) as usize);
        [
            b"\x93NUMPY",
            &[version, 0][..],
            length,
            text.as_bytes(),
            &[0; 8],
        ]
        .concat()
    };
    for (version, bytes) in [
        (1, 10_001),
        (1, 65_535),
        (2, 10_001),
        (3, 600_000_000),
        (3, u32::MAX),
    ] {
        let given = format!("{bytes} bytes");
        assert_refused(&file(version, bytes), &[&given, "10000", "numpy.load"]);
    }
    // Negative control: a header one byte shorter is accepted.
    for version in [1, 2, 3] {
        let (_folder, x, y) = folder_with(&file(version, 10_000));
        succeeds(&format!("apply --input {x} --output {y} {CALL}"));
    }
}

#[test]
fn trailing_bytes() {
    let parts = ["too long", "promises 8 bytes", "9 or more"];
    assert_refused(&f32s("(2,)", 9), &parts);
}

#[test]
fn other_types() {
    for descr in [
        "'>f4'",
        "'>f2'",
        "'<f8'",
        "'<i4'",
        "'|u1'",
        "[('a', '<f4')]",
    ] {
        let file = npy(descr, "False", "(1,)", &[0; 8]);
        assert_refused(&file, &[descr, "astype('<f4')"]);
    }
}

#[test]
fn fortran_order() {
    let file = npy("'<f4'", "True", "(2, 3)", &[0; 24]);
    assert_refused(&file, &["Fortran", "ascontiguousarray"]);
}

#[test]
fn unwritable_outputs() {
    let (folder, x, _) = folder_with(&f32s("(2,)", 8));
    let path = word(folder.path());
    for output in [format!("{path}/no/folder.npy"), path.to_owned()] {
        for line in [format!("apply --input {x}"), "mask --len 9".to_owned()] {
            let line = format!("{line} --output {output} {CALL}");
            fails(&line, 1, &["cannot write", &output]);
        }
    }
    assert_eq!(entries(folder.path()), ["in.npy"]);
}

/// A write that fails halfway leaves the old file as it was, and no partial file.
#[cfg(unix)]
#[test]
fn half_written_files_are_never_seen() {
    use crate::command::binary;
    let (folder, x, y) = folder_with(&f32s("(100000,)", 400_000));
    fs::write(&y, "old").unwrap();
    // 64 blocks of 512 or 1024 bytes are fewer than the file's 400,128 bytes. The signal XFSZ is
    // ignored, so that the write fails instead of the process.
    let limited = "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\"";
    let output = std::process::Command::new("sh")
        .args(["-c", limited])
        .arg(binary().get_program())
        .args(["apply", "--input", &x, "--output", &y])
        .args(CALL.split(' '))
        .output()
        .unwrap();
    assert_fails(&output, 1, &["cannot write"]);
    assert_eq!(entries(folder.path()), ["in.npy", "out.npy"]);
    assert_eq!(fs::read_to_string(&y).unwrap(), "old");
}

#[test]
fn indices_past_the_last() {
    let origin = "--origin 0xffffffffffffffff";
    let parts = ["2 mask indices", "18446744073709551615", "2^64 - 1"];
    let output = fails(
        &format!("mask --len 2 {CALL} {origin} --output -"),
        1,
        &parts,
    );
    assert!(output.stdout.is_empty());

    let (folder, x, y) = folder_with(&f32s("(2,)", 8));
    let line = format!("apply --input {x} --output {y} {CALL} {origin}");
    fails(&line, 1, &parts);
    assert_eq!(entries(folder.path()), ["in.npy"]);
}

#[test]
fn numbers_out_of_range_are_usage_errors() {
    refused(
        2,
        "mask --len 2 --p -0.1 --seed 1 --stream 2 --output - | --p | from 0 to 1
        mask --len 2 --p 1.1 --seed 1 --stream 2 --output - | --p | from 0 to 1
        mask --len 2 --p nan --seed 1 --stream 2 --output - | --p | from 0 to 1
        mask --len 2 --p x --seed 1 --stream 2 --output - | --p | from 0 to 1
        mask --len 0x10000000000000000 --p 0.5 --seed 1 --stream 2 --output - | --len | 2^64 - 1
        mask --len 2 --p 0.5 --seed -1 --stream 2 --output - | '- | an integer from 0 on
        mask --shape -2,3 --p 0.5 --seed 1 --stream 2 --output - | '- | an integer from 0 on
        words --key -1,2 --counter 0,0,0,0 --blocks 1 | '- | an integer from 0 on
        bench --sizes -1,2 | '- | an integer from 0 on
        words --key 0,0x100000000 --counter 0,0,0,0 --blocks 1 | --key | 2^32 - 1
        words --key 0,0 --counter 0,0,0 --blocks 1 | --counter | 4 numbers | not 3",
    );
}

#[test]
fn numbers_that_no_key_folds_in_are_usage_errors() {
    let line = |n: &str| format!("mask --len 2 {CALL} --output - --fold-in {n}");
    for (n, part) in [
        ("0x2000000000000000", "2305843009213693952 passes 2^61 - 1"),
        ("-1", "give an integer from 0 on"),
        ("", "a value is required"),
    ] {
        fails(&line(n), 2, &["--fold-in", part]);
    }
    succeeds(&line("0x1fffffffffffffff"));
}

#[test]
fn half_a_call_or_two_are_usage_errors() {
    refused(
        2,
        "mask --len 2 --p 0.5 --seed 1 --output - | --stream
        mask --len 2 --call p=0.5 --output - | seed | missing
        mask --len 2 --call p=0.5 --seed 1 --output - | --call",
    );
}

#[test]
fn an_adapter_for_the_cpu_is_a_contradiction() {
    let line = format!("mask --len 2 {CALL} --adapter gl --output -");
    fails(&line, 1, &["--adapter", "--engine cpu"]);
}

/// Both `apply` and `mask` refuse layouts. Each line of `cases` has a shape, options and parts of
/// the message.
#[track_caller]
fn layouts_refused(cases: &str) {
    for case in cases.lines() {
        let mut parts = case.split(" | ").map(str::trim);
        let (shape, options) = (parts.next().unwrap(), parts.next().unwrap());
        let parts: Vec<_> = parts.collect();
        fails(
            &format!("mask --shape {shape} {CALL} {options} --output -"),
            1,
            &parts,
        );

        let sizes = shape.split(',').map(|size| size.parse::<usize>().unwrap());
        let (folder, x, y) =
            folder_with(&f32s(&format!("({shape},)"), 4 * sizes.product::<usize>()));
        fails(
            &format!("apply --input {x} --output {y} {CALL} {options}"),
            1,
            &parts,
        );
        assert_eq!(entries(folder.path()), ["in.npy"]);
    }
}

/// Negative control: good layouts are accepted, also those without elements.
#[test]
fn good_layouts_are_not_refused() {
    for layout in [
        "2,6,5,7 --noise-shape 2,6,1,1",
        "2,6,5,7 --noise-shape 5,1",
        "2,6,5,7 --mask-strides 6,1,0,0",
        "2,0,3 --noise-shape 2,1,3",
        "0,3 --mask-strides 0xffffffffffffffff,0xffffffffffffffff",
        "2,1,1,1,1,1,1,1 --noise-shape 2,1,1,1,1,1,1,1",
        "2 --mask-strides 0xffffffffffffffff",
    ] {
        succeeds(&format!("mask --shape {layout} {CALL} --output -"));
    }
}

#[test]
#[should_panic(expected = "Some(0)")]
fn a_good_layout_does_not_pass_for_a_bad_one() {
    layouts_refused("2,6 | --noise-shape 2,1");
}

#[test]
fn noise_shapes_that_do_not_broadcast() {
    layouts_refused(
        "2,6,5,7 | --noise-shape 2,3,1,1 | --noise-shape | has size 3 in dimension 1, the tensor 6 | or None | [2, 6, 5, 7]
        6,5 | --noise-shape 1,6,5 | 3 numbers in the noise shape for 2 dimensions",
    );
    for size in ["x", "-1", "non", "**"] {
        let line = format!("mask --shape 2,6 --noise-shape None,{size} {CALL} --output -");
        fails(
            &line,
            2,
            &["--noise-shape", "or None for the tensor's size"],
        );
    }
}

#[test]
fn strides_that_do_not_fit() {
    layouts_refused(
        "2,6 | --mask-strides 6,1,0 | --mask-strides | 3 numbers in the strides for 2 dimensions
        2,3 | --mask-strides 1,0x8000000000000000 | mask indices pass 2^64 - 1 in dimension 1
        2,3 | --mask-strides 3,1 --origin 0xfffffffffffffffb | 6 mask indices | 18446744073709551611 | 2^64 - 1
        2 | --mask-strides 0xffffffffffffffff --origin 1 | mask indices from 1 on | 2^64 - 1",
    );
}

#[test]
fn too_many_dimensions() {
    layouts_refused(
        "1,1,1,1,1,1,1,1,2 | --noise-shape 1,1,1,1,1,1,1,1,2 | 9 dimensions, at most 8",
    );
}

#[test]
fn shapes_past_64_bits() {
    let shape = "--shape 0x100000000,0x100000000";
    for options in ["", "--mask-strides 0,0", "--noise-shape 1,1"] {
        let line = format!("mask {shape} {CALL} {options} --output -");
        fails(&line, 1, &["[4294967296, 4294967296]", "passes 64 bits"]);
    }
}

#[test]
fn two_layouts_or_two_lengths_are_usage_errors() {
    let cases = "--len 2 --noise-shape 2 --mask-strides 1 | --noise-shape | --mask-strides
        --len 2 --shape 2 | --len | --shape
        --origin 0 | --len";
    for case in cases.lines() {
        refused(2, &format!("mask {CALL} --output - {}", case.trim()));
    }
}

#[test]
fn gaussian_where_it_has_no_sense() {
    let gaussian = "--kind gaussian --engine cpu --seed 1 --stream 2";
    let line = format!("mask --len 2 --p 0.5 {gaussian} --output -");
    fails(&line, 1, &["--kind gaussian", "no mask"]);

    let (folder, x, y) = folder_with(&f32s("(2,)", 8));
    let line = format!("apply --input {x} --output {y} {gaussian}");
    for case in [
        "--p 1 | p = 1 | drops everything",
        "--p 0.5 --origin 0x7fffffffffffffff | 2 mask indices from 9223372036854775807 | 2^63 - 1",
    ] {
        refused(1, &format!("{line} {case}"));
        assert_eq!(entries(folder.path()), ["in.npy"]);
    }
    // Negative control: one index lower, the call fits.
    succeeds(&format!("{line} --p 0.5 --origin 0x7ffffffffffffffe"));
}
