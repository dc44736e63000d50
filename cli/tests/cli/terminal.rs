//! Messages escape control characters of a terminal, and cut long input short.

use std::fs;

use crate::apply::{folder_with, npy};
use crate::command::{binary, word};

/// Sets the title, clears the screen, turns red, and makes the text run from right to left.
const EVIL: &str = "\x1b]0;title\x07\x1b[2J\r\u{9b}31m\u{202e}";

const CALL: &str = "--p=0.5 --seed=1 --stream=2 --engine=cpu";

/// The message of a run that fails.
fn message(args: &[&str]) -> String {
    let output = binary().args(args).output().unwrap();
    assert!(!output.status.success(), "{args:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn check(message: &str) -> Result<(), String> {
    let is_obeyed = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
    match message {
        _ if message.contains(is_obeyed) => Err(format!("not escaped: {message:?}")),
        _ if message.len() > 3000 => Err(format!("not cut short: {message}")),
        _ => Ok(()),
    }
}

#[test]
fn of_headers() {
    let long = "y".repeat(9_000);
    for descr in [
        format!("'{EVIL}'"),
        format!("['{long}{EVIL}']"),
        format!("{EVIL}{long}"),
        format!("'<f4', '{EVIL}': '{long}'"),
    ] {
        let (_folder, x, _) = folder_with(&npy(&descr, "False", "(1,)", &[0; 4]));
        let mut args = vec!["apply", "--output", "-", "--input", &x];
        args.extend(CALL.split(' '));
        assert_eq!(check(&message(&args)), Ok(()));
    }
}

#[cfg(unix)]
#[test]
fn of_file_names() {
    let folder = tempfile::tempdir().unwrap();
    let name = folder
        .path()
        .join(format!("{EVIL}\nerror: {}", "z".repeat(200)));
    let below = name.join("file");
    let run = |args: &[&str]| {
        let args: Vec<_> = args.iter().copied().chain(CALL.split(' ')).collect();
        let message = message(&args);
        assert_eq!(check(&message), Ok(()));
        assert_eq!(message.lines().count(), 1, "{message}");
    };
    run(&["apply", "--output", "-", "--input", word(&name)]);
    fs::write(&name, "no .npy file").unwrap();
    run(&["apply", "--output", "-", "--input", word(&name)]);
    run(&["mask", "--len", "1", "--output", word(&below)]);
    let bench = message(&["bench", "--engine", "cpu", "--json", word(&below)]);
    assert_eq!(check(&bench), Ok(()));
}

#[test]
fn of_options() {
    let long = format!("{EVIL}{}", "x".repeat(100_000));
    for text in [EVIL, &long] {
        let (option, value) = (format!("--{text}"), format!("1\nerror: {text}"));
        for args in [
            &[text][..],
            &["wgsl", "--kernel", text],
            &["wgsl", &option],
            &["words", "--key", text],
            &["mask", "--call", text],
            &["mask", "--p", &value],
            &["mask", "--shape", text],
            &["bench", "--dtype", text],
            &["verify", "--adapter", text],
        ] {
            assert_eq!(check(&message(args)), Ok(()), "{args:?}");
        }
        let message = message(&["mask", "--p", &value]);
        assert!(!message.contains("\nerror: "), "{message}");
    }
}

/// Negative control: the check notices characters that a terminal obeys, and long messages.
#[test]
fn what_is_obeyed_or_long_is_found() {
    for wrong in [
        EVIL,
        "\x1b",
        "\r",
        "\u{9b}",
        "\u{202e}",
        "\0",
        &"x".repeat(3001),
    ] {
        assert!(check(wrong).is_err(), "{wrong:?}");
    }
    assert_eq!(check("error: \\u{1b}\n  ä\n"), Ok(()));
}
