//! The network: its buffers, its kernels bound to them, a step and an evaluation.

use std::sync::mpsc;

use anyhow::{Result, ensure};
use wgpu_dropout::{
    Dropout, DropoutBinding, DropoutCall, DropoutRate, IndexOverflow, KernelDescriptor, MaskKey,
};

use super::examples::{DeviceExamples, Examples, SetBuffers, Steps};
use super::kernels::{self, Dispatch, F32, Kernel};
use super::predictions::Predictions;
use super::random;

/// Rows and columns of every matrix are multiples of this; what is added are zeros, and stays so.
const TILE: u32 = 8;

/// Parameters of a tensor begin at a multiple of this: 256 bytes, the largest alignment of a binding.
const GRANULE: u64 = 64;

/// The layers' sizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Architecture {
    /// Features, hidden widths, logits. One logit is for two classes.
    pub widths: Vec<u32>,
    /// Examples of a step.
    pub batch: u32,
}

impl Architecture {
    fn layers(&self) -> usize {
        self.widths.len() - 1
    }

    fn rows(&self) -> u32 {
        self.batch.next_multiple_of(TILE)
    }

    fn columns(&self, width: usize) -> u32 {
        self.widths[width].next_multiple_of(TILE)
    }

    /// Elements of the activations of a width.
    fn activations(&self, width: usize) -> u64 {
        u64::from(self.rows()) * u64::from(self.columns(width))
    }

    fn logits(&self) -> u32 {
        self.widths[self.layers()]
    }

    fn classes(&self) -> u32 {
        self.logits().max(2)
    }
}

/// Adam's settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Optimizer {
    pub learning_rate: f64,
    /// The loss has this / 2 times the sum of the squared weights added: coupled L2, not AdamW.
    pub l2: f64,
}

impl Optimizer {
    const BETA_1: f64 = 0.9;
    const BETA_2: f64 = 0.999;

    /// `step_size` and `second_correction` of step t, which counts from 1.
    fn corrections(self, t: u32) -> [f32; 2] {
        let correction = |beta: f64| 1.0 - beta.powf(f64::from(t));
        [
            (self.learning_rate / correction(Self::BETA_1)) as f32,
            (1.0 / correction(Self::BETA_2).sqrt()) as f32,
        ]
    }
}

/// Everything that training changes: parameters, Adam's first and its second moments, each with all
/// weights before all biases.
#[derive(Clone, Debug, PartialEq)]
pub struct State(pub [Vec<f32>; 3]);

/// Where the parameters of a layer begin, in elements.
#[derive(Clone, Copy, Debug)]
struct Place {
    weights: u64,
    bias: u64,
}

#[derive(Debug)]
struct Layer {
    /// On the layer's input, in place.
    dropout: DropoutBinding,
    forward: Vec<Dispatch>,
    parameter_gradients: [Dispatch; 2],
    /// Of the layers behind the first.
    input_gradient: Option<InputGradient>,
}

/// Back through a layer's matrix, the dropout before it and the ReLU before that.
#[derive(Debug)]
struct InputGradient {
    matmul: Dispatch,
    dropout: DropoutBinding,
    relu: Dispatch,
}

/// A multi-layer perceptron on a device.
#[derive(Debug)]
pub struct Mlp {
    device: wgpu::Device,
    queue: wgpu::Queue,
    architecture: Architecture,
    optimizer: Optimizer,
    places: Vec<Place>,
    /// The batch, each layer's activations, the logits.
    activations: Vec<wgpu::Buffer>,
    gradients: wgpu::Buffer,
    /// As in [`State`].
    state: [wgpu::Buffer; 3],
    dropout: Dropout,
    layers: Vec<Layer>,
    step_layout: wgpu::BindGroupLayout,
    gather: Kernel,
    cross_entropy: Kernel,
    adam: Dispatch,
}

