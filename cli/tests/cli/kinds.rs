//! `apply --kind` on the CPU and on each adapter gives the numbers of the library's CPU path. Tests
//! in tests/cpu/contract compare that path with the formulas of [M17] and [M20].

use wgpu_dropout::{Direction, DropoutCall, DropoutKind, DropoutRate, MaskKey, cpu};

use crate::apply::{folder_with, npy, vector};
use crate::command::binary;
use crate::gpu::everywhere;

const LEN: usize = 10_007;
const CALL: &str = "--p 0.3 --seed 42 --stream 7 --origin 0xfffffffd";

fn input() -> Vec<f32> {
    (0..LEN).map(|e| 0.001 * e as f32 - 3.0).collect()
}

/// The elements of a file that `vector` could have made.
fn elements(file: &[u8]) -> Vec<f32> {
    let data = file[file.len() - 4 * LEN..].chunks_exact(4);
    data.map(|element| f32::from_le_bytes(element.try_into().unwrap()))
        .collect()
}

fn expected(kind: DropoutKind, direction: Direction) -> Vec<f32> {
    let key = MaskKey::new(42, 7);
    let call = DropoutCall::new(DropoutRate::new(0.3).unwrap(), key);
    let call = call.with_origin(0xffff_fffd).with_kind(kind);
    let (x, mut y) = (input(), vec![0.0; LEN]);
    cpu::apply(direction, LEN, (&*x, &mut *y), &call).unwrap();
    y
}

/// The largest error. The error of an input above 1 in magnitude is divided by that magnitude.
fn off(output: &[f32], expected: &[f32]) -> f32 {
    let pairs = output.iter().zip(expected).zip(input());
    pairs.fold(0.0, |worst, ((y, expected), x)| {
        worst.max((y - expected).abs() / x.abs().max(1.0))
    })
}

#[test]
fn each_kind_is_the_librarys() {
    let (_folder, x, _) = folder_with(&vector(&input()));
    for (kind, bound) in [
        (DropoutKind::Inverted, 0.0),
        (DropoutKind::Classic, 0.0),
        // An adapter may fuse alpha's product and sum, and its sines and logarithms have errors.
        (DropoutKind::Alpha, 1e-6),
        (DropoutKind::Gaussian, 0.66 / 256.0),
    ] {
        use Direction::{Backward, Forward};
        for (direction, option) in [(Forward, ""), (Backward, "--backward")] {
            let expected = expected(kind, direction);
            let line = format!("apply --input {x} --output - {CALL} --kind {kind} {option}");
            for (place, file) in everywhere(&line) {
                let off = off(&elements(&file), &expected);
                assert!(off <= bound, "{kind}, {direction:?}, {place}: off by {off}");
            }
        }
    }
    // Negative control: another kind is found.
    let forward = |kind| expected(kind, Direction::Forward);
    let inverted = forward(DropoutKind::Inverted);
    assert!(off(&inverted, &forward(DropoutKind::Gaussian)) > 0.1);
}

/// A layout shares noise in the way in which it shares decisions. A gradient of f16 has noise too.
#[test]
fn gaussian_takes_layouts_and_halves() {
    let (_folder, x, _) = folder_with(&vector(&[2.0; 8]));
    let line = format!("apply --input {x} --output - {CALL} --kind gaussian --noise-shape 1");
    for (place, file) in everywhere(&line) {
        let data: Vec<_> = file[file.len() - 32..].chunks_exact(4).collect();
        assert!(data.iter().all(|element| element == &data[0]), "{place}");
    }
    let halves = npy("'<f2'", "False", "(2,)", &[0, 0x40, 0, 0x40]);
    let (_folder, x, _) = folder_with(&halves);
    let line = format!("apply --backward --input {x} --output - {CALL} --kind gaussian");
    for (place, file) in everywhere(&line) {
        assert_eq!(file.len(), halves.len(), "{place}");
        assert_ne!(file, halves, "{place}");
    }
}

#[test]
fn a_calls_own_kind_counts_where_none_is_given() {
    let (_folder, x, _) = folder_with(&vector(&input()));
    let of = |kind: &[&str]| {
        let call = "p=0.3 seed=42 stream=7 origin=0xfffffffd kind=classic";
        let line = format!("apply --engine cpu --output - --input {x}");
        let mut command = binary();
        command
            .args(line.split(' '))
            .args(["--call", call])
            .args(kind);
        elements(&command.output().unwrap().stdout)
    };
    assert_eq!(of(&[]), expected(DropoutKind::Classic, Direction::Forward));
    let inverted = expected(DropoutKind::Inverted, Direction::Forward);
    assert_eq!(of(&["--kind", "inverted"]), inverted);
}
