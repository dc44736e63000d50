//! The steps of the fused operations in the autodiff graph.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::autodiff::{Autodiff, NodeId};
use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::Shape;
use wgpu_dropout::{Activation, Direction, DropoutCall, MaskLayout, Norm};

use super::operation::{FusedBackend, MaybeHidden, MaybeVector};
use super::softmax::Scores;
use crate::operation::DropoutBackend;

/// The gradient of a vector that was added to each row of a matrix: the column sums of the matrix's
/// gradient.
fn column_sums<B: Backend>(grad: FloatTensor<B>) -> FloatTensor<B> {
    let shape = grad.shape();
    let columns = shape[shape.num_dims() - 1];
    let rows = shape.num_elements() / columns;
    let sums = B::float_sum_dim(B::float_reshape(grad, Shape::new([rows, columns])), 0);
    B::float_reshape(sums, Shape::new([columns]))
}

/// The tensor without its node in the graph.
fn inner<B: Backend, C: CheckpointStrategy>(tensor: FloatTensor<Autodiff<B, C>>) -> FloatTensor<B> {
    tensor.into_parts().0
}

fn dropout_backward<B: DropoutBackend>(grad: FloatTensor<B>, call: DropoutCall) -> FloatTensor<B> {
    let layout = MaskLayout::linear(grad.shape().num_elements() as u64);
    B::fused_dropout(grad, layout, call, Direction::Backward)
}

/// Parents: the input, the residual and maybe the bias.
#[derive(Debug)]
struct Add;

impl<B: FusedBackend, const N: usize> Backward<B, N> for Add {
    type State = DropoutCall;

    fn backward(
        self,
        ops: Ops<Self::State, N>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let grad = grads.consume::<B>(&ops.node);
        let mut parents = ops.parents.into_iter();
        let (input, residual) = (parents.next().flatten(), parents.next().flatten());
        let bias = parents.next().flatten();
        if let Some(residual) = residual {
            grads.register::<B>(residual.id, grad.clone());
        }
        if input.is_none() && bias.is_none() {
            return;
        }
        let grad = dropout_backward::<B>(grad, ops.state);
        if let Some(bias) = bias {
            grads.register::<B>(bias.id, column_sums::<B>(grad.clone()));
        }
        if let Some(input) = input {
            grads.register::<B>(input.id, grad);
        }
    }
}

/// Calls `sum` with the tensors, and records its result in the autodiff graph.
fn add<B: FusedBackend, C: CheckpointStrategy, const N: usize>(
    nodes: [FloatTensor<Autodiff<B, C>>; N],
    call: DropoutCall,
    sum: impl FnOnce([FloatTensor<B>; N]) -> FloatTensor<B>,
) -> FloatTensor<Autodiff<B, C>> {
    let prepared = Backward::<B, N>::prepare::<C>(Add, nodes.each_ref().map(|node| node.node()))
        .compute_bound()
        .stateful();
    let output = sum(nodes.map(inner::<B, C>));
    match prepared {
        OpsKind::Tracked(prepared) => prepared.finish(call, output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    }
}

/// Parents: the input and maybe the bias.
#[derive(Debug)]
struct Act;

impl<B: FusedBackend, const N: usize> Backward<B, N> for Act {
    type State = ([NodeId; N], Activation, DropoutCall);

    fn backward(
        self,
        ops: Ops<Self::State, N>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let (kept, activation, call) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let mut kept = kept.into_iter();
        let mut next = || {
            let node = kept.next()?;
            Some(checkpointer.retrieve_node_output::<FloatTensor<B>>(node))
        };
        // There is one parent at least.
        let Some(input) = next() else { return };
        let grad = B::act_dropout_backward(grad, input, next().into(), activation, call);
        let mut parents = ops.parents.into_iter();
        let (input, bias) = (parents.next().flatten(), parents.next().flatten());
        if let Some(bias) = bias {
            grads.register::<B>(bias.id, column_sums::<B>(grad.clone()));
        }
        if let Some(input) = input {
            grads.register::<B>(input.id, grad);
        }
    }
}

fn act<B: FusedBackend, C: CheckpointStrategy, const N: usize>(
    nodes: [FloatTensor<Autodiff<B, C>>; N],
    activation: Activation,
    call: DropoutCall,
    output: impl FnOnce([FloatTensor<B>; N]) -> FloatTensor<B>,
) -> FloatTensor<Autodiff<B, C>> {
    let prepared = Backward::<B, N>::prepare::<C>(Act, nodes.each_ref().map(|node| node.node()))
        .compute_bound()
        .stateful();
    match prepared {
        OpsKind::Tracked(mut prepared) => {
            let kept = nodes.each_ref().map(|node| prepared.checkpoint(node));
            let output = output(nodes.map(inner::<B, C>));
            prepared.finish((kept, activation, call), output)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(output(nodes.map(inner::<B, C>))),
    }
}

/// Parents: gate and up.
#[derive(Debug)]
struct Gated;

impl<B: FusedBackend> Backward<B, 2> for Gated {
    type State = ([NodeId; 2], Activation, DropoutCall);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let (kept, activation, call) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let [gate, up] = kept.map(|node| checkpointer.retrieve_node_output(node));
        let (gate, up) = B::gated_dropout_backward(grad, gate, up, activation, call);
        for (parent, grad) in ops.parents.into_iter().zip([gate, up]) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, grad);
            }
        }
    }
}

