//! `ActDropout`: activations before a dropout, and their gradients [M24].

use core::ops::Range;
use std::sync::{Arc, Mutex};

use wgpu_dropout::{
    ActDropout, ActInput, Activation, Bias, DropoutKind, ElementType, Elements, KernelDescriptor,
    MaskLayout,
};

use crate::adapters::Variant;
use crate::case::{Case, text};
use crate::common::act::{self, every_input, traps};
use crate::common::add::{Source, sources};
use crate::common::elements::{packed, unpacked};
use crate::common::inputs::{LENGTHS, call, kind_call, origins};
use crate::gpu::Gpu;
use crate::image::{Image, binding};
use crate::once::once;
use crate::ranges::{LAYOUTS, Layout, elements};
use crate::run::check_zeros;

pub const CASES: &[Case] = &[
    Case::new("every_input", every_input_lies_within_the_bound),
    Case::new("lengths_and_origins", lengths_and_origins),
    Case::new("biases", biases),
    Case::new("sources", of_sources),
    Case::new("few_workgroups", cut).on(Variant::FewWorkgroups),
    Case::new("small_bindings", cut).on(Variant::SmallBindings),
    Case::new("no_features", bare).on(Variant::Bare),
    Case::new("its_mask_is_the_call's", its_mask),
    Case::new("traps", specials),
    Case::new("wide_and_narrow", wide_and_narrow),
    Case::new("as_separate_operations", as_separate_operations),
    Case::new("faults_are_seen", faults_are_seen),
];

/// The bindings of gate and up: two ranges, or rows that hold this many columns of each.
#[derive(Clone, Copy, Debug)]
enum Gate {
    Two,
    Halves(usize),
}

/// The buffer of a case's biases and of its ids or mask.
struct Sides {
    buffer: wgpu::Buffer,
    bias: Range<usize>,
    source: Range<usize>,
}

impl Sides {
    fn new(gpu: &Gpu, case: &act::Case) -> Self {
        let mut image = Image::new(gpu);
        let numbers: Vec<_> = case.bias.iter().map(|number| number.to_bits()).collect();
        let bias = image.place(&numbers);
        let source = image.place(case.source.side());
        Self {
            buffer: image.upload(gpu),
            bias,
            source,
        }
    }

    fn bias(&self, case: &act::Case) -> Option<Bias<'_>> {
        let count = if case.up.is_some() { 2 } else { 1 };
        let len = (case.bias.len() / count) as u32;
        (len > 0).then(|| Bias::new(binding(&self.buffer, &self.bias, true), len))
    }

    fn elements<'a>(&'a self, case: &'a act::Case) -> Elements<'a> {
        let side = binding(&self.buffer, &self.source, true);
        elements(&case.source, side).of_type(case.element)
    }
}

/// The output of a case and the gradient of its input. An error if a byte around them changed.
fn run(
    gpu: &Gpu,
    kernels: &ActDropout,
    case: &act::Case,
    layout: Layout,
) -> Result<[Vec<u32>; 2], String> {
    let sides = Sides::new(gpu, case);
    let mut results = Vec::new();
    for backward in [false, true] {
        let mut pool = Image::new(gpu);
        let input = pool.place(&packed(case.element, &case.input));
        let grad = pool.place(&packed(case.element, &case.grad_output));
        let result = match layout {
            Layout::InPlace => input.clone(),
            Layout::Separate | Layout::Pooled => pool.place_for(input.len() as u64),
        };
        let buffer = pool.upload(gpu);
        let read = match layout {
            Layout::Separate => pool.upload(gpu),
            Layout::Pooled | Layout::InPlace => buffer.clone(),
        };
        let (bias, elements) = (sides.bias(case), sides.elements(case));
        let (input, grad) = (binding(&read, &input, true), binding(&read, &grad, true));
        let output = binding(&buffer, &result, true);
        gpu.submit(|pass| {
            match (backward, layout) {
                (false, Layout::InPlace) => {
                    let bound = kernels.bind_in_place(output, bias, elements);
                    kernels.encode_forward(pass, &bound.map_err(text)?, &case.call)
                }
                (false, _) => {
                    let bound = kernels.bind(input, output, bias, elements);
                    kernels.encode_forward(pass, &bound.map_err(text)?, &case.call)
                }
                (true, Layout::InPlace) => {
                    let bound = kernels.bind_backward_in_place(grad, output, bias, elements);
                    kernels.encode_backward(pass, &bound.map_err(text)?, &case.call)
                }
                (true, _) => {
                    let bound = kernels.bind_backward(grad, input, output, bias, elements);
                    kernels.encode_backward(pass, &bound.map_err(text)?, &case.call)
                }
            }
            .map_err(text)
        })?;
        let after = gpu.download(&buffer)?;
        pool.check_outside(&after, std::slice::from_ref(&result))?;
        results.push(unpacked(case.element, case.len(), &after[result]));
    }
    let [output, gradient] = results.try_into().map_err(|_| "two results")?;
    Ok([output, gradient])
}

