//! dieharder and ent, fed from a stream.

use std::io::{ErrorKind, Read, Write};
use std::process::{Command, Stdio};

use super::streams::Stream;
use crate::Result;

/// dieharder's tests by number: birthdays, ranks of 32 x 32 bits, counts of ones in a stream, runs,
/// monobit, runs of bits, serial, and byte distribution, DCT and two fill trees of its own.
pub const DIEHARDER_TESTS: [&str; 10] = [
    "0", "2", "8", "15", "100", "101", "102", "205", "206", "209",
];
/// Bytes that ent reads.
const ENT_BYTES: usize = 16 << 20;

/// dieharder's p-values by its assessment.
#[derive(Debug, Default, PartialEq)]
pub struct Assessment {
    pub passed: usize,
    pub weak: usize,
    pub failed: usize,
    pub p_values: Vec<f64>,
    /// Its lines for all that did not pass.
    pub remarks: Vec<String>,
}

impl Assessment {
    pub fn total(&self) -> usize {
        self.passed + self.weak + self.failed
    }

    fn read(&mut self, output: &str) {
        for line in output.lines() {
            let fields: Vec<_> = line.split('|').map(str::trim).collect();
            let [test, ntuple, _, _, p, assessment] = fields[..] else {
                continue;
            };
            let Ok(p) = p.parse() else { continue };
            match assessment {
                "PASSED" => self.passed += 1,
                "WEAK" => self.weak += 1,
                "FAILED" => self.failed += 1,
                _ => continue,
            }
            self.p_values.push(p);
            if assessment != "PASSED" {
                self.remarks
                    .push(format!("{assessment}: {test} {ntuple}, p = {p}"));
            }
        }
    }
}

/// Each test gets the part of the stream that follows the one before.
pub fn dieharder(stream: &mut Stream) -> Result<Assessment> {
    let mut assessment = Assessment::default();
    for test in DIEHARDER_TESTS {
        let mut command = Command::new("dieharder");
        command.args(["-g", "200", "-d", test]);
        assessment.read(&feed(&mut command, stream, None)?);
    }
    match assessment.total() {
        0 => Err("dieharder gave no p-value".into()),
        _ => Ok(assessment),
    }
}

/// The findings of ent.
#[derive(Debug, PartialEq)]
pub struct Ent {
    pub bits_per_byte: f64,
    /// The statistic of 255 degrees of freedom.
    pub chi_square: f64,
    pub serial_correlation: f64,
}

impl Ent {
    /// Within 4.5 standard deviations.
    pub fn is_random(&self) -> bool {
        let chi_square = (self.chi_square - 255.0) / 510f64.sqrt();
        let correlation = self.serial_correlation * (ENT_BYTES as f64).sqrt();
        chi_square.abs() < 4.5 && correlation.abs() < 4.5
    }

    fn read(output: &str) -> Option<Self> {
        let mut fields = output.lines().nth(1)?.split(',').skip(2);
        let mut next = || fields.next()?.parse().ok();
        let (bits_per_byte, chi_square, _mean, _pi) = (next()?, next()?, next()?, next()?);
        Some(Self {
            bits_per_byte,
            chi_square,
            serial_correlation: next()?,
        })
    }
}

pub fn ent(stream: &mut Stream) -> Result<Ent> {
    let output = feed(Command::new("ent").arg("-t"), stream, Some(ENT_BYTES))?;
    Ent::read(&output).ok_or_else(|| format!("ent wrote:\n{output}").into())
}

/// A program's output for so many bytes of the stream, or for as many as it takes.
fn feed(command: &mut Command, stream: &mut Stream, limit: Option<usize>) -> Result<String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().ok_or("no standard input")?;
    let mut bytes = Vec::new();
    let mut left = limit.unwrap_or(usize::MAX);
    while left > 0 {
        bytes.clear();
        stream(&mut bytes)?;
        bytes.truncate(left);
        left -= bytes.len();
        match stdin.write_all(&bytes) {
            // It has enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => break,
            written => written?,
        }
    }
    drop(stdin);
    let mut output = String::new();
    child
        .stdout
        .take()
        .ok_or("no standard output")?
        .read_to_string(&mut output)?;
    let status = child.wait()?;
    if !status.success() {
        return Err(format!("{:?} failed: {status}", command.get_program()).into());
    }
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dieharder_s_lines_are_counted() {
        let mut assessment = Assessment::default();
        assessment.read(
            "\
        test_name   |ntup| tsamples |psamples|  p-value |Assessment
   diehard_birthdays|   0|       100|     100|0.58385412|  PASSED  
          sts_serial|   3|    100000|     100|0.00254063|   WEAK   
          sts_serial|   4|    100000|     100|0.00000000|  FAILED  
",
        );
        assert_eq!(
            [assessment.passed, assessment.weak, assessment.failed],
            [1; 3]
        );
        assert_eq!(assessment.p_values, [0.58385412, 0.00254063, 0.0]);
        let remarks = [
            "WEAK: sts_serial 3, p = 0.00254063",
            "FAILED: sts_serial 4, p = 0",
        ];
        assert_eq!(assessment.remarks, remarks);
    }

    #[test]
    fn ent_s_columns_are_judged() {
        let head = "0,File-bytes,Entropy,Chi-square,Mean,Monte-Carlo-Pi,Serial-Correlation\n";
        let read = |row: &str| Ent::read(&format!("{head}{row}\n")).unwrap();
        let random = read("1,16777216,7.999990,230.645248,127.542345,3.138181,-0.000138");
        assert_eq!(random.chi_square, 230.645248);
        assert!(random.is_random());
        assert!(!read("1,16777216,8.000000,0.000000,127.5,3.138181,-0.000138").is_random());
        assert!(!read("1,16777216,7.999990,230.645248,127.5,3.138181,0.002").is_random());
        assert_eq!(Ent::read("nonsense"), None);
    }
}
