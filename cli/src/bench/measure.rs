//! Measurements as data, how they are taken and what is read from them.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::buffers::Buffers;

const MIN_ROUNDS: usize = 5;
const MAX_ROUNDS: usize = 101;

/// What is done to a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Forward,
    Backward,
    InPlace,
    /// The same bytes read and written, nothing else.
    Copy,
}

impl Operation {
    /// In an order in which what one round of in place has scaled is written anew before the next.
    pub const ALL: [Self; 4] = [Self::Forward, Self::Backward, Self::InPlace, Self::Copy];
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Forward => "forward",
            Self::Backward => "backward",
            Self::InPlace => "in place",
            Self::Copy => "copy",
        })
    }
}

/// Where it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Gpu,
    Cpu { threads: usize },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gpu => f.write_str("GPU"),
            Self::Cpu { threads: 1 } => f.write_str("CPU, 1 thread"),
            Self::Cpu { threads } => write!(f, "CPU, {threads} threads"),
        }
    }
}

/// Something that does all operations over the buffers of one size.
pub trait Subject {
    fn place(&self) -> Place;

    /// How long the operation took over all pairs of buffers.
    fn time(&self, operation: Operation) -> Result<Duration>;

    /// What the last operation wrote into the first pair's output.
    fn first_output(&self) -> Result<Vec<f32>>;
}

/// One row: an operation in a place on one size.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    pub place: Place,
    pub operation: Operation,
    pub elements: usize,
    /// One time an element of the rounds: that of one tensor.
    pub seconds: Vec<f64>,
}

impl Measurement {
    /// The time that a share of the rounds stayed within; 0.5 gives the median.
    pub fn quantile(&self, share: f64) -> f64 {
        let mut seconds = self.seconds.clone();
        seconds.sort_by(f64::total_cmp);
        let last = seconds.len() - 1;
        seconds[(share * last as f64).round() as usize]
    }

    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// Bytes that the task needs moved, each element read once and written once, a second.
    pub fn useful_bytes_per_second(&self) -> f64 {
        (2 * size_of::<f32>() * self.elements) as f64 / self.median()
    }
}

/// Checks to the bit what `subject` computes.
pub fn verify(subject: &dyn Subject, operation: Operation, expected: &[f32]) -> Result<()> {
    // In place reads the output, which a copy makes equal to the input.
    subject.time(Operation::Copy)?;
    subject.time(operation)?;
    compare(&subject.first_output()?, expected)
        .with_context(|| format!("{}, {operation}: nothing was timed", subject.place()))
}

fn compare(output: &[f32], expected: &[f32]) -> Result<()> {
    ensure!(
        output.len() == expected.len(),
        "the output has {} elements, the CPU path's {}",
        output.len(),
        expected.len()
    );
    for (index, (output, expected)) in output.iter().zip(expected).enumerate() {
        let (output, expected) = (output.to_bits(), expected.to_bits());
        ensure!(
            output == expected,
            "element {index} has the bits {output:08x}, the CPU path's {expected:08x}"
        );
    }
    Ok(())
}

/// Measures every operation of every subject once a round, so that a change of the machine's pace
/// meets all of them, until `duration` is over.
pub fn interleaved(
    subjects: &[Box<dyn Subject + '_>],
    buffers: &Buffers,
    duration: Duration,
) -> Result<Vec<Measurement>> {
    let start = Instant::now();
    let mut rows: Vec<_> = subjects
        .iter()
        .flat_map(|subject| {
            Operation::ALL.map(|operation| Measurement {
                place: subject.place(),
                operation,
                elements: buffers.len,
                seconds: Vec::new(),
            })
        })
        .collect();
    for round in 0..MAX_ROUNDS {
        if round >= MIN_ROUNDS && start.elapsed() >= duration {
            break;
        }
        let operations = subjects
            .iter()
            .flat_map(|subject| Operation::ALL.map(|operation| (subject, operation)));
        for (row, (subject, operation)) in rows.iter_mut().zip(operations) {
            let all = subject.time(operation)?;
            row.seconds.push(all.as_secs_f64() / buffers.pairs as f64);
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_sorted_times() {
        let row = Measurement {
            place: Place::Gpu,
            operation: Operation::Forward,
            elements: 1_000_000,
            seconds: vec![5.0, 1.0, 4.0, 2.0, 3.0],
        };
        assert_eq!(row.quantile(0.0), 1.0);
        assert_eq!(row.median(), 3.0);
        assert_eq!(row.quantile(0.9), 5.0);
        assert_eq!(row.useful_bytes_per_second(), 8e6 / 3.0);
    }

    /// A subject that copies, whatever it is asked for.
    struct Copier;

    impl Subject for Copier {
        fn place(&self) -> Place {
            Place::Gpu
        }

        fn time(&self, _: Operation) -> Result<Duration> {
            Ok(Duration::from_secs(8))
        }

        fn first_output(&self) -> Result<Vec<f32>> {
            Ok(vec![1.0, 0.0, 2.0])
        }
    }

    #[test]
    fn one_wrong_bit_is_a_mismatch() {
        let verify = |expected: &[f32]| verify(&Copier, Operation::Forward, expected);
        assert!(verify(&[1.0, 0.0, 2.0]).is_ok());
        assert!(verify(&[1.0, -0.0, 2.0]).is_err());
        assert!(verify(&[1.0, 0.0, 2.0f32.next_up()]).is_err());
        assert!(verify(&[1.0, 0.0]).is_err());
    }

    #[test]
    fn times_are_of_one_tensor() -> Result<()> {
        let subjects: [Box<dyn Subject>; 1] = [Box::new(Copier)];
        let buffers = Buffers {
            len: 3,
            pairs: 4,
            cache_bytes: 0,
        };
        let rows = interleaved(&subjects, &buffers, Duration::ZERO)?;
        assert_eq!(rows.len(), Operation::ALL.len());
        assert_eq!(rows[0].seconds, [2.0; MIN_ROUNDS]);
        Ok(())
    }
}
