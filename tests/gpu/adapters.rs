//! The machine's adapters and the devices that cases run on.

use std::sync::OnceLock;

use crate::case::text;
use crate::gpu::Gpu;

/// The kinds of device that a case can ask an adapter for.
#[derive(Clone, Copy, Debug)]
pub enum Variant {
    /// All features that the kernels use and the adapter has, and all limits of the adapter.
    Full,
    /// No features, and downlevel limits. Kernels multiply 16-bit halves and read uniforms.
    Bare,
    /// Dispatches of at most two workgroups.
    FewWorkgroups,
    /// Bindings of at most 4096 bytes.
    SmallBindings,
    /// Buffers of at most [`SMALL_BUFFER_BYTES`].
    SmallBuffers,
    /// Lost after the handles were made.
    Lost,
}

pub const SMALL_BUFFER_BYTES: u64 = 1 << 16;

/// The features that the kernels and their callers use.
const FEATURES: wgpu::Features = wgpu::Features::SHADER_INT64
    .union(wgpu::Features::IMMEDIATES)
    .union(wgpu::Features::PIPELINE_CACHE);

/// An adapter and its devices. A device is made at its first use.
pub struct TestAdapter {
    name: String,
    adapter: wgpu::Adapter,
    devices: [OnceLock<Result<Gpu, String>>; 6],
}

/// All adapters with compute shaders except `noop`, which computes nothing. wgpu's variables
/// `WGPU_BACKEND` and `WGPU_DX12_COMPILER` apply.
pub fn adapters() -> Vec<TestAdapter> {
    let descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
    let instance = wgpu::Instance::new(descriptor);
    let mut adapters: Vec<TestAdapter> = Vec::new();
    for adapter in pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all())) {
        let info = adapter.get_info();
        let flags = adapter.get_downlevel_capabilities().flags;
        let computes = flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS);
        if info.backend == wgpu::Backend::Noop || !computes {
            continue;
        }
        let base = format!("{}/{}", info.backend, info.name);
        let (mut name, mut number) = (base.clone(), 1);
        while adapters.iter().any(|other| other.name == name) {
            number += 1;
            name = format!("{base} #{number}");
        }
        adapters.push(TestAdapter {
            name,
            adapter,
            devices: Default::default(),
        });
    }
    adapters
}

impl TestAdapter {
    /// `backend/adapter`, unique among the adapters of the machine.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn backend(&self) -> &str {
        self.adapter.get_info().backend.to_str()
    }

    /// The driver's description, with its version.
    pub fn driver_info(&self) -> String {
        self.adapter.get_info().driver_info
    }

    /// Major and minor version of Mesa, or `None` with another driver.
    pub fn mesa(&self) -> Option<(u32, u32)> {
        let info = self.driver_info();
        let (_, version) = info.split_once("Mesa ")?;
        let mut numbers = version.split(|c: char| !c.is_ascii_digit());
        let mut number = || numbers.next()?.parse().ok();
        Some((number()?, number()?))
    }

    /// The adapter's limits, which no device exceeds.
    pub fn limits(&self) -> wgpu::Limits {
        self.adapter.limits()
    }

    pub fn is_software(&self) -> bool {
        self.adapter.get_info().device_type == wgpu::DeviceType::Cpu
    }

    /// The features of a [`Variant::Full`] device.
    pub fn features(&self) -> wgpu::Features {
        self.adapter.features() & FEATURES
    }

    pub fn gpu(&self, variant: Variant) -> Result<&Gpu, String> {
        self.devices[variant as usize]
            .get_or_init(|| self.request(variant))
            .as_ref()
            .map_err(String::clone)
    }

    fn request(&self, variant: Variant) -> Result<Gpu, String> {
        let offered = self.adapter.limits();
        let (required_features, required_limits) = match variant {
            Variant::Full | Variant::Lost => (self.features(), offered),
            Variant::Bare => (wgpu::Features::empty(), wgpu::Limits::downlevel_defaults()),
            Variant::FewWorkgroups => (
                self.features(),
                wgpu::Limits {
                    max_compute_workgroups_per_dimension: 2,
                    ..offered
                },
            ),
            Variant::SmallBindings => (
                self.features(),
                wgpu::Limits {
                    max_storage_buffer_binding_size: 4096,
                    ..offered
                },
            ),
            Variant::SmallBuffers => (
                self.features(),
                wgpu::Limits {
                    max_buffer_size: SMALL_BUFFER_BYTES,
                    ..offered
                },
            ),
        };
        let gpu = self
            .open(required_features, required_limits)
            .map_err(|error| format!("{variant:?} device: {error}"))?;
        if matches!(variant, Variant::Lost) {
            gpu.device.destroy();
        }
        Ok(gpu)
    }

    /// Opens a device with these features and limits.
    pub fn open(
        &self,
        required_features: wgpu::Features,
        required_limits: wgpu::Limits,
    ) -> Result<Gpu, String> {
        let descriptor = wgpu::DeviceDescriptor {
            label: Some(&self.name),
            required_features,
            required_limits,
            ..Default::default()
        };
        let (device, queue) =
            pollster::block_on(self.adapter.request_device(&descriptor)).map_err(text)?;
        Gpu::new(self.adapter.clone(), device, queue, wgpu::Features::empty())
    }
}
