//! Decisions of groups of eight elements, for the fused kernels.

use burn_cubecl::cubecl;
use cubecl::prelude::*;
use wgpu_dropout::ElementType;

use super::element::{bits_of, decode, encode};
use super::index::advance;
use super::mask::{Mask, block_of, keep_blocks};

/// Elements of a group.
pub(crate) const GROUP: u32 = 8;

/// Groups whose decisions are drawn together.
pub(crate) const GROUPS: u32 = 4;

/// How a kernel decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Draw {
    /// Everything is kept.
    Nothing,
    /// A group is a block of the generator.
    Blocks,
    /// A group lies in two blocks.
    Halves,
}

/// The decisions of the groups that begin at the elements `a` to `d`, one byte for each. 1 is kept.
#[cube]
pub(crate) fn keep_groups(
    mask: &Mask,
    a: u32,
    b: u32,
    c: u32,
    d: u32,
    #[comptime] draw: Draw,
) -> u32 {
    if comptime!(draw == Draw::Nothing) {
        0xFFFF_FFFFu32.runtime()
    } else {
        let a = advance(mask.first_index, a);
        let b = advance(mask.first_index, b);
        let c = advance(mask.first_index, c);
        let d = advance(mask.first_index, d);
        if comptime!(draw == Draw::Blocks) {
            keep_blocks(mask, block_of(a), block_of(b), block_of(c), block_of(d))
        } else {
            let mut first = 0u32;
            let mut second = 0u32;
            let mut half = 0u32;
            // A loop has half the code of two calls.
            while half < 2u32 {
                first = second;
                second = keep_blocks(
                    mask,
                    advance(block_of(a), half),
                    advance(block_of(b), half),
                    advance(block_of(c), half),
                    advance(block_of(d), half),
                );
                half += 1u32;
            }
            group(first, second, 0u32, a.low & 7u32)
                | group(first, second, 8u32, b.low & 7u32)
                | group(first, second, 16u32, c.low & 7u32)
                | group(first, second, 24u32, d.low & 7u32)
        }
    }
}

/// The decisions, in the byte at `shift`, of a group that begins in lane `lane` of its first block.
#[cube]
fn group(first: u32, second: u32, #[comptime] shift: u32, lane: u32) -> u32 {
    let first = (first >> shift) & 0xFFu32;
    let second = (second >> shift) & 0xFFu32;
    (((first | (second << 8u32)) >> lane) & 0xFFu32) << shift
}

/// The number, rounded to the element type by operations on bits [M11]. The conversion to this
/// type, which follows, is then exact.
#[cube]
pub(crate) fn rounded<N: Size>(
    number: Vector<f32, N>,
    #[comptime] element: ElementType,
) -> Vector<f32, N> {
    if comptime!(element == ElementType::F32) {
        number
    } else {
        decode(encode(number, element), element)
    }
}

#[cube]
pub(crate) fn is_nan<N: Size>(x: Vector<f32, N>) -> Vector<bool, N> {
    let magnitude = bits_of(x) & Vector::new(0x7FFF_FFFFu32);
    magnitude.greater_than(&Vector::new(0x7F80_0000u32))
}
