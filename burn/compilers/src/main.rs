//! Writes the texts of wgpu-dropout-burn's kernels into a folder, for compilers whose devices this
//! machine lacks: `cargo run -p wgpu-dropout-burn-compilers -- FOLDER`. ../README.md says which
//! compilers then read them.

extern crate self as burn_cubecl;
/// The kernels' sources name CubeCL as `burn_cubecl::cubecl`.
pub use cubecl_core as cubecl;

#[allow(dead_code, reason = "fused operations have functions of their own")]
#[path = "../../src/kernel/mod.rs"]
mod kernel;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use cubecl::ir::settings::Dim3;
use cubecl::prelude::*;
use cubecl_core::Compiler;
use cubecl_cpp::shared::{CompilationOptions, CppCompiler};
use cubecl_cpp::target::{Cuda, Hip, Metal};
use wgpu_dropout::launch::{Decisions, Part, part};
use wgpu_dropout::{DropoutCall, DropoutRate, Effect, ElementType, MaskKey, MaskLayout};

use kernel::dropout::{Variant, WORKGROUP_SIZE, dropout};
use kernel::index::{Dimension, dimensions};
use kernel::mask::{Mask, mask};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::args_os().nth(1).ok_or("give a folder for the texts")?;
    let folder = PathBuf::from(folder);
    write(&folder.join("cuda"), "cu", CppCompiler::<Cuda>::default())?;
    write(&folder.join("hip"), "hip", CppCompiler::<Hip>::default())?;
    write(
        &folder.join("metal"),
        "metal",
        CppCompiler::<Metal>::default(),
    )?;
    Ok(())
}

fn write<C>(folder: &Path, extension: &str, mut compiler: C) -> Result<(), Box<dyn Error>>
where
    C: Compiler<CompilationOptions = CompilationOptions>,
{
    fs::create_dir_all(folder)?;
    let mut kernels = 0;
    for (variant, part, width) in variants()? {
        let name = format!(
            "{}_{:?}_{:?}_{}d_{width}",
            variant.element,
            variant.effect,
            variant.decisions,
            part.dimensions.len()
        )
        .to_lowercase();
        let kernel = match width {
            4 => definition::<Const<4>>(&name, variant, &part),
            _ => definition::<Const<1>>(&name, variant, &part),
        };
        let text = compiler
            .compile(kernel, &CompilationOptions::default())
            .map_err(|error| format!("{name}: {error:?}"))?;
        fs::write(folder.join(format!("{name}.{extension}")), text.to_string())?;
        kernels += 1;
    }
    println!("{}: {kernels} kernels", folder.display());
    Ok(())
}

/// Each effect for each element type and each way to find decisions, with loads of four words and
/// of one.
fn variants() -> Result<Vec<(Variant, Part, usize)>, Box<dyn Error>> {
    let call = DropoutCall::new(DropoutRate::new(0.1)?, MaskKey::new(0, 0));
    let layouts = [
        MaskLayout::linear(64),
        MaskLayout::linear(64).offset(1)?,
        MaskLayout::strided(&[4, 16], &[24, 1])?,
        MaskLayout::strided(&[4, 15], &[16, 1])?,
        MaskLayout::drop_path(&[2, 64])?,
        MaskLayout::strided(&[5, 7], &[30, 3])?,
    ];
    let mut variants = Vec::new();
    for &element in ElementType::ALL {
        for effect in [Effect::Scale, Effect::Keep, Effect::Affine, Effect::Noise] {
            for layout in &layouts {
                let part = part(layout, &call, 0..layout.len())?;
                let variant = Variant {
                    element,
                    effect,
                    decisions: part.decisions,
                };
                if part.decisions != Decisions::Blocks {
                    variants.push((variant, part.clone(), 1));
                }
                variants.push((variant, part, 4));
            }
        }
    }
    Ok(variants)
}

/// The kernel's definition, as a launch would make it on a device.
fn definition<N: Size>(name: &str, variant: Variant, part: &Part) -> KernelDefinition {
    let settings = KernelSettings::new(
        Dim3::new_1d(WORKGROUP_SIZE),
        ExecutionMode::Unchecked,
        AddressType::U32,
    )
    .kernel_name(name);
    let mut launcher = KernelLauncher::new(settings.clone());
    let mask = Mask::register(mask(&part.mask), &mut launcher);
    let layout = Sequence::<Dimension>::register(dimensions(&part.dimensions), &mut launcher);
    launcher.discard();

    let mut builder = KernelBuilder::new(settings);
    let buffer = BufferCompilationArg { inplace: None };
    let input = <[Vector<u32, N>]>::expand(&buffer, &mut builder);
    let mut output = <[Vector<u32, N>]>::expand(&buffer, &mut builder);
    let mask = Mask::expand(&mask, &mut builder);
    let layout = Sequence::<Dimension>::expand(&layout, &mut builder);
    let len = u32::expand(&(), &mut builder);
    let width = N::__expand_value(&builder.scope);
    dropout::expand::<N>(
        &builder.scope,
        width,
        &input,
        &mut output,
        &mask,
        &layout,
        len,
        variant,
    );
    builder.build()
}
