//! Norms behind a residual and a branch, and their gradients [M25].

use core::ops::Range;
use std::sync::{Arc, Mutex};

use wgpu_dropout::{
    ColumnSums, DropoutAddNorm, DropoutKind, ElementType, Elements, GammaBuffers, KernelDescriptor,
    MaskPlace, Norm, NormVectors,
};

use crate::adapters::Variant;
use crate::case::{Case, text};
use crate::common::add::{Source, sources};
use crate::common::elements::{packed, unpacked};
use crate::common::inputs::{call, kind_call};
use crate::common::norm;
use crate::gpu::Gpu;
use crate::image::{Image, binding};
use crate::once::once;
use crate::ranges::{LAYOUTS, Layout, elements};

pub const CASES: &[Case] = &[
    Case::new("columns_and_offsets", columns_and_offsets),
    Case::new("sources", of_sources),
    Case::new("few_workgroups", cut).on(Variant::FewWorkgroups),
    Case::new("small_bindings", cut).on(Variant::SmallBindings),
    Case::new("no_features", bare).on(Variant::Bare),
    Case::new("without_a_residual_or_a_sum", partial),
    Case::new("a_row_has_the_same_bits_in_each_batch", same_bits),
    Case::new("faults_are_seen", faults_are_seen),
];

const PLACES: [MaskPlace; 2] = [MaskPlace::Branch, MaskPlace::Output];

/// The content of the gradient of γ before the run, to which accumulation adds.
const BEFORE: f32 = 0.5;

fn norms() -> Result<[Norm; 2], String> {
    Ok([
        Norm::layer(1e-5).map_err(text)?,
        Norm::rms(1e-6).map_err(text)?,
    ])
}

/// The results of a case, as bits of elements.
#[derive(Clone, Debug, PartialEq)]
struct Results {
    sum: Vec<u32>,
    output: Vec<u32>,
    grad_sum: Vec<u32>,
    masked: Vec<u32>,
    gamma: Vec<u32>,
}

/// The numbers and the side of a case, beside its ranges.
struct Sides {
    buffer: wgpu::Buffer,
    numbers: Range<usize>,
    source: Range<usize>,
}

impl Sides {
    fn new(gpu: &Gpu, case: &norm::Case) -> Self {
        let mut image = Image::new(gpu);
        let numbers = case.add.bias.iter().chain(&case.gamma).chain(&case.beta);
        let numbers: Vec<_> = numbers.map(|number| number.to_bits()).collect();
        let numbers = image.place(&numbers);
        let source = image.place(case.add.source.side());
        Self {
            buffer: image.upload(gpu),
            numbers,
            source,
        }
    }

    fn vectors(&self, case: &norm::Case) -> NormVectors<'_> {
        let numbers = binding(&self.buffer, &self.numbers, true);
        let columns = case.columns() as u32;
        match case.add.bias.len() as u32 {
            0 => NormVectors::new(numbers, columns),
            len => NormVectors::with_bias(numbers, columns, len),
        }
    }

    fn elements<'a>(&'a self, case: &'a norm::Case) -> Elements<'a> {
        let side = binding(&self.buffer, &self.source, true);
        elements(&case.add.source, side).of_type(case.add.element)
    }
}

