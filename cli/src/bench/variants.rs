//! Layouts, kinds, sample ids and a packed mask on the GPU, compared with the kernel of consecutive
//! indices and with the copy.

use std::fmt;
use std::slice;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use wgpu::BufferUsages;
use wgpu_dropout::mask::mask_words;
use wgpu_dropout::{
    Direction, Dropout, DropoutBinding, DropoutCall, DropoutKind, DropoutRate, Elements,
    KernelDescriptor, MaskLayout, MaskSource, cpu,
};

use super::buffers::{Buffers, check_memory, random_input, zeros};
use super::dtype::Dtype;
use super::gpu::{GpuTensors, Pair, checked};
use super::measure::{Measurement, Operation, Place, Time, in_rounds};
use crate::engine::Gpu;

/// Elements of a tensor. One size is enough for ratios.
pub const LEN: usize = 1 << 22;

/// The most pairs on a software adapter, for which a round through more would take many seconds.
const MAX_SOFTWARE_PAIRS: usize = 4;

/// The number of samples in layouts with ids.
const SAMPLES: u64 = 64;

/// A forward operation on a tensor, whose shape has [`LEN`] elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    /// A copy that reads and writes the same bytes.
    Copy,
    /// Dropout of elements with consecutive mask indices.
    Linear,
    Classic,
    Alpha,
    Gaussian,
    /// A layout with rows of 1024 elements.
    TimeLocked,
    /// A layout with rows of 64 elements.
    FeatureChannelsLast,
    /// A layout with runs of 4096 elements.
    FeatureChannelsFirst,
    /// A layout with runs of 65,536 elements.
    DropPath,
    /// A transposed layout, whose elements are scattered over the mask.
    Transposed,
    SampleIds,
    PackedMask,
}

impl Variant {
    /// The order is such that no two successive variants leave equal outputs.
    const ALL: [Self; 12] = [
        Self::Copy,
        Self::Linear,
        Self::Classic,
        Self::Alpha,
        Self::Gaussian,
        Self::TimeLocked,
        Self::FeatureChannelsLast,
        Self::FeatureChannelsFirst,
        Self::DropPath,
        Self::Transposed,
        Self::SampleIds,
        Self::PackedMask,
    ];

    fn layout(self) -> Result<MaskLayout> {
        Ok(match self {
            Self::TimeLocked => MaskLayout::time_locked_batch_first(&[16, 256, 1024])?,
            Self::FeatureChannelsLast => MaskLayout::feature_channels_last(&[16, 64, 64, 64])?,
            Self::FeatureChannelsFirst => MaskLayout::feature_channels_first(&[16, 64, 64, 64])?,
            Self::DropPath => MaskLayout::drop_path(&[64, 65_536])?,
            Self::Transposed => MaskLayout::elementwise(&[2048, 2048])?.permuted(&[1, 0])?,
            Self::SampleIds => MaskLayout::elementwise(&[SAMPLES, LEN as u64 / SAMPLES])?,
            _ => MaskLayout::linear(LEN as u64),
        })
    }

    fn call(self, call: &DropoutCall) -> DropoutCall {
        match self {
            Self::Copy => DropoutCall {
                rate: DropoutRate::ZERO,
                ..*call
            },
            Self::Classic => call.with_kind(DropoutKind::Classic),
            Self::Alpha => call.with_kind(DropoutKind::Alpha),
            Self::Gaussian => call.with_kind(DropoutKind::Gaussian),
            _ => *call,
        }
    }