/// The output of a gated case, and the gradients of gate and up.
fn run_gated(
    gpu: &Gpu,
    kernels: &ActDropout,
    case: &act::Case,
    gate: Gate,
    layout: Layout,
) -> Result<[Vec<u32>; 3], String> {
    let sides = Sides::new(gpu, case);
    let up = case.up.as_ref().ok_or("a gate")?;
    let mut pool = Image::new(gpu);
    let grad = pool.place(&packed(case.element, &case.grad_output));
    let inputs = match gate {
        Gate::Two => [&case.input, up]
            .map(|bits| pool.place(&packed(case.element, bits)))
            .to_vec(),
        Gate::Halves(columns) => {
            vec![pool.place(&packed(case.element, &case.halves(columns)))]
        }
    };
    let output = pool.place_for(grad.len() as u64);
    let grad_rows = pool.place_for(inputs[0].len() as u64);
    let buffer = pool.upload(gpu);
    let read = match layout {
        Layout::Separate => pool.upload(gpu),
        Layout::Pooled | Layout::InPlace => buffer.clone(),
    };
    let input = |buffer| match gate {
        Gate::Two => ActInput::Gated {
            gate: binding(buffer, &inputs[0], true),
            up: binding(buffer, &inputs[1], true),
        },
        Gate::Halves(columns) => ActInput::Halves {
            rows: binding(buffer, &inputs[0], true),
            columns: columns as u32,
        },
    };
    let elements = || sides.elements(case);
    let overwrites = matches!((gate, layout), (Gate::Two, _) | (_, Layout::InPlace));
    gpu.submit(|pass| {
        let result = binding(&buffer, &output, true);
        let bound = kernels.bind(input(&read), result, sides.bias(case), elements());
        kernels
            .encode_forward(pass, &bound.map_err(text)?, &case.call)
            .map_err(text)?;
        let grad = binding(&read, &grad, true);
        let bound = if overwrites {
            kernels.bind_backward_in_place(grad, input(&buffer), sides.bias(case), elements())
        } else {
            let result = binding(&buffer, &grad_rows, true);
            kernels.bind_backward(grad, input(&read), result, sides.bias(case), elements())
        };
        kernels
            .encode_backward(pass, &bound.map_err(text)?, &case.call)
            .map_err(text)
    })?;
    let after = gpu.download(&buffer)?;
    let mut written = vec![output.clone()];
    if overwrites {
        written.extend(inputs.clone());
    } else {
        written.push(grad_rows.clone());
    }
    pool.check_outside(&after, &written)?;
    let unpacked = |place: &Range<usize>, len| unpacked(case.element, len, &after[place.clone()]);
    let [grad_gate, grad_up] = match gate {
        Gate::Two => [0, 1].map(|half| unpacked(&inputs[half], case.len())),
        Gate::Halves(columns) => {
            let place = if overwrites { &inputs[0] } else { &grad_rows };
            act::Case::apart(&unpacked(place, 2 * case.len()), columns)
        }
    };
    Ok([unpacked(&output, case.len()), grad_gate, grad_up])
}

