//! A softmax before a dropout, and its gradient [M26].

use core::ops::Range;
use std::sync::{Arc, Mutex};

use wgpu_dropout::{
    AdditiveMask, AttentionMask, DropoutKind, ElementType, Elements, KernelDescriptor,
    SavedSoftmax, Softmax, SoftmaxDropout,
};

use crate::adapters::Variant;
use crate::case::{Case, text};
use crate::common::add::{Source, sources};
use crate::common::elements::{packed, unpacked};
use crate::common::inputs::{call, kind_call};
use crate::common::softmax::{self, masks};
use crate::gpu::Gpu;
use crate::image::{Image, binding};
use crate::once::once;
use crate::ranges::{LAYOUTS, Layout, elements};

pub const CASES: &[Case] = &[
    Case::new("columns_and_masks", columns_and_masks),
    Case::new("sources", of_sources),
    Case::new("specials", specials),
    Case::new("few_workgroups", cut).on(Variant::FewWorkgroups),
    Case::new("small_bindings", cut).on(Variant::SmallBindings),
    Case::new("no_features", bare).on(Variant::Bare),
    Case::new("a_row_has_the_same_bits_in_each_batch", same_bits),
    Case::new("faults_are_seen", faults_are_seen),
];

/// The results of a case, as bits of elements.
#[derive(Clone, Debug, PartialEq)]
struct Results {
    output: Vec<u32>,
    /// The probabilities before dropout.
    probabilities: Vec<u32>,
    from_scores: Vec<u32>,
    from_probabilities: Vec<u32>,
}

/// The numbers and the side of a case, beside its ranges.
struct Sides {
    buffer: wgpu::Buffer,
    numbers: Range<usize>,
    source: Range<usize>,
}

impl Sides {
    fn new(gpu: &Gpu, case: &softmax::Case) -> Self {
        let mut image = Image::new(gpu);
        let numbers: Vec<_> = match &case.mask {
            AttentionMask::Additive(mask) => mask.iter().map(|number| number.to_bits()).collect(),
            _ => vec![],
        };
        let numbers = image.place(&numbers);
        let source = image.place(case.add.source.side());
        Self {
            buffer: image.upload(gpu),
            numbers,
            source,
        }
    }

    fn mask(&self, case: &softmax::Case) -> AttentionMask<AdditiveMask<'_>> {
        match &case.mask {
            AttentionMask::Additive(mask) => {
                let numbers = binding(&self.buffer, &self.numbers, true);
                AttentionMask::Additive(AdditiveMask::new(numbers, mask.len() as u32))
            }
            AttentionMask::Causal {
                rows_per_matrix,
                offset,
            } => AttentionMask::Causal {
                rows_per_matrix: *rows_per_matrix,
                offset: *offset,
            },
            _ => AttentionMask::None,
        }
    }

    fn elements<'a>(&'a self, case: &'a softmax::Case) -> Elements<'a> {
        let side = binding(&self.buffer, &self.source, true);
        elements(&case.add.source, side).of_type(case.add.element)
    }
}

/// Results of a case; bytes around them must stay.
fn run(
    gpu: &Gpu,
    kernels: &SoftmaxDropout,
    case: &softmax::Case,
    layout: Layout,
) -> Result<Results, String> {
    let (element, call) = (case.add.element, &case.add.call);
    let sides = Sides::new(gpu, case);
    let mut pool = Image::new(gpu);
    let in_place = layout == Layout::InPlace;
    let [scores, grad] =
        [&case.add.input, &case.add.residual].map(|bits| pool.place(&packed(element, bits)));
    let words = scores.len() as u64;
    let probabilities = pool.place_for(words);
    let again = |pool: &mut Image, bits: &[u32]| match in_place {
        true => pool.place(&packed(element, bits)),
        false => pool.place_for(words),
    };
    let output = again(&mut pool, &case.add.input);
    let [from_scores, from_probabilities] = [0, 1].map(|_| again(&mut pool, &case.add.residual));
    let buffer = pool.upload(gpu);
    let read = match layout {
        Layout::Separate => pool.upload(gpu),
        Layout::Pooled | Layout::InPlace => buffer.clone(),
    };
    let at = |place| binding(&buffer, place, true);
    let of = |place| binding(&read, place, true);
    let (rows, mask, elements) = (case.softmax, || sides.mask(case), || sides.elements(case));
    gpu.submit(|pass| {
        let kept = Some(at(&probabilities));
        let forward = match in_place {
            true => kernels.bind_in_place(rows, mask(), at(&output), kept, elements()),
            false => kernels.bind(rows, mask(), of(&scores), at(&output), kept, elements()),
        };
        kernels
            .encode_forward(pass, &forward.map_err(text)?, call)
            .map_err(text)?;
        for (saved, to) in [
            (SavedSoftmax::Scores(of(&scores)), &from_scores),
            (
                SavedSoftmax::Probabilities(at(&probabilities)),
                &from_probabilities,
            ),
        ] {
            let backward = match in_place {
                true => kernels.bind_backward_in_place(rows, mask(), saved, at(to), elements()),
                false => kernels.bind_backward(rows, mask(), saved, of(&grad), at(to), elements()),
            };
            kernels
                .encode_backward(pass, &backward.map_err(text)?, call)
                .map_err(text)?;
        }
        Ok(())
    })?;
    let after = gpu.download(&buffer)?;
    let written = [output, probabilities, from_scores, from_probabilities];
    pool.check_outside(&after, &written)?;
    if element.bytes() == 2 && case.len() % 2 == 1 {
        // The spare half, where something stood.
        for (number, place) in written.iter().enumerate() {
            let spare = after[place.end - 1] >> 16;
            let expected = if in_place && number != 1 {
                0xbeef
            } else {
                0xdead
            };
            if spare != expected {
                return Err(format!("a spare half became {spare:#x}"));
            }
        }
    }
    let [output, probabilities, from_scores, from_probabilities] =
        written.map(|place| unpacked(element, case.len(), &after[place]));
    Ok(Results {
        output,
        probabilities,
        from_scores,
        from_probabilities,
    })
}

