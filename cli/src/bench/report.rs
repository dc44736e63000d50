//! Measurements as text.

use comfy_table::{CellAlignment, Table, presets};
use wgpu_dropout::DropoutCall;

use super::buffers::Buffers;
use super::measure::{Measurement, Operation, Place};
use crate::adapters;
use crate::engine::Gpu;

/// What the columns mean.
pub const LEGEND: &str = "\
Times are of one tensor; on the GPU from submission to completion, uploads and recording excluded.
GB/s: 8 bytes an element, each read once and written once, over the median.
x copy: time over that of a copy of the same bytes in the same place: the copy kernel on the GPU,
memcpy by as many threads on the CPU. 1.00 is the best there can be.
x GPU: speed over that of the same operation on the GPU.
A run goes through buffers of twice the largest cache, but no more than 1 GiB or 4096 pairs.
Outputs were checked to the bit before anything was timed.";

/// What is measured, above all tables.
pub fn preamble(gpu: Option<&Gpu>, call: &DropoutCall) -> String {
    let gpu = match gpu {
        Some(gpu) if gpu.is_software() => format!(
            "GPU: {}, a SOFTWARE adapter: it runs on the CPU, and its times say nothing about a GPU",
            adapters::label(&gpu.info)
        ),
        Some(gpu) => format!("GPU: {}", adapters::label(&gpu.info)),
        None => "GPU: none (--engine cpu)".to_owned(),
    };
    format!("{gpu}\ncall: {call}")
}

/// The table of one size, below a line about its buffers.
pub fn size(buffers: &Buffers, measurements: &[Measurement]) -> String {
    format!(
        "{}\n{}",
        buffers_line(buffers, measurements),
        table(measurements)
    )
}

fn buffers_line(buffers: &Buffers, measurements: &[Measurement]) -> String {
    let caches = if buffers.fit_the_cache() {
        "which the caches may hold"
    } else {
        "beyond the caches"
    };
    format!(
        "{} elements, {} rounds over {} x (input + output) = {}, {caches} of up to {}",
        buffers.len,
        measurements.first().map_or(0, |row| row.seconds.len()),
        buffers.pairs,
        mebibytes(buffers.bytes()),
        mebibytes(buffers.cache_bytes),
    )
}

fn table(measurements: &[Measurement]) -> String {
    let median_of = |place: Place, operation: Operation| {
        measurements
            .iter()
            .find(|row| row.place == place && row.operation == operation)
            .map(Measurement::median)
    };
    let ratio = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.2}"));
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "where",
        "operation",
        "median",
        "p10",
        "p90",
        "GB/s",
        "x copy",
        "x GPU",
    ]);
    for row in measurements {
        let copy = median_of(row.place, Operation::Copy);
        let gpu = median_of(Place::Gpu, row.operation);
        table.add_row([
            row.place.to_string(),
            row.operation.to_string(),
            time(row.median()),
            time(row.quantile(0.1)),
            time(row.quantile(0.9)),
            format!("{:.2}", row.useful_bytes_per_second() / 1e9),
            ratio(copy.map(|copy| row.median() / copy)),
            ratio(gpu.map(|gpu| gpu / row.median())),
        ]);
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if index >= 2 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

fn time(seconds: f64) -> String {
    match seconds {
        s if s < 1e-3 => format!("{:.1} us", s * 1e6),
        s if s < 1.0 => format!("{:.2} ms", s * 1e3),
        s => format!("{s:.3} s"),
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
