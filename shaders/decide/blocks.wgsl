// Decisions by whole blocks: elements 8 n to 8 n + 7 are one block. They are those of
// dropout_keep_blocks (mask/keep.wgsl), in the form that takes GPUs the fewest instructions: each
// lane is compared where it is used, and the second draw is behind a branch that few waves take.

// The numbers that all blocks share.
struct Start {
    // The first round's product with the stream.
    product: vec2<u32>,
    // The keys of the rounds after the first.
    k1: vec2<u32>,
    k2: vec2<u32>,
    k3: vec2<u32>,
    k4: vec2<u32>,
    k5: vec2<u32>,
    k6: vec2<u32>,
    k7: vec2<u32>,
    k8: vec2<u32>,
    k9: vec2<u32>,
}

// It is called before any invocation may leave: Mesa's compiler for NVIDIA keeps numbers in uniform
// registers only if all invocations compute them.
fn start_of_blocks() -> Start {
    let mask = params.mask;
    let k1 = vec2<u32>(mask.seed_low, mask.seed_high) + DROPOUT_PHILOX_W32;
    let k2 = k1 + DROPOUT_PHILOX_W32;
    let k3 = k2 + DROPOUT_PHILOX_W32;
    let k4 = k3 + DROPOUT_PHILOX_W32;
    let k5 = k4 + DROPOUT_PHILOX_W32;
    let k6 = k5 + DROPOUT_PHILOX_W32;
    let k7 = k6 + DROPOUT_PHILOX_W32;
    let k8 = k7 + DROPOUT_PHILOX_W32;
    let k9 = k8 + DROPOUT_PHILOX_W32;
    let product = dropout_mul_wide(DROPOUT_PHILOX_M4X32_B, mask.stream_low);
    return Start(product, k1, k2, k3, k4, k5, k6, k7, k8, k9);
}

// dropout_block_words (mask/keep.wgsl) of `block`, whose first round takes its product with the
// stream from `start`.
fn draw(start: Start, block: vec2<u32>, domain: u32) -> vec4<u32> {
    let mask = params.mask;
    let a = dropout_mul_wide_a(block.x);
    var c = vec4<u32>(
        start.product.y ^ (block.y | (domain << 29u)) ^ mask.seed_low,
        start.product.x,
        a.y ^ mask.stream_high ^ mask.seed_high,
        a.x,
    );
    c = dropout_philox_round(c, start.k1);
    c = dropout_philox_round(c, start.k2);
    c = dropout_philox_round(c, start.k3);
    c = dropout_philox_round(c, start.k4);
    c = dropout_philox_round(c, start.k5);
    c = dropout_philox_round(c, start.k6);
    c = dropout_philox_round(c, start.k7);
    c = dropout_philox_round(c, start.k8);
    return dropout_philox_round(c, start.k9);
}

// Bit 15 or bit 31 is set if some half of `words` equals D's upper half. A half of x is 0 then, from
// which the difference borrows.
fn ties(words: vec4<u32>) -> u32 {
    let x = words ^ vec4<u32>(params.mask.threshold_high * 0x10001u);
    let borrowed = (x - vec4<u32>(0x10001u)) & ~x;
    return borrowed.x | borrowed.y | borrowed.z | borrowed.w;
}

// `words` with each tied half replaced by the decision of the second draw: 0xffff or 0.
fn settled(start: Start, words: vec4<u32>, block: vec2<u32>) -> vec4<u32> {
    let bounds = vec4<u32>(params.mask.threshold_high);
    let low_bounds = vec4<u32>(params.mask.threshold_low);
    let even = words & vec4<u32>(0xffffu);
    let odd = words >> vec4<u32>(16u);
    let second = draw(start, block, 1u);
    let kept_even = (second & vec4<u32>(0xffffu)) >= low_bounds;
    let kept_odd = (second >> vec4<u32>(16u)) >= low_bounds;
    let new_even = select(vec4<u32>(0u), vec4<u32>(0xffffu), kept_even);
    let new_odd = select(vec4<u32>(0u), vec4<u32>(0xffffu), kept_odd);
    return select(even, new_even, even == bounds)
        | (select(odd, new_odd, odd == bounds) << vec4<u32>(16u));
}

// The least half that is kept. It is 1 where D's upper half is 0 and ties are settled.
fn least_kept() -> vec4<u32> {
    return vec4<u32>(max(params.mask.threshold_high, min(params.mask.threshold_low, 1u)));
}

// Decides and writes the elements of blocks a and b.
fn write_two(start: Start, a: u32, b: u32) {
    let block_a = block_number(a);
    let block_b = block_number(b);
    var words_a = draw(start, block_a, 0u);
    var words_b = draw(start, block_b, 0u);
    let tied = (ties(words_a) | ties(words_b)) & 0x80008000u;
    // A lower half of 0 lets every tie pass.
    if tied != 0u && params.mask.threshold_low != 0u {
        words_a = settled(start, words_a, block_a);
        words_b = settled(start, words_b, block_b);
    }
    let least = least_kept();
    write_block(a, (words_a & vec4<u32>(0xffffu)) >= least, (words_a >> vec4<u32>(16u)) >= least);
    write_block(b, (words_b & vec4<u32>(0xffffu)) >= least, (words_b >> vec4<u32>(16u)) >= least);
}