impl Mlp {
    /// A network of zeros.
    pub fn new(
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        architecture: Architecture,
        optimizer: Optimizer,
    ) -> Result<Self> {
        let buffer = |label, len: u64| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size: F32 * len,
                usage: wgpu::BufferUsages::STORAGE
                    | wgpu::BufferUsages::COPY_SRC
                    | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        };
        let (places, weights, len) = places(&architecture);
        let state =
            ["parameters", "first moments", "second moments"].map(|label| buffer(label, len));
        let gradients = buffer("gradients", len);
        let widths = 0..architecture.widths.len();
        let activations: Vec<_> = widths
            .clone()
            .map(|width| buffer("activations", architecture.activations(width)))
            .collect();
        // The gradient of the logits takes their place, and that of the batch is not needed.
        let activation_gradients: Vec<_> = widths
            .map(|width| match width {
                _ if width == architecture.layers() => activations[width].clone(),
                0 => buffer("no gradient", 4),
                _ => buffer("activation gradients", architecture.activations(width)),
            })
            .collect();

        let step_layout = Steps::group_layout(device);
        let kernel = |source, overrides: &[(&str, f64)]| {
            Kernel::new(device, &step_layout, source, overrides)
        };
        let dropout = Dropout::new(device, &KernelDescriptor::default())?;
        let rows = architecture.rows();
        let vectors = |elements: u64| [(elements / 4).div_ceil(64), 1];
        let matmul = |size: [u32; 3], transposed: [bool; 2]| {
            let [rows, columns, inner] = size.map(f64::from);
            let [a, b] = transposed.map(|transposed| f64::from(u8::from(transposed)));
            kernel(
                &kernels::MATMUL,
                &[
                    ("ROWS", rows),
                    ("COLUMNS", columns),
                    ("INNER", inner),
                    ("A_TRANSPOSED", a),
                    ("B_TRANSPOSED", b),
                ],
            )
        };
        let tiles = |rows: u32, columns: u32| {
            [columns, rows].map(|elements| u64::from(elements).div_ceil(8 * u64::from(TILE)))
        };
        let layer = |i: usize| -> Result<Layer> {
            let (inputs, outputs) = (architecture.columns(i), architecture.columns(i + 1));
            let weights_len = u64::from(inputs) * u64::from(outputs);
            let tensor = |buffer, begin, len| {
                wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer,
                    offset: F32 * begin,
                    size: wgpu::BufferSize::new(F32 * len),
                })
            };
            let weights = |buffer| tensor(buffer, places[i].weights, weights_len);
            let bias = |buffer| tensor(buffer, places[i].bias, outputs.into());
            let input = activations[i].as_entire_binding();
            let output = activations[i + 1].as_entire_binding();
            let output_gradient = activation_gradients[i + 1].as_entire_binding();
            let sizes = [("ROWS", rows.into()), ("COLUMNS", outputs.into())];
            let output_len = architecture.activations(i + 1);

            let mut forward = vec![
                matmul([rows, outputs, inputs], [false, false]).on(
                    &[input.clone(), weights(&state[0]), output.clone()],
                    tiles(rows, outputs),
                ),
                kernel(&kernels::ADD_BIAS, &sizes)
                    .on(&[bias(&state[0]), output.clone()], vectors(output_len)),
            ];
            if i + 1 < architecture.layers() {
                forward.push(kernel(&kernels::RELU, &[]).on(&[output], vectors(output_len)));
            }
            let parameter_gradients = [
                matmul([inputs, outputs, rows], [true, false]).on(
                    &[input.clone(), output_gradient.clone(), weights(&gradients)],
                    tiles(inputs, outputs),
                ),
                kernel(&kernels::BIAS_GRADIENT, &sizes).on(
                    &[output_gradient.clone(), bias(&gradients)],
                    vectors(outputs.into()),
                ),
            ];
            let input_gradient = if i == 0 {
                None
            } else {
                let gradient = &activation_gradients[i];
                let len = architecture.activations(i);
                Some(InputGradient {
                    matmul: matmul([rows, inputs, outputs], [false, true]).on(
                        &[
                            output_gradient,
                            weights(&state[0]),
                            gradient.as_entire_binding(),
                        ],
                        tiles(rows, inputs),
                    ),
                    dropout: dropout.bind_in_place(gradient.as_entire_buffer_binding(), len)?,
                    relu: kernel(&kernels::RELU_GRADIENT, &[])
                        .on(&[input, gradient.as_entire_binding()], vectors(len)),
                })
            };
            Ok(Layer {
                dropout: dropout.bind_in_place(
                    activations[i].as_entire_buffer_binding(),
                    architecture.activations(i),
                )?,
                forward,
                parameter_gradients,
                input_gradient,
            })
        };
        let layers = (0..architecture.layers())
            .map(layer)
            .collect::<Result<_>>()?;

        let [parameters, first, second] = &state;
        let adam = kernel(
            &kernels::ADAM,
            &[("L2", optimizer.l2), ("DECAYED", weights as f64)],
        )
        .on(
            &[&gradients, parameters, first, second].map(wgpu::Buffer::as_entire_binding),
            vectors(len),
        );
        let logits = architecture.logits();
        let cross_entropy = match logits {
            1 => &kernels::BINARY_CROSS_ENTROPY,
            _ => &kernels::CROSS_ENTROPY,
        };
        Ok(Self {
            gather: kernel(
                &kernels::GATHER,
                &[
                    ("ROWS", rows.into()),
                    ("COLUMNS", architecture.columns(0).into()),
                    ("FEATURES", architecture.widths[0].into()),
                ],
            ),
            cross_entropy: kernel(
                cross_entropy,
                &[
                    ("ROWS", rows.into()),
                    (
                        "COLUMNS",
                        architecture.columns(architecture.layers()).into(),
                    ),
                    ("CLASSES", logits.into()),
                ],
            ),
            device: device.clone(),
            queue: queue.clone(),
            architecture,
            optimizer,
            places,
            activations,
            gradients,
            state,
            dropout,
            layers,
            step_layout,
            adam,
        })
    }
    /// Draws the weights and forgets Adam's moments.
    pub fn initialize(&self, seed: u64) -> Result<()> {
        let mut parameters = vec![0.0; (self.state[0].size() / F32) as usize];
        for (i, place) in self.places.iter().enumerate() {
            let [inputs, outputs] = [i, i + 1].map(|width| self.architecture.widths[width]);
            let len = inputs as usize * outputs as usize;
            let weights = random::weights(seed, i as u32, inputs, len)?;
            let columns = self.architecture.columns(i + 1) as usize;
            let rows = parameters[place.weights as usize..].chunks_mut(columns);
            for (row, weights) in rows.zip(weights.chunks(outputs as usize)) {
                row[..weights.len()].copy_from_slice(weights);
            }
        }
        let zeros = vec![0.0; parameters.len()];
        self.restore(&State([parameters, zeros.clone(), zeros]))
    }

    pub fn state(&self) -> Result<State> {
        let [parameters, first, second] = &self.state;
        Ok(State([
            self.download(parameters)?,
            self.download(first)?,
            self.download(second)?,
        ]))
    }

    /// # Errors
    ///
    /// If `state` is another network's.
    pub fn restore(&self, state: &State) -> Result<()> {
        for (buffer, values) in self.state.iter().zip(&state.0) {
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

    /// The gradients of the last step, in the parameters' order.
    pub fn gradients(&self) -> Result<Vec<f32>> {
        self.download(&self.gradients)
    }

    /// Puts `examples` on the device.
    pub fn upload(&self, examples: &Examples) -> DeviceExamples {
        let columns = self.columns_of_logits();
        let buffers = SetBuffers::new(&self.device, examples, columns);
        let rows = u64::from(self.architecture.rows());
        let batch_vectors = self.architecture.activations(0) / 4;
        let gather = self.gather.on(
            &[
                buffers.features.as_entire_binding(),
                buffers.order.as_entire_binding(),
                self.activations[0].as_entire_binding(),
            ],
            [batch_vectors.div_ceil(64), 1],
        );
        let cross_entropy = self.cross_entropy.on(
            &[
                buffers.order.as_entire_binding(),
                self.activations[self.layers.len()].as_entire_binding(),
                buffers.log_probabilities.as_entire_binding(),
            ],
            [rows.div_ceil(8), 1],
        );
        DeviceExamples::new(
            &self.device,
            &self.step_layout,
            &examples.labels,
            self.architecture.batch,
            buffers,
            [gather, cross_entropy],
        )
    }

    /// One pass over `set` in the order of `seed` and `epoch`, with `rates[i]` on the input of dense
    /// layer i. Everything that the steps read is uploaded first; the host waits for the last one only.
    pub fn train_epoch(
        &self,
        set: &DeviceExamples,
        rates: &[DropoutRate],
        seed: u64,
        epoch: u32,
    ) -> Result<()> {
        let first_step = epoch * set.batches();
        set.upload(
            &self.queue,
            random::order(seed, epoch, set.len())?,
            |batch| self.optimizer.corrections(first_step + batch + 1),
        );
        for batch in 0..set.batches() {
            // The call is all that is kept between forward and backward.
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

    /// What the network says about `set` without dropout.
    pub fn evaluate(&self, set: &DeviceExamples) -> Result<Predictions> {
        self.predict(set, &vec![DropoutRate::ZERO; self.layers.len()], |_| {
            MaskKey::new(0, 0)
        })
    }

    /// What the network says about `set` with dropout: each layer has one mask for the whole set, of
    /// which a batch is a slice.
    pub fn predict(
        &self,
        set: &DeviceExamples,
        rates: &[DropoutRate],
        key: impl Fn(u32) -> MaskKey,
    ) -> Result<Predictions> {
        set.upload(&self.queue, 0..set.len(), |_| [0.0; 2]);
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
    ) -> Result<(), IndexOverflow> {
        let (steps, offset) = (&set.steps.group, set.steps.offset(batch));
        set.gather.encode(pass, steps, offset);
        for (layer, call) in self.layers.iter().zip(calls) {
            self.dropout.encode_forward(pass, &layer.dropout, call)?;
            for dispatch in &layer.forward {
                dispatch.encode(pass, steps, offset);
            }
        }
        set.cross_entropy.encode(pass, steps, offset);
        Ok(())
    }

    fn encode_backward(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        set: &DeviceExamples,
        batch: u32,
        calls: &[DropoutCall],
    ) -> Result<(), IndexOverflow> {
        let (steps, offset) = (&set.steps.group, set.steps.offset(batch));
        for (layer, call) in self.layers.iter().zip(calls).rev() {
            for dispatch in &layer.parameter_gradients {
                dispatch.encode(pass, steps, offset);
            }
            if let Some(gradient) = &layer.input_gradient {
                gradient.matmul.encode(pass, steps, offset);
                self.dropout
                    .encode_backward(pass, &gradient.dropout, call)?;
                gradient.relu.encode(pass, steps, offset);
            }
        }
        self.adam.encode(pass, steps, offset);
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
            // The receiver waits below.
            sender.send(mapped).ok();
        });
        self.device.poll(wgpu::PollType::wait_indefinitely())?;
        receiver.recv()??;
        Ok(bytemuck::pod_collect_to_vec(&read.get_mapped_range(..)?))
    }
}

/// Each layer's place, how many parameters are weights, and how many there are.
fn places(architecture: &Architecture) -> (Vec<Place>, u64, u64) {
    let layers = 0..architecture.layers();
    let mut end = 0;
    let mut begin = |len: u64| {
        let begin = end;
        end += len.next_multiple_of(GRANULE);
        begin
    };
    let columns = |width| u64::from(architecture.columns(width));
    let weights: Vec<_> = layers
        .clone()
        .map(|i| begin(columns(i) * columns(i + 1)))
        .collect();
    let weights_end = begin(0);
    let biases: Vec<_> = layers.map(|i| begin(columns(i + 1))).collect();
    let end = begin(0);
    let places = weights
        .into_iter()
        .zip(biases)
        .map(|(weights, bias)| Place { weights, bias })
        .collect();
    (places, weights_end, end)
}

fn calls(rates: &[DropoutRate], key: impl Fn(u32) -> MaskKey) -> Vec<DropoutCall> {
    (0..)
        .zip(rates)
        .map(|(layer, &rate)| DropoutCall::new(rate, key(layer)))
        .collect()
}
