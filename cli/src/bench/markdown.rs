//! `--markdown`: the page docs/benchmarks.md.

use std::io::Write;

use anyhow::Result;

use super::measure::{Measurement, Operation, Place};
use super::record::Record;
use super::recording::Way;
use super::variants::Variant;
use crate::output::{Output, code};

/// The page has ratios only, since a software adapter's speed depends on the CPU.
pub fn write(record: &Record, output: &mut Output) -> Result<()> {
    let mut page = "# What dropout costs\n".to_owned();
    if let Some(adapter) = &record.adapter {
        page += &format!("Here is {}. ", adapter.markdown());
    }
    page += &format!("{}, {}.\n\n", record.machine(), code(&record.call));
    page += "\
A number is dropout's time divided by the time of a copy of the same bytes: on the GPU by a copy kernel, on the CPU by
memcpy with as many threads. 1.00 is the best possible. The rand loop is the simplest dropout on a CPU: it calls
`random_bool` of rand's `SmallRng` for each element.

";
    let mut sizes: Vec<_> = record.measurements.iter().map(|row| row.elements).collect();
    sizes.dedup();
    let heads = sizes.iter().map(|&size| grouped(size as u64));
    page += &table("elements", heads.collect(), rows(record, &sizes));
    page += &variants(record);
    page += &recording(record);
    Ok(output.write_all(page.as_bytes())?)
}

/// A row for each place, operation and type, but for copies.
fn rows(record: &Record, sizes: &[usize]) -> Vec<(String, Vec<String>)> {
    let all = &record.measurements;
    let first = all.iter().filter(|row| row.elements == sizes[0]);
    let measured = first.filter(|row| row.operation != Operation::Copy);
    let row = |of: &Measurement| {
        let median = |place: Place, operation: Operation, elements: usize| {
            let is = |row: &&Measurement| {
                (row.place, row.operation, row.dtype, row.elements)
                    == (place, operation, of.dtype, elements)
            };
            all.iter().find(is).map(|row| row.wall_seconds.median())
        };
        let ratio = |&elements: &usize| {
            let time = median(of.place, of.operation, elements)?;
            Some(time / median(of.place.ceiling(), Operation::Copy, elements)?)
        };
        let name = format!("{}, {}, {}", of.place, of.operation, of.dtype);
        (
            name,
            sizes.iter().map(|size| two_digits(ratio(size))).collect(),
        )
    };
    measured.map(row).collect()
}

fn variants(record: &Record) -> String {
    let median = |variant| {
        let row = record.variants.iter().find(|row| row.variant == variant);
        row.map(|row| row.measurement.wall_seconds.median())
    };
    let Some(first) = record.variants.first() else {
        return String::new();
    };
    let elements = grouped(first.measurement.elements as u64);
    let others = record.variants.iter();
    let others = others.filter(|row| ![Variant::Copy, Variant::Linear].contains(&row.variant));
    let rows = others.map(|row| {
        let time = row.measurement.wall_seconds.median();
        let ratios =
            [Variant::Copy, Variant::Linear].map(|other| median(other).map(|of| time / of));
        (row.variant.to_string(), ratios.map(two_digits).to_vec())
    });
    format!(
        "\nForward on the GPU, {elements} elements: the time divided by that of the copy, and by that of dropout with \
         consecutive mask indices.\n\n{}",
        table(
            "",
            vec!["copy".to_owned(), "dropout".to_owned()],
            rows.collect()
        )
    )
}

/// The cost of recording a dispatch.
fn recording(record: &Record) -> String {
    let median = |way| {
        let row = record.recording.iter().find(|row| row.way == way);
        row.map(|row| row.seconds.median())
    };
    let ratio = |way| Some(median(way)? / median(Way::ByHand)?);
    match (ratio(Way::Immediates), ratio(Way::Uniforms)) {
        (Some(immediates), Some(uniforms)) => format!(
            "\nRecording a dispatch takes {immediates:.2} times the CPU time of the same wgpu calls written by hand; \
             without `IMMEDIATES`, {uniforms:.1} times.\n"
        ),
        _ => String::new(),
    }
}

fn table(name: &str, heads: Vec<String>, rows: Vec<(String, Vec<String>)>) -> String {
    let line = |name: &str, cells: &[String]| format!("| {name} | {} |\n", cells.join(" | "));
    let numbers = vec!["--:".to_owned(); heads.len()];
    let mut text = line(name, &heads) + &line("---", &numbers);
    text.extend(rows.iter().map(|(name, cells)| line(name, cells)));
    text
}

fn two_digits(ratio: Option<f64>) -> String {
    ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"))
}

/// 65536 as `65,536`.
fn grouped(number: u64) -> String {
    match number {
        0..1000 => number.to_string(),
        _ => format!("{},{:03}", grouped(number / 1000), number % 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped() {
        assert_eq!(
            [7, 65_536, 1_000_001].map(grouped),
            ["7", "65,536", "1,000,001"]
        );
    }

    #[test]
    fn a_table_has_a_row_for_each_name() {
        let rows = vec![(
            "forward".to_owned(),
            vec![two_digits(Some(1.254)), two_digits(None)],
        )];
        assert_eq!(
            table("", vec!["1".to_owned(), "2".to_owned()], rows),
            "|  | 1 | 2 |\n| --- | --: | --: |\n| forward | 1.25 |  |\n"
        );
    }
}
