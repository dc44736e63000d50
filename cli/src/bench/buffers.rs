//! How many buffers of one size, so that the caches do not hold them.

use std::fs;

use anyhow::{Context, Result, ensure};
use wgpu_dropout::{Element, cpu};

use super::dtype::Dtype;
use crate::engine::Gpu;

/// Where the machine does not tell.
const ASSUMED_CPU_CACHE_BYTES: u64 = 64 << 20;

/// wgpu does not tell a GPU's; the largest today is AMD's 256 MiB.
const ASSUMED_GPU_CACHE_BYTES: u64 = 256 << 20;

/// More than this is not taken for the sake of the caches.
const MAX_PAIRS_BYTES: u64 = 1 << 30;

/// More dispatches than this are not recorded at once.
const MAX_PAIRS: u64 = 1024;

/// WebGPU lets no adapter ask for a larger alignment.
const ALIGNMENT_BYTES: u64 = 256;

/// The buffers of one size and type: `pairs` of tensors on the GPU and as many on the CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buffers {
    pub dtype: Dtype,
    /// Elements of a tensor.
    pub len: usize,
    /// A run goes once through all of them.
    pub pairs: usize,
    /// The largest cache that there is or may be.
    pub cache_bytes: u64,
}

impl Buffers {
    /// Pairs of twice the cache's size, so that a run finds nothing that the last one left there.
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
                "{len} elements of {dtype} need a buffer of {needed} bytes, the adapter's largest has {largest}: \
                 lower --sizes"
            );
            pairs = pairs.min(largest / needed);
        }
        let buffers = Self {
            // At most `MAX_PAIRS`.
            pairs: pairs as usize,
            ..one
        };
        Ok(buffers)
    }

    /// Bytes of one tensor.
    pub fn tensor_bytes(&self) -> u64 {
        self.dtype.bytes().saturating_mul(self.len as u64)
    }

    /// Bytes of all pairs: in each a tensor is read and one is written.
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

    /// Returns true if a run may find in the cache what the last one left.
    pub fn fit_the_cache(&self) -> bool {
        self.bytes() < 2 * self.cache_bytes
    }
}

/// A software adapter's memory is the machine's too, and so may a GPU's be.
pub fn check_memory(plans: &[Buffers], gpu: bool) -> Result<()> {
    let copies = if gpu { 2 } else { 1 };
    let sum = |sum: u64, plan: &Buffers| sum.saturating_add(plan.bytes().saturating_mul(copies));
    let needed = plans.iter().fold(0, sum);
    if let Some(available) = available_memory_bytes() {
        ensure!(
            needed <= available,
            "{needed} bytes of buffers are needed, {available} bytes of memory are left: lower \
             --sizes or take one --dtype at a time"
        );
    }
    Ok(())
}

/// Zeros, or an error where the allocator has no memory for them.
pub fn zeros<T: Element>(len: usize) -> Result<Vec<T>> {
    let mut tensor = Vec::new();
    tensor
        .try_reserve_exact(len)
        .with_context(|| format!("there is no memory for {len} elements: lower --sizes"))?;
    tensor.resize(len, T::zeroed());
    Ok(tensor)
}

/// Multiples of 2^-23 from -1 on and below 1, then of the type: no subnormals of f32, which some
/// adapters flush.
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

/// Linux's word for the caches of the first processor.
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
