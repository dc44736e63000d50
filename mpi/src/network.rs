//! A process's part of the network: `--data` splits the rows of the batch, `--tensor` the hidden
//! units. The first layer is split by columns and the second by rows, so a step has two sums over
//! processes: logits over hidden units, gradients over the batch. Masks need no communication.

use anyhow::Result;
use wgpu_dropout::{
    ActBinding, ActDropout, ActGradient, Activation, Bias, Dropout, DropoutBinding, DropoutCall,
    DropoutRate, KeepMask, KernelDescriptor, MaskKey, MaskLayout,
};

use crate::grid::{Axis, Grid, LEAVES, Sum};
use crate::mlp::kernels::{self, Compiler, Dispatch, F32, Source, vectors};
use crate::mlp::steps::{Step, Steps};
use crate::mlp::{Examples, Optimizer, State, TILE, random};
use crate::options::Options;
use crate::parameters::{Parameter, Parameters, beside};
use crate::staging::Staging;

pub const CLASSES: u32 = 10;
/// Columns of the padded logits.
const LOGITS: u32 = CLASSES.next_multiple_of(TILE);
const INPUT_RATE: f64 = 0.2;
const HIDDEN_RATE: f64 = 0.5;
const OPTIMIZER: Optimizer = Optimizer {
    learning_rate: 1e-3,
    l1: 0.0,
    l2: 0.0,
};

pub struct Network<'a> {
    grid: &'a Grid,
    device: wgpu::Device,
    queue: wgpu::Queue,
    seed: u64,
    batch: u32,
    examples: Examples,
    parameters: Parameters,
    /// Mask layouts of this process's inputs and hidden units.
    masks: [MaskLayout; 2],
    state: [wgpu::Buffer; 3],
    gradients: wgpu::Buffer,
    logits: wgpu::Buffer,
    order: wgpu::Buffer,
    steps: Steps,
    dropout: Dropout,
    relu: ActDropout,
    keep_mask: KeepMask,
    input_dropout: DropoutBinding,
    hidden: ActBinding,
    hidden_gradient: ActGradient,
    gather: Dispatch,
    products: [Dispatch; 2],
    loss: [Dispatch; 2],
    output_gradients: [Dispatch; 3],
    input_gradients: [Dispatch; 2],
    adam: Dispatch,
    logit_leaves: Staging,
    gradient_leaves: Staging,
    log_probabilities: Staging,
}

impl<'a> Network<'a> {
    /// Builds the network on a device. All parameters are 0.
    pub fn new(
        grid: &'a Grid,
        (device, queue): (wgpu::Device, wgpu::Queue),
        options: &Options,
        examples: Examples,
    ) -> Result<Self> {
        let Options {
            data,
            tensor,
            batch,
            ..
        } = *options;
        let inputs = examples.features.next_multiple_of(TILE);
        let [rows, units] = [batch / data, options.hidden / tensor];
        let [d, t] = [Axis::Data, Axis::Tensor].map(|axis| u64::from(grid.part(axis)));
        // These layouts are all that a process must know to make its slices of the masks.
        let mask = |width, cuts: &[_]| {
            MaskLayout::elementwise(&[u64::from(batch), u64::from(width)])?.mesh(cuts)
        };
        let masks = [
            mask(inputs, &[(0, data.into(), d)])?,
            mask(
                options.hidden,
                &[(0, data.into(), d), (1, tensor.into(), t)],
            )?,
        ];
        let parameters = Parameters::new([inputs, options.hidden, LOGITS], u64::from(tensor), t)?;
        let end = parameters.len;

        let buffer = |len: u64| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size: F32 * len,
                usage: wgpu::BufferUsages::STORAGE
                    | wgpu::BufferUsages::COPY_SRC
                    | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        };
        let matrix = |rows: u32, columns: u32| buffer(u64::from(rows) * u64::from(columns));
        let leaves = [Axis::Data, Axis::Tensor].map(|axis| grid.leaves(axis));
        let (x, product, h) = (
            matrix(rows, inputs),
            matrix(rows, units),
            matrix(rows, units),
        );
        let (logits, logit_leaves) = (matrix(rows, LOGITS), matrix(leaves[1] * rows, LOGITS));
        let gradient_leaves = parameters
            .list
            .each_ref()
            .map(|of| buffer(u64::from(leaves[0]) * of.part.len()));
        let log_probabilities = matrix(examples.len(), LOGITS);
        let (gradients, state) = (buffer(end), [0; 3].map(|_| buffer(end)));
        let images = buffer(u64::from(examples.len()) * u64::from(examples.features) / F32);
        queue.write_buffer(&images, 0, &examples.bytes);
        let order = buffer(2 * u64::from(examples.len()));

