// Which of a block's eight mask indices are kept: the mask contract in WGSL [M4]-[M9].
// No bindings; reads params. Needs philox4x32 (philox.wgsl). Twins: src/cpu/mask.rs,
// tests/common/reference/mask.rs.

// Which lanes are kept: 0, 2, 4, 6 and 1, 3, 5, 7, the low and the high halves of the words [M6].
struct KeepBlock {
    even: vec4<bool>,
    odd: vec4<bool>,
}

// Block `offset` of the dispatch as (low, high).
fn block_at(offset: u32) -> vec2<u32> {
    let low = params.first_block.x + offset;
    return vec2<u32>(low, params.first_block.y + u32(low < offset));
}

fn mask_words(block: vec2<u32>, domain: u32) -> vec4<u32> {
    return philox4x32(vec4<u32>(block.x, block.y | (domain << 29u), params.stream), params.seed);
}

// u(i) >= D [M8], half by half: domain 0 against D's upper half, and where the halves tie, one
// element in 65,536, domain 1 against its lower half [M9]. A loop, since software adapters execute
// both sides of every branch: a second draw behind an `if` would cost all invocations.
fn keep_block(block: vec2<u32>) -> KeepBlock {
    var keep = KeepBlock();
    var tied = KeepBlock(vec4<bool>(true), vec4<bool>(true));
    var bound = vec4<u32>(params.drop_threshold_high);
    for (var domain = 0u; domain < 2u; domain++) {
        let words = mask_words(block, domain);
        let even = words & vec4<u32>(0xffffu);
        let odd = words >> vec4<u32>(16u);
        keep.even = select(keep.even, even >= bound, tied.even);
        keep.odd = select(keep.odd, odd >= bound, tied.odd);
        tied.even &= even == bound;
        tied.odd &= odd == bound;
        // A lower half of 0 lets every tie pass.
        if params.drop_threshold_low == 0u || !(any(tied.even) || any(tied.odd)) {
            break;
        }
        bound = vec4<u32>(params.drop_threshold_low);
    }
    return keep;
}

// Bit l = lane l, 1 = kept, as in a packed mask [M15].
fn keep_bits(keep: KeepBlock) -> u32 {
    let even = select(vec4<u32>(), vec4<u32>(1u, 4u, 16u, 64u), keep.even);
    let odd = select(vec4<u32>(), vec4<u32>(2u, 8u, 32u, 128u), keep.odd);
    let bits = even | odd;
    return bits.x | bits.y | bits.z | bits.w;
}

// The block of a mask index (low, high) [M4].
fn block_of(index: vec2<u32>) -> vec2<u32> {
    return vec2<u32>(index.x >> 3u | index.y << 29u, index.y >> 3u);
}

// The decision of one mask index (low, high), as keep_block makes it for eight.
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
