//! How influence is reported: a figure a block, and a heat map of the runs of each stage.

use super::{BlockInfluence, BlockRun, InfluenceResult, LONGEST_RUN};
use crate::measure::Presented;
use crate::measure::charts::{BlockAxis, block_table, estimate_cell, row_table, stage_maps, with_content, zero};
use crate::measure::score::Estimate;
use crate::measure::sentences::{findings, number};
use crate::nn::BlockId;
use crate::report::{Axis, Cell, Chart, Column, Figure, Format, HeatMap, Mark, RowKey, Scale, Section, Table};

/// The networks of a report.
type Networks<'a> = [Presented<'a, InfluenceResult>];

/// Returns the section about influence.
pub(super) fn section(networks: &Networks) -> Section {
    if networks.iter().all(|network| network.output.influence.is_empty() && network.output.runs.is_empty()) {
        return Section::default();
    }
    let tables = vec![blocks_table(networks), least_table(networks), runs_table(networks)];
    Section {
        title: "How much blocks change the estimate".into(),
        about: vec![
            "The block influence `1 - cos(a_(k-1), a_k)` says how far a block turns the estimate (ShortGPT 2024). The \
             relative size `|F| / |a_(k-1)|` compares what the block adds, `F = a_k - a_(k-1)`, with the estimate that \
             enters it (Jastrzebski et al. 2018). Both are averages over the samples, with 95 % intervals."
                .into(),
            "Blocks that refine the estimate change it little; blocks that compute a new representation change it much. \
             Blocks that change the shape of the estimate have neither figure."
                .into(),
        ],
        findings: findings(networks, &tables, sentence),
        figures: figures(networks),
        tables,
        ..Section::default()
    }
}

/// Returns the blocks that turn the estimate most and least.
fn sentence(network: &Presented<InfluenceResult>) -> Option<String> {
    let blocks = network.output.influence.iter().map(|(id, block)| (id, block.block_influence.value));
    let blocks: Vec<(&BlockId, f64)> = blocks.filter(|(_, influence)| influence.is_finite()).collect();
    let (most, greatest) = blocks.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let (least, smallest) = blocks.iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
    let [greatest, smallest] = [greatest, smallest].map(|influence| number(*influence, Format::Real));
    Some(format!("{most} turns the estimate most (block influence {greatest}), {least} least ({smallest})."))
}

fn figures(networks: &Networks) -> Vec<Figure> {
    let axis = BlockAxis::new(networks);
    let figure = |name: &str, title: &str, label: &str, figure: fn(&BlockInfluence) -> Estimate| {
        let estimate =
            |network: &Presented<InfluenceResult>, id: BlockId| Some(figure(network.output.influence.get(&id)?));
        let y = Axis::new(label, Scale::Including(vec![0.0]));
        let chart = Chart { references: vec![zero()], ..axis.chart(networks, y, Mark::Line, estimate) };
        Figure::new(name, title).panel(chart)
    };
    let runs = Figure::new("influence-runs", "Angular distance of runs of blocks")
        .about(format!(
            "A run of successive blocks of a stage is named by its first block and its length, up to {LONGEST_RUN} blocks. \
             The colour is the angle between the estimate that enters the run and the estimate that leaves it, \
             `arccos(cos(a_in, a_out)) / π`, averaged over the samples (Gromov et al. 2024): 0 for the same direction, 0.5 \
             for orthogonal ones. A run with a small distance hardly turns the estimate."
        ))
        .shared();
    let runs = Figure { panels: stage_maps(networks, map), ..runs };
    with_content([
        figure("influence", "Block influence", "`1 - cos(a_(k-1), a_k)`", |block| block.block_influence),
        figure("influence-l2-ratio", "Relative size of what the block adds", "`|F| / |a_(k-1)|`", |b| b.l2_ratio),
        runs,
    ])
}

/// Returns the map of the runs of one stage: first blocks from left to right, lengths upwards.
fn map(network: &Presented<InfluenceResult>, stage: usize) -> Option<HeatMap> {
    let runs = || network.output.runs.iter().filter(|run| run.first.stage == stage);
    let longest = runs().map(|run| run.blocks).max()?;
    let blocks = &network.outline.stages[stage].blocks;
    let mut values = vec![vec![None; blocks.len()]; longest];
    let mut greatest = 0.0_f64;
    for run in runs().filter(|run| run.angular_distance.value.is_finite()) {
        let distance = run.angular_distance.value;
        greatest = greatest.max(distance);
        values[longest - run.blocks][run.first.block] = Some(distance);
    }
    Some(HeatMap {
        x_label: "first block of the run".into(),
        y_label: "blocks in the run".into(),
        columns: blocks.iter().map(|block| block.id.to_string()).collect(),
        rows: (1..=longest).rev().map(|length| length.to_string()).collect(),
        value_label: "angular distance".into(),
        ends: Some([0.0, greatest]),
        values,
        ..HeatMap::default()
    })
}

