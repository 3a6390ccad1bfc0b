//! Shuffle: blocks exchanged at random within their stages (Veit et al. 2016).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Intervention;
use super::charts::{baselines, chance, metric, panel, row_table, score_axis};
use super::mean_score::MeanScore;
use super::measurement::{AnalysisInput, Measurement, Presented, Scope};
use super::score::Score;
use super::sentences::{counted, findings};
use crate::float_json;
use crate::nn::{BlockId, Outline, Route};
use crate::random::{Purpose, stream, uniform_index};
use crate::report::{Axis, Cell, Chart, Column, Figure, Format, Mark, Point, RowKey, Scale, Section, Series, Table};

/// Blocks exchanged within stages, against Kendall's tau.
pub struct Shuffle;

/// A network run with its blocks in another order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShuffledOrder {
    /// Number of random swaps within stages.
    pub swaps: usize,
    /// Which of the orders for this number of swaps.
    pub seed: u64,
    /// Kendall's tau between this order and the trained one, 1 where nothing moved.
    #[serde(with = "float_json")]
    pub kendall_tau: f64,
    /// The order, as a route.
    pub route: String,
    /// The score in this order.
    #[serde(flatten)]
    pub score: Score,
}

/// Numbers of swaps, as far as the network has blocks to swap.
const SWAPS: [usize; 8] = [1, 2, 4, 8, 16, 32, 64, 128];
/// The least number of orders in all, where the network has as many.
const ORDERS: usize = 50;
/// Draws after which an order that was not drawn before is taken not to exist.
const DRAWS: u64 = 20;

/// One shuffled order: its number of swaps, which of these it is, and the route.
pub(super) struct Order {
    swaps: usize,
    seed: u64,
    /// The shuffled network.
    route: Route,
}

/// Random orders for growing numbers of swaps; a swap exchanges two different places of one stage, every such pair
/// being equally likely. An order that was drawn before for its number of swaps is drawn again: it would be no second
/// observation. So is the trained order, which swaps may lead back to. Empty where no stage has two blocks that can be
/// exchanged.
fn orders(outline: &Outline, seed: u64) -> Vec<Order> {
    let identity = Route::identity(outline);
    let pairs: Vec<(usize, usize, usize)> = identity
        .swappable()
        .into_iter()
        .enumerate()
        .flat_map(|(stage, places)| {
            let last = places.end;
            places.flat_map(move |one| (one + 1..last).map(move |other| (stage, one, other)))
        })
        .collect();
    let swappable: usize = identity.swappable().iter().map(ExactSizeIterator::len).sum();
    let counts: Vec<usize> = SWAPS.into_iter().filter(|&k| !pairs.is_empty() && k <= swappable).collect();
    let mut orders: Vec<Order> = Vec::new();
    for &swaps in &counts {
        for number in 0..ORDERS.div_ceil(counts.len()) as u64 {
            let draw = |draw: u64| {
                let mut rng = stream(seed, Purpose::Shuffle, &[swaps as u64, number, draw]);
                let mut route = identity.clone();
                for _ in 0..swaps {
                    let (stage, one, other) = pairs[uniform_index(&mut rng, pairs.len())];
                    route.swap(stage, one, other);
                }
                route
            };
            let is_new = |route: &Route| {
                *route != identity && !orders.iter().any(|order| order.swaps == swaps && order.route == *route)
            };
            if let Some(route) = (0..DRAWS).map(draw).find(is_new) {
                orders.push(Order { swaps, seed: number, route });
            }
        }
    }
    orders
}

impl Measurement for Shuffle {
    type Output = Vec<ShuffledOrder>;
    type Probe = ();

    const NAME: &'static str = "shuffle";
    const ABOUT: &'static str = "Blocks exchanged within their stages";

    fn routes(&self, scope: &Scope) -> Vec<(Intervention, Route)> {
        orders(&scope.outline, scope.seed).into_iter().map(|order| (Intervention::None, order.route)).collect()
    }

    fn analyse(&self, scope: &Scope, observed: &AnalysisInput<()>) -> Vec<ShuffledOrder> {
        let orders = orders(&scope.outline, scope.seed);
        let result = |(order, predictions): (&Order, &&[_])| ShuffledOrder {
            swaps: order.swaps,
            seed: order.seed,
            kendall_tau: kendall_tau(&order.route),
            route: order.route.to_string(),
            score: Score::of(predictions),
        };
        orders.iter().zip(&observed.predictions).map(result).collect()
    }

