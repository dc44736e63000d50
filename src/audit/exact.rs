//! Checks with one right answer.

use half::{bf16, f16};

use super::subject::{Layout, Run, Source, Subject, SubjectError};
use super::{Failure, Outcome, vectors};
use crate::contract::noise;
use crate::{
    CpuError, Direction, DropoutCall, DropoutKind, DropoutRate, Element, ElementType, LayoutError,
    MaskKey, MaskLayout, MaskSource, cpu, mask::mask_words,
};

type Checked = Result<Outcome, Failure>;

const NONE: wgpu::Features = wgpu::Features::empty();
/// What no element and no margin holds by itself.
const CANARY: u32 = 0xc0de_feed;
/// Around a block, a mask word, a workgroup, and past where a last ragged block is set apart.
const LENGTHS: [usize; 10] = [1, 7, 8, 9, 31, 33, 255, 257, 4099, 65_541];
/// D: the smallest, one that is refined, one that never is, one whose scale tells p from D / 2^32.
const PROBABILITIES: [f64; 4] = [1.0 / 4_294_967_296.0, 0.1, 0.5, 0.99999];

/// Aligned or not, across each carry, and up to the last mask index.
fn origins(len: usize) -> [u64; 7] {
    let last = u64::MAX - (len as u64 - 1);
    [0, 3, 8, (1 << 32) - 5, (1 << 35) - 5, (1 << 61) + 3, last]
}

/// Calls for `len` elements, each with a key of its own.
fn calls(len: usize) -> impl Iterator<Item = DropoutCall> {
    let rates = PROBABILITIES
        .into_iter()
        .filter_map(|p| DropoutRate::new(p).ok());
    rates.zip(1..).flat_map(move |(rate, seed)| {
        origins(len)
            .into_iter()
            .zip(0..)
            .map(move |(origin, step)| {
                let key = MaskKey::layer_step(seed << 32 | 42, len as u32, step);
                DropoutCall::new(rate, key).with_origin(origin)
            })
    })
}

/// Finite normal f32s of both signs, as bits, none like another nearby.
pub(super) fn values(len: usize) -> Vec<u32> {
    (0..len as u32)
        .map(|i| {
            let hash = i.wrapping_mul(0x9E37_79B9);
            let exponent = 64 + hash % 127;
            (hash & 0x807f_ffff) | exponent << 23
        })
        .collect()
}

/// A run of `input` with canaries all around.
fn run(layout: Layout, direction: Direction, call: DropoutCall, input: &[u32]) -> Run {
    let buffers = if layout == Layout::InPlace { 1 } else { 2 };
    let image = vec![CANARY; buffers * Run::stride(input.len())];
    let mut run = Run {
        avoid: NONE,
        layout,
        direction,
        element: ElementType::F32,
        len: input.len(),
        source: Source::Layout(MaskLayout::linear(input.len() as u64)),
        image,
        call,
    };
    let (start, _) = run.starts();
    run.image[start..start + input.len()].copy_from_slice(input);
    run
}

/// The output's bits on the subject.
async fn output(subject: &impl Subject, run: &Run) -> Result<Vec<u32>, SubjectError> {
    let (_, start) = run.starts();
    let image = subject.dropout(run).await?;
    Ok(image[start..start + run.words()].to_vec())
}

fn floats(bits: &[u32]) -> Vec<f32> {
    bits.iter().map(|&bits| f32::from_bits(bits)).collect()
}

/// The bits of the output that `work` makes of `input`.
fn cpu_bits(
    input: &[u32],
    work: impl FnOnce(&[f32], &mut [f32]) -> Result<(), CpuError>,
) -> Result<Vec<u32>, Failure> {
    let mut output = vec![0.0; input.len()];
    work(&floats(input), &mut output)?;
    Ok(output.into_iter().map(f32::to_bits).collect())
}

/// The output's bits on the CPU.
fn cpu_output(call: &DropoutCall, input: &[u32]) -> Result<Vec<u32>, Failure> {
    cpu_bits(input, |input, output| {
        cpu::apply(Direction::Forward, input.len(), (input, output), call)
    })
}

fn cpu_mask(call: &DropoutCall, len: u64) -> Result<Vec<u32>, Failure> {
    let mut mask = vec![0; mask_words(len) as usize];
    cpu::keep_mask(len, &mut mask, call)?;
    Ok(mask)
}

