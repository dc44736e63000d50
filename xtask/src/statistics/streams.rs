//! Endless streams of bytes for the suites, all but the control made by the command line's CPU
//! engine.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::Result;

/// Appends the next bytes.
pub type Stream = Box<dyn FnMut(&mut Vec<u8>) -> io::Result<()>>;

/// Bytes of one Philox block.
const BLOCK: usize = 16;
/// Bytes that a stream appends at once, a multiple of all blocks it interleaves.
const CHUNK: usize = 1 << 16;
/// Streams or seeds side by side.
const NEIGHBOURS: u32 = 64;
/// Never reached.
const ENDLESS: &str = "0xffffffffffff";

/// The input of a suite.
pub struct Source {
    pub name: &'static str,
    /// How its bytes are made.
    pub what: &'static str,
    /// True if suites must pass the source, false if they must fail it.
    pub is_random: bool,
    pub open: fn(&CommandLine) -> Result<Stream>,
}

pub const SOURCES: [Source; 6] = [
    Source {
        name: "one stream",
        what: "words --key 42,0 --counter 0,0,0,0",
        is_random: true,
        open: |cli| {
            let mut words = cli.words([42, 0], [0; 4])?;
            Ok(Box::new(move |bytes| append(bytes, &mut words, CHUNK)))
        },
    },
    Source {
        name: "streams",
        what: "words --key 42,0 --counter 0,0,S,0 for S = 0 to 63, a block of each in turn",
        is_random: true,
        open: |cli| {
            let words = (0..NEIGHBOURS).map(|stream| cli.words([42, 0], [0, 0, stream, 0]));
            Ok(in_turn(words.collect::<Result<_>>()?))
        },
    },
    Source {
        name: "seeds",
        what: "words --key S,0 --counter 0,0,0,0 for S = 0 to 63, a block of each in turn",
        is_random: true,
        open: |cli| {
            let words = (0..NEIGHBOURS).map(|seed| cli.words([seed, 0], [0; 4]));
            Ok(in_turn(words.collect::<Result<_>>()?))
        },
    },
    Source {
        name: "uniforms",
        what: "u(i) [M7]: halves of words --key 42,0 --counter 0,0,7,0 and --counter 0,0x20000000,7,0",
        is_random: true,
        open: |cli| {
            let high = cli.words([42, 0], [0, 0, 7, 0])?;
            let low = cli.words([42, 0], [0, 1 << 29, 7, 0])?;
            Ok(uniforms(high, low))
        },
    },
    Source {
        name: "mask bits",
        what: "mask --p 0.5 --seed 42 --stream 7",
        is_random: true,
        open: |cli| {
            let mut mask = cli.mask("0.5", ENDLESS)?;
            Ok(Box::new(move |bytes| append(bytes, &mut mask, CHUNK)))
        },
    },
    Source {
        name: "control",
        what: "low halves of x = 1664525 x + 1013904223 mod 2^32, no random numbers",
        is_random: false,
        open: |_| Ok(control()),
    },
];

/// The built command line.
pub struct CommandLine(pub PathBuf);

impl CommandLine {
    fn words(&self, key: [u32; 2], counter: [u32; 4]) -> Result<Output> {
        let list = |words: &[u32]| {
            let words: Vec<_> = words.iter().map(u32::to_string).collect();
            words.join(",")
        };
        Output::of(
            &self.0,
            &[
                "words",
                "--raw",
                "--key",
                &list(&key),
                "--counter",
                &list(&counter),
                "--blocks",
                ENDLESS,
            ],
        )
    }

    /// The packed mask of one key.
    pub fn mask(&self, p: &str, len: &str) -> Result<Output> {
        Output::of(
            &self.0,
            &[
                "mask", "--output", "-", "--seed", "42", "--stream", "7", "--p", p, "--len", len,
            ],
        )
    }
}

/// A program's standard output; the program ends with it.
pub struct Output {
    child: Child,
    stdout: ChildStdout,
}

impl Output {
    fn of(program: &Path, args: &[&str]) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(args).args(["--engine", "cpu"]);
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().ok_or("no standard output")?;
        Ok(Self { child, stdout })
    }
}

impl Read for Output {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stdout.read(buffer)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn append(bytes: &mut Vec<u8>, source: &mut impl Read, len: usize) -> io::Result<()> {
    let start = bytes.len();
    bytes.resize(start + len, 0);
    source.read_exact(&mut bytes[start..])
}

/// A block of each source in turn.
fn in_turn<R: Read + 'static>(mut sources: Vec<R>) -> Stream {
    let mut chunk = Vec::new();
    Box::new(move |bytes| {
        chunk.clear();
        for source in &mut sources {
            append(&mut chunk, source, CHUNK)?;
        }
        for block in (0..CHUNK).step_by(BLOCK) {
            for start in (block..chunk.len()).step_by(CHUNK) {
                bytes.extend_from_slice(&chunk[start..start + BLOCK]);
            }
        }
        Ok(())
    })
}

/// Words of a half of each source, in the order of the halves in memory.
fn uniforms<R: Read + 'static>(mut high: R, mut low: R) -> Stream {
    let mut chunk = Vec::new();
    Box::new(move |bytes| {
        chunk.clear();
        append(&mut chunk, &mut high, CHUNK)?;
        append(&mut chunk, &mut low, CHUNK)?;
        let (high, low) = chunk.split_at(CHUNK);
        for (high, low) in high.chunks_exact(2).zip(low.chunks_exact(2)) {
            bytes.extend_from_slice(low);
            bytes.extend_from_slice(high);
        }
        Ok(())
    })
}

fn control() -> Stream {
    let mut x = 1u32;
    Box::new(move |bytes| {
        for _ in 0..CHUNK / 2 {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            bytes.extend_from_slice(&(x as u16).to_le_bytes());
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first bytes of a stream.
    fn first<const N: usize>(mut stream: Stream) -> [u8; N] {
        let mut bytes = Vec::new();
        stream(&mut bytes).unwrap();
        bytes[..N].try_into().unwrap()
    }

    #[test]
    fn blocks_come_in_turn() {
        let bytes: [u8; 80] = first(in_turn(vec![io::repeat(1), io::repeat(2)]));
        let blocks: Vec<_> = bytes.chunks(BLOCK).map(|block| block[0]).collect();
        assert_eq!(blocks, [1, 2, 1, 2, 1]);
        assert_eq!(bytes[..BLOCK], [1; BLOCK]);
    }

    #[test]
    fn a_uniform_s_high_half_is_the_first_source_s() {
        let bytes: [u8; 8] = first(uniforms(io::repeat(1), io::repeat(2)));
        assert_eq!(bytes, [2, 2, 1, 1, 2, 2, 1, 1]);
    }

    #[test]
    fn the_control_is_the_generator_s_low_halves() {
        let second = 1_015_568_748u32
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        let [a, b, c, d] = first(control());
        assert_eq!(u16::from_le_bytes([a, b]), 1_015_568_748u32 as u16);
        assert_eq!(u16::from_le_bytes([c, d]), second as u16);
    }
}
