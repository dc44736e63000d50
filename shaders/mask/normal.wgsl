// Gaussian noise [M18], [M19]: normal numbers of mean 0 and variance 1. The functions depend on
// their arguments alone. Needs dropout_block_words (keep.wgsl). On the CPU: src/cpu/gaussian.rs.

// Two normal numbers from two words, by the method of Box and Muller (1958) [M19]. The angle lies
// in [-pi, pi), where WGSL bounds the error of sin and cos.
fn dropout_normal_pair(words: vec2<u32>) -> vec2<f32> {
    // Both numbers are exact: they have 23 bits, and the first one a half more.
    let uniform_a = (f32(words.x >> 9u) + 0.5) * 0x1p-23;
    let uniform_b = f32(words.y >> 9u) * 0x1p-23;
    // An adapter's log of a number just below 1 may be above 0.
    let radius = sqrt(max(-2.0 * log(uniform_a), 0.0));
    let angle = 6.28318530717958647692 * (uniform_b - 0.5);
    return radius * vec2<f32>(cos(angle), sin(angle));
}

// The block of a mask index in domain 2, where four indices share a block [M18].
fn dropout_normal_block_of(index: vec2<u32>) -> vec2<u32> {
    return vec2<u32>((index.x >> 2u) | (index.y << 30u), index.y >> 2u);
}

// The numbers of a block's four lanes.
fn dropout_normals(mask: DropoutMask, block: vec2<u32>) -> vec4<f32> {
    let words = dropout_block_words(mask, block, 2u);
    return vec4<f32>(dropout_normal_pair(words.xy), dropout_normal_pair(words.zw));
}

// The number of one mask index.
fn dropout_normal_at(mask: DropoutMask, index: vec2<u32>) -> f32 {
    let words = dropout_block_words(mask, dropout_normal_block_of(index), 2u);
    let pair = dropout_normal_pair(select(words.xy, words.zw, (index.x & 2u) != 0u));
    return select(pair.x, pair.y, (index.x & 1u) != 0u);
}
