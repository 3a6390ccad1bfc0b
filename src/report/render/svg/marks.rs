//! Draws series as lines, points, bars, steps and bands.

use std::fmt::Write;

use super::chart::{AxisEnd, Plot};
use super::paint::Paint;
use super::place::{PlacedPoint, dodge, placed, width};
use super::style::{SeriesStyle, SeriesStyles, symbol};
use super::words;
use super::writer::{ShapeStyle, Svg, px};
use crate::report::render::context::Names;
use crate::report::section::{Mark, Point, Series};

/// The greatest number of marks of a series. Of more points only some can be pointed at; lines and data have all.
const MAX_MARKS: usize = 600;

/// Draws all series; returns the number of values that cannot be drawn.
pub(super) fn draw(svg: &mut Svg, plot: &Plot, styles: &SeriesStyles, names: &Names) -> usize {
    let mut hidden = 0;
    for (place, series) in plot.chart.series.iter().enumerate() {
        let style = styles.style(series, names);
        let placed = placed(plot, series, dodge(plot, place));
        // NaN says that there is no value.
        hidden += series.points.iter().filter(|point| !point.y.is_nan()).count();
        hidden -= placed.len();
        let words = |point: &Point| words::point(plot.chart, series, point, styles, names);
        let marker = SeriesDrawer { plot, series, style, width: width(plot, series), words: &words };
        svg.open_network(series.network);
        marker.draw(svg, &placed);
        svg.close();
    }
    hidden
}

/// Draws one series.
struct SeriesDrawer<'a> {
    plot: &'a Plot<'a>,
    series: &'a Series,
    style: SeriesStyle,
    /// The width of a bar or step in pixels.
    width: f64,
    words: &'a dyn Fn(&Point) -> String,
}

