//! The checks: each makes its runs and the values that it compares them with.

use super::gpu::Gpu;
use super::kernels::{Candidate, Group, Load, cover, in_one_way};
use super::random::Random;
use super::run::{self, Arena, Images, Placed, close, place};
use super::work::{Run, Source, Work};
use super::{AuditOptions, Failure, Outcome, vectors};
use crate::host::device::cut_limits;
use crate::kernel::axes::BufferLayout;
use crate::mask::mask_words;
use crate::plan::cut::{CutLimits, Geometry, Unit};
use crate::plan::dispatch::unit;
use crate::plan::keep_mask::MASK_WORD;
use crate::{
    Direction, DropoutCall, DropoutKind, DropoutRate, ElementType, MaskKey, MaskLayout, cpu,
};

type Checked = Result<Outcome, Failure>;

/// Kernels that are compiled before all are dropped: drivers keep the memory of every live
/// pipeline.
pub(super) const KERNELS_AT_ONCE: usize = 256;

fn passed(figure: String) -> Checked {
    Ok(Outcome::Passed { figure })
}

fn damaged() -> Failure {
    Failure::new("readable vectors in the library", "a damaged file")
}

/// The state that the checks of one audit share.
pub(super) struct Audit<'a> {
    pub gpu: Gpu<'a>,
    pub options: AuditOptions,
    limits: CutLimits,
    max_buffer_bytes: u64,
    /// The kernels of a default run.
    pub covering: Vec<(Candidate, Vec<Run>)>,
}

/// The mask of a layout.
pub(super) fn mask(layout: &MaskLayout, call: DropoutCall) -> Run {
    let source = match (layout.strides(), layout.first_index()) {
        ([1], 0) => Source::Linear(layout.len()),
        _ => Source::Layout(layout.clone()),
    };
    of(Work::KeepMask(source), call)
}

/// A run with the device's own features and limits.
pub(super) fn of(work: Work, call: DropoutCall) -> Run {
    Run {
        avoid: wgpu::Features::empty(),
        work,
        call,
        granules: None,
        has_room: false,
        seed: 0,
        aim: 0,
    }
}

/// The source of a long tensor's decisions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Map {
    Linear,
    /// Consecutive indices that begin inside a block.
    Shifted,
    Rows,
    Runs,
    Scattered,
    Samples,
    Packed,
}

impl Map {
    const ALL: [Self; 7] = [
        Self::Linear,
        Self::Shifted,
        Self::Rows,
        Self::Runs,
        Self::Scattered,
        Self::Samples,
        Self::Packed,
    ];
}

/// A source of `len` elements or a few less, in whole vectors. Rows end inside a mask word, and
/// inside a vector.
fn map_of(map: Map, len: u64, random: &mut Random) -> Result<Source, Failure> {
    let layout = |shape: &[u64], strides: &[u64]| MaskLayout::strided(shape, strides);
    let high = 1 << 33;
    Ok(match map {
        Map::Linear | Map::Shifted => Source::Linear(len / 32 * 32),
        Map::Rows => Source::Layout(layout(&[len / 296 * 4, 2, 37], &[2 * high + 40, high, 1])?),
        Map::Runs => Source::Layout(layout(&[len / 296 * 4, 2, 37], &[2 * high + 5, high, 0])?),
        Map::Scattered => {
            Source::Layout(layout(&[len / 296 * 4, 2, 37], &[2 * high + 5, high, 3])?)
        }
        Map::Samples => {
            let samples = layout(&[len / 148 * 4, 37], &[high / 8, 1])?;
            let ids = (0..len / 148 * 4).map(|_| random.word()).collect();
            Source::Samples(samples, ids)
        }
        Map::Packed => {
            let len = len / 32 * 32;
            Source::Packed((0..mask_words(len)).map(|_| random.word()).collect(), len)
        }
    })
}

/// Length of the longest dispatch, in units.
fn longest(limits: CutLimits, unit: Unit) -> Result<u64, Failure> {
    let longest = Geometry::new(limits, unit)?.segments(u64::MAX).next();
    Ok(longest.map_or(0, |segment| segment.len.into()))
}

