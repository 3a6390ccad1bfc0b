//! How the predictions of Section 3 are reported.

use super::{BlockTheory, OptimalGate};
use crate::measure::Presented;
use crate::measure::charts::{BlockAxis, block_table, panel, untrained_cell, with_content, zero};
use crate::measure::score::{Estimate, PerBlock};
use crate::measure::sentences::{findings, finite_mean, number};
use crate::nn::BlockId;
use crate::report::{Axis, Cell, Chart, Column, Figure, Format, Mark, Reference, Scale, Section, Series, Table};

/// The networks of a report.
type Networks<'a> = [Presented<'a, PerBlock<BlockTheory>>];

/// Returns the section about the paper's predictions.
pub(super) fn section(networks: &Networks) -> Section {
    if networks.iter().all(|network| network.output.is_empty()) {
        return Section::default();
    }
    let tables = vec![table(networks)];
    Section {
        title: "The predictions of Section 3".into(),
        about: vec![
            "If every block keeps its features (paper, Eq. 1), its step has zero mean, `E[a_k - a_(k-1)] = 0` (Eqs. 6-9), \
             and the variance of the estimation error falls from block to block (Section 4.1). The mean of a step is \
             reported as a bias over a standard deviation. Both are root mean squares over the units, and the bias is \
             corrected for the noise of few samples: it is 0 on average where every unit has a mean of 0."
                .into(),
            "The gate that combines old and new estimate with the least variance is `T* = α_1/(α_1 + α_2)` (Section 3.3, \
             Eqs. 10 and 11). The measured variances of the errors give it for every unit for which the new value ever \
             differs from the old estimate. It presumes that the new value is unbiased, `E[H - A] = 0`, and coupled gates. \
             The last block of a stage has no `T*`: its own output is the target. With a constant gate the new estimate varies \
             at most as much as the old one where `T ≤ 2 T*`."
                .into(),
        ],
        findings: findings(networks, &tables, sentence),
        figures: figures(networks),
        tables,
        ..Section::default()
    }
}

/// Returns the averages over the blocks.
fn sentence(network: &Presented<PerBlock<BlockTheory>>) -> Option<String> {
    let mean = |figure: fn(&BlockTheory) -> Option<f64>| finite_mean(network.output.values().filter_map(figure));
    let mut sentence = format!(
        "On average over the blocks, the bias of the step is {} of its standard deviation, and the error's variance falls \
         in {} of the units.",
        number(mean(|block| Some(block.step_bias_over_std))?, Format::Fixed3),
        number(mean(|block| Some(block.variance_falls_share))?, Format::Percent),
    );
    let falls = |blocks: &PerBlock<BlockTheory>| finite_mean(blocks.values().map(|block| block.variance_falls_share));
    let untrained: Vec<String> =
        network.untrained.iter().filter_map(falls).map(|share| number(share, Format::Percent)).collect();
    if !untrained.is_empty() {
        sentence += &format!(" With initial weights it falls in {}.", untrained.join(", "));
    }
    let gate = |figure: fn(&OptimalGate) -> f64| {
        finite_mean(network.output.values().filter_map(|block| block.gate.as_ref()).map(figure))
    };
    if let (Some(optimal), Some(learned)) = (gate(|gate| gate.optimal_gate), gate(|gate| gate.learned_gate)) {
        let [optimal, learned] = [optimal, learned].map(|gate| number(gate, Format::Fixed3));
        sentence += &format!(" The optimal gate is {optimal} on average, the learned gate {learned}.");
    }
    if let Some(bias) = gate(|gate| gate.new_value_bias_over_std) {
        let bias = number(bias, Format::Fixed3);
        sentence += &format!(
            " The bias of the new value, which `T*` presumes to be zero, is {bias} of its standard deviation."
        );
    }
    Some(sentence)
}

