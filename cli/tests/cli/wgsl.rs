//! `wgsl`: every printed text is a valid module, and the one that was asked for.

use std::collections::HashSet;
use std::fs;

use naga::valid::{Capabilities, ValidationFlags, Validator};
use serde_json::{Value, json};

use crate::command::{self, assert_fails, assert_success, fails, refused};

fn text(options: &str) -> String {
    command::text(&format!("wgsl {options}"))
}

/// Validates a text with only those capabilities that the options name.
fn validate(options: &str, text: &str) -> Result<naga::Module, String> {
    let mut capabilities = Capabilities::empty();
    for (capability, option) in [
        (Capabilities::SHADER_INT64, "--multiply u64"),
        (Capabilities::IMMEDIATES, "--params immediates"),
        (
            Capabilities::SHADER_FLOAT16_IN_FLOAT32,
            "--conversion hardware",
        ),
    ] {
        capabilities.set(capability, options.contains(option));
    }
    let module = naga::front::wgsl::parse_str(text).map_err(|error| error.to_string())?;
    Validator::new(ValidationFlags::all(), capabilities)
        .validate(&module)
        .map_err(|error| error.emit_to_string(text))?;
    Ok(module)
}

#[test]
fn what_the_list_names_is_printed_and_valid() {
    let list = text("--list");
    assert!(list.lines().count() > 10_000);
    // 101 is coprime to the number of values of each option, so the sample mixes their values.
    let lines: HashSet<_> = list
        .lines()
        .step_by(101)
        .chain(list.lines().last())
        // Other texts have these options and more.
        .chain(["--kernel column-tiles --dtype f32 --terms scale --params uniform"])
        .collect();
    let mut texts = HashSet::new();
    for options in &lines {
        let text = text(options);
        let module = validate(options, &text).unwrap_or_else(|error| panic!("{options}: {error}"));
        assert_eq!(module.entry_points.len(), 1, "{options}");
        assert!(texts.insert(text), "{options}");
    }
    let parts = "kernel dropout, kernel keep-mask, kernel philox-blocks, dtype f16, dtype bf16, layout pooled, \
                 layout in-place, mask packed, mask rows, mask runs, mask scattered, sample-ids yes, \
                 value affine, value noise, access vectors, params uniform";
    for part in parts.split(", ") {
        assert!(lines.iter().any(|line| line.contains(part)), "{part}");
    }
}

#[test]
fn options_choose_by_what_they_name() {
    let default = text("");
    assert_eq!(default, text("--kernel dropout --dtype f32 --multiply u64"));
    for (options, part) in [
        ("--dtype f16 --layout in-place", "fn dropout_blocks("),
        ("--kernel copy --dtype bf16", "fn dropout_words("),
        ("--kernel keep-mask --multiply halves", "fn keep_mask("),
        ("--value noise --layout pooled", "fn dropout_normals("),
        ("--rounds 7", "const DROPOUT_PHILOX_ROUNDS = 7u;"),
        ("--mask runs --dimensions 3", "const DIMENSIONS = 3u;"),
        ("--params uniform", "var<uniform> params"),
    ] {
        assert!(text(options).contains(part), "{options}");
        assert_ne!(text(options), default, "{options}");
    }
}

