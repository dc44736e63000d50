//! Philox4x32 (Salmon et al., SC'11), as in `shaders/mask/philox.wgsl`; vectors in
//! `tests/data/philox4x32.kat`.

// Names and values are those of Random123's philox.h.
const PHILOX_M4X32_0: u32 = 0xD251_1F53;
const PHILOX_M4X32_1: u32 = 0xCD9E_8D57;
const PHILOX_W32_0: u32 = 0x9E37_79B9;
const PHILOX_W32_1: u32 = 0xBB67_AE85;

/// One block: four random words [M2].
pub fn philox4x32(rounds: u32, counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    let [mut k0, mut k1] = key;
    for _ in 0..rounds {
        let (hi0, lo0) = mul_hi_lo(PHILOX_M4X32_0, c0);
        let (hi1, lo1) = mul_hi_lo(PHILOX_M4X32_1, c2);
        [c0, c1, c2, c3] = [hi1 ^ c1 ^ k0, lo1, hi0 ^ c3 ^ k1, lo0];
        // The key after the last round is not used.
        k0 = k0.wrapping_add(PHILOX_W32_0);
        k1 = k1.wrapping_add(PHILOX_W32_1);
    }
    [c0, c1, c2, c3]
}

/// The blocks of consecutive counters. A counter is a 128-bit number, lowest word first, that
/// wraps.
pub fn philox_blocks(rounds: u32, counter: [u32; 4], key: [u32; 2], blocks: u64) -> Vec<[u32; 4]> {
    let [c0, c1, c2, c3] = counter.map(u128::from);
    let first = c0 | c1 << 32 | c2 << 64 | c3 << 96;
    (0..blocks)
        .map(|block| {
            let c = first.wrapping_add(u128::from(block));
            let counter = [
                c as u32,
                (c >> 32) as u32,
                (c >> 64) as u32,
                (c >> 96) as u32,
            ];
            philox4x32(rounds, counter, key)
        })
        .collect()
}

fn mul_hi_lo(a: u32, b: u32) -> (u32, u32) {
    let product = u64::from(a) * u64::from(b);
    ((product >> 32) as u32, product as u32)
}
