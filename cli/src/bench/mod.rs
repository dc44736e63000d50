//! `bench`: measures dropout on this machine, and compares it with a copy of the same bytes.

mod buffers;
mod cpu;
mod csv;
mod dtype;
mod fused;
mod gpu;
mod launches;
mod markdown;
mod measure;
mod norms;
mod plot;
mod progress;
mod rand_loop;
mod record;
mod recording;
mod report;
mod rows;
mod samples;
mod softmaxes;
mod timestamps;
mod variants;

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rayon::ThreadPool;
use wgpu_dropout::half::{bf16, f16};
use wgpu_dropout::{DropoutCall, DropoutRate, Element, MaskKey};

use crate::engine::{Engine, EngineArgs, Gpu};
use crate::number;
use crate::output::{self, Output};
use buffers::Buffers;
use cpu::{CpuBench, CpuTensors};
use dtype::Dtype;
use fused::Op;
use gpu::GpuBench;
use measure::{Measurement, Operation, Subject};
use progress::Progress;
use rand_loop::RandLoop;
use record::Record;

const FILES: &str = "Files; `-` is standard output, instead of the tables";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Operations to measure, separated by commas
    #[arg(
        long,
        value_enum,
        value_name = "OP,…",
        value_delimiter = ',',
        default_value = "dropout"
    )]
    op: Vec<Op>,
    /// Elements of a tensor, separated by commas
    #[arg(
        long,
        value_name = "N,…",
        value_delimiter = ',',
        value_parser = number::integer::<usize>,
        allow_hyphen_values = true,
        default_value = "4096,65536,1048576,16777216"
    )]
    sizes: Vec<usize>,
    /// Types of the elements, separated by commas; the plot shows the first
    #[arg(
        long,
        value_enum,
        value_name = "T,…",
        value_delimiter = ',',
        default_value = "f32,f16,bf16"
    )]
    dtype: Vec<Dtype>,
    /// Probability of dropping an element
    #[arg(
        long,
        value_name = "P",
        value_parser = number::rate,
        allow_hyphen_values = true,
        default_value = "0.1"
    )]
    p: DropoutRate,
    /// Seconds for the whole run, which sizes and further tables share; each makes 5 to 101 rounds,
    /// so that large sizes and software adapters may take longer
    #[arg(
        long,
        value_name = "S",
        value_parser = number::seconds,
        allow_hyphen_values = true,
        default_value = "60"
    )]
    seconds: u64,
    /// Write the record of the run as JSON, with every single time
    #[arg(long, value_name = "FILE", help_heading = FILES)]
    json: Option<PathBuf>,
    /// Write a row for each measurement of a tensor as CSV
    #[arg(long, value_name = "FILE", help_heading = FILES)]
    csv: Option<PathBuf>,
    /// Draw throughput over size, as SVG
    #[arg(long, value_name = "FILE", help_heading = FILES)]
    plot: Option<PathBuf>,
    /// Write a page of Markdown: times over those of a copy
    #[arg(long, value_name = "FILE", help_heading = FILES)]
    markdown: Option<PathBuf>,
}

pub fn run(args: &Args, engine: &EngineArgs) -> Result<()> {
    ensure!(
        !args.sizes.contains(&0),
        "0 elements cannot be measured: give --sizes from 1 on"
    );
    let engine = engine.open()?;
    let gpu = match &engine {
        Engine::Gpu(gpu) => Some(&**gpu),
        Engine::Cpu => None,
    };
    let files = args.files()?;
    // Neither the time nor the share of kept elements depends on the key.
    let call = DropoutCall::new(args.p, MaskKey::layer_step(42, 3, 7));
    let record = measure(args, gpu, &call)?;
    let written = files.into_iter().map(|(mut output, write)| {
        write(&record, &mut output)?;
        output.finish()
    });
    // If one file fails, the others are still written.
    written.fold(Ok(()), output::both)
}

/// A function that writes a record in one format.
type Writer = fn(&Record, &mut Output) -> Result<()>;

