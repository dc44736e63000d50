//! The functions that the page in `page/` calls. They take and return numbers; the page draws them.
//!
//! `cargo xtask web` builds and serves it.

mod audit;
mod benchmark;
mod call;
mod gpu;
mod image;
mod step;

use wasm_bindgen::prelude::wasm_bindgen;

/// The library's version.
#[wasm_bindgen]
pub fn version() -> String {
    // All packages of the workspace have the same version.
    env!("CARGO_PKG_VERSION").to_owned()
}

/// The mask contract's version.
#[wasm_bindgen(js_name = contractVersion)]
pub fn contract_version() -> u32 {
    wgpu_dropout::mask::MASK_VERSION
}
