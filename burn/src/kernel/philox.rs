//! Philox4x32-10 \[M2\].

use burn_cubecl::cubecl;
use cubecl::prelude::*;

/// A number of 64 bits.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
#[expand(derive(Clone, Copy))]
pub(crate) struct Wide {
    pub low: u32,
    pub high: u32,
}

/// The words of a block.
#[derive(CubeType, Clone, Copy)]
#[expand(derive(Clone, Copy))]
pub(crate) struct Words {
    pub x: u32,
    pub y: u32,
    pub z: u32,
    pub w: u32,
}

/// The block of the counter `words` under `key`.
#[cube]
pub(crate) fn philox(words: Words, key: Wide) -> Words {
    rounds(words, key, 10u32)
}

/// Recursion unrolls the rounds while the kernel is made, so the kernel has neither a loop nor a
/// mutable variable.
#[cube]
fn rounds(words: Words, key: Wide, #[comptime] left: u32) -> Words {
    if comptime!(left == 0) {
        words
    } else {
        let next = Wide {
            low: key.low + 0x9E37_79B9u32,
            high: key.high + 0xBB67_AE85u32,
        };
        rounds(round(words, key), next, comptime!(left - 1))
    }
}

#[cube]
fn round(words: Words, key: Wide) -> Words {
    let multiplier_x = 0xD251_1F53u32;
    let multiplier_z = 0xCD9E_8D57u32;
    Words {
        x: u32::mul_hi(words.z, multiplier_z) ^ words.y ^ key.low,
        y: words.z * multiplier_z,
        z: u32::mul_hi(words.x, multiplier_x) ^ words.w ^ key.high,
        w: words.x * multiplier_x,
    }
}

/// `number` as an argument of a kernel.
pub(crate) fn wide(number: u64) -> WideLaunch {
    WideLaunch::new(number as u32, (number >> 32) as u32)
}
