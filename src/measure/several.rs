//! Several blocks left out at random (Veit et al. 2016).

use serde::{Deserialize, Serialize};

use super::Intervention;
use super::lesion::removable;
use super::measurement::{Measurement, Observed, Presented, Scope};
use super::score::Score;
use crate::nn::Route;
use crate::random::{Purpose, shuffle, stream};
use crate::report::Section;

/// More and more blocks left out at random.
pub struct Several;

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

impl Measurement for Several {
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

    fn analyse(&self, scope: &Scope, observed: &Observed<()>) -> Vec<RandomRemoval> {
        let all = removals(scope).into_iter().zip(&observed.predictions);
        let result = |((removed, seed, route), predictions): (_, &&[_])| {
            let route: Route = route;
            RandomRemoval { removed, seed, route: route.to_string(), score: Score::of(predictions) }
        };
        all.map(result).collect()
    }

    fn present(&self, _networks: &[Presented<Self::Output>]) -> Section {
        Section::default()
    }
}