impl SeriesDrawer<'_> {
    fn draw(&self, svg: &mut Svg, placed: &[PlacedPoint]) {
        let runs: Vec<&[PlacedPoint]> = placed.chunk_by(|_, next| next.is_joined).collect();
        match self.series.mark {
            Mark::Points => {}
            Mark::Line => self.lines(svg, &runs, ShapeStyle::stroke(self.style.paint, 1.6).opacity(0.55)),
            Mark::Dashed => self.lines(svg, &runs, ShapeStyle::stroke(self.style.paint, 1.6).dashed("5 3")),
            Mark::Bars => {}
            Mark::Steps => self.steps(svg, placed),
            Mark::Band => runs.iter().for_each(|run| self.band(svg, run)),
        }
        let stride = placed.len().div_ceil(MAX_MARKS).max(1);
        for run in &runs {
            for (index, placed) in run.iter().enumerate() {
                let is_single = run.len() == 1;
                if is_single || index.is_multiple_of(stride) || index + 1 == run.len() {
                    self.mark(svg, placed, is_single);
                }
            }
        }
    }

    /// Draws the mark of a point.
    fn mark(&self, svg: &mut Svg, placed: &PlacedPoint, is_single: bool) {
        let blocks = placed.point.block.map(|block| block.to_string()).unwrap_or_default();
        svg.open_mark(&blocks, &(self.words)(placed.point));
        match self.series.mark {
            Mark::Bars => self.bar(svg, placed),
            Mark::Steps => self.step(svg, placed),
            _ => {
                if self.series.mark != Mark::Band {
                    self.whisker(svg, placed);
                }
                self.point(svg, placed, is_single);
            }
        }
        svg.close();
    }

    /// Draws a symbol, which is invisible until it is pointed at if the series has none or no room for it.
    fn point(&self, svg: &mut Svg, placed: &PlacedPoint, is_single: bool) {
        let is_shown = match self.series.mark {
            Mark::Points => true,
            Mark::Line => is_single || self.is_sparse(),
            _ => is_single,
        };
        let radius = if self.is_sparse() { 3.2 } else { 2.3 };
        let fill = ShapeStyle::fill(self.style.paint);
        let look = if is_shown { fill } else { fill.opacity(0.0).class("hit") };
        match self.plot.beyond(placed.y) {
            None => svg.path(&symbol(self.style.symbol, placed.x, placed.y, radius), look),
            Some(end) => self.arrow(svg, placed.x, end),
        }
    }

    /// Draws an arrow at the end of the axis, for a value beyond it.
    fn arrow(&self, svg: &mut Svg, x: f64, end: AxisEnd) {
        let (tip, back) = match end {
            AxisEnd::Top => (self.plot.top - 1.0, self.plot.top + 5.0),
            AxisEnd::Bottom => (self.plot.bottom() + 1.0, self.plot.bottom() - 5.0),
        };
        let data = polyline([(x, tip), (x + 3.5, back), (x - 3.5, back)].into_iter()) + "Z";
        svg.path(&data, ShapeStyle::fill(self.style.paint));
    }

    /// Whether there is room for a symbol at every point.
    fn is_sparse(&self) -> bool {
        if self.plot.has_places() {
            self.plot.pitch() >= 8.0
        } else {
            self.series.points.len() as f64 * 8.0 <= self.plot.width
        }
    }

    /// Draws the interval of a point, with an arrow if it extends beyond the axis.
    fn whisker(&self, svg: &mut Svg, placed: &PlacedPoint) {
        let Some([low, high]) = placed.point.range else { return };
        let (Some(low), Some(high)) = (self.lower_end(low), self.plot.y(high)) else { return };
        let look = ShapeStyle::stroke(self.style.paint, 1.3).opacity(0.7);
        svg.line((placed.x, self.plot.clip(low)), (placed.x, self.plot.clip(high)), look);
        for end in [low, high].into_iter().filter_map(|end| self.plot.beyond(end)) {
            self.arrow(svg, placed.x, end);
        }
    }

    /// Returns the position of the lower end of an interval. On a logarithmic axis a negative end is below the plot.
    fn lower_end(&self, low: f64) -> Option<f64> {
        self.plot.y(low).or((!low.is_nan()).then_some(f64::INFINITY))
    }

    /// Draws a bar with its interval.
    fn bar(&self, svg: &mut Svg, placed: &PlacedPoint) {
        let base = self.base();
        let y = self.plot.clip(placed.y);
        let (top, height) = (y.min(base), (y - base).abs().max(0.75));
        let rect = [placed.x - 0.5 * self.width, top, self.width.max(1.0), height];
        // The grid must not show through the bars.
        svg.rect(rect, 0.0, ShapeStyle::fill(Paint::Paper));
        svg.rect(rect, 0.0, ShapeStyle::fill(self.style.paint).opacity(0.5));
        self.whisker(svg, placed);
        if let Some(end) = self.plot.beyond(placed.y) {
            self.arrow(svg, placed.x, end);
        }
    }

    /// Returns the position at which bars begin.
    fn base(&self) -> f64 {
        self.plot.y(self.plot.y.base()).map_or(self.plot.bottom(), |y| self.plot.clip(y))
    }

    /// Draws the outline of a histogram.
    fn steps(&self, svg: &mut Svg, placed: &[PlacedPoint]) {
        let (base, half) = (self.base(), 0.5 * self.width);
        let mut data = String::new();
        for (place, step) in placed.iter().enumerate() {
            let (from, to, y) = (step.x - half, step.x + half, self.plot.clip(step.y));
            let is_next = place > 0 && (placed[place - 1].x + half - from).abs() < 0.5;
            if !is_next {
                if place > 0 {
                    let _ = write!(data, "V{}", px(base));
                }
                let _ = write!(data, "M{} {}", px(from), px(base));
            }
            let _ = write!(data, "V{}H{}", px(y), px(to));
        }
        if !data.is_empty() {
            let _ = write!(data, "V{}", px(base));
            svg.path(&data, ShapeStyle::fill(self.style.paint).opacity(0.18));
            svg.path(&data, ShapeStyle::stroke(self.style.paint, 1.5));
        }
    }

    /// Draws the invisible bar of one bin, which can be pointed at.
    fn step(&self, svg: &mut Svg, placed: &PlacedPoint) {
        let (base, y) = (self.base(), self.plot.clip(placed.y));
        let rect = [placed.x - 0.5 * self.width, y.min(base), self.width, (y - base).abs().max(3.0)];
        svg.rect(rect, 0.0, ShapeStyle::fill(self.style.paint).opacity(0.0).class("hit"));
    }

    /// Draws a line through each run of points.
    fn lines(&self, svg: &mut Svg, runs: &[&[PlacedPoint]], look: ShapeStyle) {
        for run in runs {
            let data = self.visible_line(run);
            if !data.is_empty() {
                svg.path(&data, look);
            }
        }
    }

    /// Returns the path of a line through points, clipped at the ends of the axis.
    fn visible_line(&self, run: &[PlacedPoint]) -> String {
        let (top, bottom) = (self.plot.top, self.plot.bottom());
        let mut data = String::new();
        let mut end = None;
        for pair in run.windows(2) {
            let (a, b) = ((pair[0].x, pair[0].y), (pair[1].x, pair[1].y));
            let Some([from, to]) = clipped(a, b, top, bottom) else { continue };
            if end != Some(from) {
                let _ = write!(data, "M{} {}", px(from.0), px(from.1));
            }
            let _ = write!(data, "L{} {}", px(to.0), px(to.1));
            end = Some(to);
        }
        data
    }

    /// Draws the area between the ends of the intervals and a line through the values.
    fn band(&self, svg: &mut Svg, run: &[PlacedPoint]) {
        let ends = run.iter().filter_map(|placed| {
            let [low, high] = placed.point.range?;
            Some((placed.x, self.plot.clip(self.lower_end(low)?), self.plot.clip(self.plot.y(high)?)))
        });
        let ends: Vec<_> = ends.collect();
        match ends[..] {
            [] => {}
            [(x, low, high)] => svg.line((x, low), (x, high), ShapeStyle::stroke(self.style.paint, 6.0).opacity(0.2)),
            _ => {
                let upper = ends.iter().map(|&(x, _, high)| (x, high));
                let lower = ends.iter().rev().map(|&(x, low, _)| (x, low));
                svg.path(&(polyline(upper.chain(lower)) + "Z"), ShapeStyle::fill(self.style.paint).opacity(0.2));
            }
        }
        self.lines(svg, &[run], ShapeStyle::stroke(self.style.paint, 1.0).opacity(0.7));
    }
}

/// Returns the path of a line through points.
fn polyline(points: impl Iterator<Item = (f64, f64)>) -> String {
    let mut data = String::new();
    for (place, (x, y)) in points.enumerate() {
        let _ = write!(data, "{}{} {}", if place == 0 { 'M' } else { 'L' }, px(x), px(y));
    }
    data
}

/// Clips the line from `a` to `b` at two heights; `None` if nothing remains.
fn clipped(a: (f64, f64), b: (f64, f64), top: f64, bottom: f64) -> Option<[(f64, f64); 2]> {
    // A value at an end of the axis may be beyond it by a rounding error.
    let (is_above, is_below) = (|y: f64| y < top - 0.01, |y: f64| y > bottom + 0.01);
    if (is_above(a.1) && is_above(b.1)) || (is_below(a.1) && is_below(b.1)) {
        return None;
    }
    let at_end = |(x, y): (f64, f64)| {
        let end = y.clamp(top, bottom);
        let is_outside = is_above(y) || is_below(y);
        if is_outside { (a.0 + (end - a.1) / (b.1 - a.1) * (b.0 - a.0), end) } else { (x, y) }
    };
    Some([at_end(a), at_end(b)])
}
