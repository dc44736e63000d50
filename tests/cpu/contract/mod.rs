//! The contract in numbers, without a device.

mod call;
#[cfg(feature = "cpu")]
mod cpu;
mod rate;
mod reference;