/// The packed mask of the elements whose bits are not all 0.
fn nonzero_mask(output: &[u32]) -> Vec<u32> {
    let pack = |word: &[u32]| {
        word.iter()
            .zip(0..)
            .fold(0, |mask, (&bits, bit)| mask | u32::from(bits != 0) << bit)
    };
    output.chunks(32).map(pack).collect()
}

/// The first difference of two slices of words is the failure.
fn same(what: &str, call: &DropoutCall, expected: &[u32], got: &[u32]) -> Result<(), Failure> {
    if expected.len() != got.len() {
        let words = |words: &[u32]| format!("{} {what}s ({call})", words.len());
        return Err(Failure::new(words(expected), words(got)));
    }
    match (0..)
        .zip(expected.iter().zip(got))
        .find(|(_, (expected, got))| expected != got)
    {
        None => Ok(()),
        Some((i, (expected, got))) => Err(Failure::new(
            format!("{expected:#010x} in {what} {i} ({call})"),
            format!("{got:#010x}"),
        )),
    }
}

/// The first value that is further from what is expected than its bound is the failure.
fn within(
    call: &DropoutCall,
    expected: impl Iterator<Item = (f64, f64)>,
    got: impl Iterator<Item = f32>,
) -> Result<(), Failure> {
    for (i, ((expected, bound), got)) in expected.zip(got).enumerate() {
        let error = (f64::from(got) - expected).abs();
        if error > bound || error.is_nan() {
            return Err(Failure::new(
                format!("{expected:e} within {bound:e} in element {i} ({call})"),
                format!("{got:e}"),
            ));
        }
    }
    Ok(())
}

fn passed(figure: String) -> Checked {
    Ok(Outcome::Passed { figure })
}

fn damaged() -> Failure {
    Failure::new("readable vectors in the library", "a damaged file")
}

pub(super) async fn known_answers(subject: &impl Subject) -> Checked {
    let vectors = vectors::philox().ok_or_else(damaged)?;
    for vector in &vectors {
        let blocks = subject
            .blocks(vector.rounds, vector.counter, vector.key, 1)
            .await?;
        if blocks != [vector.words] {
            let vectors::PhiloxVector {
                rounds,
                counter,
                key,
                words,
            } = vector;
            return Err(Failure::new(
                format!("{words:08x?} for {rounds} rounds of {counter:08x?} under {key:08x?}"),
                format!("{blocks:08x?}"),
            ));
        }
    }
    passed(format!("{} vectors", vectors.len()))
}

pub(super) async fn contract_vectors(subject: &impl Subject) -> Checked {
    let vectors = vectors::masks().ok_or_else(damaged)?;
    for vector in &vectors {
        let vectors::MaskVector {
            call,
            drop_threshold,
            keep_scale_bits,
            layout,
            mask,
        } = vector;
        let (threshold, scale) = (call.rate.drop_threshold(), call.keep_scale().to_bits());
        if (threshold, scale) != (*drop_threshold, *keep_scale_bits) {
            return Err(Failure::new(
                format!("threshold {drop_threshold}, scale {keep_scale_bits:#x} ({call})"),
                format!("threshold {threshold}, scale {scale:#x}"),
            ));
        }
        same(
            "mask word",
            call,
            mask,
            &subject.mask(NONE, layout, None, call).await?,
        )?;
    }
    passed(format!("{} masks", vectors.len()))
}

pub(super) async fn counter_carry(subject: &impl Subject) -> Checked {
    // The second step carries into every word.
    let counter = [0xffff_fffe, u32::MAX, u32::MAX, u32::MAX];
    let mut expected = [[0; 4]; 5];
    cpu::philox_blocks(&mut expected, counter, [1, 2], 10)?;
    let got = subject.blocks(10, counter, [1, 2], 5).await?;
    if got != expected {
        let expected = format!("{expected:08x?} from {counter:08x?}");
        return Err(Failure::new(expected, format!("{got:08x?}")));
    }
    let len = 257;
    let mut masks = 0;
    for call in calls(len as usize) {
        let expected = cpu_mask(&call, len)?;
        same(
            "mask word",
            &call,
            &expected,
            &subject
                .mask(NONE, &MaskLayout::linear(len), None, &call)
                .await?,
        )?;
        masks += 1;
    }
    passed(format!("{} blocks, {masks} masks", got.len()))
}

