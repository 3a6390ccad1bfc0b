//! Shuffle: blocks exchanged at random within their stages (Veit et al. 2016).

use serde::{Deserialize, Serialize};

use super::Intervention;
use super::measurement::{Measurement, Observed, Presented, Scope};
use super::score::Score;
use crate::float_json;
use crate::nn::{BlockId, Outline, Route};
use crate::random::{Purpose, stream, uniform_index};
use crate::report::Section;

/// Blocks exchanged within stages, against Kendall's tau.
pub struct Shuffle;

/// A network run with its blocks in another order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShuffledOrder {
    /// Number of random swaps within stages.
    pub swaps: usize,
    /// Which of the repetitions for this number of swaps.
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
/// Repetitions of each number of swaps.
const SEEDS: u64 = 5;

/// One shuffled order: its number of swaps, its repetition, and the route.
pub(super) struct Order {
    swaps: usize,
    seed: u64,
    /// The shuffled network.
    route: Route,
}

/// Random orders for growing numbers of swaps; a swap exchanges two different places of one stage, every such pair
/// being equally likely. An order that was drawn before for its number of swaps is left out: it would be no second
/// observation. Empty where no stage has two blocks that can be exchanged.
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
    let mut orders: Vec<Order> = Vec::new();
    for swaps in SWAPS.into_iter().filter(|&k| !pairs.is_empty() && k <= swappable) {
        for repetition in 0..SEEDS {
            let mut rng = stream(seed, Purpose::Shuffle, &[swaps as u64, repetition]);
            let mut route = identity.clone();
            for _ in 0..swaps {
                let (stage, one, other) = pairs[uniform_index(&mut rng, pairs.len())];
                route.swap(stage, one, other);
            }
            if !orders.iter().any(|order| order.swaps == swaps && order.route == route) {
                orders.push(Order { swaps, seed: repetition, route });
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

    fn analyse(&self, scope: &Scope, observed: &Observed<()>) -> Vec<ShuffledOrder> {
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

    fn present(&self, _networks: &[Presented<Self::Output>]) -> Section {
        Section::default()
    }
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
