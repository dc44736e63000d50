//! The plots.

use std::ops::Range;
use std::path::Path;

use anyhow::{Result, ensure};
use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::*;

use crate::compare::Curve;
use crate::mlp::predictions::Score;
use crate::statistics::Summary;
use crate::sweep::Point;

/// In pixels, like all lengths here.
const SIZE: (u32, u32) = (1080, 460);
const MARGIN: u32 = 14;
const X_LABELS: u32 = 46;
const Y_LABELS: u32 = 64;
const FONT: (&str, u32) = ("sans-serif", 14);
const TITLE_FONT: (&str, u32) = ("sans-serif", 17);

/// Okabe and Ito's colours, which colour-blind readers can tell apart: without dropout, with
/// dropout.
const COLORS: [RGBColor; 2] = [RGBColor(0, 114, 178), RGBColor(213, 94, 0)];
const NAMES: [&str; 2] = ["without dropout", "with dropout"];

const GREY: RGBColor = RGBColor(117, 117, 117);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A quantity of a score, and how to draw it by epoch.
struct Quantity {
    title: &'static str,
    value: fn(&Score) -> f64,
    /// The range to draw, from the least and the greatest of the last test values. These must be
    /// told apart; values of the first epochs may lie outside.
    range: fn(f64, f64) -> Range<f64>,
    legend: SeriesLabelPosition,
}

const QUANTITIES: [Quantity; 2] = [
    Quantity {
        title: "cross-entropy, nats",
        value: |score| score.loss,
        range: |_, greatest| 0.0..2.0 * greatest,
        legend: SeriesLabelPosition::UpperRight,
    },
    Quantity {
        title: "accuracy, %",
        value: |score| 100.0 * score.accuracy,
        range: |least, _| (2.0 * least - 100.0).max(0.0)..100.5,
        legend: SeriesLabelPosition::LowerRight,
    },
];

/// Draws loss and accuracy by epoch, as means over seeds. Test lines are thick, training lines
/// dashed.
pub fn compare(path: &Path, curves: &[Vec<Curve>; 2]) -> Result<()> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    for (area, quantity) in root.split_evenly((1, 2)).iter().zip(QUANTITIES) {
        draw_curves(area, curves, &quantity)?;
    }
    root.present()?;
    Ok(())
}

fn draw_curves(area: &Area<'_>, curves: &[Vec<Curve>; 2], quantity: &Quantity) -> Result<()> {
    // Indexed [without, with][train, test][epoch].
    let lines = curves.each_ref().map(|curves| {
        [0, 1].map(|set: usize| {
            let epochs = curves.iter().map(|curve| curve.epochs.len()).max();
            let mean = |epoch: usize| {
                let reached = curves.iter().filter_map(|curve| curve.epochs.get(epoch));
                let values: Vec<_> = reached
                    .map(|scores| (quantity.value)(&scores[set]))
                    .collect();
                Summary::of(&values).mean
            };
            (0..epochs.unwrap_or(0)).map(mean).collect::<Vec<_>>()
        })
    });
    let epochs = lines.iter().flatten().map(Vec::len).max().unwrap_or(1);
    let last = lines.iter().filter_map(|[_, test]| test.last().copied());
    let (least, greatest) = extremes(last)?;
    let range = (quantity.range)(least, greatest);
    let mut chart = ChartBuilder::on(area)
        .margin(MARGIN)
        .x_label_area_size(X_LABELS)
        .y_label_area_size(Y_LABELS)
        .build_cartesian_2d(1.0..epochs.max(2) as f64, range.clone())?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .label_style(FONT)
        .axis_desc_style(TITLE_FONT)
        .x_desc("epoch")
        .x_label_formatter(&|epoch| format!("{epoch:.0}"))
        .y_desc(quantity.title)
        .draw()?;
    for ([train, test], (color, name)) in lines.iter().zip(COLORS.iter().zip(NAMES)) {
        let points = |values: &[f64]| {
            let inside = |value: &f64| value.clamp(range.start, range.end);
            let values: Vec<_> = values.iter().map(inside).collect();
            (1..).map(f64::from).zip(values).collect::<Vec<_>>()
        };
        let style = color.stroke_width(3);
        chart
            .draw_series(LineSeries::new(points(test), style))?
            .label(format!("test, {name}"))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 28, y)], style));
        let style = color.stroke_width(2);
        chart
            .draw_series(DashedLineSeries::new(points(train), 6, 4, style))?
            .label(format!("train, {name}"))
            .legend(move |(x, y)| DashedPathElement::new([(x, y), (x + 28, y)], 6, 4, style));
    }
    chart
        .configure_series_labels()
        .position(quantity.legend.clone())
        .legend_area_size(36)
        .margin(12)
        .background_style(WHITE)
        .border_style(GREY)
        .label_font(FONT)
        .draw()?;
    Ok(())
}

/// Draws validation loss and accuracy by hidden rate: each seed, and the mean with its standard
/// deviation.
pub fn sweep(path: &Path, points: &[Point]) -> Result<()> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    for (area, quantity) in root.split_evenly((1, 2)).iter().zip(QUANTITIES) {
        draw_sweep(area, points, &quantity)?;
    }
    root.present()?;
    Ok(())
}

fn draw_sweep(area: &Area<'_>, points: &[Point], quantity: &Quantity) -> Result<()> {
    let samples = || {
        points.iter().flat_map(|point| {
            let value = |score| (point.rate.p(), (quantity.value)(score));
            point.scores.iter().map(value)
        })
    };
    let (least, greatest) = extremes(samples().map(|(_, value)| value))?;
    // A single value still gets some room.
    let room = 0.1 * (greatest - least).max(0.01 * greatest);
    let (first, last) = extremes(points.iter().map(|point| point.rate.p()))?;
    let x = first - 0.05..last + 0.05;
    let mut chart = ChartBuilder::on(area)
        .margin(MARGIN)
        .x_label_area_size(X_LABELS)
        .y_label_area_size(Y_LABELS)
        .build_cartesian_2d(x, least - room..greatest + room)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .label_style(FONT)
        .axis_desc_style(TITLE_FONT)
        .x_desc("probability of dropping a hidden unit")
        .x_label_formatter(&|rate| format!("{rate:.1}"))
        .y_desc(format!("validation {}", quantity.title))
        .draw()?;
    let summaries = points
        .iter()
        .map(|point| (point.rate.p(), point.summary(quantity.value)));
    let means: Vec<_> = summaries
        .clone()
        .map(|(x, summary)| (x, summary.mean))
        .collect();
    let [_, color] = COLORS;
    chart.draw_series(summaries.map(|(x, Summary { mean, deviation })| {
        let deviation = deviation.unwrap_or(0.0);
        PathElement::new(
            [(x, mean - deviation), (x, mean + deviation)],
            color.stroke_width(2),
        )
    }))?;
    chart.draw_series(LineSeries::new(means.clone(), color.stroke_width(2)))?;
    chart.draw_series(
        means
            .into_iter()
            .map(|point| Circle::new(point, 5, color.filled())),
    )?;
    chart.draw_series(samples().map(|point| Circle::new(point, 3, GREY.stroke_width(1))))?;
    Ok(())
}

fn extremes(values: impl Iterator<Item = f64>) -> Result<(f64, f64)> {
    let mut extremes = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values {
        ensure!(
            value.is_finite(),
            "{value} cannot be drawn: training diverged; lower --learning-rate"
        );
        extremes = (extremes.0.min(value), extremes.1.max(value));
    }
    Ok(extremes)
}
