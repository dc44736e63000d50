//! The plot of both losses by step.

use std::path::Path;

use anyhow::Result;
use plotters::prelude::*;

use crate::Row;

const FONT: (&str, u32) = ("sans-serif", 14);
/// Okabe and Ito's colours, which colour-blind readers can tell apart.
const COLORS: [RGBColor; 2] = [RGBColor(0, 114, 178), RGBColor(213, 94, 0)];

pub fn losses(path: &Path, rows: &[Row]) -> Result<()> {
    let root = SVGBackend::new(path, (640, 420)).into_drawing_area();
    root.fill(&WHITE)?;
    let [first, last] = [rows.first(), rows.last()].map(|row| row.map_or(0, |row| row.step));
    let losses = || rows.iter().flat_map(|row| [row.train, row.validation]);
    let range = losses().fold(f64::INFINITY, f64::min)..losses().fold(0.0, f64::max) + 0.01;
    let mut chart = ChartBuilder::on(&root)
        .margin(14)
        .x_label_area_size(46)
        .y_label_area_size(64)
        .build_cartesian_2d(first..last.max(first + 1), range)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .label_style(FONT)
        .x_desc("step")
        .y_desc("cross-entropy without dropout, nats a character")
        .draw()?;
    let lines = [
        (
            "train",
            rows.iter()
                .map(|row| (row.step, row.train))
                .collect::<Vec<_>>(),
        ),
        (
            "validation",
            rows.iter().map(|row| (row.step, row.validation)).collect(),
        ),
    ];
    for ((name, points), color) in lines.into_iter().zip(COLORS) {
        let style = color.stroke_width(3);
        chart
            .draw_series(LineSeries::new(points, style))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 28, y)], style));
    }
    chart
        .configure_series_labels()
        .background_style(WHITE)
        .border_style(BLACK)
        .legend_area_size(36)
        .label_font(FONT)
        .draw()?;
    root.present()?;
    Ok(())
}
