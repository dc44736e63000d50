//! The plots.

use std::path::Path;

use anyhow::Result;
use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::*;

use crate::compare::Curve;
use crate::mlp::predictions::Score;
use crate::statistics::Summary;
use crate::sweep::Point;

/// Pixels, as all lengths here.
const SIZE: (u32, u32) = (1080, 460);
const MARGIN: u32 = 14;
const X_LABELS: u32 = 46;
const Y_LABELS: u32 = 64;
const FONT: (&str, u32) = ("sans-serif", 14);
const TITLE_FONT: (&str, u32) = ("sans-serif", 17);

/// Okabe and Ito's, for any kind of sight: without dropout, and with it.
const COLORS: [RGBColor; 2] = [RGBColor(0, 114, 178), RGBColor(213, 94, 0)];
const NAMES: [&str; 2] = ["without dropout", "with dropout"];

const GREY: RGBColor = RGBColor(117, 117, 117);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A quantity of a score, and its axis.
struct Quantity {
    title: &'static str,
    value: fn(&Score) -> f64,
}

const QUANTITIES: [Quantity; 2] = [
    Quantity {
        title: "cross-entropy, nats",
        value: |score| score.loss,
    },
    Quantity {
        title: "accuracy, %",
        value: |score| 100.0 * score.accuracy,
    },
];

/// Loss and accuracy by epoch, means over seeds; test lines are thick, train lines dashed.
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
    // [without, with][train, test][epoch]
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
    // The first epochs' test values may lie outside: the last ones are to be told apart.
    let last = lines.iter().filter_map(|[_, test]| test.last().copied());
    let range = if quantity.title.starts_with("accuracy") {
        let least = last.fold(100.0, f64::min);
        (least - (100.0 - least)).max(0.0)..100.5
    } else {
        0.0..2.0 * last.fold(0.0, f64::max)
    };
    let mut chart = ChartBuilder::on(area)
        .margin(MARGIN)
        .x_label_area_size(X_LABELS)
        .y_label_area_size(Y_LABELS)
        .build_cartesian_2d(1.0..epochs as f64, range.clone())?;
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
    let position = if range.end > 100.0 {
        SeriesLabelPosition::LowerRight
    } else {
        SeriesLabelPosition::UpperRight
    };
    chart
        .configure_series_labels()
        .position(position)
        .legend_area_size(36)
        .margin(12)
        .background_style(WHITE)
        .border_style(GREY)
        .label_font(FONT)
        .draw()?;
    Ok(())
}

/// Test loss and accuracy by hidden rate: every seed, and mean with standard deviation.
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
            let value = |score| (point.rate, (quantity.value)(score));
            point.scores.iter().map(value)
        })
    };
    let (least, most) = samples().fold(
        (f64::INFINITY, f64::NEG_INFINITY),
        |(least, most), (_, y)| (least.min(y), most.max(y)),
    );
    // Of one value too.
    let room = 0.1 * (most - least).max(0.01 * most);
    let rates = points.iter().map(|point| point.rate);
    let x = rates.clone().fold(1.0, f64::min) - 0.05..rates.fold(0.0, f64::max) + 0.05;
    let mut chart = ChartBuilder::on(area)
        .margin(MARGIN)
        .x_label_area_size(X_LABELS)
        .y_label_area_size(Y_LABELS)
        .build_cartesian_2d(x, least - room..most + room)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .label_style(FONT)
        .axis_desc_style(TITLE_FONT)
        .x_desc("probability of dropping a hidden unit")
        .x_label_formatter(&|rate| format!("{rate:.1}"))
        .y_desc(format!("test {}", quantity.title))
        .draw()?;
    let summaries = points
        .iter()
        .map(|point| (point.rate, point.summary(quantity.value)));
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
