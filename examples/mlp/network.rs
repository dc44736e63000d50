//! The network on a device: an epoch of training, predictions, and its state.

use std::sync::mpsc;

use anyhow::{Result, ensure};
use wgpu_dropout::{CallError, DropoutCall, DropoutRate, MaskKey};

use super::architecture::{Architecture, ParameterOffsets};
use super::examples::{DeviceExamples, Examples, SetBuffers};
use super::kernels::{self, Compiler, Dispatch, F32, Kernel, WORKGROUP, vectors};
use super::layer::{Buffers, Dropouts, Layer};
use super::predictions::Predictions;
use super::random;
use super::steps::Steps;

/// Adam's settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Optimizer {
    pub learning_rate: f64,
    /// L1: the loss includes this times the sum of the weights' magnitudes.
    pub l1: f64,
    /// L2: the loss includes this / 2 times the sum of the squared weights. It is coupled, unlike
    /// AdamW's.
    pub l2: f64,
}

impl Optimizer {
    // The values of adam.wgsl. tests/gpu/training.rs notices a difference.
    const BETA_1: f64 = 0.9;
    const BETA_2: f64 = 0.999;

    /// `step_size` and `second_correction` of step t, where t counts from 1.
    pub fn corrections(self, t: u32) -> [f32; 2] {
        let correction = |beta: f64| 1.0 - beta.powf(f64::from(t));
        [
            (self.learning_rate / correction(Self::BETA_1)) as f32,
            (1.0 / correction(Self::BETA_2).sqrt()) as f32,
        ]
    }
}

/// Everything that training changes: the parameters, Adam's first moments and Adam's second
/// moments. In each, all weights come before all biases.
#[derive(Clone, Debug, PartialEq)]
pub struct State(pub [Vec<f32>; 3]);

/// A multi-layer perceptron on a device.
#[derive(Debug)]
pub struct Mlp {
    device: wgpu::Device,
    queue: wgpu::Queue,
    architecture: Architecture,
    optimizer: Optimizer,
    offsets: ParameterOffsets,
    buffers: Buffers,
    dropouts: Dropouts,
    layers: Vec<Layer>,
    step_layout: wgpu::BindGroupLayout,
    gather: Kernel,
    cross_entropy: Kernel,
    adam: Dispatch,
}

impl Mlp {
    /// A network whose parameters are all 0.
    ///
    /// # Errors
    ///
    /// If it has more parameters than one dispatch on this device updates.
    pub fn new(
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        architecture: Architecture,
        optimizer: Optimizer,
    ) -> Result<Self> {
        let offsets = architecture.offsets();
        // Adam runs in one dispatch, and each invocation takes a vector of four.
        let workgroups = device.limits().max_compute_workgroups_per_dimension;
        let most = 4 * WORKGROUP * u64::from(workgroups);
        ensure!(
            offsets.len <= most,
            "{} parameters are more than this device's {most}: take narrower layers",
            offsets.len
        );
        let buffers = Buffers::new(device, &architecture, offsets.len);
        let step_layout = Steps::group_layout(device);
        let compiler = Compiler {
            device,
            step_layout: &step_layout,
        };
        let dropouts = Dropouts::new(device)?;
        let layers = (0..architecture.layers())
            .map(|i| Layer::new(&compiler, &dropouts, &architecture, &offsets, &buffers, i))
            .collect::<Result<_, _>>()?;

        let rows = f64::from(architecture.rows());
        let columns = |width| f64::from(architecture.columns(width));
        let logits = architecture.logits();
        let gather = compiler.kernel(
            &kernels::GATHER,
            &[
                ("ROWS", rows),
                ("COLUMNS", columns(0)),
                ("FEATURES", architecture.widths[0].into()),
            ],
        );
        let cross_entropy = compiler.kernel(
            match logits {
                1 => &kernels::BINARY_CROSS_ENTROPY,
                _ => &kernels::CROSS_ENTROPY,
            },
            &[
                ("ROWS", rows),
                ("COLUMNS", columns(architecture.layers())),
                ("CLASSES", logits.into()),
            ],
        );
        let [parameters, first, second] = &buffers.state;
        let adam = compiler
            .kernel(
                &kernels::ADAM,
                &[
                    ("L1", optimizer.l1),
                    ("L2", optimizer.l2),
                    ("DECAYED", offsets.weights_len as f64),
                ],
            )
            .on(
                &[&buffers.gradients, parameters, first, second]
                    .map(wgpu::Buffer::as_entire_binding),
                vectors(offsets.len),
            );
        Ok(Self {
            device: device.clone(),
            queue: queue.clone(),
            architecture,
            optimizer,
            offsets,
            buffers,
            dropouts,
            layers,
            step_layout,
            gather,
            cross_entropy,
            adam,
        })
    }

    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Draws new weights and clears Adam's moments.
    pub fn initialize(&self, seed: u64) -> Result<()> {
        let mut parameters = vec![0.0; self.offsets.len as usize];
        for (i, offsets) in self.offsets.layers.iter().enumerate() {
            let [inputs, outputs] = [i, i + 1].map(|width| self.architecture.widths[width]);
            let len = inputs as usize * outputs as usize;
            let weights = random::weights(seed, i as u32, inputs, len)?;
            let columns = self.architecture.columns(i + 1) as usize;
            let rows = parameters[offsets.weights as usize..].chunks_mut(columns);
            for (row, weights) in rows.zip(weights.chunks(outputs as usize)) {
                row[..weights.len()].copy_from_slice(weights);
            }
        }
        let zeros = vec![0.0; parameters.len()];
        self.restore(&State([parameters, zeros.clone(), zeros]))
    }

