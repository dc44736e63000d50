//! Pipelines that are compiled with the caller's cache.

use wgpu::Features;
use wgpu_dropout::{Dropout, KernelDescriptor};

use crate::case::{Case, text};
use crate::common::inputs::call;
use crate::gpu::Gpu;

pub const CASES: &[Case] = &[Case::new("cache", cache).needing(Features::PIPELINE_CACHE)];

/// A saved cache serves the next run, with the same bits. Its content is up to the driver: lavapipe
/// of Mesa 22.3 saves only a header.
fn cache(gpu: &Gpu) -> Result<(), String> {
    let words = |dropout: &Dropout| {
        let buffer = gpu.upload(&[1.0f32.to_bits(); 64]);
        let binding = dropout
            .bind_in_place(buffer.as_entire_buffer_binding(), 64)
            .map_err(text)?;
        let call = call(0.5, 0);
        dropout.compile(&binding, &call).map_err(text)?;
        gpu.submit(|pass| dropout.encode_forward(pass, &binding, &call).map_err(text))?;
        gpu.download(&buffer)
    };
    let expected = words(&gpu.dropout)?;
    let mut saved: Option<Vec<u8>> = None;
    for run in ["first", "second"] {
        let descriptor = wgpu::PipelineCacheDescriptor {
            label: Some("test"),
            data: saved.as_deref(),
            fallback: false,
        };
        // SAFETY: the data is missing, or this device made it.
        let cache = unsafe { gpu.device.create_pipeline_cache(&descriptor) };
        let descriptor = KernelDescriptor {
            pipeline_cache: Some(&cache),
            ..Default::default()
        };
        let dropout = Dropout::new(&gpu.device, &descriptor).map_err(text)?;
        if words(&dropout)? != expected {
            return Err(format!("the {run} run has other bits"));
        }
        saved = cache.get_data();
        if saved.is_none() {
            return Err(format!("the {run} run's cache has no data"));
        }
    }
    Ok(())
}
