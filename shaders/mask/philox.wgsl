// Philox4x32: a counter and a key make a block of four words [M2]. Needs dropout_mul_wide and
// dropout_mul_wide_a (the product) and DROPOUT_PHILOX_ROUNDS, 7 or 10.
// Source: Salmon et al., SC'11; constants and round order of Random123's philox.h.
// On the CPU: src/cpu/philox.rs; the tests' reference: tests/common/reference/philox.rs. Vectors:
// tests/data/philox4x32.kat.

const DROPOUT_PHILOX_M4X32_A: u32 = 0xD2511F53u;
const DROPOUT_PHILOX_M4X32_B: u32 = 0xCD9E8D57u;
// Weyl increments of the two key words.
const DROPOUT_PHILOX_W32: vec2<u32> = vec2<u32>(0x9E3779B9u, 0xBB67AE85u);

fn dropout_philox_round(counter: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
    let a = dropout_mul_wide_a(counter.x);
    let b = dropout_mul_wide(DROPOUT_PHILOX_M4X32_B, counter.z);
    return vec4<u32>(b.y ^ counter.y ^ key.x, b.x, a.y ^ counter.w ^ key.y, a.x);
}

// The rounds are unrolled. A loop would count against the 65,535 turns after which Mesa 22's
// llvmpipe ends an invocation, and naga would add a guard to each turn.
fn dropout_philox(counter: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
    var c = counter;
    var k = key;
    c = dropout_philox_round(c, k); k += DROPOUT_PHILOX_W32;
    c = dropout_philox_round(c, k); k += DROPOUT_PHILOX_W32;
    c = dropout_philox_round(c, k); k += DROPOUT_PHILOX_W32;
    c = dropout_philox_round(c, k); k += DROPOUT_PHILOX_W32;
    c = dropout_philox_round(c, k); k += DROPOUT_PHILOX_W32;
    c = dropout_philox_round(c, k); k += DROPOUT_PHILOX_W32;
    c = dropout_philox_round(c, k);
    if DROPOUT_PHILOX_ROUNDS == 10u {
        k += DROPOUT_PHILOX_W32; c = dropout_philox_round(c, k);
        k += DROPOUT_PHILOX_W32; c = dropout_philox_round(c, k);
        k += DROPOUT_PHILOX_W32; c = dropout_philox_round(c, k);
    }
    return c;
}