        let step_layout = Steps::group_layout(&device);
        let compiler = Compiler {
            device: &device,
            step_layout: &step_layout,
        };
        let all = wgpu::Buffer::as_entire_binding;
        let whole = wgpu::Buffer::as_entire_buffer_binding;
        let parameter = |i: usize| wgpu::BufferBinding {
            buffer: &state[0],
            offset: F32 * parameters.list[i].begin,
            size: wgpu::BufferSize::new(F32 * parameters.list[i].part.len()),
        };
        let resource = wgpu::BindingResource::Buffer;
        let matmul =
            |[rows, columns, inner, leaves]: [u32; 4], [a, b]: [bool; 2], buffers: [_; 3]| {
                let overrides = [
                    ("ROWS", rows.into()),
                    ("COLUMNS", columns.into()),
                    ("INNER", inner.into()),
                    ("LEAVES", leaves.into()),
                    ("A_TRANSPOSED", a.into()),
                    ("B_TRANSPOSED", b.into()),
                ];
                let [x, y] = [columns, rows].map(|size| size.div_ceil(8 * TILE));
                compiler
                    .kernel(&kernels::MATMUL, &overrides)
                    .on(&buffers, [x, y, leaves])
            };
        let on_rows =
            |source: &Source, columns: u32, more: (&str, u32), buffers: &[_], workgroups| {
                let overrides = [
                    ("ROWS", rows.into()),
                    ("COLUMNS", columns.into()),
                    (more.0, more.1.into()),
                ];
                compiler.kernel(source, &overrides).on(buffers, workgroups)
            };
        let bias_gradient = |columns: u32, buffers: [_; 2]| {
            let [x, y, _] = vectors(columns.into());
            let leaves_of = ("LEAVES", leaves[0]);
            on_rows(
                &kernels::BIAS_GRADIENT,
                columns,
                leaves_of,
                &buffers,
                [x, y, leaves[0]],
            )
        };
        let (dropout, relu) = (
            Dropout::new(&device, &KernelDescriptor::default())?,
            ActDropout::new(&device, &KernelDescriptor::default(), Activation::Relu)?,
        );
        let bias = || Some(Bias::new(parameter(2), units));
        let [w1_leaves, w2_leaves, b1_leaves, b2_leaves] = &gradient_leaves;
        Ok(Self {
            input_dropout: dropout.bind_in_place(whole(&x), &masks[0])?,
            hidden: relu.bind(whole(&product), whole(&h), bias(), &masks[1])?,
            hidden_gradient: relu.bind_backward_in_place(
                whole(&h),
                whole(&product),
                bias(),
                &masks[1],
            )?,
            gather: on_rows(
                &kernels::GATHER,
                inputs,
                ("FEATURES", examples.features),
                &[all(&images), all(&order), all(&x)],
                vectors(x.size() / F32),
            ),
            products: [
                matmul(
                    [rows, units, inputs, 1],
                    [false, false],
                    [all(&x), resource(parameter(0)), all(&product)],
                ),
                matmul(
                    [rows, LOGITS, units, leaves[1]],
                    [false, false],
                    [all(&h), resource(parameter(1)), all(&logit_leaves)],
                ),
            ],
            loss: [
                on_rows(
                    &kernels::ADD_BIAS,
                    LOGITS,
                    ("LEAVES", 1),
                    &[resource(parameter(3)), all(&logits)],
                    vectors(logits.size() / F32),
                ),
                on_rows(
                    &kernels::CROSS_ENTROPY,
                    LOGITS,
                    ("CLASSES", CLASSES),
                    &[all(&order), all(&logits), all(&log_probabilities)],
                    [rows.div_ceil(8), 1, 1],
                ),
            ],
            output_gradients: [
                matmul(
                    [units, LOGITS, rows, leaves[0]],
                    [true, false],
                    [all(&h), all(&logits), all(w2_leaves)],
                ),
                bias_gradient(LOGITS, [all(&logits), all(b2_leaves)]),
                // This overwrites the activations, which no later kernel reads.
                matmul(
                    [rows, units, LOGITS, 1],
                    [false, true],
                    [all(&logits), resource(parameter(1)), all(&h)],
                ),
            ],
            input_gradients: [
                matmul(
                    [inputs, units, rows, leaves[0]],
                    [true, false],
                    [all(&x), all(&product), all(w1_leaves)],
                ),
                bias_gradient(units, [all(&product), all(b1_leaves)]),
            ],
            adam: {
                let overrides = [("L1", 0.0), ("L2", 0.0), ("DECAYED", 0.0)];
                let [values, first, second] = state.each_ref().map(all);
                let buffers = [all(&gradients), values, first, second];
                compiler
                    .kernel(&kernels::ADAM, &overrides)
                    .on(&buffers, vectors(end))
            },
            logit_leaves: Staging::new(&device, &[logit_leaves]),
            gradient_leaves: Staging::new(&device, &gradient_leaves),
            log_probabilities: Staging::new(&device, &[log_probabilities]),
            steps: Steps::new(&device, &step_layout, examples.len() / batch),
            grid,
            seed: options.seed,
            batch,
            examples,
            parameters,
            masks,
            state,
            gradients,
            logits,
            order,
            keep_mask: KeepMask::new(&device, &KernelDescriptor::default())?,
            dropout,
            relu,
            device,
            queue,
        })
    }

    /// Number of steps in an epoch.
    pub fn epoch_steps(&self) -> u32 {
        self.examples.len() / self.batch
    }

    /// The first state of the whole network. It depends on the seed alone.
    pub fn first_state(&self) -> Result<State> {
        self.parameters.draw(self.seed, self.examples.features)
    }

    /// Loads this process's part of the whole network's state.
    pub fn restore(&self, state: &State) -> Result<()> {
        for (buffer, part) in self.state.iter().zip(self.parameters.cut(state)?) {
            self.queue
                .write_buffer(buffer, 0, bytemuck::cast_slice(&part));
        }
        Ok(())
    }

    /// The state of the whole network, gathered from all processes.
    pub fn state(&self) -> Result<State> {
        let staging = Staging::new(&self.device, &self.state);
        let mut encoder = self.device.create_command_encoder(&Default::default());
        staging.encode(&mut encoder);
        self.queue.submit([encoder.finish()]);
        staging.read(&self.device, |parts| self.parameters.join(self.grid, parts))
    }

    /// The calls of dropout on the inputs and on the hidden units. They are equal in all processes.
    pub fn calls(seed: u64, step: u32) -> Result<[DropoutCall; 2]> {
        let call = |layer, p| {
            let key = MaskKey::layer_step(seed, layer, step);
            DropoutRate::new(p).map(|rate| DropoutCall::new(rate, key))
        };
        Ok([call(0, INPUT_RATE)?, call(1, HIDDEN_RATE)?])
    }

    /// Trains one epoch and returns the loss of each step. Calls `after` after each step.
    pub fn train_epoch(&self, epoch: u32, mut after: impl FnMut()) -> Result<Vec<f64>> {
        let order = random::order(self.seed, epoch, self.examples.len())?;
        let labels: Vec<u8> = order
            .iter()
            .map(|&i| self.examples.labels[i as usize])
            .collect();
        let order: Vec<[u32; 2]> = order
            .iter()
            .zip(&labels)
            .map(|(&i, &label)| [i, label.into()])
            .collect();
        self.queue
            .write_buffer(&self.order, 0, bytemuck::cast_slice(&order));
        let first_step = epoch * self.epoch_steps();
        let rows = self.batch / self.grid.data;
        let first_row = |step| step * self.batch + self.grid.part(Axis::Data) * rows;
        let steps = (0..self.epoch_steps()).map(|step| {
            let [step_size, second_correction] = OPTIMIZER.corrections(first_step + step + 1);
            // The loss is a mean over the rows of the whole batch.
            let (first, rows) = (first_row(step), self.batch);
            Step {
                first,
                rows,
                step_size,
                second_correction,
            }
        });
        self.steps.upload(&self.queue, steps);
        for step in 0..self.epoch_steps() {
            self.train_step(
                step,
                &Self::calls(self.seed, first_step + step)?,
                first_step + step == 0,
            )?;
            after();
        }
        let mut encoder = self.device.create_command_encoder(&Default::default());
        self.log_probabilities.encode(&mut encoder);
        self.queue.submit([encoder.finish()]);
        let own: Vec<f32> = self.log_probabilities.read(&self.device, |parts| {
            let rows = (0..self.epoch_steps())
                .flat_map(|step| (0..rows).map(move |row| first_row(step) + row));
            rows.map(|row| parts[0][(row * LOGITS + u32::from(labels[row as usize])) as usize])
                .collect()
        })?;
        let steps = self.epoch_steps() as usize;
        let in_order = beside(&self.grid.gather(Axis::Data, &own), steps, rows as usize);
        let mean =
            |rows: &[f32]| -rows.iter().map(|&row| f64::from(row)).sum::<f64>() / rows.len() as f64;
        Ok(in_order
            .chunks_exact(self.batch as usize)
            .map(mean)
            .collect())
    }

    fn train_step(&self, step: u32, calls: &[DropoutCall; 2], is_first: bool) -> Result<()> {
        let step = self.steps.binding(step);
        let submit =
            |staging: Option<&Staging>,
             record: &dyn Fn(&mut wgpu::ComputePass<'_>) -> Result<()>| {
                let mut encoder = self.device.create_command_encoder(&Default::default());
                record(&mut encoder.begin_compute_pass(&Default::default()))?;
                if let Some(staging) = staging {
                    staging.encode(&mut encoder);
                }
                self.queue.submit([encoder.finish()]);
                anyhow::Ok(())
            };
        submit(Some(&self.logit_leaves), &|pass| {
            self.gather.encode(pass, step);
            self.dropout
                .encode_forward(pass, &self.input_dropout, &calls[0])?;
            self.products[0].encode(pass, step);
            self.relu.encode_forward(pass, &self.hidden, &calls[1])?;
            self.products[1].encode(pass, step);
            Ok(())
        })?;
        // With MPI's sums, the largest error of the first step's sums is printed.
        let checks = is_first && self.grid.sum == Sum::Mpi;
        let mut roundings = 0f32;
        let mut add = |axis, leaves: &[f32]| {
            let sum = self.grid.sum(axis, leaves);
            if checks {
                roundings = roundings.max(self.grid.roundings(axis, leaves, &sum));
            }
            sum
        };
        let leaves = &self.logit_leaves;
        let logits = leaves.read(&self.device, |leaves| add(Axis::Tensor, leaves[0]))?;
        self.queue
            .write_buffer(&self.logits, 0, bytemuck::cast_slice(&logits));
        submit(Some(&self.gradient_leaves), &|pass| {
            for dispatch in self.loss.iter().chain(&self.output_gradients) {
                dispatch.encode(pass, step);
            }
            self.relu
                .encode_backward(pass, &self.hidden_gradient, &calls[1])?;
            for dispatch in &self.input_gradients {
                dispatch.encode(pass, step);
            }
            Ok(())
        })?;
        self.gradient_leaves.read(&self.device, |all| {
            for (leaves, Parameter { begin, .. }) in all.iter().zip(&self.parameters.list) {
                let sum = add(Axis::Data, leaves);
                self.queue
                    .write_buffer(&self.gradients, F32 * begin, bytemuck::cast_slice(&sum));
            }
        })?;
        if checks && self.grid.is_root() {
            println!("first sums: {roundings} of {LEAVES} roundings from those in order");
        }
        submit(None, &|pass| {
            self.adam.encode(pass, step);
            Ok(())
        })
    }

    /// The packed masks of a step for the whole batch, gathered from the kernels of all processes.
    pub fn masks(&self, step: u32) -> Result<[Vec<u32>; 2]> {
        let calls = Self::calls(self.seed, step)?;
        let own = |i: usize| {
            let words = self
                .keep_mask
                .run_blocking(&self.queue, &self.masks[i], &calls[i])?;
            let bit = |e: u64| (words[e as usize / 32] >> (e % 32) & 1) as u8;
            anyhow::Ok((0..self.masks[i].len()).map(bit).collect::<Vec<u8>>())
        };
        let [rows, units] = [0, 1].map(|dimension| self.masks[1].shape()[dimension] as usize);
        let hidden = beside(&self.grid.gather(Axis::Tensor, &own(1)?), rows, units);
        Ok([own(0)?, hidden].map(|own| {
            let pack = |bits: &[u8]| {
                (0..)
                    .zip(bits)
                    .fold(0, |word, (e, &bit)| word | u32::from(bit) << e)
            };
            self.grid
                .gather(Axis::Data, &own)
                .chunks(32)
                .map(pack)
                .collect()
        }))
    }
}
