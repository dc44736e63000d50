//! The network on a device: training steps, losses without dropout, and the state.

use std::collections::HashMap;
use std::rc::Rc;
use std::slice;

use anyhow::{Result, ensure};
use wgpu_dropout::{Direction, DropoutCall, DropoutRate, MaskKey};

use crate::device;
use crate::gpt::{self, CONTEXT, PARAMETERS, VOCABULARY};
use crate::kernels::{self, Compiler, F32};
use crate::mlp::State;
use crate::own_kernels;
use crate::random;
use crate::steps::{Step, Steps};
use crate::tape::{Handles, Op, Range, Start, Tape, Tensor};

/// Number of steps that are uploaded, and read back, at once.
pub const CHUNK: u32 = 10;

/// A token and its successor.
pub type Pair = [u32; 2];

#[derive(Clone)]
pub struct Device {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub adapter: String,
}

impl Device {
    /// Opens a device on the adapter that the environment chooses, with the features and limits
    /// that the kernels need.
    pub fn open() -> Result<Self> {
        let instance =
            wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
        Self::on(&pollster::block_on(device::choose(&instance))?)
    }

    pub fn on(adapter: &wgpu::Adapter) -> Result<Self> {
        // Both features make dropout faster and change no result.
        let fast = wgpu::Features::SHADER_INT64 | wgpu::Features::IMMEDIATES;
        let required_features = adapter.features() & fast;
        let immediates = required_features.contains(wgpu::Features::IMMEDIATES);
        let descriptor = wgpu::DeviceDescriptor {
            required_features,
            required_limits: wgpu::Limits {
                max_immediate_size: if immediates { 64 } else { 0 },
                // The most that a kernel binds: branch, residual, sum, normed output, and the
                // norm's vectors.
                max_storage_buffers_per_shader_stage: 5,
                ..wgpu::Limits::downlevel_defaults()
            },
            ..Default::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))?;
        let info = adapter.get_info();
        let adapter = format!("{}/{}", info.backend, info.name);
        Ok(Self {
            device,
            queue,
            adapter,
        })
    }
}

pub struct Network {
    pub device: Device,
    pub batch: u32,
    learning_rate: f64,
    pub forward: Vec<Op>,
    pub backward: Vec<Op>,
    pub adam: Op,
    /// Number of elements of each dropout.
    pub dropouts: Vec<u64>,
    pub parameters: Vec<(&'static str, Tensor, Start)>,
    steps: Steps,
    pairs: wgpu::Buffer,
    log_probabilities: wgpu::Buffer,
    #[allow(dead_code, reason = "only `parts` reads it")]
    pub gradients: wgpu::Buffer,
    /// The parameters, Adam's first moments and Adam's second moments.
    state: [wgpu::Buffer; 3],
}

impl Network {
    /// A network whose parameters are all 0, for steps of `batch` samples. `is_fused` chooses the
    /// library's fused operations, or separate passes for the same work.
    pub fn new(device: &Device, batch: u32, is_fused: bool, learning_rate: f64) -> Result<Self> {
        let gpu = &device.device;
        let rows = batch * CONTEXT;
        let numbers = |len| own_kernels::tensor(gpu, len);
        let pairs = numbers(2 * u64::from(CHUNK * rows));
        let log_probabilities = numbers(u64::from(CHUNK * rows * VOCABULARY));
        let gradients = numbers(PARAMETERS);
        let state = [(); 3].map(|()| numbers(PARAMETERS));
        let step_layout = Steps::group_layout(gpu);
        let [parameters, first, second] = state.clone().map(Range::of);
        let mut tape = Tape {
            compiler: Compiler {
                device: gpu,
                step_layout: &step_layout,
            },
            is_fused,
            handles: Rc::new(Handles::new(gpu)?),
            rows,
            scratch: numbers(gpt::scratch_bytes(rows) / F32),
            parameters: Tensor {
                data: parameters,
                grad: Range::of(gradients.clone()),
            },
            taken: 0,
            starts: Vec::new(),
            kernels: HashMap::new(),
            dropouts: Vec::new(),
            forward: Vec::new(),
            backward: Vec::new(),
        };
        let all = tape.parameters.clone();
        let overrides = [("L1", 0.0), ("L2", 0.0), ("DECAYED", 0.0)];
        let ranges = [&all.grad, &all.data, &first, &second];
        tape.elementwise(Direction::Backward, &kernels::ADAM, &overrides, &ranges, 7);
        let adam = tape.backward.remove(0);
        tape.gpt(
            &Range::of(pairs.clone()),
            &Range::of(log_probabilities.clone()),
        )?;
        assert_eq!(tape.taken, PARAMETERS);
        tape.backward.reverse();
        Ok(Self {
            device: device.clone(),
            batch,
            learning_rate,
            steps: Steps::new(gpu, &step_layout, CHUNK),
            forward: tape.forward,
            backward: tape.backward,
            adam,
            dropouts: tape.dropouts,
            parameters: tape.starts,
            pairs,
            log_probabilities,
            gradients,
            state,
        })
    }

    /// The number of dispatches of a step, and of the bytes that it must move.
    pub fn cost(&self, rate: DropoutRate) -> (u32, u64) {
        let ops = self
            .forward
            .iter()
            .chain(&self.backward)
            .chain([&self.adam]);
        ops.filter(|op| rate != DropoutRate::ZERO || !op.is_dropout_in_place)
            .fold((0, 0), |(dispatches, bytes), op| {
                (dispatches + op.dispatches, bytes + op.bytes)
            })
    }

