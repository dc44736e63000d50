//! Keep decisions and packed keep masks, of consecutive mask indices and of layouts. Twin of
//! shaders/mask.wgsl, shaders/strided.wgsl and shaders/keep_mask*.wgsl.

use rayon::prelude::*;

use super::philox::{MASK_ROUNDS, philox4x32};
use crate::call::{DropoutCall, MaskKey};
use crate::error::CpuError;
use crate::layout::MaskLayout;
use crate::mask::{ELEMENTS_PER_BLOCK, ELEMENTS_PER_MASK_WORD, MaskPosition, mask_words, split};

const LANES: usize = ELEMENTS_PER_BLOCK as usize;
/// Blocks drawn at once.
const BATCH_BLOCKS: usize = 64;
/// Mask indices of a batch.
const BATCH_ELEMENTS: usize = BATCH_BLOCKS * LANES;
const WORD_BITS: usize = ELEMENTS_PER_MASK_WORD as usize;
/// Words that one task of the pool makes.
const TASK_WORDS: usize = 1024;
const TASK_ELEMENTS: u64 = (TASK_WORDS * WORD_BITS) as u64;

/// The 16-bit halves of consecutive blocks in the order of mask indices \[M6\].
type Halves = [u16; BATCH_ELEMENTS];

/// Draws the halves of the blocks from `first_block` on \[M5\]. Beyond the last block they are
/// arbitrary: no index reaches them.
#[inline(always)]
fn draw(key: MaskKey, first_block: u64, domain: u32) -> Halves {
    let [stream_low, stream_high] = split(key.stream);
    let mut words = [
        [0; BATCH_BLOCKS],
        [0; BATCH_BLOCKS],
        [stream_low; BATCH_BLOCKS],
        [stream_high; BATCH_BLOCKS],
    ];
    let [c0, c1, ..] = &mut words;
    for (block, (c0, c1)) in (0..).zip(c0.iter_mut().zip(c1)) {
        let [low, high] = split(first_block.wrapping_add(block));
        *c0 = low;
        *c1 = high | domain << 29;
    }
    philox4x32(&mut words, split(key.seed), MASK_ROUNDS);
    let mut halves = [0; BATCH_ELEMENTS];
    for i in 0..BATCH_BLOCKS {
        for w in 0..4 {
            halves[LANES * i + 2 * w] = words[w][i] as u16;
            halves[LANES * i + 2 * w + 1] = (words[w][i] >> 16) as u16;
        }
    }
    halves
}

/// The decisions of a batch: -1, all bits, for a kept element and 0 for a dropped one.
/// `drop_threshold` is neither 0 nor 2^32.
#[inline(always)]
fn keep_batch(key: MaskKey, drop_threshold: u64, first_block: u64) -> [i16; BATCH_ELEMENTS] {
    let (high, low) = ((drop_threshold >> 16) as u16, drop_threshold as u16);
    let halves = draw(key, first_block, 0);
    let mut keep = [0; BATCH_ELEMENTS];
    let mut undecided = false;
    for i in 0..BATCH_ELEMENTS {
        keep[i] = -i16::from(halves[i] >= high);
        undecided |= halves[i] == high;
    }
    if low != 0 && undecided {
        refine(&mut keep, &halves, high, &draw(key, first_block, 1), low);
    }
    keep
}

/// Settles the halves that equal D's upper half \[M9\].
#[cold]
fn refine(
    keep: &mut [i16; BATCH_ELEMENTS],
    halves: &Halves,
    high: u16,
    refined: &Halves,
    low: u16,
) {
    for i in 0..BATCH_ELEMENTS {
        if halves[i] == high {
            keep[i] = -i16::from(refined[i] >= low);
        }
    }
}

