//! Tests that need no adapter.

#[path = "../common/mod.rs"]
mod common;
mod contract;
mod layers;
mod negative;
mod validation;
