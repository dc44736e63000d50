//! The mask contract for CubeCL: one source for WGSL, SPIR-V, MSL, CUDA and HIP.
//!
//! A 64-bit number is two 32-bit numbers, since not every runtime has a 64-bit type. Numbers in
//! brackets are clauses of MASK_CONTRACT.md.

#![allow(
    unused_qualifications,
    reason = "the macro writes them in functions that call themselves"
)]

pub(crate) mod activation;
pub(crate) mod beside;
pub(crate) mod dropout;
pub(crate) mod element;
pub(crate) mod groups;
pub(crate) mod index;
pub(crate) mod mask;
pub(crate) mod noise;
pub(crate) mod normed;
pub(crate) mod philox;
pub(crate) mod rows;
pub(crate) mod softmax;
#[cfg(feature = "fusion")]
pub(crate) mod traced;
