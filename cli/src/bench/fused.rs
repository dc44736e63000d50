//! Dropout fused with other operations, compared with the chain of separate passes that it
//! replaces.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde::Serialize;
use wgpu::BufferUsages;
use wgpu_dropout::half::{bf16, f16};
use wgpu_dropout::{
    ActBinding, ActDropout, ActGradient, Activation, Bias, Dropout, DropoutAdd, DropoutAddBinding,
    DropoutAddGradient, DropoutBinding, DropoutCall, DropoutRate, Element, Elements,
    KernelDescriptor, Vectors,
};

use super::buffers::{Buffers, check_memory, random_input};
use super::dtype::Dtype;
use super::gpu::{GpuTensors, checked};
use super::measure::{Time, in_rounds};
use super::norms::Norms;
use super::rows::{self, RowFusion};
use super::samples::Samples;
use super::softmaxes::Softmaxes;
use crate::engine::Gpu;

/// The length of a bias and of a scale: the width of a transformer.
const COLUMNS: u32 = 1024;

/// The most pairs on a software adapter, for which a round through more would take many seconds.
const MAX_SOFTWARE_PAIRS: usize = 4;

/// The operations that `bench` measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Op {
    /// Dropout without other operations: layouts and kinds, many tensors in a pass, recording
    Dropout,
    /// A bias, dropout and a residual in one pass, and the gradient through a scale, against
    /// separate passes
    Add,
    /// A bias, an activation and dropout in one pass, and the gradient, against separate passes
    Act,
    /// A bias, dropout, a residual and a layer norm in one pass, and the gradient, in rows of 64 to
    /// 65,536
    Norm,
    /// A factor, a mask, a softmax and dropout in one pass, and the gradient, in rows of 64 to
    /// 65,536
    Softmax,
}

/// An operation that one pass and a chain of passes compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Fusion {
    Elements(ElementFusion),
    Rows(RowFusion),
}

/// An operation on elements, each by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ElementFusion {
    /// residual + dropout(x)
    Residual,
    /// residual + dropout(x + bias)
    BiasResidual,
    /// dropout'(gradient) * scale
    ScaleGradient,
    /// dropout(relu(x + bias))
    Relu,
    ReluGradient,
    /// dropout(gelu(x + bias)), by tanh
    Gelu,
    GeluGradient,
}

impl ElementFusion {
    /// The fusions that are measured for an operation.
    fn of(op: Op) -> &'static [Self] {
        match op {
            Op::Dropout | Op::Norm | Op::Softmax => &[],
            Op::Add => &[Self::Residual, Self::BiasResidual, Self::ScaleGradient],
            Op::Act => &[
                Self::Relu,
                Self::ReluGradient,
                Self::Gelu,
                Self::GeluGradient,
            ],
        }
    }

    /// Returns true if the result is written to the output, and false if to the residual.
    fn is_in_output(self) -> bool {
        !matches!(self, Self::Residual | Self::BiasResidual)
    }

    fn accesses(self) -> [u32; 2] {
        match self {
            Self::Residual => [3, 5],
            Self::BiasResidual => [3, 7],
            Self::ScaleGradient => [2, 4],
            Self::Relu | Self::Gelu => [2, 6],
            Self::ReluGradient | Self::GeluGradient => [3, 5],
        }
    }
}

impl Fusion {
    /// The number of times that one pass and the chain read or write an element.
    pub fn accesses(self) -> [u32; 2] {
        match self {
            Self::Elements(fusion) => fusion.accesses(),
            Self::Rows(fusion) => fusion.accesses(),
        }
    }
}

impl fmt::Display for Fusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elements(fusion) => fusion.fmt(f),
            Self::Rows(fusion) => fusion.fmt(f),
        }
    }
}

impl fmt::Display for ElementFusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Residual => "residual",
            Self::BiasResidual => "bias, residual",
            Self::ScaleGradient => "gradient, scale",
            Self::Relu => "bias, relu",
            Self::ReluGradient => "relu's gradient",
            Self::Gelu => "bias, gelu-tanh",
            Self::GeluGradient => "gelu-tanh's gradient",
        })
    }
}

/// The times for one tensor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FusedMeasurement {
    pub fusion: Fusion,
    pub dtype: Dtype,
    /// Elements of a tensor.
    pub elements: usize,
    pub fused_seconds: Samples,
    pub chain_seconds: Samples,
    /// The time in which each element is read once and written once.
    pub copy_seconds: Samples,
}

