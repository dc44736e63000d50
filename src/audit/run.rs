//! What an audit runs: pieces of work, many in one pass, each on ranges of its own in the middle of
//! larger buffers, and what all of these buffers must hold afterwards.

use core::fmt;
use core::ops::Range;

use rayon::prelude::*;

use super::Failure;
use super::gpu::{Gpu, Target};
use super::random::Random;
use super::reference::{self, Effect, Expected, Indices, Uniforms};
use crate::job::{self, Content};
use crate::launch::Direction;
use crate::mask::mask_words;
use crate::source::BufferLayout;
use crate::{CpuError, DropoutCall, Element, ElementType, Elements, MaskLayout, cpu};

/// Words before and at least so many behind each range: any device's alignment.
pub(super) const MARGIN_WORDS: usize = 64;

/// Words of a buffer that holds the ranges of several runs; a longer run has its own.
const BATCH_WORDS: usize = 1 << 21;

/// Elements whose results one thread looks at.
const TASK_ELEMENTS: usize = 1 << 14;

/// Where decisions come from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Linear(u64),
    Layout(MaskLayout),
    /// A layout and the ids of its samples.
    Samples(MaskLayout, Vec<u32>),
    /// A packed mask from outside, of so many elements.
    Packed(Vec<u32>, u64),
}

impl Source {
    pub fn len(&self) -> u64 {
        match self {
            Self::Linear(len) | Self::Packed(_, len) => *len,
            Self::Layout(layout) | Self::Samples(layout, _) => layout.len(),
        }
    }

    /// What lies in a buffer of its own.
    fn side(&self) -> &[u32] {
        match self {
            Self::Linear(_) | Self::Layout(_) => &[],
            Self::Samples(_, words) | Self::Packed(words, _) => words,
        }
    }

    /// Of a call from `origin` on; a packed mask has none.
    fn indices(&self, origin: u64) -> Indices<'_> {
        let (layout, ids) = match self {
            Self::Linear(_) | Self::Packed(..) => {
                return Indices {
                    first: origin,
                    shape: &[u64::MAX],
                    strides: &[1],
                    ids: None,
                };
            }
            Self::Layout(layout) => (layout, None),
            Self::Samples(layout, ids) => (layout, Some(&ids[..])),
        };
        Indices {
            first: origin + layout.first_index(),
            shape: layout.shape(),
            strides: layout.strides(),
            ids,
        }
    }
}

/// What is computed.
#[derive(Clone, Debug)]
pub(super) enum Work {
    Dropout {
        element: ElementType,
        buffers: BufferLayout,
        direction: Direction,
        source: Source,
    },
    Gaussian {
        buffers: BufferLayout,
        len: u64,
    },
    KeepMask(Source),
    Blocks {
        rounds: u32,
        counter: [u32; 4],
        key: [u32; 2],
        len: u64,
    },
}

impl Work {
    /// Elements, mask words or words of blocks that are written, and the bytes of one.
    fn written(&self) -> (u64, u64) {
        match self {
            Self::Dropout {
                element, source, ..
            } => (source.len(), element.bytes()),
            Self::Gaussian { len, .. } => (*len, 4),
            Self::KeepMask(source) => (mask_words(source.len()), 4),
            Self::Blocks { len, .. } => (4 * len, 4),
        }
    }

    fn buffers(&self) -> Option<BufferLayout> {
        match self {
            Self::Dropout { buffers, .. } | Self::Gaussian { buffers, .. } => Some(*buffers),
            Self::KeepMask(_) | Self::Blocks { .. } => None,
        }
    }

    fn element(&self) -> ElementType {
        match self {
            Self::Dropout { element, .. } => *element,
            _ => ElementType::F32,
        }
    }
}