/// Results of a case; bytes around them must stay.
fn run(
    gpu: &Gpu,
    kernels: &DropoutAddNorm,
    case: &norm::Case,
    layout: Layout,
) -> Result<Results, String> {
    let (element, call) = (case.add.element, &case.add.call);
    let sides = Sides::new(gpu, case);
    let mut pool = Image::new(gpu);
    let [input, residual, grad] = [&case.add.input, &case.add.residual, &case.grad_output]
        .map(|bits| pool.place(&packed(element, bits)));
    let words = input.len() as u64;
    let output = pool.place_for(words);
    let grad_sum = match &case.before {
        Some(before) => pool.place(&packed(element, before)),
        None => pool.place_for(words),
    };
    let in_place = layout == Layout::InPlace;
    let [sum, masked] = match in_place {
        true => [residual.clone(), grad.clone()],
        false => [pool.place_for(words), pool.place_for(words)],
    };
    let buffer = pool.upload(gpu);
    let read = match layout {
        Layout::Separate => pool.upload(gpu),
        Layout::Pooled | Layout::InPlace => buffer.clone(),
    };
    let (rows, columns) = (case.len() / case.columns().max(1), case.columns() as u32);
    let rows = rows as u64;
    let mut memory = Image::new(gpu);
    let moments = memory.place_for(DropoutAddNorm::moments_bytes(rows) / 4);
    let moments_buffer = memory.upload(gpu);
    let mut partial = Image::new(gpu);
    let scratch = partial.place_for(ColumnSums::scratch_bytes(rows, columns) / 4);
    let partial_buffer = partial.upload(gpu);
    let mut total = Image::new(gpu);
    let gamma = total.place(&vec![BEFORE.to_bits(); case.columns()]);
    let total_buffer = total.upload(gpu);
    let at = |place| binding(&buffer, place, true);
    let of = |place| binding(&read, place, true);
    let (vectors, elements) = (|| sides.vectors(case), || sides.elements(case));
    let grad_normed = match case.place {
        MaskPlace::Output => at(&masked),
        _ => of(&grad),
    };
    gpu.submit(|pass| {
        let forward = match in_place {
            true => kernels.bind_in_place(of(&input), at(&sum), at(&output), vectors(), elements()),
            false => kernels.bind(
                of(&input),
                Some(of(&residual)),
                Some(at(&sum)),
                at(&output),
                vectors(),
                elements(),
            ),
        };
        kernels
            .encode_forward(pass, &forward.map_err(text)?, call)
            .map_err(text)?;
        let gamma_buffers = GammaBuffers {
            grad_normed,
            sum: at(&sum),
            moments: binding(&moments_buffer, &moments, true),
            scratch: binding(&partial_buffer, &scratch, true),
            grad_gamma: binding(&total_buffer, &gamma, true),
        };
        let of_gamma = kernels
            .bind_gamma_gradient(gamma_buffers, (rows, columns), element)
            .map_err(text)?;
        // The backward overwrites the gradient, or makes the norm's.
        let is_first = case.place == MaskPlace::Branch;
        if is_first {
            kernels.encode_gamma_gradient(pass, &of_gamma, true);
        }
        let backward = match in_place {
            true => kernels.bind_backward_in_place(
                at(&masked),
                at(&sum),
                at(&grad_sum),
                vectors(),
                elements(),
            ),
            false => kernels.bind_backward(
                of(&grad),
                at(&sum),
                at(&grad_sum),
                at(&masked),
                vectors(),
                elements(),
            ),
        };
        kernels
            .encode_backward(pass, &backward.map_err(text)?, call, case.before.is_some())
            .map_err(text)?;
        if !is_first {
            kernels.encode_gamma_gradient(pass, &of_gamma, true);
        }
        Ok(())
    })?;
    let after = gpu.download(&buffer)?;
    let written = [
        sum.clone(),
        output.clone(),
        grad_sum.clone(),
        masked.clone(),
    ];
    pool.check_outside(&after, &written)?;
    memory.check_outside(&gpu.download(&moments_buffer)?, &[moments])?;
    partial.check_outside(&gpu.download(&partial_buffer)?, &[scratch])?;
    let sums = gpu.download(&total_buffer)?;
    total.check_outside(&sums, std::slice::from_ref(&gamma))?;
    if element.bytes() == 2 && case.len() % 2 == 1 {
        // The spare half of a sum and of what dropout left, where something stood.
        for (place, stood) in written
            .iter()
            .zip([in_place, false, case.before.is_some(), in_place])
        {
            let spare = after[place.end - 1] >> 16;
            let expected = if stood { 0xbeef } else { 0xdead };
            if spare != expected {
                return Err(format!("a spare half became {spare:#x}"));
            }
        }
    }
    let [sum, output, grad_sum, masked] =
        written.map(|place| unpacked(element, case.len(), &after[place]));
    Ok(Results {
        sum,
        output,
        grad_sum,
        masked,
        gamma: sums[gamma].to_vec(),
    })
}

