//! Ablation: what a block adds is not left out but replaced by what says nothing about the sample, its mean over the
//! samples or what it adds to another sample.

use serde::{Deserialize, Serialize};

use super::Intervention;
use super::charts::{BlockAxis, block_table, cost_axis, metric, panel, with_content, zero};
use super::cost::{Cost, moments_bytes};
use super::lesion::{LesionResult, removable};
use super::measurement::{AnalysisInput, Measurement, Presented, Scope};
use super::score::PerBlock;
use super::sentences::{findings, finite_mean};
use crate::nn::{BlockId, Route};
use crate::report::{Cell, Chart, Column, Figure, Format, Mark, Section, Table};

/// A block's step `a_k - a_(k-1)` replaced by its mean over the samples, or by another sample's.
pub struct Ablation;

/// A block whose step `a_k - a_(k-1)` is replaced by what says nothing about the sample.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockAblation {
    /// By its mean over the samples, unit by unit.
    pub mean: LesionResult,
    /// By that of another sample.
    pub resampled: LesionResult,
}

/// The blocks whose step is defined: those that can be left out and keep the shape. Fewer than two samples have neither
/// replacement.
fn ablated(scope: &Scope) -> Vec<BlockId> {
    let blocks = if scope.samples < 2 { Vec::new() } else { removable(&scope.outline) };
    blocks.into_iter().filter(|&id| scope.outline.block(id).keeps_shape()).collect()
}

impl Measurement for Ablation {
    type Output = PerBlock<BlockAblation>;
    type Probe = ();

    const NAME: &'static str = "ablation";
    const ABOUT: &'static str = "What a block adds replaced by its mean, or by another sample's";

    fn routes(&self, scope: &Scope) -> Vec<(Intervention, Route)> {
        let whole = Route::identity(&scope.outline);
        let blocks = ablated(scope);
        let along = |intervention| blocks.iter().map(move |&id| (intervention, id));
        let all = along(Intervention::MeanStep).chain(along(Intervention::OtherStep));
        all.map(|(intervention, id)| (intervention, whole.without_block(id))).collect()
    }

    fn cost(&self, scope: &Scope) -> Cost {
        // The steps' sums and counts, and their means.
        Cost { kept: moments_bytes(&scope.outline, 1), ..Cost::of_probe(&scope.outline, |_, _| 50) }
    }

    fn analyse(&self, scope: &Scope, observed: &AnalysisInput<()>) -> PerBlock<BlockAblation> {
        let blocks = ablated(scope);
        let (mean, resampled) = observed.predictions.split_at(blocks.len());
        let cost = |predictions: &[_]| LesionResult::new(observed.baseline, predictions);
        let both = blocks.into_iter().zip(mean.iter().zip(resampled));
        both.map(|(id, (m, r))| (id, BlockAblation { mean: cost(m), resampled: cost(r) })).collect()
    }

    fn present(&self, networks: &[Presented<Self::Output>]) -> Section {
        if networks.iter().all(|network| network.output.is_empty()) {
            return Section::default();
        }
        let tables = vec![table(networks)];
        Section {
            title: "A block's step replaced".into(),
            about: vec![
                "Leaving a block out changes the mean of the estimate too. Here the block's step `a_k - a_(k-1)` is \
                 replaced instead: by its mean over the samples, unit by unit, or by the step of another sample. What is \
                 lost then is what the block says about the single sample."
                    .into(),
                "Only blocks that keep the shape of the estimate have such a step. Costs are differences from the whole \
                 network, taken sample by sample, with 95 % intervals."
                    .into(),
            ],
            findings: findings(networks, &tables, sentence),
            figures: with_content([figure(networks)]),
            tables,
            ..Section::default()
        }
    }
}

type Networks<'a> = [Presented<'a, PerBlock<BlockAblation>>];

/// Returns the mean and the greatest cost of both replacements.
fn sentence(network: &Presented<PerBlock<BlockAblation>>) -> Option<String> {
    let metric = network.metric();
    let costs = |sort: fn(&BlockAblation) -> &LesionResult| {
        let costs = network.output.iter().map(|(id, block)| (id, metric.cost(sort(block)).value));
        let costs: Vec<_> = costs.filter(|(_, cost)| cost.is_finite()).collect();
        let mean = finite_mean(costs.iter().map(|(_, cost)| *cost))?;
        let (id, greatest) = costs.into_iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
        Some((metric.format_cost(mean), format!("{} ({id})", metric.format_cost(greatest))))
    };
    let ((mean, greatest), (other_mean, other_greatest)) = (costs(|block| &block.mean)?, costs(|b| &b.resampled)?);
    let unit = metric.long_unit();
    Some(format!(
        "A step replaced by its mean costs {mean} {unit} on average and at most {greatest}; a step replaced by another \
         sample's costs {other_mean} on average and at most {other_greatest}."
    ))
}

