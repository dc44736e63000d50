//! Softmaxes before a dropout, and their gradients. Each result is compared with its definition in
//! f64 \[M26\].

use super::checks::Audit;
use super::columns::one;
use super::random::Random;
use super::reference::{self, Expected, Uniforms, bits, encode};
use super::rows::{self, ADDITIONS, EPSILON, Rows};
use super::work::{MARGIN_WORDS, drop_threshold};
use super::{Failure, Outcome};
use crate::host::round_trip::{self, Content};
use crate::kernel::activated::Decide;
use crate::{AdditiveMask, AttentionMask, KernelDescriptor, SavedSoftmax, Softmax, SoftmaxDropout};

/// The ranges, in the order of their buffers.
const SCORES: usize = 0;
const GRADIENT: usize = 1;
const OUTPUT: usize = 2;
const PROBABILITIES: usize = 3;
const FROM_SCORES: usize = 4;
const FROM_PROBABILITIES: usize = 5;
const RANGES: usize = 6;

/// One tensor.
struct Case {
    softmax: Softmax,
    mask: AttentionMask<Vec<f32>>,
    rows: Rows,
    /// True if results overwrite scores and gradients.
    in_place: bool,
    avoid: wgpu::Features,
    /// The contents of the ranges, each with a margin after it.
    before: [Vec<u32>; RANGES],
}

/// The probabilities of the columns that a row sees, and the bounds of their relative errors.
struct Row {
    has_nan: bool,
    probabilities: Vec<f64>,
    relative: Vec<f64>,
}

impl Audit<'_> {
    /// Checks each type, each source of decisions and each mask. A long audit has all combinations.
    pub async fn softmaxes(&self) -> Result<Outcome, Failure> {
        let random = &mut Random::new(self.seed(), 14);
        let mut elements = 0;
        let cases = cases(self.options.long, self.gpu.device.features(), random)?;
        // Without a side a case takes four storage buffers, which every device has.
        let limits = self.gpu.device.limits();
        let available = limits.max_storage_buffers_per_shader_stage;
        let fits = |case: &Case| case.rows.source.side().is_empty() || available > 4;
        let cases: Vec<_> = cases.into_iter().filter(fits).collect();
        for case in &cases {
            elements += case.check(self.gpu.device, self.gpu.queue).await?;
        }
        Ok(Outcome::Passed {
            figure: format!("{elements} elements in {} calls", cases.len()),
        })
    }
}

fn cases(long: bool, features: wgpu::Features, random: &mut Random) -> Result<Vec<Case>, Failure> {
    // Each of these 27 numbers has a different combination of type, source and mask.
    let numbers = rows::numbers(long, [27, 4], &[0, 4, 8, 12, 16, 20, 26], features);
    let numbers = numbers.into_iter();
    numbers
        .map(|(number, avoid)| case(number, avoid, random))
        .collect()
}

fn case(number: usize, avoid: wgpu::Features, random: &mut Random) -> Result<Case, Failure> {
    let decide = [Decide::Linear, Decide::Drawn, Decide::BySide][number / 9];
    let rows = Rows::new(number, decide, [6, 36], random)?;
    let columns = rows.columns;
    let softmax = Softmax::new(columns, [0.75, -2.0][number % 2])?;
    let hidden = random.below(4) as i32;
    let mask = match number / 3 % 3 {
        0 => AttentionMask::None,
        1 => {
            // The mask has three rows, so that a later dispatch begins with another row than the
            // first.
            let mut mask: Vec<_> = (0..3 * columns).map(|_| one(random)).collect();
            mask.iter_mut().step_by(5).for_each(|x| *x = -f32::INFINITY);
            AttentionMask::Additive(mask)
        }
        _ => AttentionMask::Causal {
            rows_per_matrix: 3,
            offset: columns as i32 / 2 * (hidden & 1) - 1,
        },
    };
    // Every third row has large scores. Their exponentials would overflow f32 if the row's largest
    // score were not subtracted first.
    let mut scores = rows.range(random, |row, random| {
        one(random) * if row % 3 == 2 { 60.0 } else { 1.0 }
    });
    let gradient = rows.about(0.0, random);
    let (element, row) = (rows.element, u64::from(columns));
    let words_of = |elements: u64| (elements * element.bytes() / 4) as usize;
    // Row 1 is all -inf, and one score of another row is a NaN.
    let infinity =
        encode(element, f32::NEG_INFINITY) * if element.bytes() == 2 { 0x1_0001 } else { 1 };
    scores[words_of(row)..words_of(2 * row)].fill(infinity);
    scores[words_of(5 * row)] = encode(element, f32::NAN);
    let before = [
        scores.clone(),
        gradient.clone(),
        scores,
        rows.about(0.0, random),
        gradient.clone(),
        gradient,
    ];
    Ok(Case {
        softmax,
        mask,
        rows,
        in_place: (number / 2).is_multiple_of(2),
        avoid,
        before,
    })
}

