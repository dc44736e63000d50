//! The WGSL functions for own kernels follow the contract to the bit, compared with the reference
//! in `tests/common`.

use wgpu_dropout::wgsl::{self, FunctionsOptions, Multiply};
use wgpu_dropout::{DropoutCall, DropoutKind, DropoutMask, MaskLayout};

use crate::case::{Case, must_differ, text};
use crate::common::compare;
use crate::common::inputs::{KEY, KINDS, RATES, kind_call, values};
use crate::common::kinds::{self, Direction};
use crate::common::reference::uniform;
use crate::gaussian;
use crate::gpu::Gpu;

pub const CASES: &[Case] = &[
    Case::new("every_function_by_halves", by_halves),
    Case::new("every_function_by_u64", by_u64).needing(wgpu::Features::SHADER_INT64),
    Case::new("specials_are_copied_or_dropped", specials),
    Case::new("another_first_index_differs", another_first_index_differs),
];

const DRIVER: &str = include_str!("functions.wgsl");
const ELEMENTS: usize = 180;
/// Number of words that the driver writes for each element.
const RESULTS: usize = 10;

/// The parameters of `functions.wgsl`.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct Params {
    mask: DropoutMask,
    stride: [u32; 2],
    len: u32,
    padding: u32,
}

/// A pipeline that calls the functions.
struct Functions<'a> {
    gpu: &'a Gpu,
    pipeline: wgpu::ComputePipeline,
}

impl<'a> Functions<'a> {
    fn new(gpu: &'a Gpu, multiply: Multiply) -> Result<Self, String> {
        let options = FunctionsOptions::default().with_multiply(multiply);
        // The same module also has the functions with another prefix: names must not clash.
        let other = FunctionsOptions::default().with_prefix("abc_");
        let source = wgsl::functions(&options).map_err(text)?
            + &wgsl::functions(&other).map_err(text)?
            + DRIVER;
        let pipeline = gpu.pipeline(&source, None, None);
        Ok(Self { gpu, pipeline })
    }

    /// Runs the driver. Returns [`RESULTS`] words for each element.
    fn run(&self, mask: DropoutMask, stride: u64, x: &[f32]) -> Result<Vec<Vec<u32>>, String> {
        let gpu = self.gpu;
        let input = gpu.upload(bytemuck::cast_slice(x));
        let output = gpu.upload(&vec![0; RESULTS * x.len()]);
        let params = Params {
            mask,
            stride: [stride as u32, (stride >> 32) as u32],
            len: x.len() as u32,
            padding: 0,
        };
        let uniform = gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("test: parameters"),
            size: size_of::<Params>() as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        gpu.queue
            .write_buffer(&uniform, 0, bytemuck::bytes_of(&params));
        let buffers = [&input, &output, &uniform].map(wgpu::Buffer::as_entire_buffer_binding);
        let group = gpu.group(&self.pipeline, buffers);
        gpu.submit(|pass| {
            pass.set_pipeline(&self.pipeline);
            pass.set_bind_group(0, &group, &[]);
            pass.dispatch_workgroups(x.len().div_ceil(64) as u32, 1, 1);
            Ok(())
        })?;
        let words = gpu.download(&output)?;
        Ok(words.chunks(RESULTS).map(<[u32]>::to_vec).collect())
    }
}

/// Word `at` of every element's results.
fn column(rows: &[Vec<u32>], at: usize) -> Vec<u32> {
    rows.iter().map(|row| row[at]).collect()
}

fn floats(rows: &[Vec<u32>], at: usize) -> Vec<f32> {
    column(rows, at).into_iter().map(f32::from_bits).collect()
}

fn same(what: &str, call: &DropoutCall, expected: &[u32], got: &[u32]) -> Result<(), String> {
    compare::packed_masks(expected, got)
        .map_err(|difference| format!("{what}: {difference}; {call}"))
}

/// For each of `indices` a word: the decisions of `count` indices from there on, the first in bit
/// 0.
fn bits(call: &DropoutCall, indices: impl Iterator<Item = u64>, count: u64) -> Vec<u32> {
    let word = |first: u64| {
        // Indices past the last one wrap. A caller may not use their decisions.
        let kept = kinds::kept(call, (0..count).map(|i| first.wrapping_add(i)));
        let bit = |(i, kept)| u32::from(kept) << i;
        kept.into_iter().enumerate().map(bit).sum()
    };
    indices.map(word).collect()
}