    /// Trains on `batches`, of which the first is step `first`, and returns their losses. `key`
    /// gives the mask key of a dropout in a step. A step is one command buffer. The host waits once
    /// for each chunk of steps.
    pub fn train(
        &self,
        batches: &[Vec<Pair>],
        first: u32,
        rate: DropoutRate,
        key: impl Fn(u32, u32) -> MaskKey,
    ) -> Result<Vec<f64>> {
        let ops = [
            &self.forward[..],
            &self.backward,
            slice::from_ref(&self.adam),
        ];
        self.run(&ops, batches, first, |i, step| {
            DropoutCall::new(rate, key(i, step))
        })
    }

    /// The losses of the batches, from the forward pass alone.
    pub fn evaluate(
        &self,
        batches: &[Vec<Pair>],
        rate: DropoutRate,
        key: impl Fn(u32) -> MaskKey,
    ) -> Result<Vec<f64>> {
        self.run(&[&self.forward], batches, 0, |i, _| {
            DropoutCall::new(rate, key(i))
        })
    }

    fn run(
        &self,
        ops: &[&[Op]],
        batches: &[Vec<Pair>],
        first: u32,
        call: impl Fn(u32, u32) -> DropoutCall,
    ) -> Result<Vec<f64>> {
        let rows = self.batch * CONTEXT;
        let mut losses = Vec::new();
        for (first, batches) in (first..)
            .step_by(CHUNK as usize)
            .zip(batches.chunks(CHUNK as usize))
        {
            let pairs = batches.concat();
            let steps = (0..CHUNK).map(|i| self.step(first + i, i * rows, rows));
            self.upload(&pairs, steps);
            for i in 0..batches.len() as u32 {
                let dropouts = 0..self.dropouts.len() as u32;
                let calls: Vec<_> = dropouts.map(|dropout| call(dropout, first + i)).collect();
                self.submit(ops, i, &calls)?;
            }
            let mean = |batch: &[f64]| -batch.iter().sum::<f64>() / f64::from(rows);
            losses.extend(
                self.log_probabilities(&pairs)?
                    .chunks_exact(rows as usize)
                    .map(mean),
            );
        }
        Ok(losses)
    }

    /// The numbers of training step `step`. Its pairs begin at `first`, and its loss is a mean over
    /// `rows` pairs.
    pub fn step(&self, step: u32, first: u32, rows: u32) -> Step {
        // The corrections for the betas of examples/shaders/adam.wgsl. t counts from 1.
        let t = f64::from(step + 1);
        Step {
            first,
            rows,
            step_size: (self.learning_rate / (1.0 - 0.9_f64.powf(t))) as f32,
            second_correction: (1.0 / (1.0 - 0.999_f64.powf(t)).sqrt()) as f32,
        }
    }

    pub fn upload(&self, pairs: &[Pair], steps: impl Iterator<Item = Step>) {
        let queue = &self.device.queue;
        queue.write_buffer(&self.pairs, 0, bytemuck::cast_slice(pairs));
        self.steps.upload(queue, steps);
    }

    /// Submits operations that read entry `entry` of the uploaded steps. `calls` are the calls of
    /// the dropouts.
    pub fn submit(&self, ops: &[&[Op]], entry: u32, calls: &[DropoutCall]) -> Result<()> {
        let Device { device, queue, .. } = &self.device;
        own_kernels::submit(device, queue, |pass| {
            for op in ops.iter().copied().flatten() {
                (op.encode)(pass, calls, self.steps.binding(entry))?;
            }
            Ok(())
        })
    }

    /// The log-probability of the second token of each pair.
    pub fn log_probabilities(&self, pairs: &[Pair]) -> Result<Vec<f64>> {
        let Device { device, queue, .. } = &self.device;
        let all = own_kernels::download(device, queue, &self.log_probabilities)?;
        let rows = all.chunks_exact(VOCABULARY as usize).zip(pairs);
        Ok(rows
            .map(|(row, [_, next])| f64::from(row[*next as usize]))
            .collect())
    }

    /// The initial state of a run with `seed`.
    pub fn start(&self, seed: u64) -> Result<State> {
        let mut parameters = vec![0.0; PARAMETERS as usize];
        for (i, (_, Tensor { data, .. }, start)) in (0..).zip(&self.parameters) {
            let [begin, len] = [data.begin, data.len].map(|number| number as usize);
            let own = &mut parameters[begin..begin + len];
            match *start {
                Start::All(number) => own.fill(number),
                Start::Random(inputs) => {
                    own.copy_from_slice(&random::weights(seed, i, inputs, len)?);
                }
            }
        }
        let zeros = vec![0.0; parameters.len()];
        Ok(State([parameters, zeros.clone(), zeros]))
    }

    pub fn initialize(&self, seed: u64) -> Result<()> {
        self.restore(&self.start(seed)?)
    }

    pub fn state(&self) -> Result<State> {
        let read = |buffer| own_kernels::download(&self.device.device, &self.device.queue, buffer);
        let [parameters, first, second] = &self.state;
        Ok(State([read(parameters)?, read(first)?, read(second)?]))
    }

    /// # Errors
    ///
    /// If `state` belongs to a network of another size.
    pub fn restore(&self, state: &State) -> Result<()> {
        for (buffer, numbers) in self.state.iter().zip(&state.0) {
            let len = numbers.len();
            ensure!(
                len as u64 == PARAMETERS,
                "{len} parameters for a network of {PARAMETERS}: give a file that this program saved"
            );
            self.device
                .queue
                .write_buffer(buffer, 0, bytemuck::cast_slice(numbers));
        }
        Ok(())
    }
}
