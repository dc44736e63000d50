//! The measurements as tables of text.

use std::slice;

use comfy_table::{CellAlignment, Table, presets};

use super::buffers::Buffers;
use super::dtype::Dtype;
use super::fused::FusedMeasurement;
use super::launches::Launch;
use super::measure::{Measurement, Operation, Place};
use super::record::{Adapter, Record};
use super::recording::{DISPATCHES, Recording, Way};
use super::samples::Samples;
use super::variants::{Variant, VariantMeasurement};

/// An explanation of the columns, printed after the tables.
pub const LEGEND: &str = "\
Times are for one tensor. wall: median with p10 and p90; on the GPU from submission to completion,
without uploads and recording. GPU: median time of the compute pass by the adapter's timestamps;
empty if it has none.
GB/s: the bytes of each element, read once and written once, divided by the median wall time.
x copy: wall time divided by that of a copy of the same elements in the same place: the copy kernel
on the GPU, memcpy by as many threads on the CPU. 1.00 is the best possible.
x GPU: speed divided by that of the same operation on the GPU.
x dropout: wall time divided by that of dropout of elements with consecutive mask indices.
a dispatch: the time that one more dispatch adds to a pass, without that of its elements, by median
wall times; empty if noise hides it.
rand loop: a plain loop over rand's SmallRng that scales or drops f32, without this library.
A run goes through buffers of twice the largest cache, but no more than 1 GiB or 1024 pairs.
Outputs were compared with the CPU path before anything was timed: to the bit, and for alpha and
Gaussian dropout within the library's bounds.";

const FUSED_LEGEND: &str = "\
Times are for one tensor, by the adapter's timestamps if it has them. chain: the same operations in
separate passes. bytes: those that one pass and the chain move per element. bound: the chain's time
minus 0.8 times the time to copy the bytes that one pass saves. Before anything was timed, both gave
the same numbers, within roundings.";

/// The text above all tables: the adapter and the call.
pub fn preamble(record: &Record) -> String {
    let gpu = match &record.adapter {
        Some(adapter) if adapter.software => format!(
            "{}: it runs on the CPU, so its times say nothing about a GPU",
            adapter.title()
        ),
        Some(adapter) => adapter.title(),
        None => "none (--engine cpu)".to_owned(),
    };
    format!("GPU: {gpu}\ncall: {}", record.call)
}

/// The table of one size, after lines about its buffers.
pub fn size(adapter: Option<&Adapter>, plans: &[Buffers], measurements: &[Measurement]) -> String {
    let head = head(adapter, plans, measurements.first());
    format!("{head}\n{}", table(measurements))
}

fn head(adapter: Option<&Adapter>, plans: &[Buffers], first: Option<&Measurement>) -> String {
    let mut head = format!(
        "{} elements{}\n{} rounds",
        plans.first().map_or(0, |buffers| buffers.len),
        on(adapter),
        first.map_or(0, |row| row.wall_seconds.len()),
    );
    for buffers in plans {
        let cache = mebibytes(buffers.cache_bytes);
        let caches = if buffers.fit_the_cache() {
            format!("which caches of up to {cache} may hold")
        } else {
            format!("beyond caches of up to {cache}")
        };
        let (dtype, pairs, bytes) = (buffers.dtype, buffers.pairs, mebibytes(buffers.bytes()));
        head += &format!("\n{dtype}: {pairs} x (input + output) = {bytes}, {caches}");
    }
    head
}

/// The table of layouts and kinds, for forward.
pub fn variants(
    adapter: Option<&Adapter>,
    buffers: &Buffers,
    rows: &[VariantMeasurement],
) -> String {
    let median_of = |variant| {
        rows.iter()
            .find(|row| row.variant == variant)
            .map(|row| row.measurement.wall_seconds.median())
    };
    let [copy, linear] = [Variant::Copy, Variant::Linear].map(median_of);
    let cells = rows.iter().map(|row| {
        let median = row.measurement.wall_seconds.median();
        let mut cells = vec![row.variant.to_string()];
        cells.extend(times(&row.measurement));
        cells.push(ratio(copy.map(|copy| median / copy)));
        cells.push(ratio(linear.map(|linear| median / linear)));
        cells
    });
    let heads = [
        &["forward on the GPU"][..],
        &TIMES,
        &["x copy", "x dropout"],
    ]
    .concat();
    let first = rows.first().map(|row| &row.measurement);
    format!(
        "Layouts and kinds, {}\n{}",
        head(adapter, slice::from_ref(buffers), first),
        aligned(&heads, cells, 1)
    )
}

/// The table of the GPU's cost of a dispatch.
pub fn launches(adapter: Option<&Adapter>, rows: &[Launch]) -> String {
    let cells = rows.iter().map(|row| {
        let measurement = &row.measurement;
        let mut cells = vec![
            format!("{} x {}", row.tensors, measurement.elements),
            measurement.operation.to_string(),
        ];
        cells.extend(times(measurement));
        cells.push(row.of_a_dispatch(rows).map_or(String::new(), time));
        cells
    });
    let heads = [
        &["tensors in a pass", "operation"][..],
        &TIMES,
        &["a dispatch"],
    ]
    .concat();
    let rounds = rows.first();
    let rounds = rounds.map_or(0, |row| row.measurement.wall_seconds.len());
    format!(
        "Many f32 tensors in a pass{}: {rounds} rounds\n{}",
        on(adapter),
        aligned(&heads, cells, 2)
    )
}

