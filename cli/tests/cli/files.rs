//! Inputs and outputs of every kind: files, pipes, and standard input and output under each of
//! their names.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

use crate::apply::{bytes, folder_with, npy, vector};
use crate::command::{assert_fails, assert_success, binary, succeeds, word};
use crate::compare::assert_same;

const CALL: &str = "--p 0.5 --seed 1 --stream 2 --engine cpu";

/// Runs the binary with `input` on standard input.
fn piped(line: &str, input: &[u8]) -> Output {
    let mut child = binary()
        .args(line.split_whitespace())
        .args(CALL.split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The write may fail: a command that refuses its input early does not read the rest.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().next().is_none()
}

#[test]
fn a_dash_is_standard_input_and_output() {
    for input in [
        vector(&[1.0; 1000]),
        vector(&[]),
        npy("'<f4'", "False", "(2, 3)", &bytes(&[-1.0; 6])),
    ] {
        let (_folder, x, _) = folder_with(&input);
        let of_file = succeeds(&format!("apply --input {x} --output - {CALL}"));
        let of_stdin = piped("apply --input - --output -", &input);
        assert_success(&of_stdin);
        assert_same("standard input", &of_stdin.stdout, &of_file);
    }
}

#[test]
fn a_stream_of_another_length_than_its_headers_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let y = folder.path().join("y");
    let line = format!("apply --input - --output {}", word(&y));
    let whole = vector(&[1.0; 1000]);
    for (input, parts) in [
        (
            &whole[..whole.len() - 1],
            ["cut off", "promises 4000 bytes", "3999 are there"],
        ),
        (
            &whole[..128],
            ["cut off", "promises 4000 bytes", " 0 are there"],
        ),
        (&whole[..100], ["cut off", "needs 128 bytes", "has 100"]),
        (
            &[&whole[..], b"!"].concat(),
            ["too long", "promises 4000 bytes", "4001 or more"],
        ),
    ] {
        let output = piped(&line, input);
        assert_fails(&output, 1, &[&["standard input"], &parts[..]].concat());
        assert!(is_empty(folder.path()), "{parts:?}");
    }
    // Negative control: the complete stream is accepted.
    assert_success(&piped(&line, &whole));
    assert!(y.exists());
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
    use std::os::unix::process::CommandExt;
    use std::path::PathBuf;
    use std::process::{Child, Command};
    use std::time::{Duration, Instant};

    use super::*;

    const MASK: &str = "mask --len 1000";

    /// The id of a user and a group that the tests do not run as.
    const OTHER: u32 = 54_321;

    /// Runs a shell script in which `"$0"` is the binary and `$1` the folder.
    fn shell(script: &str, folder: &Path) -> Output {
        let program = binary();
        Command::new("sh")
            .args(["-c", script])
            .arg(program.get_program())
            .arg(folder)
            .output()
            .unwrap()
    }

    fn mask() -> Vec<u8> {
        succeeds(&format!("{MASK} {CALL} --output -"))
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn mkfifo(path: &Path) {
        let status = Command::new("mkfifo").arg(path).status();
        assert!(status.unwrap().success());
    }

    /// Gives a file to another user. Returns true if that is allowed, as it is for root.
    fn give_away(path: &Path) -> bool {
        let given = chown(path, Some(OTHER), Some(OTHER));
        if let Err(error) = &given {
            eprintln!("skipped: {error}");
        }
        given.is_ok()
    }

    #[test]
    fn standard_output_by_its_names_loses_nothing_that_stands_there() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        symlink("/dev/stdout", &link).unwrap();
        let expected = [b"head\n", &mask()[..], b"tail\n"].concat();
        for (stream, redirect) in [("stdout", ""), ("stderr", ">&2 2>&1")] {
            let number = if stream == "stdout" { 1 } else { 2 };
            let mut names = vec![format!("/dev/{stream}"), format!("/dev/fd/{number}")];
            if cfg!(target_os = "linux") {
                names.push(format!("/proc/self/fd/{number}"));
            }
            if number == 1 {
                names.push(word(&link).to_owned());
            }
            for name in names {
                let command = format!("\"$0\" {MASK} {CALL} --output {name}");
                let script = match number {
                    1 => format!("{{ echo head; {command}; echo tail; }} > \"$1/log\" {redirect}"),
                    _ => format!("{{ echo head >&2; {command}; echo tail >&2; }} 2> \"$1/log\""),
                };
                assert_success(&shell(&script, folder.path()));
                let log = fs::read(folder.path().join("log")).unwrap();
                assert_same(&name, &log, &expected);
                // With `>>` the output is appended: the file is neither cut nor overwritten.
                let script = format!("{command} {number}>> \"$1/log\"");
                assert_success(&shell(&script, folder.path()));
                let log = fs::read(folder.path().join("log")).unwrap();
                assert_same(&name, &log, &[&expected[..], &mask()].concat());
            }
        }
        assert_eq!(names(folder.path()), ["link", "log"]);
    }

    #[test]
    fn a_record_for_standard_output_takes_the_tables_place_by_any_name() {
        let folder = tempfile::tempdir().unwrap();
        let script =
            "\"$0\" bench --sizes 64 --seconds 0 --engine cpu --json /dev/stdout > \"$1/log\"";
        assert_success(&shell(script, folder.path()));
        let log = fs::read(folder.path().join("log")).unwrap();
        serde_json::from_slice::<serde_json::Value>(&log).unwrap();
    }

    #[test]
    fn another_descriptor_of_a_file_is_refused_and_of_a_pipe_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let command = format!("\"$0\" {MASK} {CALL} --output /dev/fd/3");
        let script = format!("{{ echo head >&3; {command}; }} 3> \"$1/log\"");
        let output = shell(&script, folder.path());
        assert_fails(&output, 1, &["cannot write /dev/fd/3", "--output - >&3"]);
        assert_eq!(fs::read(folder.path().join("log")).unwrap(), b"head\n");

        let output = shell(&format!("{command} 3>&1 | cat"), folder.path());
        assert_same("pipe", &output.stdout, &mask());
    }

    #[test]
    fn a_link_to_nothing_gets_its_target() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("below");
        fs::create_dir(&below).unwrap();
        let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
        symlink("second", &first).unwrap();
        symlink("below/../below/target", &second).unwrap();
        succeeds(&format!("{MASK} {CALL} --output {}", word(&first)));
        assert!(first.is_symlink() && second.is_symlink());
        assert_same("target", &fs::read(below.join("target")).unwrap(), &mask());
        assert_eq!(names(&below), ["target"]);

        let ring = folder.path().join("ring");
        symlink("ring", &ring).unwrap();
        let script = format!("\"$0\" {MASK} {CALL} --output \"$1/ring\"");
        let output = shell(&script, folder.path());
        assert_fails(&output, 1, &["cannot write", "ring"]);
        assert!(ring.is_symlink());
    }

    #[test]
    fn a_file_keeps_its_owner_and_its_mode() {
        let (_folder, x, _) = folder_with(&vector(&[1.0; 100]));
        for mode in [0o640, 0o666] {
            if !give_away(Path::new(&x)) {
                return;
            }
            fs::set_permissions(&x, fs::Permissions::from_mode(mode)).unwrap();
            succeeds(&format!("apply --input {x} --output {x} {CALL}"));
            let after = fs::metadata(&x).unwrap();
            assert_eq!((after.uid(), after.gid()), (OTHER, OTHER));
            assert_eq!(after.mode() & 0o777, mode);
        }
    }

    #[test]
    fn the_names_of_a_file_stay_one_file() {
        let (folder, x, y) = folder_with(&vector(&[1.0; 1000]));
        let expected = succeeds(&format!("apply --input {x} --output - {CALL}"));
        let z = folder.path().join("z");
        // The old contents are longer than the new ones, then equal to the input.
        for old in [vec![7; 10_000], fs::read(&x).unwrap()] {
            fs::write(&y, old).unwrap();
            let _ = fs::remove_file(&z);
            fs::hard_link(&y, &z).unwrap();
            succeeds(&format!("apply --input {x} --output {y} {CALL}"));
            assert_same("the name", &fs::read(&y).unwrap(), &expected);
            assert_same("the other name", &fs::read(&z).unwrap(), &expected);
            assert_eq!(z.metadata().unwrap().nlink(), 2);
        }
        assert_eq!(names(folder.path()), ["in.npy", "out.npy", "z"]);
    }

    /// The file belongs to another user and may be written. In the first round its folder may not
    /// be written; in the second it is sticky.
    #[test]
    fn a_file_that_can_be_written_and_not_replaced_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        fs::copy(binary().get_program(), &program).unwrap();
        let target = folder.path().join("target");
        for mode in [0o755, 0o1777] {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            fs::write(&target, "old").unwrap();
            fs::set_permissions(&target, fs::Permissions::from_mode(0o666)).unwrap();
            let before = target.metadata().unwrap();
            let output = Command::new(&program)
                .args(MASK.split(' '))
                .args(CALL.split(' '))
                .args(["--output", word(&target)])
                .uid(OTHER)
                .gid(OTHER)
                .output();
            let output = match output {
                Err(error) => return eprintln!("skipped: {error}"),
                Ok(output) => output,
            };
            assert_success(&output);
            let after = target.metadata().unwrap();
            assert_eq!((after.ino(), after.uid()), (before.ino(), before.uid()));
            assert_same("contents", &fs::read(&target).unwrap(), &mask());
            assert_eq!(names(folder.path()), ["program", "target"]);
        }
    }

    #[test]
    fn a_fifo_whose_other_end_nobody_opens_is_refused() {
        let (folder, x, _) = folder_with(&vector(&[1.0]));
        let fifo = folder.path().join("fifo");
        mkfifo(&fifo);
        for line in [
            format!("apply --input {} --output -", word(&fifo)),
            format!("apply --input {x} --output {}", word(&fifo)),
            format!("mask --len 9 --output {}", word(&fifo)),
        ] {
            let start = Instant::now();
            let output = piped(&line, b"");
            assert_fails(&output, 1, &[word(&fifo), "no program opens"]);
            // The timeout of a second, and time for a slow machine.
            assert!(start.elapsed() < Duration::from_secs(5), "{line}");
        }
    }

    fn spawn(command: &str, path: &Path) -> Child {
        let script = format!("sleep 0.2; exec {command}");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).arg(path).spawn().unwrap()
    }

    #[test]
    fn pipes_with_and_without_a_name_are_read_and_written() {
        let (folder, x, y) = folder_with(&vector(&[1.0; 100_000]));
        let expected = succeeds(&format!("apply --input {x} --output - {CALL}"));
        let fifos: [PathBuf; 2] = ["from", "to"].map(|name| folder.path().join(name));
        fifos.iter().for_each(|fifo| mkfifo(fifo));
        let [from, to] = &fifos;
        let mut writer = spawn(&format!("cat {x} > \"$0\""), from);
        let copy = folder.path().join("copy");
        let mut reader = spawn(&format!("cat \"$0\" > {}", word(&copy)), to);
        let (from, to) = (word(from), word(to));
        succeeds(&format!("apply --input {from} --output {to} {CALL}"));
        assert!(writer.wait().unwrap().success() && reader.wait().unwrap().success());
        assert_same("FIFOs", &fs::read(copy).unwrap(), &expected);

        // `<(…)` and `>(…)` of a shell are names like these.
        let script = format!(
            "cat \"$1/in.npy\" | {{ \"$0\" apply --input /dev/fd/3 --output /dev/fd/4 {CALL} 4>&1 | \
             cat > \"$1/out.npy\"; }} 3<&0"
        );
        assert_success(&shell(&script, folder.path()));
        assert_same("pipes", &fs::read(y).unwrap(), &expected);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_device_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        for command in [
            format!("{MASK} {CALL} --output /dev/full"),
            format!("{MASK} {CALL} --output - > /dev/full"),
            "words --key 1,2 --counter 0,0,0,0 --blocks 1 --engine cpu > /dev/full".to_owned(),
            "wgsl > /dev/full".to_owned(),
        ] {
            let output = shell(&format!("\"$0\" {command}"), folder.path());
            assert_fails(&output, 1, &["cannot write", "os error 28"]);
        }
    }
}
