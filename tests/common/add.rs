//! The definition of a residual plus a dropped branch [M23], as plainly as possible.

use core::fmt;
use core::ops::Range;

use wgpu_dropout::{DropoutCall, DropoutKind, ElementType, MaskLayout, MaskSource};

use super::elements::{nearest, number, random, random_elements};
use super::inputs::{indices, layout_indices, sample_indices};
use super::kinds;
use super::reference::keep_scale;

const EPSILON: f64 = 1.0 / 8_388_608.0;

/// The source of the decisions.
#[derive(Clone)]
pub enum Source {
    Len(u64),
    Layout(MaskLayout),
    Samples(MaskLayout, Vec<u32>),
    Packed(Vec<u32>, u64),
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Len(len) => write!(f, "{len} consecutive elements"),
            Self::Layout(layout) => layout.fmt(f),
            Self::Samples(layout, ids) => write!(f, "{layout:?}, ids {ids:?}"),
            Self::Packed(words, _) => write!(f, "a packed mask of {} words", words.len()),
        }
    }
}

impl Source {
    pub fn len(&self) -> u64 {
        self.mask_source().len()
    }

    /// The decision of each element, by the reference: true keeps it.
    pub fn kept(&self, call: &DropoutCall) -> Vec<bool> {
        match self {
            Self::Len(len) => kinds::kept(call, indices(call, *len)),
            Self::Layout(layout) => kinds::kept(call, layout_indices(call, layout)),
            Self::Samples(layout, ids) => kinds::kept(call, sample_indices(call, layout, ids)),
            Self::Packed(words, len) => kinds::unpacked(words, *len as usize),
        }
    }

    /// The source in the form that the CPU path takes.
    pub fn mask_source(&self) -> MaskSource<'_> {
        match self {
            Self::Len(len) => MaskSource::Len(*len),
            Self::Layout(layout) => MaskSource::Layout(layout),
            Self::Samples(layout, ids) => MaskSource::Samples { layout, ids },
            Self::Packed(mask, len) => MaskSource::Packed { mask, len: *len },
        }
    }

    /// The contents of the buffer of sample ids or of the packed mask. Empty without one.
    pub fn side(&self) -> &[u32] {
        match self {
            Self::Samples(_, words) | Self::Packed(words, _) => words,
            Self::Len(_) | Self::Layout(_) => &[],
        }
    }
}

/// One sum and its gradient. An element is a `u32` with its bits; 16-bit types use the lower half.
#[derive(Clone, Debug)]
pub struct Case {
    pub element: ElementType,
    /// The element type of the residual, the sum and the sum's gradient.
    pub stream: ElementType,
    pub call: DropoutCall,
    pub source: Source,
    pub input: Vec<u32>,
    pub residual: Vec<u32>,
    pub bias: Vec<f32>,
    pub scale: Vec<f32>,
}

impl Case {
    /// Some consecutive elements by themselves.
    pub fn part(&self, elements: Range<usize>) -> Self {
        let origin = self.call.origin + elements.start as u64;
        Self {
            input: self.input[elements.clone()].to_vec(),
            residual: self.residual[elements.clone()].to_vec(),
            source: Source::Len(elements.len() as u64),
            call: self.call.with_origin(origin),
            ..self.clone()
        }
    }

    /// A case with this many elements and vectors of these lengths. Length 0 means no vector.
    pub fn new(
        element: ElementType,
        call: DropoutCall,
        source: Source,
        [bias_len, scale_len]: [usize; 2],
    ) -> Self {
        let len = source.len();
        Self {
            element,
            stream: element,
            call,
            source,
            input: random_elements(element, len, 2.0, 1),
            residual: random_elements(element, len, 2.0, 2),
            bias: numbers(bias_len, 3),
            scale: numbers(scale_len, 4),
        }
    }

    /// This case with a residual of another type.
    pub fn beside(mut self, stream: ElementType) -> Self {
        if self.stream != stream {
            self.residual = random_elements(stream, self.len() as u64, 2.0, 2);
            self.stream = stream;
        }
        self
    }

    pub fn len(&self) -> usize {
        self.input.len()
    }

    pub fn kept(&self) -> Vec<bool> {
        self.source.kept(&self.call)
    }

    pub fn factor(&self) -> f32 {
        match self.call.kind {
            DropoutKind::Classic => 1.0,
            _ => keep_scale(self.call.rate.p()),
        }
    }