pub(super) async fn gpu_equals_cpu(subject: &impl Subject) -> Checked {
    let (mut runs, mut elements) = (0, 0);
    for len in LENGTHS {
        let input = values(len);
        for call in calls(len) {
            let run = run(Layout::Separate, Direction::Forward, call, &input);
            let expected = cpu_output(&call, &input)?;
            same("element", &call, &expected, &output(subject, &run).await?)?;
            runs += 1;
            elements += len;
        }
    }
    passed(format!("{elements} elements in {runs} runs"))
}

pub(super) async fn one_mask(subject: &impl Subject) -> Checked {
    let mut masks = 0;
    for len in [33, 4099] {
        let ones = vec![1.0f32.to_bits(); len];
        for call in calls(len) {
            let export = subject
                .mask(NONE, &MaskLayout::linear(len as u64), None, &call)
                .await?;
            for direction in [Direction::Forward, Direction::Backward] {
                let run = run(Layout::Separate, direction, call, &ones);
                let mask = nonzero_mask(&output(subject, &run).await?);
                same("mask word", &call, &export, &mask)?;
            }
            masks += 1;
        }
    }
    passed(format!("{masks} masks, three times each"))
}

pub(super) async fn untouched_bytes(subject: &impl Subject) -> Checked {
    let mut words = 0;
    for layout in [Layout::Separate, Layout::Pooled, Layout::InPlace] {
        for len in LENGTHS {
            let input = values(len);
            for call in calls(len).step_by(5) {
                let run = run(layout, Direction::Forward, call, &input);
                let mut expected = run.image.clone();
                let mut image = subject.dropout(&run).await?;
                let (_, start) = run.starts();
                for image in [&mut expected, &mut image] {
                    image.drain(start..start + len);
                }
                same("word outside the output", &call, &expected, &image)?;
                words += expected.len();
            }
        }
    }
    passed(format!("{words} words"))
}

pub(super) async fn special_values(subject: &impl Subject) -> Checked {
    // A quiet and a signalling NaN with payloads, infinities, zeros, the largest and the smallest
    // normal numbers.
    let specials: [u32; 10] = [
        0x7fc1_2345,
        0xffa0_0001,
        0x7f80_0000,
        0xff80_0000,
        0,
        0x8000_0000,
        0x7f7f_ffff,
        0xff7f_ffff,
        0x0080_0000,
        0x8080_0000,
    ];
    let input: Vec<u32> = specials.into_iter().cycle().take(1000).collect();
    // A kept NaN is a NaN of any payload [M11].
    let quiet = |bits: &u32| {
        if f32::from_bits(*bits).is_nan() {
            0x7fc0_0000
        } else {
            *bits
        }
    };
    for p in [0.0, 0.1, 0.5, 1.0] {
        let call = DropoutCall::new(DropoutRate::new(p)?, MaskKey::new(42, 7));
        for layout in [Layout::Separate, Layout::InPlace] {
            let run = run(layout, Direction::Forward, call, &input);
            let got = output(subject, &run).await?;
            if p == 0.0 {
                same("element", &call, &input, &got)?;
            } else {
                let expected: Vec<u32> = cpu_output(&call, &input)?.iter().map(quiet).collect();
                same(
                    "element",
                    &call,
                    &expected,
                    &got.iter().map(quiet).collect::<Vec<_>>(),
                )?;
            }
        }
    }
    passed(format!("{} values at 4 rates", specials.len()))
}

pub(super) async fn in_place(subject: &impl Subject) -> Checked {
    let mut runs = 0;
    for len in LENGTHS {
        let input = values(len);
        for call in calls(len).step_by(3) {
            let separate = run(Layout::Separate, Direction::Backward, call, &input);
            let expected = output(subject, &separate).await?;
            for layout in [Layout::Pooled, Layout::InPlace] {
                let run = run(layout, Direction::Backward, call, &input);
                same("element", &call, &expected, &output(subject, &run).await?)?;
                runs += 1;
            }
        }
    }
    passed(format!("{runs} runs"))
}

