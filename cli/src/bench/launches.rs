//! The cost of a dispatch: many small tensors in one pass, compared with one tensor of as many
//! elements.

use std::slice;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use wgpu_dropout::DropoutCall;

use super::buffers::{Buffers, check_memory, random_input};
use super::cpu;
use super::dtype::Dtype;
use super::gpu::GpuBench;
use super::measure::{Measurement, Operation, Subject, in_rounds, verify};
use crate::engine::Gpu;

/// Tensors in a pass. Each takes a dispatch.
const TENSORS: usize = 1000;

/// Elements of a tensor.
const LEN: usize = 4096;

const OPERATIONS: [Operation; 2] = [Operation::Forward, Operation::Copy];

/// One row of the table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Launch {
    /// Tensors in the pass.
    pub tensors: usize,
    #[serde(flatten)]
    pub measurement: Measurement,
}

impl Launch {
    /// The wall time that a dispatch adds to a pass, in seconds. It is compared with the row in
    /// `rows` that has as many elements in one tensor. `None` if noise hides the difference.
    pub fn of_a_dispatch(&self, rows: &[Self]) -> Option<f64> {
        let whole = rows.iter().find(|row| {
            row.tensors == 1 && row.measurement.operation == self.measurement.operation
        })?;
        let more = self.tensors.checked_sub(1).filter(|more| *more > 0)?;
        let pass = |row: &Self| row.tensors as f64 * row.measurement.wall_seconds.median();
        let added = (pass(self) - pass(whole)) / more as f64;
        (added > 0.0).then_some(added)
    }
}

/// Verifies both passes against the CPU path, then measures them in turn.
pub fn measure(
    gpu: &Gpu,
    call: &DropoutCall,
    duration: Duration,
    progress: impl Fn(f64),
) -> Result<Vec<Launch>> {
    let mut work = Vec::new();
    for (tensors, len) in [(TENSORS, LEN), (1, TENSORS * LEN)] {
        let buffers = Buffers {
            pairs: tensors,
            ..Buffers::plan(Dtype::F32, len, Some(gpu))?
        };
        check_memory(slice::from_ref(&buffers), true)?;
        let input: Vec<f32> = random_input(len)?;
        let bench = GpuBench::new(gpu, &buffers, &input, *call)?;
        for operation in OPERATIONS {
            let expected = cpu::expected(operation, &input, call)?;
            verify(&bench, operation, bytemuck::cast_slice(&expected))?;
        }
        let rows = OPERATIONS.map(|operation| Launch {
            tensors,
            measurement: Measurement::new(bench.place(), operation, &buffers),
        });
        work.push((bench, rows));
    }
    in_rounds(duration, progress, || {
        for (bench, rows) in &mut work {
            for row in rows {
                let time = bench.time(row.measurement.operation)?;
                row.measurement.push(time, row.tensors);
            }
        }
        Ok(())
    })?;
    Ok(work.into_iter().flat_map(|(_, rows)| rows).collect())
}

#[cfg(test)]
mod tests {
    use super::super::measure::{Place, Time};
    use super::*;

    fn launch(operation: Operation, tensors: usize, seconds: u64) -> Launch {
        let buffers = Buffers {
            dtype: Dtype::F32,
            len: 6 / tensors,
            pairs: tensors,
            cache_bytes: 0,
        };
        let mut measurement = Measurement::new(Place::Gpu, operation, &buffers);
        let wall = Duration::from_secs(seconds);
        measurement.push(Time { wall, gpu: None }, tensors);
        Launch {
            tensors,
            measurement,
        }
    }

    #[test]
    fn no_dispatch_takes_less_than_no_time() {
        for seconds in [9, 10] {
            let rows = [
                launch(Operation::Forward, 3, seconds),
                launch(Operation::Forward, 1, 10),
            ];
            assert_eq!(rows[0].of_a_dispatch(&rows), None);
        }
    }

    #[test]
    fn a_dispatch_costs_what_a_pass_of_more_takes_longer() {
        let rows = [
            launch(Operation::Copy, 3, 100),
            launch(Operation::Forward, 3, 30),
            launch(Operation::Forward, 1, 10),
        ];
        assert_eq!(rows[1].of_a_dispatch(&rows), Some(10.0));
        assert_eq!(rows[2].of_a_dispatch(&rows), None);
        assert_eq!(rows[0].of_a_dispatch(&rows), None);
    }
}
