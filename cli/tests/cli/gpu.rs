//! Every adapter that `adapters` lists gives the same bytes as the CPU engine.

use std::env;
use std::fs;

use serde_json::Value;

use crate::apply::folder_with;
use crate::command::{assert_fails, assert_success, binary, cpu, fails, run, word};
use crate::compare::assert_same;

/// The labels of the machine's adapters. With REQUIRE_GPU set, at least one must be there.
pub fn adapters() -> Vec<String> {
    let output = run("adapters --json");
    let records: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let text = |record: &Value, name: &str| record[name].as_str().unwrap().to_owned();
    let labels: Vec<_> = records
        .iter()
        .map(|record| format!("{}/{}", text(record, "backend"), text(record, "name")))
        .collect();
    if labels.is_empty() {
        let required = env::var_os("REQUIRE_GPU").is_some_and(|value| !value.is_empty());
        assert!(!required, "REQUIRE_GPU is set and there is no adapter");
        assert_fails(&output, 1, &["there is no adapter", "--engine cpu"]);
        eprintln!("skipped: there is no adapter");
    }
    labels
}

#[test]
fn one_adapter_would_be_taken_and_lines_are_short() {
    let labels = adapters();
    if labels.is_empty() {
        return;
    }
    let json = run("adapters --json").stdout;
    let records: Vec<Value> = serde_json::from_slice(&json).unwrap();
    let taken = records.iter().filter(|record| record["taken"] == true);
    assert_eq!(taken.count(), 1);
    let listing = String::from_utf8(run("adapters").stdout).unwrap();
    for label in labels {
        assert!(listing.lines().any(|line| line == label), "{listing}");
    }
    let facts = listing.lines().filter(|line| line.starts_with("  "));
    assert!(facts.clone().count() >= 5);
    facts.for_each(|line| assert!(line.len() <= 100, "{line}"));
}

/// Standard output of `line` on one adapter.
fn gpu(line: &str, adapter: &str) -> Vec<u8> {
    let output = binary()
        .args(line.split_whitespace())
        .args(["--adapter", adapter])
        .output()
        .unwrap();
    assert_success(&output);
    output.stdout
}

/// Standard output of `line` on the CPU and on each adapter, each with its name.
pub fn everywhere(line: &str) -> Vec<(String, Vec<u8>)> {
    let mut outputs = vec![("CPU".to_owned(), cpu(line))];
    outputs.extend(adapters().into_iter().map(|adapter| {
        let output = gpu(line, &adapter);
        (adapter, output)
    }));
    outputs
}

#[test]
fn masks_and_words_are_those_of_the_cpu() {
    for adapter in adapters() {
        for line in [
            "mask --len 100003 --p 0.1 --seed 42 --stream 7 --origin 0xfffffffd --output -",
            "words --key 1,2 --counter 0xfffffff0,0xffffffff,0,0 --blocks 100 --raw",
        ] {
            let what = format!("{line} on {adapter}");
            assert_same(&what, &gpu(line, &adapter), &cpu(line));
        }
    }
}

#[test]
fn the_sample_is_the_same_on_the_cpu() {
    let folder = env!("CARGO_MANIFEST_DIR");
    let sample = format!("{folder}/../examples/data/activations.npy");
    let (_folder, _, output) = folder_with(b"");
    for adapter in adapters() {
        for direction in ["", "--backward"] {
            let call = "--p 0.1 --seed 42 --stream 7";
            let line = format!("apply --input {sample} --output {output} {call} {direction}");
            gpu(&line, &adapter);
            let on_gpu = fs::read(&output).unwrap();
            cpu(&line);
            let on_cpu = fs::read(&output).unwrap();
            assert_same(&format!("{line} on {adapter}"), &on_gpu, &on_cpu);
            assert_ne!(on_gpu, fs::read(&sample).unwrap());
        }
    }
}

#[test]
fn the_benchmark_verifies_and_measures() {
    for adapter in adapters() {
        let folder = tempfile::tempdir().unwrap();
        let (json, csv) = (folder.path().join("json"), folder.path().join("csv"));
        let line = format!(
            "bench --sizes 4099 --seconds 0 --json {} --csv {}",
            word(&json),
            word(&csv)
        );
        let output = String::from_utf8(gpu(&line, &adapter)).unwrap();
        assert!(output.starts_with(&format!("GPU: {adapter}")), "{output}");
        // The heading of every table names the adapter.
        let heads = [
            "4099 elements on",
            "Layouts and kinds, 4194304 elements on",
            "Many f32 tensors in a pass on",
            "CPU time to record a dispatch on",
        ];
        for head in heads.map(|head| format!("\n{head} {adapter}")) {
            assert!(output.contains(&head), "no `{head}` in:\n{output}");
        }
        let record: Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
        let [backend, name] =
            ["backend", "name"].map(|key| record["adapter"][key].as_str().unwrap());
        assert_eq!(format!("{backend}/{name}"), adapter);
        for dtype in ["f32", "f16", "bf16"] {
            let rows = record["measurements"].as_array().unwrap().iter();
            let rows = rows.filter(|row| row["place"] == "gpu" && row["dtype"] == dtype);
            assert_eq!(rows.count(), 4, "{dtype}");
        }
        assert!(record["recording"][0]["seconds"]["median"].is_f64());
        let launches = record["launches"].as_array().unwrap();
        let passes: Vec<_> = launches
            .iter()
            .flat_map(|row| Some((row["tensors"].as_u64()?, row["elements"].as_u64()?)))
            .collect();
        let (small, large) = ((1000, 4096), (1, 4_096_000));
        assert_eq!(passes, [small, small, large, large]);
        let variants = record["variants"].as_array().unwrap();
        let names: Vec<_> = variants
            .iter()
            .flat_map(|row| row["variant"].as_str())
            .collect();
        assert_eq!(names.len(), variants.len());
        for name in "copy linear drop_path gaussian sample_ids packed_mask".split(' ') {
            assert!(names.contains(&name), "no {name} in {names:?}");
        }
        for row in variants {
            assert_eq!(row["bytes"], 8 * 4_194_304);
            assert!(row["wall_seconds"]["median"].is_f64(), "{row}");
        }
        let csv = fs::read_to_string(csv).unwrap();
        let rows = csv.lines().filter(|line| line.contains(",4194304,"));
        assert_eq!(rows.clone().count(), variants.len(), "{csv}");
        let start = format!("\"{adapter}");
        assert!(rows.clone().all(|row| row.starts_with(&start)));
        let packed = rows.filter(|row| row.ends_with(",\"packed mask\""));
        assert_eq!(packed.count(), 1);
        let has_times = output.lines().any(|line| line.starts_with("GPU "));
        assert!(has_times, "{output}");
    }
}

#[test]
fn the_listing_says_how_parameters_reach_the_kernels() {
    let json = run("adapters --json").stdout;
    let records: Vec<Value> = serde_json::from_slice(&json).unwrap_or_default();
    for record in records {
        let features = record["features"].as_array().unwrap();
        let expected = match features.iter().any(|name| name == "IMMEDIATES") {
            true => "immediates",
            false => "uniforms: no IMMEDIATES",
        };
        assert_eq!(record["parameters"], expected, "{record}");
    }
}

#[test]
fn an_unknown_adapter_is_answered_with_those_there_are() {
    let labels = adapters();
    if labels.is_empty() {
        return;
    }
    let parts: Vec<_> = labels.iter().map(String::as_str).collect();
    let line = "mask --len 1 --p 0 --seed 0 --stream 0 --output - --adapter no/such";
    fails(line, 1, &[&["--adapter no/such"], &parts[..]].concat());
}
