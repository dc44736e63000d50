//! Dropout alone. Forward and backward apply the same function.

use burn_cubecl::cubecl;
use cubecl::prelude::*;
use wgpu_dropout::launch::Decisions;
use wgpu_dropout::{Effect, ElementType};

use super::element::{decode, encode};
use super::index::{Dimension, element_index, left_in_row};
use super::mask::{Mask, block_of, keep_8, keep_32, keep_blocks};
use super::noise::{normal_at, normal_block_of, normals};
use super::philox::Wide;

/// Invocations in a workgroup.
pub(crate) const WORKGROUP_SIZE: u32 = 256;

/// Elements that one invocation takes.
pub(crate) const ELEMENTS: u32 = 32;

/// The options that a kernel is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Variant {
    pub element: ElementType,
    pub effect: Effect,
    pub decisions: Decisions,
}

impl Variant {
    /// Elements in a `u32`.
    pub(crate) fn per_word(self) -> u32 {
        4 / self.element.bytes() as u32
    }
}

/// Buffers are loaded N words at a time. N is 4 if elements lie in whole blocks, else 4 or 1. `len`
/// is the number of loads in the part.
#[cube(launch_unchecked)]
pub(crate) fn dropout<N: Size>(
    input: &[Vector<u32, N>],
    output: &mut [Vector<u32, N>],
    mask: &Mask,
    dimensions: &Sequence<Dimension>,
    len: u32,
    #[comptime] variant: Variant,
) {
    if comptime!(variant.decisions == Decisions::Blocks) {
        by_blocks(input, output, mask, dimensions, len, variant);
    } else {
        by_words(input, output, mask, dimensions, len, variant);
    }
}

/// Dropout by whole blocks. An invocation takes four blocks that are WORKGROUP_SIZE apart, so that
/// neighbouring invocations load neighbouring memory.
#[cube]
fn by_blocks<N: Size>(
    input: &[Vector<u32, N>],
    output: &mut [Vector<u32, N>],
    mask: &Mask,
    dimensions: &Sequence<Dimension>,
    len: u32,
    #[comptime] variant: Variant,
) {
    let width = N::value();
    let vectors = comptime!(8 / variant.per_word() / width as u32);
    let blocks = len / vectors;
    let a = 4u32 * WORKGROUP_SIZE * CUBE_POS_X + UNIT_POS_X;
    if a >= blocks {
        terminate!();
    }
    let b = a + WORKGROUP_SIZE;
    let c = b + WORKGROUP_SIZE;
    let d = c + WORKGROUP_SIZE;
    let index_a = element_index(mask, dimensions, 8u32 * a);
    let index_b = element_index(mask, dimensions, 8u32 * b);
    let index_c = element_index(mask, dimensions, 8u32 * c);
    let index_d = element_index(mask, dimensions, 8u32 * d);
    let keep = if comptime!(variant.effect == Effect::Noise) {
        0u32.runtime()
    } else {
        keep_blocks(
            mask,
            block_of(index_a),
            block_of(index_b),
            block_of(index_c),
            block_of(index_d),
        )
    };
    write_block(input, output, mask, a, index_a, keep, variant);
    if b < blocks {
        write_block(input, output, mask, b, index_b, keep >> 8u32, variant);
    }
    if c < blocks {
        write_block(input, output, mask, c, index_c, keep >> 16u32, variant);
    }
    if d < blocks {
        write_block(input, output, mask, d, index_d, keep >> 24u32, variant);
    }
}

#[cube]
fn write_block<N: Size>(
    input: &[Vector<u32, N>],
    output: &mut [Vector<u32, N>],
    mask: &Mask,
    block: u32,
    index: Wide,
    keep: u32,
    #[comptime] variant: Variant,
) {
    let width = N::value();
    let vectors = comptime!(8 / variant.per_word() / width as u32);
    #[unroll]
    for v in 0..vectors {
        let i = (block * vectors + v) as usize;
        let words = input[i];
        output[i] = if comptime!(variant.effect == Effect::Noise) {
            let first = normal_block_of(index);
            noisy_block(words, mask, first, v, variant)
        } else {
            let elements = comptime!(width as u32 * variant.per_word());
            dropped_out(words, mask, keep >> (v * elements), variant)
        };
    }
}

