//! The mask contract for CubeCL: one source for WGSL, SPIR-V, MSL, CUDA and HIP.
//!
//! Numbers of 64 bits are two of 32, since not every runtime has the type. Numbers in brackets are those
//! of MASK_CONTRACT.md.

#![allow(
    unused_qualifications,
    reason = "the macro's, in functions that call themselves"
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
