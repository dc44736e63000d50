// Which mask indices are kept: the mask contract in WGSL [M4]-[M9]. No bindings; reads params.
// Needs philox4x32 (philox.wgsl). Twins: src/cpu/mask.rs, tests/common/reference/mask.rs.

// Block `offset` of the dispatch as (low, high).
fn block_at(offset: u32) -> vec2<u32> {
    let low = params.first_block.x + offset;
    return vec2<u32>(low, params.first_block.y + u32(low < offset));
}

// The block of a mask index (low, high) [M4].
fn block_of(index: vec2<u32>) -> vec2<u32> {
    return vec2<u32>((index.x >> 3u) | (index.y << 29u), index.y >> 3u);
}

fn mask_words(block: vec2<u32>, domain: u32) -> vec4<u32> {
    return philox4x32(vec4<u32>(block.x, block.y | (domain << 29u), params.stream), params.seed);
}

// Bit l = lane l of a block: `even` are lanes 0, 2, 4, 6 and `odd` lanes 1, 3, 5, 7, which are the
// low and the high halves of its words [M6]. No `vec4<u32>()`: naga 30 would write the function
// ZeroValueuint4 for it and again for the alias Word, which HLSL refuses.
fn lane_bits(even: vec4<bool>, odd: vec4<bool>) -> u32 {
    let bits = select(vec4<u32>(0u), vec4<u32>(1u, 4u, 16u, 64u), even)
        | select(vec4<u32>(0u), vec4<u32>(2u, 8u, 32u, 128u), odd);
    return bits.x | bits.y | bits.z | bits.w;
}

// The lanes whose half is `bound` or more, and those whose half is it.
fn compare_lanes(block: vec2<u32>, domain: u32, bound: u32) -> vec2<u32> {
    let words = mask_words(block, domain);
    let even = words & vec4<u32>(0xffffu);
    let odd = words >> vec4<u32>(16u);
    let bounds = vec4<u32>(bound);
    return vec2<u32>(
        lane_bits(even >= bounds, odd >= bounds),
        lane_bits(even == bounds, odd == bounds),
    );
}

// The kept lanes of four blocks, a byte each: u(i) >= D [M8], half by half: domain 0 against D's
// upper half, and where the halves tie, one element in 65,536, domain 1 against its lower half [M9].
// A loop, since software adapters execute both sides of every branch: a second draw behind an `if`
// would cost all invocations. Equal blocks are drawn once: compilers see that they are.
fn keep_blocks(a: vec2<u32>, b: vec2<u32>, c: vec2<u32>, d: vec2<u32>) -> u32 {
    var keep = 0u;
    var tied = 0xffffffffu;
    var bound = params.drop_threshold_high;
    for (var domain = 0u; domain < 2u; domain++) {
        let lanes = compare_lanes(a, domain, bound)
            | (compare_lanes(b, domain, bound) << vec2<u32>(8u))
            | (compare_lanes(c, domain, bound) << vec2<u32>(16u))
            | (compare_lanes(d, domain, bound) << vec2<u32>(24u));
        keep = (keep & ~tied) | (lanes.x & tied);
        tied &= lanes.y;
        // A lower half of 0 lets every tie pass.
        if params.drop_threshold_low == 0u || tied == 0u {
            break;
        }
        bound = params.drop_threshold_low;
    }
    return keep;
}

// The decision of one mask index (low, high), as keep_blocks makes it for 32.
fn keep_index(index: vec2<u32>) -> bool {
    let block = block_of(index);
    let lane = index.x & 7u;
    var keep = false;
    var bound = params.drop_threshold_high;
    for (var domain = 0u; domain < 2u; domain++) {
        let half = (mask_words(block, domain)[lane >> 1u] >> (16u * (lane & 1u))) & 0xffffu;
        keep = half >= bound;
        if params.drop_threshold_low == 0u || half != bound {
            break;
        }
        bound = params.drop_threshold_low;
    }
    return keep;
}

// 32 bits of (low, high) from bit `shift` on, below 64.
fn bits_from(low: u32, high: u32, shift: u32) -> u32 {
    // Two steps, since a shift by 32 is one by 0.
    let across = (low >> shift) | ((high << 1u) << (31u - (shift & 31u)));
    return select(across, high >> (shift & 31u), shift >= 32u);
}
