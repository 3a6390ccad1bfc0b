//! How estimation errors are reported: the paper's Figure 3, and the standard deviation by itself.

use super::BlockEstimation;
use crate::measure::Presented;
use crate::measure::charts::{BlockAxis, block_table, panel, stage_names, untrained_cell, with_content, zero};
use crate::measure::score::{Estimate, PerBlock};
use crate::measure::sentences::{counted, findings, number};
use crate::nn::BlockId;
use crate::report::{Axis, Cell, Chart, Column, Figure, Format, Mark, Panel, Scale, Section, Series, Table};

/// The networks of a report.
type Networks<'a> = [Presented<'a, PerBlock<BlockEstimation>>];

/// A standard deviation axis is logarithmic where the greatest value is this many times the least positive one.
const WIDE: f64 = 30.0;

/// Returns the section about estimation errors.
pub(super) fn section(networks: &Networks) -> Section {
    if networks.iter().all(|network| network.output.is_empty()) {
        return Section::default();
    }
    let tables = vec![table(networks)];
    Section {
        title: "Estimation error".into(),
        about: vec![
            "The estimation error of block k of a stage is `a_k - A`, where `a_k` is the output of the block and `A` the \
             output of the last block of the stage (paper, Eq. 1 and Figure 3). The mean and the standard deviation are \
             taken for each unit over the samples, then averaged over the units. The charts show both divided by the \
             standard deviation of `A`, so that stages and networks share a scale; the table has both forms."
                .into(),
            "A mean near zero says that the block preserves feature identity on average over the units, whose biases may \
             have opposite signs. The unsigned bias is the root mean square of the units' biases, corrected for the noise of \
             few samples: `√mean(b² - s²/n)`, of the mean b and the standard deviation s of a unit's error over n samples. A \
             standard deviation that falls from \
             block to block says that the blocks refine the estimate. The last block of a stage has no error by \
             definition."
                .into(),
            "The deviation falls by itself as fewer steps follow. Its null model takes each of the steps that follow from \
             another sample: `√Σ_(j>k) Var[a_j - a_(j-1)]`. A deviation below it says that the steps of a sample cancel \
             one another, a deviation above it that they add up. Where fewer than two steps follow, both are the same and \
             are not compared."
                .into(),
        ],
        findings: findings(networks, &tables, sentence),
        figures: with_content([errors(networks), deviations(networks)]),
        tables,
        ..Section::default()
    }
}

/// Returns in how many steps from block to block the deviation falls, and the mean that is furthest from zero.
fn sentence(network: &Presented<PerBlock<BlockEstimation>>) -> Option<String> {
    let errors = &network.output;
    if errors.is_empty() {
        return None;
    }
    let mut sentence = match falling_steps(network, &network.output) {
        (_, 0) => "There are too few blocks to compare standard deviations from block to block.".to_owned(),
        (falling, steps) => {
            format!(
                "The standard deviation falls in {falling} of the {steps} steps from block to block; the step to a \
                 stage's last block does not count.{}{}",
                untrained_steps(network),
                against_shuffled(network),
            )
        }
    };
    let finite = errors.iter().filter(|(_, error)| error.mean_relative.is_finite());
    if let Some((id, error)) = finite.max_by(|a, b| a.1.mean_relative.abs().total_cmp(&b.1.mean_relative.abs())) {
        let mean = number(error.mean_relative, Format::Fixed3);
        sentence += &format!(" The mean furthest from zero is {mean} standard deviations of `A` ({id}).");
    }
    Some(sentence)
}

