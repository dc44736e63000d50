//! The compilers of seven GPUs that are not here. Mesa's drivers for NVIDIA, AMD, Apple and Qualcomm compile without
//! their hardware, for which drm-shim answers, and execute nothing. They are Mesa's compilers and not the vendors'.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Instant;

use serde_json::Value;

use super::kernels::Kernel;
use super::{Row, on_each_core};
use crate::Result;
use crate::command::{cargo, command_line, root, run as run_command};
use crate::debian::{self, Apt};
use crate::matrix::FOLDER;
use crate::table::table;

/// A driver and the variables by which it takes itself for that of a GPU.
struct Gpu {
    name: &'static str,
    driver: &'static str,
    shim: &'static str,
    variables: &'static [(&'static str, &'static str)],
}

const GPUS: [Gpu; 7] = [
    nvidia("NVIDIA Turing", &[("NOUVEAU_CHIPSET", "0x162")]),
    nvidia("NVIDIA Ada", &[("NOUVEAU_CHIPSET", "0x192")]),
    nvidia("NVIDIA Blackwell", &[("NOUVEAU_CHIPSET", "0x1b2")]),
    amd("AMD RDNA3", &[("AMDGPU_GPU_ID", "navi31")]),
    amd("AMD RDNA4", &[("AMDGPU_GPU_ID", "gfx1201")]),
    Gpu {
        name: "Apple M1",
        driver: "asahi",
        shim: "libasahi_noop_drm_shim.so",
        variables: &[],
    },
    Gpu {
        name: "Adreno 740",
        driver: "freedreno",
        shim: "libfreedreno_noop_drm_shim.so",
        variables: &[("FD_GPU_ID", "740")],
    },
];

const fn nvidia(name: &'static str, variables: &'static [(&'static str, &'static str)]) -> Gpu {
    Gpu {
        name,
        driver: "nouveau",
        shim: "libnouveau_noop_drm_shim.so",
        variables,
    }
}

const fn amd(name: &'static str, variables: &'static [(&'static str, &'static str)]) -> Gpu {
    Gpu {
        name,
        driver: "radeon",
        shim: "libamdgpu_noop_drm_shim.so",
        variables,
    }
}

/// The kernels of the table, without `.wgsl`, and their names there.
const MAIN: [(&str, &str); 12] = [
    (
        "dropout, f32",
        "dropout-f32-separate-linear-scale-blocks-u64-immediates",
    ),
    (
        "dropout, f32, halves",
        "dropout-f32-separate-linear-scale-blocks-halves-immediates",
    ),
    (
        "dropout, bf16",
        "dropout-bf16-separate-linear-scale-blocks-u64-immediates",
    ),
    (
        "dropout, f16",
        "dropout-f16-separate-linear-scale-blocks-u64-immediates",
    ),
    (
        "dropout, rows, f32",
        "dropout-f32-separate-rows-2-dimensions-yes-whole-words-no-sample-ids-scale-vectors-u64-immediates",
    ),
    ("keep mask", "keep-mask-linear-u64-immediates"),
    (
        "bias + residual, f32",
        "dropout-f32-pooled-linear-scale-residual-and-vectors-f32-vectors-u64-immediates",
    ),
    (
        "gelu-tanh, f32",
        "activated-f32-forward-gelu-tanh-linear-vectors-u64-immediates",
    ),
    (
        "its gradient, f32",
        "activated-f32-gradient-gelu-tanh-linear-vectors-u64-immediates",
    ),
    (
        "residual + norm, f32",
        "norm-f32-forward-apart-branch-linear-vectors-u64-immediates",
    ),
    (
        "softmax, f32",
        "softmax-f32-forward-linear-vectors-u64-immediates",
    ),
    (
        "its gradient, f32",
        "softmax-f32-gradient-linear-vectors-u64-immediates",
    ),
];

/// The page that `gpus --record` writes.
const PAGE: &str = "docs/gpu-costs.md";

/// A driver's figures for one text.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Figures {
    instructions: u64,
    registers: u64,
}

