//! Pairs of blocks of one stage left out, and what they cost beyond their members.

use serde::{Deserialize, Serialize};

use super::lesion::{LesionResult, removable};
use super::measurement::{Measurement, Observed, Presented, Scope};
use super::score::{Estimate, mean};
use super::{Intervention, Prediction};
use crate::nn::{BlockId, Route};
use crate::random::{Purpose, shuffle, stream};
use crate::report::Section;

/// Every pair of blocks of a stage left out together.
pub struct Pairs;

/// Two blocks of one stage left out together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockPair {
    /// The earlier block.
    pub first: BlockId,
    /// The later one.
    pub second: BlockId,
    /// The score without both, and what it costs.
    #[serde(flatten)]
    pub lesion: LesionResult,
    /// What the pair costs beyond the costs of its members, as a fraction of accuracy; paired sample by sample.
    pub interaction_accuracy: Estimate,
    /// The same in loss, nats.
    pub interaction_loss: Estimate,
}

/// Of more pairs than this in a stage so many are drawn.
const MOST_PAIRS: usize = 200;

/// The pairs of every stage, in order.
fn pairs(scope: &Scope) -> Vec<(BlockId, BlockId)> {
    let blocks = removable(&scope.outline);
    let mut pairs: Vec<(BlockId, BlockId)> = Vec::new();
    for stage in 0..scope.outline.stages.len() {
        let own: Vec<BlockId> = blocks.iter().copied().filter(|id| id.stage == stage).collect();
        let mut all: Vec<(BlockId, BlockId)> =
            own.iter().enumerate().flat_map(|(i, &a)| own[i + 1..].iter().map(move |&b| (a, b))).collect();
        if all.len() > MOST_PAIRS {
            shuffle(&mut stream(scope.seed, Purpose::LesionPairs, &[stage as u64]), &mut all);
            all.truncate(MOST_PAIRS);
            all.sort();
        }
        pairs.extend(all);
    }
    pairs
}

impl Measurement for Pairs {
    type Output = Vec<BlockPair>;
    type Probe = ();

    const NAME: &'static str = "pairs";
    const ABOUT: &'static str = "Pairs of blocks left out, and what they cost beyond their members";

    fn why_not(&self, scope: &Scope) -> Option<String> {
        let has_pair = removable(&scope.outline).windows(2).any(|pair| pair[0].stage == pair[1].stage);
        (!has_pair).then(|| "no two blocks of a stage can be left out".into())
    }

    fn routes(&self, scope: &Scope) -> Vec<(Intervention, Route)> {
        let whole = Route::identity(&scope.outline);
        let singles = removable(&scope.outline).into_iter().map(|id| whole.without_block(id));
        let both = pairs(scope).into_iter().map(|(a, b)| whole.without_block(a).without_block(b));
        singles.chain(both).map(|route| (Intervention::None, route)).collect()
    }

    fn analyse(&self, scope: &Scope, observed: &Observed<()>) -> Vec<BlockPair> {
        let blocks = removable(&scope.outline);
        let (singles, both) = observed.predictions.split_at(blocks.len());
        let single = |id: BlockId| blocks.iter().position(|&block| block == id).map(|place| singles[place]);
        let result = |((first, second), both): ((BlockId, BlockId), &&[Prediction])| {
            let beyond = |figure: fn(&Prediction) -> f64| {
                let members = single(first)?.iter().zip(single(second)?);
                let all = members.zip(*both).zip(observed.baseline);
                Some(mean(all.map(|(((a, b), both), w)| figure(both) + figure(w) - figure(a) - figure(b))))
            };
            Some(BlockPair {
                first,
                second,
                lesion: LesionResult::new(observed.baseline, both),
                interaction_accuracy: beyond(|p| -p.hit())?,
                interaction_loss: beyond(|p| p.loss)?,
            })
        };
        pairs(scope).into_iter().zip(both).filter_map(result).collect()
    }

    fn present(&self, _networks: &[Presented<Self::Output>]) -> Section {
        Section::default()
    }
}