fn kernels(gpu: &Gpu, activation: Activation) -> Result<Arc<ActDropout>, String> {
    static MADE: Mutex<Vec<Arc<ActDropout>>> = Mutex::new(Vec::new());
    let is_it = |act: &ActDropout| act.activation() == activation && *act.device() == gpu.device;
    once(&MADE, is_it, || {
        ActDropout::new(&gpu.device, &KernelDescriptor::default(), activation).map_err(text)
    })
}

/// Compares both results of a case. Returns the largest errors, as fractions of their bounds.
fn check(
    gpu: &Gpu,
    kernels: &ActDropout,
    case: &act::Case,
    layout: Layout,
) -> Result<[f64; 2], String> {
    let [output, gradient] = run(gpu, kernels, case, layout)?;
    let named = |error| format!("{layout:?}: {error}");
    Ok([
        case.check_output(&output).map_err(named)?,
        case.check_gradient(&gradient).map_err(named)?,
    ])
}

fn check_gated(
    gpu: &Gpu,
    kernels: &ActDropout,
    case: &act::Case,
    gate: Gate,
    layout: Layout,
) -> Result<(), String> {
    let [output, grad_gate, grad_up] = run_gated(gpu, kernels, case, gate, layout)?;
    let named = |error| format!("{gate:?} {layout:?}: {error}");
    case.check_output(&output).map_err(named)?;
    case.check_gradient(&grad_gate).map_err(named)?;
    case.check_up_gradient(&grad_up).map_err(named)?;
    Ok(())
}

/// A number of columns for [`Gate::Halves`]. 16-bit types need an even one, so an odd one is
/// doubled.
fn halves(element: ElementType, columns: usize) -> usize {
    columns
        * if element.bytes() == 2 && columns % 2 == 1 {
            2
        } else {
            1
        }
}

fn every_input_lies_within_the_bound(gpu: &Gpu) -> Result<(), String> {
    let info = gpu.adapter.get_info();
    for &activation in Activation::ALL {
        let kernels = kernels(gpu, activation)?;
        for &element in ElementType::ALL {
            let mut worst = [0.0f64; 2];
            for case in every_input(activation, element) {
                let ratios = check(gpu, &kernels, &case, Layout::Separate)?;
                worst = [0, 1].map(|i| worst[i].max(ratios[i]));
            }
            if element == ElementType::F32 {
                let [value, slope] = worst;
                println!(
                    "{activation}: worst error / bound {value:.2}, of the gradient {slope:.2} ({}/{})",
                    info.backend, info.name
                );
            }
        }
    }
    Ok(())
}

fn lengths_and_origins(gpu: &Gpu) -> Result<(), String> {
    let kernels = kernels(gpu, Activation::Silu)?;
    for &element in ElementType::ALL {
        for len in LENGTHS {
            let origins = origins(len);
            // Each length gets one origin and one layout, so that every origin and layout has some
            // lengths.
            let origin = origins[len as usize % origins.len()];
            let layout = LAYOUTS[len as usize % 3];
            let case = act::Case::new(
                Activation::Silu,
                element,
                call(0.3, origin),
                Source::Len(len),
                0,
            );
            check(gpu, &kernels, &case, layout)?;
            check_gated(gpu, &kernels, &case.gated(), Gate::Two, layout)?;
        }
        for p in [0.0, 0.1, 0.5, 1.0] {
            for kind in [DropoutKind::Inverted, DropoutKind::Classic] {
                let (call, source) = (kind_call(p, 3, kind), Source::Len(70_001));
                let case = act::Case::new(Activation::Silu, element, call, source, 0);
                check(gpu, &kernels, &case, Layout::Separate)?;
                check_gated(gpu, &kernels, &case.gated(), Gate::Two, Layout::Pooled)?;
            }
        }
    }
    Ok(())
}

