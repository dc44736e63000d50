//! What a dense layer records, forward and backward, with the dropout before it.

use wgpu_dropout::{BindError, CallError, Dropout, DropoutBinding, DropoutCall};

use super::architecture::{Architecture, Places, TILE};
use super::kernels::{self, Compiler, Dispatch, F32, vectors};
use super::steps::StepBinding;

/// The buffers of all layers.
#[derive(Debug)]
pub struct Buffers {
    /// The batch, each hidden layer's output, the logits: `activations[i]` is the input of layer i.
    pub activations: Vec<wgpu::Buffer>,
    /// Of each layer's output; that of the logits takes their place.
    output_gradients: Vec<wgpu::Buffer>,
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
        let output_gradients = (1..architecture.layers())
            .map(|width| buffer("output gradients", architecture.activations(width)))
            .chain(activations.last().cloned())
            .collect();
        Self {
            activations,
            output_gradients,
            gradients: buffer("gradients", parameters),
            state: ["parameters", "first moments", "second moments"]
                .map(|label| buffer(label, parameters)),
        }
    }
}

/// Dropout, a matrix product, a bias, and ReLU unless it is the last; and the way back.
#[derive(Debug)]
pub struct Layer {
    /// On the layer's input, in place.
    dropout: DropoutBinding,
    forward: Vec<Dispatch>,
    parameter_gradients: [Dispatch; 2],
    /// Of the layers behind the first.
    input_gradient: Option<InputGradient>,
}

/// Back through the layer's matrix, the dropout before it and the ReLU before that.
#[derive(Debug)]
struct InputGradient {
    matmul: Dispatch,
    dropout: DropoutBinding,
    relu: Dispatch,
}

impl Layer {
    pub fn new(
        compiler: &Compiler,
        dropout: &Dropout,
        architecture: &Architecture,
        places: &Places,
        buffers: &Buffers,
        i: usize,
    ) -> Result<Self, BindError> {
        let rows = architecture.rows();
        let [inputs, outputs] = [i, i + 1].map(|width| architecture.columns(width));
        let [inputs_len, outputs_len] = [i, i + 1].map(|width| architecture.activations(width));
        let tensor = |buffer, begin, len| {
            wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer,
                offset: F32 * begin,
                size: wgpu::BufferSize::new(F32 * len),
            })
        };
        let weights_len = u64::from(inputs) * u64::from(outputs);
        let weights = |buffer| tensor(buffer, places.layers[i].weights, weights_len);
        let bias = |buffer| tensor(buffer, places.layers[i].bias, outputs.into());
        let [parameters, ..] = &buffers.state;
        let input = buffers.activations[i].as_entire_binding();
        let output = buffers.activations[i + 1].as_entire_binding();
        let output_gradient = buffers.output_gradients[i].as_entire_binding();
        let matmul = |[rows, columns, inner]: [u32; 3], [a, b]: [bool; 2], buffers: [_; 3]| {
            let overrides = [
                ("ROWS", rows.into()),
                ("COLUMNS", columns.into()),
                ("INNER", inner.into()),
                ("A_TRANSPOSED", a.into()),
                ("B_TRANSPOSED", b.into()),
            ];
            // A workgroup makes 8 by 8 tiles.
            let workgroups = [columns, rows].map(|size| size.div_ceil(8 * TILE));
            compiler
                .kernel(&kernels::MATMUL, &overrides)
                .on(&buffers, workgroups)
        };
        let on_columns = |source, buffers: [_; 2], workgroups| {
            let overrides = [("ROWS", rows.into()), ("COLUMNS", outputs.into())];
            compiler.kernel(source, &overrides).on(&buffers, workgroups)
        };

        let mut forward = vec![
            matmul(
                [rows, outputs, inputs],
                [false, false],
                [input.clone(), weights(parameters), output.clone()],
            ),
            on_columns(
                &kernels::ADD_BIAS,
                [bias(parameters), output.clone()],
                vectors(outputs_len),
            ),
        ];
        if i + 1 < architecture.layers() {
            let relu = compiler.kernel(&kernels::RELU, &[]);
            forward.push(relu.on(&[output], vectors(outputs_len)));
        }
        let parameter_gradients = [
            matmul(
                [inputs, outputs, rows],
                [true, false],
                [
                    input.clone(),
                    output_gradient.clone(),
                    weights(&buffers.gradients),
                ],
            ),
            on_columns(
                &kernels::BIAS_GRADIENT,
                [output_gradient.clone(), bias(&buffers.gradients)],
                vectors(outputs.into()),
            ),
        ];
        let back = || {
            let input_gradient = &buffers.output_gradients[i - 1];
            let gradient = input_gradient.as_entire_binding();
            let relu = compiler.kernel(&kernels::RELU_GRADIENT, &[]);
            Ok::<_, BindError>(InputGradient {
                matmul: matmul(
                    [rows, inputs, outputs],
                    [false, true],
                    [output_gradient, weights(parameters), gradient.clone()],
                ),
                dropout: dropout
                    .bind_in_place(input_gradient.as_entire_buffer_binding(), inputs_len)?,
                relu: relu.on(&[input, gradient], vectors(inputs_len)),
            })
        };
        Ok(Self {
            dropout: dropout.bind_in_place(
                buffers.activations[i].as_entire_buffer_binding(),
                inputs_len,
            )?,
            forward,
            parameter_gradients,
            input_gradient: (i > 0).then(back).transpose()?,
        })
    }

    /// Records the layer.
    pub fn encode_forward(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        dropout: &Dropout,
        call: &DropoutCall,
        step: StepBinding<'_>,
    ) -> Result<(), CallError> {
        dropout.encode_forward(pass, &self.dropout, call)?;
        for dispatch in &self.forward {
            dispatch.encode(pass, step);
        }
        Ok(())
    }

    /// Records its gradients; `call` is the forward's, and all that was kept of its mask.
    pub fn encode_backward(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        dropout: &Dropout,
        call: &DropoutCall,
        step: StepBinding<'_>,
    ) -> Result<(), CallError> {
        for dispatch in &self.parameter_gradients {
            dispatch.encode(pass, step);
        }
        if let Some(gradient) = &self.input_gradient {
            gradient.matmul.encode(pass, step);
            dropout.encode_backward(pass, &gradient.dropout, call)?;
            gradient.relu.encode(pass, step);
        }
        Ok(())
    }
}
