//! The last block of every stage applied again (divergence in Lippl et al. 2021).

use serde::{Deserialize, Serialize};

use super::Intervention;
use super::charts::{baselines, chance, estimate_cell, metric, row_table, score_axis, stage_names, with_content};
use super::interval::share;
use super::measurement::{AnalysisInput, Measurement, Presented, Scope};
use super::score::{Estimate, Score};
use super::sentences::{counted, findings};
use crate::nn::{BlockId, Outline, Route};
use crate::report::{Axis, Chart, Column, Figure, Format, Mark, Point, RowKey, Scale, Section, Series, Table};

/// The last block of every stage applied again, more and more often: as it is, and with its estimate scaled back.
pub struct Repeats;

/// The last block of a stage applied again (divergence in Lippl et al. 2021).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RepeatedBlock {
    /// The block.
    pub block: BlockId,
    /// How often it runs beyond the first time.
    pub times: usize,
    /// Whether every sample's estimate is scaled back after each further run, to the norm over all units that it had after
    /// the first.
    #[serde(default)]
    pub rescaled: bool,
    /// The score.
    #[serde(flatten)]
    pub score: Score,
    /// Share of samples whose predicted class is that of the whole network.
    #[serde(rename = "agreement_fraction", alias = "agreement")]
    pub agreement: Estimate,
}

/// How often the last block of a stage is applied again.
pub(super) const TIMES: [usize; 8] = [1, 2, 3, 4, 6, 10, 15, 20];

/// Returns the last block of every stage. One that changes the shape cannot take its own output.
pub(super) fn last_blocks(outline: &Outline) -> Vec<BlockId> {
    let last = outline.stages.iter().filter_map(|stage| stage.blocks.last());
    last.filter(|block| block.keeps_shape()).map(|block| block.id).collect()
}

/// Intervention, block and number of repeats of every route.
fn repeats(outline: &Outline) -> Vec<(Intervention, BlockId, usize)> {
    let along = [Intervention::None, Intervention::Rescaled].into_iter();
    let blocks = along.flat_map(|along| last_blocks(outline).into_iter().map(move |id| (along, id)));
    blocks.flat_map(|(along, id)| TIMES.map(|times| (along, id, times))).collect()
}

impl Measurement for Repeats {
    type Output = Vec<RepeatedBlock>;
    type Probe = ();

    const NAME: &'static str = "repeats";
    const ABOUT: &'static str = "The last block of every stage applied again";

    fn why_not(&self, scope: &Scope) -> Option<String> {
        let is_empty = last_blocks(&scope.outline).is_empty();
        is_empty.then(|| "the last block of every stage changes the shape".into())
    }

    fn routes(&self, scope: &Scope) -> Vec<(Intervention, Route)> {
        let whole = Route::identity(&scope.outline);
        repeats(&scope.outline).into_iter().map(|(along, id, times)| (along, whole.with_repeats(id, times))).collect()
    }

    fn analyse(&self, scope: &Scope, observed: &AnalysisInput<()>) -> Vec<RepeatedBlock> {
        let result = |((along, block, times), predictions): ((Intervention, BlockId, usize), &&[_])| RepeatedBlock {
            block,
            times,
            rescaled: along == Intervention::Rescaled,
            score: Score::of(predictions),
            agreement: share(predictions.iter().map(|p| (p, p.agreement))),
        };
        repeats(&scope.outline).into_iter().zip(&observed.predictions).map(result).collect()
    }

    fn present(&self, networks: &[Presented<Self::Output>]) -> Section {
        if networks.iter().all(|network| network.output.is_empty()) {
            return Section::default();
        }
        let tables = vec![table(networks)];
        Section {
            title: "Applying the last block again".into(),
            about: vec![
                format!(
                    "The last block of a stage runs again on its own output, up to {} times more (divergence in Lippl et \
                     al. 2021). The predictions of an iteration that has converged do not change; an iteration that works \
                     for the trained number of steps only diverges.",
                    TIMES[TIMES.len() - 1]
                ),
                "Scaled back means: after each further run the estimate of every sample is scaled to the norm that it had \
                 after the first run. What remains is a change of direction. Blocks that change the shape cannot run again."
                    .into(),
            ],
            findings: findings(networks, &tables, sentence),
            figures: with_content([
                figure(networks, ("repeats", "The estimate as it is"), false),
                figure(networks, ("repeats-rescaled", "The estimate scaled back"), true),
            ]),
            tables,
            ..Section::default()
        }
    }
}

type Networks<'a> = [Presented<'a, Vec<RepeatedBlock>>];

/// Returns the scores of all stages after the most runs.
fn sentence(network: &Presented<Vec<RepeatedBlock>>) -> Option<String> {
    let metric = network.metric();
    let most = network.output.iter().map(|repeat| repeat.times).max()?;
    let scores = |rescaled: bool| {
        let last = network.output.iter().filter(|repeat| repeat.times == most && repeat.rescaled == rescaled);
        let score = |repeat: &RepeatedBlock| {
            let stage = &network.outline.stages[repeat.block.stage].name;
            format!("{} ({stage})", metric.format_value(metric.value(&repeat.score)))
        };
        last.map(score).collect::<Vec<_>>().join(", ")
    };
    let rescaled = match scores(true) {
        scores if scores.is_empty() => scores,
        scores => format!("; with the estimate scaled back it is {scores}"),
    };
    Some(format!(
        "After {} of a stage's last block the {} is {}{rescaled}. The whole network has {}.",
        counted(most, "further run"),
        metric.name(),
        scores(false),
        metric.format_value(metric.value(network.baseline)),
    ))
}

