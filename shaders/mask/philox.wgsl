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

// The keys of the rounds after the first.
struct DropoutRoundKeys {
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

fn dropout_round_keys(key: vec2<u32>) -> DropoutRoundKeys {
    let k1 = key + DROPOUT_PHILOX_W32;
    let k2 = k1 + DROPOUT_PHILOX_W32;
    let k3 = k2 + DROPOUT_PHILOX_W32;
    let k4 = k3 + DROPOUT_PHILOX_W32;
    let k5 = k4 + DROPOUT_PHILOX_W32;
    let k6 = k5 + DROPOUT_PHILOX_W32;
    let k7 = k6 + DROPOUT_PHILOX_W32;
    let k8 = k7 + DROPOUT_PHILOX_W32;
    let k9 = k8 + DROPOUT_PHILOX_W32;
    return DropoutRoundKeys(k1, k2, k3, k4, k5, k6, k7, k8, k9);
}

// The rounds after the first. They are unrolled: a loop would count against the 65,535 turns after
// which Mesa 22's llvmpipe ends an invocation, and naga would add a guard to each turn.
fn dropout_philox_after_first(first: vec4<u32>, keys: DropoutRoundKeys) -> vec4<u32> {
    var c = first;
    c = dropout_philox_round(c, keys.k1);
    c = dropout_philox_round(c, keys.k2);
    c = dropout_philox_round(c, keys.k3);
    c = dropout_philox_round(c, keys.k4);
    c = dropout_philox_round(c, keys.k5);
    c = dropout_philox_round(c, keys.k6);
    if DROPOUT_PHILOX_ROUNDS == 10u {
        c = dropout_philox_round(c, keys.k7);
        c = dropout_philox_round(c, keys.k8);
        c = dropout_philox_round(c, keys.k9);
    }
    return c;
}

fn dropout_philox(counter: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
    return dropout_philox_after_first(dropout_philox_round(counter, key), dropout_round_keys(key));
}
