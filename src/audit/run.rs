//! Executes the runs of an audit and checks their results. Many runs share a pass. Each has ranges
//! of its own within larger buffers, whose every word is compared afterwards.

use core::ops::Range;

use super::Failure;
use super::gpu::{Gpu, Target};
use super::random::Random;
use super::reference;
use super::work::{MARGIN_WORDS, Run, Source, Work};
use crate::cpu::for_each_task;
use crate::host::error::RunError;
use crate::host::round_trip::{self, Content};
use crate::kernel::axes::{BufferLayout, Neighbours};
use crate::plan::fused::VectorShape;
use crate::{CpuError, DropoutKind, Element, ElementType, Elements, MaskSource, Vectors, cpu};

/// Words of the buffers that several runs share. A longer run has buffers of its own.
const BATCH_WORDS: usize = 1 << 21;

/// Elements that one task compares.
const TASK_ELEMENTS: usize = 1 << 14;

/// Noise longer than this is compared in only one task of [`NOISE_STEP`], since its numbers take
/// long to compute.
const LONG_NOISE: u64 = 1 << 22;
const NOISE_STEP: usize = 16;

/// One of the buffers that the runs of a batch share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arena {
    /// Inputs, which are only read.
    Inputs,
    Outputs,
    /// Input and output in one buffer, in two ranges or in one.
    Pool,
    /// Sample ids and packed masks.
    Sides,
}

const ARENAS: usize = 4;

/// Consecutive words of an arena.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub arena: Arena,
    pub words: Range<usize>,
}

/// A run and its ranges.
pub(super) struct Placed<'a> {
    pub run: &'a Run,
    pub input: Option<Place>,
    /// The residual that is added. In place it is the output's content before the run.
    pub residual: Option<Place>,
    pub output: Place,
    pub side: Option<Place>,
    /// A bias and a scale.
    pub vectors: Option<Place>,
}

/// The content of the buffers.
pub(super) type Images = [Vec<u32>; ARENAS];

/// The contents of all buffers but the sides after the pass, concatenated.
struct Results {
    words: Vec<u32>,
    starts: [usize; ARENAS],
}

impl Results {
    fn of(&self, arena: Arena, words: Range<usize>) -> &[u32] {
        let start = self.starts[arena as usize];
        &self.words[start + words.start..start + words.end]
    }

    fn at(&self, place: &Place) -> &[u32] {
        self.of(place.arena, place.words.clone())
    }
}

/// The content of a word that no run writes. No two words are alike.
pub(super) fn canary(word: usize) -> u32 {
    (word as u32).wrapping_mul(0x9E37_79B9) ^ 0xc0de_feed
}

/// Appends a range of `words` to an arena, with a margin before it.
pub(super) fn place(images: &mut Images, arena: Arena, words: u64) -> Place {
    let image = &mut images[arena as usize];
    let start = image.len().next_multiple_of(MARGIN_WORDS) + MARGIN_WORDS;
    let end = start + words as usize;
    image.extend((image.len()..end).map(canary));
    Place {
        arena,
        words: start..end,
    }
}

/// Appends a margin after the last range of each buffer.
pub(super) fn close(images: &mut Images) {
    for image in images {
        let end = image.len().next_multiple_of(MARGIN_WORDS) + MARGIN_WORDS;
        image.extend((image.len()..end).map(canary));
    }
}

/// Splits `runs` into batches that share buffers.
fn batches(runs: &[Run]) -> impl Iterator<Item = &[Run]> {
    let words = |run: &Run| {
        let (len, bytes) = run.work.written();
        (len * bytes / 4) as usize + 2 * MARGIN_WORDS
    };
    let mut batch_words = 0;
    let mut batch = 0;
    let numbers: Vec<usize> = runs
        .iter()
        .map(|run| {
            batch_words += words(run);
            if batch_words > BATCH_WORDS {
                batch_words = words(run);
                batch += 1;
            }
            batch
        })
        .collect();
    let mut rest = runs;
    let mut done = 0;
    core::iter::from_fn(move || {
        let number = *numbers.get(done)?;
        let len = numbers[done..]
            .iter()
            .take_while(|other| **other == number)
            .count();
        let (batch, later) = rest.split_at(len);
        done += len;
        rest = later;
        Some(batch)
    })
}