    pub fn state(&self) -> Result<State> {
        let [parameters, first, second] = &self.buffers.state;
        Ok(State([
            self.download(parameters)?,
            self.download(first)?,
            self.download(second)?,
        ]))
    }

    /// # Errors
    ///
    /// If `state` belongs to a network of another size.
    pub fn restore(&self, state: &State) -> Result<()> {
        for (buffer, values) in self.buffers.state.iter().zip(&state.0) {
            let expected = (buffer.size() / F32) as usize;
            ensure!(
                values.len() == expected,
                "{} parameters for a network of {expected}: give the widths that it was saved with",
                values.len()
            );
            self.queue
                .write_buffer(buffer, 0, bytemuck::cast_slice(values));
        }
        Ok(())
    }

    /// The gradients of the last step, in the order of the parameters.
    pub fn gradients(&self) -> Result<Vec<f32>> {
        self.download(&self.buffers.gradients)
    }

    /// Uploads `examples` to the device.
    ///
    /// # Errors
    ///
    /// If they do not fit into one binding of the device.
    pub fn upload(&self, examples: &Examples) -> Result<DeviceExamples> {
        let (bytes, most) = (
            examples.bytes.len() as u64,
            self.device.limits().max_storage_buffer_binding_size,
        );
        ensure!(
            bytes <= most,
            "{bytes} bytes of examples are more than this device's {most}: take fewer"
        );
        let columns = self.columns_of_logits();
        let buffers = SetBuffers::new(&self.device, examples, columns);
        let gather = self.gather.on(
            &[
                buffers.features.as_entire_binding(),
                buffers.order.as_entire_binding(),
                self.buffers.activations[0].as_entire_binding(),
            ],
            vectors(self.architecture.activations(0)),
        );
        let cross_entropy = self.cross_entropy.on(
            &[
                buffers.order.as_entire_binding(),
                self.buffers.activations[self.layers.len()].as_entire_binding(),
                buffers.log_probabilities.as_entire_binding(),
            ],
            [self.architecture.rows().div_ceil(8), 1, 1],
        );
        Ok(DeviceExamples::new(
            &self.device,
            &self.step_layout,
            &examples.labels,
            self.architecture.batch,
            buffers,
            [gather, cross_entropy],
        ))
    }