impl Args {
    fn forms(&self) -> impl Iterator<Item = (&Path, Writer)> {
        let forms: [(&Option<PathBuf>, Writer); 4] = [
            (&self.json, Record::write_json),
            (&self.csv, csv::write),
            (&self.plot, plot::write),
            (&self.markdown, markdown::write),
        ];
        forms
            .into_iter()
            .filter_map(|(path, write)| Some((path.as_deref()?, write)))
    }

    /// Opens the files. This comes before the measurements, so that a wrong path is reported at
    /// once.
    fn files(&self) -> Result<Vec<(Output, Writer)>> {
        self.forms()
            .map(|(path, write)| Ok((Output::create(path)?, write)))
            .collect()
    }

    fn has_tables(&self) -> bool {
        !self.forms().any(|(path, _)| output::is_stdout(path))
    }
}

/// Measures everything. Prints each table as soon as it is complete.
fn measure(args: &Args, gpu: Option<&Gpu>, call: &DropoutCall) -> Result<Record> {
    let pools = cpu::thread_pools()?;
    let end = Instant::now() + Duration::from_secs(args.seconds);
    let mut record = Record::new(gpu, call)?;
    // The further tables are of layouts and kinds, of many tensors in a pass, and of recording.
    let more = if gpu.is_some() { 3 } else { 0 };
    let of_dropout = match args.op.contains(&Op::Dropout) {
        true => args.sizes.len() + more,
        false => 0,
    };
    let mut fused = Vec::new();
    for op in [Op::Add, Op::Act, Op::Norm, Op::Softmax]
        .into_iter()
        .filter(|op| args.op.contains(op))
    {
        for &len in &args.sizes {
            fused.extend(args.dtype.iter().map(|&dtype| (op, len, dtype)));
        }
    }
    let parts = of_dropout + fused.len();
    let mut schedule = Schedule { end, parts };
    let progress = Progress::new(parts, args.has_tables(), args.forms().next().is_some())?;
    progress.print(&report::preamble(&record))?;
    if !fused.is_empty() {
        let gpu = gpu.context(
            "--op add, act, norm and softmax compare passes on a GPU: leave --engine cpu out",
        )?;
        for (index, &(op, len, dtype)) in fused.iter().enumerate() {
            progress.say(format!("fused, {len} elements of {dtype}"));
            let share = |share| progress.set(of_dropout + index, share);
            let rows = fused::measure(gpu, op, dtype, len, call, schedule.next(), share)
                .with_context(|| format!("at {len} elements of {dtype}"))?;
            record.fused.extend(rows);
        }
        let table = report::fused(record.adapter.as_ref(), &record.fused);
        progress.print(&format!("\n{table}"))?;
    }
    if args.op.contains(&Op::Dropout) {
        measure_dropout(args, gpu, &pools, call, schedule, &progress, &mut record)?;
        progress.print(&format!("\n{}", report::LEGEND))?;
    }
    Ok(record)
}

/// Shares the time of a run between its parts. A part that is slow to set up, or whose five rounds
/// take longer than its share, leaves less to those behind it.
struct Schedule {
    end: Instant,
    /// The parts that are still to come.
    parts: usize,
}

impl Schedule {
    /// The time for the next part.
    fn next(&mut self) -> Duration {
        let left = self.end.saturating_duration_since(Instant::now());
        let share = left / self.parts.max(1) as u32;
        self.parts -= 1;
        share
    }
}

