//! A piece of work of an audit, and what the contract makes of its elements.

use core::fmt;

use super::reference::{self, Effect, Expected, Indices, Uniforms};
use crate::kernel::axes::BufferLayout;
use crate::mask::mask_words;
use crate::{Direction, DropoutCall, ElementType, MaskLayout};

/// Words before and at least so many behind each range: any device's alignment.
pub(super) const MARGIN_WORDS: usize = 64;

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

    /// The words that lie in a buffer of their own: sample ids or a mask.
    pub fn side(&self) -> &[u32] {
        match self {
            Self::Linear(_) | Self::Layout(_) => &[],
            Self::Samples(_, words) | Self::Packed(words, _) => words,
        }
    }

    /// The mask indices of a call from `origin` on; a packed mask has none.
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

/// The work of a run.
#[derive(Clone, Debug)]
pub(super) enum Work {
    Dropout {
        element: ElementType,
        buffers: BufferLayout,
        direction: Direction,
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
    /// Elements, mask words or words of blocks that are written, and the bytes of one.
    pub fn written(&self) -> (u64, u64) {
        match self {
            Self::Dropout {
                element, source, ..
            } => (source.len(), element.bytes()),
            Self::KeepMask(source) => (mask_words(source.len()), 4),
            Self::Blocks { len, .. } => (4 * len, 4),
        }
    }

    pub fn buffers(&self) -> Option<BufferLayout> {
        match self {
            Self::Dropout { buffers, .. } => Some(*buffers),
            Self::KeepMask(_) | Self::Blocks { .. } => None,
        }
    }

    pub fn element(&self) -> ElementType {
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
    /// Stray stores behind the elements show.
    pub has_room: bool,
    /// Decides the values. Element `aim` has a value that does not hide its decision.
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

/// The expected elements of a run, asked for in about their order.
pub(super) struct Expectations<'a> {
    run: &'a Run,
    uniforms: Uniforms,
    drop_threshold: u64,
    /// `None` for noise.
    effect: Option<Effect>,
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
            Work::Blocks { .. } => (Direction::Forward, None),
        };
        let given = matches!(source, Some(Source::Packed(..)));
        Expectations {
            run: self,
            uniforms: Uniforms::new(self.call.key),
            drop_threshold: threshold,
            effect: Effect::new(self.call.kind, direction, threshold, given),
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

    /// The expected element `i`, or word `i`, which was `x`.
    pub fn of(&mut self, i: u64, x: u32) -> Expected {
        let run = self.run;
        match &run.work {
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
