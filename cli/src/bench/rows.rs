//! Tensors in rows of several lengths, processed in one pass and in the chain of passes that it
//! replaces.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use wgpu::{BufferBinding, BufferUsages};
use wgpu_dropout::half::{bf16, f16};
use wgpu_dropout::{DropoutCall, Element};

use super::buffers::{Buffers, check_memory, random_input};
use super::dtype::Dtype;
use super::fused::{self, FusedMeasurement, Fusion};
use super::gpu::checked;
use super::measure::{Time, in_rounds};
use crate::engine::Gpu;

/// Row lengths, from the width of an attention head to the size of a vocabulary.
const COLUMNS: [u32; 4] = [64, 768, 4096, 65_536];

/// An operation on rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RowFusion {
    /// norm(residual + dropout(x + bias))
    Norm {
        columns: u32,
    },
    NormGradient {
        columns: u32,
    },
    /// dropout(softmax(factor * scores + mask))
    Softmax {
        columns: u32,
    },
    /// The gradient from the scores. The chain computes the probabilities first
    SoftmaxGradient {
        columns: u32,
    },
    /// The gradient from stored probabilities
    SoftmaxGradientOfProbabilities {
        columns: u32,
    },
}

impl RowFusion {
    /// The number of times that one pass and the chain read or write an element.
    pub fn accesses(self) -> [u32; 2] {
        match self {
            Self::Norm { .. } => [4, 9],
            Self::NormGradient { .. } => [4, 5],
            Self::Softmax { .. } => [2, 6],
            Self::SoftmaxGradient { .. } => [3, 11],
            Self::SoftmaxGradientOfProbabilities { .. } => [3, 7],
        }
    }
}

impl fmt::Display for RowFusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Norm { columns } => write!(f, "norm of {columns}"),
            Self::Softmax { columns } => write!(f, "softmax of {columns}"),
            Self::NormGradient { columns } => write!(f, "its gradient, {columns}"),
            Self::SoftmaxGradient { columns } => write!(f, "gradient of scores, {columns}"),
            Self::SoftmaxGradientOfProbabilities { columns } => {
                write!(f, "of probabilities, {columns}")
            }
        }
    }
}

/// A tensor in rows of one length, with one pass and the chain of passes that process it.
pub trait Ways<'a>: Sized {
    /// Which of the operations is measured.
    type Form: Copy;

    fn fusions(columns: u32) -> Vec<(Self::Form, RowFusion)>;

    fn new<T: Element>(
        gpu: &'a Gpu,
        buffers: &Buffers,
        input: &[T],
        columns: u32,
        call: &DropoutCall,
    ) -> Result<Self>;

    /// Compares one pass with the chain.
    fn verify<T: Element>(&self, gpu: &Gpu) -> Result<()>;

    fn fused(&self, form: Self::Form) -> Result<Time>;

    fn chain(&self, form: Self::Form) -> Result<Time>;

    fn copy(&self) -> Result<Time>;
}

/// Measures rows of each length, after a check that the chain and one pass give the same numbers.
pub fn measure<'a, W: Ways<'a>>(
    gpu: &'a Gpu,
    dtype: Dtype,
    len: usize,
    call: &DropoutCall,
    duration: Duration,
    progress: impl Fn(f64),
) -> Result<Vec<FusedMeasurement>> {
    match dtype {
        Dtype::F32 => of_type::<W, f32>(gpu, dtype, len, call, duration, progress),
        Dtype::F16 => of_type::<W, f16>(gpu, dtype, len, call, duration, progress),
        Dtype::Bf16 => of_type::<W, bf16>(gpu, dtype, len, call, duration, progress),
    }
}

fn of_type<'a, W: Ways<'a>, T: Element>(
    gpu: &'a Gpu,
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
        // A tensor has at most eight buffers, which are four pairs.
        check_memory(&[(); 4].map(|()| buffers.clone()), true)?;
        let input: Vec<T> = random_input(elements)?;
        let bench = checked(&gpu.device, || W::new(gpu, &buffers, &input, columns, call))?;
        bench
            .verify::<T>(gpu)
            .with_context(|| format!("rows of {columns}: nothing was timed"))?;
        for (form, fusion) in W::fusions(columns) {
            let measurement = FusedMeasurement::new(Fusion::Rows(fusion), dtype, elements);
            rows.push((made.len(), form, measurement));
        }
        made.push(bench);
    }
    let seconds = |time: Time| time.gpu.unwrap_or(time.wall).as_secs_f64();
    in_rounds(duration, progress, || {
        for (number, form, row) in &mut rows {
            let bench: &W = &made[*number];
            row.fused_seconds.push(seconds(bench.fused(*form)?));
            row.chain_seconds.push(seconds(bench.chain(*form)?));
            row.copy_seconds.push(seconds(bench.copy()?));
        }
        Ok(())
    })?;
    Ok(rows.into_iter().map(|(.., row)| row).collect())
}

/// Makes buffers of a tensor's size.
pub fn tensors<const N: usize>(gpu: &Gpu, buffers: &Buffers) -> [wgpu::Buffer; N] {
    [(); N].map(|()| {
        gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("bench: rows"),
            size: buffers.tensor_bytes(),
            usage: BufferUsages::STORAGE | BufferUsages::COPY_DST | BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        })
    })
}

/// A buffer of random numbers, several for each column.
pub fn numbers(gpu: &Gpu, count: u32) -> Result<wgpu::Buffer> {
    let buffer = gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("bench: numbers"),
        size: 4 * u64::from(count),
        usage: BufferUsages::STORAGE | BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let content: Vec<f32> = random_input(count as usize)?;
    gpu.queue
        .write_buffer(&buffer, 0, bytemuck::cast_slice(&content));
    Ok(buffer)
}

/// The bind group of a pass of the chain.
pub fn group(
    gpu: &Gpu,
    layout: &wgpu::BindGroupLayout,
    windows: &[&BufferBinding<'_>],
) -> wgpu::BindGroup {
    let entries: Vec<_> = (0..)
        .zip(windows)
        .map(|(binding, window)| wgpu::BindGroupEntry {
            binding,
            resource: wgpu::BindingResource::Buffer((*window).clone()),
        })
        .collect();
    gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("bench: chain"),
        layout,
        entries: &entries,
    })
}

/// Workgroups of a pass over rows.
pub fn workgroups(buffers: &Buffers, columns: u32) -> u32 {
    let rows = buffers.len as u32 / columns;
    rows.div_ceil(256 / width(buffers.dtype, columns))
}

/// Invocations per row, at most 256. If they are fewer, each takes eight times 16 bytes.
fn width(dtype: Dtype, columns: u32) -> u32 {
    let words = columns / (16 / dtype.bytes() as u32);
    words.div_ceil(8).next_power_of_two().min(256)
}

/// The chain's passes over rows, and the layout of their buffers.
pub fn chain(
    gpu: &Gpu,
    dtype: Dtype,
    columns: u32,
    passes: &str,
    names: &[&'static str],
) -> (
    wgpu::BindGroupLayout,
    Vec<(&'static str, wgpu::ComputePipeline)>,
) {
    let text = format!(
        "const COLUMNS = {columns}u;\nconst WIDTH = {}u;\n{}\n{}\n{passes}",
        width(dtype, columns),
        fused::element_text(dtype),
        include_str!("chain_rows.wgsl"),
    );
    fused::pipelines(&gpu.device, &text, 3, names)
}