fn figures(networks: &Networks) -> Vec<Figure> {
    let axis = BlockAxis::new(networks);
    let chart = |y: Axis, line: Reference, figure: fn(&BlockTheory) -> Option<f64>| {
        let estimate =
            |network: &Presented<PerBlock<BlockTheory>>, id: BlockId| exact(network.output.get(&id)?, figure);
        Chart { references: vec![line], ..axis.chart(networks, y, Mark::Line, estimate) }
    };
    let y = Axis::new;
    let half = Reference { y: 50.0, label: "half of the units".into(), network: None };
    let step =
        chart(y("bias / std of the step", Scale::Including(vec![0.0])), zero(), |block| Some(block.step_bias_over_std));
    let falls =
        chart(y("units", Scale::Between(0.0, 100.0)).unit("%"), half, |block| Some(100.0 * block.variance_falls_share));
    let falls = with_bands(falls, axis.untrained_bands(networks, |block| Some(100.0 * block.variance_falls_share)));
    let step = with_bands(step, axis.untrained_bands(networks, |block| Some(block.step_bias_over_std)));
    let correlation =
        chart(y("correlation", Scale::Including(vec![0.0])), zero(), |block| Some(block.gate?.gate_correlation));
    let all = [
        figure(
            ("theory-step-bias", "Bias of the step over its standard deviation"),
            "`√mean(b² - s²/n) / √mean(s²)` over the units, of the mean b and the standard deviation s of a unit of \
             `a_k - a_(k-1)` over n samples. Zero is what Eq. 8 predicts.",
            vec![step],
        ),
        figure(
            ("theory-variance", "Units whose error has less variance than before the block"),
            "Of the units with any error, the share for which the variance of `a_k - A` is less than that of \
             `a_(k-1) - A`. After the last block of a stage it is all of them by definition. Units whose error hardly \
             varies are left out.",
            vec![falls],
        ),
        figure(
            ("theory-gates", "Learned and optimal gate"),
            "Means over the units: of the learned transform gate, and of the optimal gate `T*`.",
            networks.iter().map(|network| gates(networks, &axis, network)).collect(),
        ),
        figure(
            ("theory-gate-correlation", "Correlation of learned and optimal gate"),
            "The correlation is taken over the units of a block. It is 1 where the gates are open as `T*` is.",
            vec![correlation],
        ),
    ];
    with_content(all)
}

/// Returns a chart with bands behind its lines.
fn with_bands(mut chart: Chart, bands: Vec<Series>) -> Chart {
    chart.series.splice(0..0, bands);
    chart
}

fn figure((name, title): (&str, &str), about: &str, charts: Vec<Chart>) -> Figure {
    Figure {
        name: name.into(),
        title: title.into(),
        about: vec![about.into()],
        panels: charts.into_iter().map(panel).collect(),
        shares_y: true,
    }
}

/// Returns the chart of one network's gates; without series where it has none.
fn gates(networks: &Networks, axis: &BlockAxis, network: &Presented<PerBlock<BlockTheory>>) -> Chart {
    let series = |name: &str, mark, gate: fn(&BlockTheory) -> Option<f64>| {
        let estimate = |id: BlockId| exact(network.output.get(&id)?, gate);
        Series { name: name.into(), ..axis.series(network, mark, estimate) }
    };
    let series = [
        series("optimal gate", Mark::Dashed, |block| Some(block.gate?.optimal_gate)),
        series("learned gate", Mark::Line, |block| Some(block.gate?.learned_gate)),
    ];
    Chart {
        title: if networks.len() > 1 { network.name.to_owned() } else { String::new() },
        x: axis.axis(),
        y: Axis::new("mean gate", Scale::Including(vec![0.0])),
        series: series.into_iter().filter(|series| series.points.iter().any(|point| point.y.is_finite())).collect(),
        ..Chart::default()
    }
}

/// Returns a figure of a block, which has no interval.
fn exact(block: &BlockTheory, figure: fn(&BlockTheory) -> Option<f64>) -> Option<Estimate> {
    Some(Estimate { value: figure(block)?, ci95: f64::NAN })
}

