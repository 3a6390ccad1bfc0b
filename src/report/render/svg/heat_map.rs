//! Draws a heat map with its colour bar.

use super::axes;
use super::chart::{self, Drawing};
use super::measure;
use super::paint::{self, Destination, Paint};
use super::scale::{AxisScale, Ends};
use super::words;
use super::writer::{Anchor, LABEL, ShapeStyle, Svg, Text};
use crate::nn::BlockId;
use crate::report::render::prose;
use crate::report::section::{HeatMap, Scale};

const BAR_HEIGHT: f64 = 9.0;
/// Number of steps of the colour bar.
const BAR_STEPS: usize = 48;
/// The greatest size of a cell in pixels.
const MAX_CELL: f64 = 34.0;

/// Maps values to colours.
#[derive(Clone, Debug)]
pub(super) struct Colours {
    ruler: AxisScale,
    ends: [f64; 2],
    is_diverging: bool,
}

impl Colours {
    /// Creates the scale that fits all of these maps.
    pub(super) fn of<'a>(maps: impl IntoIterator<Item = &'a HeatMap>) -> Self {
        let maps: Vec<&HeatMap> = maps.into_iter().collect();
        let is_diverging = maps.iter().any(|map| map.is_diverging);
        let given = maps.iter().filter_map(|map| map.ends).flatten();
        let without_ends = maps.iter().filter(|map| map.ends.is_none());
        let values = without_ends.flat_map(|map| map.values.iter().flatten().flatten().copied());
        let finite = given.chain(values).filter(|value| value.is_finite());
        let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        let (low, high) = if low > high { (0.0, 1.0) } else { (low, high) };
        let size = low.abs().max(high.abs());
        let (low, high) = if is_diverging { (-size, size) } else { (low, high) };
        let (low, high) = if low == high { (low - 0.5, high + 0.5) } else { (low, high) };
        let ruler = AxisScale::new(&Scale::Between(low, high), [], Ends::Tight, 3);
        Self { ruler, ends: [low, high], is_diverging }
    }

    fn paint(&self, value: f64) -> Paint {
        let [low, high] = self.ends;
        match self.is_diverging {
            true => paint::diverging(value / high),
            false => paint::sequential((value - low) / (high - low)),
        }
    }
}

/// Draws a heat map of this width.
pub(super) fn draw(map: &HeatMap, width: f64, colours: &Colours, destination: Destination) -> Drawing {
    let mut svg = Svg::new(destination);
    let mut top = chart::heading(&mut svg, &map.title, true, width, 0.0);
    top = chart::heading(&mut svg, &map.y_label, false, width, top) + 4.0;
    let rows: Vec<String> = map.rows.iter().map(|row| prose::plain(row)).collect();
    let most = 0.3 * width;
    let left = rows.iter().map(|row| measure::width(row, LABEL)).fold(0.0, f64::max).min(most) + 8.0;
    let side = ((width - left - 2.0) / map.columns.len().max(1) as f64).min(MAX_CELL);
    // A tall matrix has lower cells, so that it fits on a screen.
    let height = side.min((640.0 / map.rows.len().max(1) as f64).max(6.0));
    let field = [side, height];
    row_names(&mut svg, &rows, left, top, height);
    for (row, values) in map.values.iter().enumerate().take(map.rows.len()) {
        for (column, value) in values.iter().enumerate().take(map.columns.len()) {
            let place = [left + column as f64 * side, top + row as f64 * height];
            draw_cell(&mut svg, map, (row, column), *value, place, field, colours);
        }
    }
    let bottom = top + height * map.rows.len() as f64;
    let map_width = side * map.columns.len() as f64;
    let y = column_names(&mut svg, map, left, map_width, bottom);
    let y = axes::x_label(&mut svg, &map.x_label, left, map_width.max(60.0), y);
    let end = colour_bar(&mut svg, map, colours, [left, y + 6.0], (width - left).min(map_width.max(160.0)));
    let has_holes = map.values.iter().flatten().any(Option::is_none);
    let has_others = map.values.iter().flatten().flatten().any(|value| !value.is_finite());
    let notes = [
        has_holes.then_some("A dash stands where there is no value."),
        has_others.then_some("A dotted cell holds NaN or an infinite value."),
    ];
    let title = if map.title.is_empty() { String::new() } else { format!("{}: ", map.title) };
    let description = format!("{title}{} for every {} and {}", map.value_heading(), map.y_label, map.x_label);
    Drawing {
        size: [width, end],
        body: svg.finish(),
        description: prose::plain(&description),
        hidden: 0,
        notes: notes.into_iter().flatten().collect(),
    }
}

