//! Dropout on a device that another process hosts. The client sends an operation's arguments, and
//! the server computes it by the backend of its own device.

use burn::backend::ir::{CustomOpIr, ScalarIr, TensorIr};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Remote, TensorMetadata};
use burn::remote::CustomOpClient;
use burn::serde::{Deserialize, Serialize};
use wgpu_dropout::{Activation, Direction, DropoutCall, MaskLayout, Norm};

use crate::fused::operation::{FusedBackend, MaybeHidden, MaybeVector};
use crate::fused::softmax::Scores;
use crate::operation::DropoutBackend;

/// The name of all operations. A [`Request`] tells them apart.
const OPERATION: &str = "wgpu_dropout";

/// An operation and its arguments. The tensors travel apart from it, in the order of the method's
/// parameters.
#[derive(Serialize, Deserialize)]
#[serde(crate = "burn::serde")]
enum Request {
    Dropout(MaskLayout, DropoutCall, Direction),
    Add(HasBias, DropoutCall),
    Act(HasBias, Activation, DropoutCall),
    ActBackward(HasBias, Activation, DropoutCall),
    Gated(Activation, DropoutCall),
    GatedBackward(Activation, DropoutCall),
    Softmax(HasMask, Scores, DropoutCall),
    SoftmaxBackward(HasMask, Scores, DropoutCall),
    AddNorm(HasBias, HasBeta, IsRms, Epsilon, DropoutCall),
    NormBackward(IsRms, Epsilon),
}

// True if the tensor is among the inputs.
type HasBias = bool;
type HasBeta = bool;
type HasMask = bool;
type IsRms = bool;
type Epsilon = f32;

/// Sends `request`. Output n has the shape and the type of input `like[n]`.
fn send<const N: usize>(
    request: &Request,
    inputs: impl IntoIterator<Item = Option<FloatTensor<Remote>>>,
    like: [usize; N],
) -> [FloatTensor<Remote>; N] {
    let inputs: Vec<_> = inputs.into_iter().flatten().collect();
    let client = CustomOpClient::new(&inputs[0].device());
    let outputs = like.map(|input| {
        let input = &inputs[input];
        TensorIr::uninit(client.create_empty_handle(), input.shape(), input.dtype())
    });
    let inputs: Vec<_> = inputs.into_iter().map(|input| input.into_ir()).collect();
    let scalars = scalars(request);
    let operation = CustomOpIr::with_scalars(OPERATION, &inputs, &outputs, scalars);
    let outputs = client.register(operation).try_into();
    outputs.unwrap_or_else(|_| unreachable!("there is a tensor for each output"))
}

