//! Draws the panels of a figure, and a figure as a standalone file.

use super::chart::{self, Drawing};
use super::heat_map::{self, Colours};
use super::measure;
use super::paint::{Destination, Paint};
use super::scale::AxisScale;
use super::style::{Entry, SeriesStyle, SeriesStyles, symbol};
use super::writer::{Anchor, LABEL, ShapeStyle, Svg, TITLE, Text, escape, px};
use super::{SvgOptions, network, pictures};
use crate::report::render::context::Names;
use crate::report::render::prose;
use crate::report::section::{Chart, Figure, HeatMap, Mark, Panel, Scale};

/// The gap between panels in pixels.
pub(in crate::report::render) const GAP: f64 = 24.0;
/// The least width of a panel in pixels.
const MIN_WIDTH: f64 = 270.0;
/// Width and height of the drawing of a legend's entry.
pub(in crate::report::render) const KEY: [f64; 2] = [22.0, 12.0];
/// The margin around a standalone file in pixels.
const MARGIN: f64 = 12.0;

/// Draws all panels of a figure for a column of this width.
pub(in crate::report::render) fn panels(
    figure: &Figure,
    width: f64,
    names: &Names,
    destination: Destination,
) -> Vec<Drawing> {
    let styles = SeriesStyles::of(figure, names);
    let charts =
        || figure.panels.iter().filter_map(|panel| if let Panel::Chart(chart) = panel { Some(chart) } else { None });
    let maps =
        || figure.panels.iter().filter_map(|panel| if let Panel::HeatMap(map) = panel { Some(map) } else { None });
    let shared_y = figure.shares_y.then(|| chart::y_axis(charts()));
    let shared_colours = figure.shares_y.then(|| Colours::of(maps()));
    let y = |chart: &Chart| -> AxisScale { shared_y.clone().unwrap_or_else(|| chart::y_axis([chart])) };
    let colours = |map: &HeatMap| shared_colours.clone().unwrap_or_else(|| Colours::of([map]));
    let own = panel_width(figure, width);
    // Equal margins align the plots of panels that are stacked.
    let margins = charts().map(|chart| chart::margins(chart, &y(chart)));
    let [left, right] = margins.fold([0.0_f64; 2], |[left, right], [l, r]| [left.max(l), right.max(r)]);
    let draw = |panel: &Panel| match panel {
        Panel::Chart(chart) => chart::draw(chart, [own, left, right], &y(chart), &styles, names, destination),
        Panel::HeatMap(map) => heat_map::draw(map, own, &colours(map), destination),
        Panel::Pictures(rows) => pictures::draw(rows, own, destination),
        Panel::Network(drawing) => network::draw(drawing, width, names, destination),
    };
    figure.panels.iter().map(draw).collect()
}

/// Returns the notes below the panels of a figure: values that are not drawn, and the meaning of empty cells.
pub(in crate::report::render) fn notes(figure: &Figure, panels: &[Drawing]) -> Vec<String> {
    let hidden: usize = panels.iter().map(|panel| panel.hidden).sum();
    let is_logarithmic = |panel: &Panel| match panel {
        Panel::Chart(chart) => [&chart.x, &chart.y].into_iter().any(|axis| axis.scale == Scale::Logarithmic),
        _ => false,
    };
    let why = match figure.panels.iter().any(is_logarithmic) {
        true => "infinite, or not positive on a logarithmic axis",
        false => "infinite",
    };
    let mut notes: Vec<String> = match hidden {
        0 => Vec::new(),
        1 => vec![format!("One value is not drawn: it is {why}.")],
        _ => vec![format!("{hidden} values are not drawn: they are {why}.")],
    };
    for note in panels.iter().flat_map(|panel| &panel.notes) {
        if !notes.iter().any(|known| known == note) {
            notes.push((*note).into());
        }
    }
    notes
}

/// Returns the width of each panel, with as many panels in a row as stay legible.
fn panel_width(figure: &Figure, width: f64) -> f64 {
    let least = figure.panels.iter().map(min_width).fold(MIN_WIDTH, f64::max).min(width);
    let fitting = (((width + GAP) / (least + GAP)).floor() as usize).max(1);
    let count = figure.panels.len().max(1);
    let columns = match count {
        // Two rows of two look better than rows of three and one.
        4 if fitting == 3 => 2,
        _ => count.min(fitting),
    };
    ((width - (columns - 1) as f64 * GAP) / columns as f64).floor()
}

fn min_width(panel: &Panel) -> f64 {
    match panel {
        Panel::Chart(Chart { x, series, .. }) => match &x.scale {
            Scale::Blocks(blocks) => 60.0 + blocks.len() as f64 * (14.0 + 3.0 * series.len().min(4) as f64),
            Scale::Categories(names) => 60.0 + 26.0 * names.len() as f64,
            _ => MIN_WIDTH,
        },
        Panel::HeatMap(map) => 100.0 + 13.0 * map.columns.len() as f64,
        Panel::Pictures(rows) => 80.0 + 46.0 * rows.rows.iter().map(|(_, row)| row.len()).max().unwrap_or(0) as f64,
        Panel::Network(_) => f64::INFINITY,
    }
}

