//! Sums of columns and the gradients of scales, each compared with the sum of its terms in f64.

use super::checks::Audit;
use super::kernels::rate;
use super::random::Random;
use super::reference::{self, Uniforms};
use super::run::canary;
use super::work::{MARGIN_WORDS, Source};
use super::{Failure, Outcome};
use crate::host::round_trip::{self, Content};
use crate::{
    ColumnSums, CreateError, DropoutAdd, DropoutCall, DropoutKind, ElementType, KernelDescriptor,
    MaskKey, MaskLayout, Vectors,
};

/// A sum of the columns of a matrix.
struct Case {
    element: ElementType,
    /// The type of the output's gradient, for the gradient of a scale.
    stream: ElementType,
    rows: u64,
    columns: u32,
    /// For the gradient of a scale: the source of decisions, the call, and the bias that is added
    /// before the scale.
    scale: Option<(Source, DropoutCall, Vec<f32>)>,
    accumulate: bool,
    /// True if limits are lowered, so that each dispatch takes a part of the rows.
    is_cut: bool,
    /// The matrix; or, for the gradient of a scale, the input and the output's gradient.
    inputs: [Vec<u32>; 2],
    avoid: wgpu::Features,
}

/// The kernels of a device that leave some features unused.
struct Made {
    avoid: wgpu::Features,
    sums: ColumnSums,
    add: DropoutAdd,
    /// For residuals of `f32`.
    wide_add: DropoutAdd,
}

impl Audit<'_> {
    /// Checks each type and each source of decisions, with a bias and without. A long audit has all
    /// combinations.
    pub async fn columns(&self) -> Result<Outcome, Failure> {
        let random = &mut Random::new(self.seed(), 11);
        let (mut sums, mut calls) = (0, 0);
        let mut made = Vec::new();
        let cases = self.cases(random)?;
        let available = self
            .gpu
            .device
            .limits()
            .max_storage_buffers_per_shader_stage;
        for case in cases
            .into_iter()
            .filter(|case| case.storage_buffers() <= available)
        {
            if made.iter().all(|made: &Made| made.avoid != case.avoid) {
                made.push(self.make(case.avoid)?);
            }
            for kernels in made.iter().filter(|made| made.avoid == case.avoid) {
                case.check(kernels, self.gpu.queue).await?;
            }
            calls += 1;
            sums += case.columns;
        }
        Ok(Outcome::Passed {
            figure: format!("{sums} sums in {calls} calls"),
        })
    }

    fn make(&self, avoid: wgpu::Features) -> Result<Made, CreateError> {
        let descriptor = KernelDescriptor {
            label: Some("wgpu-dropout audit"),
            avoid,
            ..Default::default()
        };
        Ok(Made {
            avoid,
            sums: ColumnSums::new(self.gpu.device, &descriptor)?,
            add: DropoutAdd::new(self.gpu.device, &descriptor)?,
            wide_add: DropoutAdd::new(self.gpu.device, &descriptor)?.with_f32_residual()?,
        })
    }

    fn cases(&self, random: &mut Random) -> Result<Vec<Case>, Failure> {
        const NONE: wgpu::Features = wgpu::Features::empty();
        let elements = [ElementType::F32, ElementType::F16, ElementType::Bf16];
        let mut cases = Vec::new();
        let mut number = 0;
        let mut push = |element: ElementType, source: Option<Source>, bias: bool, avoid| {
            number += 1;
            let (rows, columns) = match &source {
                Some(source) => {
                    let columns = random.pick(&[36, 43]);
                    (source.len() / columns, columns as u32)
                }
                // Some matrices have more tiles than there are chains.
                None => (
                    random.pick(&[60, 1030]) + random.between(0, 300),
                    random.between(1, 600) as u32,
                ),
            };
            let drop_threshold = match number % 5 {
                0 if source.is_some() => 0,
                _ => random.word().into(),
            };
            let key = MaskKey::new(random.next(), random.next());
            let mut call = DropoutCall::new(rate(drop_threshold), key);
            if number % 4 == 1 {
                call = call.with_kind(DropoutKind::Classic);
            }
            call = call.with_origin(random.below(1 << 60));
            let is_cut = number % 3 == 0;
            // In a cut run, the bias has several rows, so that a later dispatch begins within it.
            let bias_rows = random.pick(&[3, 9, 1][..if is_cut { 2 } else { 3 }]);
            let bias_len = columns * bias_rows;
            let bias = (0..bias_len * u32::from(bias))
                .map(|_| one(random))
                .collect();
            let stream = match source {
                // Half of the 16-bit cases have a gradient of f32.
                Some(_) if number / 2 % 2 == 0 => ElementType::F32,
                _ => element,
            };
            let inputs = [element, stream].map(|element| {
                let words = (rows * u64::from(columns) * element.bytes()).div_ceil(4);
                (0..words).map(|_| pair(element, random)).collect()
            });
            cases.push(Case {
                element,
                stream,
                rows,
                columns,
                scale: source.map(|source| (source, call, bias)),
                accumulate: number % 2 == 0,
                is_cut,
                inputs,
                avoid,
            });
        };
        for element in elements {
            push(element, None, false, NONE);
        }
        for (place, source) in sources(36)?.into_iter().enumerate() {
            for (i, element) in elements.into_iter().enumerate() {
                for bias in [false, true] {
                    let is_first = place % 3 == i && bias == (place % 2 == 0);
                    if self.options.long || is_first {
                        push(element, Some(source.clone()), bias, NONE);
                    }
                }
            }
        }
        let ways = [wgpu::Features::SHADER_INT64, wgpu::Features::IMMEDIATES];
        for avoid in ways {
            if self.gpu.device.features().contains(avoid) {
                push(
                    ElementType::F32,
                    Some(Source::Linear(36 * 43 * 9)),
                    true,
                    avoid,
                );
            }
        }
        Ok(cases)
    }
}