/// The request as numbers, which is what an operation of Burn's can carry: its length in bytes, and
/// eight bytes in each number after that.
fn scalars(request: &Request) -> Vec<ScalarIr> {
    let bytes = rmp_serde::to_vec(request);
    let bytes = bytes.unwrap_or_else(|error| panic!("a request cannot be written: {error}"));
    let numbers = bytes.chunks(8).map(|chunk| {
        let mut number = [0; 8];
        number[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(number)
    });
    let numbers = core::iter::once(bytes.len() as u64).chain(numbers);
    numbers.map(ScalarIr::UInt).collect()
}

impl DropoutBackend for Remote {
    fn fused_dropout(
        tensor: FloatTensor<Self>,
        layout: MaskLayout,
        call: DropoutCall,
        direction: Direction,
    ) -> FloatTensor<Self> {
        let request = Request::Dropout(layout, call, direction);
        let [output] = send(&request, [Some(tensor)], [0]);
        output
    }
}

impl FusedBackend for Remote {
    fn dropout_add(
        input: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        bias: MaybeVector<Self>,
        call: DropoutCall,
    ) -> FloatTensor<Self> {
        let bias = bias.into_option();
        let request = Request::Add(bias.is_some(), call);
        let [output] = send(&request, [Some(input), Some(residual), bias], [0]);
        output
    }

    fn act_dropout(
        input: FloatTensor<Self>,
        bias: MaybeVector<Self>,
        activation: Activation,
        call: DropoutCall,
    ) -> FloatTensor<Self> {
        let bias = bias.into_option();
        let request = Request::Act(bias.is_some(), activation, call);
        let [output] = send(&request, [Some(input), bias], [0]);
        output
    }

    fn act_dropout_backward(
        grad: FloatTensor<Self>,
        input: FloatTensor<Self>,
        bias: MaybeVector<Self>,
        activation: Activation,
        call: DropoutCall,
    ) -> FloatTensor<Self> {
        let bias = bias.into_option();
        let request = Request::ActBackward(bias.is_some(), activation, call);
        let [grad] = send(&request, [Some(grad), Some(input), bias], [1]);
        grad
    }

    fn gated_dropout(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        activation: Activation,
        call: DropoutCall,
    ) -> FloatTensor<Self> {
        let request = Request::Gated(activation, call);
        let [output] = send(&request, [gate, up].map(Some), [0]);
        output
    }

    fn gated_dropout_backward(
        grad: FloatTensor<Self>,
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        activation: Activation,
        call: DropoutCall,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let request = Request::GatedBackward(activation, call);
        send(&request, [grad, gate, up].map(Some), [1, 2]).into()
    }

    fn softmax_dropout(
        scores: FloatTensor<Self>,
        hidden: MaybeHidden<Self>,
        options: Scores,
        call: DropoutCall,
    ) -> FloatTensor<Self> {
        let hidden = hidden.into_option();
        let request = Request::Softmax(hidden.is_some(), options, call);
        let [output] = send(&request, [Some(scores), hidden], [0]);
        output
    }

    fn softmax_dropout_backward(
        grad: FloatTensor<Self>,
        scores: FloatTensor<Self>,
        hidden: MaybeHidden<Self>,
        options: Scores,
        call: DropoutCall,
    ) -> FloatTensor<Self> {
        let hidden = hidden.into_option();
        let request = Request::SoftmaxBackward(hidden.is_some(), options, call);
        let [grad] = send(&request, [Some(grad), Some(scores), hidden], [1]);
        grad
    }

    fn dropout_add_norm(
        input: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        bias: MaybeVector<Self>,
        gamma: FloatTensor<Self>,
        beta: MaybeVector<Self>,
        norm: Norm,
        call: DropoutCall,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (bias, beta) = (bias.into_option(), beta.into_option());
        let (has_bias, has_beta) = (bias.is_some(), beta.is_some());
        let request = Request::AddNorm(has_bias, has_beta, norm.is_rms(), norm.epsilon(), call);
        let inputs = [Some(input), Some(residual), bias, Some(gamma), beta];
        send(&request, inputs, [1, 0]).into()
    }

    fn norm_backward(
        grad: FloatTensor<Self>,
        sum: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        norm: Norm,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let request = Request::NormBackward(norm.is_rms(), norm.epsilon());
        send(&request, [grad, sum, gamma].map(Some), [1, 1]).into()
    }
}

#[cfg(feature = "remote-server")]
pub use server::ServeDropout;

#[cfg(feature = "remote-server")]
mod server {
    use burn::backend::ir::{BackendIr, HandleContainer};
    use burn::server::RemoteServer;

    use super::*;

    /// Dropout on a server of Burn's.
    pub trait ServeDropout {
        /// The same server, which also computes this crate's operations. `B` is the backend of its
        /// devices: `burn::backend::Flex`, `NdArray` or `Cube`.
        ///
        /// ```
        /// use burn::backend::Flex;
        /// use burn::server::RemoteServer;
        /// use burn::tensor::Device;
        /// use wgpu_dropout_burn::ServeDropout;
        ///
        /// let server = RemoteServer::new([Device::flex()]).with_dropout::<Flex>();
        /// # drop(server);
        /// ```
        fn with_dropout<B: FusedBackend + BackendIr>(self) -> Self;
    }

    impl ServeDropout for RemoteServer {
        fn with_dropout<B: FusedBackend + BackendIr>(self) -> Self {
            self.with_custom_op::<B, _>(OPERATION, |handles, operation, _device| {
                let request = request(&operation.scalars);
                let mut inputs = Inputs::<B> {
                    handles,
                    tensors: operation.inputs.iter(),
                };
                let outputs = inputs.compute(request);
                for (output, tensor) in operation.outputs.iter().zip(outputs) {
                    handles.register_float_tensor::<B>(&output.id, tensor);
                }
            })
        }
    }

    /// The request that a client wrote by [`scalars`].
    fn request(scalars: &[ScalarIr]) -> Request {
        let numbers: Vec<u64> = scalars.iter().map(|scalar| scalar.elem()).collect();
        let (len, numbers) = numbers.split_first().unwrap_or((&0, &[]));
        let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        let request = rmp_serde::from_slice(bytes.get(..*len as usize).unwrap_or_default());
        request.unwrap_or_else(|error| {
            panic!("{error}: give client and server one version of wgpu-dropout-burn")
        })
    }

    /// The inputs that are not read yet.
    struct Inputs<'a, B: BackendIr> {
        handles: &'a mut HandleContainer<B::Handle>,
        tensors: core::slice::Iter<'a, TensorIr>,
    }

    impl<B: FusedBackend + BackendIr> Inputs<'_, B> {
        fn next(&mut self) -> &TensorIr {
            let tensor = self.tensors.next();
            tensor.unwrap_or_else(|| panic!("a request of too few tensors"))
        }

        fn float(&mut self) -> FloatTensor<B> {
            let tensor = self.next().clone();
            self.handles.get_float_tensor::<B>(&tensor)
        }

        fn vector(&mut self, is_there: bool) -> MaybeVector<B> {
            is_there.then(|| self.float()).into()
        }

        fn mask(&mut self, is_there: bool) -> MaybeHidden<B> {
            if !is_there {
                return MaybeHidden::Absent;
            }
            let tensor = self.next().clone();
            MaybeHidden::Present(self.handles.get_bool_tensor::<B>(&tensor))
        }

        fn compute(&mut self, request: Request) -> Vec<FloatTensor<B>> {
            match request {
                Request::Dropout(layout, call, direction) => {
                    vec![B::fused_dropout(self.float(), layout, call, direction)]
                }
                Request::Add(has_bias, call) => {
                    let (input, residual) = (self.float(), self.float());
                    vec![B::dropout_add(input, residual, self.vector(has_bias), call)]
                }
                Request::Act(has_bias, activation, call) => {
                    let input = self.float();
                    vec![B::act_dropout(
                        input,
                        self.vector(has_bias),
                        activation,
                        call,
                    )]
                }
                Request::ActBackward(has_bias, activation, call) => {
                    let (grad, input) = (self.float(), self.float());
                    let bias = self.vector(has_bias);
                    vec![B::act_dropout_backward(grad, input, bias, activation, call)]
                }
                Request::Gated(activation, call) => {
                    let (gate, up) = (self.float(), self.float());
                    vec![B::gated_dropout(gate, up, activation, call)]
                }
                Request::GatedBackward(activation, call) => {
                    let (grad, gate, up) = (self.float(), self.float(), self.float());
                    let (gate, up) = B::gated_dropout_backward(grad, gate, up, activation, call);
                    vec![gate, up]
                }
                Request::Softmax(has_mask, options, call) => {
                    let scores = self.float();
                    vec![B::softmax_dropout(
                        scores,
                        self.mask(has_mask),
                        options,
                        call,
                    )]
                }
                Request::SoftmaxBackward(has_mask, options, call) => {
                    let (grad, scores) = (self.float(), self.float());
                    let hidden = self.mask(has_mask);
                    vec![B::softmax_dropout_backward(
                        grad, scores, hidden, options, call,
                    )]
                }
                Request::AddNorm(has_bias, has_beta, is_rms, epsilon, call) => {
                    let (input, residual) = (self.float(), self.float());
                    let (bias, gamma) = (self.vector(has_bias), self.float());
                    let beta = self.vector(has_beta);
                    let norm = norm(is_rms, epsilon);
                    let (sum, output) =
                        B::dropout_add_norm(input, residual, bias, gamma, beta, norm, call);
                    vec![sum, output]
                }
                Request::NormBackward(is_rms, epsilon) => {
                    let (grad, sum, gamma) = (self.float(), self.float(), self.float());
                    let norm = norm(is_rms, epsilon);
                    let (grad, product) = B::norm_backward(grad, sum, gamma, norm);
                    vec![grad, product]
                }
            }
        }
    }

    fn norm(is_rms: bool, epsilon: f32) -> Norm {
        let norm = match is_rms {
            true => Norm::rms(epsilon),
            false => Norm::layer(epsilon),
        };
        // The client has checked it.
        norm.unwrap_or_else(|error| panic!("{error}"))
    }
}
