//! Draws a chart: headings, axes, series and references.

use super::axes;
use super::marks;
use super::measure;
use super::paint::{Destination, Paint};
use super::place;
use super::scale::{AxisScale, Ends};
use super::style::SeriesStyles;
use super::words;
use super::writer::{Anchor, LABEL, ShapeStyle, Svg, TITLE, Text};
use crate::report::render::context::Names;
use crate::report::render::prose;
use crate::report::section::{Chart, Mark, Reference, Scale};

/// A panel that was drawn.
#[derive(Debug)]
pub(in crate::report::render) struct Drawing {
    /// Its size in pixels.
    pub(in crate::report::render) size: [f64; 2],
    /// Its elements.
    pub(in crate::report::render) body: String,
    /// Its description in one line.
    pub(in crate::report::render) description: String,
    /// Number of values that are not drawn: infinite or, on a logarithmic axis, not positive.
    pub(in crate::report::render) hidden: usize,
    /// Notes for its readers, such as the meaning of an empty cell.
    pub(in crate::report::render) notes: Vec<&'static str>,
}

/// The rectangle between the axes, which maps values to positions in pixels.
pub(super) struct Plot<'a> {
    pub(super) chart: &'a Chart,
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) x: AxisScale,
    pub(super) y: &'a AxisScale,
}

/// An end of the vertical axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AxisEnd {
    Top,
    Bottom,
}

/// Padding at both ends of a numeric horizontal axis, for symbols at the ends.
const INSET: f64 = 8.0;
/// The greatest width of a reference's label.
const REFERENCE_WIDTH: f64 = 84.0;

impl Plot<'_> {
    pub(super) fn right(&self) -> f64 {
        self.left + self.width
    }

    pub(super) fn bottom(&self) -> f64 {
        self.top + self.height
    }

    /// Returns the horizontal position of a value; `None` if it is not on the axis.
    pub(super) fn x(&self, value: f64) -> Option<f64> {
        let share = self.x.share(value).filter(|share| (-1e-6..=1.0 + 1e-6).contains(share))?;
        let inset = if self.has_places() { 0.0 } else { INSET };
        Some(self.left + inset + share * (self.width - 2.0 * inset))
    }

    /// Returns the vertical position of a value, which may be outside of the plot.
    pub(super) fn y(&self, value: f64) -> Option<f64> {
        Some(self.bottom() - self.y.share(value)? * self.height)
    }

    /// Returns the nearest vertical position within the plot.
    pub(super) fn clip(&self, y: f64) -> f64 {
        y.clamp(self.top, self.bottom())
    }

    /// Returns the end of the axis that a vertical position is beyond.
    pub(super) fn beyond(&self, y: f64) -> Option<AxisEnd> {
        match y {
            _ if y < self.top - 0.01 => Some(AxisEnd::Top),
            _ if y > self.bottom() + 0.01 => Some(AxisEnd::Bottom),
            _ => None,
        }
    }

    /// Returns the distance between two blocks or categories in pixels.
    pub(super) fn pitch(&self) -> f64 {
        let places = match &self.chart.x.scale {
            Scale::Blocks(blocks) => blocks.len(),
            Scale::Categories(names) => names.len(),
            _ => 1,
        };
        self.width / places.max(1) as f64
    }

    /// Whether the horizontal axis has blocks or categories instead of numbers.
    pub(super) fn has_places(&self) -> bool {
        matches!(self.chart.x.scale, Scale::Blocks(_) | Scale::Categories(_))
    }
}

/// Returns the vertical scale that fits all of these charts.
pub(super) fn y_axis<'a>(charts: impl IntoIterator<Item = &'a Chart>) -> AxisScale {
    let charts: Vec<&Chart> = charts.into_iter().collect();
    let scale = charts.first().map_or(Scale::Linear, |chart| chart.y.scale.clone());
    let values = charts.iter().flat_map(|chart| {
        let points = chart.series.iter().flat_map(|series| &series.points);
        let points = points.flat_map(|point| point.range.into_iter().flatten().chain([point.y]));
        let has_bars = chart.series.iter().any(|series| matches!(series.mark, Mark::Bars | Mark::Steps));
        let zero = has_bars && chart.y.scale != Scale::Logarithmic;
        points.chain(chart.references.iter().map(|reference| reference.y)).chain(zero.then_some(0.0))
    });
    AxisScale::new(&scale, values, Ends::Round, 5)
}

fn x_axis(chart: &Chart, width: f64) -> AxisScale {
    let values = chart.series.iter().flat_map(|series| {
        let half = if matches!(series.mark, Mark::Bars | Mark::Steps) { 0.5 * place::spacing(series) } else { 0.0 };
        series.points.iter().flat_map(move |point| [point.x - half, point.x + half])
    });
    let ticks = (width / 44.0).clamp(2.0, 12.0) as usize;
    AxisScale::new(&chart.x.scale, values, Ends::Tight, ticks)
}