/// One source for each kernel: consecutive elements, a packed mask, and rows, runs and any strides,
/// each with sample ids and without. A sample has 9 rows of 43 elements.
pub(super) fn sources(samples: u64) -> Result<[Source; 8], Failure> {
    let rest = 43 * 9;
    let len = samples * rest;
    let mask = (0..len.div_ceil(32) as u32).map(|word| (word + 1).wrapping_mul(0x9E37_79B9));
    let ids = (0..samples as u32).map(|sample| sample.wrapping_mul(77) ^ 5);
    let ids: Vec<_> = ids.collect();
    let with_ids = |layout: &MaskLayout| Source::Samples(layout.clone(), ids.clone());
    let rows = MaskLayout::strided(&[samples, rest], &[rest + 5, 1])?;
    let runs = MaskLayout::drop_path(&[samples, rest])?;
    let scattered = MaskLayout::strided(&[samples, 3, rest / 3], &[1, 7, 2])?;
    Ok([
        Source::Linear(len),
        Source::Packed(mask.collect(), len),
        with_ids(&rows),
        Source::Layout(rows),
        with_ids(&runs),
        Source::Layout(runs),
        with_ids(&scattered),
        Source::Layout(scattered),
    ])
}

/// A number from 1/2 to 2, of either sign. It is large enough that a missing term shows.
pub(super) fn one(random: &mut Random) -> f32 {
    f32::from_bits(random.word() & 0x80ff_ffff | 0x3f00_0000)
}

/// A word that holds one element, or two of 16 bits.
fn pair(element: ElementType, random: &mut Random) -> u32 {
    let mut bits = || reference::encode(element, one(random));
    match element {
        ElementType::F32 => bits(),
        _ => bits() | bits() << 16,
    }
}

impl Case {
    /// The number of storage buffers that the first kernel binds.
    fn storage_buffers(&self) -> u32 {
        match &self.scale {
            None => 2,
            Some((source, _, bias)) => {
                3 + u32::from(!source.side().is_empty()) + u32::from(!bias.is_empty())
            }
        }
    }

    fn number(&self, input: usize, element: u64) -> f32 {
        let of_type = [self.element, self.stream][input];
        let bits = reference::bits(of_type, &self.inputs[input], element);
        reference::decode(of_type, bits)
    }

    /// For each column, the sum of its terms and the sum of their magnitudes.
    fn expected(&self) -> Vec<[f64; 2]> {
        let mut sums = vec![[0.0; 2]; self.columns as usize];
        let call = self.scale.as_ref().map(|(_, call, _)| call);
        let mut uniforms = Uniforms::new(call.map_or(MaskKey::new(0, 0), |call| call.key));
        let threshold = call.map_or(0, super::work::drop_threshold);
        let factor = call.map_or(1.0, |call| reference::factor(call.kind, threshold));
        for element in 0..self.rows * u64::from(self.columns) {
            let x = self.number(0, element);
            let term = match &self.scale {
                None => x.into(),
                Some((source, call, bias)) => {
                    if !source.keeps(element, call, &mut uniforms) {
                        continue;
                    }
                    let number = element.checked_rem(bias.len() as u64);
                    let x = x + number.map_or(0.0, |number| bias[number as usize]);
                    f64::from(x) * f64::from(factor) * f64::from(self.number(1, element))
                }
            };
            let sum = &mut sums[(element % u64::from(self.columns)) as usize];
            sum[0] += term;
            sum[1] += term.abs();
        }
        sums
    }

