//! Translations of kernels by naga for the drivers, as wgpu asks for them: SPIR-V, which spirv-val reads, HLSL, MSL and
//! GLSL ES 3.1.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use naga::Module;
use naga::ShaderStage::Compute;
use naga::back::{glsl, hlsl, msl, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::ModuleInfo;
use rayon::prelude::*;
use serde_json::Value;

use crate::{Result, parse};

/// Judges the texts of a folder that every implementation of WebGPU takes, and of the others those that stand for texts
/// that differ from them in the number of dimensions alone.
pub fn judge(folder: &str, spirv_val: &str) -> Result {
    let folder = Path::new(folder);
    let list: Vec<Value> = serde_json::from_slice(&fs::read(folder.join("kernels.json"))?)?;
    let no_features = |kernel: &Value| kernel["features"].as_array().is_some_and(Vec::is_empty);
    let is_meant = |kernel: &&Value| no_features(kernel) || kernel["typical"] == true;
    let kernels: Vec<_> = list.iter().filter(is_meant).collect();
    let text = |kernel: &Value| -> Result<String> {
        let file = kernel["file"].as_str().ok_or("no file")?;
        Ok(fs::read_to_string(folder.join(file))?)
    };

    // A judge is refused if it finds nothing wrong in these.
    let good = text(kernels.first().ok_or("no kernel")?)?;
    if translate(&(good.clone() + "fn broken() -> u32 { return undeclared; }")).is_ok() {
        return Err("naga accepts an undeclared name".into());
    }
    let mut module = translate(&good)?;
    // The bound of ids, the fourth word.
    module[3] = 1;
    if validate(&module, spirv_val).is_ok() {
        return Err("spirv-val accepts a wrong bound".into());
    }

    kernels.par_iter().for_each(|kernel| {
        let judged = text(kernel).and_then(|text| validate(&translate(&text)?, spirv_val));
        if let Err(error) = judged {
            let file = kernel["file"].as_str().unwrap_or_default();
            println!("{file}: {}", error.to_string().replace('\n', " "));
        }
    });
    println!("{}", kernels.len());
    Ok(())
}

fn validate(module: &[u32], spirv_val: &str) -> Result {
    let mut child = Command::new(spirv_val)
        .args(["--target-env", "vulkan1.1"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let bytes: Vec<u8> = module.iter().flat_map(|word| word.to_le_bytes()).collect();
    child
        .stdin
        .take()
        .ok_or("no standard input")?
        .write_all(&bytes)?;
    let output = child.wait_with_output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into()),
    }
}

/// Makes all translations of a text and returns the SPIR-V.
fn translate(text: &str) -> Result<Vec<u32>> {
    let parsed = parse(text)?;
    let (module, info, name) = &parsed;
    // Where the device does not check indices itself.
    let policies = BoundsCheckPolicies {
        index: BoundsCheckPolicy::Restrict,
        buffer: BoundsCheckPolicy::Restrict,
        ..Default::default()
    };
    // MSL has 64-bit integers from 2.3 on.
    let options = msl::Options {
        lang_version: (2, 4),
        bounds_check_policies: policies,
        ..Default::default()
    };
    let pipeline = msl::PipelineOptions {
        entry_point: Some((Compute, name.clone())),
        ..Default::default()
    };
    msl::write_string(module, info, &options, &pipeline)?;

    let options = hlsl::Options {
        shader_model: hlsl::ShaderModel::V6_0,
        immediates_target: Some(hlsl::BindTarget::default()),
        ..Default::default()
    };
    let pipeline = hlsl::PipelineOptions {
        entry_point: Some((Compute, name.clone())),
    };
    hlsl::Writer::new(&mut String::new(), &options, &pipeline).write(module, info, None)?;

    // GLSL ES has no 64-bit integers.
    if !text.contains("u64") {
        let options = glsl::Options::default();
        let pipeline = glsl::PipelineOptions {
            shader_stage: Compute,
            entry_point: name.clone(),
            multiview: None,
        };
        let mut out = String::new();
        glsl::Writer::new(&mut out, module, info, &options, &pipeline, policies)?.write()?;
    }

    spirv(&parsed, policies)
}

pub fn spirv(
    (module, info, name): &(Module, ModuleInfo, String),
    bounds_check_policies: BoundsCheckPolicies,
) -> Result<Vec<u32>> {
    let options = spv::Options {
        lang_version: (1, 3),
        bounds_check_policies,
        ..Default::default()
    };
    let pipeline = spv::PipelineOptions {
        shader_stage: Compute,
        entry_point: name.clone(),
    };
    Ok(spv::write_vec(module, info, &options, Some(&pipeline))?)
}
