//! Translations by naga of each text for the drivers, and the verdicts of their languages'
//! validators.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::kernels::Kernel;
use super::tools::Tools;
use super::{Row, on_each_core};
use crate::Result;

/// Texts that a thread takes at once.
const BATCH: usize = 64;

/// A use of a name that is not declared, in GLSL and HLSL.
const BROKEN: &str = "\nuint broken() { return undeclared; }\n";

/// Who reads the translations to a language.
struct Judge {
    name: &'static str,
    extension: &'static str,
    takes: fn(&Kernel) -> bool,
    complaints: fn(&Tools, &[Text<'_>]) -> Result<Vec<String>>,
    /// Makes of a good translation one to be refused.
    damage: fn(&mut Vec<u8>),
}

const JUDGES: [Judge; 3] = [
    Judge {
        name: "spirv-val, SPIR-V",
        extension: "spv",
        takes: |_| true,
        complaints: |tools, texts| {
            each(texts, |text| {
                text.refused(&mut spirv_val(tools, &text.path))
            })
        },
        // The bound of ids, the fourth word.
        damage: |module| module[12..16].copy_from_slice(&1u32.to_le_bytes()),
    },
    Judge {
        name: "glslang, GLSL ES 3.1",
        extension: "comp",
        takes: is_glsl,
        complaints: glsl,
        damage: |text| text.extend(BROKEN.bytes()),
    },
    Judge {
        // Direct3D's own compilers, DXC and FXC, are in no Debian.
        name: "glslang and spirv-val, HLSL",
        extension: "hlsl",
        // glslang's HLSL has no 64-bit integers. It is ten times as slow as the others.
        takes: |kernel| is_hlsl(kernel) && !kernel.int64 && kernel.typical,
        complaints: |tools, texts| each(texts, |text| hlsl(tools, text)),
        damage: |text| text.extend(BROKEN.bytes()),
    },
];

/// GLSL ES has no 64-bit integers.
fn is_glsl(kernel: &Kernel) -> bool {
    !kernel.int64
}

/// naga's command line cannot say where HLSL finds immediates.
fn is_hlsl(kernel: &Kernel) -> bool {
    !kernel.immediates
}

/// A text and its translation.
struct Text<'a> {
    kernel: &'a Kernel,
    path: PathBuf,
}

impl Text<'_> {
    /// The output of a compiler that fails.
    fn refused(&self, compiler: &mut Command) -> Result<Option<String>> {
        let output = compiler.output()?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let file = &self.kernel.file;
        Ok((!output.status.success()).then(|| format!("{file}: {}", said.trim())))
    }
}

