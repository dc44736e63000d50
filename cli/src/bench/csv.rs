//! The measurements as CSV.

use std::io::Write;

use anyhow::Result;

use super::record::{Adapter, Record};
use super::samples::Samples;
use crate::output::Output;

const HEADER: &str = "adapter,place,operation,dtype,elements,bytes,rounds,\
wall_p10_seconds,wall_median_seconds,wall_p90_seconds,\
gpu_p10_seconds,gpu_median_seconds,gpu_p90_seconds,variant";

/// Writes a row for each measurement. An absent value leaves its cell empty.
pub fn write(record: &Record, output: &mut Output) -> Result<()> {
    let adapter = record.adapter.as_ref().map(Adapter::title);
    let adapter = quoted(&adapter.unwrap_or_default());
    writeln!(output, "{HEADER}")?;
    let plain = record.measurements.iter().map(|row| (row, String::new()));
    let variants = record.variants.iter();
    let variants = variants.map(|row| (&row.measurement, row.variant.to_string()));
    let launches = record.launches.iter();
    let launches = launches.map(|row| (&row.measurement, format!("{} in a pass", row.tensors)));
    for (row, variant) in plain.chain(variants).chain(launches) {
        writeln!(
            output,
            "{adapter},{},{},{},{},{},{},{},{},{}",
            quoted(&row.place.to_string()),
            row.operation,
            row.dtype,
            row.elements,
            row.bytes,
            row.wall_seconds.len(),
            quantiles(Some(&row.wall_seconds)),
            quantiles(row.gpu_seconds.as_ref()),
            quoted(&variant),
        )?;
    }
    Ok(())
}

fn quantiles(samples: Option<&Samples>) -> String {
    let quantile = |share| samples.map_or(String::new(), |s| s.quantile(share).to_string());
    [0.1, 0.5, 0.9].map(quantile).join(",")
}

/// Quotes a name, since names may contain commas.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_times_are_empty_fields() {
        let samples = Samples::from_iter([0.5]);
        assert_eq!(quantiles(Some(&samples)), "0.5,0.5,0.5");
        assert_eq!(quantiles(None), ",,");
    }

    #[test]
    fn quotes_are_doubled() {
        assert_eq!(
            quoted(r#"llvmpipe (15.0, "x")"#),
            r#""llvmpipe (15.0, ""x"")""#
        );
    }
}
