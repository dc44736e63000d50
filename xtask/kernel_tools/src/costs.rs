//! Compiles WGSL compute shaders with the driver of the first Vulkan GPU and prints as JSON its name, instructions
//! and registers by file, and complaints about files that it refuses or whose registers spill. Mesa's drivers compile as on the real GPU also where none
//! is there (drm-shim); xtask starts this program with such a driver.
//!
//! The pipelines are wgpu's in all that the compiler sees: SPIR-V by naga, robust buffer access where the driver has
//! it, immediates as push constants.

use std::ffi::{CStr, CString};
use std::fs;

use ash::vk;
use naga::proc::BoundsCheckPolicies;
use serde_json::json;

use crate::Result;

/// The names of a figure in NVK, RADV, Honeykrisp and Turnip.
type Names = &'static [&'static str];

const INSTRUCTIONS: Names = &["Instructions", "Instruction count", "Instruction Count"];
const REGISTERS: Names = &["VGPRs", "Number of GPRs", "GPRs", "Registers used"];
const SPILLS: Names = &[
    "Spilled VGPRs",
    "Spilled SGPRs",
    "Spills to memory",
    "Spills",
    "STP Count",
];

pub fn print(files: &[&str]) -> Result {
    let compiler = Compiler::new()?;
    let (mut figures, mut complaints) = (json!({}), Vec::new());
    for file in files {
        match compiler.figures(file) {
            Ok([instructions, registers, 0]) => figures[file] = json!([instructions, registers]),
            Ok([.., spills]) => complaints.push(format!("{file}: {spills} spills")),
            Err(error) => complaints.push(format!("{file}: {error}")),
        }
    }
    let driver = compiler.name.trim();
    let found = json!({ "driver": driver, "figures": figures, "complaints": complaints });
    println!("{found}");
    Ok(())
}

/// A device that compiles and need not execute.
struct Compiler {
    name: String,
    device: ash::Device,
    statistics: ash::khr::pipeline_executable_properties::Device,
    /// Keeps the loader's library, on which all of them depend.
    _entry: ash::Entry,
}

