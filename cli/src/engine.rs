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
    /// The processor that computes; the CPU needs no adapter
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
    /// Which adapter it is.
    pub info: wgpu::AdapterInfo,
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
}

impl AdapterArgs {
    /// The adapter that is asked for, by the options and by wgpu's variables.
    pub fn wish(&self) -> Wish {
        Wish::new(self.adapter.as_deref())
    }

    /// The adapter that is asked for, or all that could be.
    pub fn adapters(&self, all: bool) -> Result<Vec<wgpu::Adapter>> {
        if all {
            adapters::find_all(&self.wish())
        } else {
            Ok(vec![adapters::find(&self.wish())?])
        }
    }
}

impl EngineArgs {
    /// Opens what was chosen.
    pub fn open(&self) -> Result<Engine> {
        match self.engine {
            EngineKind::Gpu => {
                let adapter = adapters::find(&self.adapter.wish())?;
                Ok(Engine::Gpu(Box::new(Gpu::open(&adapter)?)))
            }
            EngineKind::Cpu => {
                ensure!(
                    self.adapter.adapter.is_none(),
                    "--adapter chooses a GPU, --engine cpu uses none: leave one of them out"
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

    /// A device with all that the library uses of what the adapter has.
    pub fn open(adapter: &wgpu::Adapter) -> Result<Self> {
        let info = adapter.get_info();
        // The library uses the first two, the benchmark the third.
        let features = wgpu::Features::SHADER_INT64
            | wgpu::Features::IMMEDIATES
            | wgpu::Features::TIMESTAMP_QUERY;
        let request = adapter.request_device(&wgpu::DeviceDescriptor {
            label: Some("wgpu-dropout"),
            required_features: adapter.features() & features,
            // All that there is, so that long tensors bind at once.
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