/// One piece of work.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// Features that it leaves unused.
    pub avoid: wgpu::Features,
    pub work: Work,
    pub call: DropoutCall,
    /// How many granules a dispatch takes, on a device whose limits were lowered.
    pub granules: Option<u64>,
    /// Whether stray stores behind the elements show.
    pub has_room: bool,
    /// Of the values, and an element whose value is none that hides its fate.
    pub seed: u64,
    pub aim: u64,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = |f: &mut fmt::Formatter<'_>, source: &Source| match source {
            Source::Linear(len) => write!(f, "{len} elements"),
            Source::Packed(_, len) => write!(f, "{len} elements of a packed mask"),
            Source::Layout(layout) | Source::Samples(layout, _) => {
                let (shape, strides) = (layout.shape(), layout.strides());
                write!(f, "shape {shape:?}, strides {strides:?}")?;
                match layout.first_index() {
                    0 => {}
                    first => write!(f, " from {first}")?,
                }
                match source {
                    Source::Samples(..) => f.write_str(", sample ids"),
                    _ => Ok(()),
                }
            }
        };
        match &self.work {
            Work::Dropout {
                element,
                buffers,
                direction,
                source: decisions,
            } => {
                write!(f, "{direction:?} {element} {buffers:?}, ")?;
                source(f, decisions)?;
            }
            Work::Gaussian { buffers, len } => write!(f, "Gaussian {buffers:?}, {len} elements")?,
            Work::KeepMask(decisions) => {
                f.write_str("mask, ")?;
                source(f, decisions)?;
            }
            Work::Blocks {
                rounds,
                counter,
                key,
                len,
            } => write!(
                f,
                "{len} blocks of {rounds} rounds, {counter:08x?} under {key:08x?}"
            )?,
        }
        if !matches!(self.work, Work::Blocks { .. }) {
            write!(f, "; {}", self.call)?;
        }
        if let Some(granules) = self.granules {
            write!(f, "; dispatches of {granules} granules")?;
        }
        if !self.avoid.is_empty() {
            write!(f, "; without {}", self.avoid)?;
        }
        Ok(())
    }
}

/// Words of the whole image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arena {
    /// Only read.
    Inputs,
    Outputs,
    /// Input and output, or both in one range.
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

/// A run and where its ranges lie.
pub(super) struct Placed<'a> {
    pub run: &'a Run,
    pub input: Option<Place>,
    pub output: Place,
    pub side: Option<Place>,
}

/// What buffers hold.
pub(super) type Images = [Vec<u32>; ARENAS];

/// What buffers held at the end, one behind the other; all but those of sides.
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

/// What a word that nothing writes holds: no two alike.
fn canary(word: usize) -> u32 {
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

/// The margin behind the last range.
pub(super) fn close(images: &mut Images) {
    for image in images {
        let end = image.len().next_multiple_of(MARGIN_WORDS) + MARGIN_WORDS;
        image.extend((image.len()..end).map(canary));
    }
}

/// Parts of `runs` that share buffers.
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
        let len = numbers[done..].iter().take_while(|other| **other == number).count();
        let (batch, later) = rest.split_at(len);
        done += len;
        rest = later;
        Some(batch)
    })
}

/// Runs everything, many in a pass, and looks at every word. The number of elements is the figure.
pub(super) async fn check(gpu: &Gpu<'_>, runs: &[Run]) -> Result<u64, Failure> {
    let mut elements = 0;
    for batch in batches(runs) {
        let ran = Ran::of(gpu, batch).await?;
        let find = |placed: &Placed<'_>| placed.wrong(&ran.before, &ran.after, &[]);
        if let Some(failure) = ran.placed.par_iter().find_map_first(find) {
            return Err(failure);
        }
        ran.check_outside()?;
        elements += batch.iter().map(|run| run.work.written().0).sum::<u64>();
    }
    Ok(elements)
}

