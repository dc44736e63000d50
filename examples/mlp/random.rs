//! The host's random numbers, weights and orders, from the library's Philox. They depend on the
//! seed alone.

use wgpu_dropout::{CpuError, MaskKey, cpu};

/// The layer numbers of these streams. Dropout layers count from 0, so the streams never meet.
const WEIGHTS: u32 = u32::MAX;
const ORDER: u32 = u32::MAX - 1;

/// `len` weights of layer `layer`: uniform with variance 2 / `inputs` (He et al. 2015).
pub fn weights(seed: u64, layer: u32, inputs: u32, len: usize) -> Result<Vec<f32>, CpuError> {
    let bound = (6.0 / f64::from(inputs)).sqrt();
    let words = words(MaskKey::layer_step(seed, WEIGHTS, layer), len)?;
    let uniform = |word: u32| (f64::from(word) + 0.5) / 4_294_967_296.0;
    Ok(words
        .into_iter()
        .map(|word| (bound * (2.0 * uniform(word) - 1.0)) as f32)
        .collect())
}

/// The order of `len` examples in an epoch.
pub fn order(seed: u64, epoch: u32, len: u32) -> Result<Vec<u32>, CpuError> {
    let words = words(MaskKey::layer_step(seed, ORDER, epoch), 2 * len as usize)?;
    let mut order: Vec<u32> = (0..len).collect();
    order.sort_by_key(|&example| {
        let i = 2 * example as usize;
        (words[i], words[i + 1])
    });
    Ok(order)
}

/// The Philox words of `key`.
pub fn words(key: MaskKey, len: usize) -> Result<Vec<u32>, CpuError> {
    let halves = |number: u64| [number as u32, (number >> 32) as u32];
    let [low, high] = halves(key.stream);
    let mut blocks = vec![[0; 4]; len.div_ceil(4)];
    cpu::philox_blocks(&mut blocks, [0, 0, low, high], halves(key.seed), 10)?;
    let mut words = blocks.concat();
    words.truncate(len);
    Ok(words)
}