/// A layout for each family of kernels and way of loading, folded and not, and a shard.
fn sample_layouts() -> Result<[MaskLayout; 8], LayoutError> {
    Ok([
        MaskLayout::feature_channels_first(&[3, 4, 8, 16])?,
        MaskLayout::feature_channels_first(&[3, 4, 5, 7])?,
        MaskLayout::feature_channels_last(&[3, 5, 7, 12])?,
        MaskLayout::time_locked_batch_first(&[3, 9, 64])?,
        MaskLayout::time_locked_batch_first(&[3, 9, 67])?,
        MaskLayout::drop_path(&[16, 3, 11])?,
        MaskLayout::elementwise(&[13, 17])?.permuted(&[1, 0])?,
        MaskLayout::elementwise(&[20, 96])?.shard(&[5, 16], &[10, 70])?,
    ])
}

pub(super) async fn layouts(subject: &impl Subject) -> Checked {
    let layouts = sample_layouts()?;
    for (layout, step) in layouts.iter().zip(0..) {
        let input = values(layout.len() as usize);
        let key = MaskKey::layer_step(42, 1000, step);
        for (origin, direction) in [
            (0, Direction::Forward),
            ((1 << 35) - 5, Direction::Backward),
        ] {
            let call = DropoutCall::new(DropoutRate::new(0.3)?, key).with_origin(origin);
            let expected = cpu_bits(&input, |input, output| {
                cpu::apply(direction, layout, (input, output), &call)
            })?;
            let run = Run {
                source: Source::Layout(layout.clone()),
                ..run(Layout::Separate, direction, call, &input)
            };
            same("element", &call, &expected, &output(subject, &run).await?)?;
            let mut expected = vec![0; mask_words(layout.len()) as usize];
            cpu::keep_mask(layout, &mut expected, &call)?;
            let mask = subject.mask(NONE, layout, None, &call).await?;
            same("mask word", &call, &expected, &mask)?;
        }
    }
    passed(format!("{} layouts", layouts.len()))
}

pub(super) async fn kinds(subject: &impl Subject) -> Checked {
    let mut runs = 0;
    let ends = [DropoutRate::ZERO, DropoutRate::new(1.0)?];
    let ends = ends.map(|rate| DropoutCall::new(rate, MaskKey::new(42, 7)));
    for len in [33, 4099] {
        let input = values(len);
        for call in calls(len).step_by(2).chain(ends) {
            for kind in [DropoutKind::Classic, DropoutKind::Alpha] {
                let rate = call.rate;
                let call = call.with_kind(kind);
                let forward = run(Layout::Separate, Direction::Forward, call, &input);
                let got = output(subject, &forward).await?;
                if kind == DropoutKind::Alpha && !rate.drops_nothing() && !rate.drops_all() {
                    let mask = cpu_mask(&call, len as u64)?;
                    let expected = alpha(call, &input, &mask);
                    within(&call, expected, floats(&got).into_iter())?;
                } else {
                    same("element", &call, &cpu_output(&call, &input)?, &got)?;
                }
                let backward = run(Layout::InPlace, Direction::Backward, call, &input);
                let expected = cpu_bits(&input, |input, output| {
                    cpu::apply(Direction::Backward, input.len(), (input, output), &call)
                })?;
                let got = output(subject, &backward).await?;
                same("gradient", &call, &expected, &got)?;
                runs += 2;
            }
        }
    }
    passed(format!("{runs} runs"))
}

/// Exact values of alpha dropout, and how far two rounded f32 steps may be from them \[M17\].
fn alpha(call: DropoutCall, input: &[u32], mask: &[u32]) -> impl Iterator<Item = (f64, f64)> {
    // Half a unit in the last place, and a little for products of roundings.
    const ROUNDING: f64 = 1.001 / (1 << 24) as f64;
    let [scale, shift, dropped] =
        [call.keep_scale(), call.keep_shift(), call.dropped_value()].map(f64::from);
    floats(input).into_iter().enumerate().map(move |(i, x)| {
        if mask[i / 32] >> (i % 32) & 1 == 0 {
            return (dropped, 0.0);
        }
        let product = f64::from(x) * scale;
        let exact = product + shift;
        (exact, ROUNDING * (product.abs() + exact.abs()))
    })
}

