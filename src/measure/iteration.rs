//! How iterative a stage is, as three indices (after Lippl et al. 2021): of convergence, recurrence and divergence.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::charts::{estimate_cell, metric, row_table, stage_names, with_content};
use super::interval::{change, mean, position_mean};
use super::measurement::{AnalysisInput, Measurement, Presented, Scope};
use super::repeats::{TIMES, last_blocks};
use super::score::Estimate;
use super::sentences::{findings, finite_mean, number};
use super::{Intervention, Metric, Prediction};
use crate::nn::{AnswerKind, BlockId, Route};
use crate::random::{Purpose, shuffle, stream};
use crate::report::{Axis, Cell, Chart, Column, Figure, Format, Mark, Point, RowKey, Scale, Section, Series, Table};

/// Indices of convergence, recurrence and divergence of every stage.
pub struct Iteration;

/// How iterative a stage is (after Lippl et al. 2021): 0 as an iteration would be, 1 where the accuracy falls to chance at
/// once.
///
/// Each index is an area between accuracies, `mean over the points of (A - A_j) / (A - 1/classes)`, held between 0 and 1:
/// `A` is the accuracy of the network, `A_j` that at point `j`. Absent where the stage has no such points, NaN where the
/// network is no better than chance. The intervals are over the samples, for these points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IterationIndices {
    /// Stopping after each block but the last of the stage; later stages run as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub convergence: Option<Estimate>,
    /// Two blocks of the stage exchanged: every pair, or of many 20 drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recurrence: Option<Estimate>,
    /// The last block applied again, 1 to 20 times: the area under lines through the points of [`Repeats`](super::Repeats).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub divergence: Option<Estimate>,
    /// The same, the estimate scaled back after each further run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub divergence_rescaled: Option<Estimate>,
}

/// The most pairs that are measured in a stage; from more, so many are drawn.
const MOST_EXCHANGES: usize = 20;

/// The points of a curve: the index of the route, and the weight. The weights and that of the unchanged network, which loses
/// nothing, sum to 1.
#[derive(Default)]
struct Curve {
    points: Vec<(usize, f64)>,
    /// How many points there are from which these were drawn at random.
    population: usize,
}

/// The curves of one stage: convergence, recurrence, divergence, divergence with the estimate scaled back.
type Curves = [Curve; 4];

/// The routes of all indices, and the curves of every stage through them.
fn curves(scope: &Scope) -> (Vec<(Intervention, Route)>, Vec<Curves>) {
    let whole = Route::identity(&scope.outline);
    let mut routes: Vec<(Intervention, Route)> = Vec::new();
    let mut curve = |intervention: Intervention, points: Vec<(Route, f64)>, population: usize| {
        let place = |(route, weight): (Route, f64)| {
            routes.push((intervention, route));
            (routes.len() - 1, weight)
        };
        Curve { points: points.into_iter().map(place).collect(), population }
    };
    let last = last_blocks(&scope.outline);
    let stages = scope.outline.stages.iter().enumerate().map(|(stage, s)| {
        let early: Vec<Route> = (0..s.blocks.len().saturating_sub(1))
            .map(|block| whole.truncated_after(BlockId { stage, block }))
            .collect();
        let (exchanged, pairs) = exchanges(&whole, stage, scope.seed);
        let again: Vec<(Route, f64)> = match last.iter().find(|id| id.stage == stage) {
            Some(&id) => weights(&TIMES).map(|(times, weight)| (whole.with_repeats(id, times), weight)).collect(),
            None => Vec::new(),
        };
        [
            curve(Intervention::None, equally(early), s.blocks.len().saturating_sub(1)),
            curve(Intervention::None, equally(exchanged), pairs),
            curve(Intervention::None, again.clone(), TIMES.len()),
            curve(Intervention::Rescaled, again, TIMES.len()),
        ]
    });
    let stages = stages.collect();
    (routes, stages)
}

impl Measurement for Iteration {
    type Output = IndexMap<String, IterationIndices>;
    type Probe = ();

