//! The contract in numbers, without a device.

mod call;
#[cfg(feature = "cpu")]
mod cpu;
#[cfg(feature = "cpu")]
mod elements;
#[cfg(feature = "cpu")]
mod kinds;
#[cfg(feature = "cpu")]
mod layers;
mod layout;
#[cfg(feature = "cpu")]
mod pairs;
mod rate;
mod reference;
