//! Dropout of a softmax in one pass, compared with the chain of passes that it replaces.

use anyhow::{Context, Result};
use wgpu_dropout::{
    AdditiveMask, AttentionMask, Dropout, DropoutBinding, DropoutCall, DropoutRate, Element,
    Elements, KernelDescriptor, SavedSoftmax, Softmax, SoftmaxDropout, SoftmaxDropoutBinding,
    SoftmaxDropoutGradient,
};

use super::buffers::Buffers;
use super::fused;
use super::gpu::GpuTensors;
use super::measure::Time;
use super::rows::{self, RowFusion, Ways, group};
use crate::engine::Gpu;

/// The factor on scores, as FACTOR in chain_softmax.wgsl.
const FACTOR: f32 = 0.125;

/// The forward, and the two forms of the gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Forward,
    OfScores,
    OfProbabilities,
}

/// A tensor of scores in rows of one length, with the bindings of one pass and of the chain.
pub struct Softmaxes<'a> {
    tensors: GpuTensors<'a>,
    /// The output's gradient, the probabilities, their gradients before and after dropout's
    /// backward, and the scores' gradient.
    own: [wgpu::Buffer; 5],
    softmax: SoftmaxDropout,
    dropout: Dropout,
    forward: SoftmaxDropoutBinding,
    /// The gradients from the scores and from the probabilities.
    backward: [SoftmaxDropoutGradient; 2],
    copy: DropoutBinding,
    /// Bindings for dropout of the probabilities, and of their gradient.
    drops: [DropoutBinding; 2],
    /// The chain's other passes, in their order: two forward, two backward.
    passes: Vec<(wgpu::ComputePipeline, wgpu::BindGroup)>,
    columns: u32,
    workgroups: u32,
    call: DropoutCall,
}

