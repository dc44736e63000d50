//! The list of adapters, and the choice of one.

use std::env;
use std::fmt;
use std::io::{self, Write};

use anyhow::{Result, anyhow};
use serde::Serialize;
use wgpu::{Adapter, AdapterInfo, Backend, Backends, DeviceType, DownlevelFlags, Features};
use wgpu_dropout::ParameterPath;

use crate::engine::AdapterArgs;

const NO_ADAPTER: &str = "\
there is no adapter: wgpu needs a driver for Vulkan or OpenGL (Linux), Metal (macOS) or Direct3D 12 \
(Windows). On Debian and Ubuntu `apt-get install mesa-vulkan-drivers libvulkan1` gives a software one. \
`--engine cpu` needs none";

/// Features that the library uses, or that the benchmark may use.
const FEATURES: [(Features, &str); 5] = [
    (Features::SHADER_INT64, "SHADER_INT64"),
    (Features::IMMEDIATES, "IMMEDIATES"),
    (Features::SHADER_F16, "SHADER_F16"),
    (Features::TIMESTAMP_QUERY, "TIMESTAMP_QUERY"),
    (Features::PIPELINE_CACHE, "PIPELINE_CACHE"),
];

/// The user's wish for an adapter.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// A part of the label, and the option or variable that gave it.
    label: Option<(&'static str, String)>,
    /// The value of WGPU_BACKEND.
    backends: Option<String>,
}

impl Wish {
    /// Takes the substring from the option, or else from WGPU_ADAPTER_NAME, and the backends from
    /// WGPU_BACKEND.
    pub fn new(option: Option<&str>) -> Self {
        let variable = |name| env::var(name).ok().filter(|value| !value.is_empty());
        let option = option.map(|part| ("--adapter", part.to_owned()));
        Self {
            label: option.or_else(|| {
                let part = variable("WGPU_ADAPTER_NAME")?;
                Some(("WGPU_ADAPTER_NAME", part))
            }),
            backends: variable("WGPU_BACKEND"),
        }
    }

    fn backends(&self) -> Backends {
        match &self.backends {
            // `noop` computes nothing.
            Some(list) => Backends::from_comma_list(list) - Backends::NOOP,
            None => Backends::all() - Backends::NOOP,
        }
    }

    fn admits(&self, info: &AdapterInfo) -> bool {
        let has_label = |part: &str| label(info).to_lowercase().contains(&part.to_lowercase());
        self.backends().contains(info.backend.into())
            && self.label.as_ref().is_none_or(|(_, part)| has_label(part))
    }
}

/// Shows the wish as the user gave it: `--adapter gl, WGPU_BACKEND=vulkan`.
impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = self.label.iter().map(|(source, part)| match *source {
            "--adapter" => format!("{source} {part}"),
            variable => format!("{variable}={part}"),
        });
        let backends = self
            .backends
            .iter()
            .map(|list| format!("WGPU_BACKEND={list}"));
        f.write_str(&label.chain(backends).collect::<Vec<_>>().join(", "))
    }
}

/// An adapter's label, `backend/name`.
pub fn label(info: &AdapterInfo) -> String {
    format!("{}/{}", info.backend, info.name)
}

/// The adapter that is chosen.
pub fn find(wish: &Wish) -> Result<Adapter> {
    let mut adapters = enumerate(wish.backends());
    let infos: Vec<_> = adapters.iter().map(Adapter::get_info).collect();
    match choose(&infos, wish) {
        Some(choice) => Ok(adapters.swap_remove(choice.index)),
        None => Err(no_match(wish)),
    }
}

/// Every adapter that matches `wish`.
pub fn find_all(wish: &Wish) -> Result<Vec<Adapter>> {
    let mut adapters = enumerate(wish.backends());
    adapters.retain(|adapter| wish.admits(&adapter.get_info()));
    if adapters.is_empty() {
        return Err(no_match(wish));
    }
    Ok(adapters)
}

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    adapter: AdapterArgs,
    /// Print JSON instead of the list
    #[arg(long)]
    json: bool,
}

