//! The kernels that an audit dispatches, and the runs that dispatch each: the one file here that
//! knows what selects a kernel.

use std::collections::HashMap;

use super::random::Random;
use super::run::{Run, Source, Work, drop_threshold};
use crate::choice::{Choice, Map, backward, cut, forward, unit};
use crate::geometry::Geometry;
use crate::launch::Direction;
use crate::source::{
    Access, Family, Kernel, MaskSource, Multiply, ParamsSource, Strided, ValueMap,
};
use crate::strided::StridedLayout;
use crate::wgsl::Variant;
use crate::{DropoutCall, DropoutKind, DropoutRate, ElementType, MaskKey, MaskLayout};

const KINDS: [DropoutKind; 3] = [
    DropoutKind::Inverted,
    DropoutKind::Classic,
    DropoutKind::Alpha,
];
const DIRECTIONS: [Direction; 2] = [Direction::Forward, Direction::Backward];

/// A kernel, and a kind and a direction that choose it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Candidate {
    pub variant: Variant,
    kind: DropoutKind,
    direction: Direction,
}

/// How much is run by each kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Load {
    /// All eight remainders of the origin twice, cut tensors, nine workgroups, ends of the rates.
    Full,
    /// A part of that.
    Light,
}

/// Every kernel that a device with these ways of multiplying and of being told parameters can
/// dispatch, by every kind and direction that chooses it.
pub(super) fn candidates(ways: &[(Multiply, ParamsSource)]) -> impl Iterator<Item = Candidate> {
    let of_device = |variant: &Variant| {
        let draws = variant.kernel.draws();
        ways.iter().any(|&(multiply, params)| {
            params == variant.params && (multiply == variant.multiply || !draws)
        })
    };
    let variants = Variant::all().filter(of_device);
    let reachable = variants.filter(|variant| is_reachable(variant.kernel));
    reachable.flat_map(|variant| {
        let all = KINDS
            .into_iter()
            .flat_map(|kind| DIRECTIONS.map(|direction| (kind, direction)));
        let chosen = move |&(kind, direction): &(DropoutKind, Direction)| match variant.kernel {
            Kernel::Dropout { value, .. } => {
                value == ValueMap::Copy || value == value_of(kind, direction)
            }
            _ => (kind, direction) == (DropoutKind::Inverted, Direction::Forward),
        };
        all.filter(chosen).map(move |(kind, direction)| Candidate {
            variant,
            kind,
            direction,
        })
    })
}

/// Whether some tensor has the kernel.
fn is_reachable(kernel: Kernel) -> bool {
    let (Kernel::Dropout { mask, .. } | Kernel::KeepMask(mask)) = kernel else {
        return true;
    };
    let MaskSource::Strided(strided) = mask else {
        return true;
    };
    if strided.sample_ids && strided.dimensions == 1 {
        // Its only dimension is the ids', no row and no run.
        return strided.whole_words;
    }
    let by_words = matches!(kernel, Kernel::Dropout { access, .. } if access == Access::Words);
    // Whole mask words are whole vectors.
    !(strided.whole_words && by_words)
}

fn value_of(kind: DropoutKind, direction: Direction) -> ValueMap {
    match direction {
        Direction::Forward => forward(kind),
        Direction::Backward => backward(kind),
    }
}

