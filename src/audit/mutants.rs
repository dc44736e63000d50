#[path = "../../xtask/src/mutants/rules.rs"]
#[allow(dead_code)]
mod rules;

use super::faults::Fault;
use super::tests::{devices, found_by_met};
use std::fs;

#[test]
fn shader_mutants() {
    let step: usize = std::env::var("STEP").map_or(1, |s| s.parse().unwrap());
    let first: usize = std::env::var("FIRST").map_or(0, |s| s.parse().unwrap());
    let only = std::env::var("ONLY").unwrap_or_default();
    let backend = std::env::var("BACKEND").unwrap_or("vulkan".into());
    let devices = devices();
    let (_, device, queue) = devices.iter().find(|(b, ..)| *b == backend).unwrap();
    let mut n = 0;
    let mut names: Vec<_> = fs::read_dir("shaders").unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).filter(|n| n.ends_with(".wgsl") && n.contains(&only)).collect();
    names.sort();
    for name in names {
        let text = fs::read_to_string(format!("shaders/{name}")).unwrap();
        for mutant in rules::mutants(&text) {
            n += 1;
            if (n + first) % step != 0 { continue; }
            let [_, before, after] = mutant.lines(&text);
            let changed: &'static str = Box::leak(mutant.apply(&text).into_boxed_str());
            let from: &'static str = Box::leak(text.clone().into_boxed_str());
            let t = std::time::Instant::now();
            let (found, met) = found_by_met(device, queue, Fault::Text { from, to: changed, of: |_| true });
            let fate = match &found {
                _ if met == 0 => "UNMET".to_owned(),
                None => "SURVIVED".to_owned(),
                Some(f) if f.contains("Device::create_shader_module") => "invalid".to_owned(),
                Some(f) => f.chars().take(60).collect(),
            };
            println!("{n} {name}:{} | {before} -> {after} | {fate} | {:.1}", mutant.line, t.elapsed().as_secs_f64());
        }
    }
}
