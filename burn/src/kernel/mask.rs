//! Decides for each mask index whether it is kept \[M3\] to \[M9\].

use burn_cubecl::cubecl;
use cubecl::prelude::*;
use wgpu_dropout::DropoutMask;

use super::index::advance;
use super::philox::{Wide, WideLaunch, Words, philox};

/// One mask and its factors, with the fields of [`DropoutMask`].
#[derive(CubeType, CubeLaunch, Clone, Copy)]
#[expand(derive(Clone, Copy))]
pub(crate) struct Mask {
    pub seed: Wide,
    pub stream: Wide,
    pub first_index: Wide,
    pub threshold_high: u32,
    pub threshold_low: u32,
    pub keep_scale: f32,
    pub keep_shift: f32,
    pub dropped_value: f32,
    pub sigma: f32,
}

/// The mask as an argument of a kernel.
pub(crate) fn mask(mask: &DropoutMask) -> MaskLaunch {
    MaskLaunch::new(
        WideLaunch::new(mask.seed_low, mask.seed_high),
        WideLaunch::new(mask.stream_low, mask.stream_high),
        WideLaunch::new(mask.first_index_low, mask.first_index_high),
        mask.threshold_high,
        mask.threshold_low,
        mask.keep_scale,
        mask.keep_shift,
        mask.dropped_value,
        mask.sigma,
    )
}

/// The lanes of a block, compared with a bound: lane l in bit l.
#[derive(CubeType, Clone, Copy)]
#[expand(derive(Clone, Copy))]
struct Lanes {
    /// Lanes whose half is the bound or more.
    keep: u32,
    /// Lanes whose half equals it.
    tied: u32,
}

/// The block of a mask index \[M4\].
#[cube]
pub(crate) fn block_of(index: Wide) -> Wide {
    Wide {
        low: (index.low >> 3u32) | (index.high << 29u32),
        high: index.high >> 3u32,
    }
}

/// The four words of a block \[M5\].
#[cube]
pub(crate) fn block_words(mask: &Mask, block: Wide, domain: u32) -> Words {
    let counter = Words {
        x: block.low,
        y: block.high | (domain << 29u32),
        z: mask.stream.low,
        w: mask.stream.high,
    };
    philox(counter, mask.seed)
}

/// The lanes 2 k and 2 k + 1, which are the halves of word k \[M6\].
#[cube]
fn lanes_of_word(word: u32, bound: u32, #[comptime] k: u32) -> Lanes {
    let low = word & 0xFFFFu32;
    let high = word >> 16u32;
    let even = comptime!(1u32 << (2 * k));
    let odd = comptime!(2u32 << (2 * k));
    Lanes {
        keep: select(low >= bound, even, 0u32) | select(high >= bound, odd, 0u32),
        tied: select(low == bound, even, 0u32) | select(high == bound, odd, 0u32),
    }
}

#[cube]
fn lanes_of_block(mask: &Mask, block: Wide, domain: u32, bound: u32) -> Lanes {
    let words = block_words(mask, block, domain);
    let x = lanes_of_word(words.x, bound, 0u32);
    let y = lanes_of_word(words.y, bound, 1u32);
    let z = lanes_of_word(words.z, bound, 2u32);
    let w = lanes_of_word(words.w, bound, 3u32);
    Lanes {
        keep: x.keep | y.keep | z.keep | w.keep,
        tied: x.tied | y.tied | z.tied | w.tied,
    }
}

/// The decisions of four blocks, one byte for each, lane l in bit l. 1 is kept. The number of a
/// block includes the mask's first index. All blocks are drawn once, and a second time if any half
/// ties \[M9\].
///
/// The second draw is a turn of a loop and not an `if`, since software adapters execute both sides
/// of every branch.
#[cube]
pub(crate) fn keep_blocks(mask: &Mask, a: Wide, b: Wide, c: Wide, d: Wide) -> u32 {
    let mut keep = 0u32;
    let mut tied = 0xFFFF_FFFFu32;
    let mut bound = mask.threshold_high;
    let mut domain = 0u32;
    while domain < 2u32 {
        let a = lanes_of_block(mask, a, domain, bound);
        let b = lanes_of_block(mask, b, domain, bound);
        let c = lanes_of_block(mask, c, domain, bound);
        let d = lanes_of_block(mask, d, domain, bound);
        let kept = a.keep | (b.keep << 8u32) | (c.keep << 16u32) | (d.keep << 24u32);
        keep = (keep & !tied) | (kept & tied);
        tied &= a.tied | (b.tied << 8u32) | (c.tied << 16u32) | (d.tied << 24u32);
        bound = mask.threshold_low;
        // If the threshold's lower half is 0, every tie is kept without a second draw.
        domain = select(bound == 0u32 || tied == 0u32, 2u32, domain + 1u32);
    }
    keep
}

/// The decisions of a block's eight lanes, lane l in bit l.
#[cube]
pub(crate) fn keep_8(mask: &Mask, block: Wide) -> u32 {
    let mut keep = 0u32;
    let mut tied = 0xFFu32;
    let mut bound = mask.threshold_high;
    let mut domain = 0u32;
    while domain < 2u32 {
        let lanes = lanes_of_block(mask, block, domain, bound);
        keep = (keep & !tied) | (lanes.keep & tied);
        tied &= lanes.tied;
        bound = mask.threshold_low;
        domain = select(bound == 0u32 || tied == 0u32, 2u32, domain + 1u32);
    }
    keep
}

/// The decisions of 32 consecutive mask indices from `index` on, the first in bit 0. Draws five
/// blocks.
#[cube]
pub(crate) fn keep_32(mask: &Mask, index: Wide) -> u32 {
    let block = block_of(index);
    let lane = index.low & 7u32;
    let four = keep_blocks(
        mask,
        block,
        advance(block, 1u32),
        advance(block, 2u32),
        advance(block, 3u32),
    );
    let fifth = keep_8(mask, advance(block, 4u32));
    // Two shifts, since a shift by 32 would shift by 0.
    (four >> lane) | ((fifth << 1u32) << (31u32 - lane))
}

/// The decision of one mask index. Draws one block, and a second one if its half ties.
#[cube]
pub(crate) fn keep_at(mask: &Mask, index: Wide) -> bool {
    (keep_8(mask, block_of(index)) >> (index.low & 7u32)) & 1u32 == 1u32
}