#[test]
fn a_folder_gets_each_text_and_what_a_host_must_know() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new");
    let chosen = "--kernel keep-mask --dimensions 2 --portable";
    let count = text(&format!("{chosen} --output-dir {}", path.display()));
    let list = text(&format!("{chosen} --list"));
    assert_eq!(count, format!("{} kernels\n", list.lines().count()));

    let kernels = fs::read_to_string(path.join("kernels.json")).unwrap();
    let kernels: Vec<Value> = serde_json::from_str(&kernels).unwrap();
    assert_eq!(kernels.len(), list.lines().count());
    for (kernel, options) in kernels.iter().zip(list.lines()) {
        let file = fs::read_to_string(path.join(kernel["file"].as_str().unwrap())).unwrap();
        assert_eq!(file, text(options));
        assert_eq!(kernel["features"], json!([]));
        assert_eq!(kernel["elements_per_workgroup"], 8192);
    }
    let file = "keep-mask-rows-2-dimensions-yes-whole-words-no-sample-ids-halves-uniform.wgsl";
    let rows = kernels.iter().find(|kernel| kernel["file"] == file);
    assert_eq!(
        rows.unwrap()["buffers"],
        json!([
            { "name": "mask", "group": 0, "binding": 0, "type": "storage" },
            { "name": "dimensions", "group": 0, "binding": 1, "type": "uniform" },
            { "name": "params", "group": 1, "binding": 0, "type": "uniform" },
        ])
    );
    assert_eq!(fs::read_dir(path).unwrap().count(), kernels.len() + 1);
}

#[test]
fn portable_is_what_needs_no_feature() {
    let list = text("--list");
    let portable: Vec<_> = list
        .lines()
        .filter(|line| !line.contains("multiply u64") && !line.contains("params immediates"))
        .collect();
    assert!(text("--portable --list").lines().eq(portable));
}

#[test]
fn a_damaged_text_and_a_feature_not_named_are_seen() {
    let options = "--multiply u64 --params immediates";
    let text = text(options);
    assert!(validate(options, &text).is_ok());
    assert!(validate("--multiply u64", &text).is_err());
    assert!(validate("--params immediates", &text).is_err());
    assert!(validate(options, &text.replacen("alias Word", "alias Other", 1)).is_err());
}

#[test]
fn what_there_is_not_is_answered_with_what_there_is() {
    refused(2, "wgsl --dtype f64 | 'f64' | --dtype | f32, f16, bf16");
    let part = "--mask packed --access blocks";
    let output = fails(&format!("wgsl {part}"), 1, &[part, "--list"]);
    assert!(output.stdout.is_empty());
    refused(
        1,
        "wgsl --portable --params immediates | --portable --params immediates",
    );
}

/// Limits files to `blocks` blocks of 512 or 1024 bytes. With 64, each text fits, but
/// `kernels.json` does not.
#[cfg(unix)]
fn write_limited(folder: &std::path::Path, blocks: u32) -> std::process::Output {
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    std::process::Command::new("sh")
        .args(["-c", &script])
        .arg(command::binary().get_program())
        .args(
            "wgsl --kernel dropout --dtype f32 --layout separate --portable --output-dir"
                .split(' '),
        )
        .arg(folder)
        .output()
        .unwrap()
}

#[cfg(unix)]
#[test]
fn texts_are_there_together_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let entries = |path: &std::path::Path| fs::read_dir(path).unwrap().count();
    let new = folder.path().join("above/new");
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    for path in [&new, &empty] {
        let output = write_limited(path, 64);
        assert_fails(&output, 1, &["cannot write kernels.json"]);
        assert_eq!((entries(folder.path()), entries(&empty)), (1, 0));
        // Negative control: with more room, all files are written.
        assert_success(&write_limited(path, 4096));
        assert!(path.join("kernels.json").exists());
        let expected = text("--kernel dropout --dtype f32 --layout separate --portable --list")
            .lines()
            .count()
            + 1;
        assert_eq!(entries(path), expected);
        fs::remove_dir_all(path).unwrap();
        fs::create_dir_all(&empty).unwrap();
        let _ = fs::remove_dir(folder.path().join("above"));
    }
}

#[cfg(unix)]
#[test]
fn a_new_folder_is_as_readable_as_others() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let [new, other] = ["new", "other"].map(|name| folder.path().join(name));
    fs::create_dir(&other).unwrap();
    text(&format!(
        "--kernel philox-blocks --output-dir {}",
        new.display()
    ));
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode();
    assert_eq!(mode(&new), mode(&other));
}

#[test]
fn a_folder_that_has_a_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine"), "").unwrap();
    let line = format!("wgsl --output-dir {}", folder.path().display());
    fails(&line, 1, &["mine", "a new folder"]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
