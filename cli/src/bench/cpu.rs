//! The CPU path on one thread and on all threads, and memcpy as the bound on its speed.

use std::cell::RefCell;
use std::rc::Rc;
use std::thread;
use std::time::Instant;

use anyhow::Result;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use wgpu_dropout::{Direction, DropoutCall, Element, cpu};

use super::buffers::{Buffers, zeros};
use super::measure::{Operation, Place, Subject, Time};

/// Elements of one task of a copy.
const COPY_ELEMENTS: usize = 1 << 15;

/// A pool of one thread and, if the machine has more, a pool of all.
pub fn thread_pools() -> Result<Vec<ThreadPool>> {
    let all = thread::available_parallelism()?.get();
    let mut counts = vec![1, all];
    counts.dedup();
    let pool = |threads| Ok(ThreadPoolBuilder::new().num_threads(threads).build()?);
    counts.into_iter().map(pool).collect()
}

/// The expected result of `operation` for `input`.
pub fn expected<T: Element>(
    operation: Operation,
    input: &[T],
    call: &DropoutCall,
) -> Result<Vec<T>> {
    let mut output = zeros(input.len())?;
    match operation {
        Operation::Forward | Operation::InPlace => {
            cpu::apply(
                Direction::Forward,
                input.len(),
                (input, &mut output[..]),
                call,
            )?;
        }
        Operation::Backward => {
            cpu::apply(
                Direction::Backward,
                input.len(),
                (input, &mut output[..]),
                call,
            )?;
        }
        Operation::Copy => output.copy_from_slice(input),
    }
    Ok(output)
}

/// Buffers that all subjects on the CPU share, since they run one after the other.
pub struct CpuTensors<T> {
    pub buffers: Buffers,
    input: Vec<T>,
    output: RefCell<Vec<T>>,
}

impl<T: Element> CpuTensors<T> {
    pub fn new(buffers: &Buffers, input: &[T]) -> Result<Self> {
        let mut inputs = zeros(buffers.len * buffers.pairs)?;
        for tensor in inputs.chunks_exact_mut(buffers.len) {
            tensor.copy_from_slice(input);
        }
        Ok(Self {
            buffers: buffers.clone(),
            output: RefCell::new(zeros(inputs.len())?),
            input: inputs,
        })
    }

    /// The time in which the threads of `pool` do `work` on all pairs of input and output.
    pub fn time(
        &self,
        pool: &ThreadPool,
        work: impl Fn(&[T], &mut [T]) -> Result<()> + Sync,
    ) -> Result<Time> {
        let len = self.buffers.len;
        let inputs = self.input.chunks_exact(len);
        let mut output = self.output.borrow_mut();
        let pairs = inputs.zip(output.chunks_exact_mut(len));
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

    /// The output of the first pair.
    pub fn first_output(&self) -> Vec<T> {
        self.output.borrow()[..self.buffers.len].to_vec()
    }
}

/// The CPU path on one pool.
pub struct CpuBench<'a, T> {
    pool: &'a ThreadPool,
    tensors: Rc<CpuTensors<T>>,
    call: DropoutCall,
}

impl<'a, T: Element> CpuBench<'a, T> {
    pub fn new(pool: &'a ThreadPool, tensors: Rc<CpuTensors<T>>, call: DropoutCall) -> Self {
        Self {
            pool,
            tensors,
            call,
        }
    }
}

impl<T: Element> Subject for CpuBench<'_, T> {
    fn place(&self) -> Place {
        Place::Cpu {
            threads: self.pool.current_num_threads(),
        }
    }

    fn buffers(&self) -> &Buffers {
        &self.tensors.buffers
    }

    fn time(&self, operation: Operation) -> Result<Time> {
        let call = &self.call;
        self.tensors.time(self.pool, |input, output| {
            run(operation, input, output, call)
        })
    }

    fn first_output(&self) -> Result<Vec<u8>> {
        Ok(bytemuck::cast_slice(&self.tensors.first_output()).to_vec())
    }
}

fn run<T: Element>(
    operation: Operation,
    input: &[T],
    output: &mut [T],
    call: &DropoutCall,
) -> Result<()> {
    match operation {
        Operation::Forward => cpu::apply(Direction::Forward, input.len(), (input, output), call)?,
        Operation::Backward => cpu::apply(Direction::Backward, input.len(), (input, output), call)?,
        Operation::InPlace => cpu::apply(Direction::Forward, output.len(), output, call)?,
        Operation::Copy => output
            .par_chunks_mut(COPY_ELEMENTS)
            .zip(input.par_chunks(COPY_ELEMENTS))
            .for_each(|(output, input)| output.copy_from_slice(input)),
    }
    Ok(())
}
