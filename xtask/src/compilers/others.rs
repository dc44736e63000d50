//! The repository's other WGSL: the audit's driver and the kernels of examples, tests, docs and the page.
//! Browsers refuse some of what wgpu accepts, such as `a >> b | c`.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::command::output;

/// Folders without such texts. Those of `shaders` are parts of the kernels that the command line writes.
const PASSED_OVER: [&str; 2] = ["shaders/", "xtask/"];

/// The beginning of a text's name, and a file or text that programs put before it.
const BEFORE: [(&str, &str); 4] = [
    (
        "examples-shaders-",
        include_str!("../../../examples/shaders/step.wgsl"),
    ),
    (
        "examples-transformer_block-embedding",
        include_str!("../../../examples/shaders/step.wgsl"),
    ),
    ("examples-attention", "const VECTORS: u32 = 16u;\n"),
    (
        "cli-src-bench-chain",
        "const LANES = 4u;
        fn unpack(w: vec4<u32>) -> Numbers { return Numbers(bitcast<vec4<f32>>(w), vec4<f32>()); }
        fn pack(n: Numbers) -> vec4<u32> { return bitcast<vec4<u32>>(n.low); }
        ",
    ),
];

/// Puts each into `folder`, behind the mask functions, and returns how many there are.
pub fn write(folder: &Path, root: &Path, functions: &str) -> Result<usize> {
    fs::create_dir_all(folder)?;
    let texts = texts(root)?;
    for (name, text) in &texts {
        let before = BEFORE.iter().find(|(start, _)| name.starts_with(start));
        let before = before.map_or("", |(_, before)| before);
        fs::write(folder.join(name), format!("{functions}{before}{text}"))?;
    }
    Ok(texts.len())
}

/// Each kernel, and a name by its file: a whole file, or the literals of a program that are kernels.
fn texts(root: &Path) -> Result<Vec<(String, String)>> {
    let mut list = Command::new("git");
    list.current_dir(root)
        .args(["ls-files", "*.wgsl", "*.rs", "*.py", "*.js", "*.mjs"]);
    let files = output(&mut list)?;
    let is_meant = |file: &&str| !PASSED_OVER.iter().any(|folder| file.starts_with(folder));
    let mut texts = Vec::new();
    for file in files.lines().filter(is_meant) {
        let quote = match file.rsplit_once('.') {
            Some((_, "wgsl")) => '\0',
            Some((_, "js" | "mjs")) => '`',
            _ => '"',
        };
        let text = fs::read_to_string(root.join(file))?;
        let kernels = text.split(quote);
        let kernels = kernels.filter(|kernel| kernel.contains("@compute @workgroup_size"));
        // Browsers have no immediates.
        let kernels = kernels.filter(|kernel| !kernel.contains("var<immediate>"));
        let name = file.replace('/', "-");
        texts.extend((0..).zip(kernels).map(|(place, kernel)| {
            (
                format!("{name}-{place}.wgsl"),
                kernel.replace("\n///", "\n"),
            )
        }));
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::root;

    #[test]
    fn kernels_of_programs_and_texts_are_found() {
        let texts = texts(&root().unwrap()).unwrap();
        for name in [
            "src-audit-functions.wgsl",
            "src-kernel-functions.rs",
            "web-src-loss_gradient.wgsl",
            "tests-gpu-passes.rs",
            "examples-lora.rs",
            "examples-hosts-mask.mjs",
            "examples-hosts-mask.py",
            "examples-transformer_block-apart.wgsl",
        ] {
            assert!(
                texts.iter().any(|(found, _)| found.starts_with(name)),
                "{name}"
            );
        }
    }
}