fn biases(gpu: &Gpu) -> Result<(), String> {
    let activation = Activation::Silu;
    let kernels = kernels(gpu, activation)?;
    for &element in ElementType::ALL {
        for columns in [1, 3, 8, 33, 768] {
            for (p, layout) in [
                (0.4, Layout::InPlace),
                (0.0, Layout::Pooled),
                (0.4, Layout::Separate),
            ] {
                let columns = halves(element, columns);
                let source = Source::Len(12 * columns as u64);
                let case = act::Case::new(activation, element, call(p, 5), source, columns);
                check(gpu, &kernels, &case, layout)?;
                let case = case.gated();
                check_gated(gpu, &kernels, &case, Gate::Two, layout)?;
                check_gated(gpu, &kernels, &case, Gate::Halves(columns), layout)?;
            }
        }
    }
    Ok(())
}

fn of_sources(gpu: &Gpu) -> Result<(), String> {
    let activation = Activation::Silu;
    let kernels = kernels(gpu, activation)?;
    for (number, (source, columns)) in sources().into_iter().enumerate() {
        for (of_type, &element) in ElementType::ALL.iter().enumerate() {
            let p = [0.4, 0.0, 0.4, 1.0][(number + of_type) % 4];
            let case = act::Case::new(activation, element, call(p, 5), source.clone(), columns);
            check(gpu, &kernels, &case, Layout::InPlace)?;
            // All sources have an even number of rows, so the doubled columns divide them.
            let gate = Gate::Halves(halves(element, columns));
            check_gated(gpu, &kernels, &case.gated(), gate, LAYOUTS[number % 3])?;
        }
    }
    Ok(())
}

/// Splits tensors into several dispatches, so that biases begin in the middle of a row.
fn cut(gpu: &Gpu) -> Result<(), String> {
    cut_elements(gpu, ElementType::ALL)
}

fn bare(gpu: &Gpu) -> Result<(), String> {
    cut_elements(gpu, &[ElementType::F32])
}

fn cut_elements(gpu: &Gpu, elements: &[ElementType]) -> Result<(), String> {
    let activation = Activation::Silu;
    let kernels = kernels(gpu, activation)?;
    let layout = MaskLayout::drop_path(&[8, 4_000]).map_err(text)?;
    for &element in elements {
        for source in [Source::Len(32_000), Source::Layout(layout.clone())] {
            for columns in [500, 250] {
                let case =
                    act::Case::new(activation, element, call(0.4, 5), source.clone(), columns);
                check(gpu, &kernels, &case, Layout::Pooled)?;
                let case = case.gated();
                check_gated(gpu, &kernels, &case, Gate::Two, Layout::Pooled)?;
                // Rows with 40 or 64 columns begin often enough where a binding may begin.
                for columns in [40, 64] {
                    let gate = Gate::Halves(columns);
                    check_gated(gpu, &kernels, &case, gate, Layout::Separate)?;
                }
            }
        }
    }
    Ok(())
}

/// The inputs are ones, which no activation makes 0. A result is +0 exactly where the packed mask
/// of the call drops.
fn its_mask(gpu: &Gpu) -> Result<(), String> {
    for activation in [Activation::Identity, Activation::Gelu] {
        let kernels = kernels(gpu, activation)?;
        for origin in [0, 5, u64::MAX - 4_999] {
            let source = Source::Len(5_000);
            let mut case =
                act::Case::new(activation, ElementType::F32, call(0.4, origin), source, 0);
            case.input.fill(1.0f32.to_bits());
            case.grad_output.fill(1.0f32.to_bits());
            for result in run(gpu, &kernels, &case, Layout::Separate)? {
                check_zeros(gpu, &case.call, &result)?;
            }
        }
    }
    Ok(())
}

/// Infinities, NaNs and the largest numbers, kept and dropped. For relu the bits are known.
fn specials(gpu: &Gpu) -> Result<(), String> {
    for &activation in Activation::ALL {
        let kernels = kernels(gpu, activation)?;
        for &element in ElementType::ALL {
            let source = Source::Len(4096);
            let mut case = act::Case::new(activation, element, call(0.4, 5), source, 0);
            let traps = traps(element);
            for (element, x) in case.input.iter_mut().enumerate() {
                *x = traps[element % traps.len()];
            }
            check(gpu, &kernels, &case, Layout::Separate)?;
            if element == ElementType::F32 {
                let gate = Gate::Halves(64);
                check_gated(gpu, &kernels, &case.gated(), gate, Layout::Separate)?;
            }
        }
    }
    let kernels = kernels(gpu, Activation::Relu)?;
    let mut case = act::Case::new(
        Activation::Relu,
        ElementType::F32,
        call(0.0, 0),
        Source::Len(4),
        0,
    );
    case.input = vec![0x8000_0000, 0xff80_0000, 0x7fc0_0000, 0x3f80_0000];
    let [output, _] = run(gpu, &kernels, &case, Layout::Separate)?;
    let nan = f32::from_bits(output[2]).is_nan();
    if output[..2] != [0, 0] || !nan || output[3] != case.input[3] {
        return Err(format!("relu of -0, -infinity, NaN and 1: {output:x?}"));
    }
    Ok(())
}

