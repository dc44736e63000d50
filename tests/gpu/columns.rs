//! `ColumnSums`: sums of columns, and gradients of scales [M23].

use wgpu_dropout::half::{bf16, f16};
use wgpu_dropout::{
    ColumnSums, DropoutAdd, DropoutCall, Element, ElementType, KernelDescriptor, Vectors, cpu,
};

use crate::adapters::Variant;
use crate::case::{Case, must_differ, text};
use crate::common::add::{self, Source, TYPES, check_columns, sources};
use crate::common::elements::{number, packed};
use crate::common::inputs::call;
use crate::gpu::Gpu;
use crate::image::{Image, binding};
use crate::ranges::elements;

pub const CASES: &[Case] = &[
    Case::new("shapes", shapes),
    Case::new("few_workgroups", cut).on(Variant::FewWorkgroups),
    Case::new("small_bindings", cut).on(Variant::SmallBindings),
    Case::new("no_features", cut).on(Variant::Bare),
    Case::new("sums_are_the_same_bits_as_the_cpu's", same_bits),
    Case::new("gradients_of_scales", of_sources),
    Case::new("faults_are_seen", faults_are_seen),
];

/// The content of the range of sums before the kernels run.
const BEFORE: f32 = 3.5;

/// The handles of a case, so that it compiles each pipeline once.
struct Kernels {
    sums: ColumnSums,
    add: DropoutAdd,
    wide_add: DropoutAdd,
}

impl Kernels {
    fn new(gpu: &Gpu) -> Result<Self, String> {
        let descriptor = KernelDescriptor::default();
        Ok(Self {
            sums: ColumnSums::new(&gpu.device, &descriptor).map_err(text)?,
            add: DropoutAdd::new(&gpu.device, &descriptor).map_err(text)?,
            wide_add: DropoutAdd::new(&gpu.device, &descriptor)
                .map_err(text)?
                .with_f32_residual()
                .map_err(text)?,
        })
    }
}

/// The column sums of `case`'s input, as bits. With a call: the gradient of the scale.
fn run(
    gpu: &Gpu,
    kernels: &Kernels,
    case: &add::Case,
    columns: u32,
    call: Option<&DropoutCall>,
    accumulate: bool,
) -> Result<Vec<u32>, String> {
    let mut read = Image::new(gpu);
    let input = read.place(&packed(case.element, &case.input));
    let gradient = read.place(&packed(case.stream, &case.residual));
    let side = read.place(case.source.side());
    let numbers = case.bias.iter().chain(&case.scale).map(|n| n.to_bits());
    let numbers = read.place(&numbers.collect::<Vec<_>>());
    let read = read.upload(gpu);
    let rows = case.len() as u64 / u64::from(columns);
    let mut partial = Image::new(gpu);
    let scratch = partial.place_for(ColumnSums::scratch_bytes(rows, columns) / 4);
    let partial_buffer = partial.upload(gpu);
    let mut written = Image::new(gpu);
    let sums = written.place(&vec![BEFORE.to_bits(); columns as usize]);
    let buffer = written.upload(gpu);
    let at = |place| binding(&read, place, true);
    let (result, memory) = (
        binding(&buffer, &sums, true),
        binding(&partial_buffer, &scratch, true),
    );
    gpu.submit(|pass| {
        let Some(call) = call else {
            let shape = (rows, columns);
            let bound = kernels
                .sums
                .bind(at(&input), memory, result, shape, case.element);
            kernels.sums.encode(pass, &bound.map_err(text)?, accumulate);
            return Ok(());
        };
        let elements = elements(&case.source, at(&side));
        let vectors = match case.bias.len() as u32 {
            0 => Vectors::scale(at(&numbers), columns),
            len => Vectors::bias_and_scale(at(&numbers), len, columns),
        };
        let add = match case.stream == case.element {
            true => &kernels.add,
            false => &kernels.wide_add,
        };
        let bound = add
            .bind_scale_gradient(
                at(&input),
                at(&gradient),
                vectors,
                memory,
                result,
                elements.of_type(case.element),
            )
            .map_err(text)?;
        add.encode_scale_gradient(pass, &bound, call, accumulate)
            .map_err(text)
    })?;
    partial.check_outside(&gpu.download(&partial_buffer)?, &[scratch])?;
    let after = gpu.download(&buffer)?;
    written.check_outside(&after, std::slice::from_ref(&sums))?;
    Ok(after[sums].to_vec())
}

/// A case whose input has this many rows and columns.
fn matrix(element: ElementType, rows: u64, columns: u32) -> add::Case {
    let source = Source::Len(rows * u64::from(columns));
    add::Case::new(element, call(0.4, 5), source, [0, columns as usize]).tame()
}

