//! The texts of each command's `--help`.

use crate::command::{refused, text};

fn help(command: &str) -> String {
    text(&format!("{command} --help"))
}

#[test]
fn what_a_call_needs_is_required_in_the_usage() {
    for (command, first) in [
        ("apply", "apply --input <X.npy> --output <Y.npy>"),
        ("mask", "mask <--len <N>|--shape <N,…>> --output <FILE>"),
    ] {
        let usages = [
            format!("Usage: wgpu-dropout {first} --p <P> --seed <S> --stream <T> [OPTIONS]\n"),
            format!("       wgpu-dropout {first} --call <CALL> [OPTIONS]\n"),
        ];
        let text = help(command);
        assert!(text.contains(&usages.concat()), "{text}");
        assert!(
            text.contains("--p, --seed and --stream are required, or --call:"),
            "{text}"
        );
    }
}

/// The usage lines are written by hand, so each option in them must be one that the command has.
#[test]
fn usages_name_options_that_there_are() {
    for command in ["apply", "mask"] {
        let text = help(command);
        let (usage, options) = text.split_once("Options:").unwrap();
        let words = usage
            .split([' ', '<', '|'])
            .filter(|word| word.starts_with("--"));
        assert!(words.clone().count() > 5, "{usage}");
        for word in words {
            assert!(options.contains(&format!(" {word} <")), "{word} in {text}");
        }
    }
}

#[test]
fn an_engine_is_offered_where_it_computes() {
    for (command, has_adapter, has_engine) in [
        ("apply", true, true),
        ("mask", true, true),
        ("words", true, true),
        ("bench", true, true),
        ("verify", true, false),
        ("adapters", true, false),
        ("wgsl", false, false),
    ] {
        let text = help(command);
        assert_eq!(text.contains("--adapter <"), has_adapter, "{command}");
        assert_eq!(text.contains("--engine <"), has_engine, "{command}");
        if !has_engine {
            refused(2, &format!("{command} --engine cpu | --engine"));
        }
    }
}

#[test]
fn the_values_of_wgsl_are_listed() {
    let text = help("wgsl");
    for values in [
        "dropout, copy, activated, keep-mask, column-tiles, column-totals, norm, norm-moments, softmax, philox-blocks",
        "f32, f16, bf16",
        "linear, packed, rows, runs, scattered, drawn, by-side",
        "2, 3, 4, 8",
        "immediates, uniform, bound",
    ] {
        assert!(
            text.contains(&format!("[possible values: {values}]")),
            "{text}"
        );
    }
}
