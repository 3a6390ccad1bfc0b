//! What is drawn between the axes.

use plotters::backend::SVGBackend;
use plotters::chart::ChartContext;
use plotters::coord::cartesian::Cartesian2d;
use plotters::element::{Circle, EmptyElement, PathElement, Polygon, Rectangle, Text, TriangleMarker};
use plotters::style::text_anchor::{HPos, VPos};
use plotters::style::{Color, RGBAColor, ShapeStyle};

use super::{Axis, Chart, Drawn, LABEL_SIZE, Layer, px};

/// One field of a heat map, in the units of the axes.
#[derive(Clone, Copy, Debug)]
pub(in crate::report) struct Cell {
    pub(in crate::report) x: (f64, f64),
    pub(in crate::report) y: (f64, f64),
    /// From 0 to 1 along the colour ramp.
    pub(in crate::report) value: f64,
}

/// Points are `(x, y)`, ranges are `(x, low, high)`.
#[derive(Clone, Debug)]
pub(in crate::report) enum Mark {
    /// Points joined by a line, which is broken where a point is not finite.
    Line(Vec<(f64, f64)>),
    /// Points alone, in the shape of the network at this place of the report.
    Points(Vec<(f64, f64)>, usize),
    /// Vertical lines.
    Whiskers(Vec<(f64, f64, f64)>),
    /// The area between two lines.
    Band(Vec<(f64, f64, f64)>),
    /// Bars from zero, one unit apart.
    Bars(Vec<(f64, f64)>),
    /// A horizontal line through the whole chart.
    Rule(f64),
    /// A vertical line through the whole chart.
    Divider(f64),
    /// A word above the chart.
    Note(f64, String),
    /// A heat map.
    Cells(Vec<Cell>),
}

type Context<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, Axis>>;

pub(super) fn draw(context: &mut Context, chart: &Chart, layer: &Layer) -> Drawn {
    let colour = layer.colour.rgb().mix(layer.opacity);
    let line = |width: f64| colour.stroke_width(px(width) as u32);
    let shows = |&(x, y): &(f64, f64)| chart.x.shows(x) && chart.y.shows(y);
    let (left, right) = chart.x.ends();
    let (bottom, top) = chart.y.ends();
    match &layer.mark {
        Mark::Line(points) => {
            let runs = points.split(|point| !shows(point)).filter(|run| !run.is_empty());
            context.draw_series(runs.map(|run| PathElement::new(run.to_vec(), line(1.8))))?;
        }
        Mark::Points(points, place) => {
            let points = points.iter().copied().filter(shows).collect();
            dots(context, points, *place, colour, point_radius(chart))?;
        }
        Mark::Whiskers(ranges) => {
            let paths = clipped(chart, ranges).map(|(x, low, high)| vec![(x, low), (x, high)]);
            context.draw_series(paths.map(|path| PathElement::new(path, line(1.5))))?;
        }
        Mark::Band(ranges) => {
            let ranges: Vec<_> = clipped(chart, ranges).collect();
            let back = ranges.iter().rev().map(|&(x, _, high)| (x, high));
            let outline: Vec<_> = ranges.iter().map(|&(x, low, _)| (x, low)).chain(back).collect();
            context.draw_series((!outline.is_empty()).then(|| Polygon::new(outline, colour)))?;
        }
        Mark::Bars(points) => {
            let zero = chart.y.clip(0.0);
            let bars = points
                .iter()
                .filter(|point| shows(point))
                .map(|&(x, y)| [(x - 0.38, zero), (x + 0.38, chart.y.clip(y))]);
            context.draw_series(bars.map(|bar| Rectangle::new(bar, colour.filled())))?;
        }
        Mark::Rule(y) => {
            let path = vec![(left, *y), (right, *y)];
            context.draw_series(chart.y.shows(*y).then(|| PathElement::new(path, line(1.2))))?;
        }
        Mark::Divider(x) => {
            context.draw_series([PathElement::new(vec![(*x, bottom), (*x, top)], line(1.0))])?;
        }
        Mark::Note(x, word) => {
            let style = super::text(LABEL_SIZE, layer.colour, HPos::Center, VPos::Bottom);
            context.draw_series([Text::new(word.clone(), (*x, top), style)])?;
        }
        Mark::Cells(cells) => {
            let fields = cells.iter().filter(|cell| cell.value.is_finite());
            context.draw_series(fields.map(|cell| {
                let fill = super::ramp(cell.value).filled();
                Rectangle::new([(cell.x.0, cell.y.0), (cell.x.1, cell.y.1)], fill)
            }))?;
        }
    }
    Ok(())
}

/// The ranges that have a place on the chart, their ends no further than the axis goes.
fn clipped<'a>(chart: &'a Chart, ranges: &'a [(f64, f64, f64)]) -> impl Iterator<Item = (f64, f64, f64)> + 'a {
    let finite = ranges.iter().filter(|(x, low, high)| chart.x.shows(*x) && low.is_finite() && chart.y.shows(*high));
    finite.map(|&(x, low, high)| (x, chart.y.clip(low), chart.y.clip(high)))
}

/// Two hundred blocks on a small chart need small points to be told apart.
fn point_radius(chart: &Chart) -> f64 {
    let (left, right) = chart.x.ends();
    let room = chart.size.0 / (right - left).abs();
    if right - left > 2.0 { (0.28 * room).clamp(1.3, 3.4) } else { 2.8 }
}

/// Shapes beside colours, so that nobody needs to tell colours apart.
fn dots(context: &mut Context, points: Vec<(f64, f64)>, place: usize, colour: RGBAColor, radius: f64) -> Drawn {
    let style: ShapeStyle = colour.filled();
    let corner = px(0.88 * radius);
    match place % 4 {
        0 => drop(context.draw_series(points.into_iter().map(|at| Circle::new(at, px(radius), style)))?),
        1 => drop(context.draw_series(points.into_iter().map(|at| TriangleMarker::new(at, px(1.2 * radius), style)))?),
        2 => drop(
            context.draw_series(
                points
                    .into_iter()
                    .map(|at| EmptyElement::at(at) + Rectangle::new([(-corner, -corner), (corner, corner)], style)),
            )?,
        ),
        _ => drop(context.draw_series(points.into_iter().map(|at| {
            let reach = px(1.25 * radius);
            EmptyElement::at(at) + Polygon::new(vec![(0, -reach), (reach, 0), (0, reach), (-reach, 0)], style)
        }))?),
    }
    Ok(())
}
