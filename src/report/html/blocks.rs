//! Figures of blocks, by the block's number through the network.

use super::element;
use crate::Result;
use crate::report::chart::{Axis, Cell, Chart, Colour, Layer, Mark};
use crate::report::result::{Estimate, Measurements, PerBlock, StageOutline};

/// The blocks that have a result, with their numbers through the network.
pub(super) fn numbered<'a, T>(network: &'a Measurements, results: &'a PerBlock<T>) -> Vec<(f64, &'a T)> {
    let blocks = network.outline.stages.iter().flat_map(|stage| &stage.blocks).enumerate();
    blocks.filter_map(|(index, block)| Some((index as f64 + 1.0, results.get(block.name())?))).collect()
}

/// Block numbers through the whole network, and the borders of its stages.
pub(super) fn frame(network: &Measurements, layers: &mut Vec<Layer>) -> Axis {
    let stages = &network.outline.stages;
    let mut end = 0.5;
    for stage in stages.iter().filter(|_| stages.len() > 1) {
        let start = end;
        end += stage.blocks.len() as f64;
        layers.push(Layer::new(Mark::Note(0.5 * (start + end), stage.name.clone()), Colour::Muted));
        if start > 0.5 {
            layers.push(Layer::new(Mark::Divider(start), Colour::Muted).faint(0.6));
        }
    }
    Axis::numbers(stages.iter().map(|stage| stage.blocks.len()).sum(), 30)
}

/// What a chart of blocks shows.
pub(super) struct Figure<'a> {
    /// Above the chart.
    pub(super) title: &'a str,
    /// Beside its y axis.
    pub(super) y_label: &'a str,
    /// Factor on all values, 100 for percent.
    pub(super) scale: f64,
    /// A value that the axis must hold, and where a line is drawn.
    pub(super) rule: f64,
    /// Whether values are shares, from 0 to 1.
    pub(super) is_share: bool,
}

impl Figure<'_> {
    /// One figure of the blocks of all networks: points with their intervals. Absent where no network has any.
    pub(super) fn chart(
        &self,
        networks: &[Measurements],
        values: impl Fn(&Measurements) -> Vec<(f64, Estimate)>,
    ) -> Result<Option<String>> {
        let all: Vec<_> = networks.iter().map(values).collect();
        if all.iter().all(Vec::is_empty) {
            return Ok(None);
        }
        let ends = |e: &Estimate| [e.value - e.ci95, e.value, e.value + e.ci95].map(|v| self.scale * v);
        let mut layers = vec![Layer::new(Mark::Rule(self.scale * self.rule), Colour::Muted)];
        for (place, values) in all.iter().enumerate() {
            let colour = Colour::Network(place);
            let range = |(number, e): &(f64, Estimate)| (*number, ends(e)[0], ends(e)[2]);
            let points: Vec<_> = values.iter().map(|(number, e)| (*number, ends(e)[1])).collect();
            layers.push(Layer::new(Mark::Whiskers(values.iter().map(range).collect()), colour).faint(0.7));
            layers.push(Layer::new(Mark::Line(points.clone()), colour).faint(0.35));
            layers.push(Layer::new(Mark::Points(points, place), colour));
        }
        let deepest = networks.iter().max_by_key(|n| n.outline.stages.iter().map(|s| s.blocks.len()).sum::<usize>());
        let x = match (networks, deepest) {
            ([one], _) => frame(one, &mut layers),
            (_, Some(deepest)) => frame(deepest, &mut Vec::new()),
            _ => Axis::numbers(1, 1),
        };
        let y = Axis::covering(all.iter().flatten().flat_map(|(_, e)| ends(e)).chain([self.scale * self.rule]));
        let y = if self.is_share { y.within(0.0, self.scale) } else { y };
        Chart {
            title: self.title.into(),
            description: format!("{} of every block", self.title),
            x_label: "block".into(),
            y_label: self.y_label.into(),
            x,
            y,
            size: (element::PAGE_WIDTH, 230.0),
            layers,
        }
        .figure()
        .map(Some)
    }
}

/// A heat map a stage, its blocks along both axes; `brightest` says in words what the brightest field stands for.
pub(super) fn heat_maps(
    network: &Measurements,
    [x_label, y_label]: [&str; 2],
    brightest: &str,
    cells: impl Fn(&StageOutline) -> Vec<Cell>,
) -> Result<Vec<String>> {
    let mut figures = Vec::new();
    for stage in &network.outline.stages {
        let cells = cells(stage);
        if cells.is_empty() {
            continue;
        }
        let count = stage.blocks.len();
        figures.push(
            Chart {
                title: format!("{}: dark 0, bright {brightest}", stage.name),
                description: format!("{y_label} against {x_label} of {}", stage.name),
                x_label: x_label.into(),
                y_label: y_label.into(),
                x: Axis::numbers(count, 10),
                y: Axis::numbers(count, 10),
                size: (element::width_of(network.outline.stages.len().max(2)), 260.0),
                layers: vec![Layer::new(Mark::Cells(cells), Colour::Ink)],
            }
            .figure()?,
        );
    }
    Ok(figures)
}

/// The place of a block of this name within its stage.
pub(super) fn place(stage: &StageOutline, name: &str) -> Option<f64> {
    stage.blocks.iter().position(|block| block.name() == name).map(|place| place as f64 + 0.5)
}