/// Calls `each` for all of `len` elements in turn, a batch at a time, with the number of the first
/// and the decisions as [`keep_batch`] makes them. The call drops some elements and keeps some.
#[inline(always)]
pub(crate) fn for_each_batch(call: &DropoutCall, len: usize, mut each: impl FnMut(usize, &[i16])) {
    let drop_threshold = call.rate.drop_threshold();
    let MaskPosition { mut block, lane } = MaskPosition::of(call.origin);
    let mut lane = lane as usize;
    let mut start = 0;
    while start < len {
        let keep = keep_batch(call.key, drop_threshold, block);
        let count = (BATCH_ELEMENTS - lane).min(len - start);
        each(start, &keep[lane..lane + count]);
        start += count;
        lane = 0;
        block = block.wrapping_add(BATCH_BLOCKS as u64);
    }
}

/// The elements of a layout, and where their decisions are.
#[derive(Clone, Copy)]
pub(crate) struct Decisions<'a> {
    layout: &'a MaskLayout,
    /// Of the samples, in the place of their places \[M16\].
    ids: Option<&'a [u32]>,
}

impl<'a> Decisions<'a> {
    pub fn of_layout(layout: &'a MaskLayout) -> Self {
        Self { layout, ids: None }
    }

    pub fn of_samples(layout: &'a MaskLayout, ids: &'a [u32]) -> Self {
        Self {
            layout,
            ids: Some(ids),
        }
    }

    /// Elements.
    pub fn len(&self) -> u64 {
        self.layout.len()
    }

    /// Checks that there is an id for each sample, and that all mask indices are up to 2^64 - 1.
    pub fn check(&self, call: &DropoutCall) -> Result<(), CpuError> {
        let Some(ids) = self.ids else {
            return Ok(call.check_last(self.layout.last_index())?);
        };
        let (samples, _) = self.layout.samples();
        if ids.len() as u64 != samples {
            return Err(CpuError::SampleIds {
                ids: ids.len(),
                samples,
            });
        }
        Ok(call.check_last(self.layout.last_sample_index()?)?)
    }

    /// Before the call's origin is added.
    fn index(&self, element: u64) -> u64 {
        match self.ids {
            None => self.layout.index(element),
            // There is an id for each place.
            Some(ids) => self
                .layout
                .index_of(element, |place| ids[place as usize].into()),
        }
    }
}

/// Calls `each` for `len` elements of `decisions` from `start` on, with each one's number from there
/// and whether it is kept.
pub(crate) fn for_each_decision(
    call: &DropoutCall,
    decisions: Decisions<'_>,
    start: u64,
    len: usize,
    mut each: impl FnMut(usize, bool),
) {
    let drop_threshold = call.rate.drop_threshold();
    // The last index and its decision, for runs; the last block drawn, for rows.
    let mut last = None;
    let mut blocks = BlockCache {
        key: call.key,
        drawn: [None; 2],
    };
    for element in 0..len {
        let index = call.origin + decisions.index(start + element as u64);
        let keep = match last {
            Some((last, keep)) if last == index => keep,
            _ => blocks.uniform(index) >= drop_threshold,
        };
        last = Some((index, keep));
        each(element, keep);
    }
}

/// The block last drawn in each domain.
struct BlockCache {
    key: MaskKey,
    drawn: [Option<(u64, [u32; 4])>; 2],
}

impl BlockCache {
    /// u(i) \[M7\].
    fn uniform(&mut self, index: u64) -> u64 {
        let MaskPosition { block, lane } = MaskPosition::of(index);
        let [high, low] = [0, 1].map(|domain| {
            let drawn = &mut self.drawn[domain as usize];
            let words = match *drawn {
                Some((last, words)) if last == block => words,
                _ => mask_block(self.key, block, domain),
            };
            *drawn = Some((block, words));
            words[(lane / 2) as usize] >> (16 * (lane % 2)) & 0xffff
        });
        u64::from(high << 16 | low)
    }
}

/// One block of a mask \[M5\].
pub(crate) fn mask_block(key: MaskKey, block: u64, domain: u32) -> [u32; 4] {
    let ([low, high], [stream_low, stream_high]) = (split(block), split(key.stream));
    let mut words = [[low], [high | domain << 29], [stream_low], [stream_high]];
    philox4x32(&mut words, split(key.seed), MASK_ROUNDS);
    words.map(|[word]| word)
}

