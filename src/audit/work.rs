//! One run of an audit, and the results that the contract requires of it.

use core::fmt;

use super::random::Random;
use super::reference::{self, Effect, Expected, Indices, Uniforms};
use crate::kernel::axes::{BufferLayout, Neighbours};
use crate::mask::mask_words;
use crate::plan::fused::VectorShape;
use crate::{Direction, DropoutCall, ElementType, Elements, MaskLayout};

/// Words before each range, and at least as many after it. Ranges then meet any device's alignment.
pub(super) const MARGIN_WORDS: usize = 64;

/// The source of decisions.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Linear(u64),
    Layout(MaskLayout),
    /// A layout and the ids of its samples.
    Samples(MaskLayout, Vec<u32>),
    /// A packed mask from outside, and its number of elements.
    Packed(Vec<u32>, u64),
}

impl Source {
    pub fn len(&self) -> u64 {
        match self {
            Self::Linear(len) | Self::Packed(_, len) => *len,
            Self::Layout(layout) | Self::Samples(layout, _) => layout.len(),
        }
    }

    /// The words that need a buffer of their own: sample ids or a packed mask. Otherwise empty.
    pub fn side(&self) -> &[u32] {
        match self {
            Self::Linear(_) | Self::Layout(_) => &[],
            Self::Samples(_, words) | Self::Packed(words, _) => words,
        }
    }

    /// The source as `bind` takes it, with `side` as the buffer of [`side`](Self::side).
    pub fn elements<'a>(&'a self, side: wgpu::BufferBinding<'a>) -> Elements<'a> {
        match self {
            &Self::Linear(len) => Elements::from(len),
            Self::Layout(layout) => Elements::from(layout),
            Self::Samples(layout, _) => Elements::samples(layout, side),
            &Self::Packed(_, len) => Elements::packed(side, len),
        }
    }

    /// Returns true if an element is kept. `uniforms` are those of the call's key.
    pub fn keeps(&self, element: u64, call: &DropoutCall, uniforms: &mut Uniforms) -> bool {
        match self {
            Self::Packed(mask, _) => mask[element as usize / 32] >> (element % 32) & 1 == 1,
            _ => uniforms.keeps(self.indices(call.origin).of(element), drop_threshold(call)),
        }
    }

    /// The mask indices of a call whose origin is `origin`. A packed mask does not use them.
    pub fn indices(&self, origin: u64) -> Indices<'_> {
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

/// The operation of a run.
#[derive(Clone, Debug)]
pub(super) enum Work {
    Dropout {
        element: ElementType,
        buffers: BufferLayout,
        direction: Direction,
        source: Source,
    },
    /// Dropout with a bias, a scale or a residual.
    Fused {
        element: ElementType,
        buffers: BufferLayout,
        neighbours: Neighbours,
        vectors: VectorShape,
        source: Source,
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
    /// The number of units that are written, and the bytes of one: elements, mask words or the
    /// words of blocks.
    pub fn written(&self) -> (u64, u64) {
        match self {
            Self::Dropout { source, .. } | Self::Fused { source, .. } => {
                (source.len(), self.output_element().bytes())
            }
            Self::KeepMask(source) => (mask_words(source.len()), 4),
            Self::Blocks { len, .. } => (4 * len, 4),
        }
    }

    pub fn buffers(&self) -> Option<BufferLayout> {
        match self {
            Self::Dropout { buffers, .. } | Self::Fused { buffers, .. } => Some(*buffers),
            Self::KeepMask(_) | Self::Blocks { .. } => None,
        }
    }

    pub fn element(&self) -> ElementType {
        match self {
            Self::Dropout { element, .. } | Self::Fused { element, .. } => *element,
            _ => ElementType::F32,
        }
    }

    /// The type of the residual, the sum and its gradient.
    pub fn stream(&self) -> ElementType {
        match self {
            Self::Fused {
                element,
                neighbours,
                ..
            } => neighbours.stream(*element),
            _ => self.element(),
        }
    }

    /// The type of the input.
    pub fn input_element(&self) -> ElementType {
        if self.adds() {
            self.element()
        } else {
            self.stream()
        }
    }

    pub fn output_element(&self) -> ElementType {
        if self.adds() {
            self.stream()
        } else {
            self.element()
        }
    }

    /// The source of its decisions.
    pub fn source(&self) -> Option<&Source> {
        match self {
            Self::Dropout { source, .. } | Self::Fused { source, .. } | Self::KeepMask(source) => {
                Some(source)
            }
            Self::Blocks { .. } => None,
        }
    }

    /// Returns true if a residual is added.
    pub fn adds(&self) -> bool {
        matches!(
            self,
            Self::Fused {
                neighbours: Neighbours::Add { .. },
                ..
            }
        )
    }

    pub fn vectors(&self) -> VectorShape {
        match self {
            Self::Fused { vectors, .. } => *vectors,
            _ => VectorShape::default(),
        }
    }
}

/// One piece of work.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// Features of the device that the run leaves unused.
    pub avoid: wgpu::Features,
    pub work: Work,
    pub call: DropoutCall,
    /// Granules that a dispatch takes, if limits are lowered.
    pub granules: Option<u64>,
    /// True if the bindings go on after the elements, so that stray stores show.
    pub has_room: bool,
    /// The seed of the values.
    pub seed: u64,
    /// An element whose value shows whether it was kept.
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
            Work::Fused {
                element,
                buffers,
                neighbours,
                vectors,
                source: decisions,
            } => {
                write!(f, "{neighbours:?} {element} {buffers:?}, {vectors:?}, ")?;
                source(f, decisions)?;
            }
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

/// The expected elements of a run. Asking for them in order is fast, since neighbours share a
/// block.
pub(super) struct Expectations<'a> {
    run: &'a Run,
    uniforms: Uniforms,
    drop_threshold: u64,
    /// `None` for noise.
    effect: Option<Effect>,
    indices: Option<Indices<'a>>,
    /// See [`Run::numbers`].
    numbers: Vec<f32>,
}

/// D \[M8\].
pub(super) fn drop_threshold(call: &DropoutCall) -> u64 {
    (call.rate.p() * f64::from(2).powi(32)).round_ties_even() as u64
}

impl Run {
    /// u(i) of an element. Its decision must not come from a packed mask.
    pub fn uniform(&self, element: u64) -> u32 {
        let index = match self.work.source() {
            Some(source) => source.indices(self.call.origin).of(element),
            None => self.call.origin + element,
        };
        Uniforms::new(self.call.key).at(index)
    }