/// Returns after how many blocks the standard deviation is below that of shuffled steps, and after how many above, as a sentence;
/// empty where no block has two steps after it.
fn against_shuffled(network: &Presented<PerBlock<BlockEstimation>>) -> String {
    let compared = network.output.values().filter_map(|e| Some((e.std_less_shuffled?, e.std_less_shuffled_ci95?)));
    let compared: Vec<_> = compared.filter(|(difference, ci95)| difference.is_finite() && ci95.is_finite()).collect();
    if compared.is_empty() {
        return String::new();
    }
    let below = compared.iter().filter(|(difference, ci95)| difference + ci95 < 0.0).count();
    let above = compared.iter().filter(|(difference, ci95)| difference - ci95 > 0.0).count();
    format!(
        " It is below that of steps of other samples after {below} of {}, and above it after {above}; for the others the \
         interval contains 0.",
        counted(compared.len(), "block")
    )
}

/// Returns in how many steps the standard deviation falls with initial weights, as a sentence; empty where that is not known.
fn untrained_steps(network: &Presented<PerBlock<BlockEstimation>>) -> String {
    let falling = network.untrained.iter().map(|errors| falling_steps(network, errors).0.to_string());
    match &falling.collect::<Vec<_>>()[..] {
        [] => String::new(),
        falling => format!(" With initial weights it falls in {} of them.", falling.join(", ")),
    }
}

/// Returns in how many of how many steps from block to block the standard deviation falls. The step to the last block
/// is not counted: its error is zero by definition.
fn falling_steps(network: &Presented<PerBlock<BlockEstimation>>, errors: &PerBlock<BlockEstimation>) -> (usize, usize) {
    let (mut falling, mut steps) = (0, 0);
    for stage in &network.outline.stages {
        let deviations = stage.blocks.iter().filter_map(|block| Some(errors.get(&block.id)?.std));
        let deviations: Vec<f64> = deviations.collect();
        let before_last = &deviations[..deviations.len().saturating_sub(1)];
        for pair in before_last.windows(2).filter(|pair| pair.iter().all(|value| value.is_finite())) {
            steps += 1;
            falling += usize::from(pair[1] < pair[0]);
        }
    }
    (falling, steps)
}

/// Returns a panel for every stage, with all networks that have the stage.
fn stages(networks: &Networks, chart: impl Fn(BlockAxis) -> Chart) -> Vec<Panel> {
    let names = stage_names(networks).into_iter().enumerate();
    let chart = |(stage, name)| Chart { title: String::from(name), ..chart(BlockAxis::of_stage(networks, stage)) };
    names.map(chart).map(panel).collect()
}

fn errors(networks: &Networks) -> Figure {
    let error = |network: &Presented<PerBlock<BlockEstimation>>, id: BlockId| {
        let error = network.output.get(&id)?;
        // The whiskers of this figure are standard deviations, as in the paper.
        Some(Estimate { value: error.mean_relative, ci95: error.std_relative })
    };
    let y = Axis::new("`a_k - A` over std of `A`", Scale::Including(vec![0.0]));
    let chart =
        |axis: BlockAxis| Chart { references: vec![zero()], ..axis.chart(networks, y.clone(), Mark::Points, error) };
    Figure {
        name: "estimation-error".into(),
        title: "Mean and standard deviation".into(),
        about: vec!["Points are means. Whiskers reach one standard deviation up and down.".into()],
        panels: stages(networks, chart),
        shares_y: true,
    }
}