/// The kernels that a run dispatches on a device of these limits.
pub(super) fn kernels(run: &Run, limits: &wgpu::Limits) -> Vec<Kernel> {
    let mask = |layout: &MaskLayout, ids| {
        let layout = StridedLayout::new(layout, ids).ok().flatten();
        layout.map_or(MaskSource::Linear, |layout| {
            MaskSource::Strided(layout.strided(false))
        })
    };
    match &run.work {
        Work::Gaussian { buffers, .. } => vec![Kernel::Gaussian { buffers: *buffers }],
        Work::Blocks { rounds, .. } => vec![Kernel::PhiloxBlocks { rounds: *rounds }],
        Work::KeepMask(source) => vec![Kernel::KeepMask(match source {
            Source::Layout(layout) => mask(layout, false),
            Source::Samples(layout, _) => mask(layout, true),
            Source::Linear(_) | Source::Packed(..) => MaskSource::Linear,
        })],
        Work::Dropout {
            element,
            buffers,
            direction,
            source,
        } => {
            let map = match source {
                Source::Linear(_) => Ok(Map::Linear { first_index: 0 }),
                Source::Packed(..) => Ok(Map::Packed),
                Source::Layout(layout) => Map::of_layout(layout, false),
                Source::Samples(layout, _) => Map::of_layout(layout, true),
            };
            let value = value_of(run.call.rate.kind(), *direction);
            let choice = map.ok().and_then(|map| {
                Choice::new(*element, *buffers, &map, source.len(), &run.call, value).ok()
            });
            let geometry = Geometry::new(limits, unit(*element));
            let (Some(choice), Ok(geometry)) = (choice, geometry) else {
                return Vec::new();
            };
            if choice.is_nothing() {
                return Vec::new();
            }
            let geometry = geometry.lowered(run.granules.unwrap_or(u64::MAX));
            let mut kernels: Vec<_> = cut(&geometry, source.len())
                .map(|segment| choice.kernel(segment))
                .collect();
            kernels.dedup();
            kernels
        }
    }
}

/// What a run dispatches.
pub(super) fn dispatched(run: &Run, limits: &wgpu::Limits) -> impl Iterator<Item = Candidate> {
    let avoids = |feature| run.avoid.contains(feature);
    let params = match avoids(wgpu::Features::IMMEDIATES) {
        true => ParamsSource::Uniform,
        false => ParamsSource::Immediates,
    };
    let halves = avoids(wgpu::Features::SHADER_INT64);
    let kind = run.call.rate.kind();
    let direction = match run.work {
        Work::Dropout { direction, .. } => direction,
        _ => Direction::Forward,
    };
    kernels(run, limits).into_iter().map(move |kernel| {
        let multiply = match halves || !kernel.draws() {
            true => Multiply::Halves,
            false => Multiply::U64,
        };
        Candidate {
            variant: Variant {
                kernel,
                multiply,
                params,
            },
            kind,
            direction,
        }
    })
}

/// What a tensor is to be.
#[derive(Clone, Copy)]
struct Wish {
    /// About so many elements, if the kernel has so few or so many.
    len: u64,
    /// Of the first mask index by 8, where the kernel leaves it open.
    remainder: u64,
    base: Base,
}

/// The first mask index.
#[derive(Clone, Copy)]
enum Base {
    Any,
    /// Some elements before a multiple of 2^35, where a block's lower word ends.
    BeforeCarry,
    /// So that the largest index is the last there is.
    Last,
}

/// How often a layout is drawn until one has the kernel: most that can, do in a few.
const TRIES: usize = 40;

