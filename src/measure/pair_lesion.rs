//! Pairs of blocks of one stage left out, and what they cost beyond their members.

use serde::{Deserialize, Serialize};

use super::charts::{estimate_cell, metric, named_columns, named_row, stage_maps, with_content};
use super::interval::{change, position_mean};
use super::lesion::{LesionResult, removable};
use super::measurement::{AnalysisInput, Measurement, Presented, Scope};
use super::score::Estimate;
use super::sentences::{counted, findings, number};
use super::{Intervention, Metric, Prediction};
use crate::nn::{BlockId, Route};
use crate::random::{Purpose, shuffle, stream};
use crate::report::{Column, Figure, Format, HeatMap, Section, Table};

/// Every pair of blocks of a stage left out together.
pub struct PairLesion;

/// Two blocks of one stage left out together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockPair {
    /// The earlier block.
    pub first: BlockId,
    /// The later one.
    pub second: BlockId,
    /// The score without both, and what it costs.
    #[serde(flatten)]
    pub lesion: LesionResult,
    /// What the pair costs beyond the costs of its members, as a fraction of accuracy; paired sample by sample.
    #[serde(rename = "interaction_accuracy_fraction", alias = "interaction_accuracy")]
    pub interaction_accuracy: Estimate,
    /// The same in loss, nats.
    #[serde(rename = "interaction_loss_nats", alias = "interaction_loss")]
    pub interaction_loss: Estimate,
}

/// Of more pairs than this in a stage so many are drawn.
const MOST_PAIRS: usize = 200;

/// The number of pairs that the terminal shows.
const BRIEF_PAIRS: usize = 10;

/// The pairs of every stage, in order.
fn pairs(scope: &Scope) -> Vec<(BlockId, BlockId)> {
    let blocks = removable(&scope.outline);
    let mut pairs: Vec<(BlockId, BlockId)> = Vec::new();
    for stage in 0..scope.outline.stages.len() {
        let own: Vec<BlockId> = blocks.iter().copied().filter(|id| id.stage == stage).collect();
        let mut all: Vec<(BlockId, BlockId)> =
            own.iter().enumerate().flat_map(|(i, &a)| own[i + 1..].iter().map(move |&b| (a, b))).collect();
        if all.len() > MOST_PAIRS {
            shuffle(&mut stream(scope.seed, Purpose::LesionPairs, &[stage as u64]), &mut all);
            all.truncate(MOST_PAIRS);
            all.sort();
        }
        pairs.extend(all);
    }
    pairs
}

impl Measurement for PairLesion {
    type Output = Vec<BlockPair>;
    type Probe = ();

    const NAME: &'static str = "pairs";
    const ABOUT: &'static str = "Pairs of blocks left out, and what they cost beyond their members";

    fn why_not(&self, scope: &Scope) -> Option<String> {
        let has_pair = removable(&scope.outline).windows(2).any(|pair| pair[0].stage == pair[1].stage);
        (!has_pair).then(|| "no two blocks of a stage can be left out".into())
    }

    fn routes(&self, scope: &Scope) -> Vec<(Intervention, Route)> {
        let whole = Route::identity(&scope.outline);
        let singles = removable(&scope.outline).into_iter().map(|id| whole.without_block(id));
        let both = pairs(scope).into_iter().map(|(a, b)| whole.without_block(a).without_block(b));
        singles.chain(both).map(|route| (Intervention::None, route)).collect()
    }

    fn analyse(&self, scope: &Scope, observed: &AnalysisInput<()>) -> Vec<BlockPair> {
        let blocks = removable(&scope.outline);
        let (singles, both) = observed.predictions.split_at(blocks.len());
        let single = |id: BlockId| blocks.iter().position(|&block| block == id).map(|place| singles[place]);
        let result = |((first, second), both): ((BlockId, BlockId), &&[Prediction])| {
            let beyond = |figure: fn(&Prediction) -> f64| {
                let members = single(first)?.iter().zip(single(second)?);
                let all = members.zip(*both).zip(observed.baseline);
                Some(all.map(move |(((a, b), both), w)| (w, figure(both) + figure(w) - figure(a) - figure(b))))
            };
            Some(BlockPair {
                first,
                second,
                lesion: LesionResult::new(observed.baseline, both),
                interaction_accuracy: change(beyond(|p| -p.accuracy)?),
                interaction_loss: position_mean(beyond(|p| p.loss)?),
            })
        };
        pairs(scope).into_iter().zip(both).filter_map(result).collect()
    }

