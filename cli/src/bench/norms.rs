//! A norm behind a residual and a dropped branch, beside the chain of passes that it takes the place of.

use std::time::Duration;

use anyhow::{Context, Result};
use wgpu::{BufferBinding, BufferUsages};
use wgpu_dropout::half::{bf16, f16};
use wgpu_dropout::{
    Dropout, DropoutAddNorm, DropoutAddNormBinding, DropoutAddNormGradient, DropoutBinding,
    DropoutCall, DropoutRate, Element, Elements, KernelDescriptor, MaskPlace, Norm, NormVectors,
};

use super::buffers::{Buffers, check_memory, random_input};
use super::dtype::Dtype;
use super::fused::{self, FusedMeasurement, Fusion};
use super::gpu::{GpuTensors, checked};
use super::measure::{Time, in_rounds};
use super::samples::Samples;
use crate::engine::Gpu;

/// From the heads of attention to a vocabulary.
const COLUMNS: [u32; 4] = [64, 768, 4096, 65_536];

/// A tensor in rows of some columns, and the ways through it.
struct Bench<'a> {
    tensors: GpuTensors<'a>,
    /// The residual stream, the gradient of the output, of the sum, and what dropout leaves of it.
    own: [wgpu::Buffer; 4],
    norm: DropoutAddNorm,
    dropout: Dropout,
    forward: DropoutAddNormBinding,
    backward: DropoutAddNormGradient,
    copy: DropoutBinding,
    /// Dropout of the output in place, and of the gradient of the sum.
    drops: [DropoutBinding; 2],
    pipelines: Vec<(&'static str, wgpu::ComputePipeline)>,
    /// The chain's buffers for a bias, a residual, a norm and its gradient.
    groups: [wgpu::BindGroup; 4],
    /// Workgroups of a pass by elements, and by rows.
    workgroups: [u32; 2],
    call: DropoutCall,
}

/// Measures rows of each length, after the chain and one pass gave the same numbers.
pub fn measure(
    gpu: &Gpu,
    dtype: Dtype,
    len: usize,
    call: &DropoutCall,
    duration: Duration,
    progress: impl Fn(f64),
) -> Result<Vec<FusedMeasurement>> {
    match dtype {
        Dtype::F32 => of_type::<f32>(gpu, dtype, len, call, duration, progress),
        Dtype::F16 => of_type::<f16>(gpu, dtype, len, call, duration, progress),
        Dtype::Bf16 => of_type::<bf16>(gpu, dtype, len, call, duration, progress),
    }
}

