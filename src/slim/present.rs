//! The report of a slimming: the network before and after, and how its blocks were selected.

use super::{Chosen, Ranking, Slimmed, Slimming};
use crate::measure::charts::{estimate_cell, score_axis};
use crate::measure::{Metric, PerBlock, Score, counted};
use crate::nn::{BlockId, Outline};
use crate::report::{
    Axis, Cell, Chart, Column, Figure, Format, Mark, NetworkDrawing, Point, Report, RowKey, Scale, Section, Series,
    Table,
};

/// Half the interquartile range of a latency, as a share of the median, above which other work on the machine disturbed it.
const BUSY: f64 = 0.1;

/// Returns the report of a slimming. `facts` tell what made it, such as command and date.
pub fn slimming_report(slimming: &Slimming, facts: Vec<(String, String)>) -> Report {
    let title = match slimming.slimmed {
        Some(_) => format!("{}, slimmed", slimming.target),
        None => format!("{}, its blocks ranked", slimming.target),
    };
    let mut sections = vec![overview(slimming), outlines(slimming)];
    sections.extend(slimming.slimmed.as_ref().map(sizes));
    sections.extend(slimming.choice.as_ref().map(|choice| selection(slimming, choice)));
    sections.retain(|section| !section.is_empty());
    let intro = vec![format!("{}.", slimming.outline.name), conditions(slimming)];
    Report { title, intro, networks: vec![slimming.target.clone()], sections, facts }
}

/// Returns which samples were used for what.
fn conditions(slimming: &Slimming) -> String {
    let Slimming { data, seed, .. } = slimming;
    let scoring = slimming.slimmed.as_ref().map(|slimmed| samples_that(slimmed.whole.samples, "give"));
    let selecting = slimming.choice.as_ref().map(|choice| choice.baseline.samples);
    let used = match (selecting, scoring) {
        (Some(selecting), Some(scoring)) => {
            let selecting = samples_that(selecting, "select");
            format!(" {selecting} the blocks and {scoring} the scores, halves by seed {seed}.")
        }
        (Some(selecting), None) => format!(" {} the blocks, seed {seed}.", samples_that(selecting, "rank")),
        (None, Some(scoring)) => format!(" {scoring} the scores."),
        (None, None) => String::new(),
    };
    let why = slimming.why_not_independent.as_ref();
    let warning = why.map(|why| format!(" The scores are not independent of the selection of the blocks: {why}."));
    format!("Data: {data}.{used}{}", warning.unwrap_or_default())
}

/// Returns the number of samples and what they do: `1 sample selects`, `2 samples select`.
fn samples_that(count: u64, verb: &str) -> String {
    format!("{} {verb}{}", counted(count as usize, "sample"), if count == 1 { "s" } else { "" })
}

/// Returns the scores before and after.
fn overview(slimming: &Slimming) -> Section {
    let mut section = Section::new("overview", "");
    let Some(slimmed) = &slimming.slimmed else {
        section.find(None, "The blocks are ranked, and none is left out.");
        return section;
    };
    let metric = Metric::of(&slimmed.outline);
    let names: Vec<String> = slimming.removed.iter().map(BlockId::to_string).collect();
    section.find(
        None,
        match names[..] {
            [] => "No block is left out.".to_owned(),
            _ => format!("Left out: {}. What is left is the route {}.", names.join(", "), slimming.route),
        },
    );
    if let Some(last) = slimmed.versions.last() {
        let cost = metric.cost(&last.lesion);
        section.find(
            None,
            format!(
                "The slimmed network, {}, costs {} {} compared with the whole network; zero lies {} the interval.",
                last.name,
                metric.format_cost(cost.value),
                metric.long_unit(),
                if cost.may_be_zero() { "within" } else { "outside" },
            ),
        );
    }
    section.find(None, verified(slimmed));
    section.find(None, format!("The slimmed network is constructed by {}.", slimmed.builds));
    section.tables.push(versions(slimmed));
    section
}

/// Returns what was written, and what is known of its outputs.
fn verified(slimmed: &Slimmed) -> String {
    let samples = counted(slimmed.whole.samples as usize, "sample");
    let planned = format!(
        "As planned, the slimmed network has the outputs of the whole network along the route, bit for bit, for {samples}."
    );
    match (&slimmed.file, slimmed.versions.as_slice()) {
        (Some(file), [_, .., last]) => format!(
            "{file} holds {}, {}; opened again, it has the same outputs. {planned}",
            slimmed.outline.name, last.name
        ),
        (Some(file), _) => {
            format!("{file} holds {}; opened again, it has the same outputs. {planned}", slimmed.outline.name)
        }
        (None, _) => format!("No file was written. {planned}"),
    }
}

/// Returns a row for the whole network and every version of the slimmed one.
fn versions(slimmed: &Slimmed) -> Table {
    let metric = Metric::of(&slimmed.outline);
    let columns =
        [vec![Column::text("version", "")], metric.cost_columns(), score_columns(metric), vec![samples_column()]];
    let mut table = Table::new("versions", "Before and after", RowKey::Other, columns.concat());
    let row = |name: &str, costs: Vec<Cell>, score: &Score| {
        [vec![name.into()], costs, metric.score_cells(score), vec![score.samples.into()]].concat()
    };
    table.push(row("whole", vec![Cell::Empty; 2], &slimmed.whole));
    for version in &slimmed.versions {
        table.push(row(&version.name, metric.cost_cells(&version.lesion), &version.lesion.score));
    }
    table
}

