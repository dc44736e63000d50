// The 64-bit product of two words as (low, high), where the device has SHADER_INT64. Needs
// PHILOX_M4x32_0 (philox.wgsl).
fn mul_wide(a: u32, b: u32) -> vec2<u32> {
    let product = u64(a) * u64(b);
    return vec2<u32>(u32(product), u32(product >> 32u));
}

fn mul_wide_m0(b: u32) -> vec2<u32> {
    return mul_wide(PHILOX_M4x32_0, b);
}
