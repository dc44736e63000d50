//! The CPU path on one thread and on all, and memcpy as its ceiling.

use std::cell::RefCell;
use std::thread;
use std::time::Instant;

use anyhow::Result;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use wgpu_dropout::{DropoutCall, cpu};

use super::buffers::{Buffers, zeros};
use super::measure::{Operation, Place, Subject, Time};

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

/// Buffers that all who work on the CPU share: they do so one after the other.
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

    /// How long the threads of `pool` take for `work` over all pairs of input and output.
    pub fn time(
        &self,
        pool: &ThreadPool,
        work: impl Fn(&[f32], &mut [f32]) -> Result<()> + Sync,
    ) -> Result<Time> {
        let inputs = self.input.chunks_exact(self.len);
        let mut output = self.output.borrow_mut();
        let pairs = inputs.zip(output.chunks_exact_mut(self.len));
        pool.install(|| {
            let start = Instant::now();
            for (input, output) in pairs {
                work(input, output)?;
            }
            Ok(Time {
                wall: start.elapsed(),
                gpu: None,
            })
        })
    }

    /// The first pair's.
    pub fn first_output(&self) -> Vec<f32> {
        self.output.borrow()[..self.len].to_vec()
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

    fn time(&self, operation: Operation) -> Result<Time> {
        let call = &self.call;
        self.tensors.time(self.pool, |input, output| {
            run(operation, input, output, call)
        })
    }

    fn first_output(&self) -> Result<Vec<f32>> {
        Ok(self.tensors.first_output())
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