/// The table of the cost of recording.
pub fn recording(adapter: Option<&Adapter>, recording: &[Recording]) -> String {
    let by_hand = recording.iter().find(|row| row.way == Way::ByHand);
    let by_hand = by_hand.map(|row| row.seconds.median());
    let rows = recording.iter().map(|row| {
        vec![
            row.way.to_string(),
            time(row.seconds.median()),
            time(row.seconds.quantile(0.1)),
            time(row.seconds.quantile(0.9)),
            ratio(by_hand.map(|by_hand| row.seconds.median() / by_hand)),
        ]
    });
    format!(
        "CPU time to record a dispatch{}: {DISPATCHES} in a pass, encoder and finish included, \
         nothing submitted\n{}",
        on(adapter),
        aligned(&["recorded", "median", "p10", "p90", "x by hand"], rows, 1)
    )
}

/// The table of fused operations and their chains.
pub fn fused(adapter: Option<&Adapter>, rows: &[FusedMeasurement]) -> String {
    let cells = rows.iter().map(|row| {
        let [fused, chain, copy] =
            [&row.fused_seconds, &row.chain_seconds, &row.copy_seconds].map(Samples::median);
        let accesses = row
            .fusion
            .accesses()
            .map(|each| u64::from(each) * row.dtype.bytes());
        let bound = row.bound_seconds();
        vec![
            row.fusion.to_string(),
            row.dtype.to_string(),
            row.elements.to_string(),
            format!("{} / {}", accesses[0], accesses[1]),
            time(fused),
            time(chain),
            time(copy),
            format!("{:.2}", chain / fused),
            format!("{:.2}", fused / bound),
        ]
    });
    let heads = [
        "fused",
        "type",
        "elements",
        "bytes",
        "one pass",
        "chain",
        "copy",
        "chain / pass",
        "pass / bound",
    ];
    let rounds = rows.first().map_or(0, |row| row.fused_seconds.len());
    format!(
        "Dropout fused with its neighbours{}: medians of {rounds} rounds\n{}\n{FUSED_LEGEND}",
        on(adapter),
        aligned(&heads, cells, 2)
    )
}

/// The end of a table's title, which names the adapter.
fn on(adapter: Option<&Adapter>) -> String {
    adapter.map_or(String::new(), |adapter| format!(" on {}", adapter.title()))
}

fn table(measurements: &[Measurement]) -> String {
    let median_of = |place: Place, operation: Operation, dtype: Dtype| {
        measurements
            .iter()
            .find(|row| (row.place, row.operation, row.dtype) == (place, operation, dtype))
            .map(|row| row.wall_seconds.median())
    };
    let heads = [
        &["where", "type", "operation"][..],
        &TIMES,
        &["x copy", "x GPU"],
    ]
    .concat();
    let rows = measurements.iter().map(|row| {
        let median = row.wall_seconds.median();
        let copy = median_of(row.place.ceiling(), Operation::Copy, row.dtype);
        let on_gpu = median_of(Place::Gpu, row.operation, row.dtype);
        let mut cells = [&row.place as &dyn ToString, &row.dtype, &row.operation]
            .map(ToString::to_string)
            .to_vec();
        cells.extend(times(row));
        cells.push(ratio(copy.map(|copy| median / copy)));
        cells.push(ratio(on_gpu.map(|on_gpu| on_gpu / median)));
        cells
    });
    aligned(&heads, rows, 3)
}

const TIMES: [&str; 5] = ["wall", "p10", "p90", "GPU", "GB/s"];

/// The cells of the columns [`TIMES`].
fn times(row: &Measurement) -> [String; 5] {
    let wall = &row.wall_seconds;
    let by_timestamps = row.gpu_seconds.as_ref();
    [
        time(wall.median()),
        time(wall.quantile(0.1)),
        time(wall.quantile(0.9)),
        by_timestamps.map_or(String::new(), |seconds| time(seconds.median())),
        format!("{:.2}", row.gigabytes_per_second(wall.median())),
    ]
}

/// A table whose first `names` columns are text. The others are numbers, aligned at the right.
fn aligned(heads: &[&str], rows: impl Iterator<Item = Vec<String>>, names: usize) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(heads)
        .add_rows(rows);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if index >= names {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

fn ratio(value: Option<f64>) -> String {
    value.map_or(String::new(), |value| format!("{value:.2}"))
}

fn time(seconds: f64) -> String {
    match seconds {
        s if s < 1e-5 => format!("{:.2} us", s * 1e6),
        s if s < 1e-3 => format!("{:.1} us", s * 1e6),
        s if s < 1.0 => format!("{:.2} ms", s * 1e3),
        s => format!("{s:.3} s"),
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