fn kernels(gpu: &Gpu, norm: Norm, place: MaskPlace) -> Result<Arc<DropoutAddNorm>, String> {
    static MADE: Mutex<Vec<Arc<DropoutAddNorm>>> = Mutex::new(Vec::new());
    let is_it = |kernels: &DropoutAddNorm| {
        (kernels.norm(), kernels.place()) == (norm, place) && *kernels.device() == gpu.device
    };
    once(&MADE, is_it, || {
        DropoutAddNorm::new(&gpu.device, &KernelDescriptor::default(), norm, place).map_err(text)
    })
}

/// Compares all results of a case. Gives the largest errors of output and gradient, as parts of their bounds.
fn check(gpu: &Gpu, case: &norm::Case, layout: Layout) -> Result<[f64; 2], String> {
    let kernels = kernels(gpu, case.norm, case.place)?;
    let results =
        run(gpu, &kernels, case, layout).map_err(|error| format!("{layout:?}: {error}; {case}"))?;
    compare(case, &results).map_err(|error| format!("{layout:?}: {error}"))
}

fn compare(case: &norm::Case, results: &Results) -> Result<[f64; 2], String> {
    let Results {
        sum,
        output,
        grad_sum,
        masked,
        gamma,
    } = results;
    case.check_sum(sum)?;
    let of_output = case.check_output(sum, output)?;
    let of_gradient = case.check_gradients(sum, grad_sum, masked)?;
    let grad_normed = match case.place {
        MaskPlace::Output => masked,
        _ => &case.grad_output,
    };
    case.check_gamma(sum, grad_normed, gamma, BEFORE)?;
    Ok([of_output, of_gradient])
}

fn columns_and_offsets(gpu: &Gpu) -> Result<(), String> {
    let info = gpu.adapter.get_info();
    let mut worst = [0.0f64; 2];
    // Others pair them otherwise: each pair has pipelines of its own.
    for (norm, place) in norms()?.into_iter().zip(PLACES) {
        for (number, (columns, rows)) in [
            (1, 300),
            (2, 3),
            (3, 701),
            (32, 9),
            (33, 600),
            (255, 7),
            (768, 40),
            (1_023, 17),
            (4_096, 3),
            (8_193, 3),
            (65_536, 2),
        ]
        .into_iter()
        .enumerate()
        {
            for (of_type, &element) in ElementType::ALL.iter().enumerate() {
                // Drivers take seconds over a kernel for any mask, which such rows have.
                let is_wide = columns % 8 == 0;
                if norm.is_rms() && !is_wide && element != ElementType::F16 {
                    continue;
                }
                let offset = [0.0, 1e5, 1e3][(number + of_type) % 3];
                // f16 has no 1e5.
                let offset = if element == ElementType::F16 {
                    0.1 * offset
                } else {
                    offset
                };
                let source = Source::Len((columns * rows) as u64);
                let case =
                    norm::Case::new(norm, place, element, call(0.3, 5), source, [columns; 2]);
                let mut case = case.about(offset, 1.0);
                if number % 2 == 0 {
                    case = case.accumulated();
                }
                let ratios = check(gpu, &case, LAYOUTS[(number + of_type) % 3])?;
                worst = [0, 1].map(|i| worst[i].max(ratios[i]));
            }
        }
    }
    let [value, gradient] = worst;
    println!(
        "norm: worst error / bound {value:.2}, of the gradient {gradient:.2} ({}/{})",
        info.backend, info.name
    );
    Ok(())
}

