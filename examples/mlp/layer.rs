//! The commands of a dense layer, forward and backward. One kernel does a hidden layer's bias, ReLU
//! and dropout.

use wgpu_dropout::{
    ActBinding, ActDropout, ActGradient, Activation, Bias, BindError, CallError, CreateError,
    Dropout, DropoutBinding, DropoutCall, KernelDescriptor,
};

use super::architecture::{Architecture, ParameterOffsets, TILE};
use super::kernels::{self, Compiler, Dispatch, F32, vectors};
use super::steps::StepBinding;

/// The library's handles.
#[derive(Debug)]
pub struct Dropouts {
    input: Dropout,
    relu: ActDropout,
}

impl Dropouts {
    pub fn new(device: &wgpu::Device) -> Result<Self, CreateError> {
        let descriptor = KernelDescriptor::default();
        Ok(Self {
            input: Dropout::new(device, &descriptor)?,
            relu: ActDropout::new(device, &descriptor, Activation::Relu)?,
        })
    }
}

/// The buffers of all layers.
#[derive(Debug)]
pub struct Buffers {
    /// The batch, the output of each hidden layer after its dropout, and the logits.
    /// `activations[i]` is the input of layer i. The backward of layer i overwrites it with its
    /// gradient.
    pub activations: Vec<wgpu::Buffer>,
    /// For each layer, the matrix product without its bias, which the gradient of that product
    /// overwrites. The last layer's product is the buffer of the logits.
    products: Vec<wgpu::Buffer>,
    pub gradients: wgpu::Buffer,
    /// Parameters, Adam's first and its second moments.
    pub state: [wgpu::Buffer; 3],
}

impl Buffers {
    pub fn new(device: &wgpu::Device, architecture: &Architecture, parameters: u64) -> Self {
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
        let activations: Vec<_> = (0..architecture.widths.len())
            .map(|width| buffer("activations", architecture.activations(width)))
            .collect();
        let products = (1..architecture.layers())
            .map(|width| buffer("products", architecture.activations(width)))
            .chain(activations.last().cloned())
            .collect();
        Self {
            activations,
            products,
            gradients: buffer("gradients", parameters),
            state: ["parameters", "first moments", "second moments"]
                .map(|label| buffer(label, parameters)),
        }
    }
}

/// A matrix product with a bias, and its backward. In a hidden layer, ReLU and dropout follow.
#[derive(Debug)]
pub struct Layer {
    matmul: Dispatch,
    output: Output,
    parameter_gradients: [Dispatch; 2],
    /// Makes the gradient of the layer's input. The first layer needs none.
    input_gradient: Option<Dispatch>,
    /// Dropout of the batch. Only the first layer has it.
    input_dropout: Option<DropoutBinding>,
}

/// The operations after the matrix product.
#[derive(Debug)]
enum Output {
    Hidden {
        forward: ActBinding,
        /// Makes the gradient of the product from the gradient of the activation.
        backward: ActGradient,
    },
    /// Adds the bias.
    Logits(Dispatch),
}