    const NAME: &'static str = "iteration";
    const ABOUT: &'static str = "Whether a stage converges, its blocks are alike, and its last one can go on";

    fn why_not(&self, scope: &Scope) -> Option<String> {
        let is_unbounded = scope.outline.answer.kind == AnswerKind::Mse;
        is_unbounded.then(|| "a squared error has no value of chance to compare with".into())
    }

    fn routes(&self, scope: &Scope) -> Vec<(Intervention, Route)> {
        curves(scope).0
    }

    fn analyse(&self, scope: &Scope, observed: &AnalysisInput<()>) -> IndexMap<String, IterationIndices> {
        let classes = scope.outline.classes as f64;
        let metric = Metric::of(&scope.outline);
        let (figure, chance): (fn(&Prediction) -> f64, f64) = match metric {
            Metric::Accuracy => (|p| p.accuracy, 1.0 / classes),
            Metric::Perplexity => (|p| -p.loss, -classes.ln()),
            Metric::Distance(_) => (|p| 1.0 - p.loss, 0.0),
        };
        let index = |curve: &Curve| index(observed, curve, metric, (figure, chance));
        let (_, stages) = curves(scope);
        let indices = stages.iter().map(|curves| {
            let [convergence, recurrence, divergence, divergence_rescaled] = curves.each_ref().map(index);
            IterationIndices { convergence, recurrence, divergence, divergence_rescaled }
        });
        scope.outline.stages.iter().map(|stage| stage.name.clone()).zip(indices).collect()
    }

    fn present(&self, networks: &[Presented<Self::Output>]) -> Section {
        if networks.iter().all(|network| network.output.is_empty()) {
            return Section::default();
        }
        let tables = vec![table(networks)];
        Section {
            title: "How iterative the stages are".into(),
            about: about(networks),
            findings: findings(networks, &tables, sentence),
            figures: with_content([figure(networks)]),
            tables,
            ..Section::default()
        }
    }
}

type Networks<'a> = [Presented<'a, IndexMap<String, IterationIndices>>];

/// One of the indices: the name of its column, its heading, and its value.
type Index = (&'static str, &'static str, fn(&IterationIndices) -> Option<Estimate>);

const INDICES: [Index; 4] = [
    ("convergence", "convergence", |stage| stage.convergence),
    ("recurrence", "recurrence", |stage| stage.recurrence),
    ("divergence", "divergence", |stage| stage.divergence),
    ("divergence_rescaled", "divergence, scaled back", |stage| stage.divergence_rescaled),
];

fn about(networks: &Networks) -> Vec<String> {
    let (lost, chance) = match metric(networks) {
        Metric::Accuracy => ("accuracy", "`1/classes`"),
        Metric::Perplexity => ("log-probability of the next word", "`-ln(words)`"),
        Metric::Distance(_) => ("cosine with the whole network's answer", "0"),
    };
    let most = TIMES[TIMES.len() - 1];
    vec![
        format!(
            "Three indices say how iterative a stage is (after Lippl et al. 2021). Each index is the {lost} that is lost, \
             averaged over the points of a curve, as a share of what the whole network has beyond chance: the mean of \
             `(A - A_j) / (A - chance)` over the points j, held between 0 and 1, where chance is {chance}. A stage that \
             iterates has an index of 0; the index is 1 if everything is lost at once. Intervals are 95 % intervals over the samples and, where pairs of blocks are drawn, over the pairs."
        ),
        format!(
            "Convergence: the stage stops after each of its blocks but the last. Recurrence: two of its blocks are \
             exchanged. Divergence: its last block runs again, up to {most} times. Scaled back: after each further run the \
             estimate of every sample is scaled to the norm that it had after the first run."
        ),
    ]
}

/// Returns the averages of the indices over the stages.
fn sentence(network: &Presented<IndexMap<String, IterationIndices>>) -> Option<String> {
    let mean = |(_, heading, index): &Index| {
        let mean = finite_mean(network.output.values().filter_map(index).map(|estimate| estimate.value))?;
        Some(format!("{heading} {}", number(mean, Format::Fixed3)))
    };
    let means: Vec<String> = INDICES.iter().filter_map(mean).collect();
    (!means.is_empty()).then(|| format!("The averages over the stages are: {}.", means.join("; ")))
}