    /// Compares a sum with its definition.
    pub fn check_sum(&self, got: &[u32]) -> Result<(), String> {
        let factor = self.factor();
        self.check(
            self.stream,
            got,
            |element| {
                let x = number(self.element, self.input[element]);
                let residual = number(self.stream, self.residual[element]);
                let x = repeated(&self.bias, element).map_or(x, |bias| x + bias);
                let Some(scale) = repeated(&self.scale, element) else {
                    let fused = x.mul_add(factor, residual);
                    return (vec![fused.into(), (residual + x * factor).into()], 0.0);
                };
                let branch = product([x, scale, factor]);
                let sums: Vec<_> = branch.iter().map(|b| b + f64::from(residual)).collect();
                let bound = 3.0 * EPSILON * branch[0].abs() + EPSILON * sums[0].abs();
                (sums, bound)
            },
            |element| self.residual[element],
        )
    }

    /// Compares `got` with the definition of the input's gradient. `residual` holds the gradient of
    /// the sum.
    pub fn check_gradient(&self, got: &[u32]) -> Result<(), String> {
        let factor = self.factor();
        self.check(
            self.element,
            got,
            |element| {
                let scale = repeated(&self.scale, element).unwrap_or(1.0);
                let gradient = number(self.stream, self.residual[element]);
                let gradient = product([gradient, factor, scale]);
                let bound = 3.0 * EPSILON * gradient[0].abs();
                (gradient, bound)
            },
            |_| 0,
        )
    }

    /// Compares column sums with the gradient of the scale. `residual` holds the gradient of the
    /// output. The sums were added to `before`.
    pub fn check_scale_gradient(&self, got: &[u32], before: f32) -> Result<(), String> {
        let (kept, factor) = (self.kept(), self.factor());
        let term = |element: usize| {
            let x = number(self.element, self.input[element]);
            let x = repeated(&self.bias, element).map_or(x, |bias| x + bias);
            let gradient = number(self.stream, self.residual[element]);
            f64::from(gradient) * f64::from(factor) * f64::from(x)
        };
        let terms: Vec<_> = (0..self.len())
            .map(|element| if kept[element] { term(element) } else { 0.0 })
            .collect();
        check_columns(&terms, got, before)
    }

    fn check(
        &self,
        of_type: ElementType,
        got: &[u32],
        kept_is: impl Fn(usize) -> (Vec<f64>, f64),
        dropped_is: impl Fn(usize) -> u32,
    ) -> Result<(), String> {
        let kept = self.kept();
        if got.len() != kept.len() {
            return Err(format!("{} elements of {}", got.len(), kept.len()));
        }
        for (element, (&got, kept)) in got.iter().zip(kept).enumerate() {
            let (exact, bound) = kept_is(element);
            let same = if kept {
                is_near(of_type, got, &exact, bound)
            } else {
                got == dropped_is(element)
            };
            if !same {
                return Err(format!(
                    "element {element} of {}, {} beside {}: {:e} ({got:#x}), not {exact:?} within {bound:e} (kept: {kept}); \
                     {}, {:?}, bias of {}, scale of {}",
                    self.len(),
                    self.element,
                    self.stream,
                    number(of_type, got),
                    self.call,
                    self.source,
                    self.bias.len(),
                    self.scale.len()
                ));
            }
        }
        Ok(())
    }

    /// This case with all numbers between -2 and 2, since column sums are compared by their bound.
    pub fn tame(mut self) -> Self {
        for (data, element, salt) in [
            (&mut self.input, self.element, 7),
            (&mut self.residual, self.stream, 8),
        ] {
            let numbers = (0..data.len() as u64).map(|index| {
                let number = f64::from(random(index, salt) as i32) / f64::from(1 << 30);
                nearest(element, number)
            });
            *data = numbers.collect();
        }
        self
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
        fault("another stream", &|case| case.call.key.stream ^= 1);
        fault("another rate", &|case| {
            case.call.rate = wgpu_dropout::DropoutRate::new(0.45).expect("a rate");
        });
        if self.bias.len() > 1 {
            fault("a neighbour's bias", &|case| case.bias.rotate_left(1));
        }
        if self.scale.len() > 1 {
            fault("a neighbour's scale", &|case| case.scale.rotate_left(1));
        }
        faults
    }
}

