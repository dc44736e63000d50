//! `words` against Random123's answers: carries, pieces, and the end of a pipe.

use std::io::Read;
use std::process::Stdio;

use crate::command::{binary, cpu, fails};
use crate::compare::assert_same;
use crate::vectors;

fn text(line: &str) -> String {
    String::from_utf8(cpu(&format!("words {line}"))).unwrap()
}

#[test]
fn known_answers() {
    for vector in vectors::blocks() {
        let options = &vector.options;
        let expected = format!("{}\n", vector.words);
        let text = text(&format!("--blocks 1 {options}"));
        assert_same(options, text.as_bytes(), expected.as_bytes());
    }
}

#[test]
fn the_carry_goes_through_all_words_and_wraps() {
    let max = "0xffffffff";
    for (before, after) in [
        (format!("{max},0,0,0"), "0,1,0,0"),
        (format!("{max},{max},0,0"), "0,0,1,0"),
        (format!("{max},{max},{max},0"), "0,0,0,1"),
        (format!("{max},{max},{max},{max}"), "0,0,0,0"),
    ] {
        let two = text(&format!("--key 1,2 --counter {before} --blocks 2"));
        let second = text(&format!("--key 1,2 --counter {after} --blocks 1"));
        let lines: Vec<_> = two.lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1], second.trim_end(), "after {before}");
        assert_ne!(lines[0], lines[1]);
    }
}

#[test]
fn raw_words_are_little_endian() {
    let raw = cpu("words --key 0,0 --counter 0,0,0,0 --blocks 1 --raw");
    let expected = [0x6627e8d5u32, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8].map(u32::to_le_bytes);
    assert_same("raw", &raw, expected.as_flattened());
}

#[test]
fn pieces_join_without_a_seam() {
    let first = 1 << 20;
    let words = |at, blocks| {
        let line = format!("words --key 3,4 --counter {at},0,0,0 --blocks {blocks} --raw");
        cpu(&line)
    };
    let (raw, tail) = (words(0, first + 2), words(first, 2));
    assert_eq!(raw.len(), 16 * (first + 2));
    assert_same("after the first piece", &raw[16 * first..], &tail);
}

#[test]
fn no_blocks_are_no_output() {
    assert!(cpu("words --key 0,0 --counter 0,0,0,0 --blocks 0").is_empty());
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let line = "words --key 0,0 --counter 0,0,0,0 --blocks 0xffffffffffffffff --engine cpu";
    for raw in [&[][..], &["--raw"]] {
        let mut child = binary()
            .args(line.split(' '))
            .args(raw)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut beginning = [0; 1000];
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut beginning).unwrap();
        drop(stdout);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
}

#[test]
fn other_rounds_are_refused() {
    for blocks in [0, 1] {
        let line = format!("words --key 0,0 --counter 0,0,0,0 --blocks {blocks} --rounds 8");
        fails(&format!("{line} --engine cpu"), 1, &["8 rounds", "7 or 10"]);
    }
}