pub(super) async fn gaussian_noise(subject: &impl Subject) -> Checked {
    let (mut runs, mut elements) = (0, 0);
    for len in [1, 33, 4099] {
        let input = values(len);
        let last = (1 << 63) - len as u64;
        for (origin, step) in [0, 3, (1 << 34) - 5, last].into_iter().zip(0..) {
            for p in [0.1, 0.5, 0.9] {
                let key = MaskKey::layer_step(42, len as u32, step);
                let call = DropoutCall::new(DropoutRate::new(p)?, key).with_origin(origin);
                let sigma = f64::from(call.rate.sigma());
                let input = floats(&input);
                let got = subject.gaussian(&input, &call).await?;
                if got.len() != len {
                    let elements = |len| format!("{len} elements ({call})");
                    return Err(Failure::new(elements(len), elements(got.len())));
                }
                let expected = (origin..).zip(&input).zip(&got).map(|((index, &x), &y)| {
                    let position = noise::position(index);
                    let z = cpu::normals(key, position.block)[position.lane as usize];
                    let x = f64::from(x);
                    let bound = x.abs() * sigma / 256.0 + f64::from(y).abs() / 8_388_608.0;
                    (x * (1.0 + sigma * z), bound)
                });
                within(&call, expected, got.iter().copied())?;
                runs += 1;
                elements += len;
            }
        }
    }
    passed(format!("{elements} elements in {runs} runs"))
}

pub(super) async fn sample_ids(subject: &impl Subject) -> Checked {
    const IDS: [u32; 5] = [0, 3, u32::MAX, 1_000_000, 3];
    let layouts = [
        MaskLayout::elementwise(&[5, 24])?,
        MaskLayout::elementwise(&[5, 11])?,
        MaskLayout::elementwise(&[5])?,
        MaskLayout::drop_path(&[5, 33])?,
        MaskLayout::drop_path(&[5, 64])?,
        MaskLayout::time_locked_batch_first(&[5, 4, 6])?,
    ];
    for (layout, step) in layouts.iter().zip(0..) {
        let input = values(layout.len() as usize);
        let key = MaskKey::layer_step(42, 3000, step);
        for origin in [0, 3] {
            let call = DropoutCall::new(DropoutRate::new(0.3)?, key).with_origin(origin);
            let expected = cpu_bits(&input, |input, output| {
                cpu::apply(
                    Direction::Forward,
                    MaskSource::Samples { layout, ids: &IDS },
                    (input, output),
                    &call,
                )
            })?;
            let run = Run {
                source: Source::Samples(layout.clone(), IDS.into()),
                ..run(Layout::Separate, Direction::Forward, call, &input)
            };
            same("element", &call, &expected, &output(subject, &run).await?)?;
            let mut expected = vec![0; mask_words(layout.len()) as usize];
            cpu::keep_mask(
                MaskSource::Samples { layout, ids: &IDS },
                &mut expected,
                &call,
            )?;
            let mask = subject.mask(NONE, layout, Some(&IDS), &call).await?;
            same("mask word", &call, &expected, &mask)?;
        }
    }
    passed(format!("{} layouts of {} ids", layouts.len(), IDS.len()))
}

pub(super) async fn packed_masks(subject: &impl Subject) -> Checked {
    let mut runs = 0;
    for len in LENGTHS {
        let input = values(len);
        // Any bits, those behind the last element too.
        let mut blocks = vec![[0; 4]; len.div_ceil(128)];
        cpu::philox_blocks(&mut blocks, [len as u32, 0, 0, 0], [4, 2], 10)?;
        let mask = &blocks.as_flattened()[..mask_words(len as u64) as usize];
        for p in [0.0, 0.1, 0.5] {
            let call = DropoutCall::new(DropoutRate::new(p)?, MaskKey::new(42, 7));
            let expected = cpu_bits(&input, |input, output| {
                cpu::apply(
                    Direction::Forward,
                    MaskSource::Packed {
                        mask,
                        len: len as u64,
                    },
                    (input, output),
                    &call,
                )
            })?;
            for (layout, direction) in [
                (Layout::Separate, Direction::Forward),
                (Layout::InPlace, Direction::Backward),
            ] {
                let run = Run {
                    source: Source::Packed(mask.into()),
                    ..run(layout, direction, call, &input)
                };
                same("element", &call, &expected, &output(subject, &run).await?)?;
                runs += 1;
            }
        }
    }
    passed(format!("{runs} runs"))
}