    /// Trains one pass over `set`, in an order that `seed` and `epoch` decide. `rates[i]` is the
    /// dropout rate on the input of dense layer i. The host uploads everything that the steps read,
    /// and waits only for the last step.
    pub fn train_epoch(
        &self,
        set: &DeviceExamples,
        rates: &[DropoutRate],
        seed: u64,
        epoch: u32,
    ) -> Result<()> {
        let first_step = epoch * set.batches();
        set.schedule(
            &self.queue,
            random::order(seed, epoch, set.len())?,
            |batch| self.optimizer.corrections(first_step + batch + 1),
        );
        for batch in 0..set.batches() {
            // The calls are all that is kept between forward and backward.
            let calls = calls(rates, |layer| {
                MaskKey::layer_step(seed, layer, first_step + batch)
            });
            let mut encoder = self.device.create_command_encoder(&Default::default());
            let mut pass = encoder.begin_compute_pass(&Default::default());
            self.encode_forward(&mut pass, set, batch, &calls)?;
            self.encode_backward(&mut pass, set, batch, &calls)?;
            drop(pass);
            self.queue.submit([encoder.finish()]);
        }
        self.device.poll(wgpu::PollType::wait_indefinitely())?;
        Ok(())
    }

    /// Predictions for `set` without dropout.
    pub fn evaluate(&self, set: &DeviceExamples) -> Result<Predictions> {
        self.predict(set, &vec![DropoutRate::ZERO; self.layers.len()], |_| {
            MaskKey::new(0, 0)
        })
    }

    /// Predictions for `set` with dropout. Each layer has one mask for the whole set, and each
    /// batch uses its slice.
    pub fn predict(
        &self,
        set: &DeviceExamples,
        rates: &[DropoutRate],
        key: impl Fn(u32) -> MaskKey,
    ) -> Result<Predictions> {
        set.schedule(&self.queue, 0..set.len(), |_| [0.0; 2]);
        for batch in 0..set.batches() {
            let mut calls = calls(rates, &key);
            for (layer, call) in calls.iter_mut().enumerate() {
                call.origin = u64::from(batch) * self.architecture.activations(layer);
            }
            let mut encoder = self.device.create_command_encoder(&Default::default());
            let mut pass = encoder.begin_compute_pass(&Default::default());
            self.encode_forward(&mut pass, set, batch, &calls)?;
            drop(pass);
            self.queue.submit([encoder.finish()]);
        }
        let classes = self.architecture.classes() as usize;
        let rows = self.download(&set.log_probabilities)?;
        Ok(Predictions {
            classes,
            log_probabilities: rows
                .chunks_exact(self.columns_of_logits() as usize)
                .flat_map(|row| &row[..classes])
                .copied()
                .collect(),
        })
    }

    fn encode_forward(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        set: &DeviceExamples,
        batch: u32,
        calls: &[DropoutCall],
    ) -> Result<(), CallError> {
        let step = set.step(batch);
        set.gather.encode(pass, step);
        for (i, layer) in self.layers.iter().enumerate() {
            layer.encode_forward(pass, &self.dropouts, &calls[i..], step)?;
        }
        set.cross_entropy.encode(pass, step);
        Ok(())
    }

    fn encode_backward(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        set: &DeviceExamples,
        batch: u32,
        calls: &[DropoutCall],
    ) -> Result<(), CallError> {
        let step = set.step(batch);
        for (i, layer) in self.layers.iter().enumerate().rev() {
            layer.encode_backward(pass, &self.dropouts, &calls[i..], step)?;
        }
        self.adam.encode(pass, step);
        Ok(())
    }

    fn columns_of_logits(&self) -> u32 {
        self.architecture.columns(self.layers.len())
    }

    fn download(&self, buffer: &wgpu::Buffer) -> Result<Vec<f32>> {
        let read = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("read"),
            size: buffer.size(),
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(buffer, 0, &read, 0, buffer.size());
        self.queue.submit([encoder.finish()]);
        let (sender, receiver) = mpsc::channel();
        read.map_async(wgpu::MapMode::Read, .., move |mapped| {
            // Cannot fail: the receiver waits below.
            sender.send(mapped).ok();
        });
        self.device.poll(wgpu::PollType::wait_indefinitely())?;
        receiver.recv()??;
        Ok(bytemuck::pod_collect_to_vec(&read.get_mapped_range(..)?))
    }
}

fn calls(rates: &[DropoutRate], key: impl Fn(u32) -> MaskKey) -> Vec<DropoutCall> {
    (0..)
        .zip(rates)
        .map(|(layer, &rate)| DropoutCall::new(rate, key(layer)))
        .collect()
}