/// Returns a panel for every index, with all networks.
fn figure(networks: &Networks) -> Figure {
    let stages = stage_names(networks);
    let names: Vec<String> = stages.iter().map(|&stage| stage.to_owned()).collect();
    let point = |(place, estimate): (usize, Option<Estimate>)| {
        let Estimate { value, ci95 } = estimate.unwrap_or(Estimate { value: f64::NAN, ci95: f64::NAN });
        Point::new(place as f64, value).plus_minus(ci95)
    };
    let chart = |(_, heading, index): &Index| {
        let x = Axis::new("stage", Scale::Categories(names.clone()));
        let mut chart = Chart::new(heading, x, Axis::new("index", Scale::Between(0.0, 1.0)));
        for network in networks {
            let estimates = names.iter().map(|stage| index(network.output.get(stage)?)).enumerate();
            let points: Vec<Point> = estimates.map(point).collect();
            if points.iter().any(|point| point.y.is_finite()) {
                chart.series.push(Series::new(network.name, network.place, Mark::Points, points));
            }
        }
        chart
    };
    INDICES.iter().map(chart).fold(Figure::new("iteration", "").shared(), Figure::panel)
}

fn table(networks: &Networks) -> Table {
    let indices = INDICES.map(|(name, heading, _)| Column::new(name, heading, Format::Fixed3));
    let row = |(stage, indices): (&String, &IterationIndices)| {
        let cell = |(_, _, index): Index| index(indices).map_or(Cell::Empty, estimate_cell);
        [vec![stage.as_str().into()], INDICES.map(cell).to_vec()].concat()
    };
    let columns = [vec![Column::text("stage", "stage")], indices.to_vec()].concat();
    row_table(("iteration", "Indices of every stage"), RowKey::Stage, networks, columns, |network| {
        network.output.iter().map(row).collect()
    })
}

/// The orders in which two blocks of a stage have changed places, and the number of such orders, of which these may be drawn.
fn exchanges(identity: &Route, stage: usize, seed: u64) -> (Vec<Route>, usize) {
    let places = identity.swappable()[stage].clone();
    let mut pairs: Vec<(usize, usize)> =
        places.clone().flat_map(|one| (one + 1..places.end).map(move |other| (one, other))).collect();
    let population = pairs.len();
    if pairs.len() > MOST_EXCHANGES {
        shuffle(&mut stream(seed, Purpose::BlockSwaps, &[stage as u64]), &mut pairs);
        pairs.truncate(MOST_EXCHANGES);
    }
    let exchanged = |(one, other)| {
        let mut route = identity.clone();
        route.swap(stage, one, other);
        route
    };
    (pairs.into_iter().map(exchanged).collect(), population)
}

/// Returns routes that count alike.
fn equally(routes: Vec<Route>) -> Vec<(Route, f64)> {
    let weight = 1.0 / routes.len() as f64;
    routes.into_iter().map(|route| (route, weight)).collect()
}

/// Returns how much each point counts in the mean height of lines from point to point, from 0 to the last. The point at 0 is
/// the whole network. It has a weight too, and loses nothing.
fn weights(points: &'static [usize]) -> impl Iterator<Item = (usize, f64)> {
    let last = points.last().copied().unwrap_or(1) as f64;
    points.iter().enumerate().map(move |(i, &point)| {
        let before = if i == 0 { 0 } else { points[i - 1] };
        let after = points.get(i + 1).copied().unwrap_or(point);
        (point, 0.5 * (after - before) as f64 / last)
    })
}

