//! The check of dropout of an activation, and of its gradients. Each result is compared with its
//! definition in f64 \[M24\].

use super::checks::Audit;
use super::columns::{one, sources};
use super::kernels::rate;
use super::random::Random;
use super::reference::{self, Function, Product, Uniforms, bits};
use super::run::{canary, value};
use super::work::{MARGIN_WORDS, Source, drop_threshold};
use super::{Failure, Outcome};
use crate::host::round_trip::{self, Content};
use crate::kernel::activated::{Activated, Decide, Form};
use crate::kernel::axes::Kernel;
use crate::{
    ActDropout, ActInput, Activation, Bias, DropoutCall, DropoutKind, ElementType,
    KernelDescriptor, MaskKey,
};

/// The ranges of the operands and results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ranges {
    /// Each operand and each result has a range of its own.
    Apart,
    /// The result overwrites the input.
    InPlace,
    /// The gate and the other factor (up) are halves of rows.
    Halves,
    /// They are halves of rows, and their gradients overwrite them.
    HalvesInPlace,
}

/// One tensor, and the kernel that takes its full dispatches.
struct Case {
    kernel: Activated,
    ranges: Ranges,
    source: Source,
    call: DropoutCall,
    /// Elements of half a row.
    columns: u32,
    /// The bias. With a gate there are two, the gate's first.
    bias: Vec<f32>,
    /// True if limits are lowered, so that each dispatch takes a part of the elements.
    is_cut: bool,
    avoid: wgpu::Features,
    /// The contents of the buffers, each with a margin after it: the input, the gate or the rows;
    /// up; the output's gradient; the output.
    before: [Vec<u32>; 4],
}

impl Audit<'_> {
    /// Checks each activation's output and gradient. Each type, form and source of decisions
    /// occurs; a long audit has all combinations.
    pub async fn activations(&self) -> Result<Outcome, Failure> {
        let random = &mut Random::new(self.seed(), 12);
        let cases = self.cases_of_activations(random)?;
        let mut elements = 0;
        for case in &cases {
            elements += case.check(self.gpu.device, self.gpu.queue).await?;
        }
        Ok(Outcome::Passed {
            figure: format!("{elements} elements in {} calls", cases.len()),
        })
    }

    /// One case for each kernel, and one for each feature that can be left unused.
    fn cases_of_activations(&self, random: &mut Random) -> Result<Vec<Case>, Failure> {
        let kernels = |number: usize| {
            use Form::{Forward, Gated, GatedGradient, Gradient};
            // `number / 3` pairs each type with each source of decisions.
            Activated {
                activation: Activation::ALL[number / 2],
                element: ElementType::ALL[number % 3],
                form: [Forward, GatedGradient, Gated, Gradient][number % 4],
                decide: [Decide::Linear, Decide::Drawn, Decide::BySide][number / 3 % 3],
            }
        };
        let own: Vec<_> = match self.options.long {
            true => Activated::all().collect(),
            false => (0..2 * Activation::ALL.len()).map(kernels).collect(),
        };
        // Kernel 3 is a gradient of f32 whose decisions are drawn.
        let ways = [wgpu::Features::SHADER_INT64, wgpu::Features::IMMEDIATES]
            .map(|avoid| (kernels(3), self.gpu.device.features() & avoid));
        let ways = ways.into_iter().filter(|(_, avoid)| !avoid.is_empty());
        let none = wgpu::Features::empty();
        let own = own.into_iter().map(|kernel| (kernel, none));
        let all = own.chain(ways).enumerate();
        let all = all.filter(|(_, (kernel, _))| self.gpu.binds(Kernel::Activated(*kernel)));
        all.map(|(number, (kernel, avoid))| case(number, kernel, avoid, random))
            .collect()
    }
}