/// The sums that the CPU path computes.
fn on_cpu(case: &add::Case, columns: u32, call: Option<&DropoutCall>) -> Result<Vec<u32>, String> {
    fn elements<T: Element>(element: ElementType, bits: &[u32]) -> Vec<T> {
        let words = packed(element, bits);
        bytemuck::cast_slice::<u32, T>(&words)[..bits.len()].to_vec()
    }
    fn typed<T: Element, S: Element>(
        case: &add::Case,
        columns: u32,
        call: Option<&DropoutCall>,
    ) -> Result<Vec<u32>, String> {
        let input = elements::<T>(case.element, &case.input);
        let gradient = elements::<S>(case.stream, &case.residual);
        let mut sums = vec![BEFORE; columns as usize];
        match call {
            None => cpu::column_sums(&input, &mut sums, true).map_err(text)?,
            Some(call) => {
                let source = case.source.mask_source();
                let bias = &case.bias;
                cpu::scale_gradient(source, &input, bias, &gradient, &mut sums, call, true)
                    .map_err(text)?;
            }
        }
        Ok(sums.iter().map(|sum| sum.to_bits()).collect())
    }
    match [case.element, case.stream] {
        [ElementType::F16, ElementType::F16] => typed::<f16, f16>(case, columns, call),
        [ElementType::Bf16, ElementType::Bf16] => typed::<bf16, bf16>(case, columns, call),
        [ElementType::F16, _] => typed::<f16, f32>(case, columns, call),
        [ElementType::Bf16, _] => typed::<bf16, f32>(case, columns, call),
        _ => typed::<f32, f32>(case, columns, call),
    }
}

fn input_terms(case: &add::Case) -> Vec<f64> {
    case.input
        .iter()
        .map(|bits| number(case.element, *bits).into())
        .collect()
}

fn shapes(gpu: &Gpu) -> Result<(), String> {
    let kernels = Kernels::new(gpu)?;
    for (number, (rows, columns)) in [
        (0, 3),
        (1, 1),
        (1, 65_537),
        (5_000, 1),
        (63, 5),
        (64, 257),
        (65, 256),
        (1_100, 33),
    ]
    .into_iter()
    .enumerate()
    {
        for element in ElementType::ALL {
            let case = matrix(*element, rows, columns);
            let accumulate = number % 2 == 0;
            let sums = run(gpu, &kernels, &case, columns, None, accumulate)?;
            let before = if accumulate { BEFORE } else { 0.0 };
            check_columns(&input_terms(&case), &sums, before)?;
        }
    }
    Ok(())
}

/// Several dispatches: the limits leave a few tiles to each.
fn cut(gpu: &Gpu) -> Result<(), String> {
    let kernels = Kernels::new(gpu)?;
    for [element, stream] in TYPES {
        for columns in [7, 8] {
            let case = matrix(element, 2_000, columns).beside(stream).tame();
            let sums = run(gpu, &kernels, &case, columns, None, true)?;
            check_columns(&input_terms(&case), &sums, BEFORE)?;
            if sums != on_cpu(&case, columns, None)? {
                return Err(format!("a cut changes the sums of {columns} {element}"));
            }
            let gradient = run(gpu, &kernels, &case, columns, Some(&case.call), true)?;
            case.check_scale_gradient(&gradient, BEFORE)?;
        }
    }
    Ok(())
}

/// Column sums only add, and in a fixed order, so CPU and GPU agree to the bit.
fn same_bits(gpu: &Gpu) -> Result<(), String> {
    let kernels = Kernels::new(gpu)?;
    for element in ElementType::ALL {
        let case = matrix(*element, 3_000, 50);
        let sums = run(gpu, &kernels, &case, 50, None, true)?;
        if sums != on_cpu(&case, 50, None)? || sums != run(gpu, &kernels, &case, 50, None, true)? {
            return Err(format!("sums of {element} differ"));
        }
    }
    Ok(())
}

fn of_sources(gpu: &Gpu) -> Result<(), String> {
    let kernels = Kernels::new(gpu)?;
    for (number, (source, columns)) in sources().into_iter().enumerate() {
        let types = TYPES.into_iter().enumerate();
        // Two of the five pairs of types, to save compile time. Every source comes twice, with
        // different columns.
        for (of_type, [element, stream]) in types.filter(|(of_type, _)| (number + of_type) % 5 < 2)
        {
            let p = [0.4, 0.0, 0.4, 1.0][(number + of_type) % 4];
            let bias = columns * [0, 1, 4][of_type % 3];
            let case = add::Case::new(element, call(p, 5), source.clone(), [bias, columns]);
            let case = case.beside(stream).tame();
            let columns = columns as u32;
            let gradient = run(gpu, &kernels, &case, columns, Some(&case.call), false)?;
            case.check_scale_gradient(&gradient, 0.0)?;
            let on_cpu = on_cpu(&case, columns, Some(&case.call))?;
            case.check_scale_gradient(&on_cpu, BEFORE)?;
        }
    }
    Ok(())
}

fn faults_are_seen(gpu: &Gpu) -> Result<(), String> {
    let kernels = Kernels::new(gpu)?;
    let case = add::Case::new(ElementType::F32, call(0.4, 5), Source::Len(999), [9, 9]).tame();
    let gradient = run(gpu, &kernels, &case, 9, Some(&case.call), false)?;
    for (name, faulty) in case.faults() {
        if name != "a neighbour's scale" && faulty.check_scale_gradient(&gradient, 0.0).is_ok() {
            return Err(format!("{name} looks the same"));
        }
    }
    let without = case.check_scale_gradient(&gradient, BEFORE);
    must_differ("the lack of the old content", without)?;
    let mut terms = input_terms(&case);
    let sums = run(gpu, &kernels, &case, 9, None, false)?;
    terms[500] *= 1.001;
    match check_columns(&terms, &sums, 0.0) {
        Ok(()) => Err("a change of one term by a thousandth looks the same".into()),
        Err(_) => Ok(()),
    }
}