/// The findings on one GPU.
struct Found {
    /// The name that the driver gives itself.
    driver: String,
    figures: BTreeMap<String, Figures>,
    complaints: Vec<String>,
}

/// The drivers and the program that asks them.
pub struct Drivers {
    version: String,
    libraries: PathBuf,
    manifests: PathBuf,
    program: PathBuf,
}

impl Drivers {
    /// Unpacks the drivers of Debian unstable with all that they depend on, the C library too, and builds the program.
    pub fn new(root: &Path) -> Result<Self> {
        let apt = Apt::of_unstable(&root.join(FOLDER).join("unstable"))?;
        let packages = ["mesa-vulkan-drivers", "mesa-drm-shim", "libvulkan1"];
        let tree = apt.unpack_with_dependencies("tree", &packages)?;
        let loader = debian::find(&tree, "libvulkan_radeon.so")?.ok_or("Mesa has no RADV")?;
        let libraries = loader.parent().ok_or("a library has no folder")?.to_owned();
        let manifests = tree.join("manifests");
        fs::create_dir_all(&manifests)?;
        for driver in ["nouveau", "radeon", "asahi", "freedreno"] {
            let name = format!("{driver}_icd.json");
            let path = debian::find(&tree.join("usr/share"), &name)?;
            let path = path.ok_or_else(|| format!("Mesa has no {name}"))?;
            let mut manifest: Value = serde_json::from_str(&fs::read_to_string(path)?)?;
            // The loader knows no folder of this tree.
            let library = libraries.join(format!("libvulkan_{driver}.so"));
            manifest["ICD"]["library_path"] = library.display().to_string().into();
            fs::write(manifests.join(name), manifest.to_string())?;
        }
        run_command(&mut cargo("build --release --package gpu-cost"))?;
        Ok(Self {
            version: apt.version("mesa-vulkan-drivers")?,
            libraries,
            manifests,
            program: root.join("target/release/gpu-cost"),
        })
    }

    /// Starts `program` with the driver of `gpu` and nothing else of this system.
    fn command(&self, gpu: &Gpu, program: &Path) -> Command {
        let mut command = Command::new(self.libraries.join("ld-linux-x86-64.so.2"));
        command
            .arg("--library-path")
            .arg(&self.libraries)
            .arg("--preload")
            .arg(self.libraries.join(gpu.shim))
            .arg(program)
            .envs(gpu.variables.iter().copied())
            .env("WGPU_BACKEND", "vulkan")
            .env("MESA_SHADER_CACHE_DISABLE", "true");
        let manifest = self.manifests.join(format!("{}_icd.json", gpu.driver));
        command.env("VK_DRIVER_FILES", manifest);
        command
    }

    /// Compiles the files of `folder`. A text that is refused and one that spills registers are complaints.
    fn compile(&self, gpu: &Gpu, folder: &Path, files: &[String]) -> Result<Found> {
        let mut command = self.command(gpu, &self.program);
        let output = command.current_dir(folder).args(files).output()?;
        let stdout = String::from_utf8_lossy(&output.stdout);
        let found = Found::read(&stdout);
        let compiled = found.figures.len() + found.complaints.len();
        if compiled < files.len() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            let (name, all) = (gpu.name, files.len());
            return Err(format!("{name}: {compiled} of {all} texts were read: {stderr}").into());
        }
        Ok(found)
    }

    /// Fails where a driver takes a broken text.
    fn control(&self, folder: &Path) -> Result {
        let file = "broken.wgsl";
        let text = "@compute @workgroup_size(1) fn main() { let a = undeclared; }";
        fs::write(folder.join(file), text)?;
        let found = self.compile(&GPUS[0], folder, &[file.to_owned()])?;
        fs::remove_file(folder.join(file))?;
        match found.complaints.len() {
            1 => Ok(()),
            _ => Err("a broken text was compiled".into()),
        }
    }
}

