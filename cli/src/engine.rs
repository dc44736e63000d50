//! The engine of a command: a GPU or the CPU path.

use anyhow::{Context, Result, ensure};

use crate::adapters::{self, Wish};

#[derive(Debug, Default, clap::Args)]
pub struct AdapterArgs {
    /// Part of an adapter's name as `adapters` lists it, e.g. vulkan or llvmpipe; case is ignored
    #[arg(long, value_name = "SUBSTRING", help_heading = "Engine")]
    adapter: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct EngineArgs {
    #[command(flatten)]
    adapter: AdapterArgs,
    /// Compute on a GPU or on the CPU; the CPU needs no adapter
    #[arg(long, value_enum, default_value_t = EngineKind::Gpu, help_heading = "Engine")]
    engine: EngineKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum EngineKind {
    Gpu,
    Cpu,
}

/// An engine that is ready for work.
#[derive(Debug)]
pub enum Engine {
    Gpu(Box<Gpu>),
    /// The library's `cpu` module.
    Cpu,
}

/// A device of the chosen adapter.
#[derive(Debug)]
pub struct Gpu {
    /// The adapter's description.
    pub info: wgpu::AdapterInfo,
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
}

impl AdapterArgs {
    /// The wish for an adapter, from the options and wgpu's environment variables.
    pub fn wish(&self) -> Wish {
        Wish::new(self.adapter.as_deref())
    }

    /// The chosen adapter, or with `all` every one that matches.
    pub fn adapters(&self, all: bool) -> Result<Vec<wgpu::Adapter>> {
        if all {
            adapters::find_all(&self.wish())
        } else {
            Ok(vec![adapters::find(&self.wish())?])
        }
    }
}

impl EngineArgs {
    /// Opens the chosen engine.
    pub fn open(&self) -> Result<Engine> {
        match self.engine {
            EngineKind::Gpu => {
                let adapter = adapters::find(&self.adapter.wish())?;
                Ok(Engine::Gpu(Box::new(Gpu::open(&adapter)?)))
            }
            EngineKind::Cpu => {
                ensure!(
                    self.adapter.adapter.is_none(),
                    "--adapter chooses a GPU, but --engine cpu uses none: leave one of them out"
                );
                Ok(Engine::Cpu)
            }
        }
    }
}

impl Gpu {
    /// Returns true if the adapter computes on the CPU.
    pub fn is_software(&self) -> bool {
        self.info.device_type == wgpu::DeviceType::Cpu
    }

    /// Opens a device with every feature of the adapter that the library or the benchmark uses.
    pub fn open(adapter: &wgpu::Adapter) -> Result<Self> {
        let info = adapter.get_info();
        // The library uses the first two, the benchmark the third.
        let features = wgpu::Features::SHADER_INT64
            | wgpu::Features::IMMEDIATES
            | wgpu::Features::TIMESTAMP_QUERY;
        let request = adapter.request_device(&wgpu::DeviceDescriptor {
            label: Some("wgpu-dropout"),
            required_features: adapter.features() & features,
            // The adapter's own limits, so that long tensors need few bindings.
            required_limits: adapter.limits(),
            ..Default::default()
        });
        let (device, queue) = pollster::block_on(request)
            .with_context(|| format!("cannot open {}", adapters::label(&info)))?;
        Ok(Self {
            info,
            device,
            queue,
        })
    }
}
