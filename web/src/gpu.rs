//! The browser's GPU, and a dropout layer on its buffers.

use futures_channel::oneshot;
use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;
use wgpu::{BufferUsages as Usage, Features};
use wgpu_dropout::{
    Dropout, DropoutBinding, KeepMask, KeepMaskBinding, KernelDescriptor, mask::mask_words,
};

use crate::call::Call;
use crate::image::{self, Kind};
use crate::step::Step;

/// A device of the browser's adapter.
#[wasm_bindgen]
pub struct Gpu {
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
}

#[derive(Debug, thiserror::Error)]
#[error("the GPU refused: {message}")]
struct Refused {
    message: String,
}

#[wasm_bindgen]
impl Gpu {
    /// The adapter that the browser prefers, or an error that says why there is none.
    pub async fn request() -> Result<Gpu, JsError> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        let adapter = instance.request_adapter(&Default::default()).await?;
        // The library uses both features if the adapter has them.
        let features = Features::SHADER_INT64 | Features::IMMEDIATES;
        let (device, queue) = adapter
            .request_device(&wgpu::DeviceDescriptor {
                label: Some("wgpu-dropout"),
                required_features: adapter.features() & features,
                required_limits: adapter.limits(),
                ..Default::default()
            })
            .await?;
        Ok(Self { device, queue })
    }

    /// Makes a dropout layer for images of this size.
    pub async fn layer(&self, rows: u32, columns: u32, kind: Kind) -> Result<Layer, JsError> {
        checked(&self.device, || Layer::new(self, rows, columns, kind)).await
    }
}

/// Runs `work` and returns an error that the device reports meanwhile.
pub(crate) async fn checked<T>(
    device: &wgpu::Device,
    work: impl FnOnce() -> Result<T, JsError>,
) -> Result<T, JsError> {
    let out_of_memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
    let internal = device.push_error_scope(wgpu::ErrorFilter::Internal);
    let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let result = work();
    let validation = validation.pop();
    let internal = internal.pop();
    let out_of_memory = out_of_memory.pop();
    // If a buffer gets no memory, or the driver cannot compile a pipeline, later uses are invalid
    // too. Report the cause and not its consequence.
    match out_of_memory.await.or(internal.await).or(validation.await) {
        Some(error) => Err(Refused {
            message: error.to_string(),
        }
        .into()),
        None => result,
    }
}

/// The buffers of an image and of its results. They are bound once, for any number of calls.
#[wasm_bindgen]
pub struct Layer {
    device: wgpu::Device,
    queue: wgpu::Queue,
    layout: wgpu_dropout::MaskLayout,
    dropout: Dropout,
    keep_mask: KeepMask,
    loss_gradient: wgpu::ComputePipeline,
    forward: DropoutBinding,
    loss: wgpu::BindGroup,
    backward: DropoutBinding,
    mask: KeepMaskBinding,
    image: wgpu::Buffer,
    /// Mask, output and gradient, which are copied to `staging`.
    results: [wgpu::Buffer; 3],
    staging: wgpu::Buffer,
}

impl Layer {
    fn new(gpu: &Gpu, rows: u32, columns: u32, kind: Kind) -> Result<Self, JsError> {
        let Gpu { device, queue } = gpu;
        let layout = image::layout(rows, columns, kind)?;
        let buffer = |label, bytes, usage| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size: bytes,
                usage,
                mapped_at_creation: false,
            })
        };
        let (image_bytes, mask_bytes) = (4 * layout.len(), 4 * mask_words(layout.len()));
        let image = buffer("image", image_bytes, Usage::STORAGE | Usage::COPY_DST);
        let result = |label, bytes| buffer(label, bytes, Usage::STORAGE | Usage::COPY_SRC);
        let mask = result("mask", mask_bytes);
        let output = result("output", image_bytes);
        let grad_output = buffer("gradient of the output", image_bytes, Usage::STORAGE);
        let gradient = result("gradient of the image", image_bytes);
        let staging = buffer(
            "read back",
            mask_bytes + 2 * image_bytes,
            Usage::MAP_READ | Usage::COPY_DST,
        );

        let dropout = Dropout::new(device, &KernelDescriptor::default())?;
        let keep_mask = KeepMask::new(device, &KernelDescriptor::default())?;
        let module = device.create_shader_module(wgpu::include_wgsl!("loss_gradient.wgsl"));
        let loss_gradient = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("loss gradient"),
            layout: None,
            module: &module,
            entry_point: Some("loss_gradient"),
            compilation_options: Default::default(),
            cache: None,
        });
        let whole = wgpu::Buffer::as_entire_buffer_binding;
        let entries = [&output, &grad_output].map(wgpu::Buffer::as_entire_binding);
        let loss = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("loss gradient"),
            layout: &loss_gradient.get_bind_group_layout(0),
            entries: &(0..)
                .zip(entries)
                .map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource })
                .collect::<Vec<_>>(),
        });
        Ok(Self {
            device: device.clone(),
            queue: queue.clone(),
            forward: dropout.bind(whole(&image), whole(&output), &layout)?,
            backward: dropout.bind(whole(&grad_output), whole(&gradient), &layout)?,
            mask: keep_mask.bind_layout(whole(&mask), &layout)?,
            loss,
            layout,
            dropout,
            keep_mask,
            loss_gradient,
            image,
            results: [mask, output, gradient],
            staging,
        })
    }

    /// Records forward, loss and backward in one compute pass. The mask is written too, so that the
    /// page can show it.
    fn submit(&self, image: &[f32], call: &Call) -> Result<(), JsError> {
        let call = &call.0;
        self.queue
            .write_buffer(&self.image, 0, bytemuck::cast_slice(image));
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        self.dropout
            .encode_forward(&mut pass, &self.forward, call)?;
        pass.set_pipeline(&self.loss_gradient);
        pass.set_bind_group(0, &self.loss, &[]);
        let workgroups = image.len().div_ceil(256) as u32;
        pass.dispatch_workgroups(workgroups, 1, 1);
        self.dropout
            .encode_backward(&mut pass, &self.backward, call)?;
        self.keep_mask.encode(&mut pass, &self.mask, call)?;
        drop(pass);
        let mut offset = 0;
        for result in &self.results {
            let bytes = result.size();
            encoder.copy_buffer_to_buffer(result, 0, &self.staging, offset, bytes);
            offset += bytes;
        }
        self.queue.submit([encoder.finish()]);
        Ok(())
    }
}

#[wasm_bindgen]
impl Layer {
    /// Runs one training step on `image`. Wait for its end before you start the next.
    pub async fn step(&self, image: Vec<f32>, call: &Call) -> Result<Step, JsError> {
        image::check_length(&image, &self.layout)?;
        let (sender, receiver) = oneshot::channel();
        checked(&self.device, || {
            self.submit(&image, call)?;
            self.staging
                .map_async(wgpu::MapMode::Read, .., move |mapped| {
                    // The receiver exists unless this step has already failed.
                    let _ = sender.send(mapped);
                });
            Ok(())
        })
        .await?;
        receiver.await??;
        let words: Vec<u32> = {
            let view = self.staging.get_mapped_range(..)?;
            bytemuck::pod_collect_to_vec(&view)
        };
        self.staging.unmap();
        let (mask, numbers) = words.split_at(words.len() - 2 * image.len());
        let (output, gradient) = numbers.split_at(image.len());
        Ok(Step {
            mask: mask.to_vec(),
            output: bytemuck::cast_slice(output).to_vec(),
            gradient: bytemuck::cast_slice(gradient).to_vec(),
        })
    }
}