/// Returns the columns of a score, all of which the terminal shows.
fn score_columns(metric: Metric) -> Vec<Column> {
    metric.score_columns("").into_iter().map(|column| Column { is_brief: true, ..column }).collect()
}

fn samples_column() -> Column {
    Column::new("samples", "samples", Format::Count).detail()
}

/// Returns the drawings of both networks, and the blocks that cannot be left out.
fn outlines(slimming: &Slimming) -> Section {
    let mut section = Section::new("outlines", "What was left out");
    if let Some(slimmed) = &slimming.slimmed {
        section = section.about(
            "Every block takes an estimate and returns another; where a block is left out, its skip connection remains. \
             Dashed blocks are left out for good. Hollow blocks have to stay; the table says why.",
        );
        let all: Vec<BlockId> = slimming.outline.blocks().map(|(id, _)| id).collect();
        let kept: Vec<BlockId> = all.iter().copied().filter(|id| !slimming.removed.contains(id)).collect();
        let figure = |name: &str, title: &str, drawing: NetworkDrawing| {
            let about = drawing.outline.name.clone();
            Figure::new(name, title).about(&about).panel(drawing)
        };
        let whole = NetworkDrawing {
            network: 0,
            outline: with_reasons(&slimming.outline, &all, &slimming.stays),
            removed: slimming.removed.clone(),
        };
        // The blocks of the slimmed network have numbers of their own, so their names in the file are not those of the whole.
        let slim = NetworkDrawing {
            network: 1,
            outline: with_reasons(&slimmed.outline, &kept, &slimming.stays),
            removed: Vec::new(),
        };
        section.figures = vec![figure("network-whole", "Before", whole), figure("network-slimmed", "After", slim)];
    }
    let columns = [Column::text("block", "block"), Column::text("why_not_removable", "why it stays")];
    let mut table = Table::new("blocks-that-stay", "Blocks that have to stay", RowKey::Other, columns);
    slimming.stays.iter().for_each(|(id, reason)| table.push([Cell::Block(*id), reason.as_str().into()]));
    section.tables.push(table);
    section
}

/// Returns the outline with the reasons why blocks cannot be left out for good. `ids` are the blocks in the whole network.
fn with_reasons(outline: &Outline, ids: &[BlockId], reasons: &PerBlock<String>) -> Outline {
    let mut outline = outline.clone();
    let blocks = outline.stages.iter_mut().flat_map(|stage| &mut stage.blocks);
    blocks.zip(ids).for_each(|(block, id)| block.why_not_removable = reasons.get(id).cloned());
    outline
}

/// Returns what both networks take.
fn sizes(slimmed: &Slimmed) -> Section {
    let Slimmed { before, after, .. } = slimmed;
    let columns = [
        Column::text("quantity", ""),
        Column::new("whole", "whole", Format::Count),
        Column::new("slimmed", "slimmed", Format::Count),
        Column::new("left_fraction", "left", Format::Percent),
    ];
    let mut table = Table::new("sizes", "Sizes before and after", RowKey::Other, columns);
    let counts = [
        ("blocks", [before, after].map(|sizes| sizes.blocks as u64)),
        ("parameters", [before, after].map(|sizes| sizes.parameters)),
        ("bytes of the file", [before, after].map(|sizes| sizes.bytes)),
        ("FLOPs of one sample", [before, after].map(|sizes| sizes.flops)),
    ];
    for (name, [whole, slim]) in counts {
        table.push([name.into(), whole.into(), slim.into(), (slim as f64 / whole as f64).into()]);
    }
    let [whole, slim] = [before, after].map(|sizes| sizes.latency_ms);
    let left = Cell::Number(slim.value / whole.value);
    let is_busy = [whole, slim].iter().any(|latency| latency.ci95 > BUSY * latency.value);
    table.push(["latency, ms ± half the quartile range".into(), estimate_cell(whole), estimate_cell(slim), left]);
    let busy = if is_busy { " The machine was busy: the quartiles lie far apart." } else { "" };
    let about = format!(
        "Both files are written in the same format. The latency of one sample is the median over runs of both networks in \
         turn, ± half the interquartile range.{busy}"
    );
    Section { tables: vec![table], ..Section::new("sizes", "What the networks take").about(about) }
}

/// Returns how the blocks were selected.
fn selection(slimming: &Slimming, choice: &Chosen) -> Section {
    let metric = Metric::of(&slimming.outline);
    let mut section = Section::new("rankings", "How the blocks were selected").about(
        "Each ranking orders the blocks by how much they seem to matter, the least first. The greedy ranking measures again \
         after each removal; the blocks that it did not reach stand in the order of its last round. Deepest and random are \
         controls: a ranking that is no better than they are is of no use.",
    );
    section.find(None, format!("The blocks were selected by {}.", choice.by));
    section.figures.extend(curve_figure(slimming, choice));
    section.tables =
        vec![comparison(metric, choice), curve(metric, choice), ranks(slimming, choice), correlations(choice)];
    section
}