    async fn check(&self, kernels: &Made, queue: &wgpu::Queue) -> Result<(), Failure> {
        let device = kernels.sums.device();
        let bytes = ColumnSums::scratch_bytes(self.rows, self.columns);
        let scratch: Vec<_> = (0..bytes as usize / 4 + MARGIN_WORDS).map(canary).collect();
        // The sums' range holds 3.5 before the run, to which accumulation adds.
        let columns = self.columns as usize;
        let sums = (0..columns + MARGIN_WORDS).map(|word| match word < columns {
            true => 3.5f32.to_bits(),
            false => canary(word),
        });
        let sums: Vec<_> = sums.collect();
        let side = match &self.scale {
            Some((source, ..)) if !source.side().is_empty() => source.side(),
            _ => &[0],
        };
        let bias = match &self.scale {
            Some((_, _, bias)) => bias.as_slice(),
            None => &[],
        };
        // The kernel does not read the scale itself.
        let vectors: Vec<_> = bias
            .iter()
            .copied()
            .chain((0..columns).map(|_| 1.0))
            .collect();
        let contents = [
            Content::Constant(bytemuck::cast_slice(&self.inputs[0])),
            Content::Constant(bytemuck::cast_slice(&self.inputs[1])),
            Content::Constant(bytemuck::cast_slice(side)),
            Content::Constant(bytemuck::cast_slice::<f32, u8>(&vectors)),
            Content::Bytes(bytemuck::cast_slice(&scratch)),
            Content::Bytes(bytemuck::cast_slice(&sums)),
        ];
        let mut words: Vec<u32> = Vec::new();
        let room_bytes = 4 * MARGIN_WORDS as u64;
        // Parts of two tiles: in bytes such a part is a multiple of any device's alignment.
        let part_bytes = 2 * 128 * u64::from(self.columns) * self.element.bytes();
        let alignment_bytes = u64::from(device.limits().min_storage_buffer_offset_alignment);
        let granules = match self.is_cut {
            true => part_bytes.div_ceil(alignment_bytes),
            false => u64::MAX,
        };
        round_trip::run(device, queue, &contents, &mut words, |pass, buffers| {
            let [matrix, gradient, side, vectors, scratch, sums] =
                [0, 1, 2, 3, 4, 5].map(|place| buffers[place].as_entire_buffer_binding());
            match &self.scale {
                None => {
                    let kernels = kernels.sums.lowered(granules, room_bytes);
                    let shape = (self.rows, self.columns);
                    let binding = kernels.bind(matrix, scratch, sums, shape, self.element)?;
                    kernels.encode(pass, &binding, self.accumulate);
                }
                Some((source, call, bias)) => {
                    let kernels = match self.stream == self.element {
                        true => &kernels.add,
                        false => &kernels.wide_add,
                    };
                    let kernels = kernels.lowered(granules, room_bytes);
                    let vectors = match bias.len() as u32 {
                        0 => Vectors::scale(vectors, self.columns),
                        len => Vectors::bias_and_scale(vectors, len, self.columns),
                    };
                    let elements = source.elements(side).of_type(self.element);
                    let binding = kernels
                        .bind_scale_gradient(matrix, gradient, vectors, scratch, sums, elements)?;
                    kernels.encode_scale_gradient(pass, &binding, call, self.accumulate)?;
                }
            }
            Ok(())
        })
        .await?;
        let (scratch_after, sums_after) = words.split_at(scratch.len());
        let margins = [(&scratch, scratch_after), (&sums, sums_after)];
        for (before, after) in margins {
            let margin = before.len() - MARGIN_WORDS..;
            if before[margin.clone()] != after[margin] {
                let expected = format!("the words after the sums unchanged ({self})");
                return Err(Failure::new(expected, "others"));
            }
        }
        // A term has three roundings. A sum has one per row of a tile, one per tile of a chain, and
        // six for the chains.
        let tiles = self.rows.div_ceil(64);
        let roundings = (3 + 64 + tiles.div_ceil(16) + 6) as f64;
        let before = if self.accumulate { 3.5 } else { 0.0 };
        for (column, ([sum, magnitude], bits)) in
            self.expected().into_iter().zip(sums_after).enumerate()
        {
            let got = f64::from(f32::from_bits(*bits));
            let bound = roundings * f64::from(f32::EPSILON) * (magnitude + before);
            let wrong = (got - before - sum).abs();
            if wrong.is_nan() || wrong > bound {
                let sum = before + sum;
                let expected = format!("{sum:e} within {bound:e} in column {column} ({self})");
                return Err(Failure::new(expected, format!("{got:e}")));
            }
        }
        Ok(())
    }
}

impl core::fmt::Display for Case {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self {
            element,
            stream,
            rows,
            columns,
            ..
        } = self;
        write!(f, "{rows} rows of {columns} {element}")?;
        if let Some((source, call, bias)) = &self.scale {
            let source = match source {
                Source::Linear(_) => String::new(),
                Source::Packed(..) => ", packed mask".into(),
                Source::Layout(layout) => format!(", {layout:?}"),
                Source::Samples(layout, _) => format!(", {layout:?}, sample ids"),
            };
            let bias = bias.len();
            write!(
                f,
                ", gradient of a scale from one of {stream}, after a bias of {bias}{source}; {call}"
            )?;
        }
        if self.accumulate {
            f.write_str(", accumulated")?;
        }
        Ok(())
    }
}