impl Found {
    /// Reads the lines of gpu-cost.
    fn read(stdout: &str) -> Self {
        let mut lines = stdout.lines();
        let driver = lines.next().unwrap_or_default().trim().to_owned();
        let (mut figures, mut complaints) = (BTreeMap::new(), Vec::new());
        for line in lines {
            let mut cells = line.split('\t');
            let file = cells.next().unwrap_or_default();
            let numbers: Vec<u64> = cells.filter_map(|cell| cell.parse().ok()).collect();
            match numbers[..] {
                [instructions, registers, spills] => {
                    if spills > 0 {
                        complaints.push(format!("{file}: {spills} spills"));
                        continue;
                    }
                    let found = Figures {
                        instructions,
                        registers,
                    };
                    figures.insert(file.to_owned(), found);
                }
                _ => complaints.push(line.replace('\t', ": ")),
            }
        }
        Self {
            driver,
            figures,
            complaints,
        }
    }
}

/// `gpus`: compiles the main kernels for each GPU, prints their costs, and lets `verify` fail there.
pub fn run(mut args: impl Iterator<Item = String>) -> Result {
    let record = match args.next().as_deref() {
        None => false,
        Some("--record") => true,
        Some(arg) => return Err(format!("`gpus` has no option `{arg}`").into()),
    };
    main_kernels(true, record)
}

/// Compiles the main kernels for each GPU and prints their costs. With `audit`, `verify` must fail on each; with
/// `record` the costs become a page of docs/.
pub fn main_kernels(audit: bool, record: bool) -> Result {
    let root = root()?;
    let texts = root.join("target/gpus");
    let _ = fs::remove_dir_all(&texts);
    let program = command_line()?;
    let mut write = Command::new(&program);
    run_command(write.args(["wgsl", "--output-dir"]).arg(&texts))?;
    let drivers = Drivers::new(&root)?;
    drivers.control(&texts)?;
    let files = MAIN.map(|(_, file)| format!("{file}.wgsl"));
    let mut found = Vec::new();
    for gpu in &GPUS {
        found.push(drivers.compile(gpu, &texts, &files)?);
    }
    let elements = elements(&texts)?;
    println!("\nMesa {}, not the vendors' compilers", drivers.version);
    let costs = costs(&found, &elements);
    println!("{}", table(&costs, 1));
    fs::remove_dir_all(&texts)?;
    let complaints: Vec<_> = GPUS
        .iter()
        .zip(&found)
        .flat_map(|(gpu, found)| {
            found
                .complaints
                .iter()
                .map(|text| format!("{}: {text}", gpu.name))
        })
        .collect();
    if !complaints.is_empty() {
        return Err(complaints.join("\n").into());
    }
    if record {
        fs::write(root.join(PAGE), page(&drivers.version, &costs))?;
    }
    if audit {
        GPUS.iter()
            .try_for_each(|gpu| refuse(&drivers, gpu, &program))
    } else {
        Ok(())
    }
}

/// Fails where the auditor trusts a GPU that executes nothing.
fn refuse(drivers: &Drivers, gpu: &Gpu, program: &Path) -> Result {
    let mut verify = drivers.command(gpu, program);
    let output = verify.args(["verify", "--json", "-"]).output()?;
    let report: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("{}: verify: {error}", gpu.name))?;
    println!("{}: verify {}", gpu.name, output.status);
    let checks = report["adapters"][0]["checks"].as_array();
    let failed = |check: &Value| check["outcome"] == "failed";
    match checks {
        Some(checks) if !checks.is_empty() && checks.iter().all(failed) => Ok(()),
        _ => Err(format!("{}: a check passed where nothing is executed", gpu.name).into()),
    }
}

/// The elements that an invocation takes, by file; 1 of a kernel of rows.
fn elements(folder: &Path) -> Result<BTreeMap<String, u64>> {
    let kernels: Vec<Value> =
        serde_json::from_str(&fs::read_to_string(folder.join("kernels.json"))?)?;
    let elements = kernels.iter().filter_map(|kernel| {
        let elements = kernel["elements_per_workgroup"].as_u64()? / 256;
        Some((kernel["file"].as_str()?.to_owned(), elements))
    });
    Ok(elements.collect())
}