/// As [`check`], of a run of forward dropout so long that the library's CPU path is asked first.
pub(super) async fn check_long(gpu: &Gpu<'_>, run: Run) -> Result<u64, Failure> {
    let runs = [run];
    let ran = Ran::of(gpu, &runs).await?;
    for placed in &ran.placed {
        let likely = placed.by_cpu(&ran.before)?;
        if let Some(failure) = placed.wrong(&ran.before, &ran.after, &likely) {
            return Err(failure);
        }
    }
    ran.check_outside()?;
    Ok(runs[0].work.written().0)
}

/// Runs everything and gives the words of each output, around which nothing was written.
pub(super) async fn outputs(gpu: &Gpu<'_>, runs: &[Run]) -> Result<Vec<Vec<u32>>, Failure> {
    let mut outputs = Vec::new();
    for batch in batches(runs) {
        let ran = Ran::of(gpu, batch).await?;
        ran.check_outside()?;
        outputs.extend(ran.placed.iter().map(|placed| ran.after.at(&placed.output).to_vec()));
    }
    Ok(outputs)
}

/// Runs one after the other in a pass, the later on what the earlier wrote, and looks at every word.
/// Each result has one right value.
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
    Ok(ran.placed.iter().map(|placed| placed.run.work.written().0).sum())
}

/// What became of a batch.
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

    /// All that is not an output is as it was.
    fn check_outside(&self) -> Result<(), Failure> {
        for arena in [Arena::Inputs, Arena::Outputs, Arena::Pool] {
            let of_arena = |placed: &&Placed<'_>| placed.output.arena == arena;
            let mut first = 0;
            // Outputs lie in the order of the runs.
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
        let place = before.iter().zip(after).position(|(before, after)| before != after);
        let place = place.unwrap_or_default();
        let word = words.start + place;
        let nearest = self.placed.iter().min_by_key(|placed| placed.distance(arena, word));
        let near = nearest.map_or(String::new(), |placed| {
            let Range { start, end } = placed.output.words;
            format!(", outputs are {start} to {end} ({})", placed.run)
        });
        Err(Failure::new(
            format!("{:#010x} in word {word} of the buffer{near}", before[place]),
            format!("{:#010x}", after[place]),
        ))
    }
}

/// The images after all runs, in one pass.
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
    // Made first: a device too small for the kernels is a failure of the check.
    let targets: Result<Vec<_>, _> = placed.iter().map(|placed| gpu.target(placed.run)).collect();
    let targets = targets?;
    job::run(gpu.device, gpu.queue, &contents, &mut words, |pass, buffers| {
        for (placed, target) in placed.iter().zip(&targets) {
            placed.record(pass, buffers, target)?;
        }
        Ok(())
    })
    .await?;
    let mut starts = [0; ARENAS];
    for arena in 1..ARENAS {
        starts[arena] = starts[arena - 1] + before[arena - 1].len();
    }
    Ok(Results { words, starts })
}

impl Run {
    fn place<'a>(&'a self, images: &mut Images) -> Placed<'a> {
        let (len, bytes) = self.work.written();
        let words = (len * bytes).div_ceil(4);
        let (input, output) = match self.work.buffers() {
            Some(BufferLayout::Separate) => (
                Some(place(images, Arena::Inputs, words)),
                place(images, Arena::Outputs, words),
            ),
            Some(BufferLayout::Pooled) => (
                Some(place(images, Arena::Pool, words)),
                place(images, Arena::Pool, words),
            ),
            Some(BufferLayout::InPlace) => {
                let data = place(images, Arena::Pool, words);
                (Some(data.clone()), data)
            }
            None => (None, place(images, Arena::Outputs, words)),
        };
        if let Some(input) = &input {
            let words = &mut images[input.arena as usize][input.words.clone()];
            self.fill(words);
        }
        let side = match &self.work {
            Work::Dropout { source, .. } | Work::KeepMask(source) => source.side(),
            _ => &[],
        };
        let side = (!side.is_empty()).then(|| {
            let place = place(images, Arena::Sides, side.len() as u64);
            images[Arena::Sides as usize][place.words.clone()].copy_from_slice(side);
            place
        });
        Placed {
            run: self,
            input,
            output,
            side,
        }
    }

    /// The values of the elements; the half behind an odd number of them stays.
    fn fill(&self, words: &mut [u32]) {
        // Of no power of two, so that an index that lost bits meets another value.
        const PERIOD: usize = 99_991;
        let mut random = Random::new(self.seed, 0);
        let element = self.work.element();
        let (aim, len) = (self.aim as usize, self.work.written().0 as usize);
        if element == ElementType::F32 {
            let tame = matches!(self.work, Work::Gaussian { .. });
            let next = |_| value(element, tame, &mut random);
            periodic(words, PERIOD, next);
            words[aim] = reference::encode(element, 1.5);
        } else {
            let halves: &mut [u16] = bytemuck::cast_slice_mut(words);
            // By an odd step: a long run has all of them.
            let (first, step) = (random.word() as u16, random.word() as u16 | 1);
            periodic(&mut halves[..len], PERIOD, |i| match i % 4 {
                0 => value(element, false, &mut random) as u16,
                _ => first.wrapping_add(step.wrapping_mul(i as u16)),
            });
            halves[aim] = reference::encode(element, 1.5) as u16;
        }
    }
}

