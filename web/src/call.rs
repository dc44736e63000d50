//! The call that the page's controls set.

use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;
use wgpu_dropout::{DropoutCall, DropoutRate, MaskKey};

/// One application of dropout: the rate and the key, which decide the mask.
#[wasm_bindgen]
#[derive(Clone, Copy, Debug)]
pub struct Call(pub(crate) DropoutCall);

#[wasm_bindgen]
impl Call {
    /// Makes a call with the rate `p` and the key of `seed` and `stream`.
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