/// Dropout by mask words. An invocation takes the elements of one word.
#[cube]
fn by_words<N: Size>(
    input: &[Vector<u32, N>],
    output: &mut [Vector<u32, N>],
    mask: &Mask,
    dimensions: &Sequence<Dimension>,
    len: u32,
    #[comptime] variant: Variant,
) {
    let width = N::value();
    let elements = comptime!(width as u32 * variant.per_word());
    let vectors = comptime!(ELEMENTS / elements);
    let word = WORKGROUP_SIZE * CUBE_POS_X + UNIT_POS_X;
    let first = word * vectors;
    if first >= len {
        terminate!();
    }
    let end = min(first + vectors, len);
    if comptime!(variant.effect == Effect::Noise) {
        for i in first..end {
            let words = input[i as usize];
            output[i as usize] = noisy(words, mask, dimensions, i * elements, variant);
        }
    } else {
        let keep = keep_word(mask, dimensions, word, variant.decisions);
        for i in first..end {
            let kept = keep >> ((i - first) * elements);
            output[i as usize] = dropped_out(input[i as usize], mask, kept, variant);
        }
    }
}

/// The decisions of 32 elements from element 32 * `word` on, the first in bit 0.
#[cube]
pub(crate) fn keep_word(
    mask: &Mask,
    dimensions: &Sequence<Dimension>,
    word: u32,
    #[comptime] decisions: Decisions,
) -> u32 {
    let count = comptime!(dimensions.len());
    if comptime!(count == 0) {
        keep_32(mask, element_index(mask, dimensions, ELEMENTS * word))
    } else {
        keep_in_turn(mask, dimensions, ELEMENTS * word, ELEMENTS, decisions)
    }
}

/// The decisions of `elements` elements from element `first` on, the first in bit 0, made in turns.
/// Each turn computes the mask index of one element and draws its block. It makes all decisions that
/// follow from these: up to eight in a row, a whole run, or one for any other stride.
#[cube]
pub(crate) fn keep_in_turn(
    mask: &Mask,
    dimensions: &Sequence<Dimension>,
    first: u32,
    #[comptime] elements: u32,
    #[comptime] decisions: Decisions,
) -> u32 {
    let mut bits = 0u32;
    let mut i = 0u32;
    while i < elements {
        let element = first + i;
        let index = element_index(mask, dimensions, element);
        let lane = index.low & 7u32;
        let lanes = keep_8(mask, block_of(index)) >> lane;
        let count = if comptime!(decisions == Decisions::Scattered) {
            1u32.runtime()
        } else if comptime!(decisions == Decisions::Runs) {
            left_in_row(dimensions, element)
        } else {
            min(left_in_row(dimensions, element), 8u32 - lane)
        };
        let count = min(count, elements - i);
        // All elements of a run share one decision.
        let part = if comptime!(decisions == Decisions::Runs) {
            0u32 - (lanes & 1u32)
        } else {
            lanes
        };
        bits |= (part & (0xFFFF_FFFFu32 >> (32u32 - count))) << i;
        i += count;
    }
    bits
}

/// The words after dropout. An element is dropped if its bit in `keep` is 0.
#[cube]
pub(crate) fn dropped_out<N: Size>(
    words: Vector<u32, N>,
    mask: &Mask,
    keep: u32,
    #[comptime] variant: Variant,
) -> Vector<u32, N> {
    if comptime!(variant.element == ElementType::F32) {
        value(words, mask, lanes::<N>(keep, 1u32), variant)
    } else {
        let low = words & Vector::new(0xFFFFu32);
        let high = words >> Vector::new(16u32);
        let low = value(low, mask, lanes::<N>(keep, 2u32), variant);
        let high = value(high, mask, lanes::<N>(keep >> 1u32, 2u32), variant);
        low | (high << Vector::new(16u32))
    }
}

/// Lane l is bit l * `step` of `keep`.
#[cube]
pub(crate) fn lanes<N: Size>(keep: u32, #[comptime] step: u32) -> Vector<bool, N> {
    let mut bits = Vector::<u32, N>::empty();
    #[unroll]
    for lane in 0..N::value() {
        bits.insert(lane, comptime!(1u32 << (step * lane as u32)));
    }
    (Vector::new(keep) & bits).not_equal(&Vector::new(0u32))
}

