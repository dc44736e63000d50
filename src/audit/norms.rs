//! Norms after a residual and a branch, and their gradients. Each result is compared with its
//! definition in f64 \[M25\].

use super::checks::Audit;
use super::columns::one;
use super::random::Random;
use super::reference::{self, Expected, Uniforms, bits, branch, decode, encode};
use super::rows::{self, ADDITIONS, EPSILON, Rows};
use super::run::canary;
use super::work::{MARGIN_WORDS, drop_threshold};
use super::{Failure, Outcome};
use crate::host::round_trip::{self, Content};
use crate::kernel::activated::Decide;
use crate::{
    ColumnSums, CreateError, DropoutAddNorm, ElementType, GammaBuffers, KernelDescriptor,
    MaskPlace, Norm, NormVectors,
};

/// The content of the gradient of γ before the run, to which accumulation adds.
const BEFORE: f32 = 3.5;

/// The ranges, in the order of their buffers.
const INPUT: usize = 0;
const RESIDUAL: usize = 1;
const GRADIENT: usize = 2;
const OUTPUT: usize = 3;
const GRAD_SUM: usize = 4;
const SUM: usize = 5;
const MASKED: usize = 6;
const RANGES: usize = 7;

/// One tensor.
struct Case {
    norm: Norm,
    place: MaskPlace,
    rows: Rows,
    bias: Vec<f32>,
    gamma: Vec<f32>,
    beta: Vec<f32>,
    /// True if the sum overwrites the residual, and the masked gradient overwrites the gradient.
    in_place: bool,
    accumulate: bool,
    avoid: wgpu::Features,
    /// The contents of the ranges, each with a margin after it.
    before: [Vec<u32>; RANGES],
}

/// The factor 1 / deviation of a row, its normed numbers, and the bounds of their errors.
struct Row {
    factor: f64,
    normed: Vec<f64>,
    bounds: Vec<f64>,
}

impl Audit<'_> {
    /// Checks each type and each source of decisions, with dropout on the branch and on the output.
    /// A long audit has all combinations.
    pub async fn norms(&self) -> Result<Outcome, Failure> {
        let random = &mut Random::new(self.seed(), 13);
        let mut elements = 0;
        let cases = cases(self.options.long, self.gpu.device.features(), random)?;
        // In place and without a side, a case takes four storage buffers, which every device has.
        let available = self
            .gpu
            .device
            .limits()
            .max_storage_buffers_per_shader_stage;
        let cases: Vec<_> = cases
            .into_iter()
            .filter(|case| case.storage_buffers() <= available)
            .collect();
        for case in &cases {
            elements += case.check(self.gpu.device, self.gpu.queue).await?;
        }
        Ok(Outcome::Passed {
            figure: format!("{elements} elements in {} calls", cases.len()),
        })
    }
}

fn cases(long: bool, features: wgpu::Features, random: &mut Random) -> Result<Vec<Case>, Failure> {
    // Each of these 36 numbers has a different combination of type, place, source and ranges.
    let numbers = rows::numbers(long, [36, 6], &[0, 7, 14, 21, 28, 35], features);
    let numbers = numbers.into_iter();
    numbers
        .map(|(number, avoid)| case(number, avoid, random))
        .collect()
}

fn case(number: usize, avoid: wgpu::Features, random: &mut Random) -> Result<Case, Failure> {
    let decide = [Decide::Linear, Decide::Drawn, Decide::BySide][number / 12];
    let rows = Rows::new(number, decide, [3, 35], random)?;
    let norm = match number % 4 {
        3 => Norm::rms(0.25)?,
        _ => Norm::layer(0.125)?,
    };
    // The mean is many times the deviation, so that moments computed in one pass would be wrong.
    let mean = if rows.element == ElementType::F32 {
        1e4
    } else {
        32.0
    };
    // Gradients and γ have a mean too: the correction of a row's mean counts as often as they do.
    let before = [0.0, mean, 1.0, 0.0, 0.0, 0.0, 0.0].map(|mean| rows.about(mean, random));
    let columns = rows.columns;
    let mut vector = |len: u32| (0..len).map(|_| one(random)).collect::<Vec<_>>();
    let bias_len = [columns, 3 * columns, 0][number % 5 % 3];
    let (bias, mut gamma) = (vector(bias_len), vector(columns));
    gamma.iter_mut().for_each(|number| *number += 0.5);
    let beta = if norm.is_rms() {
        vec![]
    } else {
        vector(columns)
    };
    Ok(Case {
        norm,
        place: [MaskPlace::Branch, MaskPlace::Output][number / 3 % 2],
        rows,
        bias,
        gamma,
        beta,
        in_place: (number / 6).is_multiple_of(2),
        accumulate: number.is_multiple_of(2),
        avoid,
        before,
    })
}

