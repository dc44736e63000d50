// The mask contract in WGSL [M3]-[M9]: which mask indices are kept. Functions of their arguments
// alone: no bindings, no variables of the module. 64-bit numbers are (low, high). Needs
// DropoutMask (mask.wgsl) and dropout_philox (philox.wgsl). Twins: src/cpu/mask.rs, tests/common/reference/mask.rs.
//
// Eight mask indices share a block of four words, 16 bits each [M4]. An index is dropped iff its 32-bit
// uniform u is below D [M8]. The upper half of u decides against the upper half of D, unless they are
// equal, one time in 65,536. Only then is the lower half of u drawn, from a second block [M9].

fn dropout_add_wide(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let low = a.x + b.x;
    return vec2<u32>(low, a.y + b.y + u32(low < b.x));
}

fn dropout_first_index(mask: DropoutMask) -> vec2<u32> {
    return vec2<u32>(mask.first_index_low, mask.first_index_high);
}

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

// Bit l = lane l of a block: `even` are lanes 0, 2, 4, 6 and `odd` lanes 1, 3, 5, 7, which are the
// low and the high halves of its words [M6]. No `vec4<u32>()`: naga 30 would write the function
// ZeroValueuint4 for it and again for the alias Word, which HLSL refuses.
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

// The kept lanes of four blocks, a byte each. A loop, since software adapters execute both sides of
// every branch: a second draw behind an `if` would cost all invocations. Equal blocks are drawn once:
// compilers see that they are.
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

// The decision of one mask index, as dropout_keep_blocks makes it for 32.
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