/// Every f16 and every bf16, and lengths with a spare half.
pub(super) async fn types(subject: &impl Subject) -> Checked {
    let f16 = of_type::<f16>(subject).await?;
    let bf16 = of_type::<bf16>(subject).await?;
    passed(format!("{} runs", f16 + bf16))
}

async fn of_type<T: Element>(subject: &impl Subject) -> Result<usize, Failure> {
    let mut runs = 0;
    for len in [1usize, 33, 4099, 65_536] {
        // The spare half is the canary's.
        let mut words = vec![CANARY; len.div_ceil(2)];
        let elements: &mut [u16] = bytemuck::cast_slice_mut(&mut words);
        // By an odd step: some of them, or all.
        for (i, element) in (1..).zip(&mut elements[..len]) {
            *element = 40_503u16.wrapping_mul(i as u16);
        }
        // At 0.4 a product rounded once differs from one rounded twice.
        for (p, origin) in [(0.0, 0), (0.1, 8), (0.4, 0), (0.4, 3), (1.0, 0)] {
            let key = MaskKey::layer_step(42, 4000, len as u32);
            let call = DropoutCall::new(DropoutRate::new(p)?, key).with_origin(origin);
            for (layout, direction) in [
                (Layout::Separate, Direction::Forward),
                (Layout::InPlace, Direction::Backward),
            ] {
                let run = Run {
                    element: T::TYPE,
                    len,
                    source: Source::Layout(MaskLayout::linear(len as u64)),
                    ..run(layout, direction, call, &words)
                };
                let input: &[T] = &bytemuck::cast_slice(&words)[..len];
                let mut output = vec![T::zeroed(); len];
                cpu::apply(Direction::Forward, len, (input, &mut output[..]), &call)?;
                let mut expected = run.image.clone();
                let mut image = subject.dropout(&run).await?;
                let (_, start) = run.starts();
                let elements: &mut [T] = bytemuck::cast_slice_mut(&mut expected[start..]);
                elements[..len].copy_from_slice(&output);
                // Of a bit copy every bit counts.
                if !call.rate.drops_nothing() {
                    for image in [&mut expected, &mut image] {
                        let elements = &mut bytemuck::cast_slice_mut(&mut image[start..])[..len];
                        comparable(input, elements);
                    }
                }
                same(&format!("{} image word", T::TYPE), &call, &expected, &image)?;
                runs += 1;
            }
        }
    }
    Ok(runs)
}

/// A kept NaN is a NaN of any payload \[M11\], and f32 subnormals, which a bf16 can be, may become
/// zeros.
fn comparable<T: Element>(input: &[T], output: &mut [T]) {
    for (x, y) in input.iter().zip(output) {
        if x.to_f32().is_subnormal() {
            *y = T::zeroed();
        } else if y.to_f32().is_nan() {
            *y = T::from_f32(f32::NAN);
        }
    }
}

/// With and without `feature`, the results are the same.
pub(super) async fn variants(subject: &impl Subject, feature: wgpu::Features) -> Checked {
    if !subject.features().contains(feature) {
        return Ok(Outcome::NotApplicable {
            reason: format!("the device has no {feature}"),
        });
    }
    let mut runs = 0;
    for len in [33, 4099] {
        let input = values(len);
        for call in calls(len) {
            let with = run(Layout::Separate, Direction::Forward, call, &input);
            let without = Run {
                avoid: feature,
                ..with.clone()
            };
            let expected = output(subject, &with).await?;
            same(
                "element",
                &call,
                &expected,
                &output(subject, &without).await?,
            )?;
            let expected = subject
                .mask(NONE, &MaskLayout::linear(len as u64), None, &call)
                .await?;
            same(
                "mask word",
                &call,
                &expected,
                &subject
                    .mask(feature, &MaskLayout::linear(len as u64), None, &call)
                    .await?,
            )?;
            runs += 1;
        }
    }
    passed(format!("{runs} runs, {runs} masks"))
}

/// FNV-1a, 64 bits, over the masks' little-endian bytes.
pub(super) async fn mask_hash(subject: &impl Subject) -> Result<u64, SubjectError> {
    let len = 4099;
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for call in calls(len) {
        for byte in subject
            .mask(NONE, &MaskLayout::linear(len as u64), None, &call)
            .await?
            .iter()
            .flat_map(|word| word.to_le_bytes())
        {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    Ok(hash)
}
