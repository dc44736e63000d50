//! The definition of a residual plus a dropped branch, then a norm [M25]: in f64, as plainly as
//! possible.

use wgpu_dropout::{DropoutCall, DropoutRate, ElementType, MaskPlace, Norm};

use super::add::{self, Source};
use super::elements::{nearest, number, random, ratio};

const EPSILON: f64 = 1.0 / 8_388_608.0;

/// One tensor and its gradients. An element is a `u32` with its bits; 16-bit types use the lower
/// half.
#[derive(Clone, Debug)]
pub struct Case {
    /// Input, residual, bias and the source of the decisions.
    pub add: add::Case,
    pub norm: Norm,
    pub place: MaskPlace,
    pub gamma: Vec<f32>,
    pub beta: Vec<f32>,
    pub grad_output: Vec<u32>,
    /// The numbers to which the gradient of the sum is added.
    pub before: Option<Vec<u32>>,
}

/// A row's mean, 1 / deviation and normed numbers.
struct Row {
    mean: f64,
    factor: f64,
    normed: Vec<f64>,
}

impl Case {
    /// A case with rows as long as γ. All numbers are below 4 in magnitude.
    pub fn new(
        norm: Norm,
        place: MaskPlace,
        element: ElementType,
        call: DropoutCall,
        source: Source,
        [columns, bias_len]: [usize; 2],
    ) -> Self {
        let add = add::Case::new(element, call, source, [bias_len, 0]).tame();
        let numbers = |salt, about: f32| {
            let number = |i| about + random(i, salt) as i32 as f32 / (1u32 << 31) as f32;
            (0..columns as u64).map(number).collect::<Vec<_>>()
        };
        let mut case = Self {
            gamma: numbers(21, 1.5),
            beta: if norm.is_rms() {
                vec![]
            } else {
                numbers(22, 0.0)
            },
            grad_output: Vec::new(),
            before: None,
            add,
            norm,
            place,
        };
        case.grad_output = case.elements(23, 0.0, 2.0);
        case
    }

    /// This case with a residual of this mean and deviation.
    pub fn about(mut self, mean: f64, deviation: f64) -> Self {
        self.add.residual = self.elements(24, mean, deviation);
        let small = self.elements(25, 0.0, deviation);
        self.add.input = small;
        for bias in &mut self.add.bias {
            *bias *= deviation as f32;
        }
        self
    }

    /// This case with numbers to which the gradient of the sum is added.
    pub fn accumulated(mut self) -> Self {
        self.before = Some(self.elements(26, 0.0, 2.0));
        self
    }

    fn elements(&self, salt: u32, mean: f64, deviation: f64) -> Vec<u32> {
        let element = |index| {
            let unit = f64::from(random(index, salt) as i32) / f64::from(1u32 << 31);
            nearest(self.add.element, mean + 1.7 * deviation * unit)
        };
        (0..self.len() as u64).map(element).collect()
    }

    pub fn len(&self) -> usize {
        self.add.len()
    }

    pub fn columns(&self) -> usize {
        self.gamma.len()
    }

    fn numbers(&self, bits: &[u32]) -> Vec<f64> {
        bits.iter()
            .map(|bits| number(self.add.element, *bits).into())
            .collect()
    }

    fn additions(&self) -> f64 {
        additions(self.columns(), self.add.element)
    }

    fn row(&self, sum: &[f64]) -> Row {
        let n = sum.len() as f64;
        let mean = match self.norm.is_rms() {
            true => 0.0,
            false => sum.iter().sum::<f64>() / n,
        };
        let variance = sum.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        let factor = 1.0 / (variance + f64::from(self.norm.epsilon())).sqrt();
        let normed = sum.iter().map(|x| (x - mean) * factor).collect();
        Row {
            mean,
            factor,
            normed,
        }
    }

    /// The largest error that a normed number may have.
    fn normed_bound(&self, row: &Row, normed: f64) -> f64 {
        let k = self.additions();
        let relative = EPSILON * (k / 2.0 + 8.0) * normed.abs();
        if self.norm.is_rms() {
            return relative;
        }
        relative + EPSILON * (k + 4.0) + (k * EPSILON).powi(2) * row.mean.abs() * row.factor
    }

