//! Measurements. Each subject is verified first, then all are timed in rounds.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::buffers::Buffers;
use super::dtype::Dtype;
use super::samples::Samples;

const MIN_ROUNDS: usize = 5;
const MAX_ROUNDS: usize = 101;

/// An operation on a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    Forward,
    Backward,
    InPlace,
    /// A copy that reads and writes the same bytes.
    Copy,
}

impl Operation {
    /// `Copy` comes last, so that it restores the buffer which `InPlace` scaled.
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

/// The place where the operation runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "place")]
pub enum Place {
    Gpu,
    Cpu {
        threads: usize,
    },
    /// A loop over rand's generator, instead of the library.
    RandLoop,
}

impl Place {
    /// The place whose copy bounds the speed of every operation here.
    pub fn ceiling(self) -> Self {
        match self {
            Self::RandLoop => Self::Cpu { threads: 1 },
            own => own,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gpu => f.write_str("GPU"),
            Self::Cpu { threads: 1 } => f.write_str("CPU, 1 thread"),
            Self::Cpu { threads } => write!(f, "CPU, {threads} threads"),
            Self::RandLoop => f.write_str("rand loop, 1 thread"),
        }
    }
}

/// The time that an operation took.
#[derive(Clone, Copy, Debug)]
pub struct Time {
    /// Wall time.
    pub wall: Duration,
    /// Time by the GPU's own timestamps, if it has them.
    pub gpu: Option<Duration>,
}

/// An implementation that runs operations on the buffers of one size and type.
pub trait Subject {
    fn place(&self) -> Place;

    fn buffers(&self) -> &Buffers;

    /// The operations that the subject implements.
    fn operations(&self) -> &'static [Operation] {
        &Operation::ALL
    }

    /// Runs the operation on all pairs of buffers, and returns its time.
    fn time(&self, operation: Operation) -> Result<Time>;

    /// The bytes that the last operation wrote into the first pair's output.
    fn first_output(&self) -> Result<Vec<u8>>;
}

/// One row of the table: an operation in one place on one size.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measurement {
    #[serde(flatten)]
    pub place: Place,
    pub operation: Operation,
    pub dtype: Dtype,
    /// Elements of a tensor.
    pub elements: usize,
    /// Bytes that the operation must move: each element is read once and written once.
    pub bytes: u64,
    /// Seconds for one tensor.
    pub wall_seconds: Samples,
    /// Seconds for one tensor, by timestamps.
    pub gpu_seconds: Option<Samples>,
}

impl Measurement {
    pub fn new(place: Place, operation: Operation, buffers: &Buffers) -> Self {
        Self {
            place,
            operation,
            dtype: buffers.dtype,
            elements: buffers.len,
            bytes: 2 * buffers.tensor_bytes(),
            wall_seconds: Samples::default(),
            gpu_seconds: None,
        }
    }

    /// Adds the time that all `tensors` took together.
    pub fn push(&mut self, time: Time, tensors: usize) {
        let of_one = |all: Duration| all.as_secs_f64() / tensors as f64;
        self.wall_seconds.push(of_one(time.wall));
        if let Some(gpu) = time.gpu {
            let seconds = self.gpu_seconds.get_or_insert_default();
            seconds.push(of_one(gpu));
        }
    }

    /// The speed if a tensor takes `seconds`, which are a quantile of this row's wall times.
    pub fn gigabytes_per_second(&self, seconds: f64) -> f64 {
        self.bytes as f64 / seconds / 1e9
    }
}

/// Compares the result of `subject` with `expected`, to the bit.
pub fn verify(subject: &dyn Subject, operation: Operation, expected: &[u8]) -> Result<()> {
    // The operation in place reads the output, so a copy first makes it equal to the input.
    subject.time(Operation::Copy)?;
    subject.time(operation)?;
    let dtype = subject.buffers().dtype;
    compare(dtype, &subject.first_output()?, expected).with_context(|| {
        format!(
            "{}, {dtype}, {operation}: nothing was timed",
            subject.place()
        )
    })
}

/// `output` and `expected` are the elements' bytes.
fn compare(dtype: Dtype, output: &[u8], expected: &[u8]) -> Result<()> {
    ensure!(
        output.len() == expected.len(),
        "the output has {} bytes, the CPU path's {}",
        output.len(),
        expected.len()
    );
    let elements = |bytes| <[u8]>::chunks_exact(bytes, dtype.bytes() as usize);
    for (index, (output, expected)) in elements(output).zip(elements(expected)).enumerate() {
        ensure!(
            output == expected,
            "element {index} has the bytes {output:02x?}, the CPU path's {expected:02x?}"
        );
    }
    Ok(())
}