/// Shapes: one row, one column, rows of 65,536 columns, and no element.
fn wide_and_narrow(gpu: &Gpu) -> Result<(), String> {
    let activation = Activation::Silu;
    let kernels = kernels(gpu, activation)?;
    for &element in ElementType::ALL {
        for (rows, columns) in [(1, 1), (1, 65_536), (3, 65_536), (65_536, 1), (0, 8)] {
            let source = Source::Len((rows * columns) as u64);
            let case = act::Case::new(activation, element, call(0.4, 5), source, columns);
            check(gpu, &kernels, &case, Layout::Separate)?;
            let case = case.gated();
            check_gated(gpu, &kernels, &case, Gate::Two, Layout::Separate)?;
            if element == ElementType::F32 || columns > 1 {
                check_gated(
                    gpu,
                    &kernels,
                    &case,
                    Gate::Halves(columns),
                    Layout::Separate,
                )?;
            }
        }
    }
    Ok(())
}

/// The fused operation agrees with three in a row: the identity with a bias, the activation at rate
/// 0, the identity with dropout.
fn as_separate_operations(gpu: &Gpu) -> Result<(), String> {
    for &activation in Activation::ALL {
        let source = Source::Len(4_096);
        let case = act::Case::new(activation, ElementType::F32, call(0.4, 5), source, 64);
        let step = |activation, input: Vec<u32>, call, bias: Vec<f32>| {
            let step = act::Case {
                activation,
                call,
                input,
                bias,
                ..case.clone()
            };
            let kernels = kernels(gpu, activation)?;
            run(gpu, &kernels, &step, Layout::Separate).map(|[output, _]| output)
        };
        let off = call(0.0, 5);
        let sums = step(
            Activation::Identity,
            case.input.clone(),
            off,
            case.bias.clone(),
        )?;
        let values = step(activation, sums, off, Vec::new())?;
        let dropped = step(Activation::Identity, values, case.call, Vec::new())?;
        case.check_output(&dropped)?;
        let fused = step(activation, case.input.clone(), case.call, case.bias.clone())?;
        case.check_output(&fused)?;
    }
    Ok(())
}

fn faults_are_seen(gpu: &Gpu) -> Result<(), String> {
    for &activation in Activation::ALL {
        let kernels = kernels(gpu, activation)?;
        let source = Source::Len(1024);
        let case = act::Case::new(activation, ElementType::F32, call(0.4, 5), source, 64);
        let [output, gradient] = run(gpu, &kernels, &case, Layout::Separate)?;
        for (name, faulty) in case.faults() {
            // The identity's slope is the same everywhere, so no gradient shows a wrong bias.
            let same_slope = name == "a neighbour's bias" && activation == Activation::Identity;
            let gradient_seen = same_slope || faulty.check_gradient(&gradient).is_err();
            if faulty.check_output(&output).is_ok() || !gradient_seen {
                return Err(format!("{name} looks like {activation}"));
            }
        }
        let case = case.gated();
        let [_, gate, up] = run_gated(gpu, &kernels, &case, Gate::Halves(64), Layout::Separate)?;
        for (name, faulty) in case.faults() {
            let seen = [faulty.check_gradient(&gate), faulty.check_up_gradient(&up)];
            if seen.iter().any(Result::is_ok) {
                return Err(format!("{name} looks like {activation} of a gate"));
            }
        }
    }
    Ok(())
}