impl Case {
    fn storage_buffers(&self) -> u32 {
        let has_side = !self.rows.source.side().is_empty();
        4 + u32::from(!self.in_place) + u32::from(has_side)
    }

    /// The number of the buffer that holds a range.
    fn at(&self, range: usize) -> usize {
        match range {
            SUM if self.in_place => RESIDUAL,
            MASKED if self.in_place => GRADIENT,
            range => range,
        }
    }

    fn kernels(&self, device: &wgpu::Device) -> Result<DropoutAddNorm, CreateError> {
        let descriptor = KernelDescriptor {
            avoid: self.avoid,
            ..Default::default()
        };
        DropoutAddNorm::new(device, &descriptor, self.norm, self.place)
    }

    /// Runs the case and compares it. Returns the number of elements.
    async fn check(&self, device: &wgpu::Device, queue: &wgpu::Queue) -> Result<u64, Failure> {
        let (rows, columns) = (self.rows.number_of_rows(), self.rows.columns);
        let margin =
            |words: u64| -> Vec<u32> { (0..words as usize + MARGIN_WORDS).map(canary).collect() };
        let moments = margin(DropoutAddNorm::moments_bytes(rows) / 4);
        let scratch = margin(ColumnSums::scratch_bytes(rows, columns) / 4);
        let mut gamma = margin(columns.into());
        gamma[..columns as usize].fill(BEFORE.to_bits());
        let side = [self.rows.source.side(), &[0]].concat();
        let numbers = [&self.bias[..], &self.gamma, &self.beta].concat();
        let constants = [bytemuck::cast_slice(&side), bytemuck::cast_slice(&numbers)];
        let written = self.before.iter().chain([&moments, &scratch, &gamma]);
        let written = written.map(|words| Content::Bytes(bytemuck::cast_slice(words)));
        let contents: Vec<_> = written.chain(constants.map(Content::Constant)).collect();
        let kernels = self.kernels(device)?;
        let kernels = kernels.lowered(self.rows.granules(device), 4 * MARGIN_WORDS as u64);
        let mut words: Vec<u32> = Vec::new();
        let record = |pass: &mut wgpu::ComputePass<'_>, buffers: &[wgpu::Buffer]| {
            let buffer = |place: usize| buffers[place].as_entire_buffer_binding();
            let at = |range| buffer(self.at(range));
            let elements = || {
                let side = buffer(RANGES + 3);
                self.rows.source.elements(side).of_type(self.rows.element)
            };
            let vectors = || match self.bias.len() as u32 {
                0 => NormVectors::new(buffer(RANGES + 4), columns),
                len => NormVectors::with_bias(buffer(RANGES + 4), columns, len),
            };
            let forward = match self.in_place {
                true => {
                    kernels.bind_in_place(at(INPUT), at(SUM), at(OUTPUT), vectors(), elements())?
                }
                false => kernels.bind(
                    at(INPUT),
                    Some(at(RESIDUAL)),
                    Some(at(SUM)),
                    at(OUTPUT),
                    vectors(),
                    elements(),
                )?,
            };
            kernels.encode_forward(pass, &forward, &self.rows.call)?;
            let on_branch = self.place == MaskPlace::Branch;
            let of_gamma = GammaBuffers {
                grad_normed: at(if on_branch { GRADIENT } else { MASKED }),
                sum: at(SUM),
                moments: buffer(RANGES),
                scratch: buffer(RANGES + 1),
                grad_gamma: buffer(RANGES + 2),
            };
            let of_gamma =
                kernels.bind_gamma_gradient(of_gamma, (rows, columns), self.rows.element)?;
            if on_branch {
                kernels.encode_gamma_gradient(pass, &of_gamma, self.accumulate);
            }
            let backward = match self.in_place {
                true => kernels.bind_backward_in_place(
                    at(GRADIENT),
                    at(SUM),
                    at(GRAD_SUM),
                    vectors(),
                    elements(),
                )?,
                false => kernels.bind_backward(
                    at(GRADIENT),
                    at(SUM),
                    at(GRAD_SUM),
                    at(MASKED),
                    vectors(),
                    elements(),
                )?,
            };
            kernels.encode_backward(pass, &backward, &self.rows.call, self.accumulate)?;
            if !on_branch {
                kernels.encode_gamma_gradient(pass, &of_gamma, self.accumulate);
            }
            Ok(())
        };
        round_trip::run(device, queue, &contents, &mut words, record).await?;
        let mut rest = &words[..];
        let mut next = |len| rest.split_off(..len).unwrap_or_default();
        let after = self.before.each_ref().map(|before| next(before.len()));
        let memory = [&moments, &scratch, &gamma];
        let memory_after = memory.map(|before| next(before.len()));
        let written = [OUTPUT, GRAD_SUM, SUM, MASKED].map(|range| self.at(range));
        for (range, (before, after)) in self.before.iter().zip(after).enumerate() {
            let ranges = [&before[..], after];
            self.rows
                .compare_outside(ranges, written.contains(&range), self)?;
        }
        for (before, after) in memory.iter().zip(memory_after) {
            let margin = before.len() - MARGIN_WORDS..;
            if before[margin.clone()] != after[margin] {
                let expected = format!("the words behind gradients as they were ({self})");
                return Err(Failure::new(expected, "others"));
            }
        }
        self.compare(&after, memory_after[2])?;
        Ok(self.rows.source.len())
    }

    /// The moments and the normed numbers of a row, computed from the sums that the device stored.
    fn row(&self, sum: &[f64]) -> Row {
        let n = sum.len() as f64;
        let is_rms = self.norm.is_rms();
        let mean = if is_rms {
            0.0
        } else {
            sum.iter().sum::<f64>() / n
        };
        let variance = sum.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        let factor = 1.0 / (variance + f64::from(self.norm.epsilon())).sqrt();
        let normed: Vec<_> = sum.iter().map(|x| (x - mean) * factor).collect();
        let k = ADDITIONS;
        let bound = |normed: &f64| {
            let relative = EPSILON * (k / 2.0 + 8.0) * normed.abs();
            let shift = EPSILON * (k + 4.0) + (k * EPSILON).powi(2) * mean.abs() * factor;
            relative + if is_rms { 0.0 } else { shift }
        };
        Row {
            factor,
            bounds: normed.iter().map(bound).collect(),
            normed,
        }
    }

    fn compare(&self, after: &[&[u32]; RANGES], gamma: &[u32]) -> Result<(), Failure> {
        let ty = self.rows.element;
        let scale = reference::factor(self.rows.call.kind, drop_threshold(&self.rows.call));
        let on_output = self.place == MaskPlace::Output;
        let mut uniforms = Uniforms::new(self.rows.call.key);
        let of = |range: usize, element| bits(ty, after[self.at(range)], element);
        let old = |range: usize, element| bits(ty, &self.before[range], element);
        // The masked gradient's element, from the gradient's bits.
        let masked_bits = |from: u32, kept: bool| match kept {
            true if scale == 1.0 => Expected::BitsOrZero(from),
            true => Expected::BitsOrZero(encode(ty, decode(ty, from) * scale)),
            false => Expected::Bits(0),
        };
        let mut gammas = vec![[0.0; 2]; self.rows.columns as usize];
        let wrong =
            |what, element, expected, got| self.rows.compare((what, element, got), expected, self);
        for row in 0..self.rows.number_of_rows() {
            let first = self.rows.elements(row).start;
            let keep = self.rows.kept(row, &mut uniforms);
            let moments = self.row(&self.rows.numbers(after[self.at(SUM)], row));
            let grads = match on_output {
                true => self.rows.numbers(after[self.at(MASKED)], row),
                false => self.rows.numbers(&self.before[GRADIENT], row),
            };
            let weighed = grads.iter().zip(&self.gamma);
            let weighed: Vec<_> = weighed
                .map(|(grad, gamma)| grad * f64::from(*gamma))
                .collect();
            let means = self.means(&moments, &weighed);
            for (column, kept) in keep.into_iter().enumerate() {
                let element = first + column as u64;
                let bias = element.checked_rem(self.bias.len() as u64);
                let bias = bias.map(|number| self.bias[number as usize]);
                let (input, residual) = (old(INPUT, element), old(RESIDUAL, element));
                let (factor, kept_here) = if on_output {
                    (1.0, true)
                } else {
                    (scale, kept)
                };
                let sum = branch(
                    [ty; 2],
                    input,
                    [bias, None],
                    factor,
                    Some(residual),
                    kept_here,
                );
                wrong("sum", element, sum, of(SUM, element))?;

                let (normed, bound) = (moments.normed[column], moments.bounds[column]);
                let gamma = f64::from(self.gamma[column]);
                let beta = self.beta.get(column).map_or(0.0, |beta| f64::from(*beta));
                let product = normed * gamma;
                let mut output = product + beta;
                let mut wide = bound * gamma.abs() + EPSILON * (product.abs() + output.abs());
                if on_output {
                    wide = (wide + EPSILON * output.abs()) * f64::from(scale);
                    output *= f64::from(scale);
                }
                let expected = match on_output && !kept {
                    true => Expected::Bits(0),
                    false => Expected::near(output, wide),
                };
                wrong("output", element, expected, of(OUTPUT, element))?;

                let before = match self.accumulate {
                    true => f64::from(decode(ty, old(GRAD_SUM, element))),
                    false => 0.0,
                };
                let (grad, bound_of_grad) = self.sum_gradient(&moments, &weighed, &means, column);
                let expected = Expected::near(before + grad, bound_of_grad);
                let grad_sum = of(GRAD_SUM, element);
                wrong("gradient of the sum", element, expected, grad_sum)?;
                let from = match on_output {
                    true => old(GRADIENT, element),
                    false => grad_sum,
                };
                let masked = of(MASKED, element);
                wrong("masked gradient", element, masked_bits(from, kept), masked)?;

                let sums = &mut gammas[column];
                let term = grads[column] * normed;
                sums[0] += term;
                sums[1] += grads[column].abs() * bound + ADDITIONS * EPSILON * term.abs();
            }
        }
        let before = if self.accumulate { BEFORE } else { 0.0 };
        for (column, ([sum, bound], got)) in gammas.into_iter().zip(gamma).enumerate() {
            let (sum, got) = (sum + f64::from(before), f64::from(f32::from_bits(*got)));
            let bound = bound + ADDITIONS * EPSILON * f64::from(before);
            let error = (got - sum).abs();
            if error.is_nan() || error > bound {
                let what = format!("{sum:e} within {bound:e} for γ of column {column} ({self})");
                return Err(Failure::new(what, format!("{got:e}")));
            }
        }
        Ok(())
    }

    /// The means over a row of five terms: the weighed gradient, its product with the normed
    /// number, the magnitudes of these two, and the error of the product.
    fn means(&self, row: &Row, weighed: &[f64]) -> [f64; 5] {
        let mut sums = [0.0; 5];
        for ((grad, normed), bound) in weighed.iter().zip(&row.normed).zip(&row.bounds) {
            let product = grad * normed;
            let terms = [
                *grad,
                product,
                grad.abs(),
                product.abs(),
                grad.abs() * bound,
            ];
            for (sum, term) in sums.iter_mut().zip(terms) {
                *sum += term;
            }
        }
        let mut means = sums.map(|sum| sum / weighed.len() as f64);
        if self.norm.is_rms() {
            means[0] = 0.0;
        }
        means
    }

    /// The gradient of the sum, and its bound.
    fn sum_gradient(
        &self,
        row: &Row,
        weighed: &[f64],
        [mean, slope, size, slope_size, slope_error]: &[f64; 5],
        column: usize,
    ) -> (f64, f64) {
        let (grad, x, e) = (weighed[column], row.normed[column], row.bounds[column]);
        let k = ADDITIONS;
        let mut bound = (k + 8.0) * EPSILON * (size + x.abs() * slope_size);
        bound += (k / 2.0 + 12.0) * EPSILON * grad.abs();
        bound += e * (slope.abs() + x.abs() * size) + x.abs() * slope_error;
        (row.factor * (grad - mean - x * slope), row.factor * bound)
    }
}

impl core::fmt::Display for Case {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self {
            norm,
            place,
            rows:
                Rows {
                    element,
                    columns,
                    call,
                    ..
                },
            in_place,
            ..
        } = self;
        let bias = self.bias.len();
        write!(
            f,
            "{norm:?}, {place:?}, rows of {columns} {element}, in place: {in_place}, bias of {bias}; {call}"
        )
    }
}
