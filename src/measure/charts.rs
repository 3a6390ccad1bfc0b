//! Charts and tables by block, which most measurements present: the axis that networks share, a point and a row a block.

use super::measurement::Presented;
use super::score::Estimate;
use crate::nn::{BlockId, Outline};
use crate::report::{Axis, Cell, Chart, Column, Format, Mark, Panel, Point, Reference, RowKey, Scale, Series, Table};

/// The horizontal axis of charts by block: blocks by name where all networks have the same, relative depth where not.
#[derive(Clone, Debug)]
pub struct BlockAxis {
    blocks: Option<Vec<BlockId>>,
}

impl BlockAxis {
    /// Returns the axis that some networks share.
    pub fn new<T>(networks: &[Presented<T>]) -> Self {
        let ids = |outline: &Outline| outline.blocks().map(|(id, _)| id).collect::<Vec<_>>();
        let blocks = networks.first().map(|first| ids(first.outline));
        Self { blocks: blocks.filter(|blocks| networks.iter().all(|network| ids(network.outline) == *blocks)) }
    }

    /// Returns the axis of a chart.
    pub fn axis(&self) -> Axis {
        match &self.blocks {
            Some(blocks) => Axis { label: "block".into(), scale: Scale::Blocks(blocks.clone()) },
            None => Axis { label: "relative depth".into(), scale: Scale::RelativeDepth },
        }
    }

    /// Returns where a block stands on it.
    pub fn position(&self, outline: &Outline, id: BlockId) -> f64 {
        let place = outline.blocks().position(|(other, _)| other == id).unwrap_or(0) as f64;
        match self.blocks {
            Some(_) => place,
            None => place / (outline.blocks().count().max(2) - 1) as f64,
        }
    }

    /// Returns a series with a point for every block; blocks without a figure interrupt its line.
    pub fn series<T>(
        &self,
        network: &Presented<T>,
        mark: Mark,
        figure: impl Fn(BlockId) -> Option<Estimate>,
    ) -> Series {
        let point = |id: BlockId| {
            let found = figure(id);
            let range = found.filter(|f| f.ci95.is_finite()).map(|f| [f.value - f.ci95, f.value + f.ci95]);
            Point {
                x: self.position(network.outline, id),
                y: found.map_or(f64::NAN, |f| f.value),
                range,
                block: Some(id),
                note: String::new(),
            }
        };
        let points = network.outline.blocks().map(|(id, _)| point(id)).collect();
        Series { name: network.name.to_owned(), network: Some(network.place), mark, points }
    }

    /// Returns a chart with one series a network.
    pub fn chart<T>(
        &self,
        networks: &[Presented<T>],
        y: Axis,
        mark: Mark,
        figure: impl Fn(&Presented<T>, BlockId) -> Option<Estimate>,
    ) -> Chart {
        let series = networks.iter().map(|network| self.series(network, mark, |id| figure(network, id)));
        Chart { x: self.axis(), y, series: series.collect(), ..Chart::default() }
    }
}

/// Returns a table with a row for every block that has cells. Before the columns stand the network, where there are
/// several, and the block.
pub fn block_table<T>(
    (name, title): (&str, &str),
    networks: &[Presented<T>],
    columns: Vec<Column>,
    cells: impl Fn(&Presented<T>, BlockId) -> Option<Vec<Cell>>,
) -> Table {
    let key = vec![Column::new("block", "block", Format::Text)];
    let rows = networks.iter().flat_map(|network| {
        let blocks = network.outline.blocks().filter_map(|(id, _)| Some((id, cells(network, id)?)));
        blocks
            .map(|(id, cells)| named_row(networks, network, [vec![Cell::Block(id)], cells].concat()))
            .collect::<Vec<_>>()
    });
    Table {
        name: name.into(),
        title: title.into(),
        key: RowKey::Block,
        columns: named_columns(networks, [key, columns].concat()),
        rows: rows.collect(),
        brief_rows: None,
    }
}

/// Returns columns with one for the network's name before them, where there are several networks.
pub fn named_columns<T>(networks: &[Presented<T>], columns: Vec<Column>) -> Vec<Column> {
    let name = Column::new("network", "network", Format::Text);
    if networks.len() > 1 { [vec![name], columns].concat() } else { columns }
}

/// Returns cells with the network's name before them, where there are several networks.
pub fn named_row<T>(networks: &[Presented<T>], network: &Presented<T>, cells: Vec<Cell>) -> Vec<Cell> {
    let name = Cell::Text(network.name.to_owned());
    if networks.len() > 1 { [vec![name], cells].concat() } else { cells }
}

/// Returns a cell with the half width of its interval.
pub fn estimate_cell(estimate: Estimate) -> Cell {
    Cell::Interval(estimate.value, estimate.ci95)
}

/// Returns a line for the value of each whole network.
pub fn baselines<T>(networks: &[Presented<T>]) -> Vec<Reference> {
    let line = |network: &Presented<T>| Reference {
        y: network.metric().value(network.baseline),
        label: if networks.len() > 1 { format!("{}, whole", network.name) } else { "whole network".into() },
        network: Some(network.place),
    };
    networks.iter().map(line).collect()
}

/// Returns the line of guessing, one for all networks with as many classes.
pub fn chance<T>(networks: &[Presented<T>]) -> Option<Reference> {
    let first = networks.first()?;
    Some(Reference { y: first.metric().chance(first.outline), label: "chance".into(), network: None })
}

/// Returns a chart as a panel.
pub fn panel(chart: Chart) -> Panel {
    Panel::Chart(chart)
}