fn case(
    number: usize,
    kernel: Activated,
    avoid: wgpu::Features,
    random: &mut Random,
) -> Result<Case, Failure> {
    let element = kernel.element;
    // The second term varies the ranges of a form whose number / 4 always has the same remainder
    // modulo 3.
    let variant = number / 4 + number / 36;
    let ranges = match kernel.form {
        Form::Forward | Form::Gradient => [Ranges::Apart, Ranges::InPlace][variant % 2],
        Form::Gated => [Ranges::Apart, Ranges::Halves][variant % 2],
        Form::GatedGradient => [Ranges::Apart, Ranges::Halves, Ranges::HalvesInPlace][variant % 3],
    };
    let is_halves = matches!(ranges, Ranges::Halves | Ranges::HalvesInPlace);
    // Kernels of consecutive elements need whole vectors. Half rows of 16-bit elements must have an
    // even length. Other tensors have odd lengths.
    let (source, columns, bias_len) = match kernel.decide {
        Decide::Linear => {
            let columns = random.pick(&[40, 80]);
            (Source::Linear(40 * 352), columns, 11 * columns)
        }
        decide => {
            let samples = if is_halves { 36 } else { 35 };
            let [linear, packed, row_ids, rows, run_ids, runs, any_ids, any] = sources(samples)?;
            let sources = match decide {
                Decide::BySide => [packed, row_ids, run_ids, any_ids],
                _ => [linear, rows, runs, any],
            };
            let source = sources[(number + number / 9) % 4].clone();
            let columns = [[43, 36], [27, 18], [9, 12]];
            let columns = random.pick(&columns)[usize::from(element.bytes() == 2)];
            (source, columns, random.pick(&[43, 9, 129, 387]))
        }
    };
    let is_gated = is_gated(kernel.form);
    let is_gradient = matches!(kernel.form, Form::Gradient | Form::GatedGradient);
    let biases = if is_gated { 2 } else { 1 } * u32::from(number % 5 != 3);
    let bias = (0..bias_len * biases).map(|_| one(random)).collect();
    // At a rate of 0 only kernels of consecutive elements run.
    let copies = kernel.decide == Decide::Linear && random.chance(3);
    let drop_threshold = random.between(1 << 29, 7 << 29) * u64::from(!copies);
    let key = MaskKey::new(random.next(), random.next());
    let call = DropoutCall::new(rate(drop_threshold), key).with_origin(random.below(1 << 60));
    let kinds = [DropoutKind::Inverted, DropoutKind::Classic];
    let mut range = |ranges: u64| {
        let words = (ranges * source.len() * element.bytes()).div_ceil(4);
        let words = (0..words).map(|_| match element {
            ElementType::F32 => argument(element, random),
            _ => argument(element, random) | argument(element, random) << 16,
        });
        words.chain((0..MARGIN_WORDS).map(canary)).collect()
    };
    let before = [
        range(1 + u64::from(is_halves)),
        range(u64::from(is_gated && !is_halves)),
        range(u64::from(is_gradient)),
        range(1 + u64::from(is_halves && kernel.form == Form::GatedGradient)),
    ];
    Ok(Case {
        kernel,
        ranges,
        source,
        call: call.with_kind(kinds[usize::from(number % 5 == 2)]),
        columns: if is_halves { columns } else { 0 },
        bias,
        is_cut: number % 5 < 2,
        avoid,
        before,
    })
}

/// The bits of an element. Three of four are numbers from -8 to 8, where activations are curved.
fn argument(element: ElementType, random: &mut Random) -> u32 {
    match random.below(4) {
        0 => value(element, random),
        _ => reference::encode(element, random.word() as i32 as f32 / (1 << 28) as f32),
    }
}

fn is_gated(form: Form) -> bool {
    matches!(form, Form::Gated | Form::GatedGradient)
}

impl Case {
    /// The length of one bias.
    fn bias_len(&self) -> u32 {
        self.bias.len() as u32 >> u32::from(is_gated(self.kernel.form))
    }

    /// Returns true if results overwrite the operands that they are computed from.
    fn is_over(&self) -> bool {
        match self.ranges {
            Ranges::Apart => self.kernel.form == Form::GatedGradient,
            Ranges::Halves => false,
            Ranges::InPlace | Ranges::HalvesInPlace => true,
        }
    }

    /// The buffer and the offset of an element of the input or the gate (`half` 0), or of up (1).
    fn place(&self, half: u64, element: u64) -> (usize, u64) {
        match u64::from(self.columns) {
            0 => (half as usize, element),
            columns => (0, element + (element / columns + half) * columns),
        }
    }

    /// The buffer and the offset of a result's element.
    fn result(&self, half: u64, element: u64) -> (usize, u64) {
        match self.kernel.form {
            _ if self.is_over() => self.place(half, element),
            Form::GatedGradient => (3, self.place(half, element).1),
            _ => (3, element),
        }
    }

    fn number(&self, (buffer, place): (usize, u64)) -> f32 {
        let bits = bits(self.kernel.element, &self.before[buffer], place);
        reference::decode(self.kernel.element, bits)
    }

    fn expected(&self, element: u64, kept: bool) -> Vec<Product> {
        let plus = |half: u64| {
            let len = u64::from(self.bias_len());
            let bias = self.bias.get((half * len + element % len.max(1)) as usize);
            let x = self.number(self.place(half, element));
            f64::from(bias.map_or(x, |bias| x + bias))
        };
        let f = Function::new(self.kernel.activation, plus(0));
        let threshold = drop_threshold(&self.call);
        let scale = f64::from(reference::factor(self.call.kind, threshold));
        let grad = || f64::from(self.number((2, element)));
        let product = |factors: &[f64], bound| Product::new(factors, bound, kept);
        match self.kernel.form {
            Form::Forward => vec![product(&[f.value, scale], f.bound)],
            Form::Gated => vec![product(&[f.value, plus(1), scale], f.bound)],
            Form::Gradient => vec![product(&[f.slope, grad(), scale], f.slope_bound)],
            Form::GatedGradient => vec![
                product(&[f.slope, grad(), scale, plus(1)], f.slope_bound),
                product(&[f.value, grad(), scale], f.bound),
            ],
        }
    }