    fn present(&self, networks: &[Presented<Self::Output>]) -> Section {
        if networks.iter().all(|network| network.output.is_empty()) {
            return Section::default();
        }
        let tables = vec![table(networks)];
        Section {
            title: "Leaving two blocks out".into(),
            about: vec![
                "Two blocks of one stage are left out together. The interaction of the two is the cost of the pair minus \
                 the costs of its members, compared sample by sample, with 95 % intervals."
                    .into(),
                "An interaction above zero says that the two blocks can stand in for each other. Below zero the loss of \
                 one makes the other dispensable."
                    .into(),
            ],
            findings: findings(networks, &tables, sentence),
            figures: with_content(figures(networks)),
            tables,
            ..Section::default()
        }
    }
}

type Networks<'a> = [Presented<'a, Vec<BlockPair>>];

/// Returns how many pairs cost more and less than their members, and the pair with the greatest interaction.
fn sentence(network: &Presented<Vec<BlockPair>>) -> Option<String> {
    let pairs = network.output.iter().filter(|pair| pair.interaction_loss.value.is_finite());
    let pairs: Vec<&BlockPair> = pairs.collect();
    let more = pairs.iter().filter(|pair| pair.interaction_loss.value > pair.interaction_loss.ci95).count();
    let less = pairs.iter().filter(|pair| pair.interaction_loss.value < -pair.interaction_loss.ci95).count();
    let greatest = pairs.iter().max_by(|a, b| a.interaction_loss.value.total_cmp(&b.interaction_loss.value))?;
    Some(format!(
        "Of {}, {more} cost more loss than their members together and {less} cost less; for the others the interval \
         contains zero. The interaction is greatest for {} with {} ({} nats).",
        counted(pairs.len(), "pair"),
        greatest.first,
        greatest.second,
        number(greatest.interaction_loss.value, Format::Real),
    ))
}

fn figures(networks: &Networks) -> [Figure; 2] {
    let metric = metric(networks);
    let cost = |pair: &BlockPair| metric.in_unit(metric.cost(&pair.lesion)).value;
    let interaction = |pair: &BlockPair| pair.interaction_loss.value;
    let figure = |name: &str, title: &str, panels| Figure { panels, ..Figure::new(name, title).shared() };
    let costs = |map: HeatMap| map.value("cost", metric.long_unit());
    let interactions = |map: HeatMap| HeatMap { is_diverging: true, ..map.value("interaction", "nats of loss") };
    [
        figure("pairs-cost", "Cost of leaving both out", stage_maps(networks, |n, s| map(n, s, cost).map(costs))),
        figure(
            "pairs-interaction",
            "Interaction",
            stage_maps(networks, |n, s| map(n, s, interaction).map(interactions)),
        ),
    ]
}

/// Returns the map of the pairs of one stage: the earlier block from left to right, the later block downwards.
fn map(network: &Presented<Vec<BlockPair>>, stage: usize, value: impl Fn(&BlockPair) -> f64) -> Option<HeatMap> {
    let pairs = network.output.iter().filter(|pair| pair.first.stage == stage);
    let names: Vec<String> = network.outline.stages[stage].blocks.iter().map(|block| block.id.to_string()).collect();
    let mut values = vec![vec![None; names.len()]; names.len()];
    for (pair, value) in pairs.map(|pair| (pair, value(pair))).filter(|(_, value)| value.is_finite()) {
        values[pair.second.block][pair.first.block] = Some(value);
    }
    values.iter().flatten().any(Option::is_some).then(|| HeatMap {
        x_label: "earlier block".into(),
        y_label: "later block".into(),
        columns: names.clone(),
        rows: names,
        values,
        ..HeatMap::default()
    })
}