impl Candidate {
    /// What tells it from others: as its variant's fields.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = self.variant.fields();
        if let Kernel::Dropout { .. } = self.variant.kernel {
            fields.push(("kind", self.kind.to_string()));
            fields.push(("direction", format!("{:?}", self.direction)));
        }
        fields.extend(self.branches().map(|(name, value)| (name, value.to_owned())));
        fields
    }

    /// What several fields choose together in a text.
    fn branches(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let kernel = self.variant.kernel;
        let map = match (kernel.mask(), self.access()) {
            (Some(MaskSource::Strided(strided)), Some(Access::Blocks)) => match strided.family {
                Family::Rows => Some("rows by blocks"),
                Family::Runs | Family::Scattered => None,
            },
            (Some(MaskSource::Strided(strided)), _) => {
                match (strided.family, strided.whole_words) {
                    (Family::Rows, true) => Some("rows of whole words"),
                    (Family::Rows, false) => Some("rows"),
                    (Family::Runs, true) => Some("runs of whole words"),
                    (Family::Runs, false) => Some("runs"),
                    (Family::Scattered, _) => Some("scattered"),
                }
            }
            _ => None,
        };
        let factor = match kernel {
            Kernel::Dropout {
                element: ElementType::F16,
                value: ValueMap::Scale,
                mask,
                ..
            } => Some(match mask {
                MaskSource::Packed => "may be 0",
                _ => "is not 0",
            }),
            _ => None,
        };
        let map = map.map(|map| ("map", map));
        map.into_iter().chain(factor.map(|factor| ("factor", factor)))
    }

    /// The features that are left unused.
    pub fn avoid(&self) -> wgpu::Features {
        wgpu::Features::SHADER_INT64.union(wgpu::Features::IMMEDIATES) - self.variant.features()
    }

    /// About how long a driver compiles it, in tenths of a small one's time.
    fn cost(&self) -> usize {
        let kernel = self.variant.kernel;
        let mut cost = 10;
        if self.variant.multiply == Multiply::Halves && kernel.draws() {
            cost += 6;
        }
        if let Some(MaskSource::Strided(strided)) = kernel.mask() {
            cost += match strided.family {
                Family::Rows if !strided.whole_words => 6,
                Family::Scattered => 4,
                _ => 2,
            };
        }
        if let Kernel::Dropout {
            element,
            value,
            access,
            ..
        } = kernel
        {
            cost += match (element, value) {
                (ElementType::F16, ValueMap::Affine) => 14,
                (ElementType::F16, ValueMap::Scale) | (ElementType::Bf16, ValueMap::Affine) => 6,
                _ => 2,
            };
            // The rest of a cut tensor is by vectors.
            cost *= if access == Access::Words { 2 } else { 1 };
        }
        cost
    }

    fn bytes(&self) -> u64 {
        match self.variant.kernel {
            Kernel::Dropout { element, .. } => element.bytes(),
            _ => 4,
        }
    }

    fn access(&self) -> Option<Access> {
        match self.variant.kernel {
            Kernel::Dropout { access, .. } => Some(access),
            _ => None,
        }
    }

    /// The mask whose bindings it has, a copy too.
    fn mask(&self) -> Option<MaskSource> {
        match self.variant.kernel {
            Kernel::Dropout { mask, .. } | Kernel::KeepMask(mask) => Some(mask),
            _ => None,
        }
    }

    fn is_copy(&self) -> bool {
        let kernel = self.variant.kernel;
        matches!(kernel, Kernel::Dropout { value, .. } if value == ValueMap::Copy)
    }

    fn work(&self, source: Source) -> Work {
        match self.variant.kernel {
            Kernel::Dropout {
                element, buffers, ..
            } => Work::Dropout {
                element,
                buffers,
                direction: self.direction,
                source,
            },
            Kernel::Gaussian { buffers } => Work::Gaussian {
                buffers,
                len: source.len(),
            },
            Kernel::KeepMask(_) => Work::KeepMask(source),
            Kernel::PhiloxBlocks { rounds } => Work::Blocks {
                rounds,
                counter: [0; 4],
                key: [0; 2],
                len: source.len(),
            },
        }
    }

    /// The runs that dispatch it; none if no tensor does.
    pub fn runs(&self, load: Load, limits: &wgpu::Limits, seed: u64) -> Vec<Run> {
        let random = &mut Random::new(seed, 0);
        let short = match load {
            Load::Full => 16,
            Load::Light => 8,
        };
        let mut runs = Vec::new();
        for i in 0..short {
            let base = match i {
                _ if short - i == 1 => Base::Last,
                _ if i % 2 == 1 => Base::BeforeCarry,
                _ => Base::Any,
            };
            let wish = Wish {
                len: if i % 3 == 0 {
                    random.between(1, 40)
                } else {
                    random.between(1, 700)
                },
                // Each with both kinds of base.
                remainder: (i + i / 8) % 8,
                base,
            };
            let Some(mut run) = self.run(wish, limits, random) else {
                // No remainder by 8 has every kernel, but two of three have.
                if runs.is_empty() && i == 2 {
                    return runs;
                }
                continue;
            };
            self.aim(&mut run, i, i % 4, random);
            run.has_room = i % 2 == 0;
            runs.push(run);
        }
        let (cuts, wide) = match load {
            Load::Full => (3, 2),
            Load::Light => (1, 1),
        };
        for i in 0..cuts + wide {
            let remainder = random.between(1, 7);
            let wish = Wish {
                len: match i {
                    _ if i < cuts => random.between(2000, 5000),
                    // By words a dispatch has no more.
                    _ if self.access() == Some(Access::Words) => 65_000,
                    // More than 64 workgroups.
                    _ if i > cuts => 545_000,
                    _ => 75_000,
                },
                remainder,
                base: if i % 2 == 0 { Base::BeforeCarry } else { Base::Any },
            };
            let Some(mut run) = self.run(wish, limits, random) else {
                continue;
            };
            if i < cuts {
                run.granules = Some(granules(&run, limits, random.between(6, 20)));
            }
            self.aim(&mut run, random.word().into(), i % 2, random);
            run.has_room = i % 2 == 0;
            runs.push(run);
        }
        if load == Load::Full && !self.is_copy() {
            for drop_threshold in [1, u32::MAX.into(), 1 << 32, 1 << 31] {
                let wish = Wish {
                    len: random.between(200, 700),
                    remainder: random.below(8),
                    base: Base::Any,
                };
                if drop_threshold == 1 << 32 && matches!(self.variant.kernel, Kernel::Gaussian { .. })
                {
                    continue;
                }
                if let Some(mut run) = self.run(wish, limits, random) {
                    run.call.rate = self.rate(drop_threshold);
                    runs.push(run);
                }
            }
        }
        runs
    }

    fn rate(&self, drop_threshold: u64) -> DropoutRate {
        // At most 1.
        let rate = DropoutRate::new(drop_threshold as f64 / f64::from(2).powi(32));
        rate.unwrap_or(DropoutRate::ZERO).with_kind(self.kind)
    }

    /// A run of this kernel alone, if some tensor has one.
    fn run(&self, wish: Wish, limits: &wgpu::Limits, random: &mut Random) -> Option<Run> {
        for _ in 0..TRIES {
            let Some((source, origin)) = self.tensor(wish, random) else {
                continue;
            };
            let key = MaskKey::new(random.next(), random.next());
            let rate = if self.is_copy() { 0 } else { 1 << 31 };
            let mut run = Run {
                avoid: self.avoid(),
                work: self.work(source),
                call: DropoutCall::new(self.rate(rate), key).with_origin(origin),
                granules: None,
                has_room: false,
                seed: random.next(),
                aim: 0,
            };
            if kernels(&run, limits) == [self.variant.kernel] {
                if let Work::Blocks { counter, key, .. } = &mut run.work {
                    *key = [random.word(), random.word()];
                    *counter = core::array::from_fn(|_| random.word());
                    // The carry goes through as many words as are full.
                    let full = random.below(5) as usize;
                    for word in counter.iter_mut().take(full) {
                        *word = u32::MAX;
                    }
                    counter[0] -= random.below(40).min(counter[0].into()) as u32;
                }
                return Some(run);
            }
        }
        None
    }

    /// Makes D such that one element's fate hangs on it: kept or dropped by one, or by its upper
    /// half alone.
    fn aim(&self, run: &mut Run, lane: u64, side: u64, random: &mut Random) {
        let (len, is_drawn) = match &run.work {
            Work::Dropout { source, .. } | Work::KeepMask(source) => {
                (source.len(), !matches!(source, Source::Packed(..)))
            }
            Work::Gaussian { len, .. } => (*len, false),
            Work::Blocks { .. } => return,
        };
        let word = random.below(len.div_ceil(32));
        let element = 32 * word + lane % 32;
        run.aim = if element < len { element } else { random.below(len) };
        if self.is_copy() {
            return;
        }
        let uniform = match is_drawn {
            true => u64::from(run.uniform(run.aim)),
            false => random.word().into(),
        };
        let drop_threshold = match side {
            0 => uniform,
            1 => uniform + 1,
            2 => uniform & !0xffff,
            _ => (uniform | 0xffff) + 1,
        };
        // The ends have other kernels.
        run.call.rate = self.rate(drop_threshold.clamp(1, (1 << 32) - 1));
        debug_assert!(drop_threshold_is(run));
    }

    /// Where decisions come from, and the origin, for a kernel like this one.
    fn tensor(&self, wish: Wish, random: &mut Random) -> Option<(Source, u64)> {
        let whole_blocks = self.access() == Some(Access::Blocks);
        let remainder = if whole_blocks { 0 } else { wish.remainder };
        match self.mask() {
            None => {
                // Gaussian noise has indices below 2^63 [M18], a quarter of them blocks.
                let len = wish.len;
                let origin = match wish.base {
                    Base::Any => 8 * random.below(1 << 59) + remainder,
                    Base::BeforeCarry => {
                        ((2 * random.below(1 << 28) + 1) << 34) - 8 * (1 + random.below(len.div_ceil(8)))
                            + remainder
                    }
                    Base::Last => (1 << 63) - len,
                };
                Some((Source::Linear(len), origin))
            }
            Some(MaskSource::Packed) => {
                let len = self.fitting(wish.len, false, random);
                let mask = (0..len.div_ceil(32)).map(|_| random.word()).collect();
                Some((Source::Packed(mask, len), 0))
            }
            Some(MaskSource::Linear) => {
                let len = self.fitting(wish.len, remainder == 0 && !self.is_copy(), random);
                Some((Source::Linear(len), base(wish, remainder, len, len - 1, random)))
            }
            Some(MaskSource::Strided(strided)) => {
                let layout = self.layout(strided, wish, random)?;
                let last = match strided.sample_ids {
                    true => layout.last_sample_index().ok()??,
                    false => layout.last_index()?,
                };
                let first = base(wish, remainder, layout.shape().last().copied()?, last, random);
                let apart = random.below(first.min(1 << 40) + 1);
                let layout = layout.offset(apart).ok()?;
                let origin = first - apart;
                Some(if strided.sample_ids {
                    let ids = (0..layout.shape()[0]).map(|place| match random.below(8) {
                        0 => 0,
                        1 => u32::MAX,
                        2 => place as u32,
                        _ => random.word(),
                    });
                    let ids = ids.collect();
                    (Source::Samples(layout, ids), origin)
                } else {
                    (Source::Layout(layout), origin)
                })
            }
        }
    }

    /// A length near `len` that is loaded as this kernel loads; `by_blocks` if one of whole blocks
    /// would be taken by them.
    fn fitting(&self, len: u64, by_blocks: bool, random: &mut Random) -> u64 {
        let per_vector = 16 / self.bytes();
        let fits = |len: &u64| match self.access() {
            None => true,
            Some(Access::Blocks) => len.is_multiple_of(8),
            Some(Access::Vectors) => {
                len.is_multiple_of(per_vector) && !(by_blocks && len.is_multiple_of(8))
            }
            Some(Access::Words) => !len.is_multiple_of(per_vector),
        };
        let first = len + random.below(8);
        (first..first + 16).find(fits).unwrap_or(first)
    }

    /// A layout that may have this kernel.
    fn layout(&self, strided: Strided, wish: Wish, random: &mut Random) -> Option<MaskLayout> {
        let Strided {
            family,
            whole_words,
            dimensions,
            sample_ids,
        } = strided;
        let dimensions = dimensions as usize;
        let by_words = self.access() == Some(Access::Words);
        let by_blocks = self.access() == Some(Access::Blocks);
        // A row is consecutive, a run shares one index.
        let few = random.chance(2);
        let (inner, inner_stride) = match family {
            Family::Rows => (None, Some(1)),
            Family::Runs => (None, Some(0)),
            Family::Scattered if few && dimensions > 1 && !whole_words => {
                let strides = [Some(0), Some(1), None];
                (Some(random.between(2, 31)), random.pick(&strides))
            }
            Family::Scattered => (None, None),
        };
        let inner = inner.unwrap_or_else(|| match (whole_words, by_blocks) {
            (true, _) => 32 * random.between(1, 3),
            (false, true) => 8 * random.pick(&[1, 2, 3, 5, 6, 7]),
            (false, false) => random.between(33, 63),
        });
        let mut shape: Vec<u64> = (0..dimensions)
            .map(|_| match random.below(4) {
                0 | 1 if !by_words => 2,
                0 if by_words => 2,
                3 if dimensions < 5 => 5,
                _ => 3,
            })
            .collect();
        let lone_ids = sample_ids && dimensions == 1;
        if lone_ids {
            shape[0] = self.fitting(wish.len, false, random);
        } else {
            shape[dimensions - 1] = inner;
        }
        if dimensions > 1 {
            let others: u64 = shape[1..].iter().product();
            shape[0] = shape[0].max(wish.len / others);
            if by_words && shape[0].is_multiple_of(2) {
                shape[0] += 1;
            }
        } else if !lone_ids {
            shape[0] = match whole_words {
                true => wish.len.next_multiple_of(32),
                false => self.fitting(wish.len.max(33), false, random),
            };
        }
        // Of ids, which reach to 2^32, products may take half of the indices.
        let natural = random.chance(4);
        let mut next = 1;
        let mut strides = vec![0; dimensions];
        for dimension in (0..dimensions).rev() {
            let size = shape[dimension];
            let is_inner = dimension + 1 == dimensions && !lone_ids;
            let of_ids = sample_ids && dimension == 0;
            let reach = if of_ids { 1 << 32 } else { size };
            let any = (random.next() >> random.between(4, 30)) / reach;
            strides[dimension] = match inner_stride {
                Some(stride) if is_inner => stride,
                // As a tensor with gaps or shared dimensions has them.
                _ if natural => next + random.pick(&[0, 8, 40]) * random.below(2),
                _ if by_blocks => any / 8 * 8,
                _ => any,
            };
            if natural && by_blocks && !is_inner {
                strides[dimension] = strides[dimension].next_multiple_of(8);
            }
            if natural && !is_inner && random.chance(4) {
                strides[dimension] = 0;
            }
            if strides[dimension] != 0 {
                next = strides[dimension] * size;
            }
        }
        if sample_ids && !natural && random.chance(4) {
            // An id's stride of more than 32 bits leaves little to the others.
            for stride in &mut strides[1..] {
                *stride %= 1 << 20;
                if by_blocks && *stride != 1 {
                    *stride = *stride / 8 * 8;
                }
            }
            strides[0] = 1 << 32;
        }
        MaskLayout::strided(&shape, &strides).ok()
    }
}

