//! Several blocks left out at random (Veit et al. 2016).

use serde::{Deserialize, Serialize};

use super::Intervention;
use super::charts::{baselines, chance, metric, row_table, score_axis};
use super::lesion::removable;
use super::mean_score::MeanScore;
use super::measurement::{AnalysisInput, Measurement, Presented, Scope};
use super::score::Score;
use super::sentences::{counted, findings};
use crate::nn::Route;
use crate::random::{Purpose, shuffle, stream};
use crate::report::{Axis, Chart, Column, Figure, Format, Mark, Point, RowKey, Scale, Section, Series, Table};

/// More and more blocks left out at random.
pub struct MultiLesion;

/// Several blocks left out at random (Veit et al. 2016).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RandomRemoval {
    /// Number of blocks left out.
    pub removed: usize,
    /// Which of the repetitions for this number.
    pub seed: u64,
    /// What is left, as a route.
    pub route: String,
    /// The score without them.
    #[serde(flatten)]
    pub score: Score,
}

/// Numbers of blocks left out, as far as the network has them.
const REMOVED: [usize; 12] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64];
/// Repetitions of each number.
const SEEDS: u64 = 5;

/// Number of blocks, repetition and route of every set; each set of its size is equally likely, and none is taken twice.
fn removals(scope: &Scope) -> Vec<(usize, u64, Route)> {
    let blocks = removable(&scope.outline);
    let mut drawn: Vec<(usize, u64, Route)> = Vec::new();
    for removed in REMOVED.into_iter().filter(|&removed| removed <= blocks.len()) {
        for repetition in 0..SEEDS {
            let mut order = blocks.clone();
            shuffle(&mut stream(scope.seed, Purpose::MultiLesion, &[removed as u64, repetition]), &mut order);
            let whole = Route::identity(&scope.outline);
            let route = order[..removed].iter().fold(whole, |route, &id| route.without_block(id));
            if !drawn.iter().any(|(.., other)| *other == route) {
                drawn.push((removed, repetition, route));
            }
        }
    }
    drawn
}

impl Measurement for MultiLesion {
    type Output = Vec<RandomRemoval>;
    type Probe = ();

    const NAME: &'static str = "several";
    const ABOUT: &'static str = "More and more blocks left out at random";

    fn why_not(&self, scope: &Scope) -> Option<String> {
        removable(&scope.outline).is_empty().then(|| "no block can be left out".into())
    }

    fn routes(&self, scope: &Scope) -> Vec<(Intervention, Route)> {
        removals(scope).into_iter().map(|(.., route)| (Intervention::None, route)).collect()
    }

    fn analyse(&self, scope: &Scope, observed: &AnalysisInput<()>) -> Vec<RandomRemoval> {
        let all = removals(scope).into_iter().zip(&observed.predictions);
        let result = |((removed, seed, route), predictions): (_, &&[_])| {
            let route: Route = route;
            RandomRemoval { removed, seed, route: route.to_string(), score: Score::of(predictions) }
        };
        all.map(result).collect()
    }

    fn present(&self, networks: &[Presented<Self::Output>]) -> Section {
        if networks.iter().all(|network| network.output.is_empty()) {
            return Section::default();
        }
        let tables = vec![means_table(networks), table(networks)];
        Section {
            title: "Leaving several blocks out".into(),
            about: vec![format!(
                "More and more blocks are left out together, drawn at random (Veit et al. 2016), with up to {SEEDS} draws \
                 for each number of blocks. If the {} changes smoothly with this number, no single block is needed by the \
                 others.",
                metric(networks).name()
            )],
            findings: findings(networks, &tables[1..], sentence),
            figures: vec![figure(networks)],
            tables,
            ..Section::default()
        }
    }
}

type Networks<'a> = [Presented<'a, Vec<RandomRemoval>>];

/// Returns the mean scores by the number of blocks left out, fewest first.
fn means(network: &Presented<Vec<RandomRemoval>>) -> Vec<(usize, MeanScore)> {
    let draws = network.output.chunk_by(|a, b| a.removed == b.removed);
    let mean = |draws: &[RandomRemoval]| {
        (draws[0].removed, MeanScore::of(network.metric(), draws.iter().map(|draw| &draw.score)))
    };
    draws.map(mean).collect()
}

/// Returns the mean score without the fewest and without the most blocks.
fn sentence(network: &Presented<Vec<RandomRemoval>>) -> Option<String> {
    let (means, metric) = (means(network), network.metric());
    let (few, many) = (means.first()?, means.last()?);
    let without = |(removed, score): &(usize, MeanScore)| {
        format!("{} without {}", metric.format_value(score.mean.value), counted(*removed, "block"))
    };
    let more = if means.len() > 1 { format!(" and {}", without(many)) } else { String::new() };
    let whole = metric.format_value(metric.value(network.baseline));
    Some(format!("The mean {} is {}{more}; with all blocks it is {whole}.", metric.name(), without(few)))
}