/// Returns the score by the number of blocks left out; `None` where none was.
fn curve_figure(slimming: &Slimming, choice: &Chosen) -> Option<Figure> {
    let metric = Metric::of(&slimming.outline);
    let point = |count: usize, score: &Score| {
        let [low, high] = metric.range(score);
        Point::new(count as f64, metric.value(score)).between(low, high)
    };
    let removals = choice.curve.iter().enumerate();
    let removals = removals.map(|(place, removal)| point(place + 1, &removal.score).of(removal.block));
    let points = std::iter::once(point(0, &choice.baseline)).chain(removals);
    let title = format!("{} on the samples that select", metric.title());
    let x = Axis::new("blocks left out", Scale::Including(vec![0.0]));
    let chart = Chart::new("", x, score_axis(metric))
        .series(Series::new(&slimming.target, 0, Mark::Line, points))
        .reference(metric.value(&choice.baseline), "whole network")
        .reference(metric.chance(&slimming.outline), "chance");
    (!choice.curve.is_empty()).then(|| Figure::new("selection", &title).panel(chart))
}

/// Returns the score without as many blocks by each ranking.
fn comparison(metric: Metric, choice: &Chosen) -> Table {
    let columns = [vec![Column::text("ranking", "left out by")], score_columns(metric), vec![samples_column()]];
    let title = "As many blocks left out by each ranking, on the samples that give the scores";
    let mut table = Table::new("comparison", title, RowKey::Other, columns.concat());
    for ranking in &choice.rankings {
        if let Some(score) = &ranking.score {
            let name = vec![ranking.name.as_str().into()];
            table.push([name, metric.score_cells(score), vec![score.samples.into()]].concat());
        }
    }
    table
}

/// Returns the score after each removal.
fn curve(metric: Metric, choice: &Chosen) -> Table {
    let first = vec![Column::new("removed", "left out", Format::Count), Column::text("block", "block")];
    let columns = [first, metric.cost_columns(), score_columns(metric), vec![samples_column()]];
    let title = format!("After each removal by {}, on the samples that select", choice.by);
    let mut table = Table::new("selection", &title, RowKey::Other, columns.concat());
    let whole = &choice.baseline;
    let row = |count: usize, block: Cell, costs: [Cell; 2], score: &Score| {
        [vec![count.into(), block], costs.to_vec(), metric.score_cells(score), vec![score.samples.into()]].concat()
    };
    table.push(row(0, Cell::Empty, [Cell::Empty, Cell::Empty], whole));
    for (place, removal) in choice.curve.iter().enumerate() {
        let score = &removal.score;
        let (accuracy, loss) = (Cell::Number(whole.accuracy - score.accuracy), Cell::Number(score.loss - whole.loss));
        let costs = if metric == Metric::Accuracy { [accuracy, loss] } else { [loss, accuracy] };
        table.push(row(place + 1, removal.block.into(), costs, score));
    }
    table
}

/// Returns a row for every block with its figure and its place in every ranking.
fn ranks(slimming: &Slimming, choice: &Chosen) -> Table {
    let mut columns = vec![Column::text("block", "block")];
    for ranking in &choice.rankings {
        let name = ranking.name.replace('-', "_");
        if !ranking.values.is_empty() {
            columns.push(Column::new(&name, &ranking.name, Format::Fixed3));
        }
        columns.push(Column::new(&format!("{name}_rank"), &format!("{} rank", ranking.name), Format::Count));
    }
    let mut table = Table::new("ranks", "Ranks of the blocks", RowKey::Block, columns);
    let is_ranked = |id: &BlockId| choice.rankings.iter().any(|ranking| ranking.order.contains(id));
    for id in slimming.outline.blocks().map(|(id, _)| id).filter(is_ranked) {
        let cells = |ranking: &Ranking| {
            let value = (!ranking.values.is_empty()).then(|| Cell::from(ranking.values.get(&id).copied()));
            let rank = ranking.order.iter().position(|other| *other == id).map(|place| place + 1);
            value.into_iter().chain([rank.into()]).collect::<Vec<Cell>>()
        };
        table.push([Cell::Block(id)].into_iter().chain(choice.rankings.iter().flat_map(cells)));
    }
    table
}

/// Returns Kendall's tau between every two rankings.
fn correlations(choice: &Chosen) -> Table {
    let tau = |ranking: &Ranking| Column::new(&ranking.name.replace('-', "_"), &ranking.name, Format::Fixed3);
    let columns = [Column::text("ranking", "Kendall's tau")].into_iter().chain(choice.rankings.iter().map(tau));
    let mut table = Table::new("kendall-tau", "Kendall's tau between the rankings", RowKey::Other, columns);
    for ranking in &choice.rankings {
        let taus = ranking.kendall_tau.iter().copied().map(Cell::Number);
        table.push([Cell::from(ranking.name.as_str())].into_iter().chain(taus));
    }
    table
}

#[cfg(test)]
mod tests;