    fn present(&self, networks: &[Presented<Self::Output>]) -> Section {
        if networks.iter().all(|network| network.output.is_empty()) {
            return Section::default();
        }
        let tables = vec![swaps_table(networks), table(networks)];
        Section {
            title: "Other orders of the blocks".into(),
            about: vec![
                "Blocks are exchanged at random within their stages (paper, Section 4; Veit et al. 2016). Kendall's tau \
                 compares the new order with the trained one over all pairs of blocks: it is 1 where nothing moved, and 0 \
                 where as many pairs are exchanged as kept."
                    .into(),
            ],
            findings: findings(networks, &tables[1..], sentence),
            figures: vec![figure(networks)],
            tables,
            ..Section::default()
        }
    }
}

type Networks<'a> = [Presented<'a, Vec<ShuffledOrder>>];

/// Orders with the same number of swaps.
struct Group {
    swaps: usize,
    /// The mean of Kendall's tau.
    kendall_tau: f64,
    score: MeanScore,
}

/// Returns the orders of a network by their number of swaps, fewest first.
fn groups(network: &Presented<Vec<ShuffledOrder>>) -> Vec<Group> {
    let mut groups: BTreeMap<usize, Vec<&ShuffledOrder>> = BTreeMap::new();
    for order in &network.output {
        groups.entry(order.swaps).or_default().push(order);
    }
    let group = |(swaps, orders): (usize, Vec<&ShuffledOrder>)| Group {
        swaps,
        kendall_tau: orders.iter().map(|order| order.kendall_tau).sum::<f64>() / orders.len() as f64,
        score: MeanScore::of(network.metric(), orders.iter().map(|order| &order.score)),
    };
    groups.into_iter().map(group).collect()
}

/// Returns the mean score after the fewest and after the most swaps.
fn sentence(network: &Presented<Vec<ShuffledOrder>>) -> Option<String> {
    let (groups, metric) = (groups(network), network.metric());
    let (few, many) = (groups.first()?, groups.last()?);
    let after = |group: &Group| {
        format!("{} after {}", metric.format_value(group.score.mean.value), counted(group.swaps, "swap"))
    };
    let more = if groups.len() > 1 { format!(" and {}", after(many)) } else { String::new() };
    let whole = metric.format_value(metric.value(network.baseline));
    Some(format!("The mean {} is {}{more}; in the trained order it is {whole}.", metric.name(), after(few)))
}

fn figure(networks: &Networks) -> Figure {
    let metric = metric(networks);
    let point = |order: &ShuffledOrder| Point {
        x: order.kendall_tau,
        y: metric.value(&order.score),
        range: Some(metric.range(&order.score)),
        block: None,
        note: counted(order.swaps, "swap"),
    };
    let series = networks.iter().filter(|network| !network.output.is_empty()).map(|network| {
        let mut points: Vec<Point> = network.output.iter().map(point).collect();
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        Series { name: network.name.to_owned(), network: Some(network.place), mark: Mark::Points, points }
    });
    let chart = Chart {
        x: Axis::new("Kendall's tau to the trained order", Scale::Including(vec![1.0])),
        y: score_axis(metric),
        series: series.collect(),
        references: baselines(networks).into_iter().chain(chance(networks)).collect(),
        ..Chart::default()
    };
    Figure {
        name: "shuffle".into(),
        about: vec![
            "Each point is one order. The trained order is at the right; the order changes more to the left.".into(),
        ],
        panels: vec![panel(chart)],
        ..Figure::default()
    }
}

/// Returns a row for every number of swaps.
fn swaps_table(networks: &Networks) -> Table {
    let columns = vec![
        Column::new("swaps", "swaps", Format::Count),
        Column::new("orders", "orders", Format::Count),
        Column::new("kendall_tau", "mean tau", Format::Fixed3),
    ];
    let columns = [columns, MeanScore::columns(metric(networks))].concat();
    let row = |group: Group| {
        let counts = [group.swaps, group.score.count].map(|count| Cell::Number(count as f64));
        [counts.to_vec(), vec![Cell::Number(group.kendall_tau)], group.score.cells()].concat()
    };
    row_table(("shuffle-swaps", "Orders by number of swaps"), RowKey::Other, networks, columns, |network| {
        groups(network).into_iter().map(row).collect()
    })
}

