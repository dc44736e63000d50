//! The device that the examples train on.

use std::env;

use anyhow::{Context, Result};

/// A device, its queue and the adapter's name. `WGPU_BACKEND` chooses the backend.
/// `WGPU_ADAPTER_NAME` chooses the adapter by a part of its name.
pub fn open() -> Result<(wgpu::Device, wgpu::Queue, String)> {
    let instance =
        wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
    open_adapter(&pollster::block_on(choose(&instance))?)
}

/// Opens a device on a given adapter, like [`open`].
pub fn open_adapter(adapter: &wgpu::Adapter) -> Result<(wgpu::Device, wgpu::Queue, String)> {
    // Both features make dropout faster and change no result.
    let fast = wgpu::Features::SHADER_INT64 | wgpu::Features::IMMEDIATES;
    let required_features = adapter.features() & fast;
    let immediates = required_features.contains(wgpu::Features::IMMEDIATES);
    let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
        required_features,
        required_limits: wgpu::Limits {
            max_immediate_size: if immediates { 64 } else { 0 },
            ..wgpu::Limits::downlevel_defaults()
        },
        ..Default::default()
    }))?;
    let info = adapter.get_info();
    let software = match info.device_type {
        wgpu::DeviceType::Cpu => ", a SOFTWARE adapter",
        _ => "",
    };
    let name = format!("{}/{}{software}", info.backend, info.name);
    Ok((device, queue, name))
}

/// Chooses an adapter by the environment variables.
pub async fn choose(instance: &wgpu::Instance) -> Result<wgpu::Adapter> {
    if let Ok(part) = env::var("WGPU_ADAPTER_NAME") {
        let named = |adapter: &wgpu::Adapter| {
            let name = adapter.get_info().name.to_lowercase();
            name.contains(&part.to_lowercase())
        };
        let mut adapters = instance
            .enumerate_adapters(wgpu::Backends::all())
            .await
            .into_iter();
        return adapters
            .find(named)
            .with_context(|| format!("no adapter's name has WGPU_ADAPTER_NAME's {part:?}"));
    }
    instance
        .request_adapter(&wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        })
        .await
        .context(
            "there is no adapter: wgpu needs a driver for Vulkan or OpenGL (Linux), Metal (macOS) \
             or Direct3D 12 (Windows); on Debian and Ubuntu `apt-get install \
             mesa-vulkan-drivers libvulkan1` gives a software one",
        )
}
