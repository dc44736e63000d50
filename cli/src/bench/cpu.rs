//! The CPU path on one thread and on all, and memcpy as its ceiling.

use std::cell::RefCell;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use wgpu_dropout::{DropoutCall, cpu};

use super::buffers::{Buffers, zeros};
use super::measure::{Operation, Place, Subject};

/// Elements that a thread copies at once.
const COPY_ELEMENTS: usize = 1 << 15;

/// One thread and, where there are more, all.
pub fn thread_pools() -> Result<Vec<ThreadPool>> {
    let all = thread::available_parallelism()?.get();
    let mut counts = vec![1, all];
    counts.dedup();
    let pool = |threads| Ok(ThreadPoolBuilder::new().num_threads(threads).build()?);
    counts.into_iter().map(pool).collect()
}

/// What `operation` has to give for `input`.
pub fn expected(operation: Operation, input: &[f32], call: &DropoutCall) -> Result<Vec<f32>> {
    let mut output = zeros(input.len())?;
    match operation {
        Operation::Forward | Operation::InPlace => cpu::forward(input, &mut output, call)?,
        Operation::Backward => cpu::backward(input, &mut output, call)?,
        Operation::Copy => output.copy_from_slice(input),
    }
    Ok(output)
}

/// Buffers that the pools share: they work one after the other.
pub struct CpuTensors {
    len: usize,
    input: Vec<f32>,
    output: RefCell<Vec<f32>>,
}

impl CpuTensors {
    pub fn new(buffers: &Buffers, input: &[f32]) -> Result<Self> {
        let mut inputs = zeros(buffers.len * buffers.pairs)?;
        for tensor in inputs.chunks_exact_mut(buffers.len) {
            tensor.copy_from_slice(input);
        }
        Ok(Self {
            len: buffers.len,
            output: RefCell::new(zeros(inputs.len())?),
            input: inputs,
        })
    }
}

/// One pool at work.
pub struct CpuBench<'a> {
    pool: &'a ThreadPool,
    tensors: &'a CpuTensors,
    call: DropoutCall,
}

impl<'a> CpuBench<'a> {
    pub fn new(pool: &'a ThreadPool, tensors: &'a CpuTensors, call: DropoutCall) -> Self {
        Self {
            pool,
            tensors,
            call,
        }
    }
}

impl Subject for CpuBench<'_> {
    fn place(&self) -> Place {
        Place::Cpu {
            threads: self.pool.current_num_threads(),
        }
    }

    fn time(&self, operation: Operation) -> Result<Duration> {
        let (len, input) = (self.tensors.len, &self.tensors.input);
        let (output, call) = (&mut self.tensors.output.borrow_mut()[..], &self.call);
        self.pool.install(|| {
            let start = Instant::now();
            for (output, input) in output.chunks_exact_mut(len).zip(input.chunks_exact(len)) {
                run(operation, input, output, call)?;
            }
            Ok(start.elapsed())
        })
    }

    fn first_output(&self) -> Result<Vec<f32>> {
        Ok(self.tensors.output.borrow()[..self.tensors.len].to_vec())
    }
}

fn run(operation: Operation, input: &[f32], output: &mut [f32], call: &DropoutCall) -> Result<()> {
    match operation {
        Operation::Forward => cpu::forward(input, output, call)?,
        Operation::Backward => cpu::backward(input, output, call)?,
        Operation::InPlace => cpu::forward_in_place(output, call)?,
        Operation::Copy => output
            .par_chunks_mut(COPY_ELEMENTS)
            .zip(input.par_chunks(COPY_ELEMENTS))
            .for_each(|(output, input)| output.copy_from_slice(input)),
    }
    Ok(())
}
