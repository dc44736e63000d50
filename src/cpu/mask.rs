//! Keep decisions and packed keep masks, for consecutive mask indices and for layouts, as in
//! shaders/mask/keep.wgsl, shaders/index/strided.wgsl, shaders/decide/*.wgsl and
//! shaders/entry/keep_mask.wgsl.

use core::ops::Range;

use multiversion::multiversion;

use super::error::CpuError;
use super::tasks::for_each_task;
use crate::contract::call::DropoutCall;
use crate::contract::key::MaskKey;
use crate::contract::layout::{Dimension, MaskLayout};
use crate::contract::mask::{ELEMENTS_PER_BLOCK, ELEMENTS_PER_MASK_WORD, MaskPosition, split};
use crate::contract::philox::mask_block;
use crate::contract::slices::clear_spare_bits;
use crate::contract::source::MaskSource;

/// Decisions made at once.
pub(super) const BATCH_ELEMENTS: usize = 512;
/// Decisions made at once if nothing else is made for a batch. Both 64 and 256 were a tenth slower.
pub(super) const SHORT_BATCH_ELEMENTS: usize = 128;
/// Blocks drawn in one step of a loop. The compiler takes four steps at once; with two independent
/// vectors a processor waits less for products.
const PAIR: usize = 2;
const PAIR_ELEMENTS: usize = PAIR * ELEMENTS_PER_BLOCK as usize;
const WORD_BITS: usize = ELEMENTS_PER_MASK_WORD as usize;
/// Words that one task of the pool makes.
const TASK_WORDS: usize = 1024;