/// A first mask index, of `len` neighbours at first and with `last` behind it at most.
fn base(wish: Wish, remainder: u64, len: u64, last: u64, random: &mut Random) -> u64 {
    let end = u64::MAX - last;
    let aligned = match wish.base {
        Base::Any => random.below(1 << 61),
        Base::BeforeCarry => {
            let carry = (2 * random.below(1 << 25) + 1) << 35;
            carry - 8 * (1 + random.below(len.min(700).div_ceil(8)))
        }
        Base::Last => return if remainder == 0 { end / 8 * 8 } else { end },
    };
    let base = aligned / 8 * 8 + remainder;
    if base <= end { base } else { end / 8 * 8 }
}

/// So many that a run has about `dispatches`.
fn granules(run: &Run, limits: &wgpu::Limits, dispatches: u64) -> u64 {
    let (units, bytes, per_invocation) = match &run.work {
        Work::Dropout {
            element, source, ..
        } => (source.len(), element.bytes(), 32),
        Work::Gaussian { len, .. } => (*len, 4, 4),
        Work::KeepMask(source) => (source.len().div_ceil(32), 4, 1),
        Work::Blocks { len, .. } => (*len, 16, 1),
    };
    let alignment = u64::from(limits.min_storage_buffer_offset_alignment);
    let granule = (alignment / bytes).max(per_invocation);
    (units / granule / dispatches).max(1)
}

