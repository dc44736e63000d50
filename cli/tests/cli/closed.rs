//! Readers of the output that stop before the command ends, as `head` does.

use std::fs;
use std::process::{ExitStatus, Stdio};

use serde_json::Value;

use crate::command::{binary, word};
use crate::gpu::adapters;

/// Runs the binary with standard output and standard error closed at the other end.
fn run_unread<'a>(args: impl IntoIterator<Item = &'a str>) -> ExitStatus {
    let mut child = binary()
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    child.wait().unwrap()
}

#[test]
fn the_benchmark_still_writes_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let [json, csv] = ["json", "csv"].map(|name| folder.path().join(name));
    let line = "bench --sizes 64 --dtype f32 --seconds 0 --engine cpu --csv";
    for json in [word(&json), "-"] {
        let line = format!("{line} {} --json {json}", word(&csv));
        let status = run_unread(line.split(' '));
        assert_eq!(status.code(), Some(0));
        assert!(csv.exists());
        fs::remove_file(&csv).unwrap();
    }
    serde_json::from_slice::<Value>(&fs::read(json).unwrap()).unwrap();
}

#[test]
fn the_audit_still_writes_its_record() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("json");
    for adapter in adapters() {
        let status = run_unread(["verify", "--adapter", &adapter, "--json", word(&path)]);
        assert_eq!(status.code(), Some(0));
        serde_json::from_slice::<Value>(&fs::read(&path).unwrap()).unwrap();
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn what_nobody_reads_is_no_error() {
    let words = "words --engine cpu --key 1,2 --counter 0,0,0,0 --blocks 100000";
    let words = run_unread(words.split(' '));
    assert_eq!(words.code(), Some(0));
    // Nobody reads the message, but the exit code still tells the error.
    let missing = "apply --input missing --output - --p 0.5 --seed 1 --stream 1";
    let missing = run_unread(missing.split(' '));
    assert_eq!(missing.code(), Some(1));
}