/// The result of `find` for the lowest number for which it finds anything. Several threads search.
fn first<T: Send>(count: usize, find: impl Fn(usize) -> Option<T> + Send + Sync) -> Option<T> {
    let mut found: Vec<Option<T>> = (0..count).map(|_| None).collect();
    for_each_task(&mut found, 1, |number, found| {
        found.fill_with(|| find(number));
    });
    found.into_iter().flatten().next()
}

/// Executes `runs`, many in a pass, and compares every word. Returns the number of elements.
pub(super) async fn check(gpu: &Gpu<'_>, runs: &[Run]) -> Result<u64, Failure> {
    let mut elements = 0;
    for batch in batches(runs) {
        let ran = Ran::of(gpu, batch).await?;
        let find = |number: usize| ran.placed[number].wrong(&ran.before, &ran.after);
        if let Some(failure) = first(ran.placed.len(), find) {
            return Err(failure);
        }
        ran.check_outside()?;
        elements += batch.iter().map(|run| run.work.written().0).sum::<u64>();
    }
    Ok(elements)
}

/// Executes `runs` and returns the words of each output. Fails if anything else was written.
pub(super) async fn outputs(gpu: &Gpu<'_>, runs: &[Run]) -> Result<Vec<Vec<u32>>, Failure> {
    let mut outputs = Vec::new();
    for batch in batches(runs) {
        let ran = Ran::of(gpu, batch).await?;
        ran.check_outside()?;
        outputs.extend(
            ran.placed
                .iter()
                .map(|placed| ran.after.at(&placed.output).to_vec()),
        );
    }
    Ok(outputs)
}

/// Executes runs in one pass, where later ones read what earlier ones wrote, and compares every
/// word. Each result must have only one right value.
pub(super) async fn check_chain(
    gpu: &Gpu<'_>,
    before: Images,
    placed: Vec<Placed<'_>>,
) -> Result<u64, Failure> {
    let mut expected = before.clone();
    for placed in &placed {
        placed.simulate(&mut expected)?;
    }
    let ran = Ran {
        after: execute(gpu, &before, &placed).await?,
        before: expected,
        placed,
    };
    ran.check_words()?;
    Ok(ran
        .placed
        .iter()
        .map(|placed| placed.run.work.written().0)
        .sum())
}

/// A batch of runs after its pass.
struct Ran<'a> {
    placed: Vec<Placed<'a>>,
    before: Images,
    after: Results,
}

impl<'a> Ran<'a> {
    async fn of(gpu: &Gpu<'_>, runs: &'a [Run]) -> Result<Self, Failure> {
        let mut before = Images::default();
        let placed: Vec<_> = runs.iter().map(|run| run.place(&mut before)).collect();
        close(&mut before);
        Ok(Self {
            after: execute(gpu, &before, &placed).await?,
            before,
            placed,
        })
    }

    /// Checks that no word outside of the outputs has changed.
    fn check_outside(&self) -> Result<(), Failure> {
        for arena in [Arena::Inputs, Arena::Outputs, Arena::Pool] {
            let of_arena = |placed: &&Placed<'_>| placed.output.arena == arena;
            let mut first = 0;
            // Outputs have the order of the runs.
            for placed in self.placed.iter().filter(of_arena) {
                self.check_range(arena, first..placed.output.words.start)?;
                first = placed.output.words.end;
            }
            self.check_range(arena, first..self.before[arena as usize].len())?;
        }
        Ok(())
    }

    fn check_words(&self) -> Result<(), Failure> {
        for arena in [Arena::Inputs, Arena::Outputs, Arena::Pool] {
            self.check_range(arena, 0..self.before[arena as usize].len())?;
        }
        Ok(())
    }

    fn check_range(&self, arena: Arena, words: Range<usize>) -> Result<(), Failure> {
        let before = &self.before[arena as usize][words.clone()];
        let after = self.after.of(arena, words.clone());
        if before == after {
            return Ok(());
        }
        let offset = before
            .iter()
            .zip(after)
            .position(|(before, after)| before != after);
        let offset = offset.unwrap_or_default();
        let word = words.start + offset;
        let nearest = self
            .placed
            .iter()
            .min_by_key(|placed| placed.distance(arena, word));
        let near = nearest.map_or(String::new(), |placed| {
            let Range { start, end } = placed.output.words;
            format!(", outputs are {start} to {end} ({})", placed.run)
        });
        Err(Failure::new(
            format!(
                "{:#010x} in word {word} of the buffer{near}",
                before[offset]
            ),
            format!("{:#010x}", after[offset]),
        ))
    }
}