fn kernels(gpu: &Gpu) -> Result<Arc<SoftmaxDropout>, String> {
    static MADE: Mutex<Vec<Arc<SoftmaxDropout>>> = Mutex::new(Vec::new());
    let is_it = |kernels: &SoftmaxDropout| *kernels.device() == gpu.device;
    once(&MADE, is_it, || {
        SoftmaxDropout::new(&gpu.device, &KernelDescriptor::default()).map_err(text)
    })
}

/// Compares all results of a case. Gives the largest errors of outputs and gradients, as parts of their bounds.
fn check(gpu: &Gpu, case: &softmax::Case, layout: Layout) -> Result<[f64; 2], String> {
    let results = run(gpu, &*kernels(gpu)?, case, layout)
        .map_err(|error| format!("{layout:?}: {error}; {case}"))?;
    compare(case, &results).map_err(|error| format!("{layout:?}: {error}"))
}

fn compare(case: &softmax::Case, results: &Results) -> Result<[f64; 2], String> {
    let output = case.check_output(&results.output, true)?;
    let probabilities = &results.probabilities;
    let kept = case.check_output(probabilities, false)?;
    let from_scores = case.check_gradient(None, &results.from_scores)?;
    let from_kept = case.check_gradient(Some(probabilities), &results.from_probabilities)?;
    Ok([output.max(kept), from_scores.max(from_kept)])
}

fn plain(rows: usize, columns: usize, element: ElementType) -> Result<softmax::Case, String> {
    let softmax = Softmax::new(columns as u32, 0.7).map_err(text)?;
    let source = Source::Len((rows * columns) as u64);
    let none = AttentionMask::None;
    Ok(softmax::Case::new(
        softmax,
        none,
        element,
        call(0.3, 5),
        source,
    ))
}

fn columns_and_masks(gpu: &Gpu) -> Result<(), String> {
    let info = gpu.adapter.get_info();
    let mut worst = [0.0f64; 2];
    for (number, (columns, rows)) in [
        (1, 300),
        (2, 4),
        (3, 702),
        (32, 9),
        (33, 600),
        (255, 8),
        (768, 40),
        (1_023, 18),
        (4_096, 4),
        (8_193, 4),
        // Rows of whole vectors that begin within a mask word.
        (8_200, 4),
        (65_536, 2),
    ]
    .into_iter()
    .enumerate()
    {
        for (of_type, &element) in ElementType::ALL.iter().enumerate() {
            // Long rows take long: each type has some masks, and each mask some type.
            let step = if rows * columns > 20_000 { 3 } else { 1 };
            let masks = masks(rows, columns).into_iter().enumerate();
            for (turn, mask) in masks.skip(of_type % step).step_by(step) {
                let mut case = plain(rows, columns, element)?;
                case.mask = mask;
                let factor = [0.7, -3.0][turn % 2];
                case.softmax = Softmax::new(columns as u32, factor).map_err(text)?;
                case.spread([8.0, 300.0, 1e-3][(number + turn) % 3]);
                let ratios = check(gpu, &case, LAYOUTS[(number + of_type + turn) % 3])?;
                worst = [0, 1].map(|i| worst[i].max(ratios[i]));
            }
        }
    }
    let [value, gradient] = worst;
    println!(
        "softmax: worst error / bound {value:.2}, of the gradient {gradient:.2} ({}/{})",
        info.backend, info.name
    );
    Ok(())
}

