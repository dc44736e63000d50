//! The compilers of seven GPUs that are not here. Mesa's drivers for NVIDIA, AMD, Apple and Qualcomm compile without
//! their hardware, for which drm-shim answers, and execute nothing. They are Mesa's compilers and not the vendors'.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Instant;

use serde_json::Value;

use super::{Rows, kernel_tools};
use crate::Result;
use crate::command::{command_line, root, run as run_command};
use crate::debian::{FOLDER, With, find, unpack, version};

/// GPUs with their drivers and shims, and a variable by which the shim takes itself for the GPU's.
const GPUS: &str = "\
NVIDIA Turing, nouveau, nouveau, NOUVEAU_CHIPSET=0x162
NVIDIA Ada, nouveau, nouveau, NOUVEAU_CHIPSET=0x192
NVIDIA Blackwell, nouveau, nouveau, NOUVEAU_CHIPSET=0x1b2
AMD RDNA3, radeon, amdgpu, AMDGPU_GPU_ID=navi31
AMD RDNA4, radeon, amdgpu, AMDGPU_GPU_ID=gfx1201
Apple M1, asahi, asahi
Adreno 740, freedreno, freedreno, FD_GPU_ID=740
";

/// A line of the list.
struct Gpu {
    name: &'static str,
    driver: &'static str,
    shim: &'static str,
    variable: Option<(&'static str, &'static str)>,
}

fn gpus() -> impl Iterator<Item = Gpu> {
    GPUS.lines().map(|line| {
        let mut cells = line.split(", ");
        let mut cell = || cells.next().unwrap_or_default();
        Gpu {
            name: cell(),
            driver: cell(),
            shim: cell(),
            variable: cell().split_once('='),
        }
    })
}

/// The names of the rows of the table, and the texts without `.wgsl`.
const MAIN: &str = "\
dropout, f32: dropout-f32-separate-linear-scale-blocks-u64-immediates
dropout, f32, halves: dropout-f32-separate-linear-scale-blocks-halves-immediates
dropout, bf16: dropout-bf16-separate-linear-scale-blocks-u64-immediates
dropout, f16: dropout-f16-separate-linear-scale-blocks-u64-immediates
dropout, rows, f32: dropout-f32-separate-rows-2-dimensions-yes-whole-words-no-sample-ids-scale-vectors-u64-immediates
keep mask: keep-mask-linear-u64-immediates
bias + residual, f32: dropout-f32-pooled-linear-scale-residual-and-vectors-f32-vectors-u64-immediates
gelu-tanh, f32: activated-f32-forward-gelu-tanh-linear-vectors-u64-immediates
its gradient, f32: activated-f32-gradient-gelu-tanh-linear-vectors-u64-immediates
residual + norm, f32: norm-f32-forward-apart-branch-linear-vectors-u64-immediates
softmax, f32: softmax-f32-forward-linear-vectors-u64-immediates
its gradient, f32: softmax-f32-gradient-linear-vectors-u64-immediates
";

/// The page that `gpus --record` writes.
const PAGE: &str = "docs/gpu-costs.md";

/// The drivers and the program that asks them.
struct Drivers {
    version: String,
    libraries: PathBuf,
    manifests: PathBuf,
    program: PathBuf,
}

/// The findings on one GPU.
struct Found {
    /// The name that the driver gives itself.
    driver: String,
    /// Instructions and registers by file.
    figures: BTreeMap<String, [u64; 2]>,
    /// A text that is refused and one that spills registers.
    complaints: Vec<String>,
}

