//! The definition of a softmax and a dropout [M26]: in f64, as plainly as possible.

use wgpu_dropout::{AttentionMask, DropoutCall, ElementType, Softmax};

use super::add::{self, Source};
use super::elements::{nearest, number, random, ratio};
use super::norm::additions;

const EPSILON: f64 = 1.0 / 8_388_608.0;
const LIMIT: f64 = 1.7e38f32 as f64;

/// One tensor and its gradient. An element is a `u32` with its bits; 16-bit types use the lower
/// half.
#[derive(Clone, Debug)]
pub struct Case {
    /// The source of the decisions. Its input holds the scores, its residual the gradient of the
    /// output.
    pub add: add::Case,
    pub softmax: Softmax,
    pub mask: AttentionMask<Vec<f32>>,
}

/// The expected numbers of a row.
struct Row {
    seen: usize,
    has_nan: bool,
    probabilities: Vec<f64>,
    /// The largest relative error of each probability.
    relative: Vec<f64>,
}

impl Case {
    /// Scores within 8 of 0, and gradients within 2.
    pub fn new(
        softmax: Softmax,
        mask: AttentionMask<Vec<f32>>,
        element: ElementType,
        call: DropoutCall,
        source: Source,
    ) -> Self {
        let mut case = Self {
            add: add::Case::new(element, call, source, [0, 0]).tame(),
            softmax,
            mask,
        };
        case.spread(8.0);
        case
    }

    /// Scores within `size` of 0.
    pub fn spread(&mut self, size: f64) {
        let score = |index| {
            nearest(
                self.add.element,
                size * f64::from(random(index, 31) as i32) / 2.0f64.powi(31),
            )
        };
        self.add.input = (0..self.len() as u64).map(score).collect();
    }

    /// Fills some rows with -inf, with infinities among numbers, with the largest numbers, or with
    /// a NaN.
    pub fn specials(&mut self) {
        let columns = self.columns();
        for (row, scores) in self.add.input.chunks_mut(columns).enumerate() {
            let bits = |number| nearest(self.add.element, number);
            match row % 6 {
                0 => scores.fill(bits(f64::NEG_INFINITY)),
                1 => scores
                    .iter_mut()
                    .step_by(3)
                    .for_each(|x| *x = bits(f64::NEG_INFINITY)),
                2 => scores.iter_mut().step_by(5).for_each(|x| *x = bits(3e38)),
                3 => scores.iter_mut().step_by(2).for_each(|x| *x = bits(-3e38)),
                4 => scores[row % columns] = bits(f64::NAN),
                _ => {}
            }
        }
    }

    pub fn len(&self) -> usize {
        self.add.len()
    }

    pub fn columns(&self) -> usize {
        self.softmax.columns() as usize
    }

    fn numbers(&self, bits: &[u32]) -> Vec<f64> {
        let numbers = bits.iter().map(|bits| number(self.add.element, *bits));
        numbers.map(f64::from).collect()
    }

    pub fn seen(&self, row: usize) -> usize {
        match self.mask {
            AttentionMask::Causal {
                rows_per_matrix,
                offset,
            } => {
                let last = (row % rows_per_matrix as usize) as i64 + i64::from(offset);
                (last + 1).clamp(0, self.columns() as i64) as usize
            }
            _ => self.columns(),
        }
    }

    /// A score after factor and mask, and the largest error of its f32.
    fn score(&self, score: f64, number: Option<f64>) -> (f64, f64) {
        let factor = f64::from(self.softmax.factor());
        let limit = f64::from(LIMIT as f32 / self.softmax.factor().abs().max(1.0));
        let product = factor * score.clamp(-limit, limit);
        let is_exact = |number: f64| f64::from(number as f32) == number;
        let mut error = if is_exact(product) {
            0.0
        } else {
            EPSILON * product.abs()
        };
        let Some(number) = number else {
            return (product, error);
        };
        if number <= -LIMIT {
            return (-LIMIT, 0.0);
        }
        let sum = product + number.min(LIMIT);
        if !is_exact(sum) {
            error += EPSILON * sum.abs();
        }
        (sum.clamp(-LIMIT, LIMIT), error)
    }