/// Compares two masks. The first difference is the failure.
pub(super) fn same(call: &DropoutCall, expected: &[u32], got: &[u32]) -> Result<(), Failure> {
    let words = expected.iter().zip(got);
    match (0..)
        .zip(words)
        .find(|(_, (expected, got))| expected != got)
    {
        None => Ok(()),
        Some((i, (expected, got))) => Err(Failure::new(
            format!("{expected:#010x} in mask word {i} ({call})"),
            format!("{got:#010x}"),
        )),
    }
}

/// The calls whose masks of `len` elements are hashed.
fn hashed_calls(len: u64) -> impl Iterator<Item = DropoutCall> {
    // Rates: the smallest threshold; one that needs the second draw; one whose low half is 0; one
    // where 1 / (1 - p) and 1 / (1 - D / 2^32) round apart.
    const PROBABILITIES: [f64; 4] = [1.0 / 4_294_967_296.0, 0.1, 0.5, 0.99999];
    // Origins: aligned and not, some whose masks cross a carry, and one that reaches the last mask
    // index.
    let last = u64::MAX - (len - 1);
    let origins = [0, 3, 8, (1 << 32) - 5, (1 << 35) - 5, (1 << 61) + 3, last];
    let rates = PROBABILITIES
        .into_iter()
        .filter_map(|p| DropoutRate::new(p).ok());
    rates.zip(1u64..).flat_map(move |(rate, seed)| {
        origins.into_iter().zip(0..).map(move |(origin, step)| {
            let key = MaskKey::layer_step(seed << 32 | 42, len as u32, step);
            DropoutCall::new(rate, key).with_origin(origin)
        })
    })
}

impl<'a> Audit<'a> {
    pub fn new(gpu: Gpu<'a>, options: AuditOptions) -> Self {
        let limits = cut_limits(gpu.device);
        let covering = cover(gpu.candidates(), limits, options.seed);
        Self {
            options,
            limits,
            max_buffer_bytes: gpu.device.limits().max_buffer_size,
            gpu,
            covering,
        }
    }

    pub fn seed(&self) -> u64 {
        self.options.seed
    }

    pub async fn known_answers(&self) -> Checked {
        let vectors = vectors::philox().ok_or_else(damaged)?;
        let call = DropoutCall::new(DropoutRate::ZERO, MaskKey::new(0, 0));
        let runs: Vec<_> = vectors
            .iter()
            .map(|vector| {
                let work = Work::Blocks {
                    rounds: vector.rounds,
                    counter: vector.counter,
                    key: vector.key,
                    len: 1,
                };
                of(work, call)
            })
            .collect();
        for (vector, got) in vectors.iter().zip(run::outputs(&self.gpu, &runs).await?) {
            if got != vector.words {
                let vectors::PhiloxVector {
                    rounds,
                    counter,
                    key,
                    words,
                } = vector;
                return Err(Failure::new(
                    format!("{words:08x?} for {rounds} rounds of {counter:08x?} under {key:08x?}"),
                    format!("{got:08x?}"),
                ));
            }
        }
        passed(format!("{} vectors", vectors.len()))
    }

    pub async fn contract_vectors(&self) -> Checked {
        let vectors = vectors::masks().ok_or_else(damaged)?;
        let mut runs = Vec::new();
        for vector in &vectors {
            let vectors::MaskVector {
                call,
                drop_threshold,
                keep_scale_bits,
                layout,
                ..
            } = vector;
            let (threshold, scale) = (call.rate.drop_threshold(), call.keep_scale().to_bits());
            if (threshold, scale) != (*drop_threshold, *keep_scale_bits) {
                return Err(Failure::new(
                    format!("threshold {drop_threshold}, scale {keep_scale_bits:#x} ({call})"),
                    format!("threshold {threshold}, scale {scale:#x}"),
                ));
            }
            runs.push(mask(layout, *call));
        }
        for (vector, got) in vectors.iter().zip(run::outputs(&self.gpu, &runs).await?) {
            same(&vector.call, &vector.mask, &got)?;
        }
        passed(format!("{} masks", vectors.len()))
    }