/// Returns a panel for every stage, with all networks that have the stage.
fn figure(networks: &Networks, (name, title): (&str, &str), rescaled: bool) -> Figure {
    let metric = metric(networks);
    let point = |repeat: &RepeatedBlock| {
        let [low, high] = metric.range(&repeat.score);
        Point::new(repeat.times as f64, metric.value(&repeat.score)).between(low, high).of(repeat.block)
    };
    let series = |stage: usize, network: &Presented<Vec<RepeatedBlock>>| {
        let repeats = network.output.iter().filter(|r| r.block.stage == stage && r.rescaled == rescaled);
        let points: Vec<Point> = repeats.map(point).collect();
        (!points.is_empty()).then(|| Series::new(network.name, network.place, Mark::Line, points))
    };
    let chart = |(stage, name): (usize, &str)| Chart {
        series: networks.iter().filter_map(|network| series(stage, network)).collect(),
        references: baselines(networks).into_iter().chain(chance(networks)).collect(),
        ..Chart::new(name, Axis::new("further runs", Scale::Including(vec![0.0])), score_axis(metric))
    };
    let stages = stage_names(networks).into_iter().enumerate();
    stages.map(chart).fold(Figure::new(name, title).shared(), Figure::panel)
}

/// Returns a row for every number of runs.
/// Returns a row for every block and number of runs, which the terminal does not show.
fn table(networks: &Networks) -> Table {
    let metric = metric(networks);
    let columns = [
        vec![
            Column::text("block", "block"),
            Column::new("times", "further runs", Format::Count),
            Column::text("rescaled", "scaled back"),
        ],
        metric.score_columns(""),
        vec![
            Column::new("agreement_fraction", "agreement with the whole network", Format::Percent).detail(),
            Column::new("samples", "samples", Format::Count).detail(),
        ],
    ];
    let row = |repeat: &RepeatedBlock| {
        let rescaled = if repeat.rescaled { "yes" } else { "no" };
        let first = vec![repeat.block.into(), repeat.times.into(), rescaled.into()];
        let last = vec![estimate_cell(repeat.agreement), repeat.score.samples.into()];
        [first, metric.score_cells(&repeat.score), last].concat()
    };
    let title = "The last block of every stage applied again";
    let table = row_table(("repeats", title), RowKey::Block, networks, columns.concat(), |network| {
        network.output.iter().map(row).collect()
    });
    Table { brief_rows: Some(0), ..table }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::example::{assert_is_complete, estimate, outline, presented, score};
    use crate::report::Panel;

    fn result(outline: &Outline) -> Vec<RepeatedBlock> {
        let repeat = |(along, block, times): (Intervention, BlockId, usize)| {
            let rescaled = along == Intervention::Rescaled;
            let accuracy = if rescaled { 0.8 } else { 0.7 } - 0.01 * times as f64;
            RepeatedBlock { block, times, rescaled, score: score(accuracy), agreement: estimate(accuracy) }
        };
        repeats(outline).into_iter().map(repeat).collect()
    }

    #[test]
    fn every_stage_has_a_panel_with_all_networks() {
        let (shallow, deep, whole) = (outline(&[3]), outline(&[2, 2]), score(0.9));
        let mut second = result(&deep);
        second[0].score.accuracy = f64::NAN;
        let section = Repeats.present(&presented(vec![(&shallow, &whole, result(&shallow)), (&deep, &whole, second)]));
        assert_is_complete(&section);
        let panels: Vec<_> = section.figures.iter().map(|figure| figure.panels.len()).collect();
        assert_eq!(panels, [2, 2]);
        let Panel::Chart(chart) = &section.figures[1].panels[1] else { panic!("a chart") };
        assert_eq!(
            (chart.title.as_str(), chart.series.len(), chart.series[0].points.len()),
            ("stage2", 1, TIMES.len())
        );
        assert_eq!((section.tables[0].rows.len(), section.tables[0].columns.len()), (48, 8));
        let texts: Vec<_> = section.findings.iter().map(|finding| finding.text.as_str()).collect();
        let second = "After 20 further runs of a stage's last block the accuracy is 50.00 % (stage1), 50.00 % (stage2); with \
                      the estimate scaled back it is 60.00 % (stage1), 60.00 % (stage2). The whole network has 90.00 %.";
        assert_eq!(texts[1], second);
        assert!(texts[2].starts_with("1 figure of the table is not finite"), "{texts:?}");
    }

    #[test]
    fn networks_without_repeats_have_no_section() {
        let (outline, whole) = (outline(&[1]), score(0.9));
        assert_eq!(Repeats.present(&presented(vec![(&outline, &whole, Vec::new())])), Section::default());
    }
}
