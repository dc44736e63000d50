// The 64-bit product of two words as (low, high), for devices with SHADER_INT64. Needs
// DROPOUT_PHILOX_M4X32_A (philox.wgsl).
fn dropout_mul_wide(a: u32, b: u32) -> vec2<u32> {
    let product = u64(a) * u64(b);
    return vec2<u32>(u32(product), u32(product >> 32u));
}

fn dropout_mul_wide_a(b: u32) -> vec2<u32> {
    return dropout_mul_wide(DROPOUT_PHILOX_M4X32_A, b);
}