    fn row(&self, number: usize) -> Row {
        let columns = self.columns();
        let seen = self.seen(number);
        let scores = self.numbers(&self.add.input[number * columns..][..seen]);
        let numbers: Option<Vec<f64>> = match &self.mask {
            AttentionMask::Additive(mask) => {
                let first = number * columns % mask.len();
                Some(
                    mask[first..first + columns]
                        .iter()
                        .map(|x| f64::from(*x))
                        .collect(),
                )
            }
            _ => None,
        };
        let numbers = |column: usize| numbers.as_ref().map(|numbers| numbers[column]);
        let is_nan =
            |column: usize| scores[column].is_nan() || numbers(column).is_some_and(f64::is_nan);
        let has_nan = (0..seen).any(is_nan);
        let scores: Vec<_> = (0..seen)
            .map(|column| self.score(scores[column], numbers(column)))
            .collect();
        let largest = scores
            .iter()
            .map(|(x, _)| *x)
            .fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = scores.iter().map(|(x, _)| (x - largest).exp()).sum();
        let probabilities: Vec<_> = scores
            .iter()
            .map(|(x, _)| (x - largest).exp() / sum)
            .collect();
        let errors: Vec<_> = scores
            .iter()
            .map(|(x, error)| EPSILON * (3.0 + 3.0 * (largest - x)) + error)
            .collect();
        let mean = probabilities.iter().zip(&errors);
        let mean = mean
            .map(|(p, error)| if *p == 0.0 { 0.0 } else { p * error })
            .sum::<f64>();
        let shared = mean + EPSILON * (additions(columns, self.add.element) + 4.0);
        Row {
            seen,
            has_nan,
            relative: errors.into_iter().map(|error| error + shared).collect(),
            probabilities,
        }
    }

    /// Compares outputs, to which the case's mask applies, or probabilities, to which it does not.
    /// Returns the largest error, as a fraction of its bound.
    pub fn check_output(&self, got: &[u32], is_dropped: bool) -> Result<f64, String> {
        let (columns, scale) = (self.columns(), f64::from(self.add.factor()));
        let kept = is_dropped.then(|| self.add.kept());
        let what = if is_dropped { "output" } else { "probability" };
        let mut worst = 0.0f64;
        for number in 0..self.len() / columns {
            let row = self.row(number);
            for column in 0..columns {
                let element = number * columns + column;
                let is_kept = kept.as_ref().is_none_or(|kept| kept[element]);
                let got = got[element];
                if column >= row.seen || !is_kept {
                    self.is_zero(what, element, got)?;
                    continue;
                }
                if row.has_nan {
                    self.is_nan(what, element, got)?;
                    continue;
                }
                let scale = if is_dropped { scale } else { 1.0 };
                let exact = row.probabilities[column] * scale;
                let bound = times(exact, row.relative[column] + EPSILON) + 2e-38 * (1.0 + scale);
                worst = worst.max(self.ratio(what, element, got, exact, bound)?);
            }
        }
        Ok(worst)
    }

    /// Compares gradients of the scores. They were computed from the scores, or from
    /// `probabilities`.
    pub fn check_gradient(
        &self,
        probabilities: Option<&[u32]>,
        got: &[u32],
    ) -> Result<f64, String> {
        let (columns, scale) = (self.columns(), f64::from(self.add.factor()));
        let (kept, factor) = (self.add.kept(), f64::from(self.softmax.factor()));
        let grads = self.numbers(&self.add.residual);
        let k = additions(columns, self.add.element);
        let mut worst = 0.0f64;
        for number in 0..self.len() / columns {
            let mut row = self.row(number);
            let first = number * columns;
            if let Some(bits) = probabilities {
                row.probabilities = self.numbers(&bits[first..first + row.seen]);
                row.relative = vec![0.0; row.seen];
            }
            let grad = |column: usize| match kept[first + column] {
                true => grads[first + column] * scale,
                false => 0.0,
            };
            let sum = |of: &dyn Fn(usize) -> f64| (0..row.seen).map(of).sum::<f64>();
            let mean = sum(&|column| row.probabilities[column] * grad(column));
            let size = sum(&|column| row.probabilities[column] * grad(column).abs());
            let error = sum(&|column| {
                times(
                    row.probabilities[column] * grad(column).abs(),
                    row.relative[column],
                )
            });
            for column in 0..columns {
                let (element, got) = (first + column, got[first + column]);
                if column >= row.seen {
                    self.is_zero("gradient", element, got)?;
                    continue;
                }
                if row.has_nan {
                    self.is_nan("gradient", element, got)?;
                    continue;
                }
                let (p, q) = (row.probabilities[column], grad(column));
                let exact = p * (q - mean) * factor;
                let mut bound = times(p * (q - mean).abs(), row.relative[column]);
                bound += p * (EPSILON * (k + 8.0) * (q.abs() + size) + error);
                bound += 2.0f64.powi(-126) * (1.0 + 2.0 * (q - mean).abs());
                bound = bound * factor.abs() + EPSILON * exact.abs();
                worst = worst.max(self.ratio("gradient", element, got, exact, bound)?);
            }
        }
        Ok(worst)
    }

