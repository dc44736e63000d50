//! What the test binaries share: the naive twin, the known answers and the comparisons.
#![allow(dead_code, reason = "each test binary uses a part")]

pub mod compare;
pub mod reference;
pub mod vectors;
