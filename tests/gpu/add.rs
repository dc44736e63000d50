//! `DropoutAdd`: sums of a residual and a dropped branch, and their gradients [M23].

use wgpu_dropout::{DropoutAdd, DropoutKind, ElementType, KernelDescriptor, MaskLayout, Vectors};

use crate::adapters::Variant;
use crate::case::{Case, text};
use crate::common::add::{self, Source, TYPES, sources};
use crate::common::elements::{packed, unpacked};
use crate::common::inputs::{LENGTHS, call, kind_call, origins};
use crate::common::kinds::{self, Direction};
use crate::gpu::Gpu;
use crate::image::{Image, binding};
use crate::ranges::{LAYOUTS, Layout, elements};
use crate::run::check_zeros;

pub const CASES: &[Case] = &[
    Case::new("lengths_and_origins", lengths_and_origins),
    Case::new("vectors", vectors),
    Case::new("sources", of_sources),
    Case::new("few_workgroups", cut).on(Variant::FewWorkgroups),
    Case::new("small_bindings", cut).on(Variant::SmallBindings),
    Case::new("no_features", cut).on(Variant::Bare),
    Case::new("its_mask_is_the_call's", its_mask),
    Case::new("dropped_elements_are_the_residual's_bits", dropped_bits),
    Case::new("faults_are_seen", faults_are_seen),
];

/// The result of a case in a direction. An error if a byte around the result changed.
fn run(
    gpu: &Gpu,
    kernels: &Kernels,
    case: &add::Case,
    direction: Direction,
    layout: Layout,
) -> Result<Vec<u32>, String> {
    let kernels = kernels.of(case);
    let mut pool = Image::new(gpu);
    let input = pool.place(&packed(case.element, &case.input));
    let residual = pool.place(&packed(case.stream, &case.residual));
    let result = match direction {
        Direction::Forward => case.stream,
        Direction::Backward => case.element,
    };
    let output = match layout {
        Layout::InPlace => residual.clone(),
        Layout::Separate | Layout::Pooled => {
            pool.place_for((case.len() as u64 * result.bytes()).div_ceil(4))
        }
    };
    let buffer = pool.upload(gpu);
    let read = match layout {
        Layout::Separate => pool.upload(gpu),
        Layout::Pooled | Layout::InPlace => buffer.clone(),
    };
    let numbers: Vec<u32> = case
        .bias
        .iter()
        .chain(&case.scale)
        .map(|n| n.to_bits())
        .collect();
    let mut side = Image::new(gpu);
    let numbers_place = side.place(&numbers);
    let side_place = side.place(case.source.side());
    let side = side.upload(gpu);
    let ids_or_mask = binding(&side, &side_place, true);
    let elements = elements(&case.source, ids_or_mask).of_type(case.element);
    // The cast is safe: cases have at most tens of thousands of numbers.
    let [bias_len, scale_len] = [case.bias.len() as u32, case.scale.len() as u32];
    let vectors = || {
        let numbers = binding(&side, &numbers_place, true);
        match (bias_len, scale_len) {
            (0, _) => Vectors::scale(numbers, scale_len),
            (_, 0) => Vectors::bias(numbers, bias_len),
            _ => Vectors::bias_and_scale(numbers, bias_len, scale_len),
        }
    };
    let some = (bias_len + scale_len > 0).then(vectors);
    let (input, residual) = (
        binding(&read, &input, true),
        binding(&read, &residual, true),
    );
    let (written, call) = (binding(&buffer, &output, true), &case.call);
    gpu.submit(|pass| {
        match (direction, layout) {
            (Direction::Forward, Layout::InPlace) => {
                let bound = kernels.bind_in_place(input, written, some, elements);
                kernels.encode_forward(pass, &bound.map_err(text)?, call)
            }
            (Direction::Forward, _) => {
                let bound = kernels.bind(input, residual, written, some, elements);
                kernels.encode_forward(pass, &bound.map_err(text)?, call)
            }
            (Direction::Backward, Layout::InPlace) => {
                let bound = kernels.bind_backward_in_place(written, vectors(), elements);
                kernels.encode_backward(pass, &bound.map_err(text)?, call)
            }
            (Direction::Backward, _) => {
                let bound = kernels.bind_backward(residual, written, vectors(), elements);
                kernels.encode_backward(pass, &bound.map_err(text)?, call)
            }
        }
        .map_err(text)
    })?;
    let after = gpu.download(&buffer)?;
    pool.check_outside(&after, std::slice::from_ref(&output))?;
    Ok(unpacked(result, case.len(), &after[output]))
}

