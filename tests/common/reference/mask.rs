//! The keep decisions, as in `shaders/mask/keep.wgsl`; vectors in `tests/data/mask_v1.kat`.

use super::philox::philox4x32;

/// u(i) [M1]. It always draws from both domains, even where the first one decides [M7].
pub fn uniform(seed: u64, stream: u64, index: u64) -> u32 {
    half(0, seed, stream, index) << 16 | half(1, seed, stream, index)
}

/// 16 random bits, as a number below 65,536 [M4], [M6].
fn half(domain: u32, seed: u64, stream: u64, index: u64) -> u32 {
    let block = index >> 3;
    let lane = index & 7;
    let word = words(domain, seed, stream, block)[lane as usize >> 1];
    (word >> (16 * (lane & 1))) & 0xFFFF
}

/// A block [M3], [M5].
fn words(domain: u32, seed: u64, stream: u64, block: u64) -> [u32; 4] {
    let counter = [
        lo32(block),
        hi32(block) | domain << 29,
        lo32(stream),
        hi32(stream),
    ];
    philox4x32(10, counter, [lo32(seed), hi32(seed)])
}

/// The seed and the stream of the key that folding `n` into this key gives [M21].
///
/// # Panics
/// If `n` is 2^61 or more.
pub fn fold_in(seed: u64, stream: u64, n: u64) -> (u64, u64) {
    assert!(n < 1 << 61, "{n} has no block");
    let [w0, w1, w2, w3] = words(3, seed, stream, n).map(u64::from);
    (w0 + w1 * 4_294_967_296, w2 + w3 * 4_294_967_296)
}

/// D [M8].
pub fn drop_threshold(p: f64) -> u64 {
    // A product by a power of two is exact, so this rounds once.
    (p * 4_294_967_296.0).round_ties_even() as u64
}

pub fn keeps(p: f64, seed: u64, stream: u64, index: u64) -> bool {
    u64::from(uniform(seed, stream, index)) >= drop_threshold(p)
}

/// The mask index of every element, in row-major order [M13].
///
/// # Panics
/// If an index is above 2^64 - 1 [M1].
pub fn indices(shape: &[u64], strides: &[u64], origin: u64) -> Vec<u64> {
    assert_eq!(shape.len(), strides.len(), "a stride for every dimension");
    // 128 bits: in a layout without elements, intermediate sums may pass 64 bits.
    let mut indices = vec![u128::from(origin)];
    for (&size, &stride) in shape.iter().zip(strides) {
        let steps = || (0..size).map(|coordinate| u128::from(coordinate) * u128::from(stride));
        indices = indices
            .iter()
            .flat_map(|start| steps().map(move |step| start + step))
            .collect();
    }
    indices
        .into_iter()
        .map(|index| u64::try_from(index).expect("index above 2^64 - 1"))
        .collect()
}

/// The keep mask as words: element e in bit e & 31 of word e >> 5, 1 = kept, spare bits 0 [M15].
pub fn packed_mask(p: f64, seed: u64, stream: u64, indices: impl Iterator<Item = u64>) -> Vec<u32> {
    let mut words = Vec::new();
    for (element, index) in indices.enumerate() {
        if element & 31 == 0 {
            words.push(0);
        }
        words[element >> 5] |= u32::from(keeps(p, seed, stream, index)) << (element & 31);
    }
    words
}

fn lo32(x: u64) -> u32 {
    x as u32
}

fn hi32(x: u64) -> u32 {
    (x >> 32) as u32
}