impl Case {
    /// Runs the case and compares it. Returns the number of elements.
    async fn check(&self, device: &wgpu::Device, queue: &wgpu::Queue) -> Result<u64, Failure> {
        let side = [self.rows.source.side(), &[0]].concat();
        let numbers = match &self.mask {
            AttentionMask::Additive(mask) => mask.clone(),
            _ => vec![0.0],
        };
        let constants = [bytemuck::cast_slice(&side), bytemuck::cast_slice(&numbers)];
        let written = self.before.iter();
        let written = written.map(|words| Content::Bytes(bytemuck::cast_slice(words)));
        let contents: Vec<_> = written.chain(constants.map(Content::Constant)).collect();
        let descriptor = KernelDescriptor {
            avoid: self.avoid,
            ..Default::default()
        };
        let kernels = SoftmaxDropout::new(device, &descriptor)?;
        let kernels = kernels.lowered(self.rows.granules(device), 4 * MARGIN_WORDS as u64);
        let mut words: Vec<u32> = Vec::new();
        let record = |pass: &mut wgpu::ComputePass<'_>, buffers: &[wgpu::Buffer]| {
            let at = |place: usize| buffers[place].as_entire_buffer_binding();
            let elements = || {
                self.rows
                    .source
                    .elements(at(RANGES))
                    .of_type(self.rows.element)
            };
            let mask = || {
                self.mask
                    .clone()
                    .map(|mask| AdditiveMask::new(at(RANGES + 1), mask.len() as u32))
            };
            let (of, kept) = (self.softmax, Some(at(PROBABILITIES)));
            let forward = match self.in_place {
                true => kernels.bind_in_place(of, mask(), at(OUTPUT), kept, elements())?,
                false => kernels.bind(of, mask(), at(SCORES), at(OUTPUT), kept, elements())?,
            };
            kernels.encode_forward(pass, &forward, &self.rows.call)?;
            for (saved, to) in [
                (SavedSoftmax::Scores(at(SCORES)), FROM_SCORES),
                (
                    SavedSoftmax::Probabilities(at(PROBABILITIES)),
                    FROM_PROBABILITIES,
                ),
            ] {
                let to = at(to);
                let backward = match self.in_place {
                    true => kernels.bind_backward_in_place(of, mask(), saved, to, elements())?,
                    false => {
                        let grad = at(GRADIENT);
                        kernels.bind_backward(of, mask(), saved, grad, to, elements())?
                    }
                };
                kernels.encode_backward(pass, &backward, &self.rows.call)?;
            }
            Ok(())
        };
        round_trip::run(device, queue, &contents, &mut words, record).await?;
        let mut rest = &words[..];
        let mut next = |len| rest.split_off(..len).unwrap_or_default();
        let after = self.before.each_ref().map(|before| next(before.len()));
        for (range, (before, after)) in self.before.iter().zip(after).enumerate() {
            let ranges = [&before[..], after];
            self.rows.compare_outside(ranges, range >= OUTPUT, self)?;
        }
        self.compare(&after)?;
        Ok(self.rows.source.len())
    }

    /// The number of columns that a row sees.
    fn seen(&self, row: u64) -> usize {
        let columns = i64::from(self.rows.columns);
        match self.mask {
            AttentionMask::Causal {
                rows_per_matrix,
                offset,
            } => {
                let row = (row % u64::from(rows_per_matrix)) as i64;
                (row + i64::from(offset) + 1).clamp(0, columns) as usize
            }
            AttentionMask::None | AttentionMask::Additive(_) => columns as usize,
        }
    }

    /// The probabilities of a row, from its scores with the factor and the mask applied, and the
    /// bounds of their relative errors.
    fn row(&self, row: u64) -> Row {
        let columns = self.rows.columns as usize;
        let scores = self.rows.numbers(&self.before[SCORES], row);
        let scores = &scores[..self.seen(row)];
        let limit = f64::from(Softmax::LIMIT);
        let score_limit = f64::from(self.softmax.score_limit());
        let values: Vec<_> = scores
            .iter()
            .enumerate()
            .map(|(column, score)| {
                let product =
                    score.clamp(-score_limit, score_limit) * f64::from(self.softmax.factor());
                let error = EPSILON * product.abs();
                let number = match &self.mask {
                    AttentionMask::Additive(mask) => {
                        let rows = mask.len() / columns;
                        Some(mask[row as usize % rows * columns + column])
                    }
                    AttentionMask::None | AttentionMask::Causal { .. } => None,
                };
                match number {
                    Some(number) if number == -f32::INFINITY => (-limit, 0.0),
                    // Only a score of -inf has such a product. If its whole row is -inf, all
                    // products are equal and have no error.
                    _ if product.abs() > 1e37 => (product, 0.0),
                    Some(number) => {
                        let sum = product + f64::from(number);
                        (sum, error + EPSILON * sum.abs())
                    }
                    None => (product, error),
                }
            })
            .collect();
        let largest = values
            .iter()
            .map(|(x, _)| *x)
            .fold(-f64::INFINITY, f64::max);
        let powers: Vec<_> = values.iter().map(|(x, _)| (x - largest).exp()).collect();
        let sum: f64 = powers.iter().sum();
        let probabilities: Vec<_> = powers.iter().map(|power| power / sum).collect();
        let errors: Vec<_> = values
            .iter()
            .map(|(x, error)| EPSILON * (3.0 + 3.0 * (largest - x)) + error)
            .collect();
        let mean: f64 = products(&probabilities, &errors).sum();
        let shared = mean + EPSILON * (ADDITIONS + 4.0);
        Row {
            has_nan: scores.iter().any(|score| score.is_nan()),
            relative: errors.into_iter().map(|error| error + shared).collect(),
            probabilities,
        }
    }

    fn compare(&self, after: &[&[u32]; RANGES]) -> Result<(), Failure> {
        let scale = f64::from(reference::factor(
            self.rows.call.kind,
            drop_threshold(&self.rows.call),
        ));
        let mut uniforms = Uniforms::new(self.rows.call.key);
        let wrong = |what, element, range: usize, expected| {
            let got = bits(self.rows.element, after[range], element);
            self.rows.compare((what, element, got), expected, self)
        };
        for row in 0..self.rows.number_of_rows() {
            let first = self.rows.elements(row).start;
            let keep = self.rows.kept(row, &mut uniforms);
            let expected = self.row(row);
            let seen = expected.probabilities.len();
            for (column, kept) in keep.iter().enumerate() {
                let element = first + column as u64;
                for (range, what, scale, kept) in [
                    (PROBABILITIES, "probability", 1.0, true),
                    (OUTPUT, "output", scale, *kept),
                ] {
                    let expected = if column >= seen || !kept {
                        Expected::Bits(0)
                    } else if expected.has_nan {
                        Expected::Nan
                    } else {
                        let number = expected.probabilities[column] * scale;
                        let bound = if number == 0.0 {
                            0.0
                        } else {
                            number * (expected.relative[column] + EPSILON)
                        };
                        Expected::near(number, bound + 2e-38 * (1.0 + scale))
                    };
                    wrong(what, element, range, expected)?;
                }
            }
            let stored = Row {
                has_nan: expected.has_nan,
                probabilities: self.rows.numbers(after[PROBABILITIES], row)[..seen].to_vec(),
                relative: vec![0.0; seen],
            };
            let grads = self.rows.numbers(&self.before[GRADIENT], row);
            let grads = grads.iter().zip(&keep);
            let grads: Vec<_> = grads
                .map(|(grad, kept)| if *kept { grad * scale } else { 0.0 })
                .collect();
            for (range, what, from) in [
                (FROM_SCORES, "gradient from scores", &expected),
                (FROM_PROBABILITIES, "gradient from probabilities", &stored),
            ] {
                let gradients = self.gradients(from, &grads[..seen]);
                for column in 0..keep.len() {
                    let element = first + column as u64;
                    let expected = match gradients.get(column) {
                        None => Expected::Bits(0),
                        Some(_) if from.has_nan => Expected::Nan,
                        Some((number, bound)) => Expected::near(*number, *bound),
                    };
                    wrong(what, element, range, expected)?;
                }
            }
        }
        Ok(())
    }

    /// The gradients of a row's scores, and their bounds.
    fn gradients(&self, row: &Row, grads: &[f64]) -> Vec<(f64, f64)> {
        let p = &row.probabilities;
        let factor = f64::from(self.softmax.factor());
        let sizes: Vec<_> = grads.iter().map(|grad| grad.abs()).collect();
        let mean: f64 = products(p, grads).sum();
        let size: f64 = products(p, &sizes).sum();
        let weights: Vec<_> = products(p, &sizes).collect();
        let error: f64 = products(&weights, &row.relative).sum();
        let columns = p.iter().zip(grads).zip(&row.relative);
        columns
            .map(|((p, q), relative)| {
                let rest = (q - mean).abs();
                let mut bound = if *p == 0.0 { 0.0 } else { p * rest * relative };
                bound += p * (EPSILON * (ADDITIONS + 8.0) * (q.abs() + size) + error);
                bound += f64::from(f32::MIN_POSITIVE) * (1.0 + 2.0 * rest);
                let number = p * (q - mean) * factor;
                (number, bound * factor.abs() + EPSILON * number.abs())
            })
            .collect()
    }
}

/// The products of `a` and `b`. A 0 in `a` gives 0, also if `b` is infinite or a NaN.
fn products<'a>(a: &'a [f64], b: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
    let pairs = a.iter().zip(b);
    pairs.map(|(a, b)| if *a == 0.0 { 0.0 } else { a * b })
}

impl core::fmt::Display for Case {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self {
            softmax,
            rows: Rows { element, call, .. },
            in_place,
            ..
        } = self;
        let mask = self.mask.clone().map(|mask| mask.len());
        write!(
            f,
            "{softmax:?}, {mask:?}, {element}, in place: {in_place}; {call}"
        )
    }
}
