//! The texts that take a driver the fewest instructions. A driver is known by its name in
//! `AdapterInfo`. The figures are in benches/records/2026-11-28-gpu-candidates.txt.

use crate::kernel::axes::{BlockAccess, Multiply};

/// The product of words, on a device that may use `features`. Adreno has no 64-bit product, and
/// Turnip makes more instructions of its parts than halves have.
pub fn multiply(features: wgpu::Features, driver: &str) -> Multiply {
    let has_u64 = features.contains(wgpu::Features::SHADER_INT64);
    match has_u64 && driver != "turnip Mesa driver" {
        true => Multiply::U64,
        false => Multiply::Halves,
    }
}

/// The access to whole mask blocks. These three drivers split a vector of 16 bytes into four
/// accesses, each with an address and a check of its bounds, and split no `u64`. For other drivers
/// a vector is one access, or two of `u64` become one again.
pub fn block_access(multiply: Multiply, driver: &str) -> BlockAccess {
    const SPLIT_VECTORS: [&str; 3] = ["NVK", "Honeykrisp", "llvmpipe"];
    match multiply == Multiply::U64 && SPLIT_VECTORS.contains(&driver) {
        true => BlockAccess::U64,
        false => BlockAccess::Vectors,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_gets_the_text_of_its_fewest_instructions() {
        for (driver, product, blocks) in [
            ("NVK", Multiply::U64, BlockAccess::U64),
            ("Honeykrisp", Multiply::U64, BlockAccess::U64),
            ("llvmpipe", Multiply::U64, BlockAccess::U64),
            ("radv", Multiply::U64, BlockAccess::Vectors),
            ("NVIDIA", Multiply::U64, BlockAccess::Vectors),
            ("", Multiply::U64, BlockAccess::Vectors),
            ("turnip Mesa driver", Multiply::Halves, BlockAccess::Vectors),
        ] {
            let by = multiply(wgpu::Features::SHADER_INT64, driver);
            assert_eq!(
                (by, block_access(by, driver)),
                (product, blocks),
                "{driver}"
            );
            let by = multiply(wgpu::Features::IMMEDIATES, driver);
            let portable = (Multiply::Halves, BlockAccess::Vectors);
            assert_eq!((by, block_access(by, driver)), portable, "{driver}");
        }
    }
}