fn figure(networks: &Networks) -> Figure {
    let metric = metric(networks);
    let point = |draw: &RandomRemoval| {
        let [low, high] = metric.range(&draw.score);
        Point::new(draw.removed as f64, metric.value(&draw.score)).between(low, high).note(draw.route.as_str())
    };
    let series = networks.iter().filter(|network| !network.output.is_empty());
    let series = series.map(|n| Series::new(n.name, n.place, Mark::Points, n.output.iter().map(point)));
    let chart = Chart {
        x: Axis::new("blocks left out", Scale::Including(vec![0.0])),
        y: score_axis(metric),
        series: series.collect(),
        references: baselines(networks).into_iter().chain(chance(networks)).collect(),
        ..Chart::default()
    };
    Figure::new("several", "").about("Each point is one draw.").panel(chart)
}

/// Returns a row for every number of blocks.
fn means_table(networks: &Networks) -> Table {
    let counts =
        vec![Column::new("removed", "left out at random", Format::Count), Column::new("draws", "draws", Format::Count)];
    let columns = [counts, MeanScore::columns(metric(networks))].concat();
    let row = |(removed, score): (usize, MeanScore)| [vec![removed.into(), score.count.into()], score.cells()].concat();
    row_table(("several-means", "Blocks left out at random"), RowKey::Other, networks, columns, |network| {
        means(network).into_iter().map(row).collect()
    })
}

/// Returns a row for every draw; the terminal has the other table.
fn table(networks: &Networks) -> Table {
    let metric = metric(networks);
    let first = vec![
        Column::new("removed", "left out", Format::Count),
        Column::new("seed", "seed", Format::Count),
        Column::text("route", "what is left"),
    ];
    let samples = vec![Column::new("samples", "samples", Format::Count)];
    let row = |draw: &RandomRemoval| {
        let first = vec![draw.removed.into(), draw.seed.into(), draw.route.as_str().into()];
        [first, metric.score_cells(&draw.score), vec![draw.score.samples.into()]].concat()
    };
    let columns = [first, metric.score_columns(""), samples].concat();
    let table = row_table(("several", "Every draw"), RowKey::Other, networks, columns, |network| {
        network.output.iter().map(row).collect()
    });
    Table { brief_rows: Some(0), ..table }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::example::{assert_is_complete, outline, presented, score};
    use crate::report::{Cell, Panel};

    fn draw(removed: usize, seed: u64, accuracy: f64) -> RandomRemoval {
        RandomRemoval { removed, seed, route: "1-3".into(), score: score(accuracy) }
    }

    #[test]
    fn draws_are_points_and_their_means_rows() {
        let (shallow, deep, whole) = (outline(&[3]), outline(&[3, 3]), score(0.9));
        let first = vec![draw(1, 0, 0.8), draw(1, 1, 0.7), draw(2, 0, 0.5)];
        let mut second = vec![draw(1, 0, 0.85)];
        second[0].score.loss = f64::NAN;
        let section = MultiLesion.present(&presented(vec![(&shallow, &whole, first), (&deep, &whole, second)]));
        assert_is_complete(&section);
        let [means, draws] = &section.tables[..] else { panic!("two tables") };
        assert_eq!(
            [(means.rows.len(), means.columns.len()), (draws.rows.len(), draws.columns.len())],
            [(3, 4), (4, 7)]
        );
        let Cell::Interval(mean, half) = means.rows[0][3] else { panic!("a mean") };
        // Accuracies of 0.8 and 0.7: a standard error of 0.05, and one degree of freedom.
        assert!((mean - 0.75).abs() < 1e-9 && (half - 0.63531).abs() < 1e-6, "{mean} {half}");
        assert!(matches!(means.rows[1][3], Cell::Interval(_, half) if half.is_nan()), "one draw has no interval");
        let Panel::Chart(chart) = &section.figures[0].panels[0] else { panic!("a chart") };
        assert_eq!((chart.series.len(), chart.series[0].points[2].x, chart.references.len()), (2, 2.0, 3));
        let texts: Vec<_> = section.findings.iter().map(|finding| finding.text.as_str()).collect();
        let first = "The mean accuracy is 75.00 % without 1 block and 50.00 % without 2 blocks; with all blocks it is \
                     90.00 %.";
        assert_eq!(texts[..2], [first, "The mean accuracy is 85.00 % without 1 block; with all blocks it is 90.00 %."]);
        assert!(texts[2].starts_with("1 figure of the table is not finite"), "{texts:?}");
    }

    #[test]
    fn networks_without_draws_have_no_section() {
        let (outline, whole) = (outline(&[1]), score(0.9));
        assert_eq!(MultiLesion.present(&presented(vec![(&outline, &whole, Vec::new())])), Section::default());
    }
}
