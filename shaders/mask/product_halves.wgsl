// The 64-bit product of two words as (low, high). It is computed from 16-bit halves, since WGSL has
// no wide multiplication. Needs DROPOUT_PHILOX_M4X32_A (philox.wgsl). No partial sum exceeds 32
// bits: (2^16-1)^2 + (2^16-1) < 2^32. A GPU needs as long for one product of whole words as for
// four of these.
fn dropout_mul_wide(a: u32, b: u32) -> vec2<u32> {
    let a_low = a & 0xffffu;
    let a_high = a >> 16u;
    let b_low = b & 0xffffu;
    let b_high = b >> 16u;
    let low = a_low * b_low;
    let middle = a_high * b_low + (low >> 16u);
    let cross = a_low * b_high + (middle & 0xffffu);
    let high = a_high * b_high + (middle >> 16u) + (cross >> 16u);
    return vec2<u32>((cross << 16u) | (low & 0xffffu), high);
}

// The product with Philox's first multiplier. 0xD251 + 0x1F53 < 2^16, so both cross products plus
// the carry fit in 32 bits and need one chain of sums.
fn dropout_mul_wide_a(b: u32) -> vec2<u32> {
    let a_low = DROPOUT_PHILOX_M4X32_A & 0xffffu;
    let a_high = DROPOUT_PHILOX_M4X32_A >> 16u;
    let b_low = b & 0xffffu;
    let b_high = b >> 16u;
    let low = a_low * b_low;
    let mixed = a_high * b_low + a_low * b_high + (low >> 16u);
    return vec2<u32>((mixed << 16u) | (low & 0xffffu), a_high * b_high + (mixed >> 16u));
}