/// The source of the decisions.
#[derive(Clone, Copy)]
pub(super) enum Mask<'a> {
    /// Consecutive mask indices, which begin at the call's origin.
    Linear,
    Layout(Decisions<'a>),
    /// The bits of a packed mask \[M15\]; the call's key is not used.
    Packed(&'a [u32]),
}

impl<'a> Mask<'a> {
    /// The mask of `source`, which has been checked against the slices.
    pub fn new(source: MaskSource<'a>) -> Self {
        match source {
            MaskSource::Len(_) => Self::Linear,
            MaskSource::Layout(layout) => Self::Layout(Decisions::new(layout, None)),
            MaskSource::Samples { layout, ids } => Self::Layout(Decisions::new(layout, Some(ids))),
            MaskSource::Packed { mask, .. } => Self::Packed(mask),
        }
    }

    /// Returns true if short batches from the element `start` on draw no more blocks than long ones.
    #[inline]
    pub fn suits_short_batches(&self, call: &DropoutCall, start: u64) -> bool {
        matches!(self, Self::Linear) && MaskPosition::of(call.origin + start).lane == 0
    }

    /// Mask index of an element, before the call's origin is added. A packed mask has none.
    #[inline]
    pub fn index(&self, element: u64) -> u64 {
        match self {
            Self::Layout(decisions) => decisions.index(element),
            Self::Linear | Self::Packed(_) => element,
        }
    }
}

/// The decision of an element: 0 drops it, -1 keeps it. The type is i16, as wide as the halves that
/// are compared, so that LLVM keeps masks and halves in vector lanes of the same width.
pub(super) type Keep = i16;

fn keep_if(kept: bool) -> Keep {
    -Keep::from(kept)
}

/// Mask indices that are decided at once, at most [`BATCH_ELEMENTS`].
#[derive(Clone, Copy)]
enum Indices {
    /// The mask indices of whole consecutive blocks, from the block of this number on.
    Blocks(u64),
    /// Mask indices that are `stride` apart.
    Apart { first: u64, stride: u64 },
}

/// Draws the 16-bit halves of mask indices \[M6\], each little-endian. Whole blocks come in pairs.
/// Blocks past the last one, number 2^61 - 1, give arbitrary halves, which belong to no mask index.
#[inline(always)]
fn draw(key: MaskKey, indices: Indices, domain: u32, halves: &mut [u16]) {
    match indices {
        Indices::Blocks(first) => {
            let [low, high] = split(first).map(u64::from);
            let pairs: &mut [[u16; PAIR_ELEMENTS]] = bytemuck::cast_slice_mut(halves);
            if low + (PAIR * pairs.len()) as u64 > 1 << 32 {
                return draw_and_carry(key, first, domain, halves);
            }
            for (i, halves) in (0..).zip(pairs) {
                let low = low + PAIR as u64 * i;
                let [v0, v1] = mask_block(key.seed, key.stream, [low, high], domain);
                let [w0, w1] = mask_block(key.seed, key.stream, [low + 1, high], domain);
                *halves = bytemuck::cast([v0, v1, w0, w1].map(u64::to_le));
            }
        }
        Indices::Apart { first, stride } => {
            for (i, half) in (0..).zip(halves) {
                let MaskPosition { block, lane } = MaskPosition::of(first + i * stride);
                let words = mask_block(key.seed, key.stream, [block, block >> 32], domain);
                let pair = if lane < 4 { words[0] } else { words[1] };
                *half = ((pair >> (16 * (lane % 4))) as u16).to_le();
            }
        }
    }
}

/// Draws blocks whose numbers do not share their upper words. With one upper word the compiler
/// moves a tenth of the generator's work out of the loop.
#[cold]
fn draw_and_carry(key: MaskKey, first: u64, domain: u32, halves: &mut [u16]) {
    let blocks: &mut [[u16; ELEMENTS_PER_BLOCK as usize]] = bytemuck::cast_slice_mut(halves);
    for (i, halves) in (0..).zip(blocks) {
        let block = first.wrapping_add(i);
        let words = mask_block(key.seed, key.stream, [block, block >> 32], domain);
        *halves = bytemuck::cast(words.map(u64::to_le));
    }
}

/// Decides one index for each entry of `keep`, at most `BATCH` of them, and whole pairs of blocks.
/// The call must drop some elements and keep some.
#[inline(always)]
fn decide<const BATCH: usize>(call: &DropoutCall, indices: Indices, keep: &mut [Keep]) {
    let drop_threshold = call.rate.drop_threshold();
    let (high, low) = ((drop_threshold >> 16) as u16, drop_threshold as u16);
    let mut halves = [0; BATCH];
    let halves = &mut halves[..keep.len()];
    draw(call.key, indices, 0, halves);
    let mut undecided = false;
    for (keep, half) in keep.iter_mut().zip(&*halves) {
        let half = u16::from_le(*half);
        *keep = keep_if(half >= high);
        undecided |= half == high;
    }
    if undecided {
        refine(call.key, indices, keep, halves, (high, low));
    }
}

/// Decides the indices whose first half equals D's upper half, by the second half \[M9\].
#[cold]
fn refine(
    key: MaskKey,
    indices: Indices,
    keep: &mut [Keep],
    halves: &[u16],
    (high, low): (u16, u16),
) {
    let mut refined = [0; BATCH_ELEMENTS];
    let refined = &mut refined[..keep.len()];
    draw(key, indices, 1, refined);
    for (keep, (half, refined)) in keep.iter_mut().zip(halves.iter().zip(refined)) {
        if u16::from_le(*half) == high {
            *keep = keep_if(u16::from_le(*refined) >= low);
        }
    }
}

/// Calls `each` for `len` elements from `start` on, a batch at a time, with the batch's range
/// (counted from `start`) and its decisions. The call must drop some elements and keep some.
#[inline(always)]
pub(super) fn for_each_batch<const BATCH: usize>(
    mask: Mask<'_>,
    call: &DropoutCall,
    start: u64,
    len: usize,
    mut each: impl FnMut(Range<usize>, &[Keep]),
) {
    let lane = match mask {
        Mask::Linear => MaskPosition::of(call.origin + start).lane as usize,
        Mask::Layout(_) => 0,
        Mask::Packed(_) => start as usize % WORD_BITS,
    };
    let batch = match lane {
        0 => BATCH,
        // Decisions begin with a whole block or mask word, whose lanes before `lane` are skipped.
        _ => BATCH - WORD_BITS,
    };
    for done in (0..len).step_by(batch) {
        let count = batch.min(len - done);
        let first = start + done as u64;
        let keep = match mask {
            Mask::Linear => {
                let block = MaskPosition::of(call.origin + first).block;
                let mut keep = [0; BATCH];
                decide::<BATCH>(call, Indices::Blocks(block), &mut keep);
                keep
            }
            Mask::Layout(decisions) => decisions.decide::<BATCH>(call, first, count),
            Mask::Packed(words) => unpack(&words[first as usize / WORD_BITS..]),
        };
        each(done..done + count, &keep[lane..lane + count]);
    }
}

/// The decisions of a batch, from the packed mask's `words`.
#[inline(always)]
fn unpack<const BATCH: usize>(words: &[u32]) -> [Keep; BATCH] {
    let mut keep = [0; BATCH];
    for (keep, word) in keep.chunks_exact_mut(WORD_BITS).zip(words) {
        for (bit, keep) in keep.iter_mut().enumerate() {
            *keep = keep_if(word >> bit & 1 == 1);
        }
    }
    keep
}

/// The decisions of a layout's elements.
#[derive(Clone, Copy)]
pub(super) struct Decisions<'a> {
    layout: &'a MaskLayout,
    /// `ids[i]` replaces row number i when the mask index is computed \[M16\].
    ids: Option<&'a [u32]>,
    /// The innermost dimension: elements in memory order whose mask indices are a stride apart.
    line: Dimension,
}

impl<'a> Decisions<'a> {
    fn new(layout: &'a MaskLayout, ids: Option<&'a [u32]>) -> Self {
        let folded = layout.folded(ids.is_some());
        // With ids, successive samples are not a constant number of mask indices apart.
        let mut in_rows = folded.into_iter().skip(usize::from(ids.is_some()));
        let line = in_rows.next_back();
        Self {
            layout,
            ids,
            line: line.unwrap_or(Dimension { size: 1, stride: 0 }),
        }
    }