/// Instructions an element and registers, a row for each main kernel. Kernels of rows have loops: their instructions
/// are those of the whole text.
fn costs(found: &[Found], elements: &BTreeMap<String, u64>) -> Vec<Vec<String>> {
    let mut heads = vec!["instructions / registers".to_owned()];
    heads.extend(GPUS.iter().map(|gpu| gpu.name.to_owned()));
    let mut rows = vec![heads];
    for (name, file) in MAIN {
        let file = format!("{file}.wgsl");
        let elements = elements.get(&file).copied().unwrap_or(1);
        let mut row = vec![match elements {
            1 => format!("{name}, whole text"),
            _ => name.to_owned(),
        }];
        row.extend(found.iter().map(|found| match found.figures.get(&file) {
            Some(figures) => {
                let each = figures.instructions as f64 / elements as f64;
                format!("{each:.0} / {}", figures.registers)
            }
            None => "-".to_owned(),
        }));
        rows.push(row);
    }
    rows
}

/// The page of the costs.
fn page(version: &str, costs: &[Vec<String>]) -> String {
    let mut page = format!(
        "# What kernels cost on GPUs that are not here\n\
         By `cargo xtask gpus --record`, Mesa {version}. Mesa's drivers for these GPUs compile without the hardware \
         (drm-shim) and execute\nnothing. They are Mesa's compilers and not the vendors'. Each cell has instructions an \
         element, or of a kernel of rows those of\nthe whole text, and registers. A second draw, which one decision in \
         65,536 takes, is counted in full. No kernel spills. `cargo xtask ci`\ncompiles these; `cargo xtask compilers` \
         each representative text. `verify` fails on each of these GPUs, as it must where nothing is executed.\n\n"
    );
    for (number, row) in costs.iter().enumerate() {
        page += &format!("| {} |\n", row.join(" | "));
        if number == 0 {
            page += &format!("| --- {}|\n", "| --: ".repeat(row.len() - 1));
        }
    }
    page
}

/// A row for each GPU: the representative texts that use immediates, as wgpu gives them to Vulkan's drivers.
pub(super) fn judge(root: &Path, folder: &Path, kernels: &[Kernel]) -> Result<Vec<Row>> {
    let drivers = Drivers::new(root)?;
    drivers.control(folder)?;
    let typical = kernels
        .iter()
        .filter(|kernel| kernel.typical && kernel.immediates);
    let files: Vec<_> = typical.map(|kernel| kernel.file.clone()).collect();
    let gpus = Mutex::new(GPUS.iter());
    let rows = Mutex::new(Vec::new());
    let work = || -> std::result::Result<(), String> {
        while let Some(gpu) = gpus.lock().ok().and_then(|mut gpus| gpus.next()) {
            let start = Instant::now();
            let found = drivers.compile(gpu, folder, &files);
            let found = found.map_err(|error| error.to_string())?;
            let row = Row {
                compiler: format!("Mesa {}, {}, {}", drivers.version, gpu.name, found.driver),
                texts: files.len(),
                complaints: found.complaints,
                time: start.elapsed(),
            };
            rows.lock().map_err(|error| error.to_string())?.push(row);
        }
        Ok(())
    };
    on_each_core(work)?;
    let mut rows = rows.into_inner().map_err(|error| error.to_string())?;
    rows.sort_by(|a, b| a.compiler.cmp(&b.compiler));
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spills_and_refusals_are_complaints() {
        let found =
            Found::read("NVK\na.wgsl\t64\t20\t0\nb.wgsl\t64\t20\t3\nc.wgsl\tunknown name\n");
        assert_eq!(found.driver, "NVK");
        let figures = Figures {
            instructions: 64,
            registers: 20,
        };
        assert_eq!(
            found.figures,
            BTreeMap::from([("a.wgsl".to_owned(), figures)])
        );
        assert_eq!(
            found.complaints,
            ["b.wgsl: 3 spills", "c.wgsl: unknown name"]
        );
    }
}
