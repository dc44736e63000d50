//! The repository's other WGSL: the audit's driver and the kernels of examples, tests, docs and the page.
//! Browsers refuse some of what wgpu accepts, such as `a >> b | c`.

use std::path::Path;

use xshell::{Shell, cmd};

use crate::Result;

/// Folders without such texts. Those of `shaders` are parts of the kernels that the command line writes.
const PASSED_OVER: [&str; 2] = ["shaders/", "xtask/"];

const STEP: &str = include_str!("../../../examples/shaders/step.wgsl");

/// The element type's part of the chains of `bench`, and the loop of those over rows.
const CHAIN: &str = "const LANES = 4u; const COLUMNS = 1024u; const WIDTH = 64u;
fn unpack(w: vec4<u32>) -> Numbers { return Numbers(bitcast<vec4<f32>>(w), vec4<f32>()); }
fn pack(n: Numbers) -> vec4<u32> { return bitcast<vec4<u32>>(n.low); }
";
const ROWS: &str = include_str!("../../../cli/src/bench/chain_rows.wgsl");

/// The beginning of a text's name, and what programs put before it.
const BEFORE: [(&str, &[&str]); 5] = [
    ("examples-shaders-", &[STEP]),
    ("examples-transformer_block-embedding", &[STEP]),
    ("examples-attention", &["const VECTORS: u32 = 16u;\n"]),
    ("cli-src-bench-chain_", &[CHAIN, ROWS]),
    ("cli-src-bench-chain", &[CHAIN]),
];

/// Puts each into `folder`, behind the mask functions.
pub fn write(sh: &Shell, folder: &Path, functions: &str) -> Result {
    for (name, text) in &texts(sh)? {
        let before = BEFORE.iter().find(|(start, _)| name.starts_with(start));
        let before = before.map_or(String::new(), |(_, before)| before.concat());
        sh.write_file(folder.join(name), format!("{functions}{before}{text}"))?;
    }
    Ok(())
}

/// Each kernel, and a name by its file: a whole file, or the literals of a program that are kernels.
fn texts(sh: &Shell) -> Result<Vec<(String, String)>> {
    let files = cmd!(sh, "git ls-files *.wgsl *.rs *.py *.js *.mjs").read()?;
    let is_meant = |file: &&str| !PASSED_OVER.iter().any(|folder| file.starts_with(folder));
    let mut texts = Vec::new();
    for file in files.lines().filter(is_meant) {
        let quote = match file.rsplit_once('.') {
            Some((_, "wgsl")) => '\0',
            Some((_, "js" | "mjs")) => '`',
            _ => '"',
        };
        let text = sh.read_file(file)?;
        let kernels = text.split(quote);
        let kernels = kernels.filter(|kernel| kernel.contains("@compute @workgroup_size"));
        // Browsers have no immediates.
        let kernels = kernels.filter(|kernel| !kernel.contains("var<immediate>"));
        let name = file.replace('/', "-");
        texts.extend((0..).zip(kernels).map(|(place, kernel)| {
            let text = kernel.replace("\n///", "\n");
            (format!("{name}-{place}.wgsl"), text)
        }));
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::shell;

    #[test]
    fn kernels_of_programs_and_texts_are_found() {
        let texts = texts(&shell().unwrap()).unwrap();
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
            let found = texts.iter().any(|(found, _)| found.starts_with(name));
            assert!(found, "{name}");
        }
    }
}
