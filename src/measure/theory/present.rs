//! How the predictions of Section 3 are reported.

use super::BlockTheory;
use crate::measure::Presented;
use crate::measure::charts::{BlockAxis, block_table, panel, with_content, zero};
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
            "If every block keeps its features (paper, Eq. 1), its residual has zero mean, `E[F] = 0` (Eqs. 6-9), and the \
             variance of the estimation error falls from block to block (Section 4.1)."
                .into(),
            "The gate that combines old and new estimate with the least variance is `T* = α_1/(α_1 + α_2)` (Section 3.3, \
             Eqs. 10-12). The measured variances of the errors give it for every unit for which the new value ever \
             differs from the old estimate."
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
        "On average over the blocks, the residual's mean is {} of its standard deviation, and the error's variance falls \
         in {} of the units.",
        number(mean(|block| Some(block.residual_mean_relative))?, Format::Fixed3),
        number(mean(|block| Some(block.variance_falls_share))?, Format::Percent),
    );
    if let (Some(optimal), Some(learned)) = (mean(|block| block.optimal_gate), mean(|block| block.learned_gate)) {
        let [optimal, learned] = [optimal, learned].map(|gate| number(gate, Format::Fixed3));
        sentence += &format!(" The optimal gate is {optimal} on average, the learned gate {learned}.");
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
    let residual =
        chart(y("`|E[F]| / std(F)`", Scale::Including(vec![0.0])), zero(), |block| Some(block.residual_mean_relative));
    let falls =
        chart(y("units", Scale::Between(0.0, 100.0)).unit("%"), half, |block| Some(100.0 * block.variance_falls_share));
    let correlation = chart(y("correlation", Scale::Including(vec![0.0])), zero(), |block| block.gate_correlation);
    let all = [
        figure(
            ("theory-residual-mean", "Mean of the residual over its standard deviation"),
            "For every unit `|E[F]| / std(F)`, averaged over the units. Zero is what Eq. 9 predicts.",
            vec![residual],
        ),
        figure(
            ("theory-variance", "Units whose error has less variance than before the block"),
            "Of the units with any error, the share for which the variance of `a_k - A` is less than that of \
             `a_(k-1) - A`. After the last block of a stage it is all of them by definition.",
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
        series("optimal gate", Mark::Dashed, |block| block.optimal_gate),
        series("learned gate", Mark::Line, |block| block.learned_gate),
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
        Column::new("residual_mean_relative", "`|E[F]| / std(F)`", Format::Fixed3),
        Column::new("zero_mean_share", "units whose zero mean is not rejected", Format::Percent).detail(),
        Column::new("variance_falls_share", "units whose variance falls", Format::Percent),
        Column::new("optimal_gate", "optimal gate `T*`", Format::Fixed3),
        Column::new("learned_gate", "learned gate `T`", Format::Fixed3),
        Column::new("gate_correlation", "correlation of `T` and `T*`", Format::Fixed3),
        Column::new("gate_slope", "slope of `T` over `T*`", Format::Fixed3).detail(),
    ];
    block_table(("theory", "Predictions of Section 3, block by block"), networks, columns, |network, id| {
        let block = network.output.get(&id)?;
        let gates = [block.optimal_gate, block.learned_gate, block.gate_correlation, block.gate_slope];
        let shares = [block.residual_mean_relative, block.zero_mean_share, block.variance_falls_share];
        Some(shares.map(Some).into_iter().chain(gates).map(|v| v.map_or(Cell::Empty, Cell::Number)).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::example::{assert_is_complete, outline, presented, score};
    use crate::nn::Outline;

    fn theory(outline: &Outline, gate: Option<f64>) -> PerBlock<BlockTheory> {
        let block = |place: usize| BlockTheory {
            residual_mean_relative: 0.1 * place as f64,
            zero_mean_share: 0.5,
            variance_falls_share: 0.75,
            optimal_gate: gate,
            learned_gate: gate.map(|gate| gate / 2.0),
            gate_correlation: gate.map(|gate| gate / 4.0),
            gate_slope: gate.map(|_| 1.0),
        };
        outline.blocks().enumerate().map(|(place, (id, _))| (id, block(place))).collect()
    }

    #[test]
    fn a_network_without_gates_is_left_out_of_the_figures_about_gates() {
        let (shallow, deep, whole) = (outline(&[3]), outline(&[3, 2]), score(0.9));
        let mut second = theory(&deep, Some(0.5));
        second[1].residual_mean_relative = f64::NAN;
        let networks = presented(vec![(&shallow, &whole, theory(&shallow, None)), (&deep, &whole, second)]);
        let section = section(&networks);
        assert_is_complete(&section);
        let panels: Vec<_> = section.figures.iter().map(|figure| figure.panels.len()).collect();
        assert_eq!(panels, [1, 1, 1, 1]);
        assert_eq!((section.tables[0].rows.len(), section.tables[0].columns.len()), (8, 9));
        let texts: Vec<_> = section.findings.iter().map(|finding| finding.text.as_str()).collect();
        let first = "On average over the blocks, the residual's mean is 0.100 of its standard deviation, and the error's \
                     variance falls in 75.00 % of the units.";
        assert_eq!(texts[0], first);
        assert!(texts[1].ends_with("The optimal gate is 0.500 on average, the learned gate 0.250."), "{texts:?}");
        assert!(texts[2].starts_with("1 figure of the table is not finite"), "{texts:?}");
    }

    #[test]
    fn residual_networks_have_no_figures_about_gates() {
        let (outline, whole) = (outline(&[3]), score(0.9));
        let section = section(&presented(vec![(&outline, &whole, theory(&outline, None))]));
        let names: Vec<_> = section.figures.iter().map(|figure| figure.name.as_str()).collect();
        assert_eq!(names, ["theory-residual-mean", "theory-variance"]);
    }
}