    /// Compares a sum with its definition, which is that of `DropoutAdd` [M23].
    pub fn check_sum(&self, got: &[u32]) -> Result<(), String> {
        let mut add = self.add.clone();
        if self.place == MaskPlace::Output {
            add.source = Source::Len(self.len() as u64);
            add.call = DropoutCall::new(DropoutRate::ZERO, add.call.key);
        }
        add.check_sum(got)
    }

    /// Compares an output with the one that follows from `sum`. Returns the largest error, as a
    /// fraction of its bound.
    pub fn check_output(&self, sum: &[u32], got: &[u32]) -> Result<f64, String> {
        let (columns, scale) = (self.columns(), f64::from(self.add.factor()));
        let kept = match self.place {
            MaskPlace::Output => Some(self.add.kept()),
            _ => None,
        };
        let mut worst = 0.0f64;
        for (number, sum) in sum.chunks(columns).enumerate() {
            let row = self.row(&self.numbers(sum));
            for (column, normed) in row.normed.iter().enumerate() {
                let element = number * columns + column;
                let gamma = f64::from(self.gamma[column]);
                let beta = self.beta.get(column).map_or(0.0, |beta| f64::from(*beta));
                let mut exact = normed * gamma + beta;
                let mut bound = self.normed_bound(&row, *normed) * gamma.abs();
                bound += 2.0 * EPSILON * exact.abs() + EPSILON * (normed * gamma).abs();
                if let Some(kept) = &kept {
                    if !kept[element] {
                        if got[element] != 0 {
                            return Err(format!(
                                "element {element} is dropped: {:#x}; {self}",
                                got[element]
                            ));
                        }
                        continue;
                    }
                    bound = bound * scale + EPSILON * (exact * scale).abs();
                    exact *= scale;
                }
                worst = worst.max(self.ratio("output", element, got[element], exact, bound)?);
            }
        }
        Ok(worst)
    }

    /// Compares `grad_sum`, and `masked`, the result of dropout's backward, with the gradients that
    /// follow from `sum`.
    pub fn check_gradients(
        &self,
        sum: &[u32],
        grad_sum: &[u32],
        masked: &[u32],
    ) -> Result<f64, String> {
        let from = match self.place {
            MaskPlace::Output => &self.grad_output,
            _ => grad_sum,
        };
        self.check_dropped(from, masked)?;
        let grads = match self.place {
            MaskPlace::Output => masked,
            _ => &self.grad_output,
        };
        let (columns, k, n) = (self.columns(), self.additions(), self.columns() as f64);
        let mut worst = 0.0f64;
        for (row_number, sum) in sum.chunks(columns).enumerate() {
            let row = self.row(&self.numbers(sum));
            let first = row_number * columns;
            let grads = self.numbers(&grads[first..first + columns]);
            let grads = grads.iter().zip(&self.gamma);
            let grads: Vec<_> = grads
                .map(|(grad, gamma)| grad * f64::from(*gamma))
                .collect();
            let mean = |of: &dyn Fn(usize) -> f64| (0..columns).map(of).sum::<f64>() / n;
            let normed = |column: usize| row.normed[column];
            let bound_of = |column| self.normed_bound(&row, normed(column));
            let mut average = mean(&|column| grads[column]);
            if self.norm.is_rms() {
                average = 0.0;
            }
            let slope = mean(&|column| grads[column] * normed(column));
            let average_size = mean(&|column| grads[column].abs());
            let slope_size = mean(&|column| (grads[column] * normed(column)).abs());
            let slope_error = mean(&|column| (grads[column] * bound_of(column)).abs());
            for (column, &grad) in grads.iter().enumerate() {
                let (x, e) = (normed(column), bound_of(column));
                let mut exact = row.factor * (grad - average - x * slope);
                let mut bound = (k + 8.0) * EPSILON * (average_size + x.abs() * slope_size);
                bound += (k / 2.0 + 12.0) * EPSILON * grad.abs();
                bound += e * (slope.abs() + x.abs() * average_size) + x.abs() * slope_error;
                bound *= row.factor;
                let element = first + column;
                if let Some(before) = &self.before {
                    exact += f64::from(number(self.add.element, before[element]));
                    bound += EPSILON * exact.abs();
                }
                let got = grad_sum[element];
                worst = worst.max(self.ratio("gradient", element, got, exact, bound)?);
            }
        }
        Ok(worst)
    }

