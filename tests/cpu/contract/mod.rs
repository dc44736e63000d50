//! The contract's numbers, without a device.

#[cfg(feature = "cpu")]
mod act;
#[cfg(feature = "cpu")]
mod add;
#[cfg(feature = "ndarray")]
mod arrays;
mod call;
#[cfg(feature = "cpu")]
mod columns;
#[cfg(feature = "cpu")]
mod cpu;
#[cfg(feature = "cpu")]
mod elements;
#[cfg(feature = "serde")]
mod files;
#[cfg(feature = "cpu")]
mod foreign;
#[cfg(feature = "cpu")]
mod kinds;
#[cfg(feature = "cpu")]
mod layers;
mod layout;
mod mask_params;
#[cfg(feature = "cpu")]
mod mesh;
#[cfg(feature = "cpu")]
mod noise;
#[cfg(feature = "cpu")]
mod norm;
#[cfg(feature = "cpu")]
mod pairs;
mod pattern;
mod rate;
mod reference;
#[cfg(feature = "cpu")]
mod softmax;
#[cfg(feature = "cpu")]
mod ways;
