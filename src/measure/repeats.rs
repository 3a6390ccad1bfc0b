//! The last block of every stage applied again (divergence in Lippl et al. 2021).

use serde::{Deserialize, Serialize};

use super::Intervention;
use super::measurement::{Measurement, Observed, Presented, Scope};
use super::score::{Estimate, Score, share};
use crate::nn::{BlockId, Outline, Route};
use crate::report::Section;

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
    /// Share of samples for which the network still says what it said.
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

    fn analyse(&self, scope: &Scope, observed: &Observed<()>) -> Vec<RepeatedBlock> {
        let result = |((along, block, times), predictions): ((Intervention, BlockId, usize), &&[_])| RepeatedBlock {
            block,
            times,
            rescaled: along == Intervention::Rescaled,
            score: Score::of(predictions),
            agreement: share(predictions.iter().zip(observed.baseline).map(|(p, w)| p.class == w.class)),
        };
        repeats(&scope.outline).into_iter().zip(&observed.predictions).map(result).collect()
    }

    fn present(&self, _networks: &[Presented<Self::Output>]) -> Section {
        Section::default()
    }
}