#[derive(Debug)]
struct Softmax;

impl<B: FusedBackend> Backward<B, 1> for Softmax {
    type State = (NodeId, Option<BoolTensor<B>>, Scores, DropoutCall);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let (scores, hidden, options, call) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        if let [Some(parent)] = ops.parents {
            let scores = checkpointer.retrieve_node_output(scores);
            let hidden = hidden.map_or(MaybeHidden::Absent, MaybeHidden::Present);
            let grad = B::softmax_dropout_backward(grad, scores, hidden, options, call);
            grads.register::<B>(parent.id, grad);
        }
    }
}

/// Parents: the sum, gamma and maybe beta.
#[derive(Debug)]
struct Normed;

impl<B: FusedBackend, const N: usize> Backward<B, N> for Normed {
    type State = (NodeId, NodeId, Norm);

    fn backward(
        self,
        ops: Ops<Self::State, N>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let (sum, gamma, norm) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let sum = checkpointer.retrieve_node_output(sum);
        let gamma = checkpointer.retrieve_node_output(gamma);
        let mut parents = ops.parents.into_iter();
        let (of_sum, of_gamma) = (parents.next().flatten(), parents.next().flatten());
        if let Some(beta) = parents.next().flatten() {
            grads.register::<B>(beta.id, column_sums::<B>(grad.clone()));
        }
        let (grad_sum, product) = B::norm_backward(grad, sum, gamma, norm);
        if let Some(gamma) = of_gamma {
            grads.register::<B>(gamma.id, column_sums::<B>(product));
        }
        if let Some(sum) = of_sum {
            grads.register::<B>(sum.id, grad_sum);
        }
    }
}

