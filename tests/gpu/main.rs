//! The gpu tier: every case on every adapter of the machine, one trial each.
//!
//! `REQUIRE_GPU` says which adapters must be there. Unset: without an adapter, the cases count as
//! ignored. `1`: at least one adapter. `vulkan,gl`: an adapter for each of these backends.

#[path = "../common/mod.rs"]
mod common;

mod act;
mod adapters;
mod add;
mod audit;
mod backward;
mod blocking;
mod case;
mod columns;
mod examples;
mod failures;
mod forward;
mod functions;
mod fused_launches;
mod gaussian;
mod gpu;
mod image;
mod in_place;
mod kinds;
mod launches;
mod layers;
mod layouts;
mod mask;
mod negative;
mod norm;
mod once;
mod packed;
mod passes;
mod paths;
mod philox;
mod pipelines;
mod pooled;
mod property;
mod ranges;
mod run;
mod samples;
mod shards;
mod sizes;
mod softmax;
mod sweeps;
mod thresholds;
mod training;
mod types;
mod values;

use std::env;
use std::io::{self, Write};
use std::process::{self, Command, Stdio};
use std::thread;

use libtest_mimic::Arguments;

use crate::case::Case;

const CASES: &[(&str, &[Case])] = &[
    ("forward", forward::CASES),
    ("backward", backward::CASES),
    ("in_place", in_place::CASES),
    ("pooled", pooled::CASES),
    ("mask", mask::CASES),
    ("philox", philox::CASES),
    ("values", values::CASES),
    ("types", types::CASES),
    ("thresholds", thresholds::CASES),
    ("sizes", sizes::CASES),
    ("paths", paths::CASES),
    ("pipelines", pipelines::CASES),
    ("layouts", layouts::CASES),
    ("layers", layers::CASES),
    ("launches", launches::CASES),
    ("kinds", kinds::CASES),
    ("samples", samples::CASES),
    ("packed", packed::CASES),
    ("shards", shards::CASES),
    ("gaussian", gaussian::CASES),
    ("act", act::CASES),
    ("add", add::CASES),
    ("columns", columns::CASES),
    ("norm", norm::CASES),
    ("softmax", softmax::CASES),
    ("fused_launches", fused_launches::CASES),
    ("functions", functions::CASES),
    ("examples", examples::CASES),
    ("passes", passes::CASES),
    ("training", training::CASES),
    ("blocking", blocking::CASES),
    ("failures", failures::CASES),
    ("audit", audit::CASES),
    ("property", property::CASES),
    ("negative", negative::CASES),
];

fn main() {
    let mut arguments = Arguments::from_args();
    let adapters = adapters::adapters();
    let backends = case::backends(&adapters);
    // nextest runs one trial in a process and gives its exact name.
    let is_whole = !arguments.list && !arguments.exact && arguments.test_threads.is_none();
    if backends.len() > 1 && is_whole {
        process::exit(in_processes(&backends));
    }
    // One thread only: wgpu's GL adapters panic if a thread waits for another for over a second.
    // Mesa's thread-local state would also be torn down while the process exits.
    arguments.test_threads.get_or_insert(1);
    libtest_mimic::run(&arguments, case::trials(CASES, adapters)).exit();
}

/// Runs the trials of each backend in a process of its own, all at once, since a trial mostly
/// compiles kernels on one core. `--test-threads` keeps all trials in this process. Returns the
/// exit code.
fn in_processes(backends: &[String]) -> i32 {
    let run = |backend: &String| {
        let mut process = Command::new(env::current_exe()?);
        process.args(env::args_os().skip(1));
        process.env("WGPU_BACKEND", backend);
        if case::requires_backends() {
            process.env("REQUIRE_GPU", backend);
        }
        // The first process prints as its trials end. The others print after it, one by one.
        if *backend == backends[0] {
            process.stdout(Stdio::inherit());
        }
        process.stderr(Stdio::inherit()).output()
    };
    let mut code = 0;
    thread::scope(|scope| {
        let processes: Vec<_> = backends
            .iter()
            .map(|backend| scope.spawn(move || run(backend)))
            .collect();
        for (backend, process) in backends.iter().zip(processes) {
            let output = process.join().expect("a thread that only waits");
            let failed = match output.and_then(|output| {
                io::stdout().write_all(&output.stdout)?;
                Ok(output.status)
            }) {
                Ok(status) if status.success() => continue,
                Ok(status) => status.to_string(),
                Err(error) => error.to_string(),
            };
            println!("the process of {backend}: {failed}");
            code = 1;
        }
    });
    code
}