fn drop_threshold_is(run: &Run) -> bool {
    drop_threshold(&run.call) == run.call.rate.drop_threshold()
}

/// Candidates whose fields have every pair of values that any of `all` has together, and the runs
/// of each. They are drawn from `seed`.
pub(super) fn cover(
    all: Vec<Candidate>,
    limits: &wgpu::Limits,
    seed: u64,
) -> Vec<(Candidate, Vec<Run>)> {
    // Each value of each field has a number.
    let mut numbers = HashMap::new();
    let mut names = Vec::new();
    let mut rows = Vec::with_capacity(all.len());
    for candidate in all {
        let number = |field: (&'static str, String)| {
            let name = field.0;
            *numbers.entry(field).or_insert_with(|| {
                names.push(name);
                names.len() - 1
            })
        };
        let fields: Vec<usize> = candidate.fields().into_iter().map(number).collect();
        rows.push((candidate, fields));
    }
    let random = &mut Random::new(seed, 1);
    for i in (1..rows.len()).rev() {
        rows.swap(i, random.below(i as u64 + 1) as usize);
    }
    let mut covered = vec![false; names.len() * names.len()];
    let mut chosen = Vec::new();
    // Those with many new pairs for their cost first.
    for least in [60, 50, 40, 32, 25, 20, 16, 12, 9, 7, 5, 4, 3, 2, 1, 0] {
        // Few are enough to choose many from.
        let mut far = if least > 8 { 4000 } else { usize::MAX };
        rows.retain(|(candidate, fields)| {
            if far == 0 {
                return true;
            }
            far -= 1;
            let new = pairs(fields, &names).filter(|&pair| !covered[pair]).count();
            if new == 0 || 10 * new < least * candidate.cost() {
                return new > 0;
            }
            let runs = candidate.runs(Load::Full, limits, random.next());
            // Where tensors are cut, other kernels take a part.
            for other in runs.iter().flat_map(|run| dispatched(run, limits)) {
                let fields = other.fields();
                let fields: Vec<_> = fields.iter().filter_map(|field| numbers.get(field)).collect();
                let fields: Vec<_> = fields.into_iter().copied().collect();
                pairs(&fields, &names).for_each(|pair| covered[pair] = true);
            }
            if !runs.is_empty() {
                chosen.push((*candidate, runs));
            }
            false
        });
    }
    chosen
}