/// Measures every operation of every subject once per round, so that a change of the machine's
/// speed affects all of them.
pub fn interleaved(
    subjects: &[Box<dyn Subject + '_>],
    duration: Duration,
    progress: impl Fn(f64),
) -> Result<Vec<Measurement>> {
    let work: Vec<_> = subjects
        .iter()
        .flat_map(|subject| subject.operations().iter().map(move |&op| (subject, op)))
        .collect();
    let mut rows: Vec<_> = work
        .iter()
        .map(|(subject, operation)| {
            Measurement::new(subject.place(), *operation, subject.buffers())
        })
        .collect();
    in_rounds(duration, progress, || {
        for (row, (subject, operation)) in rows.iter_mut().zip(&work) {
            row.push(subject.time(*operation)?, subject.buffers().pairs);
        }
        Ok(())
    })?;
    Ok(rows)
}

/// Repeats `round` until `duration` is over. Calls `progress` with the share that is done.
pub fn in_rounds(
    duration: Duration,
    progress: impl Fn(f64),
    mut round: impl FnMut() -> Result<()>,
) -> Result<()> {
    let start = Instant::now();
    for done in 1..=MAX_ROUNDS {
        round()?;
        let of_time = start.elapsed().as_secs_f64() / duration.as_secs_f64();
        let of_rounds = |rounds| done as f64 / rounds as f64;
        progress(
            of_time
                .min(of_rounds(MIN_ROUNDS))
                .max(of_rounds(MAX_ROUNDS)),
        );
        if done >= MIN_ROUNDS && start.elapsed() >= duration {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A subject that copies for every operation.
    struct Copier(Buffers);

    fn copier(dtype: Dtype) -> Copier {
        Copier(Buffers {
            dtype,
            len: 3,
            pairs: 4,
            cache_bytes: 0,
        })
    }

    impl Subject for Copier {
        fn place(&self) -> Place {
            Place::Gpu
        }

        fn buffers(&self) -> &Buffers {
            &self.0
        }

        fn time(&self, operation: Operation) -> Result<Time> {
            Ok(Time {
                wall: Duration::from_secs(8),
                gpu: (operation == Operation::Copy).then_some(Duration::from_secs(4)),
            })
        }

        fn first_output(&self) -> Result<Vec<u8>> {
            Ok(bytemuck::cast_slice(&[1.0f32, 0.0, 2.0]).to_vec())
        }
    }

    #[test]
    fn one_wrong_bit_is_a_mismatch() {
        let verify = |expected: &[f32]| {
            let expected = bytemuck::cast_slice(expected);
            verify(&copier(Dtype::F32), Operation::Forward, expected)
        };
        assert!(verify(&[1.0, 0.0, 2.0]).is_ok());
        assert!(verify(&[1.0, -0.0, 2.0]).is_err());
        assert!(verify(&[1.0, 0.0, 2.0f32.next_up()]).is_err());
        assert!(verify(&[1.0, 0.0]).is_err());
    }

    #[test]
    fn a_mismatch_names_the_element_of_its_type() {
        for (dtype, message) in [
            (
                Dtype::F32,
                "element 0 has the bytes [00, 01, 02, 03], the CPU path's [00, 01, 02, 04]",
            ),
            (
                Dtype::Bf16,
                "element 1 has the bytes [02, 03], the CPU path's [02, 04]",
            ),
        ] {
            let error = compare(dtype, &[0, 1, 2, 3], &[0, 1, 2, 4]).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn times_are_of_one_tensor() -> Result<()> {
        let subjects: [Box<dyn Subject>; 1] = [Box::new(copier(Dtype::F16))];
        let done = Cell::new(0.0);
        let rows = interleaved(&subjects, Duration::ZERO, |share| {
            assert!(share > done.replace(share));
        })?;
        assert_eq!(done.get(), 1.0);
        let [forward, _, _, copy] = &rows[..] else {
            panic!("not one row an operation: {rows:?}");
        };
        let of_each_round = |seconds| Samples::from_iter([seconds; MIN_ROUNDS]);
        assert_eq!(forward.wall_seconds, of_each_round(2.0));
        assert_eq!(forward.gpu_seconds, None);
        assert_eq!(copy.gpu_seconds, Some(of_each_round(1.0)));
        assert_eq!((copy.dtype, copy.bytes), (Dtype::F16, 12));
        assert_eq!(copy.gigabytes_per_second(2.0), 6e-9);
        Ok(())
    }
}
