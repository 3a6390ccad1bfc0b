//! Sections of the samples with a row for each block.

use super::*;

/// A generator of pseudo-random numbers.
pub(in crate::report::render) struct Noise(pub(super) u64);

impl Noise {
    /// Returns a number between -1 and 1.
    pub(super) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }
}

/// Returns the column that names the network, if there are several.
pub(super) fn network_column(networks: &[String]) -> Option<Column> {
    (networks.len() > 1).then(|| Column::text("network", "network"))
}

pub(super) fn network_cell(networks: &[String], place: usize) -> Option<Cell> {
    (networks.len() > 1).then(|| networks[place].clone().into())
}

pub(super) fn overview(networks: &[String], outlines: &[Outline]) -> Section {
    let mut section = Section::new("overview", "");
    let columns = [
        Column::text("network", "network"),
        Column::new("parameters", "parameters", Format::Count),
        Column::new("accuracy_fraction", "accuracy", Format::Percent),
        Column::new("loss_nats", "loss, nats", Format::Real),
        Column::new("mean_cost_points", "mean lesion cost, points", Format::Points),
    ];
    let mut table = Table::new("overview", "The networks", RowKey::Network, columns);
    for (place, name) in networks.iter().enumerate() {
        let accuracy = 0.9334 - 0.01 * place as f64;
        table.push([
            name.clone().into(),
            outlines[place].parameters.into(),
            Cell::Range(accuracy, [accuracy - 0.017, accuracy + 0.014]),
            Cell::interval(0.3129 + 0.02 * place as f64, 0.0271),
            Cell::interval(0.0439, 0.0102),
        ]);
    }
    section.tables.push(table);
    section
}

pub(super) fn outlines(outlines: &[Outline], networks: &[String]) -> Section {
    let mut section = Section::new("outline", "What the networks are made of").about(
        "The stem makes the first estimate, every block takes an estimate and returns another, and the head reads the \
         last one. A stage is a run of blocks of one shape (paper, Section 3).",
    );
    let columns = [
        Column::text("block", "block"),
        Column::text("wiring", "wiring"),
        Column::text("body", "body").detail(),
        Column::new("parameters", "parameters", Format::Count).detail(),
        Column::text("why_not_removable", "why it cannot be left out").detail(),
    ];
    let columns = network_column(networks).into_iter().chain(columns);
    let mut table = Table::new("outline", "Every block", RowKey::Block, columns);
    for (place, outline) in outlines.iter().enumerate() {
        let removed = if place == 0 { vec![BlockId { stage: 0, block: 3 }] } else { Vec::new() };
        let drawing = NetworkDrawing { network: place, outline: outline.clone(), removed };
        let title = if networks.len() > 1 { networks[place].as_str() } else { "" };
        section.figures.push(Figure::new(&format!("outline-{}", place + 1), title).panel(drawing));
        for (id, block) in outline.blocks() {
            let cells = [
                id.into(),
                block.wiring.name().into(),
                block.body.as_str().into(),
                block.parameters.into(),
                block.why_not_removable.clone().into(),
            ];
            table.push(network_cell(networks, place).into_iter().chain(cells));
        }
    }
    section.tables.push(table);
    section
}

/// Returns estimation errors with a panel for each stage. `stage2.block4` is missing, `stage1.block7` is NaN.
pub(super) fn estimation(networks: &[String], outlines: &[Outline], noise: &mut Noise) -> Section {
    let mut section = Section::new("estimation", "Estimation error")
        .about(
            "The estimation error of block `k` is `a_k - A`, where `a_k` is the block's output and `A` the output of the \
             last block of its stage (paper, Eq. 1 and Figure 3).",
        )
        .about("Points are means, bars reach one standard deviation up and down.");
    let columns = [
        Column::text("block", "block"),
        Column::new("mean", "mean of `a_k - A`", Format::Real),
        Column::new("std_relative", "std of `a_k - A` over std of `A`", Format::Fixed3),
    ];
    let columns = network_column(networks).into_iter().chain(columns);
    let mut table = Table::new("estimation", "Numbers of every block", RowKey::Block, columns);
    for (place, outline) in outlines.iter().enumerate() {
        let mut figure = Figure::new(&format!("estimation-{}", place + 1), &networks[place]).shared();
        for (s, stage) in outline.stages.iter().enumerate() {
            let ids: Vec<BlockId> = stage.blocks.iter().map(|block| block.id).collect();
            let mut points = Vec::new();
            for (b, id) in ids.iter().enumerate().filter(|(b, _)| (s, *b) != (1, 3)) {
                let left = 1.0 - (b as f64 + 1.0) / ids.len() as f64;
                let mean = if (s, b) == (0, 6) { f64::NAN } else { -0.9 * left * left + 0.05 * noise.next() };
                let spread = 0.2 + 0.9 * left;
                points.push(Point::new(b as f64, mean).plus_minus(spread).of(*id));
                let cells =
                    [(*id).into(), Cell::Interval(mean, spread), Cell::Range(spread, [spread - 0.02, spread + 0.02])];
                table.push(network_cell(networks, place).into_iter().chain(cells));
            }
            let chart = Chart::new(
                &stage.name,
                Axis::new("block", Scale::Blocks(ids)),
                Axis::new("`a_k - A` over std of `A`", Scale::Linear),
            );
            figure = figure.panel(chart.series(Series::new("mean", place, Mark::Line, points)).reference(0.0, "zero"));
        }
        section.figures.push(figure);
        section.find(place, "The standard deviation falls from block to block in 20 of 21 steps before the last.");
    }
    section.tables.push(table);
    section
}

