//! The kernels that an audit dispatches, and the runs that dispatch each. Only this file of the
//! audit knows what selects a kernel.

use std::collections::{BinaryHeap, HashMap, HashSet};

use super::random::Random;
use super::work::{Run, Source, Work, drop_threshold};
use crate::contract::effect::Effect;
use crate::kernel::axes::{
    Access, BlockAccess, F16Conversion, Family, IndexKind, Kernel, Multiply, Neighbours,
    ParamsSource, Strided, Way,
};
use crate::philox_blocks::BLOCK;
use crate::plan::cut::{CutLimits, Geometry};
use crate::plan::dispatch::{Plan, Tensor, cut, unit};
use crate::plan::fused::{FusedPlan, FusedTensor, VectorShape, geometry};
use crate::plan::index_map::IndexMap;
use crate::plan::keep_mask::{MASK_WORD, MaskPlan};
use crate::wgsl::Variant;
use crate::{Direction, DropoutCall, DropoutKind, DropoutRate, ElementType, MaskKey, MaskLayout};

/// A kernel, the way in which it runs, and a kind and a direction that choose it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Candidate {
    pub kernel: Kernel,
    pub way: Way,
    kind: DropoutKind,
    direction: Direction,
}

/// The amount of work for each kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Load {
    /// All eight remainders of the origin twice, cut tensors, nine workgroups, the smallest and
    /// largest rates.
    Full,
    /// A part of those runs.
    Light,
}

/// Every kernel that a device with these ways can dispatch, once for each kind and direction that
/// chooses it.
pub(super) fn candidates(ways: &[Way]) -> impl Iterator<Item = Candidate> {
    let kernels = Variant::all().map(|variant| variant.kernel);
    let reachable = kernels.filter(|kernel| is_reachable(*kernel));
    reachable.flat_map(move |kernel| {
        let of_device = kernel.ways().filter(move |way| {
            ways.iter().any(|other| {
                (other.params, other.blocks, other.f16) == (way.params, way.blocks, way.f16)
                    && (other.multiply == way.multiply || !kernel.draws())
            })
        });
        of_device.flat_map(move |way| {
            choosing(kernel).map(move |(kind, direction)| Candidate {
                kernel,
                way,
                kind,
                direction,
            })
        })
    })
}

/// The kinds and directions that choose a kernel.
fn choosing(kernel: Kernel) -> impl Iterator<Item = (DropoutKind, Direction)> {
    let kinds = DropoutKind::ALL.iter();
    let all = kinds.flat_map(|kind| Direction::ALL.iter().map(|direction| (*kind, *direction)));
    all.filter(move |&(kind, direction)| match kernel {
        Kernel::Dropout { neighbours, .. } if neighbours != Neighbours::None => {
            let is_backward = matches!(neighbours, Neighbours::Scale { .. });
            let only_scales = matches!(kind, DropoutKind::Inverted | DropoutKind::Classic);
            only_scales && is_backward == (direction == Direction::Backward)
        }
        Kernel::Dropout { effect, .. } => {
            effect == Effect::Copy || effect == Effect::of(kind, direction)
        }
        _ => (kind, direction) == (DropoutKind::Inverted, Direction::Forward),
    })
}

/// Returns true if another check of the audit has the kernel. This file then makes no runs for it.
fn has_own_check(kernel: Kernel) -> bool {
    matches!(
        kernel,
        Kernel::Activated(_)
            | Kernel::Normed(_)
            | Kernel::NormMoments(_)
            | Kernel::Softmaxed(_)
            | Kernel::ColumnTiles { .. }
            | Kernel::ColumnTotals
    )
}