fn table(networks: &Networks) -> Table {
    let columns = vec![
        Column::new("step_bias_over_std", "bias / std of the step", Format::Fixed3),
        Column::new("residual_bias_over_std", "bias / std of F", Format::Fixed3).detail(),
        Column::new("zero_mean_share", "units whose zero mean is not rejected", Format::Percent).detail(),
        Column::new("variance_falls_share", "units whose variance falls", Format::Percent),
        Column::new("step_bias_over_std_untrained", "bias / std of the step, untrained", Format::Fixed3).detail(),
        Column::new("variance_falls_share_untrained", "units whose variance falls, untrained", Format::Percent)
            .detail(),
        Column::new("logit_slope_untrained", "slope of the logits, untrained", Format::Fixed3).detail(),
        Column::new("optimal_gate", "optimal gate `T*`", Format::Fixed3),
        Column::new("learned_gate", "learned gate `T`", Format::Fixed3),
        Column::new("gate_correlation", "correlation of `T` and `T*`", Format::Fixed3),
        Column::new("gate_slope", "slope of `T` over `T*`", Format::Fixed3).detail(),
        Column::new("logit_slope", "slope of `logit T` over `logit T*`", Format::Fixed3).detail(),
        Column::new("optimal_gate_outside_share", "units with `T*` outside 0 to 1", Format::Percent).detail(),
        Column::new("variance_bound_share", "units with `T ≤ 2 T*`", Format::Percent).detail(),
        Column::new("new_value_bias_over_std", "bias / std of `H - A`", Format::Fixed3).detail(),
    ];
    block_table(("theory", "Predictions of Section 3, block by block"), networks, columns, |network, id| {
        let block = network.output.get(&id)?;
        let BlockTheory { step_bias_over_std, residual_bias_over_std, zero_mean_share, variance_falls_share, gate } =
            block;
        let all = [step_bias_over_std, residual_bias_over_std, zero_mean_share, variance_falls_share];
        let gates = |gate: &OptimalGate| {
            [
                gate.optimal_gate,
                gate.learned_gate,
                gate.gate_correlation,
                gate.gate_slope,
                gate.logit_slope,
                gate.optimal_gate_outside_share,
                gate.variance_bound_share,
                gate.new_value_bias_over_std,
            ]
        };
        let gates = gate.as_ref().map_or([const { Cell::Empty }; 8], |gate| gates(gate).map(Cell::Number));
        let untrained = [
            untrained_cell(network, id, |block| Some(block.step_bias_over_std)),
            untrained_cell(network, id, |block| Some(block.variance_falls_share)),
            untrained_cell(network, id, |block| Some(block.gate?.logit_slope)),
        ];
        Some(all.map(|value| Cell::Number(*value)).into_iter().chain(untrained).chain(gates).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::example::{assert_is_complete, outline, presented, score};
    use crate::nn::Outline;

    fn theory(outline: &Outline, gate: Option<f64>) -> PerBlock<BlockTheory> {
        let block = |place: usize| BlockTheory {
            step_bias_over_std: 0.1 * place as f64,
            residual_bias_over_std: 0.1,
            zero_mean_share: 0.5,
            variance_falls_share: 0.75,
            gate: gate.map(|gate| OptimalGate {
                optimal_gate: gate,
                learned_gate: gate / 2.0,
                gate_correlation: gate / 4.0,
                gate_slope: 1.0,
                logit_slope: 1.0,
                optimal_gate_outside_share: 0.1,
                variance_bound_share: 0.9,
                new_value_bias_over_std: 0.2,
            }),
        };
        outline.blocks().enumerate().map(|(place, (id, _))| (id, block(place))).collect()
    }

    #[test]
    fn a_network_without_gates_is_left_out_of_the_figures_about_gates() {
        let (shallow, deep, whole) = (outline(&[3]), outline(&[3, 2]), score(0.9));
        let mut second = theory(&deep, Some(0.5));
        second[1].step_bias_over_std = f64::NAN;
        let networks = presented(vec![(&shallow, &whole, theory(&shallow, None)), (&deep, &whole, second)]);
        let section = section(&networks);
        assert_is_complete(&section);
        let panels: Vec<_> = section.figures.iter().map(|figure| figure.panels.len()).collect();
        assert_eq!(panels, [1, 1, 1, 1]);
        assert_eq!((section.tables[0].rows.len(), section.tables[0].columns.len()), (8, 17));
        let texts: Vec<_> = section.findings.iter().map(|finding| finding.text.as_str()).collect();
        let first = "On average over the blocks, the bias of the step is 0.100 of its standard deviation, and the error's \
                     variance falls in 75.00 % of the units.";
        assert_eq!(texts[0], first);
        assert!(texts[1].contains("The optimal gate is 0.500 on average, the learned gate 0.250."), "{texts:?}");
        assert!(texts[2].starts_with("1 figure of the table is not finite"), "{texts:?}");
    }

    #[test]
    fn residual_networks_have_no_figures_about_gates() {
        let (outline, whole) = (outline(&[3]), score(0.9));
        let section = section(&presented(vec![(&outline, &whole, theory(&outline, None))]));
        let names: Vec<_> = section.figures.iter().map(|figure| figure.name.as_str()).collect();
        assert_eq!(names, ["theory-step-bias", "theory-variance"]);
    }
}