/// One handle for residuals of the branch's type, and one for `f32` residuals.
struct Kernels([DropoutAdd; 2]);

impl Kernels {
    fn of(&self, case: &add::Case) -> &DropoutAdd {
        &self.0[usize::from(case.stream != case.element)]
    }
}

fn kernels(gpu: &Gpu) -> Result<Kernels, String> {
    let new = || DropoutAdd::new(&gpu.device, &KernelDescriptor::default()).map_err(text);
    Ok(Kernels([new()?, new()?.with_f32_residual().map_err(text)?]))
}

fn check(gpu: &Gpu, kernels: &Kernels, case: &add::Case, layouts: &[Layout]) -> Result<(), String> {
    for &layout in layouts {
        let sum = run(gpu, kernels, case, Direction::Forward, layout)?;
        case.check_sum(&sum)
            .map_err(|error| format!("{layout:?}: {error}"))?;
        // Without a scale, `Dropout` computes the gradient.
        if !case.scale.is_empty() {
            let layout = match layout {
                // In place needs elements of equal size.
                Layout::InPlace if case.stream != case.element => Layout::Pooled,
                layout => layout,
            };
            let gradient = run(gpu, kernels, case, Direction::Backward, layout)?;
            case.check_gradient(&gradient)
                .map_err(|error| format!("{layout:?}, gradient: {error}"))?;
        }
    }
    Ok(())
}

fn lengths_and_origins(gpu: &Gpu) -> Result<(), String> {
    let kernels = kernels(gpu)?;
    for [element, stream] in TYPES {
        for len in LENGTHS {
            let origins = origins(len);
            // Each length gets one origin and one layout, so that every origin and layout has some
            // lengths.
            let origin = origins[len as usize % origins.len()];
            let layout = LAYOUTS[len as usize % 3];
            let case =
                add::Case::new(element, call(0.3, origin), Source::Len(len), [0, 0]).beside(stream);
            check(gpu, &kernels, &case, &[layout])?;
        }
        for p in [0.0, 0.1, 0.5, 1.0] {
            for kind in [DropoutKind::Inverted, DropoutKind::Classic] {
                let source = Source::Len(70_001);
                let case =
                    add::Case::new(element, kind_call(p, 3, kind), source, [0, 0]).beside(stream);
                check(gpu, &kernels, &case, &LAYOUTS[..1])?;
            }
        }
    }
    Ok(())
}

fn vectors(gpu: &Gpu) -> Result<(), String> {
    let kernels = kernels(gpu)?;
    for [element, stream] in TYPES {
        for columns in [1, 3, 8, 33, 768] {
            let of = |bias: usize, scale: usize| [bias * columns, scale * columns];
            for (lens, p, layout) in [
                (of(1, 0), 0.4, Layout::InPlace),
                (of(0, 1), 0.0, Layout::Pooled),
                (of(1, 1), 0.4, Layout::Separate),
                (of(4, 1), 0.4, Layout::InPlace),
            ] {
                let source = Source::Len(12 * columns as u64);
                let case = add::Case::new(element, call(p, 5), source, lens).beside(stream);
                check(gpu, &kernels, &case, &[layout])?;
            }
        }
    }
    Ok(())
}

fn of_sources(gpu: &Gpu) -> Result<(), String> {
    let kernels = kernels(gpu)?;
    for (number, (source, columns)) in sources().into_iter().enumerate() {
        // Each source gets one pair of types, since drivers take seconds to compile a kernel. Every
        // source comes twice, with different columns.
        let [element, stream] = TYPES[number % TYPES.len()];
        let p = [0.4, 0.0, 0.4, 1.0][number % 4];
        let lens = [columns, columns];
        let case = add::Case::new(element, call(p, 5), source, lens).beside(stream);
        check(gpu, &kernels, &case, &[Layout::InPlace])?;
    }
    Ok(())
}

