//! The number of buffers of one size. There are enough of them that caches do not hold them all.

use std::fs;

use anyhow::{Context, Result, ensure};
use wgpu_dropout::{Element, cpu};

use super::dtype::Dtype;
use crate::engine::Gpu;

/// The cache of a CPU that does not tell its size.
const ASSUMED_CPU_CACHE_BYTES: u64 = 64 << 20;

/// The cache of a GPU, which wgpu does not tell. The largest today is AMD's of 256 MiB.
const ASSUMED_GPU_CACHE_BYTES: u64 = 256 << 20;

/// The most memory that is taken to exceed the caches.
const MAX_PAIRS_BYTES: u64 = 1 << 30;

/// The most pairs, since each takes a dispatch in one pass.
const MAX_PAIRS: u64 = 1024;

/// The largest offset alignment that WebGPU allows an adapter to require.
const ALIGNMENT_BYTES: u64 = 256;

/// The buffers of one size and type: `pairs` of tensors on the GPU and as many on the CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buffers {
    pub dtype: Dtype,
    /// Elements of a tensor.
    pub len: usize,
    /// The number of pairs. A run goes once through all of them.
    pub pairs: usize,
    /// The largest cache of the machine, or the assumed one.
    pub cache_bytes: u64,
}

impl Buffers {
    /// Plans pairs of twice the cache's size, so that a run finds nothing in the cache from the
    /// last run.
    pub fn plan(dtype: Dtype, len: usize, gpu: Option<&Gpu>) -> Result<Self> {
        let cpu_cache = last_level_cache_bytes().unwrap_or(ASSUMED_CPU_CACHE_BYTES);
        let cache_bytes = match gpu {
            Some(gpu) if !gpu.is_software() => cpu_cache.max(ASSUMED_GPU_CACHE_BYTES),
            _ => cpu_cache,
        };
        let one = Self {
            dtype,
            len,
            pairs: 1,
            cache_bytes,
        };
        let mut pairs = (2 * cache_bytes)
            .min(MAX_PAIRS_BYTES)
            .div_ceil(one.bytes())
            .min(MAX_PAIRS);
        if let Some(gpu) = gpu {
            let largest = gpu.device.limits().max_buffer_size;
            let needed = one.stride_bytes();
            ensure!(
                needed <= largest,
                "{len} elements of {dtype} need a buffer of {needed} bytes, but the adapter's largest \
                 has {largest}: lower --sizes"
            );
            pairs = pairs.min(largest / needed);
        }
        let buffers = Self {
            // The number is at most `MAX_PAIRS`.
            pairs: pairs as usize,
            ..one
        };
        Ok(buffers)
    }

    /// Bytes of one tensor.
    pub fn tensor_bytes(&self) -> u64 {
        self.dtype.bytes().saturating_mul(self.len as u64)
    }

    /// Bytes of all pairs, each of which has a tensor to read and one to write.
    pub fn bytes(&self) -> u64 {
        let tensors = (self.pairs as u64).saturating_mul(2);
        self.tensor_bytes().saturating_mul(tensors)
    }

    /// Bytes from one tensor to the next on the GPU.
    pub fn stride_bytes(&self) -> u64 {
        self.tensor_bytes()
            .checked_next_multiple_of(ALIGNMENT_BYTES)
            .unwrap_or(u64::MAX)
    }

    /// Returns true if a run may find data of the last run in the cache.
    pub fn fit_the_cache(&self) -> bool {
        self.bytes() < 2 * self.cache_bytes
    }
}

/// Checks that the machine has memory for `plans`. With `gpu` the adapter's buffers count too,
/// since a software adapter and some GPUs share the machine's memory.
pub fn check_memory(plans: &[Buffers], gpu: bool) -> Result<()> {
    let copies = if gpu { 2 } else { 1 };
    let sum = |sum: u64, plan: &Buffers| sum.saturating_add(plan.bytes().saturating_mul(copies));
    let needed = plans.iter().fold(0, sum);
    if let Some(available) = available_memory_bytes() {
        ensure!(
            needed <= available,
            "the buffers need {needed} bytes, but only {available} bytes of memory are left: lower \
             --sizes or take one --dtype at a time"
        );
    }
    Ok(())
}

/// A vector of zeros, or an error if there is no memory for it.
pub fn zeros<T: Element>(len: usize) -> Result<Vec<T>> {
    let mut tensor = Vec::new();
    tensor
        .try_reserve_exact(len)
        .with_context(|| format!("there is not enough memory for {len} elements: lower --sizes"))?;
    tensor.resize(len, T::zeroed());
    Ok(tensor)
}

/// Random multiples of 2^-23 from -1 to below 1, rounded to the type. None is subnormal in f32,
/// since some adapters flush such numbers.
pub fn random_input<T: Element>(len: usize) -> Result<Vec<T>> {
    const BLOCKS: usize = 1024;
    let mut input = zeros(len)?;
    let mut blocks = [[0; 4]; BLOCKS];
    for (piece, values) in (0..).zip(input.chunks_mut(4 * BLOCKS)) {
        cpu::philox_blocks(&mut blocks, [0, piece, 0, 0], [42, 0], 10)?;
        for (value, word) in values.iter_mut().zip(blocks.as_flattened()) {
            *value = T::from_f32((word >> 8) as f32 / (1 << 23) as f32 - 1.0);
        }
    }
    Ok(input)
}

/// The largest cache of the first processor, as Linux tells it.
fn last_level_cache_bytes() -> Option<u64> {
    fs::read_dir("/sys/devices/system/cpu/cpu0/cache")
        .ok()?
        .filter_map(|cache| {
            let size = fs::read_to_string(cache.ok()?.path().join("size")).ok()?;
            kibibytes(size.trim().strip_suffix('K')?)
        })
        .max()
}

/// Linux's estimate of what can be allocated without swapping.
fn available_memory_bytes() -> Option<u64> {
    let meminfo = fs::read_to_string("/proc/meminfo").ok()?;
    let mut lines = meminfo.lines();
    let available = lines.find_map(|line| line.strip_prefix("MemAvailable:"))?;
    kibibytes(available.strip_suffix("kB")?)
}

fn kibibytes(text: &str) -> Option<u64> {
    text.trim().parse::<u64>().ok()?.checked_mul(1024)
}
