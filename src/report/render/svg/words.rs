//! Describes marks in words: for hover, keyboard focus and screen readers.

use super::style::SeriesStyles;
use crate::report::render::context::Names;
use crate::report::render::{number, prose};
use crate::report::section::{Axis, Cell, Chart, Column, Format, HeatMap, Point, Scale, Series};

/// Describes a point: `resnet20, stage1.block2: accuracy 93.21 % (92.70 to 93.66)`.
pub(super) fn point(chart: &Chart, series: &Series, point: &Point, styles: &SeriesStyles, names: &Names) -> String {
    let network = series.network.filter(|_| names.are_several()).map_or("", |place| names.network(place));
    let name = if styles.are_several() && series.name != network { &series.name } else { "" };
    let place = place(chart, series, point, names);
    let subject = [network, name, &place].into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", ");
    let note = if point.note.is_empty() { String::new() } else { format!(". {}", point.note) };
    let cell = point.range.map_or(Cell::Number(point.y), |range| Cell::Range(point.y, range));
    prose::plain(&format!("{subject}: {}{note}", quantity(&chart.y.label, &chart.y.unit, &cell)))
}

/// Describes a reference: `chance: accuracy 10 %`.
pub(super) fn reference(chart: &Chart, label: &str, y: f64) -> String {
    prose::plain(&format!("{label}: {}", quantity(&chart.y.label, &chart.y.unit, &Cell::Number(y))))
}

/// Describes a cell: `first block stage1.block2, second block stage1.block3: cosine 0.53`.
pub(super) fn heat_map_cell(map: &HeatMap, row: &str, column: &str, value: Option<f64>) -> String {
    let quantity = |value| quantity(&map.value_label, &map.value_unit, &Cell::Number(value));
    let value = value.map_or_else(|| "no value".into(), quantity);
    prose::plain(&format!("{} {row}, {} {column}: {value}", map.y_label, map.x_label))
}

/// Describes a chart: `stage1: accuracy, % against block`.
pub(super) fn chart(chart: &Chart) -> String {
    let title = if chart.title.is_empty() { String::new() } else { format!("{}: ", chart.title) };
    prose::plain(&format!("{title}{} against {}", chart.y.heading(), chart.x.heading()))
}

fn place(chart: &Chart, series: &Series, point: &Point, names: &Names) -> String {
    if let Some(block) = point.block {
        let block = names.block(series.network, block);
        return match chart.x.scale {
            Scale::Blocks(_) | Scale::RelativeDepth => block,
            _ => format!("{block}, {}", x_value(&chart.x, point.x)),
        };
    }
    let index = (point.x.fract() == 0.0 && point.x >= 0.0).then_some(point.x as usize);
    match (&chart.x.scale, index) {
        (Scale::Blocks(blocks), Some(index)) if index < blocks.len() => names.block(series.network, blocks[index]),
        (Scale::Categories(names), Some(index)) if index < names.len() => names[index].clone(),
        _ => x_value(&chart.x, point.x),
    }
}

fn x_value(axis: &Axis, x: f64) -> String {
    quantity(&axis.label, &axis.unit, &Cell::Number(x))
}

/// Formats a value as `accuracy 93.21 %` from the label `accuracy` and the unit `%`.
fn quantity(label: &str, unit: &str, value: &Cell) -> String {
    let value = match value {
        Cell::Number(whole) if whole.fract() == 0.0 && whole.abs() < 1e15 => number::number(*whole, Format::Count),
        _ => number::cell(value, &Column::new("", "", Format::Real)),
    };
    // The unit stands after the number and before its interval.
    let (value, range) = match value.split_once(" (") {
        Some((value, range)) => (value.to_owned(), format!("({range}")),
        None => (value, String::new()),
    };
    [label, &value, unit, &range].into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}