    /// Compares with the gradient of γ.
    pub fn check_gamma(
        &self,
        sum: &[u32],
        grad_normed: &[u32],
        got: &[u32],
        before: f32,
    ) -> Result<(), String> {
        let columns = self.columns();
        let rows = sum.len() / columns;
        let roundings = (3 + 64 + rows.div_ceil(64).div_ceil(16) + 6) as f64;
        let mut sums = vec![[0.0; 2]; columns];
        for (sum, grads) in sum.chunks(columns).zip(grad_normed.chunks(columns)) {
            let row = self.row(&self.numbers(sum));
            for (column, grad) in self.numbers(grads).into_iter().enumerate() {
                let term = grad * row.normed[column];
                let error = grad.abs() * self.normed_bound(&row, row.normed[column]);
                sums[column][0] += term;
                sums[column][1] += error + roundings * EPSILON * term.abs();
            }
        }
        for (column, [exact, bound]) in sums.into_iter().enumerate() {
            let exact = exact + f64::from(before);
            let bound = bound + roundings * EPSILON * f64::from(before.abs()) + 1e-37;
            let number = f64::from(f32::from_bits(got[column]));
            if (number - exact).abs() > bound || number.is_nan() {
                return Err(format!(
                    "gradient of γ in column {column}: {number:e}, not {exact:e} within {bound:e}; {self}"
                ));
            }
        }
        Ok(())
    }

    /// Compares `got` with dropout's backward of `from`.
    fn check_dropped(&self, from: &[u32], got: &[u32]) -> Result<(), String> {
        let (kept, factor) = (self.add.kept(), self.add.factor());
        for (element, kept) in kept.into_iter().enumerate() {
            let before = number(self.add.element, from[element]);
            let expected = match kept {
                true if factor == 1.0 => from[element],
                // One product in f32, rounded again to the type [M11].
                true => nearest(self.add.element, f64::from(before * factor)),
                false => 0,
            };
            let tiny = |bits| number(self.add.element, bits).abs() < 1e-37;
            let flushed = kept && tiny(expected) && tiny(got[element]);
            if got[element] != expected && !flushed {
                return Err(format!(
                    "element {element} of what dropout left (kept: {kept}): {:#x}, not {expected:#x}; {self}",
                    got[element]
                ));
            }
        }
        Ok(())
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
        fault("a neighbour's bias", &|case| case.add.bias.rotate_left(1));
        fault("a neighbour's γ", &|case| case.gamma.rotate_left(1));
        fault("a neighbour's β", &|case| case.beta.rotate_left(1));
        fault("another epsilon", &|case| {
            case.norm = Norm::layer(2.0 * case.norm.epsilon()).expect("a norm");
        });
        faults
    }
}

impl core::fmt::Display for Case {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "{} {} in rows of {}, {:?}, {:?}, {}, bias of {}",
            self.len(),
            self.add.element,
            self.columns(),
            self.norm,
            self.place,
            self.add.call,
            self.add.bias.len()
        )?;
        match &self.add.source {
            Source::Packed(..) => f.write_str(", a packed mask"),
            source => write!(f, ", {source:?}"),
        }
    }
}

/// The most additions that a number of a row goes through on its way into the row's sum.
pub fn additions(columns: usize, element: ElementType) -> f64 {
    let (word, unit) = match element {
        ElementType::F32 => (1, 1),
        _ => (2, 1 + columns % 2),
    };
    let words = columns.div_ceil(word) * unit;
    let lanes = (columns * unit).div_ceil(32).next_power_of_two().min(256);
    (words.div_ceil(lanes) + word + lanes.div_ceil(16) + lanes.min(16)) as f64
}