fn blocks_table(networks: &Networks) -> Table {
    let columns = vec![
        Column::new("block_influence", "`1 - cos`", Format::Real),
        Column::new("l2_ratio", "`|F| / |a|`", Format::Real),
    ];
    block_table(("influence", "Influence of every block"), networks, columns, |network, id| {
        let block = network.output.influence.get(&id)?;
        Some([block.block_influence, block.l2_ratio].map(estimate_cell).to_vec())
    })
}

/// Returns a row for every length of a run.
fn least_table(networks: &Networks) -> Table {
    let least = |network: &Presented<InfluenceResult>| {
        let longest = network.output.runs.iter().map(|run| run.blocks).max().unwrap_or(0);
        let of_length = |blocks: usize| {
            let runs = network.output.runs.iter().filter(|run| run.blocks == blocks);
            let finite = runs.filter(|run| run.angular_distance.value.is_finite());
            finite.min_by(|a, b| a.angular_distance.value.total_cmp(&b.angular_distance.value)).cloned()
        };
        (1..=longest).filter_map(of_length).collect::<Vec<BlockRun>>()
    };
    let title = "The run of each length that turns the estimate least";
    table(networks, ("runs-least", title), least)
}

/// Returns a row for every run.
fn runs_table(networks: &Networks) -> Table {
    table(networks, ("runs", "Every run of blocks"), |network| network.output.runs.clone())
}

/// Returns a table of runs, which the terminal does not show.
fn table(
    networks: &Networks,
    named: (&str, &str),
    runs: impl Fn(&Presented<InfluenceResult>) -> Vec<BlockRun>,
) -> Table {
    let columns = vec![
        Column::text("first", "first block"),
        Column::text("last", "last block"),
        Column::new("blocks", "blocks", Format::Count),
        Column::new("angular_distance", "angular distance", Format::Real),
    ];
    let row = |run: BlockRun| {
        vec![run.first.into(), run.last.into(), Cell::from(run.blocks), estimate_cell(run.angular_distance)]
    };
    let rows = |network: &Presented<InfluenceResult>| runs(network).into_iter().map(row).collect();
    Table { brief_rows: Some(0), ..row_table(named, RowKey::Other, networks, columns, rows) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::example::{assert_is_complete, estimate, outline, presented, score};
    use crate::nn::Outline;
    use crate::report::Panel;

    /// The influence of block k, counted from 0, is k / 10, and the distance of a run its length / 10.
    fn influence(outline: &Outline) -> InfluenceResult {
        let mut result = InfluenceResult::default();
        for (id, _) in outline.blocks().filter(|(_, block)| block.keeps_shape()) {
            let value = 0.1 * id.block as f64;
            let block = BlockInfluence { block_influence: estimate(value), l2_ratio: estimate(2.0 * value) };
            result.influence.insert(id, block);
            let last = outline.stages[id.stage].blocks.len();
            result.runs.extend((id.block..last).map(|block| BlockRun {
                first: id,
                last: BlockId { block, ..id },
                blocks: block - id.block + 1,
                angular_distance: estimate(0.1 * (block - id.block + 1) as f64),
            }));
        }
        result
    }

    #[test]
    fn every_stage_of_every_network_has_a_map_of_its_runs() {
        let (shallow, deep, whole) = (outline(&[3]), outline(&[3, 3]), score(0.9));
        let mut second = influence(&deep);
        second.influence[1].l2_ratio.value = f64::NAN;
        second.runs[0].angular_distance.value = f64::NAN;
        let section = section(&presented(vec![(&shallow, &whole, influence(&shallow)), (&deep, &whole, second)]));
        assert_is_complete(&section);
        let titles: Vec<_> = section.figures[2].panels.iter().map(Panel::title).collect();
        assert_eq!(titles, ["a · stage1", "b · stage1", "b · stage2"]);
        let Panel::HeatMap(map) = &section.figures[2].panels[2] else { panic!("a heat map") };
        assert_eq!((&map.rows[..], map.columns.len()), (&["2".to_owned(), "1".into()][..], 3));
        assert_eq!(map.values, [[None, Some(0.2), None], [None, Some(0.1), Some(0.1)]]);
        let sizes: Vec<_> = section.tables.iter().map(|table| (table.rows.len(), table.columns.len())).collect();
        assert_eq!(sizes, [(8, 4), (6, 5), (15, 5)]);
        let texts: Vec<_> = section.findings.iter().map(|finding| finding.text.as_str()).collect();
        let first = "stage1.block3 turns the estimate most (block influence 0.2000), stage1.block1 least (0.0000).";
        assert_eq!(texts[0], first);
        assert!(texts[2].starts_with("2 figures of the tables are not finite"), "{texts:?}");
    }

    #[test]
    fn networks_without_influence_have_no_section() {
        let (outline, whole) = (outline(&[1]), score(0.9));
        let networks = presented(vec![(&outline, &whole, InfluenceResult::default())]);
        assert_eq!(section(&networks), Section::default());
    }
}