/// Pairs of types: the branch, and the residual it is added to.
pub const TYPES: [[ElementType; 2]; 5] = [
    [ElementType::F32, ElementType::F32],
    [ElementType::F16, ElementType::F16],
    [ElementType::Bf16, ElementType::Bf16],
    [ElementType::F16, ElementType::F32],
    [ElementType::Bf16, ElementType::F32],
];

/// Returns true if `got` is one of `exact` rounded to the type, or rounds from a number within
/// `bound` of the first.
fn is_near(element: ElementType, got: u32, exact: &[f64], bound: f64) -> bool {
    let got_number = f64::from(number(element, got));
    let among = |exact: &f64| {
        if exact.is_nan() {
            return got_number.is_nan();
        }
        let nearest = nearest(element, *exact);
        // A device may flush subnormal products and sums.
        nearest == got
            || f64::from(number(element, nearest)).abs() < 1e-37 && got_number.abs() < 1e-37
    };
    let ends = [exact[0] - bound, exact[0] + bound];
    let [low, high] = ends.map(|end| f64::from(number(element, nearest(element, end))));
    exact.iter().any(among) || bound > 0.0 && (low..=high).contains(&got_number)
}

/// Compares the bits of column sums with the columns of `terms`. Roundings of a sum: up to 3 for
/// each term, 64 rows added in order, every 16th tile of 64 rows, then 16 chains and `before`.
pub fn check_columns(terms: &[f64], got: &[u32], before: f32) -> Result<(), String> {
    let columns = got.len();
    let rows = terms.len().checked_div(columns).unwrap_or(0);
    let roundings = 3 + 64 + rows.div_ceil(64).div_ceil(16) + 5;
    for (column, bits) in got.iter().enumerate() {
        let column_terms = || terms.iter().skip(column).step_by(columns);
        let sum: f64 = column_terms().sum::<f64>() + f64::from(before);
        let magnitude = column_terms().map(|term| term.abs()).sum::<f64>();
        let bound = roundings as f64 * EPSILON * (magnitude + f64::from(before.abs()));
        let number = f64::from(f32::from_bits(*bits));
        let same = (number - sum).abs() <= bound || number.is_nan() && sum.is_nan();
        if !same {
            return Err(format!(
                "column {column} of {columns}, {rows} rows: {number:e}, not {sum:e} within {bound:e}"
            ));
        }
    }
    Ok(())
}

/// The exact product, then the f32 product of each order in which an intermediate result overflows.
fn product([a, b, c]: [f32; 3]) -> Vec<f64> {
    let orders = [(a * b) * c, (a * c) * b, (b * c) * a];
    let exact = f64::from(a) * f64::from(b) * f64::from(c);
    let beyond = orders.into_iter().filter(|product| !product.is_finite());
    core::iter::once(exact)
        .chain(beyond.map(f64::from))
        .collect()
}

/// Each layout that networks use, with and without sample ids, and a packed mask.
pub fn sources() -> Vec<(Source, usize)> {
    let mut sources = Vec::new();
    for columns in [7, 40] {
        let shape = [4, 6, columns as u64];
        for layout in [
            MaskLayout::elementwise(&shape),
            MaskLayout::drop_path(&shape),
            MaskLayout::time_locked_batch_first(&shape),
            MaskLayout::feature_channels_first(&shape),
            MaskLayout::feature_channels_last(&shape),
        ] {
            let layout = layout.expect("a layout");
            sources.push((
                Source::Samples(layout.clone(), vec![9, 0, u32::MAX, 3]),
                columns,
            ));
            sources.push((Source::Layout(layout), columns));
        }
        let words = vec![0x5a3c_96f1; 24 * columns / 32 + 1];
        let len = 24 * columns as u64;
        sources.push((
            Source::Packed(words[..len.div_ceil(32) as usize].to_vec(), len),
            columns,
        ));
    }
    sources
}

/// The element of a vector that repeats over a tensor.
pub fn repeated(vector: &[f32], element: usize) -> Option<f32> {
    Some(*vector.get(element.checked_rem(vector.len())?)?)
}

/// Numbers between -2 and 2.
pub fn numbers(len: usize, salt: u32) -> Vec<f32> {
    let number = |i| (random(i, salt) as i32) as f32 / (1 << 30) as f32;
    (0..len as u64).map(number).collect()
}
