// Which of a block's eight mask indices are kept: the mask contract in WGSL [M4]-[M9].
// No bindings; reads params. Twins: src/cpu/mask.rs, tests/common/reference/mask.rs.

// Lanes 0, 2, 4, 6 and lanes 1, 3, 5, 7: the low and the high halves of the block's words [M6].
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

fn keep_block(block: vec2<u32>) -> KeepBlock {
    let words = mask_words(block, 0u);
    let even = words & vec4<u32>(0xffffu);
    let odd = words >> vec4<u32>(16u);
    let high = vec4<u32>(params.drop_threshold_high);
    var keep = KeepBlock(even >= high, odd >= high);
    // A half that equals D's upper half is settled by domain 1: one element in 65,536 [M9].
    if params.drop_threshold_low != 0u && (any(even == high) || any(odd == high)) {
        let refined = mask_words(block, 1u);
        let low = vec4<u32>(params.drop_threshold_low);
        keep.even = select(keep.even, (refined & vec4<u32>(0xffffu)) >= low, even == high);
        keep.odd = select(keep.odd, (refined >> vec4<u32>(16u)) >= low, odd == high);
    }
    return keep;
}
