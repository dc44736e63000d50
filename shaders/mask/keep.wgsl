// The decision of a mask index: kept or dropped [M3]-[M9]. 64-bit numbers are (low, high). Needs
// DropoutMask (mask.wgsl), dropout_index_of and dropout_advance (index.wgsl), and dropout_philox
// (philox.wgsl). On the CPU: src/cpu/mask.rs; the tests' reference: tests/common/reference/mask.rs.
//
// An index is dropped iff its 32-bit uniform u is below the threshold D [M8]. A comparison of two
// numbers is decided by their upper halves unless these are equal, and that happens for one index
// in 65,536. Therefore a block of four random words serves eight indices, with 16 bits for each
// [M4]: the upper half of u. The lower half of u is in a second block, which is computed only if
// some upper half equals that of D [M9]. The decisions are those of 32-bit numbers, for half of the
// random words.

// The block of a mask index [M4].
fn dropout_block_of(index: vec2<u32>) -> vec2<u32> {
    return vec2<u32>((index.x >> 3u) | (index.y << 29u), index.y >> 3u);
}

// The four words of a block [M5].
fn dropout_block_words(mask: DropoutMask, block: vec2<u32>, domain: u32) -> vec4<u32> {
    return dropout_philox(
        vec4<u32>(block.x, block.y | (domain << 29u), mask.stream_low, mask.stream_high),
        vec2<u32>(mask.seed_low, mask.seed_high),
    );
}

// Packs the decisions of a block, lane l into bit l. `even` are lanes 0, 2, 4, 6, which are the low
// halves of its words, and `odd` are lanes 1, 3, 5, 7, the high halves [M6]. This avoids
// `vec4<u32>()`, for which naga 30 would write a function ZeroValueuint4, and a second one for the
// alias Word, which HLSL refuses.
fn dropout_lane_bits(even: vec4<bool>, odd: vec4<bool>) -> u32 {
    let bits = select(vec4<u32>(0u), vec4<u32>(1u, 4u, 16u, 64u), even)
        | select(vec4<u32>(0u), vec4<u32>(2u, 8u, 32u, 128u), odd);
    return bits.x | bits.y | bits.z | bits.w;
}

// The lanes whose half is `bound` or more, and the lanes whose half equals it.
fn dropout_compare_lanes(mask: DropoutMask, block: vec2<u32>, domain: u32, bound: u32) -> vec2<u32> {
    let words = dropout_block_words(mask, block, domain);
    let even = words & vec4<u32>(0xffffu);
    let odd = words >> vec4<u32>(16u);
    let bounds = vec4<u32>(bound);
    return vec2<u32>(
        dropout_lane_bits(even >= bounds, odd >= bounds),
        dropout_lane_bits(even == bounds, odd == bounds),
    );
}

// The decisions of four blocks, one byte for each, lane l in bit l. The first turn compares upper
// halves, and the second one lower halves, for lanes that were tied. This is a loop that ends early
// and not an `if`, since software adapters execute both sides of every `if`, so that all
// invocations would compute the second blocks. If two of the blocks are the same, compilers see it
// and compute one.
fn dropout_keep_blocks(
    mask: DropoutMask,
    a: vec2<u32>,
    b: vec2<u32>,
    c: vec2<u32>,
    d: vec2<u32>,
) -> u32 {
    var keep = 0u;
    var tied = 0xffffffffu;
    var bound = mask.threshold_high;
    for (var domain = 0u; domain < 2u; domain++) {
        let lanes = dropout_compare_lanes(mask, a, domain, bound)
            | (dropout_compare_lanes(mask, b, domain, bound) << vec2<u32>(8u))
            | (dropout_compare_lanes(mask, c, domain, bound) << vec2<u32>(16u))
            | (dropout_compare_lanes(mask, d, domain, bound) << vec2<u32>(24u));
        keep = (keep & ~tied) | (lanes.x & tied);
        tied &= lanes.y;
        // A lower half of 0 lets every tie pass.
        if mask.threshold_low == 0u || tied == 0u {
            break;
        }
        bound = mask.threshold_low;
    }
    return keep;
}

// The decisions of a block's eight lanes, lane l in bit l. `block` is `index >> 3`, and the first
// index of `mask` is not added to it. Computes one block, and a second one if a half ties.
fn dropout_keep_8(mask: DropoutMask, block: vec2<u32>) -> u32 {
    return dropout_keep_blocks(mask, block, block, block, block) & 0xffu;
}

// The decisions of 32 consecutive mask indices, the first in lane `lane` of `block`. Computes four
// blocks, and a fifth one if `lane` is not 0.
fn dropout_keep_row(mask: DropoutMask, block: vec2<u32>, lane: u32) -> u32 {
    let four = dropout_keep_blocks(
        mask,
        block,
        dropout_advance(block, 1u),
        dropout_advance(block, 2u),
        dropout_advance(block, 3u),
    );
    if lane == 0u {
        return four;
    }
    let fifth = dropout_keep_8(mask, dropout_advance(block, 4u));
    return (four >> lane) | (fifth << (32u - lane));
}

// The decisions of the elements `element` to `element` + 31, counted from the first index. The
// first is in bit 0.
fn dropout_keep_32(mask: DropoutMask, element: u32) -> u32 {
    let index = dropout_index_of(mask, element);
    return dropout_keep_row(mask, dropout_block_of(index), index.x & 7u);
}

// The decision of one mask index. Computes one block, and a second one if its half ties.
fn dropout_keep_at(mask: DropoutMask, index: vec2<u32>) -> bool {
    let block = dropout_block_of(index);
    let lane = index.x & 7u;
    var keep = false;
    var bound = mask.threshold_high;
    for (var domain = 0u; domain < 2u; domain++) {
        let words = dropout_block_words(mask, block, domain);
        let half = (words[lane >> 1u] >> (16u * (lane & 1u))) & 0xffffu;
        keep = half >= bound;
        if mask.threshold_low == 0u || half != bound {
            break;
        }
        bound = mask.threshold_low;
    }
    return keep;
}

// The decision of the element `element`, counted from the first index.
fn dropout_keep(mask: DropoutMask, element: u32) -> bool {
    return dropout_keep_at(mask, dropout_index_of(mask, element));
}
