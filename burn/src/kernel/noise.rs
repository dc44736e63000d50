//! Gaussian noise \[M18\], \[M19\]: normal numbers of mean 0 and variance 1.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use super::mask::{Mask, block_words};
use super::philox::Wide;

/// The numbers of the four lanes of a block.
#[derive(CubeType, Clone, Copy)]
#[expand(derive(Clone, Copy))]
pub(crate) struct Normals {
    pub x: f32,
    pub y: f32,
    pub z: f32,
    pub w: f32,
}

/// The block of four mask indices \[M18\].
#[cube]
pub(crate) fn normal_block_of(index: Wide) -> Wide {
    Wide {
        low: (index.low >> 2u32) | (index.high << 30u32),
        high: index.high >> 2u32,
    }
}

/// The numbers of a block's four lanes.
#[cube]
pub(crate) fn normals(mask: &Mask, block: Wide) -> Normals {
    let words = block_words(mask, block, 2u32);
    let first = pair(words.x, words.y);
    let second = pair(words.z, words.w);
    Normals {
        x: first.even,
        y: first.odd,
        z: second.even,
        w: second.odd,
    }
}

/// The number of one mask index.
#[cube]
pub(crate) fn normal_at(mask: &Mask, index: Wide) -> f32 {
    let words = block_words(mask, normal_block_of(index), 2u32);
    let second = index.low & 2u32 != 0u32;
    let pair = pair(
        select(second, words.z, words.x),
        select(second, words.w, words.y),
    );
    select(index.low & 1u32 != 0u32, pair.odd, pair.even)
}

/// The numbers of an even lane and of the odd lane after it.
#[derive(CubeType, Clone, Copy)]
#[expand(derive(Clone, Copy))]
struct Pair {
    even: f32,
    odd: f32,
}

/// Two normal numbers from two words, by the method of Box and Muller (1958) \[M19\]. The angle
/// lies in [-pi, pi), where WGSL bounds the error of sin and cos.
#[cube]
fn pair(v: u32, w: u32) -> Pair {
    let ulp = 1.192_092_9e-7f32;
    // Both numbers are exact: the second one has 23 bits, and the first one 24, with the half.
    let uniform_a = (f32::cast_from(v >> 9u32) + 0.5f32) * ulp;
    let uniform_b = f32::cast_from(w >> 9u32) * ulp;
    // A device's log of a number just below 1 may be above 0.
    let radius = f32::sqrt(max(f32::ln(uniform_a) * -2.0f32, 0.0f32));
    let angle = (uniform_b - 0.5f32) * core::f32::consts::TAU;
    Pair {
        even: radius * f32::cos(angle),
        odd: radius * f32::sin(angle),
    }
}