fn draw_cell(
    svg: &mut Svg,
    map: &HeatMap,
    (row, column): (usize, usize),
    value: Option<f64>,
    [x, y]: [f64; 2],
    [width, height]: [f64; 2],
    colours: &Colours,
) {
    let (row, column) = (&map.rows[row], &map.columns[column]);
    // Tiny cells have no gap between them.
    let room = if width.min(height) > 12.0 { 1.0 } else { 0.0 };
    let rect = [x, y, width - room, height - room];
    // A cell without a value is not a mark, so that the arrow keys skip it.
    let Some(value) = value else {
        let (x, y) = (x + 0.5 * (width - room), y + 0.5 * (height - room));
        return svg.line((x - 2.0, y), (x + 2.0, y), ShapeStyle::stroke(Paint::Border, 1.0));
    };
    svg.open_mark(&blocks([row, column]), &words::heat_map_cell(map, row, column, Some(value)));
    if value.is_finite() {
        svg.rect(rect, 0.0, ShapeStyle::fill(colours.paint(value)));
    } else {
        let inner = [rect[0] + 0.5, rect[1] + 0.5, rect[2] - 1.0, rect[3] - 1.0];
        svg.rect(inner, 0.0, ShapeStyle::fill(Paint::Paper).with_stroke(Paint::Muted, 1.0).dashed("2 2"));
    }
    svg.close();
}

/// Returns the names that are blocks, joined by a space.
fn blocks(names: [&String; 2]) -> String {
    let mut blocks: Vec<&str> = names.into_iter().filter(|name| is_block(name)).map(String::as_str).collect();
    blocks.dedup();
    blocks.join(" ")
}

fn is_block(name: &str) -> bool {
    name.parse::<BlockId>().is_ok()
}

fn row_names(svg: &mut Svg, rows: &[String], left: f64, top: f64, height: f64) {
    let stride = ((LABEL + 1.0) / height).ceil().max(1.0) as usize;
    for (place, row) in rows.iter().enumerate().step_by(stride) {
        let text = measure::line(row, LABEL, left - 8.0);
        let blocks = if is_block(row) { row.as_str() } else { "" };
        let look = Text { blocks, full: row, ..Text::label(&text, Anchor::End) };
        svg.text(left - 6.0, top + (place as f64 + 0.5) * height + 4.0, look);
    }
}

/// Draws the labels of columns; returns the lowest base line.
fn column_names(svg: &mut Svg, map: &HeatMap, left: f64, width: f64, bottom: f64) -> f64 {
    let ids: Option<Vec<BlockId>> = map.columns.iter().map(|name| name.parse().ok()).collect();
    if let Some(ids) = ids.filter(|ids| !ids.is_empty()) {
        return axes::blocks(svg, &ids, left, width, bottom, None);
    }
    let pitch = width / map.columns.len().max(1) as f64;
    let plain: Vec<String> = map.columns.iter().map(|name| prose::plain(name)).collect();
    let fits = plain.iter().all(|name| measure::width(name, LABEL) + 4.0 <= pitch);
    let stride = if fits { 1 } else { ((LABEL + 2.0) / pitch).ceil().max(1.0) as usize };
    let mut end = bottom + 16.0;
    for (place, name) in plain.iter().enumerate().step_by(stride) {
        let x = left + (place as f64 + 0.5) * pitch;
        if fits {
            svg.text(x, end, Text::label(name, Anchor::Middle));
            continue;
        }
        let text = measure::line(name, LABEL, 110.0_f64.min((x - 4.0) / 0.75));
        svg.text(x + 4.0, bottom + 13.0, Text { full: name, turn: -40.0, ..Text::label(&text, Anchor::End) });
        end = end.max(bottom + 10.0 + 0.65 * measure::width(&text, LABEL));
    }
    end
}

/// Draws the colour bar; returns its bottom.
fn colour_bar(svg: &mut Svg, map: &HeatMap, colours: &Colours, [left, top]: [f64; 2], width: f64) -> f64 {
    let top = top + LABEL;
    let heading = map.value_heading();
    let label = measure::line(&prose::plain(&heading), LABEL, width);
    svg.text(left, top, Text { full: &heading, ..Text::label(&label, Anchor::Start) });
    let top = top + 6.0;
    let [low, high] = colours.ends;
    let step = width / BAR_STEPS as f64;
    for place in 0..BAR_STEPS {
        let value = low + (high - low) * (place as f64 + 0.5) / BAR_STEPS as f64;
        // The overlap hides seams between steps.
        let overlap = if place + 1 < BAR_STEPS { 0.5 } else { 0.0 };
        let rect = [left + place as f64 * step, top, step + overlap, BAR_HEIGHT];
        svg.rect(rect, 0.0, ShapeStyle::fill(colours.paint(value)));
    }
    let base = top + BAR_HEIGHT;
    for (tick, label) in &colours.ruler.ticks {
        let Some(share) = colours.ruler.share(*tick) else { continue };
        let x = left + share * width;
        svg.line((x, base), (x, base + 3.0), ShapeStyle::stroke(Paint::Muted, 1.0));
        let half = 0.5 * measure::width(label, LABEL);
        svg.text(x.clamp(left + half, left + width - half), base + 16.0, Text::label(label, Anchor::Middle));
    }
    base + 22.0
}
