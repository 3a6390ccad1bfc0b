//! Charts and tables by block, which most measurements present: the axis that networks share, a point and a row a block.

use super::interval::mean;
use super::measurement::Presented;
use super::metric::Metric;
use super::score::{Estimate, PerBlock, Score};
use crate::nn::{BlockId, Outline};
use crate::report::{
    Axis, Cell, Chart, Column, Figure, Format, HeatMap, Mark, Panel, Point, Reference, RowKey, Scale, Series, Table,
};

/// The horizontal axis of charts by block: blocks by name where all networks have the same, relative depth where not.
#[derive(Clone, Debug)]
pub struct BlockAxis {
    blocks: Option<Vec<BlockId>>,
    /// The only stage that is shown; `None`: all.
    stage: Option<usize>,
}

impl BlockAxis {
    /// Returns the axis that some networks share.
    pub fn new<T>(networks: &[Presented<T>]) -> Self {
        Self::over(networks, None)
    }

    /// Returns the axis of one stage, counted from 0, of the networks that have it.
    pub fn of_stage<T>(networks: &[Presented<T>], stage: usize) -> Self {
        Self::over(networks, Some(stage))
    }

    fn over<T>(networks: &[Presented<T>], stage: Option<usize>) -> Self {
        let ids = networks.iter().map(|network| ids(network.outline, stage).collect::<Vec<_>>());
        let ids: Vec<_> = ids.filter(|ids| !ids.is_empty()).collect();
        let blocks = ids.first().filter(|first| ids.iter().all(|ids| ids == *first)).cloned();
        Self { blocks, stage }
    }

    /// Returns the axis of a chart.
    pub fn axis(&self) -> Axis {
        match &self.blocks {
            Some(blocks) => Axis::new("block", Scale::Blocks(blocks.clone())),
            None => {
                let label = if self.stage.is_some() { "relative depth in the stage" } else { "relative depth" };
                Axis::new(label, Scale::RelativeDepth)
            }
        }
    }

    /// Returns where a block stands on it.
    pub fn position(&self, outline: &Outline, id: BlockId) -> f64 {
        let place = ids(outline, self.stage).position(|other| other == id).unwrap_or(0) as f64;
        match self.blocks {
            Some(_) => place,
            None => place / (ids(outline, self.stage).count().max(2) - 1) as f64,
        }
    }

    /// Returns a series with a point for every block; blocks without a figure interrupt its line.
    pub fn series<T>(
        &self,
        network: &Presented<T>,
        mark: Mark,
        figure: impl Fn(BlockId) -> Option<Estimate>,
    ) -> Series {
        let symmetric = |estimate: Estimate| {
            let range = [estimate.value - estimate.ci95, estimate.value + estimate.ci95];
            (estimate.value, estimate.ci95.is_finite().then_some(range))
        };
        self.ranged_series(network, mark, |id| figure(id).map(symmetric))
    }

    /// Returns the same from values with the ends of their intervals.
    fn ranged_series<T>(
        &self,
        network: &Presented<T>,
        mark: Mark,
        figure: impl Fn(BlockId) -> Option<(f64, Option<[f64; 2]>)>,
    ) -> Series {
        let point = |id: BlockId| {
            let (y, range) = figure(id).unwrap_or((f64::NAN, None));
            Point { x: self.position(network.outline, id), y, range, block: Some(id), note: String::new() }
        };
        let points = ids(network.outline, self.stage).map(point).collect();
        Series { name: network.name.to_owned(), network: Some(network.place), mark, points }
    }

    /// Returns a chart with one series for every network that has a finite figure.
    pub fn chart<T>(
        &self,
        networks: &[Presented<T>],
        y: Axis,
        mark: Mark,
        figure: impl Fn(&Presented<T>, BlockId) -> Option<Estimate>,
    ) -> Chart {
        let series = networks.iter().map(|network| self.series(network, mark, |id| figure(network, id)));
        Chart { x: self.axis(), y, series: series.filter(is_visible).collect(), ..Chart::default() }
    }

    /// Returns a chart of scores, with the lines of the whole networks and of guessing.
    pub fn score_chart<T>(
        &self,
        networks: &[Presented<T>],
        mark: Mark,
        score: impl Fn(&Presented<T>, BlockId) -> Option<Score>,
    ) -> Chart {
        let metric = metric(networks);
        let value = |score: Score| (metric.value(&score), Some(metric.range(&score)));
        let series = networks.iter().map(|n| self.ranged_series(n, mark, |id| score(n, id).map(value)));
        Chart {
            x: self.axis(),
            y: score_axis(metric),
            series: series.filter(is_visible).collect(),
            references: baselines(networks).into_iter().chain(chance(networks)).collect(),
            ..Chart::default()
        }
    }
}

/// Whether there is anything to draw.
fn is_visible(series: &Series) -> bool {
    series.points.iter().any(|point| point.y.is_finite())
}

/// Returns the metric of networks that were measured on the same samples.
pub fn metric<T>(networks: &[Presented<T>]) -> Metric {
    networks.first().map_or(Metric::Accuracy, Presented::metric)
}

/// Returns the vertical axis of scores.
pub fn score_axis(metric: Metric) -> Axis {
    Axis::new(metric.name(), metric.scale()).unit(metric.value_unit())
}

