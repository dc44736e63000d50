// The 64-bit product of two words as (low, high), from 16-bit halves: WGSL has no wide multiply.
// Needs PHILOX_M4x32_0 (philox.wgsl).
// No partial sum exceeds 32 bits: (2^16-1)^2 + (2^16-1) < 2^32. A whole product of 32 bits would
// cost a GPU four of these.
fn mul_wide(a: u32, b: u32) -> vec2<u32> {
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

// The same for PHILOX_M4x32_0, whose halves together have 16 bits: both mixed products and what low
// carries fit into 32.
fn mul_wide_m0(b: u32) -> vec2<u32> {
    let a_low = PHILOX_M4x32_0 & 0xffffu;
    let a_high = PHILOX_M4x32_0 >> 16u;
    let b_low = b & 0xffffu;
    let b_high = b >> 16u;
    let low = a_low * b_low;
    let mixed = a_high * b_low + a_low * b_high + (low >> 16u);
    return vec2<u32>((mixed << 16u) | (low & 0xffffu), a_high * b_high + (mixed >> 16u));
}