/// Returns true if some run dispatches the kernel.
fn is_reachable(kernel: Kernel) -> bool {
    if has_own_check(kernel) {
        return false;
    }
    let by_words = matches!(kernel, Kernel::Dropout { access, .. } if access == Access::Words);
    let whole_words = match kernel.mask() {
        Some(IndexKind::Strided(strided)) => matches!(
            strided.family,
            Family::Rows { whole_words: true } | Family::Runs { whole_words: true }
        ),
        _ => false,
    };
    // Rows of whole mask words are whole vectors, so no kernel takes them by words.
    !(whole_words && by_words)
}

/// The kernels that a run dispatches on a device of these limits.
pub(super) fn kernels(run: &Run, limits: CutLimits) -> Vec<Kernel> {
    match &run.work {
        Work::Blocks { rounds, .. } => vec![Kernel::PhiloxBlocks { rounds: *rounds }],
        Work::KeepMask(source) => {
            let plan = source
                .map()
                .map(|map| MaskPlan::new(&map, source.len(), &run.call));
            plan.into_iter()
                .flatten()
                .map(|plan| plan.kernel())
                .collect()
        }
        Work::Dropout {
            element,
            buffers,
            direction,
            source,
        } => {
            let Some(map) = source.map() else {
                return Vec::new();
            };
            let tensor = Tensor {
                element: *element,
                buffers: *buffers,
                map,
                len: source.len(),
            };
            let plan = Plan::new(&tensor, &run.call, *direction);
            let geometry = Geometry::new(limits, unit(*element));
            let (Ok(Some(plan)), Ok(geometry)) = (plan, geometry) else {
                return Vec::new();
            };
            let geometry = geometry.lowered(run.granules.unwrap_or(u64::MAX));
            let segments = cut(&geometry, source.len());
            let mut kernels: Vec<_> = segments.map(|segment| plan.kernel(segment)).collect();
            kernels.dedup();
            kernels
        }
        Work::Fused {
            element,
            buffers,
            neighbours,
            vectors,
            source,
        } => {
            let Some(map) = source.map() else {
                return Vec::new();
            };
            let tensor = FusedTensor {
                element: *element,
                buffers: *buffers,
                neighbours: *neighbours,
                vectors: *vectors,
                map,
            };
            let plan = FusedPlan::new(&tensor, &run.call);
            let geometry = geometry(limits, *element, tensor.stream());
            let (Ok(plan), Ok(geometry)) = (plan, geometry) else {
                return Vec::new();
            };
            let geometry = geometry.lowered(run.granules.unwrap_or(u64::MAX));
            let segments = cut(&geometry, source.len());
            let mut kernels: Vec<_> = segments.map(|segment| plan.kernel(segment)).collect();
            kernels.dedup();
            kernels
        }
    }
}

/// The kernels that a run dispatches.
pub(super) fn dispatched(run: &Run, limits: CutLimits) -> impl Iterator<Item = Candidate> {
    let params = match run.avoid.contains(wgpu::Features::IMMEDIATES) {
        true => ParamsSource::Uniform,
        false => ParamsSource::Immediates,
    };
    let halves = run.avoid.contains(wgpu::Features::SHADER_INT64);
    let kind = run.call.kind;
    let direction = match run.work {
        Work::Dropout { direction, .. } => direction,
        Work::Fused {
            neighbours: Neighbours::Scale { .. },
            ..
        } => Direction::Backward,
        _ => Direction::Forward,
    };
    kernels(run, limits).into_iter().map(move |kernel| {
        let multiply = match halves || !kernel.draws() {
            true => Multiply::Halves,
            false => Multiply::U64,
        };
        Candidate {
            kernel,
            way: Way {
                multiply,
                params,
                blocks: BlockAccess::Vectors,
                f16: F16Conversion::Integers,
            },
            kind,
            direction,
        }
    })
}

impl Source {
    /// The index map that the plan makes of the source, or `None` if the plan refuses it.
    fn map(&self) -> Option<IndexMap> {
        match self {
            Self::Linear(len) => Some(IndexMap::linear(*len)),
            Self::Packed(..) => Some(IndexMap::Packed),
            Self::Layout(layout) => IndexMap::of_layout(layout, false).ok(),
            Self::Samples(layout, _) => IndexMap::of_layout(layout, true).ok(),
        }
    }
}