    /// The largest difference between the GPU's value of `x` and the CPU path's, `y`, if each is
    /// within the library's bound of the exact value.
    fn tolerance(self, call: &DropoutCall, x: f32, y: f32) -> f32 {
        let two_23 = f32::EPSILON;
        match self {
            Self::Alpha => 4.0 * two_23 * ((x * call.keep_scale()).abs() + call.keep_shift().abs()),
            Self::Gaussian => 2.0 * (x.abs() * call.rate.sigma() / 256.0 + y.abs() * two_23),
            _ => 0.0,
        }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Copy => "copy",
            Self::Linear => "dropout",
            Self::Classic => "classic dropout",
            Self::Alpha => "alpha dropout",
            Self::Gaussian => "Gaussian dropout",
            Self::TimeLocked => "time-locked (16, 256, 1024)",
            Self::FeatureChannelsLast => "feature, channels last (16, 64, 64, 64)",
            Self::FeatureChannelsFirst => "feature, channels first (16, 64, 64, 64)",
            Self::DropPath => "drop path (64, 65536)",
            Self::Transposed => "transposed (2048, 2048)",
            Self::SampleIds => "64 samples with ids",
            Self::PackedMask => "packed mask",
        })
    }
}

/// One row of the table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VariantMeasurement {
    pub variant: Variant,
    #[serde(flatten)]
    pub measurement: Measurement,
}

/// The packed mask and the sample ids.
struct Sides {
    ids: Vec<u32>,
    mask: Vec<u32>,
}

struct Bench<'a> {
    tensors: &'a GpuTensors<'a>,
    dropout: Dropout,
    sides: Sides,
    ids: wgpu::Buffer,
    mask: wgpu::Buffer,
    call: DropoutCall,
}

/// Verifies each variant against the CPU path, then measures all of them in turn.
pub fn measure(
    gpu: &Gpu,
    call: &DropoutCall,
    duration: Duration,
    progress: impl Fn(f64),
) -> Result<(Buffers, Vec<VariantMeasurement>)> {
    let mut buffers = Buffers::plan(Dtype::F32, LEN, Some(gpu))?;
    if gpu.is_software() {
        buffers.pairs = buffers.pairs.min(MAX_SOFTWARE_PAIRS);
    }
    check_memory(slice::from_ref(&buffers), true)?;
    let input = random_input(LEN)?;
    let tensors = GpuTensors::new(gpu, &buffers, &input)?;
    let bench = checked(&gpu.device, || Bench::new(gpu, &tensors, call))?;
    let mut work = Vec::new();
    for variant in Variant::ALL {
        // Noise for a rate of 1 would need an infinite variance.
        if variant == Variant::Gaussian && call.rate.drops_all() {
            continue;
        }
        let bound = checked(&gpu.device, || bench.bind(variant))?;
        bench.time(variant, &bound)?;
        compare(
            variant,
            &variant.call(call),
            &input,
            &tensors.first_output()?,
            &bench.expected(variant, &input)?,
        )
        .with_context(|| format!("{variant}: nothing was timed"))?;
        let operation = match variant {
            Variant::Copy => Operation::Copy,
            _ => Operation::Forward,
        };
        let row = VariantMeasurement {
            variant,
            measurement: Measurement::new(Place::Gpu, operation, &buffers),
        };
        work.push((bound, row));
    }
    in_rounds(duration, progress, || {
        for (bound, row) in &mut work {
            let time = bench.time(row.variant, bound)?;
            row.measurement.push(time, buffers.pairs);
        }
        Ok(())
    })?;
    Ok((buffers, work.into_iter().map(|(_, row)| row).collect()))
}

impl<'a> Bench<'a> {
    fn new(gpu: &Gpu, tensors: &'a GpuTensors<'a>, call: &DropoutCall) -> Result<Self> {
        let mut mask = vec![0; mask_words(LEN as u64) as usize];
        cpu::keep_mask(LEN, &mut mask, call)?;
        let sides = Sides {
            // Any ids will do that differ from the samples' positions.
            ids: (0..SAMPLES as u32).rev().collect(),
            mask,
        };
        let upload = |label, words: &[u32]| {
            let buffer = gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size: size_of_val(words) as u64,
                usage: BufferUsages::STORAGE | BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            gpu.queue
                .write_buffer(&buffer, 0, bytemuck::cast_slice(words));
            buffer
        };
        Ok(Self {
            tensors,
            dropout: Dropout::new(&gpu.device, &KernelDescriptor::default())?,
            ids: upload("bench: sample ids", &sides.ids),
            mask: upload("bench: packed mask", &sides.mask),
            sides,
            call: *call,
        })
    }

