// Philox4x32: a counter and a key make a block of four words [M2]. Pure; no bindings. Needs mul_wide
// and mul_wide_m0 (philox_u64.wgsl or philox_halves.wgsl) and PHILOX_ROUNDS, 7 or 10 (prelude).
// Source: Salmon et al., SC'11; constants, names and round order of Random123's philox.h.
// Twins: src/philox.rs, tests/common/reference/philox.rs. Vectors: tests/data/philox4x32.kat.

const PHILOX_M4x32_0: u32 = 0xD2511F53u;
const PHILOX_M4x32_1: u32 = 0xCD9E8D57u;
// Weyl increments of the two key words.
const PHILOX_W32: vec2<u32> = vec2<u32>(0x9E3779B9u, 0xBB67AE85u);

fn philox4x32_round(counter: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
    let p0 = mul_wide_m0(counter.x);
    let p1 = mul_wide(PHILOX_M4x32_1, counter.z);
    return vec4<u32>(p1.y ^ counter.y ^ key.x, p1.x, p0.y ^ counter.w ^ key.y, p0.x);
}

// Unrolled: a loop would count against the 65,535 turns after which Mesa 22's llvmpipe ends an
// invocation, and naga would guard each turn.
fn philox4x32(counter: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
    var c = counter;
    var k = key;
    c = philox4x32_round(c, k); k += PHILOX_W32;
    c = philox4x32_round(c, k); k += PHILOX_W32;
    c = philox4x32_round(c, k); k += PHILOX_W32;
    c = philox4x32_round(c, k); k += PHILOX_W32;
    c = philox4x32_round(c, k); k += PHILOX_W32;
    c = philox4x32_round(c, k); k += PHILOX_W32;
    c = philox4x32_round(c, k);
    if PHILOX_ROUNDS == 10u {
        k += PHILOX_W32; c = philox4x32_round(c, k);
        k += PHILOX_W32; c = philox4x32_round(c, k);
        k += PHILOX_W32; c = philox4x32_round(c, k);
    }
    return c;
}