fn of_type<T: Element>(
    gpu: &Gpu,
    dtype: Dtype,
    len: usize,
    call: &DropoutCall,
    duration: Duration,
    progress: impl Fn(f64),
) -> Result<Vec<FusedMeasurement>> {
    let (mut made, mut rows) = (Vec::new(), Vec::new());
    for columns in COLUMNS {
        let elements = len / columns as usize * columns as usize;
        if elements == 0 {
            continue;
        }
        let mut buffers = Buffers::plan(dtype, elements, Some(gpu))?;
        buffers.pairs = 1;
        check_memory(&[buffers.clone(), buffers.clone(), buffers.clone()], true)?;
        let input: Vec<T> = random_input(elements)?;
        let bench = checked(&gpu.device, || {
            Bench::new(gpu, &buffers, &input, columns, call)
        })?;
        bench
            .verify::<T>(gpu)
            .with_context(|| format!("rows of {columns}: nothing was timed"))?;
        for fusion in [Fusion::Norm { columns }, Fusion::NormGradient { columns }] {
            let measurement = FusedMeasurement {
                fusion,
                dtype,
                elements,
                fused_seconds: Samples::default(),
                chain_seconds: Samples::default(),
                copy_seconds: Samples::default(),
            };
            rows.push((made.len(), measurement));
        }
        made.push(bench);
    }
    let seconds = |time: Time| time.gpu.unwrap_or(time.wall).as_secs_f64();
    in_rounds(duration, progress, || {
        for (number, row) in &mut rows {
            let bench: &Bench<'_> = &made[*number];
            let is_gradient = matches!(row.fusion, Fusion::NormGradient { .. });
            row.fused_seconds.push(seconds(bench.fused(is_gradient)?));
            row.chain_seconds.push(seconds(bench.chain(is_gradient)?));
            row.copy_seconds.push(seconds(bench.copy()?));
        }
        Ok(())
    })?;
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

impl<'a> Bench<'a> {
    fn new<T: Element>(
        gpu: &'a Gpu,
        buffers: &Buffers,
        input: &[T],
        columns: u32,
        call: &DropoutCall,
    ) -> Result<Self> {
        let tensors = GpuTensors::new(gpu, buffers, input)?;
        let device = &gpu.device;
        let create = |label, size| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size,
                usage: BufferUsages::STORAGE | BufferUsages::COPY_DST | BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            })
        };
        let bytes = buffers.tensor_bytes();
        let own = [(); 4].map(|()| create("bench: stream and gradients", bytes));
        let numbers = create("bench: bias, gamma and beta", 12 * u64::from(columns));
        let content: Vec<f32> = random_input(3 * columns as usize)?;
        gpu.queue
            .write_buffer(&numbers, 0, bytemuck::cast_slice(&content));
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
        let (norm_layout, norms) = chain(device, buffers.dtype, columns);
        pipelines.extend(norms);
        let group = |layout: &wgpu::BindGroupLayout, windows: &[&BufferBinding<'_>]| {
            let entries: Vec<_> = (0..)
                .zip(windows)
                .map(|(binding, window)| wgpu::BindGroupEntry {
                    binding,
                    resource: wgpu::BindingResource::Buffer((*window).clone()),
                })
                .collect();
            device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some("bench: chain"),
                layout,
                entries: &entries,
            })
        };
        let (bias, of_norm) = (part(0, 1), part(1, 2));
        let groups = [
            group(&layout, &[&input, &output, &bias]),
            group(&layout, &[&output, &stream, &bias]),
            group(&norm_layout, &[&stream, &grad, &output, &of_norm]),
            group(&norm_layout, &[&stream, &grad, &grad_sum, &of_norm]),
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
        let rows = buffers.len as u32 / columns;
        Ok(Self {
            workgroups: [
                // 8 times 16 bytes an invocation, 256 of them a workgroup.
                (bytes / 16).div_ceil(8 * 256) as u32,
                rows.div_ceil(256 / width(buffers.dtype, columns)),
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

    /// Gives the stream and the gradient the input's numbers.
    fn fill(&self, gpu: &Gpu) {
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        for buffer in &self.own[..2] {
            encoder.copy_buffer_to_buffer(self.tensors.inputs(), 0, buffer, 0, buffer.size());
        }
        gpu.queue.submit([encoder.finish()]);
    }

    /// The gradient after dropout.
    fn masked<T: Element>(&self) -> Result<Vec<T>> {
        let bytes = self.tensors.tensor_bytes();
        self.tensors.read_back(&self.own[3], bytes)
    }

    /// Compares one pass with the chain, from a stream of the inputs on.
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

/// Invocations that take a row, of which each has eight times 16 bytes while they are fewer than 256.
fn width(dtype: Dtype, columns: u32) -> u32 {
    let words = columns / (16 / dtype.bytes() as u32);
    words.div_ceil(8).next_power_of_two().min(256)
}

/// The chain's norm and its gradient, and the layout of their buffers.
fn chain(
    device: &wgpu::Device,
    dtype: Dtype,
    columns: u32,
) -> (
    wgpu::BindGroupLayout,
    Vec<(&'static str, wgpu::ComputePipeline)>,
) {
    let text = format!(
        "const COLUMNS = {columns}u;\nconst WIDTH = {}u;\n{}\n{}",
        width(dtype, columns),
        fused::element_text(dtype),
        include_str!("chain_norm.wgsl")
    );
    fused::pipelines(device, &text, 3, &["norm", "norm_gradient"])
}
