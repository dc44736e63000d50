//! The call, as the page's controls set it.

use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;
use wgpu_dropout::{DropoutCall, DropoutRate, MaskKey};

/// One application of dropout: everything that decides a mask.
#[wasm_bindgen]
#[derive(Clone, Copy, Debug)]
pub struct Call(pub(crate) DropoutCall);

#[wasm_bindgen]
impl Call {
    /// Drops with probability `p`, by the mask `stream` of the run `seed`.
    #[wasm_bindgen(constructor)]
    pub fn new(p: f64, seed: u64, stream: u64) -> Result<Call, JsError> {
        let rate = DropoutRate::new(p)?;
        Ok(Self(DropoutCall::new(rate, MaskKey::new(seed, stream))))
    }

    /// The factor on kept elements.
    #[wasm_bindgen(getter, js_name = keepScale)]
    pub fn keep_scale(&self) -> f32 {
        self.0.keep_scale()
    }
}