    async fn check(&self, runs: &[Run]) -> Result<u64, Failure> {
        #[cfg(not(target_arch = "wasm32"))]
        self.gpu.compile(runs)?;
        run::check(&self.gpu, runs).await
    }

    /// Checks the kernels of a group: those that cover its pairs of values, or in a long audit all.
    pub async fn kernels(&self, group: Group) -> Checked {
        let (mut kernels, mut count, mut elements) = (0, 0, 0);
        let covering = self.covering.iter();
        let of_group = covering.filter(|(candidate, _)| candidate.group() == group);
        let mut runs = Vec::new();
        for (_, more) in of_group {
            kernels += 1;
            runs.extend_from_slice(more);
        }
        runs.extend(self.others(group)?);
        elements += self.check(&runs).await?;
        count += runs.len();
        if self.options.long {
            let random = &mut Random::new(self.options.seed, 2);
            let mut of_group = self.gpu.candidates();
            of_group.retain(|candidate| candidate.group() == group);
            let all = in_one_way(of_group, random);
            for some in all.chunks(KERNELS_AT_ONCE) {
                let mut runs = Vec::new();
                for candidate in some {
                    let more = candidate.runs(Load::Light, self.limits, random.next());
                    kernels += usize::from(!more.is_empty());
                    runs.extend(more);
                }
                elements += self.check(&runs).await?;
                count += runs.len();
                self.gpu.forget();
            }
        }
        passed(format!(
            "{elements} elements in {count} runs of {kernels} kernels"
        ))
    }

    /// Checks dispatches in one pass that read what earlier ones wrote, in every buffer layout, and
    /// that overwrite what earlier ones read.
    pub async fn one_pass(&self) -> Checked {
        use BufferLayout::{InPlace, Pooled, Separate};
        const LEN: u64 = 3000;
        let random = &mut Random::new(self.options.seed, 3);
        let mut images = Images::default();
        let arenas = [Arena::Inputs, Arena::Outputs, Arena::Pool];
        let places = arenas.map(|arena| [(); 2].map(|()| place(&mut images, arena, LEN)));
        let given = place(&mut images, Arena::Sides, mask_words(LEN));
        for place in places.iter().flatten() {
            for word in &mut images[place.arena as usize][place.words.clone()] {
                // Values from 1 to 2: in any order of factors the products stay normal numbers.
                *word = 0x3f80_0000 | random.word() >> 9;
            }
        }
        close(&mut images);
        let mut run = |work| {
            let p = random.below(1 << 31) as f64 / f64::from(2).powi(32);
            let key = MaskKey::new(random.next(), random.next());
            let call = DropoutCall::new(DropoutRate::new(p)?, key);
            // The origin is no multiple of 8, so no kernel takes whole blocks and one kernel serves
            // all runs.
            Ok::<_, Failure>(of(work, call.with_origin(8 * random.below(1 << 40) + 3)))
        };
        let mut dropout = |buffers, source| {
            run(Work::Dropout {
                element: ElementType::F32,
                buffers,
                direction: Direction::Forward,
                source,
            })
        };
        let linear = Source::Linear(LEN);
        let [[a, b], [c, d], [e, f]] = &places;
        let mut steps = Vec::new();
        for (buffers, source, from, to) in [
            (Separate, &linear, a, c),
            (Separate, &linear, c, b),
            (Separate, &linear, b, d),
            (Separate, &linear, a, c),
            (Pooled, &linear, e, f),
            (Pooled, &linear, f, e),
            (InPlace, &linear, e, e),
            (InPlace, &linear, e, e),
        ] {
            steps.push((dropout(buffers, source.clone())?, Some(from), to, None));
        }
        for to in [e, f] {
            let mask = run(Work::KeepMask(linear.clone()))?;
            let mut expectations = mask.expectations();
            let words = (0..mask_words(LEN)).filter_map(|word| expectations.of(word, 0, 0).bits());
            let packed = Source::Packed(words.collect(), LEN);
            let packed = run(Work::Dropout {
                element: ElementType::F32,
                buffers: InPlace,
                direction: Direction::Backward,
                source: packed,
            })?;
            steps.push((mask, None, &given, None));
            steps.push((packed, Some(to), to, Some(&given)));
        }
        let placed = steps.iter().map(|(run, input, output, side)| Placed {
            run,
            input: input.cloned(),
            residual: None,
            output: (*output).clone(),
            side: side.cloned(),
            vectors: None,
        });
        let elements = run::check_chain(&self.gpu, images, placed.collect()).await?;
        passed(format!("{elements} elements in {} dispatches", steps.len()))
    }