/// Compares the results of each function for `call`.
fn check(functions: &Functions<'_>, call: &DropoutCall, stride: u64) -> Result<(), String> {
    let x = values(ELEMENTS as u64);
    // The mask covers 31 indices more, since the last element asks for 32 decisions.
    let mask = call.mask_params(0, ELEMENTS as u64 + 31).map_err(text)?;
    let rows = functions.run(mask, stride, &x)?;
    let len = ELEMENTS as u64;
    let linear = || call.origin..call.origin + len;
    let far = || (0..len).map(|element| call.origin + element * stride);
    let layout = MaskLayout::strided(&[len / 36, 3, 4, 3], &[7, 5, 3, 1]).map_err(text)?;
    let shared = (0..len).map(|element| call.origin + layout.index(element));

    let kept = kinds::kept(call, linear());
    same("keep", call, &bits(call, linear(), 1), &column(&rows, 0))?;
    same("index", call, &bits(call, shared, 1), &column(&rows, 1))?;
    same("keep_at", call, &bits(call, far(), 1), &column(&rows, 2))?;
    let blocks = far().map(|index| index & !7);
    same("keep_8", call, &bits(call, blocks, 8), &column(&rows, 3))?;
    same(
        "keep_32",
        call,
        &bits(call, linear(), 32),
        &column(&rows, 4),
    )?;
    let xored: Vec<_> = far().map(|i| i as u32 ^ (i >> 32) as u32).collect();
    same("index_after", call, &xored, &column(&rows, 9))?;

    let values = |at, direction| {
        kinds::check(call, direction, &kept, &x, &floats(&rows, at))
            .map_err(|difference| format!("result {at}: {difference}; {call}"))
    };
    match call.kind {
        DropoutKind::Gaussian => {
            gaussian::check(call, &x, &floats(&rows, 7))?;
            gaussian::check_at(call, far(), &x, &floats(&rows, 8))
        }
        DropoutKind::Alpha => {
            values(6, Direction::Forward)?;
            values(5, Direction::Backward)
        }
        _ => values(5, Direction::Forward),
    }
}

fn by(gpu: &Gpu, multiply: Multiply) -> Result<(), String> {
    let functions = Functions::new(gpu, multiply)?;
    for kind in KINDS {
        for p in RATES {
            for (origin, stride) in [
                (0, 1),
                (3, 7),
                ((1 << 32) - 50, 8),
                ((1 << 35) + 5, (1 << 33) + 9),
                ((1 << 61) - 20, 1 << 40),
                (u64::MAX - (ELEMENTS as u64 + 30), 1),
            ] {
                check(&functions, &kind_call(p, origin, kind), stride)?;
            }
        }
    }
    // Thresholds that share the upper half with u(i), at odd and even indices, and where the lower
    // half is 0.
    let u = |index| uniform(KEY.seed, KEY.stream, index);
    let zero = (100..).find(|&index| u(index) & 0xffff == 0);
    for index in (80..96).chain(zero) {
        for d in [u(index) & 0xffff_0000, u(index), u(index) + 1] {
            let p = f64::from(d) / 4_294_967_296.0;
            let call = kind_call(p, index - 9, DropoutKind::Inverted);
            check(&functions, &call, 1)?;
        }
    }
    for (p, origin, stride) in [
        (0.5, 3, 9),
        (0.1, (1 << 34) - 5, 1 << 20),
        (0.0, 1, 1),
        (0.9, (1 << 63) - 300, 1),
    ] {
        let call = kind_call(p, origin, DropoutKind::Gaussian);
        check(&functions, &call, stride)?;
    }
    Ok(())
}

fn by_halves(gpu: &Gpu) -> Result<(), String> {
    by(gpu, Multiply::Halves)
}

fn by_u64(gpu: &Gpu) -> Result<(), String> {
    by(gpu, Multiply::U64)
}

/// At rate 0 every bit is copied; at rate 1 the result is +0, whatever the value [M11].
fn specials(gpu: &Gpu) -> Result<(), String> {
    let functions = Functions::new(gpu, Multiply::Halves)?;
    let x = [
        f32::NAN,
        -0.0,
        f32::INFINITY,
        f32::from_bits(0xffc0_1234),
        // A signalling NaN: arithmetic would make it quiet.
        f32::from_bits(0x7f80_1234),
        f32::MIN_POSITIVE,
    ];
    let bits = x.map(f32::to_bits);
    for kind in KINDS {
        for (p, expected) in [(0.0, bits), (1.0, [0; 6])] {
            let call = kind_call(p, 5, kind);
            let mask = call.mask_params(0, 100).map_err(text)?;
            let rows = functions.run(mask, 1, &x)?;
            let at = if kind == DropoutKind::Alpha { 6 } else { 5 };
            same("specials", &call, &expected, &column(&rows, at))?;
        }
    }
    let call = kind_call(0.0, 5, DropoutKind::Gaussian);
    let rows = functions.run(call.mask_params(0, 100).map_err(text)?, 1, &x)?;
    same("specials", &call, &bits, &column(&rows, 7))
}

/// Negative control: the comparison notices a first index that is off by one.
fn another_first_index_differs(gpu: &Gpu) -> Result<(), String> {
    let functions = Functions::new(gpu, Multiply::Halves)?;
    let call = kind_call(0.5, 9, DropoutKind::Inverted);
    let x = values(ELEMENTS as u64);
    let mask = call.mask_params(1, ELEMENTS as u64).map_err(text)?;
    let rows = functions.run(mask, 1, &x)?;
    let own = bits(&call, call.origin..call.origin + ELEMENTS as u64, 1);
    must_differ(
        "another first index",
        same("keep", &call, &own, &column(&rows, 0)),
    )
}