    fn is_zero(&self, what: &str, element: usize, got: u32) -> Result<(), String> {
        match got {
            0 => Ok(()),
            _ => Err(format!(
                "{what}: element {element} is +0, not {got:#x}; {self}"
            )),
        }
    }

    fn is_nan(&self, what: &str, element: usize, got: u32) -> Result<(), String> {
        if number(self.add.element, got).is_nan() {
            return Ok(());
        }
        Err(format!(
            "{what}: element {element} is a NaN, not {got:#x}; {self}"
        ))
    }

    fn ratio(
        &self,
        what: &str,
        element: usize,
        got: u32,
        exact: f64,
        bound: f64,
    ) -> Result<f64, String> {
        // A device may flush subnormal results.
        ratio(self.add.element, got, exact, bound + 1e-37)
            .map_err(|error| format!("{what}: element {element}: {error}; {self}"))
    }

    /// One faulty copy of this case for each fault that a kernel could have. A check must notice
    /// every one.
    pub fn faults(&self) -> Vec<(&'static str, Self)> {
        let mut faults = Vec::new();
        let mut fault = |name, change: &dyn Fn(&mut Self)| {
            let mut faulty = self.clone();
            change(&mut faulty);
            faults.push((name, faulty));
        };
        fault("another stream", &|case| case.add.call.key.stream ^= 1);
        fault("another factor", &|case| {
            let factor = 1.001 * case.softmax.factor();
            case.softmax = Softmax::new(case.softmax.columns(), factor).expect("a softmax");
        });
        fault("a neighbour's score", &|case| case.add.input.rotate_left(1));
        match self.mask {
            AttentionMask::Additive(_) => fault("a neighbour's mask", &|case| {
                if let AttentionMask::Additive(mask) = &mut case.mask {
                    mask.rotate_left(1);
                }
            }),
            AttentionMask::Causal { .. } => fault("another offset", &|case| {
                if let AttentionMask::Causal { offset, .. } = &mut case.mask {
                    *offset += 1;
                }
            }),
            _ => {}
        }
        faults
    }
}

impl core::fmt::Display for Case {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mask = match &self.mask {
            AttentionMask::Additive(mask) => format!("a mask of {}", mask.len()),
            mask => format!("{mask:?}"),
        };
        let (len, element) = (self.len(), self.add.element);
        write!(
            f,
            "{len} {element}, {:?}, {mask}, {}",
            self.softmax, self.add.call
        )?;
        match &self.add.source {
            Source::Packed(..) => f.write_str(", a packed mask"),
            source => write!(f, ", {source:?}"),
        }
    }
}

/// A product that is 0 if `a` is 0, even if `b` is infinite.
fn times(a: f64, b: f64) -> f64 {
    if a == 0.0 { 0.0 } else { a * b }
}

/// Each attention mask for `rows` of `columns`. Additive ones repeat, and some hide a whole row.
/// Causal ones hide some rows, or see past the last column.
pub fn masks(rows: usize, columns: usize) -> Vec<AttentionMask<Vec<f32>>> {
    let period = (2..6)
        .find(|period| rows.is_multiple_of(*period))
        .unwrap_or(1);
    let number = |index: usize| match random(index as u64, 32) {
        bits if bits % 4 == 0 => f32::NEG_INFINITY,
        bits => 4.0 * (bits as i32 as f32) / 2.0f32.powi(31),
    };
    let rows_per_matrix = period as u32;
    let causal = |offset| AttentionMask::Causal {
        rows_per_matrix,
        offset,
    };
    let all = (0..period * columns).map(number).collect();
    let row = (0..columns).map(number).collect();
    let middle = columns as i32 / 2;
    vec![
        AttentionMask::None,
        AttentionMask::Additive(all),
        AttentionMask::Additive(row),
        causal(0),
        causal(middle),
        causal(-1),
        causal(i32::MAX),
        causal(i32::MIN),
    ]
}