pub(super) fn lesion(networks: &[String], outlines: &[Outline], noise: &mut Noise) -> Section {
    let mut section = Section::new("lesion", "Leaving one block out").about(
        "Each block is left out in turn, so that only its shortcut remains (paper, Section 4). Whiskers are 95 % intervals.",
    );
    let columns = [
        Column::text("block", "block left out"),
        Column::new("accuracy_fraction", "accuracy without", Format::Percent),
        Column::new("accuracy_cost_points", "cost, points", Format::Points),
        Column::new("loss_cost_nats", "cost, nats", Format::Real).detail(),
    ];
    let columns = network_column(networks).into_iter().chain(columns);
    let mut table = Table::new("lesion", "Numbers of every block", RowKey::Block, columns);
    for (place, outline) in outlines.iter().enumerate() {
        let ids: Vec<BlockId> = outline.blocks().map(|(id, _)| id).collect();
        let (mut bars, mut costs) = (Vec::new(), Vec::new());
        for (n, (id, block)) in outline.blocks().enumerate() {
            if block.why_not_removable.is_some() {
                continue;
            }
            let cost = if id.block == 1 { 0.3 } else { 0.02 + 0.02 * noise.next() };
            let accuracy = 0.93 - cost;
            bars.push(Point::new(n as f64, 100.0 * accuracy).plus_minus(1.7).of(id));
            costs.push(Point::new(n as f64, 100.0 * cost).plus_minus(0.9).of(id));
            let cells = [
                id.into(),
                Cell::Range(accuracy, [accuracy - 0.017, accuracy + 0.017]),
                Cell::Interval(cost, 0.009),
                Cell::Interval(2.0 * cost, 0.02),
            ];
            table.push(network_cell(networks, place).into_iter().chain(cells));
        }
        let x = || Axis::new("block left out", Scale::Blocks(ids.clone()));
        let bars = Chart::new("", x(), Axis::new("accuracy", Scale::Between(0.0, 100.0)).unit("%"))
            .series(Series::new("without the block", place, Mark::Bars, bars))
            .reference(93.0, "whole network")
            .reference(10.0, "chance");
        let costs =
            Chart::new("", x(), Axis::new("cost", Scale::Including(vec![0.0])).unit("percentage points of accuracy"))
                .series(Series::new("cost", place, Mark::Points, costs))
                .reference(0.0, "no cost");
        let title = if networks.len() > 1 { networks[place].as_str() } else { "" };
        section.figures.push(Figure::new(&format!("lesion-{}", place + 1), title).panel(bars).panel(costs));
        section.find(place, "Leaving out one block costs 4.39 points on average and at most 30.00 (stage2.block2).");
    }
    section.tables.push(table);
    section
}

/// Returns a table that is wider than any window.
pub(super) fn everything(networks: &[String], outlines: &[Outline], noise: &mut Noise) -> Section {
    let mut section =
        Section::new("theory", "The paper's premises").about("Shares of units for which a premise holds.");
    let headings = [
        "`1 - cos`",
        "`|F| / |a|`",
        "`cos(F, -dL)`",
        "head reads",
        "linear reads",
        "tuned agrees",
        "`|E[F]|` over std",
        "variance falls",
        "optimal gate `T*`",
        "learned gate `T`",
        "correlation of `T*` and `T`",
        "cost of the mean step, points",
        "cost of another's step, points",
        "perplexity without the block",
    ];
    let numbers = headings.iter().enumerate().map(|(place, heading)| {
        let column = Column::new(&format!("measure_{place}"), heading, Format::Fixed3);
        if place > 10 { column.detail() } else { column }
    });
    let columns = network_column(networks).into_iter().chain([Column::text("block", "block")]).chain(numbers);
    let mut table = Table::new("theory", "Numbers of every block", RowKey::Block, columns);
    for (place, outline) in outlines.iter().enumerate() {
        for (id, _) in outline.blocks() {
            let cells = headings.iter().map(|_| Cell::Interval(noise.next(), 0.1 * noise.next().abs()));
            table.push(network_cell(networks, place).into_iter().chain([id.into()]).chain(cells));
        }
    }
    section.tables.push(table);
    section
}