/// Returns a row for every pair, the greatest interaction first. The terminal shows the first rows.
fn table(networks: &Networks) -> Table {
    let metric = metric(networks);
    let interactions = [
        Column::new("interaction_accuracy_fraction", "interaction, points", Format::Points),
        Column::new("interaction_loss_nats", "interaction, nats", Format::Real),
    ];
    let interactions = interactions
        .map(|column| Column { is_brief: metric == Metric::Accuracy || column.format == Format::Real, ..column });
    let columns = [
        vec![Column::text("first", "first"), Column::text("second", "second")],
        metric.cost_columns(),
        interactions.to_vec(),
        metric.score_columns(" without both").into_iter().map(Column::detail).collect(),
        vec![Column::new("samples", "samples", Format::Count).detail()],
    ];
    let row = |pair: &BlockPair| {
        let blocks = vec![pair.first.into(), pair.second.into()];
        let interactions = [pair.interaction_accuracy, pair.interaction_loss].map(estimate_cell).to_vec();
        let BlockPair { lesion, .. } = pair;
        let score = [metric.score_cells(&lesion.score), vec![lesion.score.samples.into()]].concat();
        [blocks, metric.cost_cells(lesion), interactions, score].concat()
    };
    let pairs = networks.iter().flat_map(|network| network.output.iter().map(move |pair| (network, pair)));
    let mut pairs: Vec<(&Presented<_>, &BlockPair)> = pairs.collect();
    // Pairs without a finite interaction come last.
    let order = |pair: &BlockPair| {
        if pair.interaction_loss.value.is_finite() { pair.interaction_loss.value } else { f64::NEG_INFINITY }
    };
    pairs.sort_by(|(_, a), (_, b)| order(b).total_cmp(&order(a)));
    Table {
        name: "pairs".into(),
        title: "Pairs of blocks, the greatest interaction first".into(),
        columns: named_columns(networks, columns.concat()),
        rows: pairs.into_iter().map(|(network, pair)| named_row(networks, network, row(pair))).collect(),
        brief_rows: Some(BRIEF_PAIRS),
        ..Table::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::example::{assert_is_complete, estimate, outline, presented, score};
    use crate::nn::Outline;
    use crate::report::{Cell, Panel};

    /// The interactions of successive pairs are -0.02, 0, 0.02, ...
    fn result(outline: &Outline) -> Vec<BlockPair> {
        let scope = Scope {
            outline: outline.clone(),
            samples: 100,
            seed: 1,
            has_gradients: false,
            is_image: true,
            classes: Vec::new(),
        };
        let pair = |(place, (first, second)): (usize, (BlockId, BlockId))| {
            let cost = 0.01 * place as f64;
            let (accuracy_cost, loss_cost) = (estimate(cost), estimate(2.0 * cost));
            BlockPair {
                first,
                second,
                lesion: LesionResult { score: score(0.9 - cost), accuracy_cost, loss_cost },
                interaction_accuracy: estimate(cost / 2.0),
                interaction_loss: estimate(0.02 * (place as f64 - 1.0)),
            }
        };
        pairs(&scope).into_iter().enumerate().map(pair).collect()
    }

    #[test]
    fn every_stage_has_a_map_and_rows_are_sorted_by_interaction() {
        let (shallow, deep, whole) = (outline(&[3]), outline(&[3, 2]), score(0.9));
        let mut second = result(&deep);
        second[0].interaction_loss.value = f64::NAN;
        let section =
            PairLesion.present(&presented(vec![(&shallow, &whole, result(&shallow)), (&deep, &whole, second)]));
        assert_is_complete(&section);
        let panels: Vec<_> = section.figures.iter().map(|figure| figure.panels.len()).collect();
        assert_eq!(panels, [3, 3]);
        let Panel::HeatMap(map) = &section.figures[0].panels[0] else { panic!("a heat map") };
        assert_eq!(map.values, [[None; 3], [Some(0.0), None, None], [Some(1.0), Some(2.0), None]]);
        let table = &section.tables[0];
        assert_eq!((table.rows.len(), table.columns.len()), (7, 10));
        assert_eq!(
            table.rows[0][1..3],
            [BlockId { stage: 1, block: 0 }, BlockId { stage: 1, block: 1 }].map(Cell::Block)
        );
        let texts: Vec<_> = section.findings.iter().map(|finding| finding.text.as_str()).collect();
        let first = "Of 3 pairs, 1 cost more loss than their members together and 1 cost less; for the others the interval \
                     contains zero. The interaction is greatest for stage1.block2 with stage1.block3 (0.0200 nats).";
        assert_eq!(texts[0], first);
        assert!(texts[2].starts_with("1 figure of the table is not finite"), "{texts:?}");
    }

    #[test]
    fn networks_without_pairs_have_no_section() {
        let (outline, whole) = (outline(&[1]), score(0.9));
        assert_eq!(PairLesion.present(&presented(vec![(&outline, &whole, Vec::new())])), Section::default());
    }
}
