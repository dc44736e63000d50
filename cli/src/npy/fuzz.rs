//! Fuzz tests of the reader: the files of `tests/npy` changed at random, and headers that give each
//! key several times.
//!
//! A test takes two seconds. `FUZZ_SECONDS=600 cargo test -p wgpu-dropout-cli fuzz -- --nocapture`
//! runs longer; `FUZZ_SEED` repeats a run.

use std::env;
use std::fmt;
use std::fs;
use std::io::Cursor;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use wgpu_dropout::half::f16;

use super::*;

const SECONDS: u64 = 2;

/// Files that are tried before the clock is read again.
const BATCH: u32 = 256;

/// The longest message: an escaped quotation and two sentences.
const MAX_MESSAGE_CHARS: usize = 600;

#[derive(Clone)]
struct Bytes(Vec<u8>);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

/// A reader that opens a file, whose length may be known.
type Reader = fn(Box<dyn Read>, Option<u64>) -> Result<NpyFile>;

fn reader(data: Box<dyn Read>, file_bytes: Option<u64>) -> Result<NpyFile> {
    NpyFile::read("fuzz", data, file_bytes)
}

/// Type, shape and all bytes of a file that was read in pieces, as `apply` does.
type Tensor = (ElementType, Vec<u64>, Vec<u8>);

fn read_whole(read: Reader, file: &[u8], file_bytes: Option<u64>) -> Result<Tensor> {
    let mut npy = read(Box::new(Cursor::new(file.to_vec())), file_bytes)?;
    let (element_type, shape) = (npy.element_type, npy.shape.clone());
    let mut bytes = npy.header.clone();
    let mut left = count(&shape).unwrap();
    while left > 0 {
        let len = left.min(3);
        match element_type {
            ElementType::F32 => {
                bytes.extend(bytemuck::cast_slice(&npy.elements::<f32>(len as usize)?));
            }
            _ => bytes.extend(bytemuck::cast_slice(&npy.elements::<f16>(len as usize)?)),
        }
        left -= len;
    }
    npy.end()?;
    Ok((element_type, shape, bytes))
}

/// Reads a file as a file and as a stream. Both give its whole contents, or a message that is fit
/// for a terminal.
fn check(read: Reader, file: &[u8]) -> Result<Option<Tensor>, TestCaseError> {
    let of_file = read_whole(read, file, Some(file.len() as u64));
    let of_stream = read_whole(read, file, None);
    for error in [&of_file, &of_stream]
        .into_iter()
        .flat_map(|read| read.as_ref().err())
    {
        let message = format!("{error:#}");
        prop_assert!(message.chars().count() <= MAX_MESSAGE_CHARS, "{message}");
        prop_assert!(!message.contains(char::is_control), "{message:?}");
    }
    let (of_file, of_stream) = (of_file.ok(), of_stream.ok());
    prop_assert_eq!(&of_file, &of_stream, "as a file and as a stream");
    if let Some((.., bytes)) = &of_file {
        prop_assert_eq!(bytes, file);
    }
    Ok(of_file)
}

/// Tries files until the time is over. The error names the smallest file that fails.
fn fuzz<S: Strategy>(
    time: Duration,
    files: S,
    check: impl Fn(S::Value) -> Result<(), TestCaseError>,
) -> Result<(), TestError<S::Value>> {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = variable("FUZZ_SEED").unwrap_or_else(|| now().as_nanos() as u64);
    println!("FUZZ_SEED={seed}");
    let config = Config {
        cases: BATCH,
        failure_persistence: None,
        ..Config::default()
    };
    let mut seed_bytes = [0; 16];
    seed_bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut rng = TestRng::from_seed(RngAlgorithm::XorShift, &seed_bytes);
    let (start, mut batches) = (Instant::now(), 0);
    while start.elapsed() < time {
        let mut runner = TestRunner::new_with_rng(config.clone(), rng);
        runner.run(&files, &check)?;
        rng = runner.new_rng();
        batches += 1;
    }
    println!("{} files", batches * BATCH);
    Ok(())
}

fn variable(name: &str) -> Option<u64> {
    Some(env::var(name).ok()?.parse().unwrap())
}

fn time() -> Duration {
    Duration::from_secs(variable("FUZZ_SECONDS").unwrap_or(SECONDS))
}

/// Names and contents of the files in `tests/npy`.
fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/npy");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                fs::read(entry.path()).unwrap(),
            )
        })
        .collect();
    files.sort();
    assert!(files.len() > 15, "only {} files", files.len());
    files
}

#[derive(Clone, Debug)]
enum Change {
    Set(Index, u8),
    Insert(Index, Bytes),
    Remove(Index, usize),
    Repeat(Index, usize),
}

