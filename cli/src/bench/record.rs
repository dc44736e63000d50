//! The data of a run: the measurements, and a description of the machine.

use std::env;
use std::fs;
use std::process::Command;
use std::thread;
use std::time::SystemTime;

use anyhow::Result;
use serde::Serialize;
use wgpu_dropout::DropoutCall;

use super::fused::FusedMeasurement;
use super::launches::Launch;
use super::measure::Measurement;
use super::recording::Recording;
use super::variants::VariantMeasurement;
use crate::adapters;
use crate::engine::Gpu;
use crate::output::{Output, code, write_json};

/// Version of the JSON. It changes if a reader of the old version would misunderstand the new one.
const VERSION: u32 = 1;

/// All data of a run.
#[derive(Debug, Serialize)]
pub struct Record {
    version: u32,
    /// The start's date, in UTC.
    date: String,
    library: Library,
    machine: Machine,
    /// `None` if only the CPU was measured.
    pub adapter: Option<Adapter>,
    /// The call, as the library prints it.
    pub call: String,
    pub measurements: Vec<Measurement>,
    /// Measurements of layouts and kinds on the GPU.
    pub variants: Vec<VariantMeasurement>,
    /// Measurements of many tensors in a pass, and of one tensor.
    pub launches: Vec<Launch>,
    pub recording: Vec<Recording>,
    /// Measurements of dropout fused with other operations.
    pub fused: Vec<FusedMeasurement>,
}

#[derive(Debug, Serialize)]
struct Library {
    version: &'static str,
    commit: Option<String>,
}

#[derive(Debug, Serialize)]
struct Machine {
    os: &'static str,
    architecture: &'static str,
    cpu: Option<String>,
    threads: usize,
}

#[derive(Debug, Serialize)]
pub struct Adapter {
    backend: String,
    name: String,
    device_type: &'static str,
    /// True if the adapter runs on the CPU.
    pub software: bool,
    driver: String,
    driver_info: String,
    /// The features that were in use.
    features: Vec<&'static str>,
}

impl Record {
    /// A record without measurements.
    pub fn new(gpu: Option<&Gpu>, call: &DropoutCall) -> Result<Self> {
        Ok(Self {
            version: VERSION,
            date: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            library: Library {
                // All packages of the workspace have the same version.
                version: env!("CARGO_PKG_VERSION"),
                commit: commit(),
            },
            machine: Machine {
                os: env::consts::OS,
                architecture: env::consts::ARCH,
                cpu: cpu_model(),
                threads: thread::available_parallelism()?.get(),
            },
            adapter: gpu.map(Adapter::new),
            call: call.to_string(),
            measurements: Vec::new(),
            variants: Vec::new(),
            launches: Vec::new(),
            recording: Vec::new(),
            fused: Vec::new(),
        })
    }

    /// The CPU and its threads, for a page.
    pub fn machine(&self) -> String {
        let Machine { cpu, threads, .. } = &self.machine;
        let cpu = cpu.as_deref().map_or("unknown".to_owned(), code);
        format!("The CPU is {cpu}, {threads} threads")
    }

    pub fn write_json(&self, output: &mut Output) -> Result<()> {
        write_json(output, self)
    }
}

impl Adapter {
    fn new(gpu: &Gpu) -> Self {
        let info = &gpu.info;
        Self {
            backend: info.backend.to_string(),
            name: info.name.clone(),
            device_type: adapters::type_name(info.device_type),
            software: gpu.is_software(),
            driver: info.driver.clone(),
            driver_info: info.driver_info.clone(),
            features: adapters::feature_names(gpu.device.features()),
        }
    }

    /// For a page.
    pub fn markdown(&self) -> String {
        let software = match self.software {
            true => ", a SOFTWARE adapter: it runs on the CPU and says nothing about a GPU's speed",
            false => "",
        };
        let driver = format!("{} {}", self.driver, self.driver_info);
        format!(
            "{}, {}{software}",
            code(&format!("{}/{}", self.backend, self.name)),
            code(&driver)
        )
    }

    /// For the head of a table or a plot: `vulkan/llvmpipe, a SOFTWARE adapter`.
    pub fn title(&self) -> String {
        let software = if self.software {
            ", a SOFTWARE adapter"
        } else {
            ""
        };
        format!("{}/{}{software}", self.backend, self.name)
    }
}

/// The commit from which cargo has just built this program. `None` unless cargo started the
/// program.
fn commit() -> Option<String> {
    if env::var("CARGO_PKG_NAME").ok()? != env!("CARGO_PKG_NAME") {
        return None;
    }
    let package = env::var_os("CARGO_MANIFEST_DIR")?;
    first_line(Command::new("git").arg("-C").arg(package).args([
        "describe",
        "--always",
        "--abbrev=40",
        "--exclude=*",
        "--dirty=, changed",
    ]))
}

/// The CPU's name, as Linux, macOS or Windows tells it.
fn cpu_model() -> Option<String> {
    let linux = || {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").ok()?;
        let mut fields = cpuinfo.lines().filter_map(|line| line.split_once(':'));
        let (_, model) = fields.find(|(name, _)| name.trim() == "model name")?;
        Some(model.trim().to_owned())
    };
    let mac = || first_line(Command::new("sysctl").args(["-n", "machdep.cpu.brand_string"]));
    let windows = || env::var("PROCESSOR_IDENTIFIER").ok();
    linux().or_else(mac).or_else(windows)
}

/// The first line of a program's output, if the program exists and succeeds.
fn first_line(command: &mut Command) -> Option<String> {
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().next().map(str::to_owned)
}