impl FusedMeasurement {
    pub fn new(fusion: Fusion, dtype: Dtype, elements: usize) -> Self {
        Self {
            fusion,
            dtype,
            elements,
            fused_seconds: Samples::default(),
            chain_seconds: Samples::default(),
            copy_seconds: Samples::default(),
        }
    }

    /// The bound on the time of the fused pass: the chain's time minus 0.8 times the time to copy
    /// the bytes that one pass saves.
    pub fn bound_seconds(&self) -> f64 {
        let [fused, chain] = self.fusion.accesses();
        let saved = f64::from(chain - fused) / 2.0 * self.copy_seconds.median();
        self.chain_seconds.median() - 0.8 * saved
    }
}

/// The buffers of a tensor, and their bindings for each pass.
struct Bound {
    fused: [DropoutAddBinding; 2],
    fused_gradient: DropoutAddGradient,
    /// Bindings for relu and gelu, in this order.
    activated: [ActBinding; 2],
    activated_gradients: [ActGradient; 2],
    copy: DropoutBinding,
    /// Bindings from input to output, within the output, and from residual to output.
    dropout: [DropoutBinding; 3],
    /// Bind groups of the chain: input and output, output and residual.
    groups: [wgpu::BindGroup; 2],
}

struct Bench<'a> {
    tensors: GpuTensors<'a>,
    dropout: Dropout,
    add: DropoutAdd,
    /// The handles for relu and gelu.
    act: [ActDropout; 2],
    chain: Vec<(&'static str, wgpu::ComputePipeline)>,
    workgroups: u32,
    call: DropoutCall,
    bound: Vec<Bound>,
    residuals: wgpu::Buffer,
}

/// Measures each fusion for this type and length, after a check that the chain and one pass give
/// the same numbers.
pub fn measure(
    gpu: &Gpu,
    op: Op,
    dtype: Dtype,
    len: usize,
    call: &DropoutCall,
    duration: Duration,
    progress: impl Fn(f64),
) -> Result<Vec<FusedMeasurement>> {
    match op {
        Op::Norm => return rows::measure::<Norms<'_>>(gpu, dtype, len, call, duration, progress),
        Op::Softmax => {
            return rows::measure::<Softmaxes<'_>>(gpu, dtype, len, call, duration, progress);
        }
        _ => {}
    }
    ensure!(
        len.is_multiple_of(COLUMNS as usize),
        "{len} elements are not whole rows of {COLUMNS}: give multiples of it as --sizes"
    );
    let mut buffers = Buffers::plan(dtype, len, Some(gpu))?;
    if gpu.is_software() {
        buffers.pairs = buffers.pairs.min(MAX_SOFTWARE_PAIRS);
    }
    // The residual makes a third tensor beside input and output.
    check_memory(&[buffers.clone(), buffers.clone()], true)?;
    match dtype {
        Dtype::F32 => of_type::<f32>(gpu, op, &buffers, call, duration, progress),
        Dtype::F16 => of_type::<f16>(gpu, op, &buffers, call, duration, progress),
        Dtype::Bf16 => of_type::<bf16>(gpu, op, &buffers, call, duration, progress),
    }
}