    /// Mask index of an element, before the call's origin is added.
    fn index(&self, element: u64) -> u64 {
        match self.ids {
            None => self.layout.index(element),
            // `check_slices` made sure that there is an id for each row.
            Some(ids) => self
                .layout
                .index_of(element, |row| ids[row as usize].into()),
        }
    }

    /// Decides `len` elements from `start` on, one line at a time.
    #[inline(always)]
    fn decide<const BATCH: usize>(
        &self,
        call: &DropoutCall,
        start: u64,
        len: usize,
    ) -> [Keep; BATCH] {
        let Dimension { size, stride } = self.line;
        let mut decided = [0; BATCH];
        let mut rest = &mut decided[..len];
        while !rest.is_empty() {
            let element = start + (len - rest.len()) as u64;
            let first = call.origin + self.index(element);
            let mut count = (size - element % size).min(rest.len() as u64) as usize;
            let apart = Indices::Apart { first, stride };
            match stride {
                0 => {
                    let mut keep = [0];
                    decide::<BATCH>(call, apart, &mut keep);
                    rest[..count].fill(keep[0]);
                }
                1 => {
                    let MaskPosition { block, lane } = MaskPosition::of(first);
                    let lane = lane as usize;
                    count = count.min(BATCH - lane);
                    let mut keep = [0; BATCH];
                    let lanes = (lane + count).next_multiple_of(PAIR_ELEMENTS);
                    decide::<BATCH>(call, Indices::Blocks(block), &mut keep[..lanes]);
                    rest[..count].copy_from_slice(&keep[lane..lane + count]);
                }
                _ => decide::<BATCH>(call, apart, &mut rest[..count]),
            }
            rest = &mut rest[count..];
        }
        decided
    }
}

/// Writes the packed mask \[M15\] of `source` into `mask`, as [`KeepMask`](crate::KeepMask) does.
/// If `source` is a packed mask, it is copied, with 0 in its spare bits.
///
/// # Errors
///
/// [`CpuError::Source`] unless `mask` and a packed source have
/// [`mask_words`](MaskSource::mask_words) words, and there is an id for each sample;
/// [`CpuError::Call`] if a mask index passes 2^64 - 1, also one of the largest id, or if the call's
/// kind is Gaussian. After an error nothing has been written.
///
/// ```
/// use wgpu_dropout::{DropoutCall, DropoutRate, MaskKey, cpu};
///
/// let call = DropoutCall::new(DropoutRate::new(0.5)?, MaskKey::new(42, 7));
/// let mut mask = [0];
/// cpu::keep_mask(20u64, &mut mask, &call)?;
/// assert_eq!(mask[0] >> 20, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn keep_mask<'a>(
    source: impl Into<MaskSource<'a>>,
    mask: &mut [u32],
    call: &DropoutCall,
) -> Result<(), CpuError> {
    let source = source.into();
    source.check_mask(mask.len())?;
    source.check_side()?;
    source.check_keep_mask(call)?;
    match Mask::new(source) {
        Mask::Packed(packed) => {
            mask.copy_from_slice(packed);
            clear_spare_bits(mask, source.len());
        }
        decisions => pack(mask, decisions, source.len(), call),
    }
    Ok(())
}

/// Packs the decisions of `len` elements into `words`.
fn pack(words: &mut [u32], mask: Mask<'_>, len: u64, call: &DropoutCall) {
    if call.rate.drops_all() {
        words.fill(0);
    } else if call.rate.drops_nothing() {
        words.fill(u32::MAX);
        clear_spare_bits(words, len);
    } else {
        for_each_task(words, TASK_WORDS, |task, words| {
            let start = (task * TASK_WORDS) as u64 * WORD_BITS as u64;
            let elements = (len - start).min((words.len() * WORD_BITS) as u64);
            pack_task(words, mask, call, start, elements as usize);
        });
    }
}

#[multiversion(targets("x86_64+avx+avx2"))]
fn pack_task(words: &mut [u32], mask: Mask<'_>, call: &DropoutCall, start: u64, len: usize) {
    if mask.suits_short_batches(call, start) {
        pack_batches::<SHORT_BATCH_ELEMENTS>(words, mask, call, start, len);
    } else {
        pack_batches::<BATCH_ELEMENTS>(words, mask, call, start, len);
    }
}

#[inline(always)]
fn pack_batches<const BATCH: usize>(
    words: &mut [u32],
    mask: Mask<'_>,
    call: &DropoutCall,
    start: u64,
    len: usize,
) {
    for_each_batch::<BATCH>(mask, call, start, len, |range, keep| {
        let words = &mut words[range.start / WORD_BITS..];
        for (word, keep) in words.iter_mut().zip(keep.chunks(WORD_BITS)) {
            let bits = (0..).zip(keep).map(|(bit, keep)| *keep as u32 & 1 << bit);
            *word = bits.fold(0, |word, bit| word | bit);
        }
    });
}