/// `Σ w·(accuracy of the network - accuracy at the point) / (accuracy of the network - chance)`, held between 0 and 1. For a
/// language model the log-probability of the next word stands in the place of accuracy. The interval is that of a ratio of
/// two means over the same samples, by the first order of its expansion, together with that of drawing the points, where they
/// are drawn. `None` without points; NaN where the network is
/// no better than chance.
fn index(
    observed: &AnalysisInput<()>,
    curve: &Curve,
    metric: Metric,
    (figure, chance): (fn(&Prediction) -> f64, f64),
) -> Option<Estimate> {
    if curve.points.is_empty() {
        return None;
    }
    let whole = observed.baseline;
    let lost_at = |route: usize, n: usize| figure(&whole[n]) - figure(&observed.predictions[route][n]);
    let lost = |n: usize| -> f64 { curve.points.iter().map(|&(route, weight)| weight * lost_at(route, n)).sum() };
    let had = |n: usize| figure(&whole[n]) - chance;
    let all = |value: &dyn Fn(usize) -> f64| {
        let values = whole.iter().enumerate().map(|(n, prediction)| (prediction, value(n)));
        if metric == Metric::Accuracy { change(values) } else { position_mean(values) }
    };
    let base = all(&had).value;
    if base <= 0.0 {
        return Some(Estimate { value: f64::NAN, ci95: f64::NAN });
    }
    let ratio = all(&lost).value / base;
    let of_samples = all(&|n| lost(n) - ratio * had(n)).ci95 / base;
    let drawn = curve.points.len();
    let of_draws = if drawn < curve.population {
        let indices = curve.points.iter().map(|&(route, _)| all(&|n| lost_at(route, n)).value / base);
        let spread = mean(indices).ci95;
        // Of a finite number of points, as many as were drawn are known. Points that are all alike have no spread.
        if spread.is_nan() { 0.0 } else { spread * (1.0 - drawn as f64 / curve.population as f64).sqrt() }
    } else {
        0.0
    };
    let ci95 = of_samples.hypot(of_draws);
    Some(Estimate { value: ratio.clamp(0.0, 1.0), ci95 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::example::{assert_is_complete, estimate, outline, presented, score};
    use crate::nn::Outline;
    use crate::report::Panel;

    /// The indices of stage k, counted from 0, are k / 10 and more.
    fn result(outline: &Outline) -> IndexMap<String, IterationIndices> {
        let stage = |place: usize| IterationIndices {
            convergence: (place > 0).then(|| estimate(0.1)),
            recurrence: Some(estimate(0.1 * place as f64 + 0.2)),
            divergence: Some(estimate(0.1 * place as f64 + 0.4)),
            divergence_rescaled: None,
        };
        outline.stages.iter().enumerate().map(|(place, s)| (s.name.clone(), stage(place))).collect()
    }

    #[test]
    fn every_index_has_a_panel_and_a_column() {
        let (shallow, deep, whole) = (outline(&[3]), outline(&[2, 2]), score(0.9));
        let mut second = result(&deep);
        second[1].divergence = Some(Estimate { value: f64::NAN, ci95: f64::NAN });
        let networks = presented(vec![(&shallow, &whole, result(&shallow)), (&deep, &whole, second)]);
        let section = Iteration.present(&networks);
        assert_is_complete(&section);
        let panels: Vec<_> = section.figures[0].panels.iter().map(Panel::title).collect();
        assert_eq!(panels, ["convergence", "recurrence", "divergence"]);
        let Panel::Chart(chart) = &section.figures[0].panels[1] else { panic!("a chart") };
        assert_eq!(chart.x.scale, Scale::Categories(vec!["stage1".into(), "stage2".into()]));
        assert_eq!((section.tables[0].rows.len(), section.tables[0].columns.len()), (3, 6));
        let texts: Vec<_> = section.findings.iter().map(|finding| finding.text.as_str()).collect();
        let second = "The averages over the stages are: convergence 0.100; recurrence 0.250; divergence 0.400.";
        assert_eq!(texts[..2], ["The averages over the stages are: recurrence 0.200; divergence 0.400.", second]);
        assert!(texts[2].starts_with("1 figure of the table is not finite"), "{texts:?}");
    }

    #[test]
    fn networks_without_indices_have_no_section() {
        let (outline, whole) = (outline(&[1]), score(0.9));
        assert_eq!(Iteration.present(&presented(vec![(&outline, &whole, IndexMap::new())])), Section::default());
    }
}