impl Drivers {
    /// Unpacks the drivers of Debian unstable with all that they depend on, the C library too, and builds the program.
    /// Fails where one takes a broken text, in `folder`.
    fn new(root: &Path, folder: &Path) -> Result<Self> {
        let packages = ["mesa-vulkan-drivers", "mesa-drm-shim", "libvulkan1"];
        let tree = unpack(&root.join(FOLDER), "gpus", &packages, With::Unstable)?;
        let library = find(&tree, "libvulkan_radeon.so")?;
        let libraries = library
            .parent()
            .ok_or("a library has no folder")?
            .to_owned();
        let manifests = tree.join("manifests");
        fs::create_dir_all(&manifests)?;
        for Gpu { driver, .. } in gpus() {
            let name = format!("{driver}_icd.json");
            let manifest = fs::read_to_string(find(&tree.join("usr/share"), &name)?)?;
            let mut manifest: Value = serde_json::from_str(&manifest)?;
            // The loader knows no folder of this tree.
            let library = libraries.join(format!("libvulkan_{driver}.so"));
            manifest["ICD"]["library_path"] = library.display().to_string().into();
            fs::write(manifests.join(name), manifest.to_string())?;
        }
        let drivers = Self {
            version: version(&tree, "mesa-vulkan-drivers")?,
            libraries,
            manifests,
            program: kernel_tools(root)?,
        };
        let first = gpus().next().ok_or("no GPU")?;
        let text = "@compute @workgroup_size(1) fn main() { let a = undeclared; }";
        fs::write(folder.join("broken"), text)?;
        match drivers
            .compile(&first, folder, &["broken".to_owned()])?
            .complaints
            .len()
        {
            1 => Ok(drivers),
            _ => Err("a broken text was compiled".into()),
        }
    }

    /// Compiles the files of `folder` with the driver of `gpu` and nothing else of this system.
    fn compile(&self, gpu: &Gpu, folder: &Path, files: &[String]) -> Result<Found> {
        let mut command = Command::new(self.libraries.join("ld-linux-x86-64.so.2"));
        let shim = format!("lib{}_noop_drm_shim.so", gpu.shim);
        command.arg("--library-path").arg(&self.libraries);
        command.arg("--preload").arg(self.libraries.join(shim));
        command
            .arg(&self.program)
            .arg("costs")
            .args(files)
            .current_dir(folder);
        command.envs(gpu.variable);
        let manifest = self.manifests.join(format!("{}_icd.json", gpu.driver));
        command
            .env("VK_DRIVER_FILES", manifest)
            .env("MESA_SHADER_CACHE_DISABLE", "true");
        let output = command.output()?;
        let found = Found::read(&String::from_utf8_lossy(&output.stdout));
        let compiled = found.figures.len() + found.complaints.len();
        if compiled < files.len() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            let (name, all, status) = (gpu.name, files.len(), output.status);
            let read = format!("{compiled} of {all} texts were read");
            return Err(format!("{name}: {read}, {status}: {stderr}").into());
        }
        Ok(found)
    }

    /// The same with each GPU's, as many at once as there are cores: a driver needs memory.
    fn compile_all(&self, folder: &Path, files: &[String]) -> Result<Vec<Found>> {
        let gpus: Vec<_> = gpus().collect();
        let mut found = Vec::new();
        for some in gpus.chunks(thread::available_parallelism()?.get()) {
            let one = |gpu| {
                self.compile(gpu, folder, files)
                    .map_err(|error| error.to_string())
            };
            thread::scope(|scope| -> Result {
                let workers: Vec<_> = some
                    .iter()
                    .map(|gpu| scope.spawn(move || one(gpu)))
                    .collect();
                for worker in workers {
                    found.push(worker.join().map_err(|_| "a thread panicked")??);
                }
                Ok(())
            })?;
        }
        Ok(found)
    }
}

impl Found {
    /// Reads the lines of `kernel-tools costs`.
    fn read(stdout: &str) -> Self {
        let mut lines = stdout.lines();
        let mut found = Self {
            driver: lines.next().unwrap_or_default().trim().to_owned(),
            figures: BTreeMap::new(),
            complaints: Vec::new(),
        };
        for line in lines {
            let (file, rest) = line.split_once('\t').unwrap_or_default();
            let numbers: Vec<u64> = rest
                .split('\t')
                .filter_map(|cell| cell.parse().ok())
                .collect();
            match numbers[..] {
                [instructions, registers, 0] => {
                    found
                        .figures
                        .insert(file.to_owned(), [instructions, registers]);
                }
                [_, _, spills] => found.complaints.push(format!("{file}: {spills} spills")),
                _ => found.complaints.push(format!("{file}: {rest}")),
            }
        }
        found
    }
}

/// Fails where a GPU has complaints.
fn verdict(found: &[Found]) -> Result {
    let complaints = gpus().zip(found);
    let complaints = complaints.flat_map(|(gpu, found)| {
        found
            .complaints
            .iter()
            .map(move |text| format!("{}: {text}", gpu.name))
    });
    match complaints.collect::<Vec<_>>() {
        none if none.is_empty() => Ok(()),
        some => Err(some.join("\n").into()),
    }
}

