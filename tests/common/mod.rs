//! Shared parts of the test binaries: the naive reference, the known answers, the inputs, the
//! comparisons.
#![allow(dead_code, unused_imports, reason = "each test binary uses a part")]

pub mod act;
pub mod add;
pub mod compare;
pub mod elements;
pub mod inputs;
pub mod kinds;
pub mod layers;
pub mod norm;
pub mod random_layouts;
pub mod reference;
pub mod softmax;
pub mod vectors;
