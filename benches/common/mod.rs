//! A device for the benches that need one.

use wgpu::Features;
use wgpu_dropout::{DropoutCall, DropoutRate, MaskKey, wgpu};

/// A device and the label of its adapter.
pub struct Gpu {
    pub label: String,
    pub device: wgpu::Device,
    #[allow(dead_code, reason = "recording submits nothing")]
    pub queue: wgpu::Queue,
}

impl Gpu {
    /// Opens the adapter that wgpu prefers among the backends of WGPU_BACKEND. Prints a message if
    /// there is none.
    pub fn open() -> Option<Self> {
        let instance =
            wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
        let adapter = pollster::block_on(instance.request_adapter(&Default::default()))
            .inspect_err(|error| eprintln!("no adapter to measure on: {error}"))
            .ok()?;
        let features = Features::SHADER_INT64 | Features::IMMEDIATES;
        let request = adapter.request_device(&wgpu::DeviceDescriptor {
            required_features: adapter.features() & features,
            required_limits: adapter.limits(),
            ..Default::default()
        });
        let (device, queue) = pollster::block_on(request)
            .inspect_err(|error| eprintln!("no device to measure on: {error}"))
            .ok()?;
        let info = adapter.get_info();
        let software = match info.device_type {
            wgpu::DeviceType::Cpu => " (SOFTWARE)",
            _ => "",
        };
        Some(Self {
            label: format!("{}{software}", info.backend),
            device,
            queue,
        })
    }

    pub fn storage_buffer(&self, elements: u64) -> wgpu::Buffer {
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("bench"),
            size: size_of::<f32>() as u64 * elements,
            usage: wgpu::BufferUsages::STORAGE,
            mapped_at_creation: false,
        })
    }
}

/// The key is fixed, since neither the time nor the share of kept elements depends on it.
pub fn call(rate: DropoutRate) -> DropoutCall {
    DropoutCall::new(rate, MaskKey::layer_step(42, 3, 7))
}