impl Compiler {
    fn new() -> Result<Self> {
        // SAFETY: the loader is a library of the system or of the caller's choice, which runs no code of ours.
        let entry = unsafe { ash::Entry::load() }?;
        let application = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_2);
        let create = vk::InstanceCreateInfo::default().application_info(&application);
        // SAFETY: the structures live to the end of the call. This holds for all calls below.
        let instance = unsafe { entry.create_instance(&create, None) }?;
        // SAFETY: the instance is alive.
        let gpus = unsafe { instance.enumerate_physical_devices() }?;
        // SAFETY: the GPU is one of the instance's.
        let properties = |gpu| unsafe { instance.get_physical_device_properties(gpu) };
        let is_gpu =
            |gpu: &vk::PhysicalDevice| properties(*gpu).device_type != vk::PhysicalDeviceType::CPU;
        let gpu = gpus.into_iter().find(is_gpu).ok_or("no Vulkan GPU")?;
        let name = properties(gpu)
            .device_name_as_c_str()?
            .to_string_lossy()
            .into_owned();
        // SAFETY: the GPU is one of the instance's.
        let (offered, has) = unsafe {
            (
                instance.enumerate_device_extension_properties(gpu)?,
                instance.get_physical_device_features(gpu),
            )
        };
        let robustness_2 = ash::ext::robustness2::NAME;
        let is_robust = offered
            .iter()
            .any(|extension| extension.extension_name_as_c_str() == Ok(robustness_2));
        let mut extensions = vec![ash::khr::pipeline_executable_properties::NAME.as_ptr()];
        if is_robust {
            extensions.push(robustness_2.as_ptr());
        }
        let queues = [vk::DeviceQueueCreateInfo::default()
            .queue_family_index(0)
            .queue_priorities(&[1.0])];
        let features = vk::PhysicalDeviceFeatures::default()
            .shader_int64(has.shader_int64 != 0)
            .robust_buffer_access(true);
        let mut executables = vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default()
            .pipeline_executable_info(true);
        let mut memory_model =
            vk::PhysicalDeviceVulkan12Features::default().vulkan_memory_model(true);
        let mut robust = vk::PhysicalDeviceRobustness2FeaturesEXT::default()
            .robust_buffer_access2(is_robust)
            .robust_image_access2(is_robust);
        let create = vk::DeviceCreateInfo::default()
            .queue_create_infos(&queues)
            .enabled_extension_names(&extensions)
            .enabled_features(&features)
            .push_next(&mut executables)
            .push_next(&mut memory_model);
        let create = match is_robust {
            true => create.push_next(&mut robust),
            false => create,
        };
        // SAFETY: the GPU is one of the instance's.
        let device = unsafe { instance.create_device(gpu, &create, None) }?;
        let statistics = ash::khr::pipeline_executable_properties::Device::new(&instance, &device);
        Ok(Self {
            name,
            device,
            statistics,
            _entry: entry,
        })
    }

    /// Instructions, registers and spills of a WGSL file with one entry point.
    fn figures(&self, file: &str) -> Result<[u64; 3]> {
        let parsed = crate::parse(&fs::read_to_string(file)?)?;
        // The drivers check indices themselves.
        let words = crate::translate::spirv(&parsed, BoundsCheckPolicies::default())?;
        let (module, _, name) = &parsed;
        let layouts = self.set_layouts(module)?;
        let (pipeline, created) = self.pipeline(&words, name, &layouts)?;
        let executable = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline);
        // SAFETY: the pipeline captured its statistics and is alive.
        let statistics = unsafe {
            self.statistics
                .get_pipeline_executable_statistics(&executable)
        };
        let statistics = statistics?;
        let figure = |names: Names| {
            statistics.iter().filter_map(move |statistic| {
                // SAFETY: the driver ends a name with 0.
                let name = unsafe { CStr::from_ptr(statistic.name.as_ptr()) };
                // SAFETY: each of these statistics is an unsigned number.
                let value = unsafe { statistic.value.u64 };
                names
                    .iter()
                    .any(|other| name.to_str() == Ok(other))
                    .then_some(value)
            })
        };
        let missing = || format!("the driver tells no {INSTRUCTIONS:?} or no {REGISTERS:?}");
        let instructions = figure(INSTRUCTIONS).next().ok_or_else(missing)?;
        let registers = figure(REGISTERS).next().ok_or_else(missing)?;
        let spills = figure(SPILLS).sum();
        // SAFETY: nothing uses them any more. Thousands of them would not fit the memory.
        unsafe {
            self.device.destroy_pipeline(pipeline, None);
            self.device.destroy_pipeline_layout(created.0, None);
            self.device.destroy_shader_module(created.1, None);
            for layout in layouts {
                self.device.destroy_descriptor_set_layout(layout, None);
            }
        }
        Ok([instructions, registers, spills])
    }

    /// A layout for each bind group up to the last that the module has.
    fn set_layouts(&self, module: &naga::Module) -> Result<Vec<vk::DescriptorSetLayout>> {
        let bindings = || {
            let variables = module.global_variables.iter();
            variables.filter_map(|(_, variable)| Some((variable.binding?, variable.space)))
        };
        let groups = bindings().map(|(binding, _)| binding.group + 1).max();
        let layout = |group| {
            let of_group = bindings().filter(|(binding, _)| binding.group == group);
            let bindings: Vec<_> = of_group
                .map(|(binding, space)| {
                    let kind = match space {
                        naga::AddressSpace::Uniform => vk::DescriptorType::UNIFORM_BUFFER,
                        _ => vk::DescriptorType::STORAGE_BUFFER,
                    };
                    vk::DescriptorSetLayoutBinding::default()
                        .binding(binding.binding)
                        .descriptor_type(kind)
                        .descriptor_count(1)
                        .stage_flags(vk::ShaderStageFlags::COMPUTE)
                })
                .collect();
            let create = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
            // SAFETY: the device is alive.
            let layout = unsafe { self.device.create_descriptor_set_layout(&create, None) };
            Ok(layout?)
        };
        (0..groups.unwrap_or(0)).map(layout).collect()
    }

    fn pipeline(
        &self,
        words: &[u32],
        entry_point: &str,
        layouts: &[vk::DescriptorSetLayout],
    ) -> Result<(vk::Pipeline, (vk::PipelineLayout, vk::ShaderModule))> {
        // Every device has 128 bytes of push constants.
        let immediates = [vk::PushConstantRange::default()
            .size(128)
            .stage_flags(vk::ShaderStageFlags::COMPUTE)];
        let create = vk::PipelineLayoutCreateInfo::default()
            .set_layouts(layouts)
            .push_constant_ranges(&immediates);
        // SAFETY: the layouts are the device's.
        let layout = unsafe { self.device.create_pipeline_layout(&create, None) }?;
        let create = vk::ShaderModuleCreateInfo::default().code(words);
        // SAFETY: naga wrote valid SPIR-V.
        let module = unsafe { self.device.create_shader_module(&create, None) }?;
        let name = CString::new(entry_point)?;
        let stage = vk::PipelineShaderStageCreateInfo::default()
            .stage(vk::ShaderStageFlags::COMPUTE)
            .module(module)
            .name(&name);
        let create = [vk::ComputePipelineCreateInfo::default()
            .stage(stage)
            .layout(layout)
            .flags(vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR)];
        let cache = vk::PipelineCache::null();
        // SAFETY: layout and module are the device's.
        let pipelines = unsafe { self.device.create_compute_pipelines(cache, &create, None) };
        let pipelines = pipelines.map_err(|(_, error)| error)?;
        let pipeline = pipelines.first().ok_or("no pipeline")?;
        Ok((*pipeline, (layout, module)))
    }
}