/// Records all runs in one pass and returns the buffers' contents after it.
async fn execute(
    gpu: &Gpu<'_>,
    before: &Images,
    placed: &[Placed<'_>],
) -> Result<Results, Failure> {
    let [inputs, outputs, pool, sides] = before.each_ref().map(|words| bytemuck::cast_slice(words));
    let contents = [
        Content::Bytes(inputs),
        Content::Bytes(outputs),
        Content::Bytes(pool),
        Content::Constant(sides),
    ];
    let mut words = Vec::new();
    // Make the kernels first: if the device is too small for them, the check fails.
    let targets: Result<Vec<_>, _> = placed.iter().map(|placed| gpu.target(placed.run)).collect();
    let targets = targets?;
    round_trip::run(
        gpu.device,
        gpu.queue,
        &contents,
        &mut words,
        |pass, buffers| {
            for (placed, target) in placed.iter().zip(&targets) {
                placed.record(pass, buffers, target)?;
            }
            Ok(())
        },
    )
    .await?;
    let mut starts = [0; ARENAS];
    for arena in 1..ARENAS {
        starts[arena] = starts[arena - 1] + before[arena - 1].len();
    }
    Ok(Results { words, starts })
}

impl Run {
    pub(super) fn place<'a>(&'a self, images: &mut Images) -> Placed<'a> {
        let (len, bytes) = self.work.written();
        let words = (len * bytes).div_ceil(4);
        let input_words = (len * self.work.input_element().bytes()).div_ceil(4);
        let (input, output) = match self.work.buffers() {
            Some(_) if self.work.adds() => (
                Some(place(images, Arena::Pool, input_words)),
                place(images, Arena::Pool, words),
            ),
            Some(BufferLayout::Separate) => (
                Some(place(images, Arena::Inputs, words)),
                place(images, Arena::Outputs, words),
            ),
            Some(BufferLayout::Pooled) => (
                Some(place(images, Arena::Pool, input_words)),
                place(images, Arena::Pool, words),
            ),
            Some(BufferLayout::InPlace) => {
                let data = place(images, Arena::Pool, words);
                (Some(data.clone()), data)
            }
            None => (None, place(images, Arena::Outputs, words)),
        };
        let residual = self.work.adds().then(|| match self.work.buffers() {
            Some(BufferLayout::InPlace) => output.clone(),
            _ => place(images, Arena::Pool, words),
        });
        let (of_input, stream) = (self.work.input_element(), self.work.stream());
        for (place, element, seed) in [
            (&input, of_input, self.seed),
            (&residual, stream, !self.seed),
        ] {
            if let Some(Place { arena, words }) = place {
                self.fill(&mut images[*arena as usize][words.clone()], element, seed);
            }
        }
        let mut aside = |words: &[u32]| {
            (!words.is_empty()).then(|| {
                let place = place(images, Arena::Sides, words.len() as u64);
                images[Arena::Sides as usize][place.words.clone()].copy_from_slice(words);
                place
            })
        };
        Placed {
            run: self,
            input,
            residual,
            output,
            side: aside(self.work.source().map_or(&[], Source::side)),
            vectors: aside(bytemuck::cast_slice(&self.numbers())),
        }
    }

    /// Fills `words` with elements. The spare half after an odd number of 16-bit elements stays as
    /// it is.
    fn fill(&self, words: &mut [u32], element: ElementType, seed: u64) {
        // The period is no power of two, so that an index that lost its upper bits reads another
        // value.
        const PERIOD: usize = 99_991;
        let mut random = Random::new(seed, 0);
        let (aim, len) = (self.aim as usize, self.work.written().0 as usize);
        // Without this special value, a tensor of few elements would seldom drop a NaN.
        let next_to_aim = special(element, 4, &mut random);
        if element == ElementType::F32 {
            let next = |_| value(element, &mut random);
            periodic(words, PERIOD, next);
            words[(aim + 1) % len] = next_to_aim;
            words[aim] = reference::encode(element, 1.5);
        } else {
            let halves: &mut [u16] = bytemuck::cast_slice_mut(words);
            // The step is odd, so a long run has all 2^16 values.
            let (first, step) = (random.word() as u16, random.word() as u16 | 1);
            periodic(&mut halves[..len], PERIOD, |i| match i % 4 {
                0 => value(element, &mut random) as u16,
                _ => first.wrapping_add(step.wrapping_mul(i as u16)),
            });
            halves[(aim + 1) % len] = next_to_aim as u16;
            halves[aim] = reference::encode(element, 1.5) as u16;
        }
    }
}

