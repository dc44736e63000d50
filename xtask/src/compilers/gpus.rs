//! The compilers of seven GPUs that are not here. Mesa's drivers for NVIDIA, AMD, Apple and Qualcomm compile without
//! their hardware, for which drm-shim answers, and execute nothing. They are Mesa's compilers and not the vendors'.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use serde_json::Value;
use xshell::Shell;

use super::{kernel_tools, row};
use crate::Result;
use crate::command::{command_line, write_texts};
use crate::debian::{FOLDER, With, find, unpack, version};

/// Each GPU, its driver and its shim, and a variable by which the shim takes itself for the GPU's.
const GPUS: [&str; 7] = [
    "NVIDIA Turing, nouveau, nouveau, NOUVEAU_CHIPSET=0x162",
    "NVIDIA Ada, nouveau, nouveau, NOUVEAU_CHIPSET=0x192",
    "NVIDIA Blackwell, nouveau, nouveau, NOUVEAU_CHIPSET=0x1b2",
    "AMD RDNA3, radeon, amdgpu, AMDGPU_GPU_ID=navi31",
    "AMD RDNA4, radeon, amdgpu, AMDGPU_GPU_ID=gfx1201",
    "Apple M1, asahi, asahi, ",
    "Adreno 740, freedreno, freedreno, FD_GPU_ID=740",
];