fn figure(networks: &Networks) -> Figure {
    let (axis, metric) = (BlockAxis::new(networks), metric(networks));
    let chart = |title: &str, sort: fn(&BlockAblation) -> &LesionResult| {
        let cost = |network: &Presented<PerBlock<BlockAblation>>, id| {
            Some(metric.in_unit(metric.cost(sort(network.output.get(&id)?))))
        };
        let chart = axis.chart(networks, cost_axis(metric), Mark::Points, cost);
        panel(Chart { title: title.into(), references: vec![zero()], ..chart })
    };
    Figure {
        name: "ablation".into(),
        title: "Cost of replacing the step".into(),
        panels: vec![
            chart("by its mean", |block| &block.mean),
            chart("by another sample's step", |block| &block.resampled),
        ],
        shares_y: true,
        ..Figure::default()
    }
}

fn table(networks: &Networks) -> Table {
    let metric = metric(networks);
    let columns = |prefix: &str, what: &str| {
        let scores = metric.score_columns("").into_iter().map(Column::detail);
        let renamed = metric.cost_columns().into_iter().chain(scores).map(|column| Column {
            name: format!("{prefix}_{}", column.name),
            heading: format!("{what}: {}", column.heading),
            ..column
        });
        renamed.collect::<Vec<_>>()
    };
    let samples = Column::new("samples", "samples", Format::Count).detail();
    let columns = [columns("mean", "mean step"), columns("resampled", "another's step"), vec![samples]].concat();
    block_table(("ablation", "Every block's step replaced"), networks, columns, |network, id| {
        let BlockAblation { mean, resampled } = network.output.get(&id)?;
        let cells = |lesion: &LesionResult| [metric.cost_cells(lesion), metric.score_cells(&lesion.score)].concat();
        let samples = vec![Cell::Number(mean.score.samples as f64)];
        Some([cells(mean), cells(resampled), samples].concat())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::example::{assert_is_complete, estimate, outline, presented, score};
    use crate::nn::Outline;

    fn ablation(cost: f64) -> BlockAblation {
        let of = |cost| LesionResult { score: score(0.5), accuracy_cost: estimate(cost), loss_cost: estimate(cost) };
        BlockAblation { mean: of(cost), resampled: of(2.0 * cost) }
    }

    fn ablations(outline: &Outline) -> PerBlock<BlockAblation> {
        let blocks = outline.blocks().filter(|(_, block)| block.keeps_shape());
        blocks.enumerate().map(|(place, (id, _))| (id, ablation(0.01 * place as f64))).collect()
    }

    #[test]
    fn both_replacements_have_a_panel_and_their_columns() {
        let (shallow, deep, whole) = (outline(&[3]), outline(&[3, 3]), score(0.9));
        let mut second = ablations(&deep);
        second[0].mean.accuracy_cost.value = f64::NAN;
        let networks = presented(vec![(&shallow, &whole, ablations(&shallow)), (&deep, &whole, second)]);
        let section = Ablation.present(&networks);
        assert_is_complete(&section);
        assert_eq!(section.figures[0].panels.len(), 2);
        let table = &section.tables[0];
        assert_eq!((table.rows.len(), table.columns.len()), (8, 11));
        let names: Vec<_> = table.columns.iter().filter(|column| column.is_brief).map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["network", "block", "mean_accuracy_cost_fraction", "resampled_accuracy_cost_fraction"]);
        let texts: Vec<_> = section.findings.iter().map(|finding| finding.text.as_str()).collect();
        let first = "A step replaced by its mean costs 1.00 points of accuracy on average and at most 2.00 \
                     (stage1.block3); a step replaced by another sample's costs 2.00 on average and at most 4.00 \
                     (stage1.block3).";
        assert_eq!(texts[0], first);
        assert!(texts[1].contains("costs 2.50 points"), "{texts:?}");
        assert!(texts[2].starts_with("1 figure of the table is not finite"), "{texts:?}");
    }

    #[test]
    fn networks_without_steps_have_no_section() {
        let (outline, whole) = (outline(&[1]), score(0.9));
        assert_eq!(Ablation.present(&presented(vec![(&outline, &whole, PerBlock::new())])), Section::default());
    }
}