fn each(
    texts: &[Text<'_>],
    refused: impl Fn(&Text<'_>) -> Result<Option<String>>,
) -> Result<Vec<String>> {
    texts
        .iter()
        .filter_map(|text| refused(text).transpose())
        .collect()
}

fn spirv_val(tools: &Tools, module: &Path) -> Command {
    let mut command = Command::new(&tools.spirv_val);
    command.args(["--target-env", "vulkan1.1"]).arg(module);
    command
}

/// One process for all, which starts slowly; where it fails, one for each.
fn glsl(tools: &Tools, texts: &[Text<'_>]) -> Result<Vec<String>> {
    let mut all = Command::new(&tools.glslang);
    all.args(texts.iter().map(|text| &text.path));
    if all.output()?.status.success() {
        return Ok(Vec::new());
    }
    each(texts, |text| {
        text.refused(Command::new(&tools.glslang).arg(&text.path))
    })
}

fn hlsl(tools: &Tools, text: &Text<'_>) -> Result<Option<String>> {
    let module = text.path.with_extension("hlsl.spv");
    let mut glslang = Command::new(&tools.glslang);
    // Without its optimiser, which takes half of the time.
    glslang.args([
        "-D",
        "-V",
        "-Od",
        "-S",
        "comp",
        "-e",
        &text.kernel.entry_point,
    ]);
    let refused = text.refused(glslang.arg(&text.path).arg("-o").arg(&module))?;
    if refused.is_some() {
        return Ok(refused);
    }
    let refused = text.refused(&mut spirv_val(tools, &module))?;
    fs::remove_file(module)?;
    Ok(refused)
}

/// naga's row and one for each judge.
pub fn judge(tools: &Tools, folder: &Path, kernels: &[Kernel]) -> Result<Vec<Row>> {
    let naga = format!("naga {}, SPIR-V, GLSL, HLSL, MSL", tools.naga_version);
    let names = [naga]
        .into_iter()
        .chain(JUDGES.map(|judge| judge.name.into()));
    let mut rows: Vec<_> = names
        .map(|compiler| Row {
            compiler,
            texts: 0,
            complaints: Vec::new(),
            time: Duration::ZERO,
        })
        .collect();
    let first = kernels.iter().find(|kernel| kernel.is_portable());
    control(tools, folder, first.ok_or("no text is portable")?)?;

    let batches = Mutex::new(kernels.chunks(BATCH));
    let total = Mutex::new(&mut rows);
    let work = || -> std::result::Result<(), String> {
        while let Some(batch) = batches.lock().ok().and_then(|mut batches| batches.next()) {
            let found = judge_batch(tools, folder, batch).map_err(|error| error.to_string())?;
            let mut rows = total.lock().map_err(|error| error.to_string())?;
            for (row, (texts, complaints, time)) in rows.iter_mut().zip(found) {
                row.texts += texts;
                row.complaints.extend(complaints);
                row.time += time;
            }
        }
        Ok(())
    };
    on_each_core(work)?;
    Ok(rows)
}

/// How many texts one looked at, what it says against them and how long that took.
type Found = (usize, Vec<String>, Duration);

fn judge_batch(tools: &Tools, folder: &Path, kernels: &[Kernel]) -> Result<Vec<Found>> {
    let start = Instant::now();
    let (mut refused, mut good) = (Vec::new(), Vec::new());
    for kernel in kernels {
        match translate(tools, folder, kernel)? {
            Some(complaint) => refused.push(complaint),
            None => good.push(kernel),
        }
    }
    let mut found = vec![(kernels.len(), refused, start.elapsed())];
    for judge in &JUDGES {
        let start = Instant::now();
        let texts: Vec<_> = good
            .iter()
            .filter(|kernel| (judge.takes)(kernel))
            .map(|kernel| translated(folder, kernel, judge.extension))
            .collect();
        let complaints = (judge.complaints)(tools, &texts)?;
        found.push((texts.len(), complaints, start.elapsed()));
    }
    for kernel in good {
        for extension in extensions(kernel) {
            fs::remove_file(translated(folder, kernel, extension).path)?;
        }
    }
    Ok(found)
}

fn translated<'a>(folder: &Path, kernel: &'a Kernel, extension: &str) -> Text<'a> {
    Text {
        kernel,
        path: folder.join(&kernel.file).with_extension(extension),
    }
}

/// The languages that a text is translated to.
fn extensions(kernel: &Kernel) -> impl Iterator<Item = &'static str> {
    let (glsl, hlsl) = (is_glsl(kernel), is_hlsl(kernel));
    ["spv", "metal"]
        .into_iter()
        .chain(glsl.then_some("comp"))
        .chain(hlsl.then_some("hlsl"))
}

/// Makes all translations of a text, or says why not.
fn translate(tools: &Tools, folder: &Path, kernel: &Kernel) -> Result<Option<String>> {
    let text = translated(folder, kernel, "wgsl");
    let mut naga = Command::new(&tools.naga);
    // Indices are checked as wgpu asks for it. MSL has 64-bit integers from 2.3 on.
    naga.args([
        "--index-bounds-check-policy",
        "Restrict",
        "--metal-version",
        "2.4",
    ]);
    naga.args(["--shader-model", "60", "--profile", "es310"]);
    naga.args(["--entry-point", &kernel.entry_point])
        .arg(&text.path);
    naga.args(extensions(kernel).map(|extension| translated(folder, kernel, extension).path));
    text.refused(&mut naga)
}

/// Fails where one refuses a good text or lets a broken one pass.
fn control(tools: &Tools, folder: &Path, kernel: &Kernel) -> Result {
    if let Some(complaint) = translate(tools, folder, kernel)? {
        return Err(complaint.into());
    }
    for judge in &JUDGES {
        let texts = [translated(folder, kernel, judge.extension)];
        let path = &texts[0].path;
        let mut content = fs::read(path)?;
        let before = (judge.complaints)(tools, &texts)?;
        (judge.damage)(&mut content);
        fs::write(path, content)?;
        let after = (judge.complaints)(tools, &texts)?;
        if !before.is_empty() || after.is_empty() {
            let (name, file) = (judge.name, &kernel.file);
            return Err(
                format!("{name}: of {file} it says {before:?}, of a broken one {after:?}").into(),
            );
        }
    }
    let path = folder.join(&kernel.file);
    let text = fs::read_to_string(&path)?;
    fs::write(
        &path,
        format!("{text}\nfn broken() -> u32 {{ return undeclared; }}\n"),
    )?;
    let refused = translate(tools, folder, kernel)?;
    fs::write(&path, text)?;
    match refused {
        Some(_) => Ok(()),
        None => Err("naga lets a broken text pass".into()),
    }
}