fn gpus() -> [[&'static str; 4]; 7] {
    GPUS.map(|gpu| {
        let mut words = gpu.split(", ");
        std::array::from_fn(|_| words.next().unwrap_or_default())
    })
}

/// The names of the rows of the table, and the texts without `.wgsl`.
const MAIN: &str = "\
dropout, f32: dropout-f32-separate-linear-scale-blocks-u64-immediates
dropout, f32, accesses by u64: dropout-f32-separate-linear-scale-u64-blocks-u64-immediates
dropout, f32, halves: dropout-f32-separate-linear-scale-blocks-halves-immediates
dropout, bf16: dropout-bf16-separate-linear-scale-blocks-u64-immediates
dropout, bf16, accesses by u64: dropout-bf16-separate-linear-scale-u64-blocks-u64-immediates
dropout, f16: dropout-f16-separate-linear-scale-blocks-integers-u64-immediates
dropout, f16, accesses by u64: dropout-f16-separate-linear-scale-u64-blocks-integers-u64-immediates
dropout, f16, the hardware's conversions: dropout-f16-separate-linear-scale-blocks-hardware-u64-immediates
dropout, f16, both: dropout-f16-separate-linear-scale-u64-blocks-hardware-u64-immediates
dropout, rows, f32: dropout-f32-separate-rows-2-dimensions-yes-whole-words-no-sample-ids-scale-vectors-u64-immediates
keep mask: keep-mask-linear-u64-immediates
bias + residual, f32: dropout-f32-pooled-linear-scale-residual-and-vectors-f32-vectors-u64-immediates
gelu-tanh, f32: activated-f32-forward-gelu-tanh-linear-vectors-u64-immediates
its gradient, f32: activated-f32-gradient-gelu-tanh-linear-vectors-u64-immediates
residual + norm, f32: norm-f32-forward-apart-branch-linear-vectors-u64-immediates
softmax, f32: softmax-f32-forward-linear-vectors-u64-immediates
its gradient, f32: softmax-f32-gradient-linear-vectors-u64-immediates
the same from probabilities, f32: softmax-f32-gradient-from-probabilities-linear-vectors-u64-immediates
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

impl Drivers {
    /// Unpacks the drivers of Debian unstable with all that they depend on, the C library too, and builds the program.
    /// Fails where one takes a broken text, in `folder`.
    fn new(sh: &Shell, folder: &Path) -> Result<Self> {
        let packages = ["mesa-vulkan-drivers", "mesa-drm-shim", "libvulkan1"];
        let tree = unpack(sh, FOLDER, "gpus", &packages, With::Unstable)?;
        let library = find(sh, &tree, "libvulkan_radeon.so")?;
        let libraries = library.parent().ok_or("a library has no folder")?;
        let manifests = tree.join("manifests");
        for [_, driver, ..] in gpus() {
            let name = format!("{driver}_icd.json");
            let manifest = sh.read_file(find(sh, &tree.join("usr/share"), &name)?)?;
            let mut manifest: Value = serde_json::from_str(&manifest)?;
            // The loader knows no folder of this tree.
            let library = libraries.join(format!("libvulkan_{driver}.so"));
            manifest["ICD"]["library_path"] = library.display().to_string().into();
            sh.write_file(manifests.join(name), manifest.to_string())?;
        }
        let drivers = Self {
            version: version(&tree, "mesa-vulkan-drivers")?,
            libraries: libraries.to_owned(),
            manifests,
            program: kernel_tools(sh)?,
        };
        let text = "@compute @workgroup_size(1) fn main() { let a = undeclared; }";
        sh.write_file(folder.join("broken"), text)?;
        match drivers.compile(folder, &["broken".to_owned()]) {
            Ok(_) => Err("a broken text was compiled".into()),
            Err(error) if error.to_string().matches("broken: ").count() == GPUS.len() => {
                Ok(drivers)
            }
            Err(error) => Err(error),
        }
    }

    /// Compiles the files of `folder` with each GPU's driver, as many at once as there are cores: a driver needs memory.
    /// Fails where one refuses a text or spills registers. The findings are those of `kernel-tools costs`.
    fn compile(&self, folder: &Path, files: &[String]) -> Result<Vec<Value>> {
        let mut all: Vec<Value> = Vec::new();
        let mut complaints = Vec::new();
        for gpus in gpus().chunks(thread::available_parallelism()?.get()) {
            let started = gpus.iter().map(|gpu| self.start(gpu, folder, files));
            let started: Vec<_> = started.collect::<io::Result<_>>()?;
            for ([name, ..], child) in gpus.iter().zip(started) {
                let output = child.wait_with_output()?;
                let Ok(found) = serde_json::from_slice::<Value>(&output.stdout) else {
                    let stderr = String::from_utf8_lossy(&output.stderr);
                    return Err(format!("{name}: {}: {stderr}", output.status).into());
                };
                let some = found["complaints"].as_array().into_iter().flatten();
                complaints.extend(some.map(|complaint| format!("{name}: {complaint}")));
                all.push(found);
            }
        }
        match complaints.is_empty() {
            true => Ok(all),
            false => Err(complaints.join("\n").into()),
        }
    }

    /// Starts the program with the driver of one GPU.
    fn start(&self, gpu: &[&str; 4], folder: &Path, files: &[String]) -> io::Result<Child> {
        let mut command = self.command(gpu, &self.program);
        command.arg("costs").args(files).current_dir(folder);
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    }

    /// Runs `verify` on one GPU of each driver. Fails unless each check failed, since none of the dispatches was
    /// executed.
    fn verify(&self, program: &Path) -> Result {
        let gpus = gpus();
        for gpu in [1, 3, 5, 6].map(|number| &gpus[number]) {
            let mut command = self.command(gpu, program);
            let output = command
                .args(["verify", "--adapter", "vulkan", "--json", "-"])
                .output()?;
            let found: Value = serde_json::from_slice(&output.stdout).map_err(|error| {
                let stderr = String::from_utf8_lossy(&output.stderr);
                format!("{}: {error}: {stderr}", gpu[0])
            })?;
            let checks = found["adapters"][0]["checks"].as_array();
            let failed = |check: &Value| check["outcome"] == "failed";
            match checks {
                Some(checks) if !checks.is_empty() && checks.iter().all(failed) => {
                    println!("{}: all {} checks of verify failed", gpu[0], checks.len());
                }
                _ => return Err(format!("{}: nothing was executed: {found}", gpu[0]).into()),
            }
        }
        Ok(())
    }

    /// `program` with the driver of one GPU and nothing else of this system.
    fn command(&self, gpu: &[&str; 4], program: &Path) -> Command {
        let [_, driver, shim, variable] = gpu;
        let mut command = Command::new(self.libraries.join("ld-linux-x86-64.so.2"));
        command.arg("--library-path").arg(&self.libraries);
        let shim = format!("lib{shim}_noop_drm_shim.so");
        command.arg("--preload").arg(self.libraries.join(shim));
        command.arg(program);
        let manifest = self.manifests.join(format!("{driver}_icd.json"));
        command.env("VK_DRIVER_FILES", manifest);
        command.env("MESA_SHADER_CACHE_DISABLE", "true");
        command.envs(variable.split_once('='));
        command
    }
}

/// `gpus`: compiles the main kernels for each GPU and prints their costs. There `verify` has to fail. With `record` the costs become a page of docs/.
pub fn run(sh: &Shell, record: bool) -> Result {
    let texts = sh.current_dir().join("target/gpus");
    let program = command_line(sh)?;
    write_texts(sh, &program, &texts)?;
    let drivers = Drivers::new(sh, &texts)?;
    let rows = MAIN.lines().filter_map(|line| line.split_once(": "));
    let (names, files): (Vec<_>, Vec<_>) = rows
        .map(|(name, file)| (name, format!("{file}.wgsl")))
        .unzip();
    let mut all = files.clone();
    for file in &files {
        let text = sh.read_file(texts.join(file))?;
        let first = first_draw(&text);
        if file.contains("blocks") && first == text {
            return Err(format!("{file} has no second draw to leave out").into());
        }
        if first != text {
            all.push(format!("{FIRST_DRAW}{file}"));
            sh.write_file(texts.join(format!("{FIRST_DRAW}{file}")), first)?;
        }
    }
    let found = drivers.compile(&texts, &all)?;
    let list: Vec<Value> = serde_json::from_str(&sh.read_file(texts.join("kernels.json"))?)?;
    sh.remove_path(&texts)?;

    let heads = gpus().map(|[name, ..]| name);
    let mut page = format!(
        "# What kernels cost on seven GPUs\n\
         `cargo xtask gpus --record` wrote this page with Mesa {}. Mesa's drivers for these GPUs compile without the \
         hardware (drm-shim) and\nexecute nothing. They are Mesa's compilers and not the vendors'. Each cell has the \
         instructions per element and the registers. For a\nkernel of rows it has the instructions of the whole text. \
         The first figure of dropout by whole mask blocks leaves out the second draw,\nwhich one decision in 65,536 \
         takes and so 0.8 % of branches in waves of 32: it is what is executed. The figure in parentheses has\n\
         the whole text. Drivers with the names NVK (NVIDIA) and Honeykrisp (Apple) get the texts with accesses by \
         u64, RADV (AMD) those with\naccesses by vectors, Turnip (Adreno) those with halves. No kernel spills. \
         `cargo xtask ci` compiles these kernels, and\n`cargo xtask compilers` compiles each representative text.\n\n\
         | instructions / registers | {} |\n| --- {}|\n",
        drivers.version,
        heads.join(" | "),
        "| --: ".repeat(heads.len())
    );
    for (name, file) in names.into_iter().zip(&files) {
        // An invocation of a kernel of rows takes any number: its figures are those of the whole text.
        let kernel = list.iter().find(|kernel| kernel["file"] == **file);
        let elements = kernel.and_then(|kernel| kernel["elements_per_workgroup"].as_u64());
        let elements = elements.map_or(1, |elements| elements / 256);
        let whole = if elements == 1 { ", whole text" } else { "" };
        page += &format!("| {name}{whole} |");
        for found in &found {
            let figure = |file: &str, at: usize| found["figures"][file][at].as_u64();
            let instructions = |file| Some(figure(file, 0)? as f64 / elements as f64);
            let whole = instructions(file).unwrap_or(0.0);
            let registers = figure(file, 1).unwrap_or(0);
            page += &match instructions(&format!("{FIRST_DRAW}{file}")) {
                Some(first) => format!(" {first:.1} ({whole:.0}) / {registers} |"),
                None => format!(" {whole:.0} / {registers} |"),
            };
        }
        page.push('\n');
    }
    println!("\n{page}");
    drivers.verify(&program)?;
    if record {
        sh.write_file(PAGE, page)?;
    }
    Ok(())
}

/// The beginning of a file's name whose text lacks the second draw.
const FIRST_DRAW: &str = "first-draw-";

/// `text` with one addition for each block in place of the second draw of decide/blocks.wgsl.
fn first_draw(text: &str) -> String {
    ["a", "b"].iter().fold(text.to_owned(), |text, block| {
        let second = format!("settled(start, words_{block}, block_{block})");
        text.replace(&second, &format!("words_{block} + vec4<u32>(1u)"))
    })
}

/// A row for each GPU: the representative texts that use immediates, as wgpu gives them to Vulkan's drivers.
pub(super) fn judge(sh: &Shell, folder: &Path) -> Result<Vec<String>> {
    let start = Instant::now();
    let drivers = Drivers::new(sh, folder)?;
    let list: Vec<Value> = serde_json::from_str(&sh.read_file(folder.join("kernels.json"))?)?;
    let immediates = |kernel: &&Value| {
        let features = kernel["features"].as_array();
        kernel["typical"] == true && features.is_some_and(|all| all.contains(&"IMMEDIATES".into()))
    };
    let files = list.iter().filter(immediates);
    let files = files.filter_map(|kernel| Some(kernel["file"].as_str()?.to_owned()));
    let files: Vec<_> = files.collect();
    let found = drivers.compile(folder, &files)?;
    drivers.verify(&command_line(sh)?)?;
    let rows = gpus().into_iter().zip(found).map(|([name, ..], found)| {
        let driver = found["driver"].as_str().unwrap_or_default();
        let compiler = format!("Mesa {}, {name}, {driver}", drivers.version);
        row(&compiler, files.len(), start)
    });
    Ok(rows.collect())
}
