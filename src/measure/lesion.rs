//! Lesion: every block left out in turn (Srivastava et al. 2015, Veit et al. 2016).

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::charts::{BlockAxis, block_table, cost_axis, metric, panel, with_content, zero};
use super::interval::differs_from_zero;
use super::measurement::{AnalysisInput, Measurement, Presented, Scope};
use super::score::{Estimate, PerBlock, Score, paired_accuracy, paired_loss};
use super::sentences::{counted, findings, finite_mean};
use super::{Intervention, Metric, Prediction};
use crate::nn::{BlockId, Outline, Route};
use crate::report::{Cell, Chart, Column, Figure, Format, Mark, Section, Table};

/// Accuracy and loss with each block left out in turn; its shortcut stays.
pub struct Lesion;

/// A network run with one block left out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LesionResult {
    /// The score without the block.
    #[serde(flatten)]
    pub score: Score,
    /// Baseline accuracy minus this accuracy, with its interval paired sample by sample.
    #[serde(rename = "accuracy_cost_fraction", alias = "accuracy_cost")]
    pub accuracy_cost: Estimate,
    /// This loss minus baseline loss, with its interval paired sample by sample.
    #[serde(rename = "loss_cost_nats", alias = "loss_cost")]
    pub loss_cost: Estimate,
}

impl LesionResult {
    /// Returns what leaving out costs, compared sample by sample with the predictions of the whole network.
    pub fn new(whole: &[Prediction], without: &[Prediction]) -> Self {
        Self {
            score: Score::of(without),
            accuracy_cost: paired_accuracy(whole, without),
            loss_cost: paired_loss(without, whole),
        }
    }
}

/// Returns the blocks that can be left out.
pub fn removable(outline: &Outline) -> Vec<BlockId> {
    outline.blocks().filter(|(_, block)| block.why_not_removable.is_none()).map(|(id, _)| id).collect()
}

impl Measurement for Lesion {
    type Output = PerBlock<LesionResult>;
    type Probe = ();

    const NAME: &'static str = "lesion";
    const ABOUT: &'static str = "Every block left out in turn";

    fn why_not(&self, scope: &Scope) -> Option<String> {
        removable(&scope.outline).is_empty().then(|| "no block can be left out".into())
    }

    fn routes(&self, scope: &Scope) -> Vec<(Intervention, Route)> {
        let whole = Route::identity(&scope.outline);
        removable(&scope.outline).into_iter().map(|id| (Intervention::None, whole.without_block(id))).collect()
    }

    fn analyse(&self, scope: &Scope, observed: &AnalysisInput<()>) -> PerBlock<LesionResult> {
        let lesions = removable(&scope.outline).into_iter().zip(&observed.predictions);
        lesions.map(|(id, without)| (id, LesionResult::new(observed.baseline, without))).collect()
    }

    fn present(&self, networks: &[Presented<Self::Output>]) -> Section {
        if networks.iter().all(|network| network.output.is_empty()) {
            return Section::default();
        }
        let tables = vec![table(networks)];
        Section {
            title: "Leaving one block out".into(),
            about: vec![
                "Each block is left out in turn: only its skip connection remains, and nothing else is changed (paper, \
                 Section 4; Srivastava et al. 2015; Veit et al. 2016). Blocks that cannot be left out have no point; the \
                 table says why."
                    .into(),
                format!(
                    "The cost of a block is {}. The two are compared sample by sample, which shows differences that are \
                     smaller than the intervals of the scores. All intervals are 95 % intervals.",
                    match metric(networks) {
                        Metric::Accuracy => "the accuracy of the whole network minus the accuracy without the block",
                        Metric::Perplexity => "the loss without the block minus the loss of the whole network",
                        Metric::Distance(_) => "how far the answers without the block are from those of the whole network",
                    }
                ),
            ],
            findings: findings(networks, &tables, sentence),
            figures: with_content(figures(networks)),
            tables,
            ..Section::default()
        }
    }
}

type Networks<'a> = [Presented<'a, PerBlock<LesionResult>>];

/// Returns the mean cost, the greatest, and how many intervals contain zero.
fn sentence(network: &Presented<PerBlock<LesionResult>>) -> Option<String> {
    let metric = network.metric();
    let costs = network.output.iter().map(|(id, lesion)| (id, metric.cost(lesion)));
    let costs: Vec<_> = costs.filter(|(_, cost)| cost.value.is_finite()).collect();
    let mean = finite_mean(costs.iter().map(|(_, cost)| cost.value))?;
    let (id, greatest) = costs.iter().max_by(|a, b| a.1.value.total_cmp(&b.1.value))?;
    let clear = with_clear_cost(network).len();
    let selected =
        if costs.len() > 1 { ", which was selected as the greatest and is therefore too large on average" } else { "" };
    Some(format!(
        "Leaving out one block costs {} {} on average and at most {} ({id}){selected}. The cost differs from zero for {clear} \
         of {}, at a level of 5 % for all of them together (Holm 1979).",
        metric.format_cost(mean),
        metric.long_unit(),
        metric.format_cost(greatest.value),
        counted(costs.len(), "block"),
    ))
}

/// Returns the blocks whose cost differs from zero, all of them taken together.
fn with_clear_cost(network: &Presented<PerBlock<LesionResult>>) -> HashSet<BlockId> {
    let metric = network.metric();
    let costs: Vec<Estimate> = network.output.values().map(|lesion| metric.cost(lesion)).collect();
    let samples = network.output.values().map(|lesion| lesion.score.samples).max().unwrap_or_default() as f64;
    let freedom = if metric == Metric::Accuracy { f64::INFINITY } else { samples - 1.0 };
    let clear = network.output.keys().zip(differs_from_zero(&costs, freedom)).filter(|(_, differs)| *differs);
    clear.map(|(id, _)| *id).collect()
}

