//! Dropout of a branch, a residual and a norm in one pass, compared with the chain of passes that
//! it replaces.

use anyhow::{Context, Result};
use wgpu::BufferBinding;
use wgpu_dropout::{
    Dropout, DropoutAddNorm, DropoutAddNormBinding, DropoutAddNormGradient, DropoutBinding,
    DropoutCall, DropoutRate, Element, Elements, KernelDescriptor, MaskPlace, Norm, NormVectors,
};

use super::buffers::Buffers;
use super::fused;
use super::gpu::GpuTensors;
use super::measure::Time;
use super::rows::{self, RowFusion, Ways, group};
use crate::engine::Gpu;

/// A tensor in rows of one length, with the bindings of one pass and of the chain.
pub struct Norms<'a> {
    tensors: GpuTensors<'a>,
    /// The residual stream, the gradients of the output and of the sum, and the dropped gradient of
    /// the sum.
    own: [wgpu::Buffer; 4],
    norm: DropoutAddNorm,
    dropout: Dropout,
    forward: DropoutAddNormBinding,
    backward: DropoutAddNormGradient,
    copy: DropoutBinding,
    /// Bindings for dropout of the output in place, and of the gradient of the sum.
    drops: [DropoutBinding; 2],
    pipelines: Vec<(&'static str, wgpu::ComputePipeline)>,
    /// The chain's buffers for a bias, a residual, a norm and its gradient.
    groups: [wgpu::BindGroup; 4],
    /// Workgroups of a pass over elements, and of a pass over rows.
    workgroups: [u32; 2],
    call: DropoutCall,
}

impl<'a> Ways<'a> for Norms<'a> {
    /// True if the gradient is measured.
    type Form = bool;

    fn fusions(columns: u32) -> Vec<(bool, RowFusion)> {
        vec![
            (false, RowFusion::Norm { columns }),
            (true, RowFusion::NormGradient { columns }),
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
        let device = &gpu.device;
        let own = rows::tensors(gpu, buffers);
        let numbers = rows::numbers(gpu, 3 * columns)?;
        let part = |first: u64, count: u64| BufferBinding {
            buffer: &numbers,
            offset: first * 4 * u64::from(columns),
            size: wgpu::BufferSize::new(count * 4 * u64::from(columns)),
        };
        let descriptor = KernelDescriptor::default();
        let norm = Norm::layer(1e-5)?;
        let norm = DropoutAddNorm::new(device, &descriptor, norm, MaskPlace::Branch)?;
        let dropout = Dropout::new(device, &descriptor)?;
        let elements = || Elements::from(buffers.len as u64).of_type(T::TYPE);
        let vectors =
            || NormVectors::with_bias(numbers.as_entire_buffer_binding(), columns, columns);
        let [input, output] = tensors.pairs().next().context("a tensor")?;
        let [stream, grad, grad_sum, masked] = own
            .each_ref()
            .map(|buffer| buffer.as_entire_buffer_binding());
        let (layout, mut pipelines) = fused::chain(device, buffers.dtype);
        let text = include_str!("chain_norm.wgsl");
        let names = ["norm", "norm_gradient"];
        let (norm_layout, norms) = rows::chain(gpu, buffers.dtype, columns, text, &names);
        pipelines.extend(norms);
        let (bias, of_norm) = (part(0, 1), part(1, 2));
        let groups = [
            group(gpu, &layout, &[&input, &output, &bias]),
            group(gpu, &layout, &[&output, &stream, &bias]),
            group(gpu, &norm_layout, &[&stream, &grad, &output, &of_norm]),
            group(gpu, &norm_layout, &[&stream, &grad, &grad_sum, &of_norm]),
        ];
        let (input_again, output_again) = (input.clone(), output.clone());
        let forward =
            norm.bind_in_place(input, stream.clone(), output.clone(), vectors(), elements())?;
        let backward = norm.bind_backward(
            grad,
            stream,
            grad_sum.clone(),
            masked.clone(),
            vectors(),
            elements(),
        )?;
        let drops = [
            dropout.bind_in_place(output, elements())?,
            dropout.bind(grad_sum, masked, elements())?,
        ];
        let copy = dropout.bind(input_again, output_again, elements())?;
        Ok(Self {
            workgroups: [
                // An invocation takes 8 times 16 bytes, a workgroup has 256 invocations.
                (buffers.tensor_bytes() / 16).div_ceil(8 * 256) as u32,
                rows::workgroups(buffers, columns),
            ],
            tensors,
            own,
            norm,
            dropout,
            forward,
            backward,
            copy,
            drops,
            pipelines,
            groups,
            call: *call,
        })
    }

    fn fused(&self, is_gradient: bool) -> Result<Time> {
        let (norm, call) = (&self.norm, &self.call);
        self.tensors.time(|pass| {
            match is_gradient {
                true => norm.encode_backward(pass, &self.backward, call, false)?,
                false => norm.encode_forward(pass, &self.forward, call)?,
            }
            Ok(())
        })
    }

    fn chain(&self, is_gradient: bool) -> Result<Time> {
        let run = |pass: &mut wgpu::ComputePass<'_>, name: &str, group: usize| {
            for (_, pipeline) in self.pipelines.iter().filter(|(other, _)| *other == name) {
                pass.set_pipeline(pipeline);
            }
            pass.set_bind_group(0, &self.groups[group], &[]);
            pass.dispatch_workgroups(self.workgroups[group / 2], 1, 1);
        };
        let [in_output, of_sum] = &self.drops;
        self.tensors.time(|pass| {
            if is_gradient {
                run(pass, "norm_gradient", 3);
                self.dropout.encode_backward(pass, of_sum, &self.call)?;
            } else {
                run(pass, "add_vector", 0);
                self.dropout.encode_forward(pass, in_output, &self.call)?;
                run(pass, "add", 1);
                run(pass, "norm", 2);
            }
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
        self.fill(gpu);
        self.fused(false)?;
        let output: Vec<T> = self.tensors.first_output()?;
        self.fused(true)?;
        let masked: Vec<T> = self.masked()?;
        self.fill(gpu);
        self.chain(false)?;
        let roundings = |chain: f32| 64.0 * (1.0 + chain.abs());
        let chain = self.tensors.first_output()?;
        fused::compare(&output, &chain, &self.call, roundings)?;
        self.chain(true)?;
        fused::compare(&masked, &self.masked()?, &self.call, roundings)
    }
}

impl Norms<'_> {
    /// Fills the stream and the gradient with the input's numbers.
    fn fill(&self, gpu: &Gpu) {
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        for buffer in &self.own[..2] {
            encoder.copy_buffer_to_buffer(self.tensors.inputs(), 0, buffer, 0, buffer.size());
        }
        gpu.queue.submit([encoder.finish()]);
    }

    /// The dropped gradient.
    fn masked<T: Element>(&self) -> Result<Vec<T>> {
        let bytes = self.tensors.tensor_bytes();
        self.tensors.read_back(&self.own[3], bytes)
    }
}