/// Fills `data` with the values that `next` makes for the first `period` elements, repeated.
fn periodic<T: Copy>(data: &mut [T], period: usize, next: impl FnMut(usize) -> T) {
    let (first, rest) = data.split_at_mut(period.min(data.len()));
    for (data, new) in first.iter_mut().zip((0..).map(next)) {
        *data = new;
    }
    for rest in rest.chunks_mut(period) {
        rest.copy_from_slice(&first[..rest.len()]);
    }
}

/// One of the first `count` special values, of either sign: a quiet and a signalling NaN, infinity,
/// zero, the largest and the smallest normal number, the largest, some and the smallest subnormal
/// number, and 1.
fn special(element: ElementType, count: u64, random: &mut Random) -> u32 {
    let (sign, specials): (u32, [u32; 10]) = match element {
        ElementType::F32 => (
            1 << 31,
            [
                0x7fc1_2345,
                0x7fa0_0001,
                0x7f80_0000,
                0,
                0x7f7f_ffff,
                0x0080_0000,
                0x007f_ffff,
                0x0012_3456,
                1,
                0x3f80_0000,
            ],
        ),
        ElementType::F16 => (
            1 << 15,
            [
                0x7e12, 0x7d01, 0x7c00, 0, 0x7bff, 0x0400, 0x03ff, 0x0123, 1, 0x3c00,
            ],
        ),
        ElementType::Bf16 => (
            1 << 15,
            [
                0x7fc1, 0x7fa1, 0x7f80, 0, 0x7f7f, 0x0080, 0x007f, 0x0012, 1, 0x3f80,
            ],
        ),
    };
    specials[random.below(count) as usize] | random.word() & sign
}

/// A number near 1, random bits, or a special value.
pub(super) fn value(element: ElementType, random: &mut Random) -> u32 {
    let word = random.word();
    match random.below(8) {
        0 | 1 => special(element, 10, random),
        2 => match element {
            ElementType::F32 => word,
            _ => word & 0xffff,
        },
        _ => {
            // The magnitude is from 2^-8 to 2^8.
            let exponent = 119 + word % 16;
            let number = f32::from_bits(random.word() & 0x807f_ffff | exponent << 23);
            reference::encode(element, number)
        }
    }
}