fn of_type<T: Element>(
    gpu: &Gpu,
    op: Op,
    buffers: &Buffers,
    call: &DropoutCall,
    duration: Duration,
    progress: impl Fn(f64),
) -> Result<Vec<FusedMeasurement>> {
    let input: Vec<T> = random_input(buffers.len)?;
    let bench = checked(&gpu.device, || Bench::new(gpu, buffers, &input, call))?;
    let mut rows = Vec::new();
    for &fusion in ElementFusion::of(op) {
        bench
            .verify::<T>(gpu, fusion)
            .with_context(|| format!("{fusion}: nothing was timed"))?;
        let measurement =
            FusedMeasurement::new(Fusion::Elements(fusion), buffers.dtype, buffers.len);
        rows.push((fusion, measurement));
    }
    let of_one = |time: Time| {
        let time = time.gpu.unwrap_or(time.wall);
        time.as_secs_f64() / buffers.pairs as f64
    };
    in_rounds(duration, progress, || {
        for (fusion, row) in &mut rows {
            row.fused_seconds.push(of_one(bench.fused(*fusion)?));
            row.chain_seconds.push(of_one(bench.chain(*fusion)?));
            row.copy_seconds.push(of_one(bench.copy()?));
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
        let residuals = create(
            "bench: residuals",
            buffers.stride_bytes() * buffers.pairs as u64,
        );
        let numbers = create("bench: bias and scale", 8 * u64::from(COLUMNS));
        let content: Vec<f32> = random_input(2 * COLUMNS as usize)?;
        gpu.queue
            .write_buffer(&numbers, 0, bytemuck::cast_slice(&content));
        let descriptor = KernelDescriptor::default();
        let (dropout, add) = (
            Dropout::new(device, &descriptor)?,
            DropoutAdd::new(device, &descriptor)?,
        );
        let act = [
            ActDropout::new(device, &descriptor, Activation::Relu)?,
            ActDropout::new(device, &descriptor, Activation::GeluTanh)?,
        ];
        let (layout, chain) = chain(device, buffers.dtype);
        let part = |half: u64| wgpu::BufferBinding {
            buffer: &numbers,
            offset: half * 4 * u64::from(COLUMNS),
            size: wgpu::BufferSize::new(4 * u64::from(COLUMNS)),
        };
        let (bias, scale) = (
            || Vectors::bias(part(0), COLUMNS),
            || Vectors::scale(part(1), COLUMNS),
        );
        let elements = || Elements::from(buffers.len as u64).of_type(T::TYPE);
        let mut bound = Vec::new();
        for [input, output] in tensors.pairs() {
            let residual = wgpu::BufferBinding {
                buffer: &residuals,
                ..output
            };
            let group = |from: &wgpu::BufferBinding<'_>, to: &wgpu::BufferBinding<'_>, half| {
                let entries: Vec<_> = (0..)
                    .zip([from.clone(), to.clone(), part(half)])
                    .map(|(binding, window)| wgpu::BindGroupEntry {
                        binding,
                        resource: wgpu::BindingResource::Buffer(window),
                    })
                    .collect();
                device.create_bind_group(&wgpu::BindGroupDescriptor {
                    label: Some("bench: chain"),
                    layout: &layout,
                    entries: &entries,
                })
            };
            let plain = add.bind_in_place(input.clone(), residual.clone(), None, elements())?;
            let biased =
                add.bind_in_place(input.clone(), residual.clone(), Some(bias()), elements())?;
            let act_bias = || Some(Bias::new(part(0), COLUMNS));
            let forward =
                |act: &ActDropout| act.bind(input.clone(), output.clone(), act_bias(), elements());
            let backward = |act: &ActDropout| {
                let (gradient, input) = (residual.clone(), input.clone());
                act.bind_backward(gradient, input, output.clone(), act_bias(), elements())
            };
            let [relu, gelu] = &act;
            bound.push(Bound {
                activated: [forward(relu)?, forward(gelu)?],
                activated_gradients: [backward(relu)?, backward(gelu)?],
                fused: [plain, biased],
                fused_gradient: add.bind_backward(
                    input.clone(),
                    output.clone(),
                    scale(),
                    elements(),
                )?,
                groups: [group(&input, &output, 0), group(&output, &residual, 1)],
                dropout: [
                    dropout.bind(input.clone(), output.clone(), elements())?,
                    dropout.bind_in_place(output.clone(), elements())?,
                    dropout.bind(residual.clone(), output.clone(), elements())?,
                ],
                copy: dropout.bind(input, output, elements())?,
            });
        }
        let words = buffers.tensor_bytes() / 16;
        Ok(Self {
            tensors,
            dropout,
            add,
            act,
            chain,
            // An invocation takes 8 times 16 bytes, a workgroup has 256 invocations.
            workgroups: words.div_ceil(8 * 256) as u32,
            call: *call,
            bound,
            residuals,
        })
    }

    fn fused(&self, fusion: ElementFusion) -> Result<Time> {
        let (add, call) = (&self.add, &self.call);
        let [relu, gelu] = &self.act;
        self.tensors.time(|pass| {
            for bound in &self.bound {
                match fusion {
                    ElementFusion::Residual => add.encode_forward(pass, &bound.fused[0], call),
                    ElementFusion::BiasResidual => add.encode_forward(pass, &bound.fused[1], call),
                    ElementFusion::ScaleGradient => {
                        add.encode_backward(pass, &bound.fused_gradient, call)
                    }
                    ElementFusion::Relu => relu.encode_forward(pass, &bound.activated[0], call),
                    ElementFusion::Gelu => gelu.encode_forward(pass, &bound.activated[1], call),
                    ElementFusion::ReluGradient => {
                        relu.encode_backward(pass, &bound.activated_gradients[0], call)
                    }
                    ElementFusion::GeluGradient => {
                        gelu.encode_backward(pass, &bound.activated_gradients[1], call)
                    }
                }?;
            }
            Ok(())
        })
    }

    fn chain(&self, fusion: ElementFusion) -> Result<Time> {
        let (dropout, call) = (&self.dropout, &self.call);
        let run = |pass: &mut wgpu::ComputePass<'_>, name: &str, group: &wgpu::BindGroup| {
            for (_, pipeline) in self.chain.iter().filter(|(other, _)| *other == name) {
                pass.set_pipeline(pipeline);
            }
            pass.set_bind_group(0, group, &[]);
            pass.dispatch_workgroups(self.workgroups, 1, 1);
        };
        self.tensors.time(|pass| {
            for bound in &self.bound {
                let [to_output, in_output, of_residual] = &bound.dropout;
                let [input_output, output_residual] = &bound.groups;
                match fusion {
                    ElementFusion::Residual => {
                        dropout.encode_forward(pass, to_output, call)?;
                        run(pass, "add", output_residual);
                    }
                    ElementFusion::BiasResidual => {
                        run(pass, "add_vector", input_output);
                        dropout.encode_forward(pass, in_output, call)?;
                        run(pass, "add", output_residual);
                    }
                    ElementFusion::ScaleGradient => {
                        dropout.encode_backward(pass, to_output, call)?;
                        // The result goes into the residual, whose memory this fusion does not use.
                        run(pass, "scale_vector", output_residual);
                    }
                    ElementFusion::Relu | ElementFusion::Gelu => {
                        let name = if fusion == ElementFusion::Relu {
                            "relu"
                        } else {
                            "gelu_tanh"
                        };
                        run(pass, "add_vector", input_output);
                        run(pass, name, input_output);
                        dropout.encode_forward(pass, in_output, call)?;
                    }
                    ElementFusion::ReluGradient | ElementFusion::GeluGradient => {
                        let name = match fusion {
                            ElementFusion::ReluGradient => "relu_gradient",
                            _ => "gelu_tanh_gradient",
                        };
                        dropout.encode_backward(pass, of_residual, call)?;
                        run(pass, name, input_output);
                    }
                }
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
            for bound in &self.bound {
                self.dropout.encode_forward(pass, &bound.copy, &call)?;
            }
            Ok(())
        })
    }

    /// The result of the first tensor. A fused gradient leaves it in the output, all others in the
    /// residual.
    fn result<T: Element>(&self, in_output: bool) -> Result<Vec<T>> {
        if in_output {
            return self.tensors.first_output();
        }
        let bytes = self.tensors.tensor_bytes();
        self.tensors.read_back(&self.residuals, bytes)
    }

    /// Fills the residuals with the inputs' numbers, which serve as a residual stream or as a
    /// gradient.
    fn fill_residuals(&self, gpu: &Gpu) {
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        let bytes = self.residuals.size();
        encoder.copy_buffer_to_buffer(self.tensors.inputs(), 0, &self.residuals, 0, bytes);
        gpu.queue.submit([encoder.finish()]);
    }

    /// Compares one pass with the chain, with residuals that equal the inputs.
    fn verify<T: Element>(&self, gpu: &Gpu, fusion: ElementFusion) -> Result<()> {
        self.fill_residuals(gpu);
        self.fused(fusion)?;
        let fused: Vec<T> = self.result(fusion.is_in_output())?;
        self.fill_residuals(gpu);
        self.chain(fusion)?;
        // The chain leaves the scaled gradient in the residual.
        let in_output = fusion.is_in_output() && fusion != ElementFusion::ScaleGradient;
        let chain: Vec<T> = self.result(in_output)?;
        // Inputs are at most 1 in magnitude, so 16 roundings of 1 are a bound for every fusion.
        compare(&fused, &chain, &self.call, |_| 16.0)
    }
}

/// Compares elements of one pass with those of the chain, each pass of which rounds to the type.
/// They may differ by `roundings` of the chain's number, each of which is the type's epsilon times
/// 1 plus the call's factor.
pub(super) fn compare<T: Element>(
    fused: &[T],
    chain: &[T],
    call: &DropoutCall,
    roundings: impl Fn(f32) -> f32,
) -> Result<()> {
    let epsilon = match T::TYPE.bytes() {
        4 => f32::EPSILON,
        _ => 1.0 / 128.0,
    };
    for (index, (fused, chain)) in fused.iter().zip(chain).enumerate() {
        let (fused, chain) = (fused.to_f32(), chain.to_f32());
        let bound = roundings(chain) * epsilon * (1.0 + call.keep_scale());
        ensure!(
            (fused - chain).abs() <= bound,
            "element {index} is {fused:e} after one pass and {chain:e} after the chain"
        );
    }
    let is_empty = fused.iter().all(|fused| fused.to_f32() == 0.0);
    ensure!(!is_empty || call.rate.drops_all(), "all elements are 0");
    Ok(())
}

/// The WGSL by which the chain's kernels read and write elements.
pub(super) fn element_text(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F32 => {
            "const LANES = 4u;
            fn unpack(w: vec4<u32>) -> Numbers { return Numbers(bitcast<vec4<f32>>(w), vec4<f32>()); }
            fn pack(n: Numbers) -> vec4<u32> { return bitcast<vec4<u32>>(n.low); }"
        }
        Dtype::F16 => {
            "const LANES = 8u;
            fn unpack(w: vec4<u32>) -> Numbers {
                let x = unpack2x16float(w.x); let y = unpack2x16float(w.y);
                let z = unpack2x16float(w.z); let v = unpack2x16float(w.w);
                return Numbers(vec4(x.x, y.x, z.x, v.x), vec4(x.y, y.y, z.y, v.y));
            }
            fn pack(n: Numbers) -> vec4<u32> {
                return vec4(
                    pack2x16float(vec2(n.low.x, n.high.x)), pack2x16float(vec2(n.low.y, n.high.y)),
                    pack2x16float(vec2(n.low.z, n.high.z)), pack2x16float(vec2(n.low.w, n.high.w)),
                );
            }"
        }
        Dtype::Bf16 => {
            "const LANES = 8u;
            fn unpack(w: vec4<u32>) -> Numbers {
                return Numbers(bitcast<vec4<f32>>(w << vec4(16u)), bitcast<vec4<f32>>(w & vec4(0xffff0000u)));
            }
            fn rounded(x: vec4<f32>) -> vec4<u32> {
                let bits = bitcast<vec4<u32>>(x);
                return (bits + vec4(0x7fffu) + ((bits >> vec4(16u)) & vec4(1u))) >> vec4(16u);
            }
            fn pack(n: Numbers) -> vec4<u32> { return rounded(n.low) | (rounded(n.high) << vec4(16u)); }"
        }
    }
}

/// The chain's kernels and the layout of their buffers.
pub(super) fn chain(
    device: &wgpu::Device,
    dtype: Dtype,
) -> (
    wgpu::BindGroupLayout,
    Vec<(&'static str, wgpu::ComputePipeline)>,
) {
    let text = format!("{}\n{}", element_text(dtype), include_str!("chain.wgsl"));
    const NAMES: [&str; 7] = [
        "add_vector",
        "scale_vector",
        "add",
        "relu",
        "gelu_tanh",
        "relu_gradient",
        "gelu_tanh_gradient",
    ];
    pipelines(device, &text, 2, &NAMES)
}

/// The kernels of a text. Their bind group has the given number of written buffers and one that is
/// read.
pub(super) fn pipelines(
    device: &wgpu::Device,
    text: &str,
    written: u32,
    names: &[&'static str],
) -> (
    wgpu::BindGroupLayout,
    Vec<(&'static str, wgpu::ComputePipeline)>,
) {
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some("bench: chain"),
        source: wgpu::ShaderSource::Wgsl(text.into()),
    });
    let entry = |binding| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer {
            ty: wgpu::BufferBindingType::Storage {
                read_only: binding == written,
            },
            has_dynamic_offset: false,
            min_binding_size: None,
        },
        count: None,
    };
    let entries: Vec<_> = (0..=written).map(entry).collect();
    let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: Some("bench: chain"),
        entries: &entries,
    });
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some("bench: chain"),
        bind_group_layouts: &[Some(&layout)],
        immediate_size: 0,
    });
    let pipelines = names.iter().map(|&entry_point| {
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("bench: chain"),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some(entry_point),
            compilation_options: wgpu::PipelineCompilationOptions {
                // The fused kernels set the same option.
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: None,
        });
        (entry_point, pipeline)
    });
    let pipelines = pipelines.collect();
    (layout, pipelines)
}
