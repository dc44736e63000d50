//! `apply` against the contract's vectors, and the shapes, headers and files that it must keep.

use std::fs;

use tempfile::TempDir;

use crate::command::{cpu, word};
use crate::compare::assert_same;
use crate::vectors;

/// The bytes of a .npy file of format 1.0, as numpy writes them.
pub fn npy(descr: &str, fortran_order: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let text =
        format!("{{'descr': {descr}, 'fortran_order': {fortran_order}, 'shape': {shape}, }}");
    let text = format!("{text:117}\n");
    let length = u16::try_from(text.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], text.as_bytes(), data].concat()
}

/// A .npy file with a tensor of one dimension.
pub fn vector(values: &[f32]) -> Vec<u8> {
    let shape = format!("({},)", values.len());
    npy("'<f4'", "False", &shape, &bytes(values))
}

pub fn bytes(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// A folder with the file `in.npy`, and the paths of `in.npy` and `out.npy` in it as words of a
/// command line.
pub fn folder_with(input: &[u8]) -> (TempDir, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let [x, y] = ["in.npy", "out.npy"].map(|name| word(&folder.path().join(name)).to_owned());
    fs::write(&x, input).unwrap();
    (folder, x, y)
}

fn apply(x: &str, y: &str, options: &str) -> Vec<u8> {
    assert!(cpu(&format!("apply --input {x} --output {y} {options}")).is_empty());
    fs::read(y).unwrap()
}

#[test]
fn contract_vectors() {
    for known in vectors::masks() {
        let [input, expected] = known.dropout();
        let (_folder, x, y) = folder_with(&vector(&input));
        for direction in ["", "--backward"] {
            let options = format!("{} {direction}", known.options);
            assert_same(&options, &apply(&x, &y, &options), &vector(&expected));
        }
    }
}

/// Inputs are powers of two and the rate is 1/2, so that products are exact. The mask is that of
/// f32, and the file stays f16.
#[test]
fn f16_stays_f16() {
    let f32s: Vec<f32> = (0..1001).map(|e| 2_f32.powi(e % 8)).collect();
    // 2^n in f16: the exponent n + 15 above ten bits of fraction.
    let f16s = |values: &[f32]| {
        let bits = |&value: &f32| match value {
            0.0 => 0,
            _ => (value.log2() as u16 + 15) << 10,
        };
        let data: Vec<u8> = values.iter().map(bits).flat_map(u16::to_le_bytes).collect();
        npy("'<f2'", "False", "(7, 11, 13)", &data)
    };
    for options in ["", "--backward", "--noise-shape 7,1,13"] {
        let options = format!("--p 0.5 --seed 1 --stream 2 {options}");
        let wide = npy("'<f4'", "False", "(7, 11, 13)", &bytes(&f32s));
        let (_folder, x, y) = folder_with(&wide);
        let expected = apply(&x, &y, &options);
        let expected: Vec<f32> = expected[wide.len() - 4 * f32s.len()..]
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
            .collect();
        let (_folder, x, y) = folder_with(&f16s(&f32s));
        assert_same(&options, &apply(&x, &y, &options), &f16s(&expected));
    }
}

/// Negative control: a slightly different rate shows in scale and mask.
#[test]
#[should_panic(expected = "byte ")]
fn another_rate_is_found() {
    let (_folder, x, y) = folder_with(&vector(&[1.0; 100]));
    let of = |p| apply(&x, &y, &format!("--p {p} --seed 1 --stream 2"));
    assert_same("rate", &of("0.5"), &of("0.500001"));
}

#[test]
fn shapes_and_headers_are_kept() {
    let data = bytes(&[1.0, -0.0, f32::NAN, f32::NEG_INFINITY, 1e-40, 5.0]);
    for (fortran_order, shape, len) in [
        ("False", "()", 1),
        ("False", "(6,)", 6),
        ("True", "(6,)", 6),
        ("False", "(2, 3)", 6),
        ("False", "(1, 6, 1)", 6),
        ("False", "(0,)", 0),
        ("False", "(3, 0, 9223372036854775807, 5)", 0),
    ] {
        let input = npy("'<f4'", fortran_order, shape, &data[..4 * len]);
        let (_folder, x, y) = folder_with(&input);
        // At p = 0 every bit stays.
        assert_same(shape, &apply(&x, &y, "--p 0 --seed 1 --stream 2"), &input);
    }
}

#[test]
fn the_output_may_be_the_input() {
    let (folder, x, y) = folder_with(&vector(&[1.0; 1000]));
    let options = "--p 0.5 --seed 1 --stream 2";
    let apart = apply(&x, &y, options);
    assert_same("in its own place", &apply(&x, &x, options), &apart);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn pieces_join_without_a_seam() {
    let first = 4 << 20;
    let (_folder, x, y) = folder_with(&vector(&vec![1.0; first + 40]));
    let whole = apply(&x, &y, "--p 0.5 --seed 1 --stream 2");
    let (_folder, x, y) = folder_with(&vector(&[1.0; 40]));
    let tail = format!("--p 0.5 --seed 1 --stream 2 --origin {first}");
    let tail = apply(&x, &y, &tail);
    let end = |file: &[u8]| file[file.len() - 4 * 40..].to_vec();
    assert_same("after the first piece", &end(&whole), &end(&tail));
}

#[cfg(unix)]
#[test]
fn new_files_are_as_readable_as_others() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, x, y) = folder_with(&vector(&[1.0]));
    apply(&x, &y, "--p 0.5 --seed 1 --stream 2");
    let mode = |path: &str| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&y), mode(&x));
}

#[cfg(unix)]
#[test]
fn links_and_permissions_of_the_output_stay() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let (folder, x, y) = folder_with(&vector(&[1.0]));
    let target = folder.path().join("target.npy");
    fs::write(&target, "old").unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
    symlink(&target, &y).unwrap();
    let written = apply(&x, &y, "--p 0 --seed 1 --stream 2");
    assert!(fs::symlink_metadata(&y).unwrap().is_symlink());
    assert_same("target", &fs::read(&target).unwrap(), &written);
    let mode = target.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
}