/// An adapter as JSON.
#[derive(Debug, Serialize)]
struct Record {
    backend: &'static str,
    name: String,
    device_type: &'static str,
    driver: String,
    driver_info: String,
    /// Features that the library or the benchmark uses.
    features: Vec<&'static str>,
    max_storage_buffer_binding_bytes: u64,
    max_workgroups: u32,
    storage_offset_alignment_bytes: u32,
    max_immediate_bytes: u32,
    parameters: String,
    /// True for the adapter that other commands would take.
    taken: bool,
}

impl Record {
    fn new(adapter: &Adapter, taken: bool) -> Self {
        let (info, limits) = (adapter.get_info(), adapter.limits());
        Self {
            backend: info.backend.to_str(),
            name: info.name,
            device_type: type_name(info.device_type),
            driver: info.driver,
            driver_info: info.driver_info,
            features: feature_names(adapter.features()),
            max_storage_buffer_binding_bytes: limits.max_storage_buffer_binding_size,
            max_workgroups: limits.max_compute_workgroups_per_dimension,
            storage_offset_alignment_bytes: limits.min_storage_buffer_offset_alignment,
            max_immediate_bytes: limits.max_immediate_size,
            parameters: ParameterPath::of(adapter.features(), &limits).to_string(),
            taken,
        }
    }
}

/// Runs `adapters`: prints the list and the choice, or both as JSON.
pub fn run(args: &Args) -> Result<()> {
    let wish = args.adapter.wish();
    let adapters = enumerate(Backends::all());
    let infos: Vec<_> = adapters.iter().map(Adapter::get_info).collect();
    if adapters.is_empty() {
        return Err(anyhow!(NO_ADAPTER));
    }
    let choice = choose(&infos, &wish);
    let taken = choice.as_ref().map(|choice| choice.index);
    let records: Vec<_> = adapters
        .iter()
        .enumerate()
        .map(|(index, adapter)| Record::new(adapter, taken == Some(index)))
        .collect();
    let mut stdout = io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut stdout, &records)?;
        writeln!(stdout)?;
    } else {
        for record in &records {
            writeln!(stdout, "{}", listing(record))?;
        }
    }
    let choice = choice.ok_or_else(|| no_match(&wish))?;
    if args.json {
        return Ok(());
    }
    let taken = label(&infos[choice.index]);
    writeln!(stdout, "{taken} would be taken: {}", choice.reason)?;
    Ok(())
}

/// All adapters of `backends` that can run compute shaders.
fn enumerate(backends: Backends) -> Vec<Adapter> {
    let backends = backends - Backends::NOOP;
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends,
        ..wgpu::InstanceDescriptor::new_without_display_handle_from_env()
    });
    let mut adapters = pollster::block_on(instance.enumerate_adapters(backends));
    adapters.retain(|adapter| {
        let flags = adapter.get_downlevel_capabilities().flags;
        flags.contains(DownlevelFlags::COMPUTE_SHADERS)
    });
    adapters
}

#[derive(Debug, PartialEq, Eq)]
struct Choice {
    index: usize,
    reason: String,
}

/// Chooses the first matching adapter by type, then by backend, then in wgpu's order.
fn choose(infos: &[AdapterInfo], wish: &Wish) -> Option<Choice> {
    let admitted: Vec<_> = (0..infos.len())
        .filter(|&index| wish.admits(&infos[index]))
        .collect();
    let rank = |&index: &usize| (type_rank(&infos[index]), backend_rank(&infos[index]));
    let index = admitted.iter().copied().min_by_key(rank)?;
    let wish = wish.to_string();
    let matching = |verb: &str| match wish.as_str() {
        "" => String::new(),
        wish => format!(" that {verb} {wish}"),
    };
    let reason = match admitted.len() {
        1 => format!("it is the only one{}", matching("matches")),
        n => format!(
            "it comes first of the {n}{}: by type (discrete, integrated, virtual, other, cpu), \
             then by backend (gl last)",
            matching("match")
        ),
    };
    Some(Choice { index, reason })
}

fn type_rank(info: &AdapterInfo) -> u8 {
    match info.device_type {
        DeviceType::DiscreteGpu => 0,
        DeviceType::IntegratedGpu => 1,
        DeviceType::VirtualGpu => 2,
        DeviceType::Other => 3,
        DeviceType::Cpu => 4,
    }
}

fn backend_rank(info: &AdapterInfo) -> u8 {
    u8::from(info.backend == Backend::Gl)
}