    /// Runs the case and compares it. Returns the number of elements.
    async fn check(&self, device: &wgpu::Device, queue: &wgpu::Queue) -> Result<u64, Failure> {
        let descriptor = KernelDescriptor {
            avoid: self.avoid,
            ..Default::default()
        };
        let kernels = ActDropout::new(device, &descriptor, self.kernel.activation)?;
        let bias: Vec<_> = self.bias.iter().copied().chain([0.0]).collect();
        let side = [self.source.side(), &[0]].concat();
        let constants = [bytemuck::cast_slice(&side), bytemuck::cast_slice(&bias)];
        let data = self.before.iter();
        let data = data.map(|words| Content::Bytes(bytemuck::cast_slice(words)));
        let contents: Vec<_> = data.chain(constants.map(Content::Constant)).collect();
        // With as many granules as a row has elements, a dispatch takes whole rows.
        let granules = u64::from(2 * self.columns).max(5);
        let granules = if self.is_cut { granules } else { u64::MAX };
        let kernels = kernels.lowered(granules, 4 * MARGIN_WORDS as u64);
        let mut words: Vec<u32> = Vec::new();
        let record = |pass: &mut wgpu::ComputePass<'_>, buffers: &[wgpu::Buffer]| {
            let [input, up, gradient, output, side, bias] =
                [0, 1, 2, 3, 4, 5].map(|place| buffers[place].as_entire_buffer_binding());
            let elements = self.source.elements(side).of_type(self.kernel.element);
            let (rows, gate, form) = (input.clone(), input, self.kernel.form);
            let len = self.bias_len();
            let bias = (len != 0).then(|| Bias::new(bias, len));
            let input = match self.columns {
                0 if is_gated(form) => ActInput::Gated { gate, up },
                0 => ActInput::One(gate),
                columns => ActInput::Halves { rows, columns },
            };
            if matches!(form, Form::Forward | Form::Gated) {
                let binding = match input {
                    ActInput::One(data) if self.is_over() => {
                        kernels.bind_in_place(data, bias, elements)?
                    }
                    input => kernels.bind(input, output, bias, elements)?,
                };
                kernels.encode_forward(pass, &binding, &self.call)?;
            } else {
                let binding = match self.is_over() {
                    true => kernels.bind_backward_in_place(gradient, input, bias, elements)?,
                    false => kernels.bind_backward(gradient, input, output, bias, elements)?,
                };
                kernels.encode_backward(pass, &binding, &self.call)?;
            }
            Ok(())
        };
        round_trip::run(device, queue, &contents, &mut words, record).await?;
        self.compare(&words)
    }

    fn compare(&self, words: &[u32]) -> Result<u64, Failure> {
        let mut rest = words;
        let mut next = |len| rest.split_off(..len).unwrap_or_default();
        let after = self.before.each_ref().map(|before| next(before.len()));
        // Every word but the results must be unchanged.
        let mut untouched = self.before.clone();
        let (ty, lanes) = (self.kernel.element, 4 / self.kernel.element.bytes());
        let mut uniforms = Uniforms::new(self.call.key);
        for element in 0..self.source.len() {
            let kept = self.source.keeps(element, &self.call, &mut uniforms);
            for (half, expected) in (0..).zip(self.expected(element, kept)) {
                let (buffer, place) = self.result(half, element);
                let got = bits(ty, after[buffer], place);
                let change = bits(ty, &self.before[buffer], place) ^ got;
                untouched[buffer][(place / lanes) as usize] ^= change << (16 * (place % lanes));
                if !expected.admits(ty, got) {
                    let expected =
                        format!("{expected} in result {half} of element {element} ({self})");
                    let got = reference::decode(ty, got);
                    return Err(Failure::new(expected, format!("{got:e}")));
                }
            }
        }
        if untouched.each_ref().map(Vec::as_slice) != after {
            let expected = format!("every word but the results unchanged ({self})");
            return Err(Failure::new(expected, "other words"));
        }
        Ok(self.source.len())
    }
}

impl core::fmt::Display for Case {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self {
            kernel,
            ranges,
            call,
            ..
        } = self;
        let (columns, len) = (self.columns, self.bias_len());
        write!(
            f,
            "{kernel:?}, {ranges:?}, {columns} columns, bias of {len}; {call}"
        )
    }
}