impl Change {
    fn apply(&self, file: &mut Vec<u8>) {
        if file.is_empty() {
            return;
        }
        let part = |at: &Index, len: usize| {
            let at = at.index(file.len());
            at..file.len().min(at + len)
        };
        match self {
            Self::Set(at, byte) => {
                let at = at.index(file.len());
                file[at] = *byte;
            }
            Self::Insert(at, bytes) => {
                let at = at.index(file.len());
                file.splice(at..at, bytes.0.iter().copied());
            }
            Self::Remove(at, len) => {
                file.drain(part(at, *len));
            }
            Self::Repeat(at, len) => {
                let range = part(at, *len);
                let copy = file[range.clone()].to_vec();
                file.splice(range.start..range.start, copy);
            }
        }
    }
}

/// Parts of headers, and control sequences that must not reach a terminal.
const WORDS: [&str; 22] = [
    "'",
    "\"",
    "(",
    ")",
    "[",
    "{",
    "}",
    ",",
    ":",
    "L",
    "-",
    "0",
    "1",
    "'descr'",
    "'shape': (",
    "}\n",
    "'fortran_order': True, ",
    "'<f2'",
    "0xffffffffffffffff",
    "4294967296, 4294967296",
    "\x1b[2J",
    "\u{202e}",
];