/// `gpus`: compiles the main kernels for each GPU and prints their costs; with `record` these become a page of docs/.
pub fn run(record: bool) -> Result {
    let root = root()?;
    let texts = root.join("target/gpus");
    let _ = fs::remove_dir_all(&texts);
    let mut write = Command::new(command_line()?);
    run_command(write.args(["wgsl", "--output-dir"]).arg(&texts))?;
    let drivers = Drivers::new(&root, &texts)?;
    let rows = MAIN.lines().filter_map(|line| line.split_once(": "));
    let rows: Vec<_> = rows
        .map(|(name, file)| (name, format!("{file}.wgsl")))
        .collect();
    let files: Vec<_> = rows.iter().map(|(_, file)| file.clone()).collect();
    let found = drivers.compile_all(&texts, &files)?;
    let list: Vec<Value> = serde_json::from_str(&fs::read_to_string(texts.join("kernels.json"))?)?;
    fs::remove_dir_all(&texts)?;

    let heads = gpus().map(|gpu| gpu.name).collect::<Vec<_>>();
    let mut page = format!(
        "# What kernels cost on seven GPUs\n\
         `cargo xtask gpus --record` wrote this page with Mesa {}. Mesa's drivers for these GPUs compile without the \
         hardware (drm-shim) and\nexecute nothing. They are Mesa's compilers and not the vendors'. Each cell has the \
         instructions per element and the registers. For a\nkernel of rows it has the instructions of the whole text. \
         A second draw, which one decision in 65,536 takes, is counted in full. No\nkernel spills. `cargo xtask ci` \
         compiles these kernels, and `cargo xtask compilers` compiles each representative text.\n\n\
         | instructions / registers | {} |\n| --- {}|\n",
        drivers.version,
        heads.join(" | "),
        "| --: ".repeat(heads.len())
    );
    for (name, file) in rows {
        // An invocation of a kernel of rows takes any number: its figures are those of the whole text.
        let kernel = list.iter().find(|kernel| kernel["file"] == file.as_str());
        let elements = kernel.and_then(|kernel| kernel["elements_per_workgroup"].as_u64());
        let elements = elements.map_or(1, |elements| elements / 256);
        let whole = if elements == 1 { ", whole text" } else { "" };
        page += &format!("| {name}{whole} |");
        for found in &found {
            let [instructions, registers] = found.figures.get(&file).copied().unwrap_or_default();
            page += &format!(
                " {:.0} / {registers} |",
                instructions as f64 / elements as f64
            );
        }
        page.push('\n');
    }
    println!("\n{page}");
    verdict(&found)?;
    match record {
        true => Ok(fs::write(root.join(PAGE), page)?),
        false => Ok(()),
    }
}

/// A row for each GPU: the representative texts that use immediates, as wgpu gives them to Vulkan's drivers.
pub(super) fn judge(root: &Path, folder: &Path) -> Result<Rows> {
    let start = Instant::now();
    let drivers = Drivers::new(root, folder)?;
    let list: Vec<Value> = serde_json::from_str(&fs::read_to_string(folder.join("kernels.json"))?)?;
    let immediates = |kernel: &&Value| {
        let features = kernel["features"].as_array();
        kernel["typical"] == true && features.is_some_and(|all| all.contains(&"IMMEDIATES".into()))
    };
    let files = list
        .iter()
        .filter(immediates)
        .filter_map(|kernel| kernel["file"].as_str());
    let files: Vec<_> = files.map(str::to_owned).collect();
    let found = drivers.compile_all(folder, &files)?;
    verdict(&found)?;
    let rows = gpus().zip(found).map(|(gpu, found)| {
        let compiler = format!("Mesa {}, {}, {}", drivers.version, gpu.name, found.driver);
        let seconds = format!("{:.0}", start.elapsed().as_secs_f64());
        vec![compiler, files.len().to_string(), seconds]
    });
    Ok(rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spills_and_refusals_are_complaints() {
        let found =
            Found::read("NVK\na.wgsl\t64\t20\t0\nb.wgsl\t64\t20\t3\nc.wgsl\tunknown name\n");
        assert_eq!(found.driver, "NVK");
        assert_eq!(
            found.figures,
            BTreeMap::from([("a.wgsl".to_owned(), [64, 20])])
        );
        assert_eq!(
            found.complaints,
            ["b.wgsl: 3 spills", "c.wgsl: unknown name"]
        );
    }
}