/// The elements after dropout, which are selected on bits \[M12\].
#[cube]
fn value<N: Size>(
    bits: Vector<u32, N>,
    mask: &Mask,
    keep: Vector<bool, N>,
    #[comptime] variant: Variant,
) -> Vector<u32, N> {
    let element = comptime!(variant.element);
    if comptime!(variant.effect == Effect::Keep) {
        select_many(keep, bits, Vector::new(0u32))
    } else {
        let scaled = decode(bits, element) * Vector::new(mask.keep_scale);
        if comptime!(variant.effect == Effect::Affine) {
            let kept = encode(scaled + Vector::new(mask.keep_shift), element);
            let dropped = encode(Vector::new(mask.dropped_value), element);
            select_many(keep, kept, dropped)
        } else {
            select_many(keep, encode(scaled, element), Vector::new(0u32))
        }
    }
}

/// The words times their noise. They are vector `v` of a mask block, whose noise is in two blocks
/// of domain 2; `first` is the first of these.
#[cube]
fn noisy_block<N: Size>(
    words: Vector<u32, N>,
    mask: &Mask,
    first: Wide,
    #[comptime] v: u32,
    #[comptime] variant: Variant,
) -> Vector<u32, N> {
    let second = Wide {
        low: first.low | 1u32,
        high: first.high,
    };
    if comptime!(variant.element == ElementType::F32) {
        let noise = if comptime!(v == 0) {
            normals(mask, first)
        } else {
            normals(mask, second)
        };
        let mut lanes = Vector::<f32, N>::empty();
        lanes.insert(0usize, noise.x);
        lanes.insert(1usize, noise.y);
        lanes.insert(2usize, noise.z);
        lanes.insert(3usize, noise.w);
        multiplied(words, mask, lanes, variant.element)
    } else {
        let a = normals(mask, first);
        let b = normals(mask, second);
        let mut even = Vector::<f32, N>::empty();
        even.insert(0usize, a.x);
        even.insert(1usize, a.z);
        even.insert(2usize, b.x);
        even.insert(3usize, b.z);
        let mut odd = Vector::<f32, N>::empty();
        odd.insert(0usize, a.y);
        odd.insert(1usize, a.w);
        odd.insert(2usize, b.y);
        odd.insert(3usize, b.w);
        multiplied_pairs(words, mask, even, odd, variant.element)
    }
}

/// The words times the noise of the elements from `element` on.
#[cube]
fn noisy<N: Size>(
    words: Vector<u32, N>,
    mask: &Mask,
    dimensions: &Sequence<Dimension>,
    element: u32,
    #[comptime] variant: Variant,
) -> Vector<u32, N> {
    if comptime!(variant.element == ElementType::F32) {
        let noise = noise_of::<N>(mask, dimensions, element, 1u32);
        multiplied(words, mask, noise, variant.element)
    } else {
        let even = noise_of::<N>(mask, dimensions, element, 2u32);
        let odd = noise_of::<N>(mask, dimensions, element + 1u32, 2u32);
        multiplied_pairs(words, mask, even, odd, variant.element)
    }
}

/// The noise of every `step`th element from `element` on.
#[cube]
fn noise_of<N: Size>(
    mask: &Mask,
    dimensions: &Sequence<Dimension>,
    element: u32,
    #[comptime] step: u32,
) -> Vector<f32, N> {
    let mut noise = Vector::<f32, N>::empty();
    #[unroll]
    for lane in 0..N::value() {
        let element = element + comptime!(step * lane as u32);
        noise.insert(
            lane,
            normal_at(mask, element_index(mask, dimensions, element)),
        );
    }
    noise
}

#[cube]
fn multiplied_pairs<N: Size>(
    words: Vector<u32, N>,
    mask: &Mask,
    even: Vector<f32, N>,
    odd: Vector<f32, N>,
    #[comptime] element: ElementType,
) -> Vector<u32, N> {
    let low = words & Vector::new(0xFFFFu32);
    let high = words >> Vector::new(16u32);
    let low = multiplied(low, mask, even, element);
    low | (multiplied(high, mask, odd, element) << Vector::new(16u32))
}

/// Elements times 1 + sigma z \[M20\].
#[cube]
fn multiplied<N: Size>(
    bits: Vector<u32, N>,
    mask: &Mask,
    noise: Vector<f32, N>,
    #[comptime] element: ElementType,
) -> Vector<u32, N> {
    let factor = Vector::new(1.0f32) + Vector::new(mask.sigma) * noise;
    encode(decode(bits, element) * factor, element)
}