/// Each source with one type: drivers take a second and more over a kernel that has any of them.
fn of_sources(gpu: &Gpu) -> Result<(), String> {
    let norms = norms()?;
    for (number, (source, columns)) in sources().into_iter().enumerate() {
        let element = ElementType::ALL[number % 3];
        let p = [0.4, 0.4, 0.0, 0.4, 1.0][number % 5];
        let kind = [DropoutKind::Inverted, DropoutKind::Classic][number / 3 % 2];
        let bias = columns * [1, 4, 0][number / 2 % 3];
        let turn = number / 4;
        let (norm, place) = (norms[turn % 2], PLACES[turn % 2]);
        let case = norm::Case::new(
            norm,
            place,
            element,
            kind_call(p, 5, kind),
            source,
            [columns, bias],
        );
        check(gpu, &case, LAYOUTS[(number + number / 3) % 3])?;
    }
    Ok(())
}

/// Tensors of several dispatches. What a row gives does not depend on where it is cut.
fn cut(gpu: &Gpu) -> Result<(), String> {
    for (norm, columns) in norms()?.into_iter().zip([7, 8]) {
        for (of_type, &element) in ElementType::ALL.iter().enumerate() {
            let place = PLACES[of_type % 2];
            // Moments are bound whole.
            let rows = 1_031.min(gpu.device.limits().max_storage_buffer_binding_size as usize / 12);
            let source = Source::Len((rows * columns) as u64);
            let case = norm::Case::new(norm, place, element, call(0.4, 5), source, [columns; 2]);
            let kernels = kernels(gpu, norm, place)?;
            let whole = run(gpu, &kernels, &case, Layout::InPlace)?;
            compare(&case, &whole)?;
            // Two 16-bit rows of 7 begin with a word.
            for first in [0, (rows - 5) / 2 * 2] {
                same_as_part(gpu, &kernels, &case, &whole, first..first + 5)?;
            }
        }
    }
    Ok(())
}

/// Runs some rows by themselves: all but the gradient of γ must have the same bits.
fn same_as_part(
    gpu: &Gpu,
    kernels: &DropoutAddNorm,
    case: &norm::Case,
    whole: &Results,
    rows: Range<usize>,
) -> Result<(), String> {
    let columns = case.columns();
    let elements = rows.start * columns..rows.end * columns;
    let of = |bits: &[u32]| bits[elements.clone()].to_vec();
    let mut part = case.clone();
    part.add.input = of(&case.add.input);
    part.add.residual = of(&case.add.residual);
    part.grad_output = of(&case.grad_output);
    part.add.source = Source::Len(elements.len() as u64);
    let origin = case.add.call.origin + elements.start as u64;
    part.add.call = case.add.call.with_origin(origin);
    let alone = run(gpu, kernels, &part, Layout::InPlace)?;
    for (whole, alone) in [
        (&whole.sum, &alone.sum),
        (&whole.output, &alone.output),
        (&whole.grad_sum, &alone.grad_sum),
        (&whole.masked, &alone.masked),
    ] {
        if of(whole) != *alone {
            return Err(format!("rows {rows:?} differ by themselves; {case}"));
        }
    }
    Ok(())
}

fn same_bits(gpu: &Gpu) -> Result<(), String> {
    let [norm, _] = norms()?;
    for &element in ElementType::ALL {
        // Rows of 333 are taken by kernels for any mask.
        let odd = (element == ElementType::F16).then_some(333);
        for columns in [96, 5_000].into_iter().chain(odd) {
            let rows = 40;
            let source = Source::Len((rows * columns) as u64);
            let case = norm::Case::new(
                norm,
                MaskPlace::Branch,
                element,
                call(0.4, 5),
                source,
                [columns; 2],
            );
            let kernels = kernels(gpu, norm, MaskPlace::Branch)?;
            let whole = run(gpu, &kernels, &case, Layout::InPlace)?;
            if whole != run(gpu, &kernels, &case, Layout::InPlace)? {
                return Err(format!("a second run differs; {case}"));
            }
            // An even row: of 16-bit elements a tensor begins with a word.
            same_as_part(gpu, &kernels, &case, &whole, 30..33)?;
        }
    }
    Ok(())
}