/// Whether values of two fields may make a difference together, where those of each alone make none.
pub(super) fn is_pair(one: &str, other: &str) -> bool {
    // How many dimensions there are is nothing to a map: they are summed up by another file.
    (one, other) != ("dimensions", "map")
}

/// The pairs of `fields`, each as a number.
fn pairs(fields: &[usize], names: &[&str]) -> impl Iterator<Item = usize> {
    let firsts = fields.iter().enumerate();
    firsts.flat_map(move |(i, &a)| {
        let seconds = fields[i..].iter();
        let of_first = seconds.filter(move |&&b| is_pair(names[a], names[b]));
        of_first.map(move |b| a * names.len() + b)
    })
}

/// What a kernel is told under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    Blocks,
    Linear,
    Layouts,
    Samples,
    Packed,
    Copies,
    Masks,
    Gaussian,
}

impl Candidate {
    pub fn group(&self) -> Group {
        match self.variant.kernel {
            Kernel::PhiloxBlocks { .. } => Group::Blocks,
            Kernel::Gaussian { .. } => Group::Gaussian,
            Kernel::KeepMask(_) => Group::Masks,
            Kernel::Dropout { value, .. } if value == ValueMap::Copy => Group::Copies,
            Kernel::Dropout { mask, .. } => match mask {
                MaskSource::Linear => Group::Linear,
                MaskSource::Packed => Group::Packed,
                MaskSource::Strided(strided) if strided.sample_ids => Group::Samples,
                MaskSource::Strided(_) => Group::Layouts,
            },
        }
    }
}