/// The error that no adapter matches `wish`, with a list of all adapters.
fn no_match(wish: &Wish) -> anyhow::Error {
    let labels: Vec<_> = enumerate(Backends::all())
        .iter()
        .map(|adapter| format!("\n  {}", label(&adapter.get_info())))
        .collect();
    if labels.is_empty() {
        anyhow!(NO_ADAPTER)
    } else {
        anyhow!("no adapter matches {wish}; there are:{}", labels.concat())
    }
}

/// The text for an adapter: its label, and a line for each fact.
fn listing(record: &Record) -> String {
    let driver = format!("{} {}", record.driver, record.driver_info);
    let limits = format!(
        "{} B a binding, {} workgroups, offsets in steps of {} B, {} B of immediates",
        record.max_storage_buffer_binding_bytes,
        record.max_workgroups,
        record.storage_offset_alignment_bytes,
        record.max_immediate_bytes
    );
    format!(
        "{}/{}\n  type        {}\n  driver      {}\n  features    {}\n  limits      {limits}\n  parameters  {}\n",
        record.backend,
        record.name,
        record.device_type,
        driver.trim(),
        record.features.join(" "),
        record.parameters
    )
}

pub fn type_name(device_type: DeviceType) -> &'static str {
    match device_type {
        DeviceType::DiscreteGpu => "discrete",
        DeviceType::IntegratedGpu => "integrated",
        DeviceType::VirtualGpu => "virtual",
        DeviceType::Other => "other",
        DeviceType::Cpu => "cpu",
    }
}

/// Names of the features in `features` that the library or the benchmark uses.
pub fn feature_names(features: Features) -> Vec<&'static str> {
    FEATURES
        .iter()
        .filter(|(feature, _)| features.contains(*feature))
        .map(|(_, name)| *name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(backend: Backend, name: &str, device_type: DeviceType) -> AdapterInfo {
        let mut info = AdapterInfo::new(device_type, backend);
        info.name = name.to_owned();
        info
    }

    fn machine() -> Vec<AdapterInfo> {
        vec![
            info(Backend::Gl, "llvmpipe", DeviceType::Cpu),
            info(Backend::Vulkan, "llvmpipe", DeviceType::Cpu),
            info(Backend::Gl, "Arc", DeviceType::IntegratedGpu),
            info(Backend::Vulkan, "Arc", DeviceType::IntegratedGpu),
            info(Backend::Gl, "RX 7900", DeviceType::DiscreteGpu),
        ]
    }

    fn wish(label: Option<&str>, backends: Option<&str>) -> Wish {
        Wish {
            label: label.map(|part| ("--adapter", part.to_owned())),
            backends: backends.map(str::to_owned),
        }
    }

    fn chosen(label: Option<&str>, backends: Option<&str>) -> Option<usize> {
        choose(&machine(), &wish(label, backends)).map(|choice| choice.index)
    }

    #[test]
    fn type_goes_before_backend() {
        assert_eq!(chosen(None, None), Some(4));
        assert_eq!(chosen(Some("arc"), None), Some(3));
        assert_eq!(chosen(Some("LLVM"), None), Some(1));
    }

    #[test]
    fn backends_and_labels_are_both_heeded() {
        assert_eq!(chosen(None, Some("vulkan")), Some(3));
        assert_eq!(chosen(Some("vulkan/llvm"), None), Some(1));
        assert_eq!(chosen(Some("RX"), Some("vulkan")), None);
        assert_eq!(chosen(None, Some("no backend")), None);
    }

    #[test]
    fn noop_is_never_taken() {
        let noop = [info(Backend::Noop, "noop", DeviceType::Other)];
        assert_eq!(choose(&noop, &wish(Some("noop"), Some("noop"))), None);
        assert_eq!(choose(&noop, &wish(None, None)), None);
    }

    #[test]
    fn the_reason_names_what_decided() {
        let reason = |wish| choose(&machine(), &wish).map(|choice| choice.reason);
        assert_eq!(
            reason(wish(Some("RX"), Some("gl"))).as_deref(),
            Some("it is the only one that matches --adapter RX, WGPU_BACKEND=gl")
        );
        assert!(
            reason(wish(None, None))
                .is_some_and(|text| text.starts_with("it comes first of the 5:"))
        );
    }
}
