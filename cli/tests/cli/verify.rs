//! `verify`, on every adapter.

use std::fs;

use serde_json::Value;

use crate::command::{assert_success, binary, fails, refused, succeeds, text, word};
use crate::gpu::adapters;

/// The mask hash of contract version 1.
const MASK_HASH: &str = "a086d68c9cf1f04c";

fn label(adapter: &Value) -> String {
    let text = |key: &str| adapter[key].as_str().unwrap().to_owned();
    format!("{}/{}", text("backend"), text("name"))
}

#[test]
fn one_adapter_has_a_row_figures_and_json() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("verify.json");
    for adapter in adapters() {
        let output = binary()
            .args(["verify", "--json", word(&path), "--adapter", &adapter])
            .output()
            .unwrap();
        assert_success(&output);
        let text = String::from_utf8(output.stdout).unwrap();
        let row = text.lines().nth(1).unwrap();
        assert!(row.starts_with(&format!("{adapter}  ok ")), "{text}");
        for part in [
            "known answers",
            "33 vectors",
            "1 of 1 adapters passed",
            MASK_HASH,
        ] {
            assert!(text.contains(part), "no `{part}` in\n{text}");
        }

        let json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(json["version"], 1);
        assert_eq!(json["contract"], 1);
        assert_eq!(json["passed"], true);
        let [audited] = &json["adapters"].as_array().unwrap()[..] else {
            panic!("one adapter, not {json}");
        };
        assert_eq!(label(audited), adapter);
        assert_eq!(audited["mask_hash"], MASK_HASH);
        for check in audited["checks"].as_array().unwrap() {
            let key = match check["outcome"].as_str().unwrap() {
                "passed" => "figure",
                "not_applicable" => "reason",
                other => panic!("{other}: {check}"),
            };
            assert!(check[key].is_string(), "{check}");
        }
    }
}

#[test]
fn all_adapters_are_those_of_the_listing_and_json_may_take_the_tables_place() {
    let labels = adapters();
    if labels.is_empty() {
        return;
    }
    let json: Value = serde_json::from_slice(&succeeds("verify --all --json -")).unwrap();
    let audited = json["adapters"].as_array().unwrap().iter().map(label);
    assert_eq!(audited.collect::<Vec<_>>(), labels);
}

#[test]
fn what_cannot_be_done_is_refused() {
    let output = fails("verify --all --adapter no/such", 1, &[]);
    assert!(output.stdout.is_empty());
    if !adapters().is_empty() {
        let file = "no/such/folder/verify.json";
        let output = fails(&format!("verify --json {file}"), 1, &["cannot write", file]);
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn the_page_s_file_becomes_a_row() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../adapters/");
    let file = format!("{folder}browser-webgpu-google-swiftshader.json");
    let text = text(&format!("verify --from {file} --markdown -"));
    let row = "\n| `webgpu/google swiftshader` | `Chromium 156` | `linux wasm32` | 2026-11-22 | `0.1.0` |";
    assert!(text.contains(row), "{text}");
    let toml = format!("verify --from {folder}../Cargo.toml --markdown -");
    fails(&toml, 1, &["no record of an audit"]);
    refused(2, &format!("verify --from {file} | --markdown"));
}