/// Splits tensors into several dispatches, so that vectors begin in the middle of a row.
fn cut(gpu: &Gpu) -> Result<(), String> {
    let kernels = kernels(gpu)?;
    let layout = MaskLayout::drop_path(&[7, 5_000]).map_err(text)?;
    for [element, stream] in TYPES {
        for source in [Source::Len(35_000), Source::Layout(layout.clone())] {
            for columns in [500, 175] {
                let lens = [columns, columns];
                let case =
                    add::Case::new(element, call(0.4, 5), source.clone(), lens).beside(stream);
                check(gpu, &kernels, &case, &[Layout::InPlace])?;
            }
        }
    }
    Ok(())
}

/// The branch is ones and the residual zeros. A sum is +0 exactly where the packed mask of the call
/// drops.
fn its_mask(gpu: &Gpu) -> Result<(), String> {
    let kernels = kernels(gpu)?;
    for origin in [0, 5, u64::MAX - 4_999] {
        let mut case = add::Case::new(
            ElementType::F32,
            call(0.4, origin),
            Source::Len(5_000),
            [0, 0],
        );
        case.input.fill(1.0f32.to_bits());
        case.residual.fill(0);
        let sum = run(gpu, &kernels, &case, Direction::Forward, Layout::Separate)?;
        check_zeros(gpu, &case.call, &sum)?;
    }
    Ok(())
}

/// A dropped element leaves every bit of the residual: -0, NaN payloads, infinities, subnormals.
fn dropped_bits(gpu: &Gpu) -> Result<(), String> {
    let kernels = kernels(gpu)?;
    for [element, stream] in TYPES {
        let mut case =
            add::Case::new(element, call(0.4, 5), Source::Len(4096), [4, 0]).beside(stream);
        let specials: &[u32] = match stream {
            ElementType::F32 => &[0x8000_0000, 0x7fc0_1234, 0xff80_0001, 0x7f80_0000, 1],
            _ => &[0x8000, 0x7fff, 0xffc1, 0x7c00, 0x7f80, 1],
        };
        for (element, residual) in case.residual.iter_mut().enumerate() {
            *residual = specials[element % specials.len()];
        }
        // A dropped branch must not matter, even if it is NaN or infinite.
        let branch = [f32::NAN, f32::INFINITY, -3e38, 0.0].map(f32::to_bits);
        for (element, x) in case.input.iter_mut().enumerate() {
            *x = match case.element {
                ElementType::F32 => branch[element % 4],
                _ => branch[element % 4] >> 16,
            };
        }
        for layout in LAYOUTS {
            let sum = run(gpu, &kernels, &case, Direction::Forward, layout)?;
            let kept = kinds::kept(&case.call, 5..5 + 4096);
            for (element, kept) in kept.into_iter().enumerate() {
                if !kept && sum[element] != case.residual[element] {
                    return Err(format!(
                        "element {element}: {:#x} became {:#x}, {layout:?}, {}",
                        case.residual[element], sum[element], case.element
                    ));
                }
            }
        }
    }
    Ok(())
}

fn faults_are_seen(gpu: &Gpu) -> Result<(), String> {
    let kernels = kernels(gpu)?;
    let case = add::Case::new(ElementType::F32, call(0.4, 5), Source::Len(999), [9, 9]);
    let sum = run(gpu, &kernels, &case, Direction::Forward, Layout::Separate)?;
    let gradient = run(gpu, &kernels, &case, Direction::Backward, Layout::Separate)?;
    for (name, faulty) in case.faults() {
        let of_bias = name == "a neighbour's bias";
        if faulty.check_sum(&sum).is_ok() || !of_bias && faulty.check_gradient(&gradient).is_ok() {
            return Err(format!("{name} looks the same"));
        }
    }
    Ok(())
}
