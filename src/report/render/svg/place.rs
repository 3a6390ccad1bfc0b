//! Places the points of a series and decides which of them are joined by a line.

use super::chart::Plot;
use crate::nn::BlockId;
use crate::report::section::{Mark, Point, Scale, Series};

/// A point with its position in pixels.
pub(super) struct PlacedPoint<'a> {
    pub(super) point: &'a Point,
    pub(super) x: f64,
    /// May be outside of the plot.
    pub(super) y: f64,
    /// Whether a line joins it to the previous point.
    pub(super) is_joined: bool,
}

/// Returns the least distance between two points along `x`; 1 for fewer than two points.
pub(super) fn spacing(series: &Series) -> f64 {
    let mut xs: Vec<f64> = series.points.iter().map(|point| point.x).filter(|x| x.is_finite()).collect();
    xs.sort_by(f64::total_cmp);
    xs.dedup();
    let least = xs.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
    if least.is_finite() { least } else { 1.0 }
}

/// Places the points of a series, moved by `shift` pixels. Points that are not finite are left out.
pub(super) fn placed<'a>(plot: &Plot, series: &'a Series, shift: f64) -> Vec<PlacedPoint<'a>> {
    let mut placed: Vec<PlacedPoint> = Vec::new();
    let mut before: Option<&Point> = None;
    for point in &series.points {
        let place = if point.y.is_finite() { plot.x(point.x).zip(plot.y(point.y)) } else { None };
        if let Some((x, y)) = place {
            let is_joined = before.is_some_and(|before| are_neighbours(&plot.chart.x.scale, before, point));
            placed.push(PlacedPoint { point, x: x + shift, y, is_joined });
        }
        before = place.map(|_| point);
    }
    placed
}

/// Whether a line may join two points. On an axis of blocks or depth it joins only successive blocks of one stage.
fn are_neighbours(scale: &Scale, a: &Point, b: &Point) -> bool {
    let id = |point: &Point| match scale {
        Scale::Blocks(blocks) => point.block.or_else(|| blocks.get(point.x.round().max(0.0) as usize).copied()),
        Scale::RelativeDepth => point.block,
        _ => None,
    };
    match (scale, id(a), id(b)) {
        (Scale::Blocks(_) | Scale::RelativeDepth, Some(a), Some(b)) => follows(a, b),
        _ => true,
    }
}

/// Whether `b` is the same block as `a` or the next of its stage.
fn follows(a: BlockId, b: BlockId) -> bool {
    a.stage == b.stage && (b.block == a.block || b.block == a.block + 1)
}

/// Returns the horizontal shift of a series, so that several series at one block stand side by side.
pub(super) fn dodge(plot: &Plot, place: usize) -> f64 {
    let is_moved = |series: &Series| matches!(series.mark, Mark::Points | Mark::Line | Mark::Bars);
    let series = &plot.chart.series;
    if !plot.has_places() || !is_moved(&series[place]) {
        return 0.0;
    }
    let is_bar = series[place].mark == Mark::Bars;
    let alike = |other: &&Series| is_moved(other) && (other.mark == Mark::Bars) == is_bar;
    let count = series.iter().filter(alike).count() as f64;
    let before = series[..place].iter().filter(alike).count() as f64;
    let step = if is_bar { bar_room(plot) / count } else { (0.6 * plot.pitch() / count).min(7.0) };
    step * (before - 0.5 * (count - 1.0))
}

/// Returns the total width of the bars at one place.
fn bar_room(plot: &Plot) -> f64 {
    0.74 * plot.pitch()
}

/// Returns the width of a bar or step in pixels.
pub(super) fn width(plot: &Plot, series: &Series) -> f64 {
    if plot.has_places() {
        let bars = plot.chart.series.iter().filter(|series| series.mark == Mark::Bars).count();
        return bar_room(plot) / bars.max(1) as f64;
    }
    let spacing = spacing(series);
    let finite = series.points.iter().map(|point| point.x).find(|x| x.is_finite()).unwrap_or(0.0);
    let ends = [finite - 0.5 * spacing, finite + 0.5 * spacing].map(|x| plot.x(x));
    match ends {
        [Some(from), Some(to)] => to - from,
        _ => 8.0,
    }
}