/// Records `normed`, which was computed from the first of the tensors, in the autodiff graph.
fn normed<B: FusedBackend, C: CheckpointStrategy, const N: usize>(
    nodes: [&FloatTensor<Autodiff<B, C>>; N],
    norm: Norm,
    normed: FloatTensor<B>,
) -> FloatTensor<Autodiff<B, C>> {
    let prepared = Backward::<B, N>::prepare::<C>(Normed, nodes.map(|node| node.node()))
        .compute_bound()
        .stateful();
    match prepared {
        OpsKind::Tracked(mut prepared) => {
            let [sum, gamma] = [0, 1].map(|place| prepared.checkpoint(nodes[place]));
            prepared.finish((sum, gamma, norm), normed)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(normed),
    }
}

/// Masks are not tracked.
fn inner_mask<B: Backend, C: CheckpointStrategy>(
    hidden: MaybeHidden<Autodiff<B, C>>,
) -> MaybeHidden<B> {
    hidden
        .into_option()
        .map_or(MaybeHidden::Absent, MaybeHidden::Present)
}

impl<B: FusedBackend, C: CheckpointStrategy> FusedBackend for Autodiff<B, C> {
    fn dropout_add(
        input: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        bias: MaybeVector<Self>,
        call: DropoutCall,
    ) -> FloatTensor<Self> {
        match bias.into_option() {
            None => add::<B, C, 2>([input, residual], call, |[input, residual]| {
                B::dropout_add(input, residual, MaybeVector::Absent, call)
            }),
            Some(bias) => {
                let tensors = [input, residual, bias];
                add::<B, C, 3>(tensors, call, |[input, residual, bias]| {
                    B::dropout_add(input, residual, MaybeVector::Present(bias), call)
                })
            }
        }
    }

    fn act_dropout(
        input: FloatTensor<Self>,
        bias: MaybeVector<Self>,
        activation: Activation,
        call: DropoutCall,
    ) -> FloatTensor<Self> {
        match bias.into_option() {
            None => act::<B, C, 1>([input], activation, call, |[input]| {
                B::act_dropout(input, MaybeVector::Absent, activation, call)
            }),
            Some(bias) => act::<B, C, 2>([input, bias], activation, call, |[input, bias]| {
                B::act_dropout(input, MaybeVector::Present(bias), activation, call)
            }),
        }
    }

    fn act_dropout_backward(
        grad: FloatTensor<Self>,
        input: FloatTensor<Self>,
        bias: MaybeVector<Self>,
        activation: Activation,
        call: DropoutCall,
    ) -> FloatTensor<Self> {
        let bias = bias.into_option().map(inner::<B, C>).into();
        let [grad, input] = [grad, input].map(inner::<B, C>);
        untracked::<B, C>(B::act_dropout_backward(grad, input, bias, activation, call))
    }

    fn gated_dropout(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        activation: Activation,
        call: DropoutCall,
    ) -> FloatTensor<Self> {
        let nodes = [gate, up];
        let prepared =
            Backward::<B, 2>::prepare::<C>(Gated, nodes.each_ref().map(|node| node.node()))
                .compute_bound()
                .stateful();
        let output = |nodes: [FloatTensor<Self>; 2]| {
            let [gate, up] = nodes.map(inner::<B, C>);
            B::gated_dropout(gate, up, activation, call)
        };
        match prepared {
            OpsKind::Tracked(mut prepared) => {
                let kept = nodes.each_ref().map(|node| prepared.checkpoint(node));
                prepared.finish((kept, activation, call), output(nodes))
            }
            OpsKind::UnTracked(prepared) => prepared.finish(output(nodes)),
        }
    }

    fn gated_dropout_backward(
        grad: FloatTensor<Self>,
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        activation: Activation,
        call: DropoutCall,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let [grad, gate, up] = [grad, gate, up].map(inner::<B, C>);
        let (gate, up) = B::gated_dropout_backward(grad, gate, up, activation, call);
        (untracked::<B, C>(gate), untracked::<B, C>(up))
    }

    fn softmax_dropout(
        scores: FloatTensor<Self>,
        hidden: MaybeHidden<Self>,
        options: Scores,
        call: DropoutCall,
    ) -> FloatTensor<Self> {
        let prepared = Backward::<B, 1>::prepare::<C>(Softmax, [scores.node()])
            .compute_bound()
            .stateful();
        match prepared {
            OpsKind::Tracked(mut prepared) => {
                let kept = prepared.checkpoint(&scores);
                let scores = inner::<B, C>(scores);
                let output = B::softmax_dropout(scores, inner_mask(hidden.clone()), options, call);
                prepared.finish((kept, hidden.into_option(), options, call), output)
            }
            OpsKind::UnTracked(prepared) => {
                let scores = inner::<B, C>(scores);
                prepared.finish(B::softmax_dropout(
                    scores,
                    inner_mask(hidden),
                    options,
                    call,
                ))
            }
        }
    }

    fn softmax_dropout_backward(
        grad: FloatTensor<Self>,
        scores: FloatTensor<Self>,
        hidden: MaybeHidden<Self>,
        options: Scores,
        call: DropoutCall,
    ) -> FloatTensor<Self> {
        let [grad, scores] = [grad, scores].map(inner::<B, C>);
        untracked::<B, C>(B::softmax_dropout_backward(
            grad,
            scores,
            inner_mask(hidden),
            options,
            call,
        ))
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
        // One kernel computes both outputs, but the graph has a step for each.
        let mut output = None;
        let beta = beta.into_option();
        let vectors = (gamma.clone(), beta.clone());
        let both = |input, residual, bias| {
            let (gamma, beta) = vectors;
            let (gamma, beta) = (inner::<B, C>(gamma), beta.map(inner::<B, C>).into());
            let (sum, normed) = B::dropout_add_norm(input, residual, bias, gamma, beta, norm, call);
            output = Some(normed);
            sum
        };
        let sum = match bias.into_option() {
            None => add::<B, C, 2>([input, residual], call, |[input, residual]| {
                both(input, residual, MaybeVector::Absent)
            }),
            Some(bias) => {
                let tensors = [input, residual, bias];
                add::<B, C, 3>(tensors, call, |[input, residual, bias]| {
                    both(input, residual, MaybeVector::Present(bias))
                })
            }
        };
        let Some(output) = output else {
            unreachable!("the sum was made");
        };
        let output = match &beta {
            None => normed::<B, C, 2>([&sum, &gamma], norm, output),
            Some(beta) => normed::<B, C, 3>([&sum, &gamma, beta], norm, output),
        };
        (sum, output)
    }

    fn norm_backward(
        grad: FloatTensor<Self>,
        sum: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        norm: Norm,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let [grad, sum, gamma] = [grad, sum, gamma].map(inner::<B, C>);
        let (grad, product) = B::norm_backward(grad, sum, gamma, norm);
        (untracked::<B, C>(grad), untracked::<B, C>(product))
    }
}

/// A gradient is not tracked, so it has no gradient of its own.
fn untracked<B: Backend, C: CheckpointStrategy>(
    tensor: FloatTensor<B>,
) -> FloatTensor<Autodiff<B, C>> {
    <Autodiff<B, C> as burn::backend::AutodiffBackend>::from_inner(tensor)
}