/// The tensor that a run should have.
#[derive(Clone, Copy)]
struct Wish {
    /// The approximate number of elements, if the kernel can have so few or so many.
    len: u64,
    /// The first mask index modulo 8, if the kernel takes any.
    remainder: u64,
    base: Base,
}

/// The position of the first mask index.
#[derive(Clone, Copy)]
enum Base {
    Any,
    /// Some elements before a multiple of 2^35, so that the lower word of the block number
    /// overflows.
    BeforeCarry,
    /// The largest mask index of the tensor is the last that there is.
    Last,
}

/// The number of layouts that are drawn in search of one that selects the kernel. A few are enough
/// for most kernels that a layout can select.
const TRIES: usize = 40;

impl Candidate {
    /// The fields of its variant and way.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let variant = Variant {
            kernel: self.kernel,
        };
        let mut fields = variant.fields(self.way);
        if let Kernel::Dropout {
            element,
            neighbours,
            effect,
            access,
            ..
        } = self.kernel
        {
            fields.push(("kind", self.kind.to_string()));
            fields.push(("direction", format!("{:?}", self.direction)));
            let step = match access {
                Access::Blocks | Access::Vectors => "vector",
                Access::Words => "word",
            };
            let beside = match neighbours.stream(element) {
                _ if neighbours == Neighbours::None => "",
                stream if stream == element => " beside neighbours",
                _ => " beside longer neighbours",
            };
            let values = format!("{effect:?} of a {step} of {element}{beside}");
            fields.push(("values", values));
        }
        fields.extend(
            self.branches()
                .map(|(name, value)| (name, value.to_owned())),
        );
        fields
    }

    /// Branches of the text that several fields choose together.
    fn branches(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let vectors = self
            .kernel
            .has_vectors()
            .then(|| match (self.bytes(), self.access()) {
                (2, Some(Access::Words)) => "of a pair",
                (2, _) => "of pairs",
                _ => "of words",
            });
        let vectors = vectors.map(|vectors| ("vectors", vectors));
        let Some(mask) = self.kernel.mask() else {
            return [vectors, None, None].into_iter().flatten();
        };
        if self.is_noise() {
            let noise = match (self.access(), mask) {
                (Some(Access::Blocks), _) => "blocks",
                (Some(Access::Vectors), IndexKind::Linear) => "linear",
                (Some(Access::Vectors), _) => "vectors",
                _ => "words",
            };
            return [Some(("noise", noise)), None, None].into_iter().flatten();
        }
        let map = match mask {
            IndexKind::Strided(strided) => match strided.family {
                Family::BlockRows => "rows by blocks",
                Family::Rows { whole_words: true } => "rows of whole words",
                Family::Rows { whole_words: false } => "rows",
                Family::Runs { whole_words: true } => "runs of whole words",
                Family::Runs { whole_words: false } => "runs",
                Family::Scattered => "scattered",
            },
            IndexKind::Linear if self.access() == Some(Access::Blocks) => "linear by blocks",
            IndexKind::Linear => "linear",
            IndexKind::Packed => "packed",
        };
        let factor = match self.kernel {
            Kernel::Dropout {
                element: ElementType::F16,
                effect: Effect::Scale,
                mask,
                ..
            } => Some(match mask {
                IndexKind::Packed => "may be 0",
                _ => "is not 0",
            }),
            _ => None,
        };
        let factor = factor.map(|factor| ("factor", factor));
        [Some(("map", map)), factor, vectors].into_iter().flatten()
    }

    /// The features of the device that this way leaves unused.
    pub fn avoid(&self) -> wgpu::Features {
        let mut avoid = wgpu::Features::empty();
        avoid.set(
            wgpu::Features::SHADER_INT64,
            self.way.multiply == Multiply::Halves,
        );
        avoid.set(
            wgpu::Features::IMMEDIATES,
            self.way.params == ParamsSource::Uniform,
        );
        avoid
    }

    /// The approximate time in which a driver compiles the kernel, in tenths of a small kernel's.
    fn cost(&self) -> usize {
        let mut cost = 10;
        if self.way.multiply == Multiply::Halves && self.kernel.draws() {
            cost += 6;
        }
        if let Some(IndexKind::Strided(strided)) = self.kernel.mask() {
            cost += match strided.family {
                Family::Rows { whole_words: false } => 6,
                Family::Scattered => 4,
                _ => 2,
            };
        }
        if let Kernel::Dropout {
            element,
            effect,
            access,
            mask,
            ..
        } = self.kernel
        {
            cost += match (element, effect) {
                (ElementType::F16, Effect::Affine) => 14,
                (ElementType::F16, Effect::Scale) | (ElementType::Bf16, Effect::Affine) => 6,
                _ => 2,
            };
            cost *= match (effect, access, mask) {
                // This kernel has no loop, so its text is long.
                (Effect::Noise, Access::Vectors, IndexKind::Linear) => {
                    if element == ElementType::F32 { 4 } else { 8 }
                }
                (Effect::Noise, Access::Blocks, _) => 2,
                _ => 1,
            };
            // The other dispatches of a cut tensor take another kernel, by vectors.
            cost *= if access == Access::Words { 2 } else { 1 };
        }
        cost
    }

    fn bytes(&self) -> u64 {
        match self.kernel {
            Kernel::Dropout {
                element,
                neighbours,
                ..
            } => neighbours.stream(element).bytes(),
            _ => 4,
        }
    }

    fn access(&self) -> Option<Access> {
        match self.kernel {
            Kernel::Dropout { access, .. } => Some(access),
            _ => None,
        }
    }

    /// The kernel itself, or for a kernel by words the kernel by vectors, which takes most of a
    /// tensor that is cut.
    fn by_vectors(&self) -> Kernel {
        let mut kernel = self.kernel;
        if let Kernel::Dropout { access, .. } = &mut kernel {
            if *access == Access::Words {
                *access = Access::Vectors;
            }
        }
        kernel
    }

    fn has_effect(&self, wanted: Effect) -> bool {
        matches!(self.kernel, Kernel::Dropout { effect, .. } if effect == wanted)
    }

    fn is_copy(&self) -> bool {
        self.has_effect(Effect::Copy)
    }

    fn is_noise(&self) -> bool {
        self.has_effect(Effect::Noise)
    }

    /// The largest mask index of the kind \[M18\].
    fn last_index(&self) -> u64 {
        match self.kind {
            DropoutKind::Gaussian => u64::MAX >> 1,
            _ => u64::MAX,
        }
    }

    fn work(&self, source: Source, random: &mut Random) -> Option<Work> {
        Some(match self.kernel {
            Kernel::Dropout {
                element,
                buffers,
                neighbours,
                ..
            } if neighbours != Neighbours::None => Work::Fused {
                element,
                buffers,
                neighbours,
                vectors: self.vectors(source.len(), random)?,
                source,
            },
            Kernel::Dropout {
                element, buffers, ..
            } => Work::Dropout {
                element,
                buffers,
                direction: self.direction,
                source,
            },
            Kernel::KeepMask(_) => Work::KeepMask(source),
            Kernel::PhiloxBlocks { rounds } => Work::Blocks {
                rounds,
                counter: [0; 4],
                key: [0; 2],
                len: source.len(),
            },
            // Other checks have these kernels.
            _ => return None,
        })
    }

    /// The shape of a bias and a scale that the kernel takes and that repeat over `len` elements.
    fn vectors(&self, len: u64, random: &mut Random) -> Option<VectorShape> {
        if !self.kernel.has_vectors() {
            return Some(VectorShape::default());
        }
        let lanes = match self.access() {
            Some(Access::Words) => 1,
            _ => 16 / self.bytes(),
        };
        let fits = |parts: &u64| {
            let part = len / parts;
            len.is_multiple_of(*parts) && part.is_multiple_of(lanes) && (lanes == 1 || part >= 32)
        };
        let parts: Vec<_> = (1..=len.min(999)).filter(fits).collect();
        if parts.is_empty() {
            return None;
        }
        let mut one = || (len / random.pick(&parts)) as u32;
        let (bias_len, scale_len) = (one(), one());
        let is_gradient = self.direction == Direction::Backward;
        Some(match random.below(3) {
            0 if !is_gradient => VectorShape {
                bias_len,
                scale_len: 0,
            },
            1 => VectorShape {
                bias_len: 0,
                scale_len,
            },
            _ => VectorShape {
                bias_len,
                scale_len,
            },
        })
    }

    /// The runs that dispatch the kernel. Empty if no tensor selects it.
    pub fn runs(&self, load: Load, limits: CutLimits, seed: u64) -> Vec<Run> {
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
                // Both halves of the loop have every remainder. A remainder has another base in
                // each half.
                remainder: (i + i / 8) % 8,
                base,
            };
            let Some(mut run) = self.run(wish, limits, random) else {
                // A kernel that some tensor selects takes at least two of the remainders 0, 1 and
                // 2. If none of them gave a run, no tensor selects the kernel.
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
            // A cut tensor would also dispatch noise by vectors, which takes a driver long to
            // compile.
            Load::Full if self.is_noise() && self.access() == Some(Access::Words) => (0, 2),
            Load::Full => (3, 2),
            Load::Light => (1, 1),
        };
        for i in 0..cuts + wide {
            let remainder = random.between(1, 7);
            let wish = Wish {
                len: match i {
                    _ if i < cuts => random.between(2000, 5000),
                    // A dispatch by words has no more elements.
                    _ if self.access() == Some(Access::Words) => 65_000,
                    // This length takes more than 64 workgroups.
                    _ if i > cuts => 545_000,
                    _ => 75_000,
                },
                remainder,
                base: if i % 2 == 0 {
                    Base::BeforeCarry
                } else {
                    Base::Any
                },
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
            // The last rate has the factor 1.5, for which half of the products of 16-bit types are
            // ties.
            for drop_threshold in [1, u32::MAX.into(), 1 << 32, 1 << 31, 0x5555_5555] {
                let wish = Wish {
                    len: random.between(200, 700),
                    remainder: random.below(8),
                    base: Base::Any,
                };
                // Factors may be multiplied in any order. Where one product overflows f32 and the
                // factor is 0, the result depends on that order.
                let may_pass = self.kernel.has_vectors();
                if drop_threshold == 1 << 32 && (self.is_noise() || may_pass) {
                    continue;
                }
                if let Some(mut run) = self.run(wish, limits, random) {
                    run.call.rate = rate(drop_threshold);
                    runs.push(run);
                }
            }
        }
        runs
    }

    /// A run that dispatches only this kernel, if a tensor is found that selects it.
    fn run(&self, wish: Wish, limits: CutLimits, random: &mut Random) -> Option<Run> {
        for _ in 0..TRIES {
            let Some((source, origin)) = self.tensor(wish, random) else {
                continue;
            };
            let key = MaskKey::new(random.next(), random.next());
            let threshold = if self.is_copy() { 0 } else { 1 << 31 };
            let call = DropoutCall::new(rate(threshold), key).with_kind(self.kind);
            let Some(work) = self.work(source, random) else {
                continue;
            };
            let mut run = Run {
                avoid: self.avoid(),
                work,
                call: call.with_origin(origin),
                granules: None,
                has_room: false,
                seed: random.next(),
                aim: 0,
            };
            if kernels(&run, limits) == [self.kernel] {
                if let Work::Blocks { counter, key, .. } = &mut run.work {
                    *key = [random.word(), random.word()];
                    *counter = core::array::from_fn(|_| random.word());
                    // The carry runs through all leading words that are all ones.
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

    /// Sets D so close to one element's uniform that a D off by one, or only its upper half, would
    /// decide otherwise.
    fn aim(&self, run: &mut Run, lane: u64, side: u64, random: &mut Random) {
        let Some(source) = run.work.source() else {
            return;
        };
        let (len, is_drawn) = (source.len(), !matches!(source, Source::Packed(..)));
        let word = random.below(len.div_ceil(32));
        let element = 32 * word + lane % 32;
        run.aim = if element < len {
            element
        } else {
            random.below(len)
        };
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
        // D = 0 and D = 2^32 select other kernels.
        run.call.rate = rate(drop_threshold.clamp(1, (1 << 32) - 1));
        debug_assert!(drop_threshold_is(run));
    }

    /// A source of decisions and an origin that may select the kernel.
    fn tensor(&self, wish: Wish, random: &mut Random) -> Option<(Source, u64)> {
        let whole_blocks = self.access() == Some(Access::Blocks);
        let remainder = if whole_blocks { 0 } else { wish.remainder };
        // A copy binds a mask that it does not read.
        let mask = match self.kernel {
            Kernel::Dropout { mask, .. } | Kernel::KeepMask(mask) => mask,
            Kernel::PhiloxBlocks { .. } => return Some((Source::Linear(wish.len), 0)),
            _ => return None,
        };
        let largest = self.last_index();
        match mask {
            IndexKind::Packed => {
                let len = self.fitting(wish.len, false, random);
                let mask = (0..len.div_ceil(32)).map(|_| random.word()).collect();
                Some((Source::Packed(mask, len), 0))
            }
            IndexKind::Linear => {
                let len = self.fitting(wish.len, remainder == 0 && !self.is_copy(), random);
                let base = base(wish, remainder, len, largest - (len - 1), random);
                Some((Source::Linear(len), base))
            }
            IndexKind::Strided(strided) => {
                let layout = self.layout(strided, wish, random)?;
                let last = match strided.sample_ids {
                    true => layout.last_sample_index().ok()??,
                    false => layout.last_index()?,
                };
                let row = layout.shape().last().copied()?;
                let first = base(wish, remainder, row, largest.checked_sub(last)?, random);
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

    /// A length near `len` that this kernel loads by its own access. With `by_blocks`, a length of
    /// whole blocks would select the kernel by blocks.
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

    /// A layout that may select this kernel.
    fn layout(&self, strided: Strided, wish: Wish, random: &mut Random) -> Option<MaskLayout> {
        let Strided {
            family,
            dimensions,
            sample_ids,
        } = strided;
        // A kernel of 2 dimensions also takes layouts of 1, and one of 8 takes those of 5 and more;
        // noise has only the latter kernel.
        let dimensions = match dimensions {
            8 if self.is_noise() => random.between(1, 8),
            8 => random.between(5, 8),
            2 if random.chance(3) => random.between(1, 2),
            dimensions => dimensions.into(),
        } as usize;
        let by_words = self.access() == Some(Access::Words);
        let by_blocks = self.access() == Some(Access::Blocks);
        // The innermost indices of a row are consecutive; those of a run are equal.
        let few = random.chance(2);
        let whole_words = matches!(
            family,
            Family::Rows { whole_words: true } | Family::Runs { whole_words: true }
        );
        let (inner, inner_stride) = match family {
            Family::BlockRows | Family::Rows { .. } => (None, Some(1)),
            Family::Runs { .. } => (None, Some(0)),
            Family::Scattered if few && dimensions > 1 => {
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
        // With `natural` the strides are those of a tensor, otherwise they are random. Ids reach
        // 2^32, so their products may take half of all indices.
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
                // These strides are those of a tensor, with gaps and shared dimensions.
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
            // A stride of ids above 32 bits leaves few mask indices to the other dimensions.
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

pub(super) fn rate(drop_threshold: u64) -> DropoutRate {
    // `p` is at most 1.
    let p = drop_threshold as f64 / f64::from(2).powi(32);
    DropoutRate::new(p).unwrap_or(DropoutRate::ZERO)
}

/// A first mask index, at most `end`. `len` elements are consecutive from it.
fn base(wish: Wish, remainder: u64, len: u64, end: u64, random: &mut Random) -> u64 {
    let aligned = match wish.base {
        Base::Any => random.below(1 << 61) & (end >> 1),
        Base::BeforeCarry => {
            let carry = (2 * random.below(1 << 25) + 1) << 35;
            carry - 8 * (1 + random.below(len.min(700).div_ceil(8)))
        }
        Base::Last if remainder == 0 => end,
        Base::Last => return end,
    };
    let base = aligned / 8 * 8 + remainder;
    if base <= end { base } else { end / 8 * 8 }
}

/// The granules that a dispatch must have for a run to have about `dispatches`.
fn granules(run: &Run, limits: CutLimits, dispatches: u64) -> u64 {
    let (units, geometry) = match &run.work {
        Work::Dropout {
            element, source, ..
        } => (source.len(), Geometry::new(limits, unit(*element))),
        Work::Fused {
            element, source, ..
        } => (source.len(), geometry(limits, *element, run.work.stream())),
        Work::KeepMask(source) => (source.len().div_ceil(32), Geometry::new(limits, MASK_WORD)),
        Work::Blocks { len, .. } => (*len, Geometry::new(limits, BLOCK)),
    };
    let granules = geometry.map_or(0, |geometry| geometry.granules(units));
    (granules / dispatches).max(1)
}

fn drop_threshold_is(run: &Run) -> bool {
    drop_threshold(&run.call) == run.call.rate.drop_threshold()
}

/// Each kernel in one of its ways, with one of the kinds and directions that choose it. A tensor
/// that is cut for a kernel by words also dispatches the kernel by vectors. Both have the same way
/// and follow each other, so that each is compiled once.
pub(super) fn in_one_way(mut all: Vec<Candidate>, random: &mut Random) -> Vec<Candidate> {
    random.shuffle(&mut all);
    let mut seen = HashSet::new();
    let mut ways = HashMap::new();
    all.retain(|candidate| {
        let place = ways.len();
        let (_, way) = ways
            .entry(candidate.by_vectors())
            .or_insert((place, candidate.way));
        *way == candidate.way && seen.insert(candidate.kernel)
    });
    all.sort_by_key(|candidate| ways[&candidate.by_vectors()].0);
    all
}

/// Chooses candidates that have every pair of field values that occurs in `all`, and makes their
/// runs. `seed` decides the choice.
pub(super) fn cover(
    all: Vec<Candidate>,
    limits: CutLimits,
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
    // Shuffle, so that equal candidates have equal chances.
    random.shuffle(&mut rows);
    // The number of chosen candidates that have each pair.
    let mut covered = vec![0usize; names.len() * names.len()];
    let new = |covered: &[usize], fields: &[usize]| {
        pairs(fields, &names)
            .filter(|&pair| covered[pair] == 0)
            .count()
    };
    // The candidate with the most new pairs for its cost comes next. Covered pairs only lower
    // scores, so a candidate whose recomputed score is still the largest is the right one.
    let score = |new: usize, candidate: &Candidate| 1000 * new / candidate.cost();
    let scored = rows
        .iter()
        .enumerate()
        .map(|(place, (candidate, fields))| (score(new(&covered, fields), candidate), place));
    let mut queue: BinaryHeap<_> = scored.collect();
    let mut chosen = Vec::new();
    while let Some((old, place)) = queue.pop() {
        let (candidate, fields) = &rows[place];
        let now = new(&covered, fields);
        if now == 0 {
            continue;
        }
        let now = score(now, candidate);
        if now < old {
            queue.push((now, place));
            continue;
        }
        let runs = candidate.runs(Load::Full, limits, random.next());
        if runs.is_empty() {
            continue;
        }
        // Runs with cut tensors dispatch other kernels too.
        let others = runs.iter().flat_map(|run| dispatched(run, limits));
        let mut had: Vec<usize> = others
            .flat_map(|other| {
                let fields = other.fields();
                let known = fields
                    .iter()
                    .filter_map(|field| numbers.get(field))
                    .copied();
                let fields: Vec<_> = known.collect();
                pairs(&fields, &names).collect::<Vec<_>>()
            })
            .collect();
        had.sort_unstable();
        had.dedup();
        for &pair in &had {
            covered[pair] += 1;
        }
        chosen.push((*candidate, runs, had));
    }
    // Drop candidates whose pairs all occur in others by now, the costliest first.
    chosen.sort_by_key(|(candidate, ..)| core::cmp::Reverse(candidate.cost()));
    chosen.retain(|(_, _, had)| {
        let needed = had.iter().any(|&pair| covered[pair] == 1);
        if !needed {
            for &pair in had {
                covered[pair] -= 1;
            }
        }
        needed
    });
    let runs = chosen
        .into_iter()
        .map(|(candidate, runs, _)| (candidate, runs));
    runs.collect()
}

/// Returns true if a pair of values of two fields may be wrong although each value is right in
/// other pairs.
pub(super) fn is_pair(one: &str, other: &str) -> bool {
    match (one, other) {
        // The map does not depend on the number of dimensions: another shader file adds these up.
        ("dimensions", "map") => false,
        // The stream's type decides only how the residual and the sum are read and stored.
        (field, "stream") | ("stream", field) => {
            ["stream", "dtype", "beside", "access"].contains(&field)
        }
        // Kind and direction only choose what becomes of a value.
        (field, "kind" | "direction") => ["kernel", "value", "kind"].contains(&field),
        ("kind" | "direction", _) => false,
        // These fields combine three others, and depend on no fourth.
        (field, single @ ("values" | "vectors")) | (single @ ("values" | "vectors"), field) => {
            field == single
        }
        _ => true,
    }
}

/// The pairs of `fields`, each encoded as a number.
fn pairs(fields: &[usize], names: &[&str]) -> impl Iterator<Item = usize> {
    let firsts = fields.iter().enumerate();
    firsts.flat_map(move |(i, &a)| {
        let seconds = fields[i..].iter();
        let of_first = seconds.filter(move |&&b| is_pair(names[a], names[b]));
        of_first.map(move |b| a * names.len() + b)
    })
}

/// The check to which a kernel belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    Blocks,
    Linear,
    Layouts,
    Samples,
    Packed,
    Copies,
    Neighbours,
    Masks,
    Gaussian,
}

impl Candidate {
    pub fn group(&self) -> Group {
        let (mask, effect) = match self.kernel {
            _ if self.kernel.has_neighbours() => return Group::Neighbours,
            Kernel::PhiloxBlocks { .. } => return Group::Blocks,
            Kernel::KeepMask(_) => return Group::Masks,
            Kernel::Dropout { mask, effect, .. } => (mask, effect),
            _ => return Group::Neighbours,
        };
        match (effect, mask) {
            (Effect::Copy, _) => Group::Copies,
            (Effect::Noise, _) => Group::Gaussian,
            (_, IndexKind::Linear) => Group::Linear,
            (_, IndexKind::Packed) => Group::Packed,
            (_, IndexKind::Strided(strided)) if strided.sample_ids => Group::Samples,
            (_, IndexKind::Strided(_)) => Group::Layouts,
        }
    }
}
