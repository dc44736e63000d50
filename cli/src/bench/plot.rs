//! A plot of the measurements: throughput over size, both on logarithmic scales.

use std::io::Write;
use std::ops::Range;

use anyhow::Result;
use plotters::coord::Shift;
use plotters::prelude::*;

use super::dtype::Dtype;
use super::measure::{Measurement, Operation, Place};
use super::record::{Adapter, Record};
use crate::output::Output;

/// Width and height. All lengths here are in pixels.
const SIZE: (u32, u32) = (960, 540);
const CHART_WIDTH: u32 = 740;
const MARGIN: u32 = 10;
const LEGEND_TOP: i32 = 40;
const LEGEND_ROW: i32 = 24;
const POINT_RADIUS: u32 = 3;

const TITLE_FONT: (&str, u32) = ("sans-serif", 18);
const FONT: (&str, u32) = ("sans-serif", 13);

/// Okabe and Ito's colors, which colorblind people can tell apart.
const COLORS: [RGBColor; 4] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
];

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws forward in each place, and the copies that bound its speed, for the first type.
pub fn write(record: &Record, output: &mut Output) -> Result<()> {
    let mut svg = String::new();
    draw(record, &mut svg)?;
    Ok(output.write_all(svg.as_bytes())?)
}

fn draw(record: &Record, svg: &mut String) -> Result<()> {
    let adapter = record.adapter.as_ref().map(Adapter::title);
    let title = format!("Dropout on {}", adapter.as_deref().unwrap_or("the CPU"));
    let first = record.measurements.first();
    let dtype = first.map_or(Dtype::F32, |row| row.dtype);
    let lines = lines(record.measurements.iter().filter(|row| row.dtype == dtype));
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let root = root.margin(MARGIN, 0, 0, 0);
    let (chart, legend) = root
        .titled(&title, TITLE_FONT)?
        .split_horizontally(CHART_WIDTH);
    draw_chart(&chart, &lines, dtype)?;
    draw_legend(&legend, &lines)?;
    root.present()?;
    Ok(())
}

/// An operation in a place, over all sizes.
struct Line<'a> {
    name: String,
    rows: Vec<&'a Measurement>,
    /// The line's style. That of a copy is thin, with open points.
    style: ShapeStyle,
}

/// The lines, in the order of the places. An operation and the copy that bounds it share a color.
fn lines<'a>(measurements: impl Iterator<Item = &'a Measurement>) -> Vec<Line<'a>> {
    let mut lines: Vec<Line<'a>> = Vec::new();
    let mut colors: Vec<Place> = Vec::new();
    for row in measurements {
        let (name, is_copy) = match (row.operation, row.place) {
            (Operation::Forward, place) => (format!("{place}: forward"), false),
            (Operation::Copy, Place::Gpu) => ("GPU: copy kernel".to_owned(), true),
            (Operation::Copy, place) => (format!("{place}: memcpy"), true),
            _ => continue,
        };
        if let Some(line) = lines.iter_mut().find(|line| line.name == name) {
            line.rows.push(row);
            continue;
        }
        if !colors.contains(&row.place) {
            colors.push(row.place);
        }
        let color = colors.iter().position(|place| *place == row.place);
        lines.push(Line {
            name,
            rows: vec![row],
            style: ShapeStyle {
                color: COLORS[color.unwrap_or_default() % COLORS.len()].to_rgba(),
                filled: !is_copy,
                stroke_width: if is_copy { 1 } else { 3 },
            },
        });
    }
    lines
}

fn draw_chart(area: &Area<'_>, lines: &[Line<'_>], dtype: Dtype) -> Result<()> {
    let rows = || lines.iter().flat_map(|line| &line.rows);
    let x = range(rows().map(|row| row.elements as f64));
    let y = range(rows().flat_map(|row| speeds(row)));
    let mut chart = ChartBuilder::on(area)
        .margin(MARGIN)
        .x_label_area_size(48)
        .y_label_area_size(60)
        .build_cartesian_2d(x.log_scale().base(4.0), y.log_scale().base(2.0))?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .label_style(FONT)
        .x_desc(format!("elements of a tensor, {dtype}"))
        .x_label_formatter(&|elements| binary(*elements))
        .y_desc(format!(
            "GB/s by wall time: median, p10 to p90; {} bytes per element",
            2 * dtype.bytes()
        ))
        .y_label_formatter(&|speed| speed.to_string())
        .draw()?;
    for Line { rows, style, .. } in lines {
        let points = rows.iter().map(|row| (row.elements as f64, speeds(row)));
        let median = points.clone().map(|(x, [_, median, _])| (x, median));
        chart.draw_series(LineSeries::new(
            median.clone(),
            style.stroke_width(style.stroke_width),
        ))?;
        chart.draw_series(median.map(|point| Circle::new(point, POINT_RADIUS, *style)))?;
        chart.draw_series(points.map(|(x, [low, _, high])| {
            PathElement::new([(x, low), (x, high)], style.stroke_width(1))
        }))?;
    }
    Ok(())
}

fn draw_legend(area: &Area<'_>, lines: &[Line<'_>]) -> Result<()> {
    for (line, y) in lines
        .iter()
        .zip((LEGEND_TOP..).step_by(LEGEND_ROW as usize))
    {
        area.draw(&PathElement::new([(0, y), (24, y)], line.style))?;
        area.draw(&Circle::new((12, y), POINT_RADIUS, line.style))?;
        area.draw(&Text::new(line.name.clone(), (32, y - 6), FONT))?;
    }
    Ok(())
}

/// GB/s of the slowest tenth, the median and the fastest tenth of the rounds, in this order.
fn speeds(row: &Measurement) -> [f64; 3] {
    [0.9, 0.5, 0.1].map(|share| row.gigabytes_per_second(row.wall_seconds.quantile(share)))
}

/// The range of all values, with some room.
fn range(values: impl Iterator<Item = f64> + Clone) -> Range<f64> {
    let least = values.clone().fold(f64::INFINITY, f64::min);
    let greatest = values.fold(0.0, f64::max);
    least / 1.5..greatest * 1.5
}

/// Formats a number with binary prefixes: 4096 as `4 Ki`.
fn binary(number: f64) -> String {
    match number {
        n if n >= 1073741824.0 => format!("{} Gi", n / 1073741824.0),
        n if n >= 1048576.0 => format!("{} Mi", n / 1048576.0),
        n if n >= 1024.0 => format!("{} Ki", n / 1024.0),
        n => n.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_binary_prefixes() {
        assert_eq!(binary(64.0), "64");
        assert_eq!(binary(4096.0), "4 Ki");
        assert_eq!(binary(16_777_216.0), "16 Mi");
        assert_eq!(binary(4_294_967_296.0), "4 Gi");
    }

    #[test]
    fn a_range_has_room_even_around_one_value() {
        assert_eq!(range([3.0].into_iter()), 2.0..4.5);
        assert_eq!(range([6.0, 3.0].into_iter()), 2.0..9.0);
    }
}
