//! Sweeps that every layout and direction of dropout must pass.

use crate::common::inputs::{LENGTHS, RATES, call, origins};
use crate::gpu::Gpu;
use crate::run::{Item, Mode, check_dropout};

/// Every length at every origin. They cover the ends of blocks, words and workgroups, and the last
/// mask index.
pub fn lengths(gpu: &Gpu, mode: Mode) -> Result<(), String> {
    let items: Vec<Item> = LENGTHS
        .iter()
        .flat_map(|&len| origins(len).into_iter().map(move |origin| (len, origin)))
        .map(|(len, origin)| Item::new(call(0.3, origin), len))
        .collect();
    check_dropout(gpu, mode, &items)
}

/// Every rate, with lengths and origins for kernels with and without whole blocks.
pub fn rates(gpu: &Gpu, mode: Mode) -> Result<(), String> {
    let items: Vec<Item> = RATES
        .iter()
        .flat_map(|&p| [(2047, 0), (2048, 0), (2048, 5), (2051, 0), (2051, 3)].map(|at| (p, at)))
        .map(|(p, (len, origin))| Item::new(call(p, origin), len))
        .collect();
    check_dropout(gpu, mode, &items)
}

/// Lengths around 65,536 elements. From there on, the elements after the last whole block have a
/// dispatch of their own.
pub fn long(gpu: &Gpu, mode: Mode) -> Result<(), String> {
    let items: Vec<Item> = (65_535..=65_545)
        .zip(origins(65_545).into_iter().cycle())
        .map(|(len, origin)| (len, origin & !7))
        .chain([(65_544, 3), (65_545, 3), (65_545, u64::MAX - 65_544)])
        .map(|(len, origin)| Item::new(call(0.1, origin), len))
        .collect();
    check_dropout(gpu, mode, &items)
}
