//! The repository's other WGSL: the audit's driver and the kernels of examples, tests, docs and the page.
//! Browsers refuse some of what wgpu accepts, such as `a >> b | c`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;

/// Folders without such texts. Those of `shaders` are parts of the kernels that the command line writes.
const PASSED_OVER: [&str; 4] = ["target", "node_modules", "/shaders", "/xtask"];

/// Texts that programs put before their kernels.
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

/// Puts each into `folder`, behind the mask functions.
pub fn write(folder: &Path, root: &Path, functions: &str) -> Result {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder)?;
    for (name, text) in texts(root)? {
        let before = BEFORE.iter().find(|(start, _)| name.starts_with(start));
        let before = before.map_or("", |(_, before)| before);
        fs::write(folder.join(name), format!("{functions}{before}{text}"))?;
    }
    Ok(())
}

/// Each kernel, and a name by its file.
fn texts(root: &Path) -> Result<Vec<(String, String)>> {
    let mut texts = Vec::new();
    for path in files(root)? {
        let text = fs::read_to_string(&path)?;
        let name = path.strip_prefix(root)?.to_string_lossy().replace('/', "-");
        // Browsers have no immediates.
        let kernels = kernels(&path, &text);
        let kernels = kernels.filter(|kernel| !kernel.contains("var<immediate>"));
        texts.extend((0..).zip(kernels).map(|(place, kernel)| {
            let name = format!("{name}-{place}.wgsl");
            (name, kernel.replace("\n///", "\n"))
        }));
    }
    Ok(texts)
}

/// Programs and texts.
fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let (mut files, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let own = path.strip_prefix(root)?.to_string_lossy().into_owned();
            let is_passed_over = PASSED_OVER
                .iter()
                .any(|other| match other.strip_prefix('/') {
                    Some(other) => own == other,
                    None => path.ends_with(other),
                });
            let extension = path.extension().and_then(|extension| extension.to_str());
            if is_passed_over || own.starts_with('.') {
            } else if path.is_dir() {
                folders.push(path);
            } else if matches!(extension, Some("wgsl" | "rs" | "py" | "js" | "mjs")) {
                files.push(path);
            }
        }
    }
    Ok(files)
}

/// The kernels of a file: all of it, or the literals that are some.
fn kernels<'a>(path: &Path, text: &'a str) -> impl Iterator<Item = &'a str> + use<'a> {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let quote = match extension {
        Some("wgsl") => '\0',
        Some("js" | "mjs") => '`',
        _ => '"',
    };
    text.split(quote)
        .filter(|text| text.contains("@compute @workgroup_size"))
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

    /// The first line where operators meet that a browser wants parentheses between.
    fn mixed(text: &str) -> Option<&str> {
        text.lines().find(|line| {
            let mut code = line.split("//").next().unwrap_or_default().to_owned();
            for (from, to) in [
                ("->", ";"),
                ("&&", ";"),
                ("||", ";"),
                ("<<", "$"),
                (">>", "$"),
            ] {
                code = code.replace(&format!(" {from} "), to);
            }
            // The operators of each level of parentheses; a sum and a product may meet.
            let mut levels = vec![Vec::new()];
            code.chars().any(|sign| {
                let is_sum = "+-*/%".contains(sign);
                match sign {
                    '(' | '[' => levels.push(Vec::new()),
                    ')' | ']' if levels.len() > 1 => drop(levels.pop()),
                    ',' | ';' | '=' | '<' | '>' | '{' | '}' => levels.last_mut().unwrap().clear(),
                    '$' | '|' | '&' | '^' => levels.last_mut().unwrap().push(sign),
                    _ if is_sum => levels.last_mut().unwrap().push('+'),
                    _ => {}
                }
                let mut level = levels.last().unwrap().clone();
                level.dedup();
                level.len() > 1
            })
        })
    }

    #[test]
    fn no_text_mixes_operators_that_browsers_want_parentheses_between() {
        for line in ["a >> 3u | b", "f(a, b & c + d)", "a + b << 2u", "a & b | c"] {
            assert!(mixed(line).is_some(), "{line}");
        }
        let right = "(a >> 3u) | b; a + b * c < d >> 2u && e | f != 0; f(&a, -b) // a | b + c";
        assert_eq!(mixed(right), None);
        let root = root().unwrap();
        let mut texts = texts(&root).unwrap();
        for path in files(&root.join("shaders")).unwrap() {
            texts.push((
                path.display().to_string(),
                fs::read_to_string(path).unwrap(),
            ));
        }
        for (name, text) in texts {
            assert_eq!(mixed(&text), None, "{name}");
        }
    }
}
