//! The files of `bench` with the CPU engine alone. Each check is shown to fail on a changed file.

use std::fs;

use serde_json::{Value, json};

use crate::command::{cpu, word};

const LINE: &str = "bench --sizes 4096 --dtype f32,bf16 --seconds 0";

/// Number of rounds of a run with `--seconds 0`.
const ROUNDS: usize = 5;

/// The content of the file that `option` writes.
fn file(option: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let tables = cpu(&format!("{LINE} {option} {}", word(&path)));
    assert!(!tables.is_empty());
    fs::read_to_string(path).unwrap()
}

fn ensure(condition: bool, what: impl Into<String>) -> Result<(), String> {
    if condition { Ok(()) } else { Err(what.into()) }
}

/// Number of rows of a run on one size in two types. The rand loop has one row, since it has one
/// type and one operation.
fn rows() -> usize {
    let threads = std::thread::available_parallelism().unwrap().get();
    let pools = if threads == 1 { 1 } else { 2 };
    2 * 4 * pools + 1
}

fn check_record(record: &Value) -> Result<(), String> {
    ensure(record["version"] == 1, "not version 1")?;
    ensure(
        record["library"]["version"] == env!("CARGO_PKG_VERSION"),
        "not this library",
    )?;
    for field in ["/date", "/call", "/machine/os", "/machine/architecture"] {
        let value = record.pointer(field).and_then(Value::as_str);
        ensure(value.is_some_and(|value| !value.is_empty()), field)?;
    }
    ensure(record["adapter"].is_null(), "an adapter on the CPU")?;
    let measurements = record["measurements"].as_array().ok_or("none")?;
    ensure(measurements.len() == rows(), "not one row an operation")?;
    for tables in ["variants", "launches", "recording"] {
        ensure(record[tables] == json!([]), tables)?;
    }
    for row in measurements {
        ensure(row["elements"] == 4096, "not the size")?;
        let bytes = match row["dtype"].as_str() {
            Some("f32") => 2 * 4 * 4096,
            Some("bf16") => 2 * 2 * 4096,
            _ => 0,
        };
        ensure(row["bytes"] == bytes, "not read once, written once")?;
        ensure(row["gpu_seconds"].is_null(), "timestamps of no adapter")?;
        check_samples(&row["wall_seconds"])?;
    }
    Ok(())
}

fn check_samples(samples: &Value) -> Result<(), String> {
    let all = samples["all"].as_array().ok_or("no times")?;
    let mut all: Vec<_> = all.iter().filter_map(Value::as_f64).collect();
    ensure(all.len() == ROUNDS, "not one time a round")?;
    all.sort_by(f64::total_cmp);
    for (name, index) in [("min", 0), ("median", ROUNDS / 2), ("max", ROUNDS - 1)] {
        ensure(samples[name] == all[index], name)?;
    }
    Ok(())
}

#[test]
fn the_record_says_what_was_measured_and_on_what() {
    let record: Value = serde_json::from_str(&file("--json")).unwrap();
    assert_eq!(check_record(&record), Ok(()));
    let mut wrong = record;
    wrong["measurements"][1]["wall_seconds"]["median"] = json!(1e9);
    assert!(check_record(&wrong).is_err());
}

#[test]
fn standard_output_has_the_record_in_place_of_the_tables() {
    let output = cpu(&format!("{LINE} --json -"));
    let record: Value = serde_json::from_slice(&output).unwrap();
    assert_eq!(check_record(&record), Ok(()));
}

fn check_csv(text: &str) -> Result<(), String> {
    let mut lines = text.lines();
    let header = "adapter,place,operation,dtype,elements,bytes,rounds,\
                  wall_p10_seconds,wall_median_seconds,wall_p90_seconds,\
                  gpu_p10_seconds,gpu_median_seconds,gpu_p90_seconds,variant";
    ensure(lines.next() == Some(header), "another header")?;
    ensure(lines.clone().count() == rows(), "not one row an operation")?;
    for line in lines {
        // Only the first two fields and the last are quoted, since `CPU, 1 thread` has a comma.
        let line = line.strip_suffix(",\"\"").ok_or("a variant on the CPU")?;
        let (names, numbers) = line.rsplit_once("\",").ok_or("no names")?;
        ensure(names.starts_with("\"\",\""), "an adapter on the CPU")?;
        let fields: Vec<_> = numbers.split(',').collect();
        ensure(fields.len() == 11, "not the header's fields")?;
        ensure(["f32", "bf16"].contains(&fields[1]), "not the types")?;
        ensure(fields[2] == "4096", "not the size")?;
        let times: Vec<f64> = fields[5..8].iter().flat_map(|s| s.parse()).collect();
        ensure(times.len() == 3 && times.is_sorted(), "no quantiles")?;
    }
    Ok(())
}

#[test]
fn the_csv_has_a_row_for_each_measurement() {
    let csv = file("--csv");
    assert_eq!(check_csv(&csv), Ok(()));
    assert!(check_csv(&csv.replacen(",4096,", ",4097,", 1)).is_err());
}

fn check_svg(text: &str) -> Result<(), String> {
    let svg = roxmltree::Document::parse(text).map_err(|error| error.to_string())?;
    let root = svg.root_element();
    ensure(
        root.has_tag_name(("http://www.w3.org/2000/svg", "svg")),
        "no SVG",
    )?;
    let texts: Vec<_> = svg
        .descendants()
        .filter(|node| node.tag_name().name() == "text")
        .filter_map(|node| Some(node.text()?.trim()))
        .collect();
    for text in [
        "Dropout on the CPU",
        "elements of a tensor, f32",
        "GB/s by wall time: median, p10 to p90; 8 bytes per element",
        "4 Ki",
        "CPU, 1 thread: forward",
        "CPU, 1 thread: memcpy",
        "rand loop, 1 thread: forward",
    ] {
        ensure(texts.contains(&text), text)?;
    }
    let lines = svg
        .descendants()
        .filter(|node| node.tag_name().name() == "circle");
    ensure(lines.count() >= 2 * 3, "no points and no legend")
}

#[test]
fn the_plot_names_what_it_shows() {
    let svg = file("--plot");
    assert_eq!(check_svg(&svg), Ok(()));
    assert!(check_svg(&svg.replace("circle", "ellipse")).is_err());
}

#[test]
fn the_page_has_ratios_to_a_copy() {
    let page = file("--markdown");
    let rows: Vec<_> = page
        .lines()
        .filter(|line| line.starts_with("| CPU"))
        .collect();
    assert!(
        rows.iter().any(|row| row.contains("forward, f32 | ")),
        "{page}"
    );
    assert!(!rows.iter().any(|row| row.contains("copy")), "{page}");
    let ratio = |row: &&str| {
        row.rsplit(" | ")
            .next()
            .unwrap()
            .trim_end_matches(" |")
            .parse::<f64>()
    };
    assert!(
        rows.iter()
            .all(|row| ratio(row).is_ok_and(|ratio| ratio > 0.0)),
        "{page}"
    );
    assert!(page.contains("| elements | 4,096 |"), "{page}");
}