    /// Checks dispatches as large as the device's limits allow.
    pub async fn full_size(&self) -> Checked {
        let mut elements = self.full_masks().await?;
        for run in self.full_runs()? {
            elements += run::check(&self.gpu, &[run]).await?;
        }
        let call = DropoutCall::new(DropoutRate::ZERO, self.key(6));
        let random = &mut Random::new(self.options.seed, 7);
        // More than 4096 workgroups.
        let blocks = Work::Blocks {
            rounds: 10,
            counter: core::array::from_fn(|_| random.word()),
            key: [random.word(), random.word()],
            len: 1_060_000,
        };
        elements += run::check(&self.gpu, &[of(blocks, call)]).await?;
        passed(format!("{elements} elements"))
    }

    /// Checks masks of one dispatch each. One has a decision for each element, which takes long to
    /// make. The other takes all workgroups, and 96 elements share a decision.
    async fn full_masks(&self) -> Result<u64, Failure> {
        let words = longest(self.limits, MASK_WORD)?;
        let part = if self.options.long {
            words
        } else {
            words.min(1 << 21)
        };
        let linear = MaskLayout::linear(32 * part - 5);
        let runs = MaskLayout::strided(&[words / 3, 96], &[(1 << 33) + 1, 0])?;
        let call = DropoutCall::new(DropoutRate::new(0.3)?, self.key(4));
        let call = call.with_origin((1 << 35) - 3);
        let mut masks = vec![mask(&runs, call)];
        // This mask needs enough products to show a carry that is wrong once in 2^24. It runs with
        // each way to multiply: by halves and by u64.
        let own = mask(&linear, call);
        if self.options.long || !self.gpu.multiplies_by_u64() {
            masks.push(own.clone());
        }
        if self.gpu.multiplies_by_u64() {
            masks.push(Run {
                avoid: wgpu::Features::SHADER_INT64,
                ..own
            });
        }
        let mut elements = 0;
        for mask in masks {
            let outputs = run::outputs(&self.gpu, core::slice::from_ref(&mask)).await?;
            let mut expected = vec![0; outputs[0].len()];
            match &mask.work {
                Work::KeepMask(Source::Layout(layout)) => {
                    cpu::keep_mask(layout, &mut expected, &call)?;
                }
                _ => cpu::keep_mask(&linear, &mut expected, &call)?,
            }
            same(&call, &expected, &outputs[0])?;
            elements += 32 * expected.len() as u64;
        }
        Ok(elements)
    }

    fn key(&self, place: u64) -> MaskKey {
        let random = &mut Random::new(self.options.seed, place);
        MaskKey::new(random.next(), random.next())
    }