/// Returns the vertical axis of costs, with zero.
pub fn cost_axis(metric: Metric) -> Axis {
    Axis::new("cost", Scale::Including(vec![0.0])).unit(metric.long_unit())
}

/// Returns the blocks of one stage or of all.
fn ids(outline: &Outline, stage: Option<usize>) -> impl Iterator<Item = BlockId> {
    outline.blocks().map(|(id, _)| id).filter(move |id| stage.is_none_or(|stage| id.stage == stage))
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
    row_table((name, title), RowKey::Block, networks, [key, columns].concat(), |network| {
        let row = |id| Some([vec![Cell::Block(id)], cells(network, id)?].concat());
        network.outline.blocks().filter_map(|(id, _)| row(id)).collect()
    })
}

/// Returns a table with the rows that a function makes of each network. Before the columns stands the network, where there
/// are several.
pub fn row_table<T>(
    (name, title): (&str, &str),
    key: RowKey,
    networks: &[Presented<T>],
    columns: Vec<Column>,
    rows: impl Fn(&Presented<T>) -> Vec<Vec<Cell>>,
) -> Table {
    let rows = networks.iter().flat_map(|network| {
        let own = rows(network).into_iter();
        own.map(|cells| named_row(networks, network, cells)).collect::<Vec<_>>()
    });
    let columns = named_columns(networks, columns);
    Table { rows: rows.collect(), ..Table::new(name, title, key, columns) }
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

/// Returns the mean of a figure of a block over the networks with initial weights, with its interval over the seeds; `None`
/// where there is none.
pub(super) fn untrained<V>(
    network: &Presented<PerBlock<V>>,
    id: BlockId,
    figure: impl Fn(&V) -> Option<f64>,
) -> Option<Estimate> {
    let values: Vec<f64> = network.untrained.iter().filter_map(|output| figure(output.get(&id)?)).collect();
    (!values.is_empty()).then(|| mean(values.into_iter()))
}

/// Returns the cell of [`untrained`].
pub(super) fn untrained_cell<V>(
    network: &Presented<PerBlock<V>>,
    id: BlockId,
    figure: impl Fn(&V) -> Option<f64>,
) -> Cell {
    untrained(network, id, figure).map_or(Cell::Empty, estimate_cell)
}

impl BlockAxis {
    /// Returns a band for every network that was measured with initial weights: from the least to the greatest seed, about
    /// their mean.
    pub(super) fn untrained_bands<V>(
        &self,
        networks: &[Presented<PerBlock<V>>],
        figure: impl Fn(&V) -> Option<f64>,
    ) -> Vec<Series> {
        let band = |network: &Presented<PerBlock<V>>| {
            let series = self.ranged_series(network, Mark::Band, |id| {
                let values: Vec<f64> = network.untrained.iter().filter_map(|output| figure(output.get(&id)?)).collect();
                let ends = [values.iter().copied().reduce(f64::min)?, values.iter().copied().reduce(f64::max)?];
                Some((values.iter().sum::<f64>() / values.len() as f64, Some(ends)))
            });
            let name = if networks.len() > 1 { format!("{}, untrained", network.name) } else { "untrained".into() };
            Series { name, ..series }
        };
        networks.iter().map(band).filter(is_visible).collect()
    }
}

/// Returns the line at zero.
pub fn zero() -> Reference {
    Reference { y: 0.0, label: "zero".into(), network: None }
}

/// Returns the line of guessing, one for all networks with as many classes.
pub fn chance<T>(networks: &[Presented<T>]) -> Option<Reference> {
    let first = networks.first()?;
    Some(Reference { y: first.metric().chance(first.outline), label: "chance".into(), network: None })
}

/// Returns the names of the stages, of the network with most.
pub fn stage_names<'a, T>(networks: &[Presented<'a, T>]) -> Vec<&'a str> {
    let stages = networks.iter().map(|network| &network.outline.stages).max_by_key(|stages| stages.len());
    stages.into_iter().flatten().map(|stage| stage.name.as_str()).collect()
}

/// Returns a heat map for every network and stage, counted from 0, that has one, with the name of both as its heading.
pub fn stage_maps<T>(networks: &[Presented<T>], map: impl Fn(&Presented<T>, usize) -> Option<HeatMap>) -> Vec<Panel> {
    let mut maps = Vec::new();
    for network in networks {
        for (stage, outline) in network.outline.stages.iter().enumerate() {
            let name = if networks.len() > 1 { format!("{} · ", network.name) } else { String::new() };
            let titled =
                |map| HeatMap { title: format!("{name}{}", outline.name), network: Some(network.place), ..map };
            maps.extend(map(network, stage).map(titled).map(Panel::HeatMap));
        }
    }
    maps
}

/// Returns the figures without charts that have no series and without figures that have no panel.
pub fn with_content(figures: impl IntoIterator<Item = Figure>) -> Vec<Figure> {
    let has_series = |panel: &Panel| if let Panel::Chart(chart) = panel { !chart.series.is_empty() } else { true };
    let shown = figures
        .into_iter()
        .map(|figure| Figure { panels: figure.panels.into_iter().filter(has_series).collect(), ..figure });
    shown.filter(|figure| !figure.panels.is_empty()).collect()
}

/// Returns a chart as a panel.
pub fn panel(chart: Chart) -> Panel {
    Panel::Chart(chart)
}