/// Writes the packed mask \[M15\] of `len` elements into `mask`, as
/// [`KeepMask`](crate::KeepMask) does.
///
/// # Errors
///
/// [`CpuError::MaskLength`] unless `mask` has [`mask_words`]`(len)` words,
/// [`CpuError::IndexOverflow`] if the last mask index passes 2^64 - 1; nothing was written then.
pub fn keep_mask(mask: &mut [u32], len: u64, call: &DropoutCall) -> Result<(), CpuError> {
    check_mask_length(mask, len)?;
    call.check_indices(len)?;
    if call.rate.drops_all() {
        mask.fill(0);
    } else if call.rate.drops_nothing() {
        mask.fill(u32::MAX);
    } else {
        mask.par_chunks_mut(TASK_WORDS)
            .enumerate()
            .for_each(|(task, words)| {
                let start = task as u64 * TASK_ELEMENTS;
                // The last word's spare bits may lie beyond the last mask index.
                let elements = (len - start).min((words.len() * WORD_BITS) as u64);
                mask_task(
                    words,
                    elements as usize,
                    &call.with_origin(call.origin + start),
                );
            });
    }
    let spare = mask_words(len) * WORD_BITS as u64 - len;
    if let Some(last) = mask.last_mut() {
        *last &= u32::MAX >> spare;
    }
    Ok(())
}

/// Writes the packed mask \[M15\] of a layout into `mask`.
///
/// # Errors
///
/// As [`keep_mask`], for the layout's length.
pub fn keep_mask_layout(
    mask: &mut [u32],
    layout: &MaskLayout,
    call: &DropoutCall,
) -> Result<(), CpuError> {
    pack(mask, Decisions::of_layout(layout), call)
}

/// Writes the packed mask \[M15\] of samples, the first dimension of `layout`, into `mask`: each
/// has an id of `ids` in the place of its place \[M16\].
///
/// # Errors
///
/// As [`keep_mask`], for the layout's length; [`CpuError::SampleIds`] unless there is an id for each
/// sample, [`CpuError::SampleOverflow`] if the largest id would have indices past 2^64 - 1.
pub fn keep_mask_samples(
    mask: &mut [u32],
    layout: &MaskLayout,
    ids: &[u32],
    call: &DropoutCall,
) -> Result<(), CpuError> {
    pack(mask, Decisions::of_samples(layout, ids), call)
}

/// A packed mask has a word for each 32 elements.
pub(crate) fn check_mask_length(mask: &[u32], len: u64) -> Result<(), CpuError> {
    let required = mask_words(len);
    if mask.len() as u64 == required {
        Ok(())
    } else {
        Err(CpuError::MaskLength {
            words: mask.len(),
            required,
            len,
        })
    }
}

fn pack(mask: &mut [u32], decisions: Decisions<'_>, call: &DropoutCall) -> Result<(), CpuError> {
    let len = decisions.len();
    check_mask_length(mask, len)?;
    decisions.check(call)?;
    mask.par_chunks_mut(TASK_WORDS)
        .enumerate()
        .for_each(|(task, words)| {
            let start = task as u64 * TASK_ELEMENTS;
            let elements = (len - start).min((words.len() * WORD_BITS) as u64);
            words.fill(0);
            for_each_decision(
                call,
                decisions,
                start,
                elements as usize,
                |element, keep| {
                    words[element / WORD_BITS] |= u32::from(keep) << (element % WORD_BITS);
                },
            );
        });
    Ok(())
}

fn mask_task(words: &mut [u32], elements: usize, call: &DropoutCall) {
    words.fill(0);
    for_each_batch(call, elements, |start, keep| {
        for (element, &keep) in (start..).zip(keep) {
            words[element / WORD_BITS] |= u32::from(keep != 0) << (element % WORD_BITS);
        }
    });
}
