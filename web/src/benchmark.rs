//! Measures dropout of one size, and a copy of the same bytes.

use futures_channel::oneshot;
use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;
use wgpu::BufferUsages as Usage;
use wgpu_dropout::{Dropout, DropoutBinding, KernelDescriptor};

use crate::call::Call;
use crate::gpu::{Gpu, checked};

#[wasm_bindgen]
extern "C" {
    /// The page's clock, in milliseconds.
    #[wasm_bindgen(js_namespace = performance)]
    fn now() -> f64;
}

/// A tensor of f32, and the buffer for its dropout.
#[wasm_bindgen]
pub struct Benchmark {
    device: wgpu::Device,
    queue: wgpu::Queue,
    dropout: Dropout,
    binding: DropoutBinding,
}

#[wasm_bindgen]
impl Gpu {
    /// Makes a benchmark of this many elements.
    pub async fn benchmark(&self, elements: u32) -> Result<Benchmark, JsError> {
        checked(&self.device, || {
            let bytes = 4 * u64::from(elements);
            let [input, output] = ["input", "output"].map(|label| {
                self.device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some(label),
                    size: bytes,
                    usage: Usage::STORAGE,
                    mapped_at_creation: false,
                })
            });
            let dropout = Dropout::new(&self.device, &KernelDescriptor::default())?;
            let whole = wgpu::Buffer::as_entire_buffer_binding;
            Ok(Benchmark {
                device: self.device.clone(),
                queue: self.queue.clone(),
                binding: dropout.bind(whole(&input), whole(&output), u64::from(elements))?,
                dropout,
            })
        })
        .await
    }
}

#[wasm_bindgen]
impl Benchmark {
    /// Milliseconds from the submission of `repetitions` forwards to their end, without their
    /// recording. With a rate of 0 this times the library's own bit copy.
    pub async fn time(&self, call: &Call, repetitions: u32) -> Result<f64, JsError> {
        let (sender, receiver) = oneshot::channel();
        let start = checked(&self.device, || {
            let mut encoder = self.device.create_command_encoder(&Default::default());
            let mut pass = encoder.begin_compute_pass(&Default::default());
            for _ in 0..repetitions {
                self.dropout
                    .encode_forward(&mut pass, &self.binding, &call.0)?;
            }
            drop(pass);
            let commands = encoder.finish();
            let start = now();
            self.queue.submit([commands]);
            self.queue.on_submitted_work_done(move || {
                // The receiver exists unless this run has already failed.
                let _ = sender.send(now());
            });
            Ok(start)
        })
        .await?;
        Ok(receiver.await? - start)
    }
}