    fn bind(&self, variant: Variant) -> Result<Vec<DropoutBinding>> {
        let layout = variant.layout()?;
        let elements = match variant {
            Variant::SampleIds => Elements::samples(&layout, self.ids.as_entire_buffer_binding()),
            Variant::PackedMask => {
                Elements::packed(self.mask.as_entire_buffer_binding(), layout.len())
            }
            _ => Elements::from(&layout),
        };
        let bind = |[input, output]: Pair<'_>| self.dropout.bind(input, output, elements.clone());
        let bindings = self.tensors.pairs().map(bind);
        Ok(bindings.collect::<Result<_, _>>()?)
    }

    fn time(&self, variant: Variant, bindings: &[DropoutBinding]) -> Result<Time> {
        let call = variant.call(&self.call);
        self.tensors.time(|pass| {
            for binding in bindings {
                self.dropout.encode_forward(pass, binding, &call)?;
            }
            Ok(())
        })
    }

    /// The CPU path's result for `input`.
    fn expected(&self, variant: Variant, input: &[f32]) -> Result<Vec<f32>> {
        let (layout, call) = (variant.layout()?, variant.call(&self.call));
        let Sides { ids, mask } = &self.sides;
        let source = match variant {
            Variant::SampleIds => MaskSource::Samples {
                layout: &layout,
                ids,
            },
            Variant::PackedMask => MaskSource::Packed {
                mask,
                len: layout.len(),
            },
            _ => MaskSource::Layout(&layout),
        };
        let mut output = zeros(input.len())?;
        cpu::apply(Direction::Forward, source, (input, &mut output[..]), &call)?;
        Ok(output)
    }
}

fn compare(
    variant: Variant,
    call: &DropoutCall,
    input: &[f32],
    output: &[f32],
    expected: &[f32],
) -> Result<()> {
    ensure!(
        output.len() == expected.len(),
        "the output has {} elements, the CPU path's {}",
        output.len(),
        expected.len()
    );
    for (index, ((&x, &y), &expected)) in input.iter().zip(output).zip(expected).enumerate() {
        let tolerance = variant.tolerance(call, x, expected);
        ensure!(
            y.to_bits() == expected.to_bits() || (y - expected).abs() < tolerance,
            "element {index} is {y:e}, the CPU path's {expected:e}; they may differ by \
             {tolerance:e}"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_beyond_its_tolerance_is_a_mismatch() {
        let rate = DropoutRate::new(0.5).unwrap();
        for (variant, expected, inside, outside) in [
            (Variant::Linear, 2.0, 2.0, 2.0f32.next_up()),
            (Variant::Linear, 0.0, 0.0, -0.0),
            (Variant::Alpha, 1.5, 1.5f32.next_up(), 1.500_1),
            (Variant::Gaussian, 1.5, 1.504, 1.51),
        ] {
            let call = variant.call(&DropoutCall::new(rate, wgpu_dropout::MaskKey::new(1, 2)));
            let compare = |y| compare(variant, &call, &[1.0], &[y], &[expected]);
            assert!(compare(inside).is_ok(), "{variant}");
            assert!(compare(outside).is_err(), "{variant}");
        }
        let call = DropoutCall::new(rate, wgpu_dropout::MaskKey::new(1, 2));
        assert!(compare(Variant::Copy, &call, &[1.0], &[], &[1.0]).is_err());
    }

    #[test]
    fn every_layout_has_all_elements() {
        for variant in Variant::ALL {
            assert_eq!(variant.layout().unwrap().len(), LEN as u64, "{variant}");
        }
    }
}