/// Returns a row for every order; the terminal has the other table.
fn table(networks: &Networks) -> Table {
    let metric = metric(networks);
    let first = vec![
        Column::new("swaps", "swaps", Format::Count),
        Column::new("seed", "seed", Format::Count),
        Column::new("route", "order", Format::Text),
        Column::new("kendall_tau", "tau", Format::Fixed3),
    ];
    let samples = vec![Column::new("samples", "samples", Format::Count)];
    let row = |order: &ShuffledOrder| {
        let [swaps, seed] = [order.swaps as f64, order.seed as f64].map(Cell::Number);
        let first = vec![swaps, seed, Cell::Text(order.route.clone()), Cell::Number(order.kendall_tau)];
        [first, metric.score_cells(&order.score), vec![Cell::Number(order.score.samples as f64)]].concat()
    };
    let columns = [first, metric.score_columns(""), samples].concat();
    let table = row_table(("shuffle", "Every order"), RowKey::Other, networks, columns, |network| {
        network.output.iter().map(row).collect()
    });
    Table { brief_rows: Some(0), ..table }
}

/// Kendall's tau between a route's order of blocks and the trained one, over all pairs of blocks of the network.
/// Pairs of different stages keep their order.
pub fn kendall_tau(route: &Route) -> f64 {
    let stages = route.stages().iter().enumerate();
    rank_correlation(
        &stages.flat_map(|(stage, s)| s.iter().map(move |&block| BlockId { stage, block })).collect::<Vec<_>>(),
    )
}

/// Kendall's tau between an order of things and their sorted order: `1 - 4·inversions / (n·(n - 1))`.
pub fn rank_correlation<T: Ord>(order: &[T]) -> f64 {
    let n = order.len();
    let inversions: usize = (0..n).map(|i| order[i + 1..].iter().filter(|&later| *later < order[i]).count()).sum();
    if n < 2 { 1.0 } else { 1.0 - 4.0 * inversions as f64 / (n * (n - 1)) as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::example::{assert_is_complete, outline, presented, score};
    use crate::report::Panel;

    fn order(swaps: usize, kendall_tau: f64, accuracy: f64) -> ShuffledOrder {
        ShuffledOrder { swaps, seed: 0, kendall_tau, route: "stage1: 2 1".into(), score: score(accuracy) }
    }

    #[test]
    fn orders_are_points_by_growing_tau_and_rows_by_swaps() {
        let (shallow, deep, whole) = (outline(&[3]), outline(&[3, 3]), score(0.9));
        let first = vec![order(2, 0.2, 0.5), order(1, 0.8, 0.85), order(2, 0.4, 0.7)];
        let second = vec![order(1, f64::NAN, 0.6)];
        let section = Shuffle.present(&presented(vec![(&shallow, &whole, first), (&deep, &whole, second)]));
        assert_is_complete(&section);
        let Panel::Chart(chart) = &section.figures[0].panels[0] else { panic!("a chart") };
        let taus: Vec<f64> = chart.series[0].points.iter().map(|point| point.x).collect();
        assert_eq!((taus, chart.series.len()), (vec![0.2, 0.4, 0.8], 2));
        let [swaps, orders] = &section.tables[..] else { panic!("two tables") };
        assert_eq!((swaps.rows.len(), orders.rows.len()), (3, 4));
        let Cell::Interval(mean, half) = swaps.rows[1][4] else { panic!("a mean") };
        // Accuracies of 0.5 and 0.7: a standard error of 0.1, and one degree of freedom.
        assert!((mean - 0.6).abs() < 1e-9 && (half - 1.27062).abs() < 1e-6, "{mean} {half}");
        assert!(matches!(swaps.rows[0][4], Cell::Interval(_, half) if half.is_nan()), "one order has no interval");
        let texts: Vec<_> = section.findings.iter().map(|finding| finding.text.as_str()).collect();
        let expected = "The mean accuracy is 85.00 % after 1 swap and 60.00 % after 2 swaps; in the trained order it is \
                        90.00 %.";
        assert_eq!(texts[0], expected);
        assert_eq!(texts[1], "The mean accuracy is 60.00 % after 1 swap; in the trained order it is 90.00 %.");
        assert!(texts[2].starts_with("1 figure of the table is not finite"), "{texts:?}");
    }

    #[test]
    fn networks_without_orders_have_no_section() {
        let (outline, whole) = (outline(&[1]), score(0.9));
        assert_eq!(Shuffle.present(&presented(vec![(&outline, &whole, Vec::new())])), Section::default());
    }
}