    /// Runs with dispatches of more than 4096 workgroups, for each entry point, on ranges up to the
    /// largest that most devices bind. A long audit adds runs with every map on the largest range
    /// that this device binds.
    fn full_runs(&self) -> Result<Vec<Run>, Failure> {
        use BufferLayout::{InPlace, Pooled, Separate};
        use DropoutKind::{Gaussian, Inverted};
        use ElementType::{Bf16, F16, F32};
        let random = &mut Random::new(self.options.seed, 5);
        let mut runs = Vec::new();
        let mut push = |element: ElementType, kind, buffers, map, most| {
            let ranges = if buffers == Pooled { 2 } else { 1 };
            let free_bytes = self.max_buffer_bytes / ranges - 1024;
            let longest = longest(self.limits, unit(element))?;
            let len = longest.min(free_bytes / element.bytes()).min(most);
            let source = map_of(map, len, random)?;
            let call = DropoutCall::new(DropoutRate::new(0.3)?, self.key(random.next()));
            let work = Work::Dropout {
                element,
                buffers,
                direction: Direction::Forward,
                source,
            };
            runs.push(Run {
                seed: random.next(),
                ..of(
                    work,
                    call.with_kind(kind)
                        .with_origin(if map == Map::Shifted { 3 } else { 0 }),
                )
            });
            Ok::<_, Failure>(())
        };
        push(Bf16, Inverted, InPlace, Map::Linear, 1 << 26)?;
        push(F16, Inverted, Separate, Map::Rows, 33_600_000)?;
        push(F32, Inverted, Pooled, Map::Packed, 1 << 24)?;
        push(Bf16, Gaussian, InPlace, Map::Scattered, 33_600_000)?;
        if self.options.long {
            for (element, buffers) in [
                (F32, [Separate, Pooled, InPlace]),
                (F16, [Pooled, InPlace, Separate]),
                (Bf16, [InPlace, Separate, Pooled]),
            ] {
                for (map, buffers) in Map::ALL.into_iter().zip(buffers.into_iter().cycle()) {
                    push(element, Inverted, buffers, map, u64::MAX)?;
                }
            }
        }
        Ok(runs)
    }

    /// Runs that no single kernel's own runs include: a long tensor whose last elements have a
    /// dispatch of their own, and a rate of 0 in the kinds of work that have no kernel for it.
    fn others(&self, group: Group) -> Result<Vec<Run>, Failure> {
        use BufferLayout::{InPlace, Pooled, Separate};
        const LEN: u64 = 12 * 41;
        let layout = MaskLayout::strided(&[12, 41], &[64, 1])?;
        let samples = || Source::Samples(layout.clone(), (0..12).collect());
        let dropouts = match group {
            // A copy binds the packed mask but does not read it. A copy in place records nothing.
            Group::Copies => vec![
                (ElementType::F32, Separate, Source::Layout(layout.clone())),
                (ElementType::F16, Pooled, samples()),
                (ElementType::Bf16, InPlace, Source::Linear(LEN)),
            ],
            // A packed mask decides even if the rate is 0.
            Group::Packed => {
                let mask = (0..mask_words(LEN) as u32).map(|word| word.wrapping_mul(0x9E37_79B9));
                vec![(
                    ElementType::F32,
                    InPlace,
                    Source::Packed(mask.collect(), LEN),
                )]
            }
            _ => Vec::new(),
        };
        let dropouts = dropouts
            .into_iter()
            .map(|(element, buffers, source)| Work::Dropout {
                element,
                buffers,
                direction: Direction::Forward,
                source,
            });
        let masks = matches!(group, Group::Masks).then(|| Work::KeepMask(samples()));
        let works = dropouts.chain(masks);
        let call = DropoutCall::new(DropoutRate::ZERO, self.key(8));
        let mut runs: Vec<_> = works.map(|work| of(work, call)).collect();
        if let Group::Linear = group {
            let work = Work::Dropout {
                element: ElementType::F32,
                buffers: Separate,
                direction: Direction::Backward,
                source: Source::Linear(100_003),
            };
            let call = DropoutCall::new(DropoutRate::new(0.3)?, self.key(9));
            runs.push(of(work, call.with_origin(3)));
        }
        if let Group::Masks = group {
            // A kernel whose upper half of D is too small by 1 would keep one element in 65,536.
            let call = DropoutCall::new(DropoutRate::new(1.0)?, self.key(10));
            runs.push(of(Work::KeepMask(Source::Linear(1 << 20)), call));
        }
        Ok(runs)
    }

    /// FNV-1a, 64 bits, over the masks' little-endian bytes.
    pub async fn mask_hash(&self) -> Result<u64, Failure> {
        let len = 4099;
        let calls = hashed_calls(len);
        let runs: Vec<_> = calls
            .map(|call| mask(&MaskLayout::linear(len), call))
            .collect();
        let masks = run::outputs(&self.gpu, &runs).await?;
        let bytes = masks.iter().flatten().flat_map(|word| word.to_le_bytes());
        Ok(bytes.fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        }))
    }
}