/// Four storage buffers are enough without a side.
fn bare(gpu: &Gpu) -> Result<(), String> {
    let [norm, _] = norms()?;
    for place in PLACES {
        let source = Source::Len(50 * 80);
        let case = norm::Case::new(
            norm,
            place,
            ElementType::F32,
            call(0.4, 5),
            source,
            [80, 80],
        );
        check(gpu, &case, Layout::InPlace)?;
    }
    Ok(())
}

/// An output alone has the bits of one with a sum; without a residual a sum is that with +0.
fn partial(gpu: &Gpu) -> Result<(), String> {
    let [norm, _] = norms()?;
    for (number, &element) in ElementType::ALL.iter().enumerate() {
        for has_residual in [false, true] {
            let place = PLACES[(number + usize::from(has_residual)) % 2];
            let columns = if element == ElementType::F16 { 77 } else { 80 };
            let source = Source::Len(51 * columns as u64);
            let mut case =
                norm::Case::new(norm, place, element, call(0.4, 5), source, [columns; 2]);
            if !has_residual {
                case.add.residual.fill(0);
            }
            let kernels = kernels(gpu, norm, place)?;
            let whole = run(gpu, &kernels, &case, Layout::Separate)?;
            compare(&case, &whole)?;
            let sides = Sides::new(gpu, &case);
            let mut pool = Image::new(gpu);
            let [input, residual] = [&case.add.input, &case.add.residual]
                .map(|bits| pool.place(&packed(element, bits)));
            let outputs = [0, 1].map(|_| pool.place_for(input.len() as u64));
            let sum = pool.place_for(input.len() as u64);
            let buffer = pool.upload(gpu);
            let at = |place| binding(&buffer, place, true);
            gpu.submit(|pass| {
                let sums = [None, Some(at(&sum))];
                for (output, sum) in outputs.iter().zip(sums) {
                    let residual = has_residual.then(|| at(&residual));
                    let vectors = sides.vectors(&case);
                    let elements = sides.elements(&case);
                    let bound =
                        kernels.bind(at(&input), residual, sum, at(output), vectors, elements);
                    kernels
                        .encode_forward(pass, &bound.map_err(text)?, &case.add.call)
                        .map_err(text)?;
                }
                Ok(())
            })?;
            let after = gpu.download(&buffer)?;
            let written = [outputs[0].clone(), outputs[1].clone(), sum.clone()];
            pool.check_outside(&after, &written)?;
            let [alone, beside, sum] =
                written.map(|place| unpacked(element, case.len(), &after[place]));
            if alone != whole.output || beside != whole.output || sum != whole.sum {
                return Err(format!("residual: {has_residual}: other bits; {case}"));
            }
        }
    }
    Ok(())
}

fn faults_are_seen(gpu: &Gpu) -> Result<(), String> {
    let norm = Norm::layer(0.1).map_err(text)?;
    for place in PLACES {
        let source = Source::Len(90 * 16);
        let case = norm::Case::new(
            norm,
            place,
            ElementType::F32,
            call(0.4, 5),
            source,
            [16, 16],
        );
        let kernels = kernels(gpu, norm, place)?;
        let results = run(gpu, &kernels, &case, Layout::Separate)?;
        compare(&case, &results)?;
        for (name, faulty) in case.faults() {
            if compare(&faulty, &results).is_ok() {
                return Err(format!("{name} looks the same"));
            }
        }
        let mut other = results.clone();
        other.gamma.rotate_left(1);
        if compare(&case, &other).is_ok() {
            return Err("a neighbour's gradient of γ looks the same".into());
        }
    }
    Ok(())
}