fn deviations(networks: &Networks) -> Figure {
    let values = networks.iter().flat_map(|network| network.output.values()).map(|error| error.std_relative);
    let positive = values.filter(|value| *value > 0.0 && value.is_finite());
    let (low, high) = positive.fold((f64::MAX, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    let is_wide = high > WIDE * low;
    let scale = if is_wide { Scale::Logarithmic } else { Scale::Including(vec![0.0]) };
    let y = Axis::new("std of `a_k - A` over std of `A`", scale);
    let mut about = String::from(
        "The standard deviation of `a_k - A` over that of `A`, with 95 % intervals. At 1 the error spreads as widely as \
         the feature itself. The band, where there is one, is what networks with initial weights show, from the least to the \
         greatest of the seeds: it falls without learning. The dashed line is what steps of other samples would give.",
    );
    if is_wide {
        about += " The scale is logarithmic and has no place for a standard deviation of exactly zero.";
    }
    let deviation = |network: &Presented<PerBlock<BlockEstimation>>, id: BlockId| {
        Some(relative_deviation(network.output.get(&id)?))
    };
    Figure {
        name: "estimation-deviation".into(),
        title: "Standard deviation".into(),
        about: vec![about],
        panels: stages(networks, |axis| {
            let mut chart = axis.chart(networks, y.clone(), Mark::Line, deviation);
            chart.series.splice(0..0, axis.untrained_bands(networks, |error| Some(error.std_relative)));
            chart.series.extend(shuffled(&axis, networks));
            chart
        }),
        shares_y: true,
    }
}

/// Returns a line of every network for steps of other samples.
fn shuffled(axis: &BlockAxis, networks: &Networks) -> Vec<Series> {
    let value = |network: &Presented<PerBlock<BlockEstimation>>, id: BlockId| {
        let value = network.output.get(&id)?.shuffled_std_over_std_of_a?;
        Some(Estimate { value, ci95: f64::NAN })
    };
    let mut series = axis.chart(networks, Axis::default(), Mark::Dashed, value).series;
    series.iter_mut().for_each(|series| series.name += ", steps of other samples");
    series
}

/// Returns the standard deviation over that of `A`, with its interval.
fn relative_deviation(error: &BlockEstimation) -> Estimate {
    let ci95 = if error.std == 0.0 { error.std_ci95 } else { error.std_ci95 * error.std_relative / error.std };
    Estimate { value: error.std_relative, ci95 }
}

fn table(networks: &Networks) -> Table {
    let columns = vec![
        Column::new("mean", "mean of `a_k - A`", Format::Real),
        Column::new("std", "std of `a_k - A`", Format::Real),
        Column::new("rms", "rms of `a_k - A`", Format::Real).detail(),
        Column::new("step_mean", "mean of `a_k - a_(k-1)`", Format::Real).detail(),
        Column::new("mean_over_std_of_a", "mean over std of `A`", Format::Fixed3).detail(),
        Column::new("std_over_std_of_a", "std over std of `A`", Format::Fixed3),
        Column::new("std_over_std_of_a_untrained", "std over std of `A`, untrained", Format::Fixed3).detail(),
        Column::new("shuffled_std_over_std_of_a", "std over std of `A`, steps of other samples", Format::Fixed3)
            .detail(),
        Column::new("std_less_shuffled", "std less that of steps of other samples", Format::Real).detail(),
        Column::new("rms_over_std_of_a", "rms over std of `A`", Format::Fixed3).detail(),
        Column::new("step_mean_over_std_of_a", "mean step over std of `A`", Format::Fixed3).detail(),
        Column::new("unsigned_bias", "unsigned bias", Format::Real).detail(),
        Column::new("unsigned_bias_over_std_of_a", "unsigned bias over std of `A`", Format::Fixed3),
        Column::new(
            "unsigned_bias_over_std_of_a_untrained",
            "unsigned bias over std of `A`, untrained",
            Format::Fixed3,
        )
        .detail(),
    ];
    block_table(("estimation", "Estimation error of every block"), networks, columns, |network, id| {
        let error = network.output.get(&id)?;
        let step_ci95 = error.step_mean_ci95.unwrap_or(f64::NAN);
        let deviation = relative_deviation(error);
        Some(vec![
            Cell::Interval(error.mean, error.mean_ci95),
            Cell::Interval(error.std, error.std_ci95),
            Cell::Interval(error.rms, error.rms_ci95),
            error.step_mean.map_or(Cell::Empty, |step| Cell::Interval(step, step_ci95)),
            Cell::Number(error.mean_relative),
            Cell::Interval(deviation.value, deviation.ci95),
            untrained_cell(network, id, |error| Some(error.std_relative)),
            error.shuffled_std_over_std_of_a.map_or(Cell::Empty, Cell::Number),
            error.std_less_shuffled.map_or(Cell::Empty, |difference| {
                Cell::Interval(difference, error.std_less_shuffled_ci95.unwrap_or(f64::NAN))
            }),
            Cell::Number(error.rms_relative),
            error.step_mean_relative.map_or(Cell::Empty, Cell::Number),
            Cell::Interval(error.unsigned_bias, error.unsigned_bias_ci95),
            Cell::Number(error.unsigned_bias_over_std_of_a),
            untrained_cell(network, id, |error| Some(error.unsigned_bias_over_std_of_a)),
        ])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::example::{assert_is_complete, outline, presented, score};

    fn error(mean: f64, std: f64) -> BlockEstimation {
        BlockEstimation { mean, std, mean_relative: mean / 2.0, std_relative: std / 2.0, ..Default::default() }
    }

    /// Every stage's deviations fall but for the last step before its last block.
    fn errors_of(outline: &crate::nn::Outline) -> PerBlock<BlockEstimation> {
        let errors = outline.stages.iter().flat_map(|stage| {
            let last = stage.blocks.len() - 1;
            stage.blocks.iter().enumerate().map(move |(k, block)| {
                let std = if k == last { 0.0 } else { 1.0 - 0.1 * (k as f64) + 0.3 * f64::from(k + 1 == last) };
                (block.id, error(0.1 * k as f64, std))
            })
        });
        errors.collect()
    }

    #[test]
    fn networks_of_different_depth_share_a_panel_for_each_stage() {
        let (shallow, deep, whole) = (outline(&[4]), outline(&[4, 5]), score(0.9));
        let mut second = errors_of(&deep);
        second[1].std_relative = f64::NAN;
        let section = section(&presented(vec![(&shallow, &whole, errors_of(&shallow)), (&deep, &whole, second)]));
        assert_is_complete(&section);
        assert_eq!((section.tables[0].rows.len(), section.tables[0].columns.len()), (13, 16));
        for figure in &section.figures {
            let series = figure.panels.iter().map(|panel| match panel {
                Panel::Chart(chart) => chart.series.len(),
                _ => 0,
            });
            assert_eq!(series.collect::<Vec<_>>(), [2, 1], "{}", figure.name);
        }
        let texts: Vec<_> = section.findings.iter().map(|finding| (finding.network, finding.text.as_str())).collect();
        assert_eq!(texts.len(), 3);
        assert!(texts[0].1.starts_with("The standard deviation falls in 1 of the 2 steps"), "{texts:?}");
        assert!(texts[1].1.contains("falls in 3 of the 5 steps"), "{texts:?}");
        assert!(
            texts[1].1.ends_with("The mean furthest from zero is 0.200 standard deviations of `A` (stage2.block5).")
        );
        assert!(texts[2].1.starts_with("1 figure of the table is not finite") && texts[2].0 == Some(1), "{texts:?}");
    }

    #[test]
    fn the_whiskers_of_the_first_figure_are_standard_deviations() {
        let (outline, whole) = (outline(&[4]), score(0.9));
        let section = section(&presented(vec![(&outline, &whole, errors_of(&outline))]));
        let Panel::Chart(chart) = &section.figures[0].panels[0] else { panic!("a chart") };
        let point = &chart.series[0].points[1];
        assert_eq!((point.y, point.range), (0.05, Some([0.05 - 0.45, 0.05 + 0.45])));
        assert_eq!(chart.x.scale, Scale::Blocks(outline.blocks().map(|(id, _)| id).collect()));
    }

    #[test]
    fn nothing_is_said_of_networks_without_errors() {
        let (outline, whole) = (outline(&[4]), score(0.9));
        assert_eq!(section(&presented(vec![(&outline, &whole, PerBlock::new())])), Section::default());
    }
}