impl Placed<'_> {
    /// The distance in words from `word` to the nearest range of the run.
    fn distance(&self, arena: Arena, word: usize) -> usize {
        let places = [self.input.as_ref(), Some(&self.output)];
        let here = places
            .into_iter()
            .flatten()
            .filter(|place| place.arena == arena);
        let distances = here.map(|place| {
            let Range { start, end } = place.words;
            start.saturating_sub(word) + (word + 1).saturating_sub(end)
        });
        distances.min().unwrap_or(usize::MAX)
    }

    fn record(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        buffers: &[wgpu::Buffer],
        target: &Target,
    ) -> Result<(), RunError> {
        let run = self.run;
        let bind = |place: &Place| wgpu::BufferBinding {
            buffer: &buffers[place.arena as usize],
            offset: 4 * place.words.start as u64,
            size: wgpu::BufferSize::new(4 * place.words.len() as u64),
        };
        // A run without a side never reads this binding.
        let side = bind(self.side.as_ref().unwrap_or(&self.output));
        let (input, output) = (
            bind(self.input.as_ref().unwrap_or(&self.output)),
            bind(&self.output),
        );
        let in_place = run.work.buffers() == Some(BufferLayout::InPlace);
        let elements = |source| {
            let elements = match source {
                &Source::Linear(len) => Elements::from(len),
                Source::Layout(layout) => Elements::from(layout),
                Source::Samples(layout, _) => Elements::samples(layout, side.clone()),
                &Source::Packed(_, len) => Elements::packed(side.clone(), len),
            };
            elements.of_type(run.work.element())
        };
        match (target, &run.work) {
            (
                Target::Fused(kernels),
                Work::Fused {
                    neighbours,
                    vectors,
                    source,
                    ..
                },
            ) => {
                let VectorShape {
                    bias_len,
                    scale_len,
                } = *vectors;
                let vectors = self
                    .vectors
                    .as_ref()
                    .map(|place| match (bias_len, scale_len) {
                        (_, 0) => Vectors::bias(bind(place), bias_len),
                        (0, _) => Vectors::scale(bind(place), scale_len),
                        _ => Vectors::bias_and_scale(bind(place), bias_len, scale_len),
                    });
                let elements = elements(source);
                match (neighbours, &self.residual, vectors) {
                    (Neighbours::Scale { .. }, _, Some(vectors)) => {
                        let binding = match in_place {
                            true => kernels.bind_backward_in_place(output, vectors, elements)?,
                            false => kernels.bind_backward(input, output, vectors, elements)?,
                        };
                        kernels.encode_backward(pass, &binding, &run.call)?;
                    }
                    (_, Some(residual), vectors) => {
                        let residual = bind(residual);
                        let binding = match in_place {
                            true => kernels.bind_in_place(input, residual, vectors, elements)?,
                            false => kernels.bind(input, residual, output, vectors, elements)?,
                        };
                        kernels.encode_forward(pass, &binding, &run.call)?;
                    }
                    // There is no such run: a sum has a residual, and a gradient a scale.
                    (_, None, _) => {}
                }
            }
            (
                Target::Dropout(_) | Target::Gaussian(_),
                Work::Dropout {
                    direction, source, ..
                },
            ) => {
                let elements = elements(source);
                match target {
                    Target::Gaussian(kernels) => {
                        let binding = match in_place {
                            true => kernels.bind_in_place(output, elements)?,
                            false => kernels.bind(input, output, elements)?,
                        };
                        kernels.encode(pass, &binding, &run.call)?;
                    }
                    Target::Dropout(kernels) => {
                        let binding = match in_place {
                            true => kernels.bind_in_place(output, elements)?,
                            false => kernels.bind(input, output, elements)?,
                        };
                        kernels.encode(pass, &binding, &run.call, *direction)?;
                    }
                    // A run of dropout has none of these targets.
                    Target::Fused(_) | Target::KeepMask(_) | Target::Blocks(_) => {}
                }
            }
            (Target::KeepMask(kernels), Work::KeepMask(source)) => {
                let binding = match source {
                    Source::Layout(layout) => kernels.bind_layout(output, layout)?,
                    Source::Samples(layout, _) => {
                        kernels.bind_samples(output, layout, side.clone())?
                    }
                    Source::Linear(len) | Source::Packed(_, len) => kernels.bind(output, *len)?,
                };
                kernels.encode(pass, &binding, &run.call)?;
            }
            (
                Target::Blocks(kernels),
                Work::Blocks {
                    counter, key, len, ..
                },
            ) => {
                let binding = kernels.bind(output, *len)?;
                kernels.encode(pass, &binding, *counter, *key);
            }
            // There is no other pair, because a target is made for its run.
            _ => {}
        }
        Ok(())
    }

    /// Writes the run's expected results into `images`.
    fn simulate(&self, images: &mut Images) -> Result<(), Failure> {
        let mut expectations = self.run.expectations();
        let input = self.input.as_ref().unwrap_or(&self.output);
        let words = images[input.arena as usize][input.words.clone()].to_vec();
        for (i, x) in (0..self.run.work.written().0).zip(words) {
            let expected = expectations.of(i, x, 0);
            let bits = expected.bits().ok_or_else(|| {
                Failure::new("a case with one right result", expected.to_string())
            })?;
            images[self.output.arena as usize][self.output.words.start + i as usize] = bits;
        }
        Ok(())
    }

    /// The output's words by the library's CPU path, which is faster than the reference. A word
    /// that equals them counts as right; only others are compared with the reference. Empty for a
    /// short run.
    fn likely(&self, before: &Images) -> Result<Vec<u32>, CpuError> {
        fn typed<T: Element>(input: &[u32], run: &Run) -> Result<Vec<u32>, CpuError> {
            let mut output = input.to_vec();
            let Work::Dropout {
                source, direction, ..
            } = &run.work
            else {
                return Ok(output);
            };
            let len = source.len() as usize;
            let input = &bytemuck::cast_slice::<_, T>(input)[..len];
            let data = &mut bytemuck::cast_slice_mut::<_, T>(&mut output)[..len];
            let source = match source {
                Source::Linear(len) => MaskSource::Len(*len),
                Source::Layout(layout) => MaskSource::Layout(layout),
                Source::Samples(layout, ids) => MaskSource::Samples { layout, ids },
                Source::Packed(mask, len) => MaskSource::Packed { mask, len: *len },
            };
            cpu::apply(*direction, source, (input, data), &run.call)?;
            Ok(output)
        }
        let is_long = self.run.work.written().0 > 2 * TASK_ELEMENTS as u64;
        let is_fused = matches!(self.run.work, Work::Fused { .. });
        let input = match &self.input {
            // Values of noise differ between the CPU and the device.
            Some(input) if is_long && !self.is_noise() && !is_fused => input,
            _ => return Ok(Vec::new()),
        };
        let input = &before[input.arena as usize][input.words.clone()];
        match self.run.work.element() {
            ElementType::F32 => typed::<f32>(input, self.run),
            ElementType::F16 => typed::<half::f16>(input, self.run),
            ElementType::Bf16 => typed::<half::bf16>(input, self.run),
        }
    }

    fn is_noise(&self) -> bool {
        self.run.call.kind == DropoutKind::Gaussian
    }

    /// The first wrong element of the output.
    fn wrong(&self, before: &Images, after: &Results) -> Option<Failure> {
        let likely = match self.likely(before) {
            Ok(likely) => likely,
            Err(error) => return Some(error.into()),
        };
        let run = self.run;
        let (len, bytes) = run.work.written();
        let element_of = |words: &[u32], bytes: u64, i: usize| match bytes {
            4 => words[i],
            _ => words[i / 2] >> (16 * (i % 2)) & 0xffff,
        };
        let of = |words: &[u32], i: usize| element_of(words, bytes, i);
        let before = |place: &Place| &before[place.arena as usize][place.words.clone()];
        let input = self.input.as_ref().map_or(&[][..], before);
        let residual = self.residual.as_ref().map_or(&[][..], before);
        let output = after.at(&self.output);
        let (of_input, stream) = (run.work.input_element(), run.work.stream());
        let element = run.work.output_element();
        let tasks = (len as usize).div_ceil(TASK_ELEMENTS);
        let step = if self.is_noise() && len > LONG_NOISE {
            NOISE_STEP
        } else {
            1
        };
        let found = first(tasks.div_ceil(step), |task| {
            // The offset makes the last task one of those that are compared.
            let first = (task * step + (tasks - 1) % step) * TASK_ELEMENTS;
            let end = (first + TASK_ELEMENTS).min(len as usize);
            let words = first * bytes as usize / 4..(end * bytes as usize).div_ceil(4);
            if likely.get(words.clone()) == Some(&output[words]) {
                return None;
            }
            let mut expectations = run.expectations();
            (first..end).find_map(|i| {
                let got = of(output, i);
                if !likely.is_empty() && of(&likely, i) == got {
                    return None;
                }
                let read = |words: &[u32], element: ElementType| match words {
                    [] => 0,
                    words => element_of(words, element.bytes(), i),
                };
                let (x, residual) = (read(input, of_input), read(residual, stream));
                let expected = expectations.of(i as u64, x, residual);
                (!expected.admits(element, got)).then_some((i, expected, got))
            })
        });
        if let Some((i, expected, got)) = found {
            let what = match run.work {
                Work::Dropout { .. } | Work::Fused { .. } => "element",
                Work::KeepMask(_) | Work::Blocks { .. } => "word",
            };
            return Some(Failure::new(
                format!("{expected} in {what} {i} ({run})"),
                format!("{got:#x}"),
            ));
        }
        // The spare half after an odd number of 16-bit elements must not change.
        if len * bytes % 4 != 0 {
            let [expected, got] =
                [before(&self.output), output].map(|words| of(words, len as usize));
            if expected != got {
                return Some(Failure::new(
                    format!("{expected:#06x} in the spare half ({run})"),
                    format!("{got:#06x}"),
                ));
            }
        }
        None
    }
}