impl Layer {
    pub fn new(
        compiler: &Compiler,
        dropouts: &Dropouts,
        architecture: &Architecture,
        offsets: &ParameterOffsets,
        buffers: &Buffers,
        i: usize,
    ) -> Result<Self, BindError> {
        let rows = architecture.rows();
        let [inputs, outputs] = [i, i + 1].map(|width| architecture.columns(width));
        let [inputs_len, outputs_len] = [i, i + 1].map(|width| architecture.activations(width));
        let tensor = |buffer, begin, len| wgpu::BufferBinding {
            buffer,
            offset: F32 * begin,
            size: wgpu::BufferSize::new(F32 * len),
        };
        let weights_len = u64::from(inputs) * u64::from(outputs);
        let resource = wgpu::BindingResource::Buffer;
        let weights = |buffer| resource(tensor(buffer, offsets.layers[i].weights, weights_len));
        let bias = |buffer| tensor(buffer, offsets.layers[i].bias, outputs.into());
        let [parameters, ..] = &buffers.state;
        let [input, output] = [i, i + 1].map(|width| &buffers.activations[width]);
        let product = &buffers.products[i];
        let matmul = |[rows, columns, inner]: [u32; 3], [a, b]: [bool; 2], buffers: [_; 3]| {
            let overrides = [
                ("ROWS", rows.into()),
                ("COLUMNS", columns.into()),
                ("INNER", inner.into()),
                ("A_TRANSPOSED", a.into()),
                ("B_TRANSPOSED", b.into()),
            ];
            // A workgroup makes 8 x 8 tiles.
            let [x, y] = [columns, rows].map(|size| size.div_ceil(8 * TILE));
            compiler
                .kernel(&kernels::MATMUL, &overrides)
                .on(&buffers, [x, y, 1])
        };
        let on_columns = |source, buffers: [_; 2], workgroups| {
            let overrides = [("ROWS", rows.into()), ("COLUMNS", outputs.into())];
            compiler.kernel(source, &overrides).on(&buffers, workgroups)
        };
        let all = wgpu::Buffer::as_entire_binding;
        let whole = wgpu::Buffer::as_entire_buffer_binding;
        let is_hidden = i + 1 < architecture.layers();
        let relu_bias = || Some(Bias::new(bias(parameters), outputs));
        Ok(Self {
            matmul: matmul(
                [rows, outputs, inputs],
                [false, false],
                [all(input), weights(parameters), all(product)],
            ),
            output: if is_hidden {
                let relu = &dropouts.relu;
                Output::Hidden {
                    forward: relu.bind(whole(product), whole(output), relu_bias(), outputs_len)?,
                    backward: relu.bind_backward_in_place(
                        whole(output),
                        whole(product),
                        relu_bias(),
                        outputs_len,
                    )?,
                }
            } else {
                let buffers = [resource(bias(parameters)), all(output)];
                Output::Logits(on_columns(
                    &kernels::ADD_BIAS,
                    buffers,
                    vectors(outputs_len),
                ))
            },
            parameter_gradients: [
                matmul(
                    [inputs, outputs, rows],
                    [true, false],
                    [all(input), all(product), weights(&buffers.gradients)],
                ),
                on_columns(
                    &kernels::BIAS_GRADIENT,
                    [all(product), resource(bias(&buffers.gradients))],
                    vectors(outputs.into()),
                ),
            ],
            input_gradient: (i > 0).then(|| {
                matmul(
                    [rows, inputs, outputs],
                    [false, true],
                    [all(product), weights(parameters), all(input)],
                )
            }),
            input_dropout: (i == 0)
                .then(|| dropouts.input.bind_in_place(whole(input), inputs_len))
                .transpose()?,
        })
    }

    /// Records the forward pass. `calls` are the calls of the dropouts before and after this layer.
    pub fn encode_forward(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        dropouts: &Dropouts,
        calls: &[DropoutCall],
        step: StepBinding<'_>,
    ) -> Result<(), CallError> {
        if let (Some(binding), [call, ..]) = (&self.input_dropout, calls) {
            dropouts.input.encode_forward(pass, binding, call)?;
        }
        self.matmul.encode(pass, step);
        match (&self.output, calls) {
            (Output::Hidden { forward, .. }, [_, call, ..]) => {
                dropouts.relu.encode_forward(pass, forward, call)?;
            }
            (Output::Logits(bias), _) => bias.encode(pass, step),
            // Cannot happen: a hidden layer always has a dropout after it.
            (Output::Hidden { .. }, _) => {}
        }
        Ok(())
    }

    /// Records the backward pass. `calls` are those of the forward pass: nothing else of its masks
    /// was kept.
    pub fn encode_backward(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        dropouts: &Dropouts,
        calls: &[DropoutCall],
        step: StepBinding<'_>,
    ) -> Result<(), CallError> {
        if let (Output::Hidden { backward, .. }, [_, call, ..]) = (&self.output, calls) {
            dropouts.relu.encode_backward(pass, backward, call)?;
        }
        for dispatch in &self.parameter_gradients {
            dispatch.encode(pass, step);
        }
        if let Some(gradient) = &self.input_gradient {
            gradient.encode(pass, step);
        }
        Ok(())
    }
}