/// Fills `data` with what `next` makes of the first places, again and again.
fn periodic<T: Copy>(data: &mut [T], period: usize, next: impl FnMut(usize) -> T) {
    let (first, rest) = data.split_at_mut(period.min(data.len()));
    for (data, new) in first.iter_mut().zip((0..).map(next)) {
        *data = new;
    }
    for rest in rest.chunks_mut(period) {
        rest.copy_from_slice(&first[..rest.len()]);
    }
}

/// A number near 1, any bits, or one of those that are easily taken for another.
fn value(element: ElementType, tame: bool, random: &mut Random) -> u32 {
    let word = random.word();
    // NaNs, quiet and signalling, infinities, zeros, the largest, the smallest normal, and the
    // largest, one and the smallest subnormal number.
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
    match random.below(8) {
        0 | 1 => random.pick(&specials) | word & sign,
        2 if !tame => word & (sign | (sign - 1)),
        _ => {
            // From 2^-8 to 2^8.
            let exponent = 119 + word % 16;
            let number = f32::from_bits(random.word() & 0x807f_ffff | exponent << 23);
            reference::encode(element, number)
        }
    }
}

impl Placed<'_> {
    /// Words from a range of the run to `word`.
    fn distance(&self, arena: Arena, word: usize) -> usize {
        let places = [self.input.as_ref(), Some(&self.output)];
        let here = places.into_iter().flatten().filter(|place| place.arena == arena);
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
    ) -> Result<(), crate::RunError> {
        let run = self.run;
        let bind = |place: &Place| wgpu::BufferBinding {
            buffer: &buffers[place.arena as usize],
            offset: 4 * place.words.start as u64,
            size: wgpu::BufferSize::new(4 * place.words.len() as u64),
        };
        // What has no side is never asked for it.
        let side = bind(self.side.as_ref().unwrap_or(&self.output));
        let (input, output) = (bind(self.input.as_ref().unwrap_or(&self.output)), bind(&self.output));
        match (target, &run.work) {
            (
                Target::Dropout(kernels),
                Work::Dropout {
                    element,
                    buffers,
                    direction,
                    source,
                },
            ) => {
                let elements = match source {
                    Source::Linear(len) => Elements::Len(*len),
                    Source::Layout(layout) => Elements::Layout(layout),
                    Source::Samples(layout, _) => Elements::Samples { layout, ids: side },
                    Source::Packed(_, len) => Elements::Packed {
                        mask: side,
                        len: *len,
                    },
                };
                let elements = elements.of_type(*element);
                let binding = match buffers {
                    BufferLayout::InPlace => kernels.bind_in_place(output, elements)?,
                    _ => kernels.bind(input, output, elements)?,
                };
                match direction {
                    Direction::Forward => kernels.encode_forward(pass, &binding, &run.call)?,
                    Direction::Backward => kernels.encode_backward(pass, &binding, &run.call)?,
                }
            }
            (Target::Gaussian(kernels), Work::Gaussian { buffers, len }) => {
                let binding = match buffers {
                    BufferLayout::InPlace => kernels.bind_in_place(output, *len)?,
                    _ => kernels.bind(input, output, *len)?,
                };
                kernels.encode(pass, &binding, &run.call)?;
            }
            (Target::KeepMask(kernels), Work::KeepMask(source)) => {
                let binding = match source {
                    Source::Layout(layout) => kernels.bind_layout(output, layout)?,
                    Source::Samples(layout, _) => kernels.bind_samples(output, layout, side)?,
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
            // A target is made for its run.
            _ => {}
        }
        Ok(())
    }

    /// Does to `images` what the run must.
    fn simulate(&self, images: &mut Images) -> Result<(), Failure> {
        let mut expectations = self.run.expectations();
        let input = self.input.as_ref().unwrap_or(&self.output);
        let words = images[input.arena as usize][input.words.clone()].to_vec();
        for (i, x) in (0..self.run.work.written().0).zip(words) {
            let expected = expectations.of(i, x);
            let bits = expected.bits().ok_or_else(|| {
                Failure::new("a case with one right result", expected.to_string())
            })?;
            images[self.output.arena as usize][self.output.words.start + i as usize] = bits;
        }
        Ok(())
    }

    /// The output's words, as the CPU path makes them.
    fn by_cpu(&self, before: &Images) -> Result<Vec<u32>, Failure> {
        fn typed<T: Element>(input: &[u32], run: &Run) -> Result<Vec<u32>, CpuError> {
            let mut output = input.to_vec();
            let Work::Dropout { source, .. } = &run.work else {
                return Ok(output);
            };
            let len = source.len() as usize;
            let input = &bytemuck::cast_slice::<_, T>(input)[..len];
            let data = &mut bytemuck::cast_slice_mut::<_, T>(&mut output)[..len];
            match source {
                Source::Linear(_) => cpu::forward(input, data, &run.call)?,
                Source::Layout(layout) => cpu::forward_layout(input, data, layout, &run.call)?,
                Source::Samples(layout, ids) => {
                    cpu::forward_samples(input, data, layout, ids, &run.call)?;
                }
                Source::Packed(mask, _) => cpu::forward_packed(input, data, mask, &run.call)?,
            }
            Ok(output)
        }
        let Place { arena, words } = self.input.as_ref().unwrap_or(&self.output);
        let input = &before[*arena as usize][words.clone()];
        Ok(match self.run.work.element() {
            ElementType::F32 => typed::<f32>(input, self.run)?,
            ElementType::F16 => typed::<half::f16>(input, self.run)?,
            ElementType::Bf16 => typed::<half::bf16>(input, self.run)?,
        })
    }

    /// The first thing that is wrong in the output. Words that are as is `likely` are right.
    fn wrong(&self, before: &Images, after: &Results, likely: &[u32]) -> Option<Failure> {
        let run = self.run;
        let (len, bytes) = run.work.written();
        let of = |words: &[u32], i: usize| match bytes {
            4 => words[i],
            _ => words[i / 2] >> (16 * (i % 2)) & 0xffff,
        };
        let before = |place: &Place| &before[place.arena as usize][place.words.clone()];
        let input = self.input.as_ref().map_or(&[][..], before);
        let output = after.at(&self.output);
        let element = run.work.element();
        let tasks = (0..len as usize).into_par_iter().step_by(TASK_ELEMENTS);
        let found = tasks.find_map_first(|first| {
            let end = (first + TASK_ELEMENTS).min(len as usize);
            let words = first * bytes as usize / 4..(end * bytes as usize).div_ceil(4);
            if likely.get(words.clone()) == Some(&output[words]) {
                return None;
            }
            let mut expectations = run.expectations();
            (first..end).find_map(|i| {
                let x = if input.is_empty() { 0 } else { of(input, i) };
                let expected = expectations.of(i as u64, x);
                let got = of(output, i);
                (!expected.admits(element, got)).then_some((i, expected, got))
            })
        });
        if let Some((i, expected, got)) = found {
            let what = match run.work {
                Work::Dropout { .. } | Work::Gaussian { .. } => "element",
                Work::KeepMask(_) | Work::Blocks { .. } => "word",
            };
            return Some(Failure::new(
                format!("{expected} in {what} {i} ({run})"),
                format!("{got:#x}"),
            ));
        }
        // The half behind an odd number of 16-bit elements.
        if len * bytes % 4 != 0 {
            let [expected, got] = [before(&self.output), output].map(|words| of(words, len as usize));
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

/// What the elements of a run become, asked in about their order.
pub(super) struct Expectations<'a> {
    run: &'a Run,
    uniforms: Uniforms,
    drop_threshold: u64,
    effect: Effect,
    indices: Option<Indices<'a>>,
}

/// D \[M8\].
pub(super) fn drop_threshold(call: &DropoutCall) -> u64 {
    (call.rate.p() * f64::from(2).powi(32)).round_ties_even() as u64
}

impl Run {
    /// u(i) of an element that is drawn.
    pub fn uniform(&self, element: u64) -> u32 {
        let index = match &self.work {
            Work::Dropout { source, .. } | Work::KeepMask(source) => {
                source.indices(self.call.origin).of(element)
            }
            _ => self.call.origin + element,
        };
        Uniforms::new(self.call.key).at(index)
    }

    pub fn expectations(&self) -> Expectations<'_> {
        let threshold = drop_threshold(&self.call);
        let (direction, source) = match &self.work {
            Work::Dropout {
                direction, source, ..
            } => (*direction, Some(source)),
            Work::KeepMask(source) => (Direction::Forward, Some(source)),
            _ => (Direction::Forward, None),
        };
        let given = matches!(source, Some(Source::Packed(..)));
        Expectations {
            run: self,
            uniforms: Uniforms::new(self.call.key),
            drop_threshold: threshold,
            effect: Effect::new(self.call.rate.kind(), direction, threshold, given),
            indices: source.map(|source| source.indices(self.call.origin)),
        }
    }
}

impl Expectations<'_> {
    fn keeps(&mut self, source: &Source, element: u64) -> bool {
        if let Source::Packed(mask, _) = source {
            return mask[element as usize / 32] >> (element % 32) & 1 == 1;
        }
        let index = self.indices.map_or(0, |indices| indices.of(element));
        self.uniforms.keeps(index, self.drop_threshold)
    }

    /// What element `i`, or word `i`, becomes, which was `x`.
    pub fn of(&mut self, i: u64, x: u32) -> Expected {
        let run = self.run;
        match &run.work {
            Work::Dropout {
                element, source, ..
            } => {
                let kept = !self.effect.asks_the_mask() || self.keeps(source, i);
                self.effect.of(*element, x, kept)
            }
            Work::Gaussian { .. } => {
                reference::gaussian(run.call.key, run.call.origin + i, self.drop_threshold, x)
            }
            Work::KeepMask(source) => {
                let end = (32 * (i + 1)).min(source.len());
                let bits = (32 * i..end).map(|e| u32::from(self.keeps(source, e)) << (e % 32));
                Expected::Bits(bits.sum())
            }
            Work::Blocks {
                rounds,
                counter,
                key,
                ..
            } => {
                let words = counter.iter().rev();
                let counter = words.fold(0, |sum, word| sum << 32 | u128::from(*word));
                let counter = counter.wrapping_add(u128::from(i / 4));
                let counter = [0, 32, 64, 96].map(|shift| (counter >> shift) as u32);
                let words = reference::philox(counter, *key, *rounds);
                Expected::Bits(words[i as usize % 4])
            }
        }
    }
}