fn change() -> impl Strategy<Value = Change> {
    let word = select(&WORDS[..]).prop_map(|word| Bytes(word.into()));
    let noise = vec(any::<u8>(), 0..9).prop_map(Bytes);
    let spaces = (1usize..20_000).prop_map(|len| Bytes(vec![b' '; len]));
    let at = any::<Index>;
    prop_oneof![
        2 => (at(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        4 => (at(), prop_oneof![8 => word, 2 => noise, 1 => spaces])
            .prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        2 => (at(), 1usize..30).prop_map(|(at, len)| Change::Remove(at, len)),
        2 => (at(), 1usize..200).prop_map(|(at, len)| Change::Repeat(at, len)),
    ]
}

/// Files of the corpus with random changes. Some changes are made anywhere. Others are made only in
/// the header's text, with a right length before it and the data of a small tensor after it, since
/// few files would be read far otherwise.
fn changed() -> impl Strategy<Value = Bytes> {
    let file = select(corpus()).prop_map(|(_, file)| file);
    let data_bytes = prop::option::weighted(0.8, select(&[0, 2, 4, 8, 12, 24][..]));
    (file, vec(change(), 0..8), data_bytes).prop_map(|(mut file, changes, data_bytes)| {
        let ends = |byte| file.iter().position(move |b| *b == byte);
        let text = ends(b'{').zip(ends(b'}')).filter(|_| data_bytes.is_some());
        if let Some((start, end)) = text {
            file = file[start..=end.max(start)].to_vec();
        }
        for change in changes {
            change.apply(&mut file);
        }
        if text.is_some() {
            let text_bytes = (file.len() as u16).to_le_bytes();
            let data = vec![7; data_bytes.unwrap_or_default()];
            file = [b"\x93NUMPY\x01\x00", &text_bytes[..], &file, &data].concat();
        }
        Bytes(file)
    })
}

/// Values of each key, their meaning, and whether the reader takes them.
const DESCRS: [(&str, ElementType, bool); 5] = [
    ("'<f4'", ElementType::F32, true),
    ("\"<f2\"", ElementType::F16, true),
    ("'<f2'", ElementType::F16, true),
    ("'>f4'", ElementType::F32, false),
    ("[('a, )', '<f4')]", ElementType::F32, false),
];
const ORDERS: [(&str, bool); 2] = [("False", false), ("True", true)];
const SHAPES: [(&str, &[u64], bool); 9] = [
    ("()", &[], true),
    ("(3,)", &[3], true),
    ("( 2 ,\n3 )", &[2, 3], true),
    ("(3L, 0L, 2L,)", &[3, 0, 2], true),
    ("(3)", &[3], false),
    ("3", &[3], false),
    ("(,)", &[], false),
    ("(03,)", &[3], false),
    ("(4294967296, 4294967296)", &[1 << 32, 1 << 32], true),
];

/// A file, and its type and shape if the reader must take it. The last value of each key counts.
#[derive(Clone, Debug)]
struct Said {
    file: Bytes,
    expected: Option<(ElementType, Vec<u64>)>,
}

fn said() -> impl Strategy<Value = Said> {
    let entries = vec((0usize..3, any::<Index>()), 3..7);
    let text_bytes =
        prop_oneof![8 => Just(0), 1 => MAX_TEXT_BYTES as usize - 1..=MAX_TEXT_BYTES as usize + 1];
    // The number of bytes that are missing or left over.
    let off = prop_oneof![8 => Just(0i64), 1 => -3i64..4];
    let (version, quote) = (select(&[1u8, 2, 3][..]), select(&["'", "\""][..]));
    let said = (entries, text_bytes, off, version, quote);
    said.prop_map(|(entries, text_bytes, off, version, quote)| {
        let (mut descr, mut order, mut shape) = (None, None, None);
        let mut are_shapes = true;
        let items: Vec<_> = entries
            .iter()
            .map(|(key, at)| {
                let (key, value) = match key {
                    0 => ("descr", descr.insert(at.get(&DESCRS)).0),
                    1 => ("fortran_order", order.insert(at.get(&ORDERS)).0),
                    _ => {
                        let (value, _, is_shape) = shape.insert(at.get(&SHAPES));
                        are_shapes &= *is_shape;
                        ("shape", *value)
                    }
                };
                format!("{quote}{key}{quote}: {value}")
            })
            .collect();
        let text = format!("{{{}, }}\n", items.join(", "));
        let text = format!("{text:text_bytes$}");

        let (_, element_type, is_known) = descr.copied().unwrap_or(("", ElementType::F32, false));
        let has_shape = shape.is_some() && are_shapes;
        let shape = shape.map_or(&[][..], |(_, shape, _)| shape);
        let is_row_major = order.is_some_and(|(_, fortran)| !fortran || shape.len() < 2);
        let len = shape
            .iter()
            .try_fold(1u64, |len, size| len.checked_mul(*size));
        let promised = element_type.bytes() * len.unwrap_or(0);
        let data = vec![7; promised.saturating_add_signed(off) as usize];
        let is_read = is_known
            && has_shape
            && len.is_some()
            && is_row_major
            && text.len() <= MAX_TEXT_BYTES as usize
            && data.len() as u64 == promised;
        let length = (text.len() as u32).to_le_bytes();
        let length = &length[..if version == 1 { 2 } else { 4 }];
        let head = [b"\x93NUMPY", &[version, 0][..], length].concat();
        Said {
            expected: is_read.then(|| (element_type, shape.to_vec())),
            file: Bytes([&head, text.as_bytes(), &data].concat()),
        }
    })
}

fn check_said(read: Reader, said: &Said) -> Result<(), TestCaseError> {
    let tensor = check(read, &said.file.0)?;
    let got = tensor.map(|(element_type, shape, _)| (element_type, shape));
    prop_assert_eq!(&got, &said.expected);
    Ok(())
}

#[test]
fn files_of_the_corpus_are_read_or_refused_as_their_names_say() {
    for (name, file) in corpus() {
        let tensor = check(reader, &file).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        assert_eq!(tensor.is_some(), name.starts_with("good-"), "{name}");
    }
}

#[test]
fn changed_files_are_read_whole_or_refused() {
    fuzz(time(), changed(), |file| check(reader, &file.0).map(drop)).unwrap();
}

#[test]
fn headers_mean_their_last_values() {
    fuzz(time(), said(), |said| check_said(reader, &said)).unwrap();
}

/// Negative control: the files reveal readers with a fault.
#[test]
fn planted_faults_are_found() {
    let faults: [(&str, Reader); 3] = [
        ("a panic", |data, file_bytes| {
            let npy = reader(data, file_bytes)?;
            assert!(npy.shape != [1], "planted");
            Ok(npy)
        }),
        ("a text for the terminal", |mut data, file_bytes| {
            let mut file = Vec::new();
            data.read_to_end(&mut file)?;
            let text = String::from_utf8_lossy(&file).into_owned();
            reader(Box::new(Cursor::new(file)), file_bytes).with_context(|| text)
        }),
        ("an end that is not checked", |data, file_bytes| {
            let mut npy = reader(data, None)?;
            if file_bytes.is_some() {
                npy.data = Box::new(npy.data.take(npy.promised_bytes as u64));
            }
            Ok(npy)
        }),
    ];
    for (fault, read) in faults {
        let found = fuzz(Duration::from_secs(60), changed(), |file| {
            check(read, &file.0).map(drop)
        });
        assert!(
            matches!(found, Err(TestError::Fail(..))),
            "{fault}: {found:?}"
        );
    }
    let doubled: Reader = |data, file_bytes| {
        let mut npy = reader(data, file_bytes)?;
        if String::from_utf8_lossy(&npy.header)
            .matches("fortran")
            .count()
            == 2
        {
            npy.shape.reverse();
        }
        Ok(npy)
    };
    let found = fuzz(Duration::from_secs(60), said(), |said| {
        check_said(doubled, &said)
    });
    assert!(matches!(found, Err(TestError::Fail(..))), "{found:?}");
}