/// Each source with one type: drivers take a second and more over a kernel that has any of them.
fn of_sources(gpu: &Gpu) -> Result<(), String> {
    for (number, (source, columns)) in sources().into_iter().enumerate() {
        let element = ElementType::ALL[number % 3];
        let p = [0.4, 0.4, 0.0, 0.4, 1.0][number % 5];
        let kind = [DropoutKind::Inverted, DropoutKind::Classic][number / 3 % 2];
        let masks = masks(24, columns);
        let mask = masks[number % masks.len()].clone();
        let softmax = Softmax::new(columns as u32, 0.125).map_err(text)?;
        let case = softmax::Case::new(softmax, mask, element, kind_call(p, 5, kind), source);
        check(gpu, &case, LAYOUTS[(number + number / 3) % 3])?;
    }
    Ok(())
}

fn specials(gpu: &Gpu) -> Result<(), String> {
    for (of_type, &element) in ElementType::ALL.iter().enumerate() {
        for (turn, mask) in masks(60, 37).into_iter().enumerate() {
            let mut case = plain(60, 37, element)?;
            case.softmax = Softmax::new(37, 0.125).map_err(text)?;
            case.mask = mask;
            case.specials();
            check(gpu, &case, LAYOUTS[(of_type + turn) % 3])?;
        }
    }
    Ok(())
}

/// Tensors of several dispatches. What a row gives does not depend on where it is cut.
fn cut(gpu: &Gpu) -> Result<(), String> {
    for (number, columns) in [8, 7].into_iter().enumerate() {
        for (of_type, &element) in ElementType::ALL.iter().enumerate() {
            let rows = 1_030;
            let mut case = plain(rows, columns, element)?;
            case.mask = masks(rows, columns)[1 + (number + of_type) % 3].clone();
            let kernels = kernels(gpu)?;
            let whole = run(gpu, &kernels, &case, Layout::InPlace)?;
            compare(&case, &whole)?;
            // Two 16-bit rows of 7 begin with a word, and masks with each 10th.
            for first in [0, 1_020] {
                same_as_part(gpu, &kernels, &case, &whole, first..first + 10)?;
            }
        }
    }
    Ok(())
}

/// Runs some rows by themselves: they must have the same bits.
fn same_as_part(
    gpu: &Gpu,
    kernels: &SoftmaxDropout,
    case: &softmax::Case,
    whole: &Results,
    rows: Range<usize>,
) -> Result<(), String> {
    let elements = rows.start * case.columns()..rows.end * case.columns();
    let mut part = case.clone();
    part.add = case.add.part(elements.clone());
    let alone = run(gpu, kernels, &part, Layout::InPlace)?;
    let parts = [
        (&whole.output, &alone.output),
        (&whole.probabilities, &alone.probabilities),
        (&whole.from_scores, &alone.from_scores),
        (&whole.from_probabilities, &alone.from_probabilities),
    ];
    let is_same = |(whole, alone): (&Vec<u32>, &Vec<u32>)| whole[elements.clone()] == alone[..];
    match parts.into_iter().all(is_same) {
        true => Ok(()),
        false => Err(format!("rows {rows:?} differ by themselves; {case}")),
    }
}

fn same_bits(gpu: &Gpu) -> Result<(), String> {
    for &element in ElementType::ALL {
        for columns in [96, 333, 5_000] {
            let case = plain(40, columns, element)?;
            let kernels = kernels(gpu)?;
            let whole = run(gpu, &kernels, &case, Layout::InPlace)?;
            if whole != run(gpu, &kernels, &case, Layout::Separate)? {
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
    for mask in masks(50, 77) {
        let mut case = plain(50, 77, ElementType::F32)?;
        case.mask = mask;
        check(gpu, &case, Layout::Pooled)?;
    }
    Ok(())
}

fn faults_are_seen(gpu: &Gpu) -> Result<(), String> {
    for mask in masks(90, 11).into_iter().take(5) {
        let mut case = plain(90, 11, ElementType::F32)?;
        case.mask = mask;
        let results = run(gpu, &*kernels(gpu)?, &case, Layout::Separate)?;
        compare(&case, &results)?;
        for (name, faulty) in case.faults() {
            if faulty.check_output(&results.output, true).is_ok()
                || faulty.check_gradient(None, &results.from_scores).is_ok()
            {
                return Err(format!("{name} looks the same; {case}"));
            }
        }
    }
    Ok(())
}