/// Measures dropout without other operations.
fn measure_dropout(
    args: &Args,
    gpu: Option<&Gpu>,
    pools: &[ThreadPool],
    call: &DropoutCall,
    mut schedule: Schedule,
    progress: &Progress,
    record: &mut Record,
) -> Result<()> {
    for (index, &len) in args.sizes.iter().enumerate() {
        progress.say(format!("{len} elements"));
        let plan = |dtype: &Dtype| Buffers::plan(*dtype, len, gpu);
        let plans: Vec<_> = args.dtype.iter().map(plan).collect::<Result<_>>()?;
        let measurements = measure_size(gpu, pools, &plans, call, schedule.next(), |share| {
            progress.set(index, share);
        })
        .with_context(|| format!("at {len} elements"))?;
        let table = report::size(record.adapter.as_ref(), &plans, &measurements);
        progress.print(&format!("\n{table}"))?;
        record.measurements.extend(measurements);
    }
    if let Some(gpu) = gpu {
        progress.say("layouts and kinds".to_owned());
        let share = |share| progress.set(args.sizes.len(), share);
        let (buffers, rows) = variants::measure(gpu, call, schedule.next(), share)?;
        let table = report::variants(record.adapter.as_ref(), &buffers, &rows);
        progress.print(&format!("\n{table}"))?;
        record.variants = rows;
        progress.say("many tensors in a pass".to_owned());
        let share = |share| progress.set(args.sizes.len() + 1, share);
        record.launches = launches::measure(gpu, call, schedule.next(), share)?;
        let table = report::launches(record.adapter.as_ref(), &record.launches);
        progress.print(&format!("\n{table}"))?;
        progress.say("recording".to_owned());
        record.recording = recording::measure(gpu, call, schedule.next())?;
        let table = report::recording(record.adapter.as_ref(), &record.recording);
        progress.print(&format!("\n{table}"))?;
    }
    Ok(())
}

/// Measures one size in all types: verifies every subject, then measures them in turn.
fn measure_size(
    gpu: Option<&Gpu>,
    pools: &[ThreadPool],
    plans: &[Buffers],
    call: &DropoutCall,
    duration: Duration,
    progress: impl Fn(f64),
) -> Result<Vec<Measurement>> {
    buffers::check_memory(plans, gpu.is_some())?;
    let mut all = Vec::new();
    for buffers in plans {
        all.extend(match buffers.dtype {
            Dtype::F32 => subjects::<f32>(gpu, pools, buffers, call),
            Dtype::F16 => subjects::<f16>(gpu, pools, buffers, call),
            Dtype::Bf16 => subjects::<bf16>(gpu, pools, buffers, call),
        }?);
    }
    measure::interleaved(&all, duration, progress)
}

/// All subjects for elements of type `T`, each verified.
fn subjects<'a, T: Element>(
    gpu: Option<&'a Gpu>,
    pools: &'a [ThreadPool],
    buffers: &Buffers,
    call: &DropoutCall,
) -> Result<Vec<Box<dyn Subject + 'a>>> {
    let input: Vec<T> = buffers::random_input(buffers.len)?;
    let tensors = Rc::new(CpuTensors::new(buffers, &input)?);
    let mut subjects: Vec<Box<dyn Subject + 'a>> = Vec::new();
    if let Some(gpu) = gpu {
        subjects.push(Box::new(GpuBench::new(gpu, buffers, &input, *call)?));
    }
    for pool in pools {
        subjects.push(Box::new(CpuBench::new(pool, tensors.clone(), *call)));
    }
    for operation in Operation::ALL {
        let expected = cpu::expected(operation, &input, call)?;
        for subject in &subjects {
            measure::verify(&**subject, operation, bytemuck::cast_slice(&expected))?;
        }
    }
    if buffers.dtype == Dtype::F32 {
        // This loop has a mask of its own, and checks itself.
        subjects.push(Box::new(RandLoop::new(&pools[0], tensors, &input, call)?));
    }
    Ok(subjects)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_share_the_seconds_that_are_left() {
        let end = |seconds| Instant::now() + Duration::from_secs(seconds);
        let mut schedule = Schedule {
            end: end(60),
            parts: 4,
        };
        let next = |schedule: &mut Schedule| schedule.next().as_secs_f64().round();
        assert_eq!(next(&mut schedule), 15.0);
        // The first part took 30 s.
        schedule.end = end(30);
        assert_eq!(next(&mut schedule), 10.0);
        schedule.end = Instant::now();
        assert_eq!(next(&mut schedule), 0.0);
        schedule.end = end(7);
        assert_eq!(next(&mut schedule), 7.0);
    }
}