/// Returns the entries of a figure's legend.
pub(in crate::report::render) fn legend(figure: &Figure, names: &Names) -> Vec<Entry> {
    SeriesStyles::of(figure, names).legend(&figure.title, names)
}

/// Draws the symbol of a network.
pub(in crate::report::render) fn network_key(place: usize, destination: Destination) -> String {
    let mut svg = Svg::new(destination);
    svg.path(&symbol(place, 0.5 * KEY[0], 0.5 * KEY[1], 4.4), ShapeStyle::fill(Paint::Network(place)));
    svg.finish()
}

/// Draws the mark of a legend's entry.
pub(in crate::report::render) fn key(entry: &Entry, destination: Destination) -> String {
    let mut svg = Svg::new(destination);
    let SeriesStyle { paint, symbol: which } = entry.style;
    let [width, height] = KEY;
    let middle = 0.5 * height;
    let line = |svg: &mut Svg, look| svg.line((0.0, middle), (width, middle), look);
    match entry.mark {
        Mark::Points => {}
        Mark::Line => line(&mut svg, ShapeStyle::stroke(paint, 1.6).opacity(0.55)),
        Mark::Dashed => line(&mut svg, ShapeStyle::stroke(paint, 1.6).dashed("5 3")),
        Mark::Bars => svg.rect([5.0, 1.0, 12.0, 10.0], 2.0, ShapeStyle::fill(paint).opacity(0.75)),
        Mark::Steps => {
            svg.path("M2 11V6H8V2H14V7H20V11Z", ShapeStyle::fill(paint).opacity(0.18));
            svg.path("M2 11V6H8V2H14V7H20V11", ShapeStyle::stroke(paint, 1.5));
        }
        Mark::Band => {
            svg.rect([0.0, 1.0, width, 10.0], 0.0, ShapeStyle::fill(paint).opacity(0.2));
            line(&mut svg, ShapeStyle::stroke(paint, 1.0).opacity(0.7));
        }
    }
    if matches!(entry.mark, Mark::Points | Mark::Line) {
        svg.path(&symbol(which, 0.5 * width, middle, 3.6), ShapeStyle::fill(paint));
    }
    svg.finish()
}

/// Draws a figure as a standalone file, with its title and legend.
pub(super) fn file(figure: &Figure, names: &Names, options: &SvgOptions) -> String {
    let destination = Destination::File(options.theme);
    let (narrowest, widest) = SvgOptions::WIDTHS.into_inner();
    let width = options.width.clamp(narrowest.into(), widest.into()) - 2.0 * MARGIN;
    let mut svg = Svg::new(destination);
    let mut top = 0.0;
    let title = prose::plain(&figure.title);
    if !title.is_empty() {
        for line in measure::lines(&title, TITLE + 2.0, width, 2) {
            top += TITLE + 6.0;
            svg.text(0.0, top - 4.0, Text { size: TITLE + 2.0, full: &title, ..Text::title(&line) });
        }
        top += 6.0;
    }
    top = draw_legend(&mut svg, &legend(figure, names), width, top);
    let (mut left, mut row_height) = (0.0, 0.0_f64);
    let panels = panels(figure, width, names, destination);
    for Drawing { size, body, .. } in &panels {
        if left > 0.0 && left + size[0] > width + 0.5 {
            top += row_height + GAP;
            (left, row_height) = (0.0, 0.0);
        }
        svg.append(left, top, body);
        left += size[0] + GAP;
        row_height = row_height.max(size[1]);
    }
    top += row_height;
    for line in measure::lines(&notes(figure, &panels).join(" "), LABEL, width, 3) {
        top += LABEL + 6.0;
        svg.text(0.0, top, Text::label(&line, Anchor::Start));
    }
    document(&svg.finish(), [width, top], &title, options)
}

fn draw_legend(svg: &mut Svg, entries: &[Entry], width: f64, top: f64) -> f64 {
    let mut left = 0.0;
    let mut y = top;
    for entry in entries {
        let text = measure::line(&prose::plain(&entry.label), LABEL, width - KEY[0] - 8.0);
        let own = KEY[0] + 8.0 + measure::width(&text, LABEL);
        if left > 0.0 && left + own > width {
            (left, y) = (0.0, y + 18.0);
        }
        let drawing = key(entry, svg.destination());
        svg.append(left, y, &drawing);
        let look = Text { paint: Paint::Ink, full: &entry.label, ..Text::label(&text, Anchor::Start) };
        svg.text(left + KEY[0] + 7.0, y + 10.0, look);
        left += own + 22.0;
    }
    if entries.is_empty() { top } else { y + 28.0 }
}

/// Wraps a drawing in an `svg` element, with margins.
fn document(body: &str, [width, height]: [f64; 2], title: &str, options: &SvgOptions) -> String {
    let destination = Destination::File(options.theme);
    let [width, height] = [width + 2.0 * MARGIN, height + 2.0 * MARGIN].map(px);
    let (font, paper) = (escape(&options.font), destination.colour(Paint::Paper));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"{font}\" font-size=\"{LABEL}\">\n<title>{}</title>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"{paper}\"/>\n<g transform=\"translate({MARGIN} {MARGIN})\">\n\
         {body}</g>\n</svg>\n",
        escape(title)
    )
}