/// Returns the left and the right margin of a plot, for the labels of ticks and references.
pub(super) fn margins(chart: &Chart, y: &AxisScale) -> [f64; 2] {
    let left = y.ticks.iter().map(|(_, label)| measure::width(label, LABEL)).fold(0.0, f64::max) + 8.0;
    let labels = reference_labels(&references(chart));
    [left, labels.iter().flatten().map(|line| measure::width(line, LABEL) + 8.0).fold(10.0, f64::max)]
}

/// Draws a chart of this width with these left and right margins. `y` is its vertical scale.
pub(super) fn draw(
    chart: &Chart,
    [width, left, right]: [f64; 3],
    y: &AxisScale,
    styles: &SeriesStyles,
    names: &Names,
    destination: Destination,
) -> Drawing {
    let mut svg = Svg::new(destination);
    let mut top = 0.0;
    for (text, is_title) in [(chart.title.as_str(), true), (&chart.y.heading(), false)] {
        top = heading(&mut svg, text, is_title, width, top);
    }
    top += 9.0;
    let references = references(chart);
    let labels = reference_labels(&references);
    let x = x_axis(chart, width - left - right);
    let right = right.max(axes::overhang(&x));
    let height = (0.27 * width).clamp(168.0, 236.0).round();
    let plot = Plot { chart, left, top, width: (width - left - right).max(40.0), height, x, y };
    axes::grid(&mut svg, &plot);
    let below = axes::horizontal(&mut svg, &plot);
    let hidden = marks::draw(&mut svg, &plot, styles, names);
    draw_references(&mut svg, &plot, &references, &labels, names);
    Drawing { size: [width, below], body: svg.finish(), description: words::chart(chart), hidden, notes: Vec::new() }
}

/// Draws a heading in one or two lines; returns its bottom.
pub(super) fn heading(svg: &mut Svg, text: &str, is_title: bool, width: f64, top: f64) -> f64 {
    let size = if is_title { TITLE } else { LABEL };
    let plain = prose::plain(text);
    if plain.is_empty() {
        return top;
    }
    let whole = measure::width(&plain, size) <= width;
    let lines = if whole { vec![text.to_owned()] } else { measure::lines(&plain, size, width, 2) };
    let is_cut = !whole && lines.join(" ") != plain;
    let mut y = top;
    for line in &lines {
        y += size + 3.0;
        let look = if is_title { Text::title(line) } else { Text::label(line, Anchor::Start) };
        svg.text(0.0, y - 2.0, Text { full: if is_cut { &plain } else { "" }, ..look });
    }
    y + 3.0
}

/// Returns the finite references from top to bottom, each once.
fn references(chart: &Chart) -> Vec<&Reference> {
    let mut references: Vec<&Reference> = Vec::new();
    for reference in chart.references.iter().filter(|reference| reference.y.is_finite()) {
        let is_known = |known: &&Reference| known.y == reference.y && known.label == reference.label;
        if !references.iter().any(is_known) {
            references.push(reference);
        }
    }
    references.sort_by(|a, b| b.y.total_cmp(&a.y));
    references
}

fn reference_labels(references: &[&Reference]) -> Vec<Vec<String>> {
    let lines = |reference: &&Reference| measure::lines(&prose::plain(&reference.label), LABEL, REFERENCE_WIDTH, 2);
    references.iter().map(lines).collect()
}

/// Draws references as horizontal lines with labels to the right of the plot. Labels that would overlap are moved apart.
fn draw_references(svg: &mut Svg, plot: &Plot, references: &[&Reference], labels: &[Vec<String>], names: &Names) {
    let step = LABEL + 1.0;
    let mut free = plot.top - LABEL;
    let heights: f64 = labels.iter().map(|lines| lines.len() as f64 * step).sum();
    let mut rest = heights;
    for (reference, lines) in references.iter().zip(labels) {
        let Some(y) = plot.y(reference.y).filter(|y| plot.beyond(*y).is_none()) else { continue };
        let paint = match reference.network {
            Some(place) if names.are_several() => Paint::Network(place),
            _ => Paint::Ink,
        };
        svg.open_network(reference.network);
        svg.open_mark("", &words::reference(plot.chart, &reference.label, reference.y));
        svg.line((plot.left, y), (plot.right(), y), ShapeStyle::stroke(paint, 1.0).opacity(0.65));
        svg.close();
        let height = lines.len() as f64 * step;
        let first = (y + 4.0 - 0.5 * (height - step)).min(plot.bottom() + 6.0 - rest + step).max(free);
        for (place, line) in lines.iter().enumerate() {
            let label = Text { paint, full: &reference.label, ..Text::label(line, Anchor::Start) };
            svg.text(plot.right() + 6.0, first + place as f64 * step, label);
        }
        free = first + height;
        rest -= height;
        svg.close();
    }
}