fn yes_or_no(condition: bool) -> Cell {
    if condition { "yes" } else { "no" }.into()
}

fn figures(networks: &Networks) -> Vec<Figure> {
    let (axis, metric) = (BlockAxis::new(networks), metric(networks));
    let score = |network: &Presented<_>, id| Some(PerBlock::<LesionResult>::get(&network.output, &id)?.score);
    let cost = |network: &Presented<_>, id| {
        Some(metric.in_unit(metric.cost(PerBlock::<LesionResult>::get(&network.output, &id)?)))
    };
    let costs = Chart { references: vec![zero()], ..axis.chart(networks, cost_axis(metric), Mark::Points, cost) };
    let figure = |name: String, title: String, chart: Chart| Figure {
        name: format!("lesion-{name}"),
        title,
        panels: vec![panel(chart)],
        ..Figure::default()
    };
    let scores = axis.score_chart(networks, Mark::Points, score);
    vec![
        figure(metric.name().into(), format!("{} without the block", metric.title()), scores),
        figure("cost".into(), "Cost of leaving the block out".into(), costs),
    ]
}

fn table(networks: &Networks) -> Table {
    let metric = metric(networks);
    let samples = Column::new("samples", "samples", Format::Count).detail();
    let reason = Column::new("why_not_removable", "why it cannot be left out", Format::Text).detail();
    let differs = Column::text("differs_from_zero", "differs from 0 (Holm)");
    let scores = metric.score_columns(" without");
    let columns = [scores, metric.cost_columns(), vec![differs, samples, reason]].concat();
    let figures = columns.len() - 1;
    let clear: Vec<HashSet<BlockId>> = networks.iter().map(with_clear_cost).collect();
    block_table(("lesion", "Every block left out"), networks, columns, |network, id| {
        if let Some(lesion) = network.output.get(&id) {
            let place = networks.iter().position(|other| other.place == network.place);
            let differs = place.is_some_and(|place| clear[place].contains(&id));
            let rest = vec![yes_or_no(differs), Cell::Number(lesion.score.samples as f64), Cell::Empty];
            return Some([metric.score_cells(&lesion.score), metric.cost_cells(lesion), rest].concat());
        }
        let reason = network.outline.block(id).why_not_removable.clone()?;
        Some([vec![Cell::Empty; figures], vec![Cell::Text(reason)]].concat())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::example::{assert_is_complete, estimate, outline, presented, score};
    use crate::report::{Panel, Scale};

    fn lesion(cost: f64) -> LesionResult {
        LesionResult { score: score(0.9 - cost), accuracy_cost: estimate(cost), loss_cost: estimate(cost / 2.0) }
    }

    fn lesions(outline: &Outline) -> PerBlock<LesionResult> {
        let costs = removable(outline).into_iter().enumerate();
        costs.map(|(place, id)| (id, lesion(0.2 - 0.05 * place as f64))).collect()
    }

    #[test]
    fn two_networks_share_the_charts_and_the_table() {
        let (mut shallow, deep, whole) = (outline(&[3]), outline(&[3, 3]), score(0.9));
        shallow.stages[0].blocks[1].why_not_removable = Some("it has no shortcut".into());
        let mut second = lesions(&deep);
        second[5].score.loss = f64::NAN;
        let networks = presented(vec![(&shallow, &whole, lesions(&shallow)), (&deep, &whole, second)]);
        let section = Lesion.present(&networks);
        assert_is_complete(&section);
        assert_eq!(section.tables[0].rows.len(), 9);
        assert_eq!(section.tables[0].rows[1].last(), Some(&Cell::Text("it has no shortcut".into())));
        let texts: Vec<_> = section.findings.iter().map(|finding| finding.text.as_str()).collect();
        let first = "Leaving out one block costs 17.50 points of accuracy on average and at most 20.00 (stage1.block1), \
                     which was selected as the greatest and is therefore too large on average. The cost differs from zero \
                     for 2 of 2 blocks, at a level of 5 % for all of them together (Holm 1979).";
        assert_eq!(texts[0], first);
        assert!(texts[1].contains("differs from zero for 5 of 6 blocks,"), "{texts:?}");
        assert!(texts[2].starts_with("1 figure of the table is not finite"), "{texts:?}");
        let Panel::Chart(chart) = &section.figures[0].panels[0] else { panic!("a chart") };
        assert_eq!((&chart.x.scale, chart.series.len()), (&Scale::RelativeDepth, 2));
        let lines: Vec<_> = chart.references.iter().map(|line| (line.label.as_str(), line.y)).collect();
        assert_eq!(lines, [("a, whole", 90.0), ("b, whole", 90.0), ("chance", 10.0)]);
        assert!(chart.series[0].points[1].y.is_nan(), "a block that cannot be left out has no point");
    }

    #[test]
    fn a_language_model_loses_nats() {
        let (outline, whole) = (Outline { is_language_model: true, ..outline(&[2]) }, score(0.9));
        let section = Lesion.present(&presented(vec![(&outline, &whole, lesions(&outline))]));
        assert_is_complete(&section);
        assert_eq!(section.figures[0].name, "lesion-perplexity");
        assert!(section.findings[0].text.starts_with("Leaving out one block costs 0.0875 nats of loss on average"));
    }
}