impl<'a> Ways<'a> for Softmaxes<'a> {
    type Form = Form;

    fn fusions(columns: u32) -> Vec<(Form, RowFusion)> {
        vec![
            (Form::Forward, RowFusion::Softmax { columns }),
            (Form::OfScores, RowFusion::SoftmaxGradient { columns }),
            (
                Form::OfProbabilities,
                RowFusion::SoftmaxGradientOfProbabilities { columns },
            ),
        ]
    }

    fn new<T: Element>(
        gpu: &'a Gpu,
        buffers: &Buffers,
        input: &[T],
        columns: u32,
        call: &DropoutCall,
    ) -> Result<Self> {
        let tensors = GpuTensors::new(gpu, buffers, input)?;
        let own = rows::tensors(gpu, buffers);
        let numbers = rows::numbers(gpu, columns)?;
        let numbers = numbers.as_entire_buffer_binding();
        let descriptor = KernelDescriptor::default();
        let softmax = SoftmaxDropout::new(&gpu.device, &descriptor)?;
        let dropout = Dropout::new(&gpu.device, &descriptor)?;
        let elements = || Elements::from(buffers.len as u64).of_type(T::TYPE);
        let mask = || AttentionMask::Additive(AdditiveMask::new(numbers.clone(), columns));
        let [input, output] = tensors.pairs().next().context("a tensor")?;
        let [grad, probabilities, masked, unscaled, grad_scores] = own
            .each_ref()
            .map(|buffer| buffer.as_entire_buffer_binding());
        let text = include_str!("chain_softmax.wgsl");
        let names = ["scale_and_mask", "softmax", "softmax_gradient", "scale"];
        let (layout, pipelines) = rows::chain(gpu, buffers.dtype, columns, text, &names);
        // Each pass has the tensor that it reads, the gradients, and the tensor that it writes.
        let windows = [
            [&input, &grad, &output],
            [&output, &grad, &probabilities],
            [&probabilities, &masked, &unscaled],
            [&unscaled, &masked, &grad_scores],
        ];
        let passes = pipelines.into_iter().zip(windows);
        let passes = passes
            .map(|((_, pipeline), [read, grads, written])| {
                let group = group(gpu, &layout, &[read, grads, written, &numbers]);
                (pipeline, group)
            })
            .collect();
        let rows = Softmax::new(columns, FACTOR)?;
        let saved = [
            SavedSoftmax::Scores(input.clone()),
            SavedSoftmax::Probabilities(probabilities.clone()),
        ];
        let copy = dropout.bind(input.clone(), output.clone(), elements())?;
        let drops = [
            dropout.bind(probabilities, output.clone(), elements())?,
            dropout.bind(grad.clone(), masked, elements())?,
        ];
        let forward = softmax.bind(rows, mask(), input, output, None, elements())?;
        let backward = |saved| {
            let (grad, grad_scores) = (grad.clone(), grad_scores.clone());
            softmax.bind_backward(rows, mask(), saved, grad, grad_scores, elements())
        };
        let [scores, probabilities] = saved;
        let backward = [backward(scores)?, backward(probabilities)?];
        Ok(Self {
            tensors,
            own,
            softmax,
            dropout,
            forward,
            backward,
            copy,
            drops,
            passes,
            columns,
            workgroups: rows::workgroups(buffers, columns),
            call: *call,
        })
    }

    fn fused(&self, form: Form) -> Result<Time> {
        let (softmax, call) = (&self.softmax, &self.call);
        self.tensors.time(|pass| {
            let [of_scores, of_probabilities] = &self.backward;
            match form {
                Form::Forward => softmax.encode_forward(pass, &self.forward, call)?,
                Form::OfScores => softmax.encode_backward(pass, of_scores, call)?,
                Form::OfProbabilities => softmax.encode_backward(pass, of_probabilities, call)?,
            }
            Ok(())
        })
    }

    fn chain(&self, form: Form) -> Result<Time> {
        let run = |pass: &mut wgpu::ComputePass<'_>, number: usize| {
            let (pipeline, group) = &self.passes[number];
            pass.set_pipeline(pipeline);
            pass.set_bind_group(0, group, &[]);
            pass.dispatch_workgroups(self.workgroups, 1, 1);
        };
        let [of_output, of_gradient] = &self.drops;
        self.tensors.time(|pass| {
            if form != Form::OfProbabilities {
                run(pass, 0);
                run(pass, 1);
            }
            if form == Form::Forward {
                self.dropout.encode_forward(pass, of_output, &self.call)?;
                return Ok(());
            }
            self.dropout
                .encode_backward(pass, of_gradient, &self.call)?;
            run(pass, 2);
            run(pass, 3);
            Ok(())
        })
    }

    fn copy(&self) -> Result<Time> {
        let call = DropoutCall {
            rate: DropoutRate::ZERO,
            ..self.call
        };
        self.tensors.time(|pass| {
            self.dropout.encode_forward(pass, &self.copy, &call)?;
            Ok(())
        })
    }

    fn verify<T: Element>(&self, gpu: &Gpu) -> Result<()> {
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        let grad = &self.own[0];
        encoder.copy_buffer_to_buffer(self.tensors.inputs(), 0, grad, 0, grad.size());
        gpu.queue.submit([encoder.finish()]);
        // The bound allows roundings of the element and of the mean probability, since gradients
        // are differences.
        let roundings = |chain: f32| 4.0 * (chain.abs() + 1.0 / self.columns as f32);
        self.fused(Form::Forward)?;
        let output: Vec<T> = self.tensors.first_output()?;
        self.chain(Form::Forward)?;
        let chain: Vec<T> = self.tensors.first_output()?;
        fused::compare(&output, &chain, &self.call, roundings)?;
        let gradient = || {
            self.tensors
                .read_back::<T>(&self.own[4], self.tensors.tensor_bytes())
        };
        // The forward's chain has left the probabilities.
        for form in [Form::OfScores, Form::OfProbabilities] {
            self.fused(form)?;
            let fused = gradient()?;
            self.chain(form)?;
            fused::compare(&fused, &gradient()?, &self.call, roundings)?;
        }
        Ok(())
    }
}
