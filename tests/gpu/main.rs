//! The gpu tier: every case on every adapter of the machine, one trial each.
//!
//! `REQUIRE_GPU` says what must be there. Unset: a machine without an adapter passes, its cases
//! count as ignored. `1`: some adapter. `vulkan,gl`: an adapter of each of these backends.

#[path = "../common/mod.rs"]
mod common;

mod act;
mod adapters;
mod add;
mod audit;
mod backward;
mod battery;
mod blocking;
mod case;
mod columns;
mod examples;
mod failures;
mod forward;
mod functions;
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
mod random;
mod ranges;
mod run;
mod samples;
mod shards;
mod sizes;
mod softmax;
mod thresholds;
mod training;
mod types;
mod values;

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
    ("functions", functions::CASES),
    ("examples", examples::CASES),
    ("passes", passes::CASES),
    ("training", training::CASES),
    ("blocking", blocking::CASES),
    ("failures", failures::CASES),
    ("audit", audit::CASES),
    ("property", property::CASES),
    ("random", random::CASES),
    ("negative", negative::CASES),
];

fn main() {
    let mut arguments = Arguments::from_args();
    // One: wgpu's GL adapters panic where one thread keeps another waiting for a second, and what
    // Mesa leaves in other threads would be torn down while the process exits.
    arguments.test_threads.get_or_insert(1);
    libtest_mimic::run(&arguments, case::trials(CASES)).exit();
}