    pub fn expectations(&self) -> Expectations<'_> {
        let threshold = drop_threshold(&self.call);
        let source = self.work.source();
        let direction = match self.work {
            Work::Dropout { direction, .. } => direction,
            _ => Direction::Forward,
        };
        let given = matches!(source, Some(Source::Packed(..)));
        Expectations {
            run: self,
            uniforms: Uniforms::new(self.call.key),
            drop_threshold: threshold,
            effect: Effect::new(self.call.kind, direction, threshold, given),
            indices: source.map(|source| source.indices(self.call.origin)),
            numbers: self.numbers(),
        }
    }

    /// The numbers of the bias, then those of the scale. A scale is at least 1, so that a product
    /// that overflows f32 does so in any order of its factors.
    pub fn numbers(&self) -> Vec<f32> {
        let VectorShape {
            bias_len,
            scale_len,
        } = self.work.vectors();
        let mut random = Random::new(self.seed, 2);
        let mut number =
            |exponent: u32| f32::from_bits(random.word() & 0x807f_ffff | exponent << 23);
        let bias = (0..bias_len).map(|_| number(126)).collect::<Vec<_>>();
        bias.into_iter()
            .chain((0..scale_len).map(|_| number(127)))
            .collect()
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

    /// The bias and the scale of element `i`, if there are any.
    fn vectors_at(&self, i: u64) -> [Option<f32>; 2] {
        let VectorShape {
            bias_len,
            scale_len,
        } = self.run.work.vectors();
        let at = |first: u32, len: u32| {
            let number = i.checked_rem(len.into())?;
            self.numbers.get(first as usize + number as usize).copied()
        };
        [at(0, bias_len), at(bias_len, scale_len)]
    }

    /// The expected element or word `i`. `x` is the input's element, `residual` the residual's.
    pub fn of(&mut self, i: u64, x: u32, residual: u32) -> Expected {
        let run = self.run;
        match &run.work {
            Work::Fused { source, .. } => {
                let kept = self.keeps(source, i);
                let [bias, scale] = self.vectors_at(i);
                // The gradient does not depend on the bias.
                let (bias, residual) = match run.work.adds() {
                    true => (bias, Some(residual)),
                    false => (None, None),
                };
                let factor = reference::factor(run.call.kind, self.drop_threshold);
                let types = [run.work.input_element(), run.work.output_element()];
                reference::branch(types, x, [bias, scale], factor, residual, kept)
            }
            Work::Dropout {
                element, source, ..
            } => {
                let Some(effect) = self.effect else {
                    let index = self.indices.map_or(0, |indices| indices.of(i));
                    let (key, threshold) = (run.call.key, self.drop_threshold);
                    return reference::gaussian(*element, key, index, threshold, x);
                };
                let kept = !effect.asks_the_mask() || self.keeps(source, i);
                effect.of(*element, x, kept)
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
